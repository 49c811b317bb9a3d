/* SPDX-License-Identifier: MIT */
/*
 * The statements of a system description: bank{}, memory{}, process{} and so
 * on, one function each, all of them statement() with another kind. A
 * statement's keys are rows of a table that says of which kinds they are and
 * where their values go. What a value means with regard to other statements is
 * not looked at here: system/ does that when all of them are known.
 */
#include "keeper/script_system.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/nearest.h"
#include "keeper/script_impl.h"

#define OBJECT_TYPE "custos object"
#define BIT(NAME) (1u << SYSTEM_##NAME)

/* The one description of this state. */
struct reader {
	struct script *script;
	struct system *system;
	const struct script_system_options *options;
};

static char reader_key; /* its address is the key in the registry */

static struct reader *reader_of(lua_State *lua)
{
	struct reader *reader;

	lua_rawgetp(lua, LUA_REGISTRYINDEX, &reader_key);
	reader = lua_touserdata(lua, -1);
	lua_pop(lua, 1);
	return reader;
}

/* The statement that is being read. */
struct statement {
	struct reader *reader;
	struct system_object *object;
	const char *word; /* "process" */
	const char *key; /* of the value being read, for messages */
};

/* ---- errors and small values; all of them raise ---- */

/* err's text, without the position that Lua will put in front. */
static int raise(lua_State *lua, const struct error *err)
{
	const char *path = reader_of(lua)->system->path;
	const char *text = err->text;
	size_t len = strlen(path);

	if (!strncmp(text, path, len) && text[len] == ':') {
		text += len + 1;
		text += strspn(text, "0123456789");
		text += strspn(text, ": ");
	}
	return luaL_error(lua, "%s", text);
}

static void *alloc(lua_State *lua, size_t count, size_t size)
{
	void *block;

	if (count > SYSTEM_LIST_MAX)
		luaL_error(lua, "more than %d of them", SYSTEM_LIST_MAX);
	block = system_alloc(reader_of(lua)->system, (count + !count) * size);
	if (!block)
		luaL_error(lua, "out of memory");
	return block;
}

static struct system_text read_bytes(lua_State *lua, struct statement *s)
{
	struct system_text text;
	const char *bytes;

	if (lua_type(lua, -1) != LUA_TSTRING)
		luaL_error(lua, "%s: %s must be a string, not %s", s->word,
			s->key, luaL_typename(lua, -1));
	bytes = lua_tolstring(lua, -1, &text.len);
	if (text.len > SYSTEM_CONTENTS_MAX)
		luaL_error(lua, "%s: %s is longer than %d MiB", s->word, s->key,
			(int)(SYSTEM_CONTENTS_MAX >> 20));
	text.bytes = system_copy(s->reader->system, bytes, text.len);
	if (!text.bytes)
		luaL_error(lua, "out of memory");
	return text;
}

static const char *read_text(lua_State *lua, struct statement *s)
{
	struct system_text text = read_bytes(lua, s);

	if (strlen(text.bytes) != text.len)
		luaL_error(lua, "%s: %s has a NUL character in it", s->word,
			s->key);
	return text.bytes;
}

static bool read_bool(lua_State *lua, struct statement *s)
{
	if (!lua_isboolean(lua, -1))
		luaL_error(lua, "%s: %s must be true or false", s->word,
			s->key);
	return lua_toboolean(lua, -1);
}

static uint64_t read_number(lua_State *lua, struct statement *s)
{
	int is_number;
	lua_Integer value = lua_tointegerx(lua, -1, &is_number);

	if (!is_number || lua_type(lua, -1) != LUA_TNUMBER)
		luaL_error(lua, "%s: %s must be an integer, not %s", s->word,
			s->key, luaL_typename(lua, -1));
	return (uint64_t)value;
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* "64K" */
static bool parse_units(
	const char *text, const struct unit *units, uint64_t *out)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *text == '-')
		return false;
	for (; units->name; units++)
		if (!strcmp(end, units->name))
			return checked_mul(value, units->factor, out);
	return false;
}

/* A number, or a string of a number and a unit. */
static uint64_t read_units(lua_State *lua, struct statement *s,
	const struct unit *units, const char *example)
{
	uint64_t value = 0;

	if (lua_type(lua, -1) == LUA_TNUMBER) {
		value = read_number(lua, s);
		if ((int64_t)value < 0)
			luaL_error(lua, "%s: %s is less than 0", s->word,
				s->key);
		return value;
	}
	if (lua_type(lua, -1) != LUA_TSTRING ||
		!parse_units(lua_tostring(lua, -1), units, &value))
		luaL_error(lua, "%s: %s must be a number, or a string such as "
			"\"%s\"", s->word, s->key, example);
	return value;
}

static uint64_t read_size(lua_State *lua, struct statement *s)
{
	static const struct unit units[] = { { "", 1 }, { "K", 1 << 10 },
		{ "M", 1 << 20 }, { "G", 1 << 30 }, { NULL, 0 } };

	return read_units(lua, s, units, "64K");
}

static uint64_t read_time(lua_State *lua, struct statement *s)
{
	static const struct unit units[] = { { "ns", 1 }, { "us", 1000 },
		{ "ms", 1000000 }, { "s", 1000000000 }, { NULL, 0 } };

	return read_units(lua, s, units, "10ms");
}

/* A number of frames, or bytes: a string. */
static uint64_t read_frames(lua_State *lua, struct statement *s)
{
	bool bytes = lua_type(lua, -1) == LUA_TSTRING;
	uint64_t value = read_size(lua, s);

	if (!value)
		luaL_error(lua, "%s: %s must not be 0", s->word, s->key);
	return bytes ? (value + CUSTOS_ABI_PAGE - 1) / CUSTOS_ABI_PAGE : value;
}

/* ---- references ---- */

static bool is_object(lua_State *lua, int index)
{
	return luaL_testudata(lua, index, OBJECT_TYPE) != NULL;
}

/* The value at the stack top. */
static struct system_ref read_plain_ref(lua_State *lua, struct statement *s)
{
	struct system_ref ref = SYSTEM_REF_INIT;

	if (is_object(lua, -1))
		ref.object = *(uint32_t *)lua_touserdata(lua, -1);
	else if (lua_type(lua, -1) == LUA_TSTRING)
		ref.name = read_text(lua, s);
	else
		luaL_error(lua, "%s: %s must be an object or its name, not %s",
			s->word, s->key, luaL_typename(lua, -1));
	return ref;
}

/* An entry without a statement: { endpoint, payload = 7 }, at the stack top. */
static struct system_ref read_entry(lua_State *lua, struct statement *s)
{
	struct system *system = s->reader->system;
	struct system_ref ref = SYSTEM_REF_INIT;
	struct system_object *entry;
	struct error err = { 0 };

	if (system_add(system, SYSTEM_ENTRY, NULL, s->object->line, &entry,
		    &err))
		raise(lua, &err);
	lua_rawgeti(lua, -1, 1);
	entry->endpoint = read_plain_ref(lua, s);
	lua_pop(lua, 1);
	lua_getfield(lua, -1, "payload");
	entry->payload = read_number(lua, s);
	lua_pop(lua, 1);
	ref.object = system_number(system, entry);
	return ref;
}

/* Keys of a table inside a statement; ends with NULL. */
static void check_keys(
	lua_State *lua, struct statement *s, const char *const *allowed)
{
	lua_pushnil(lua);
	while (lua_next(lua, -2)) {
		bool known = lua_isinteger(lua, -2) &&
			lua_tointeger(lua, -2) == 1;
		struct nearest nearest;

		lua_pop(lua, 1);
		if (known)
			continue;
		if (lua_type(lua, -1) != LUA_TSTRING)
			luaL_error(lua, "%s: %s: one thing too many in { }",
				s->word, s->key);
		nearest_init(&nearest, lua_tostring(lua, -1), 1);
		for (const char *const *a = allowed; *a; a++) {
			known |= !strcmp(*a, lua_tostring(lua, -1));
			nearest_offer(&nearest, *a);
		}
		if (!known)
			luaL_error(lua, "%s: %s: unknown key '%s'%s%s%s",
				s->word, s->key, lua_tostring(lua, -1),
				nearest.count ? "; did you mean '" : "",
				nearest.count ? nearest.best[0].name : "",
				nearest.count ? "'?" : "");
	}
}

/* A reference, or a table of one and more: allowed keys; the table stays at
 * the stack top. */
static struct system_ref read_ref(
	lua_State *lua, struct statement *s, const char *const *allowed)
{
	struct system_ref ref;

	if (!lua_istable(lua, -1))
		return read_plain_ref(lua, s);
	check_keys(lua, s, allowed);
	if (lua_getfield(lua, -1, "payload") != LUA_TNIL) {
		lua_pop(lua, 1);
		return read_entry(lua, s);
	}
	lua_pop(lua, 1);
	if (lua_rawgeti(lua, -1, 1) == LUA_TNIL)
		luaL_error(lua, "%s: %s: { } must begin with an object or a "
			"name", s->word, s->key);
	ref = read_plain_ref(lua, s);
	lua_pop(lua, 1);
	return ref;
}

static struct system_ref read_keeper(lua_State *lua, struct statement *s)
{
	static const char *const keys[] = { "payload", NULL };

	return read_ref(lua, s, keys);
}

/* rights = "..." of the table at the stack top, or NULL */
static const char *read_rights_of(lua_State *lua, struct statement *s)
{
	const char *text = NULL;

	if (!lua_istable(lua, -1))
		return NULL;
	if (lua_getfield(lua, -1, "rights") != LUA_TNIL)
		text = read_text(lua, s);
	lua_pop(lua, 1);
	return text;
}

static uint64_t read_size_of(
	lua_State *lua, struct statement *s, const char *field)
{
	const char *outer = s->key;
	char key[64];
	uint64_t value = 0;

	snprintf(key, sizeof(key), "%s: %s", outer, field);
	s->key = key;
	if (lua_getfield(lua, -1, field) != LUA_TNIL)
		value = read_size(lua, s);
	lua_pop(lua, 1);
	s->key = outer;
	return value;
}

/* ---- lists ---- */

static void check_list(lua_State *lua, struct statement *s)
{
	if (!lua_istable(lua, -1))
		luaL_error(lua, "%s: %s must be a table, not %s", s->word,
			s->key, luaL_typename(lua, -1));
}

/* How many elements; a key that is none is refused. */
static size_t list_length(lua_State *lua, struct statement *s)
{
	size_t len, count = 0;

	check_list(lua, s);
	len = lua_rawlen(lua, -1);
	lua_pushnil(lua);
	while (lua_next(lua, -2)) {
		lua_pop(lua, 1);
		count++;
	}
	if (count != len)
		luaL_error(lua, "%s: %s must be a list { a, b, ... }", s->word,
			s->key);
	return len;
}

static void read_maps(lua_State *lua, struct statement *s)
{
	static const char *const keys[] = { "at", "offset", "length", "rights",
		NULL };
	size_t count = list_length(lua, s);
	struct system_map *maps = alloc(lua, count, sizeof(*maps));

	for (size_t i = 0; i < count; i++) {
		struct system_map *map = &maps[i];

		lua_rawgeti(lua, -1, (lua_Integer)i + 1);
		if (!lua_istable(lua, -1))
			luaL_error(lua, "%s: map must be a list of { object, "
				"at = ADDRESS }", s->word);
		map->object = read_ref(lua, s, keys);
		if (lua_getfield(lua, -1, "at") == LUA_TNIL &&
			s->object->kind == SYSTEM_PROCESS)
			luaL_error(lua, "%s: map: at = ADDRESS is missing",
				s->word);
		lua_pop(lua, 1);
		map->at = read_size_of(lua, s, "at");
		map->offset = read_size_of(lua, s, "offset");
		map->length = read_size_of(lua, s, "length");
		map->rights_text = read_rights_of(lua, s);
		lua_pop(lua, 1);
	}
	s->object->maps = maps;
	s->object->map_count = count;
}

static void read_args(lua_State *lua, struct statement *s)
{
	size_t count = list_length(lua, s);
	struct system_text *args = alloc(lua, count, sizeof(*args));

	for (size_t i = 0; i < count; i++) {
		lua_rawgeti(lua, -1, (lua_Integer)i + 1);
		luaL_tolstring(lua, -1, NULL);
		args[i].bytes = read_text(lua, s);
		args[i].len = strlen(args[i].bytes);
		lua_pop(lua, 2);
	}
	s->object->args = args;
	s->object->arg_count = count;
}

static int compare_caps(const void *a, const void *b)
{
	const struct system_cap *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* The name a list element is given by. */
static const char *name_of_ref(struct statement *s, struct system_ref ref)
{
	if (ref.name)
		return ref.name;
	return s->reader->system->objects[ref.object]->name;
}

/* { "console", mailbox = mail, fault = { pager, payload = 1 } }: those without
 * a key first, then by key. */
static void read_caps(lua_State *lua, struct statement *s)
{
	static const char *const keys[] = { "payload", "rights", NULL };
	size_t count = 0, n = 0, plain;
	struct system_cap *caps;

	check_list(lua, s);
	for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1))
		count++;
	caps = alloc(lua, count, sizeof(*caps));
	plain = lua_rawlen(lua, -1);
	for (size_t i = 0; i < plain && n < count; i++, n++) {
		lua_rawgeti(lua, -1, (lua_Integer)i + 1);
		caps[n].object = read_ref(lua, s, keys);
		caps[n].rights_text = read_rights_of(lua, s);
		caps[n].name = name_of_ref(s, caps[n].object);
		lua_pop(lua, 1);
	}
	for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1)) {
		if (lua_type(lua, -2) != LUA_TSTRING || n == count)
			continue;
		caps[n].object = read_ref(lua, s, keys);
		caps[n].rights_text = read_rights_of(lua, s);
		lua_pushvalue(lua, -2);
		caps[n++].name = read_text(lua, s);
		lua_pop(lua, 1);
	}
	if (n != count)
		luaL_error(lua, "%s: caps: keys must be names", s->word);
	qsort(caps + plain, count - plain, sizeof(*caps), compare_caps);
	s->object->caps = caps;
	s->object->cap_count = count;
}

static bool read_virtual(lua_State *lua, struct statement *s)
{
	bool value = false;

	if (!lua_istable(lua, -1))
		return false;
	if (lua_getfield(lua, -1, "virtual") != LUA_TNIL)
		value = read_bool(lua, s);
	lua_pop(lua, 1);
	return value;
}

/* { [3] = keeper, [4] = { keeper, rights = "w" } } */
static void read_pages(lua_State *lua, struct statement *s)
{
	static const char *const keys[] = { "payload", "rights", "virtual",
		NULL };
	struct system_page *pages;
	size_t count = 0, n = 0;

	check_list(lua, s);
	for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1))
		count++;
	pages = alloc(lua, count, sizeof(*pages));
	for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1)) {
		if (!lua_isinteger(lua, -2) || lua_tointeger(lua, -2) < 0)
			luaL_error(lua, "%s: pages: keys must be page numbers, "
				"from 0", s->word);
		pages[n].index = (uint64_t)lua_tointeger(lua, -2);
		pages[n].keeper = read_ref(lua, s, keys);
		pages[n].rights_text = read_rights_of(lua, s);
		pages[n++].virtual = read_virtual(lua, s);
	}
	s->object->pages = pages;
	s->object->page_count = count;
}

/* ---- files ---- */

/* NULL, with errno, also for what one could wait for forever. */
static FILE *open_regular(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat about;
	FILE *file;

	if (fd < 0)
		return NULL;
	errno = EINVAL;
	if (!fstat(fd, &about) && S_ISREG(about.st_mode)) {
		file = fdopen(fd, "rb");
		if (file)
			return file;
	}
	close(fd);
	return NULL;
}

static void read_file(lua_State *lua, struct statement *s)
{
	struct system *system = s->reader->system;
	char *path = system_path(system, s->object->file);
	FILE *file = path ? open_regular(path) : NULL;
	char *bytes;
	size_t len;
	bool failed;

	if (!path)
		luaL_error(lua, "out of memory");
	if (!file)
		luaL_error(lua, "%s: cannot open %s: %s", s->word, path,
			errno == EINVAL ? "not a file" : strerror(errno));
	bytes = malloc(SYSTEM_CONTENTS_MAX + 1);
	len = bytes ? fread(bytes, 1, SYSTEM_CONTENTS_MAX + 1, file) : 0;
	failed = !bytes || ferror(file);
	fclose(file);
	if (!failed && len <= SYSTEM_CONTENTS_MAX) {
		s->object->contents.bytes = system_copy(system, bytes, len);
		s->object->contents.len = len;
	}
	free(bytes);
	if (failed)
		luaL_error(lua, "%s: cannot read %s: %s", s->word, path,
			strerror(errno));
	if (len > SYSTEM_CONTENTS_MAX)
		luaL_error(lua, "%s: %s is longer than %d MiB", s->word, path,
			(int)(SYSTEM_CONTENTS_MAX >> 20));
	if (!s->object->contents.bytes)
		luaL_error(lua, "out of memory");
}

/* ---- statements ---- */

enum field_type {
	FIELD_REF,
	FIELD_KEEPER,
	FIELD_SIZE,
	FIELD_FRAMES,
	FIELD_NUMBER,
	FIELD_TIME,
	FIELD_TEXT,
	FIELD_BYTES,
	FIELD_BOOL,
	FIELD_FALSE, /* a bool whose opposite is kept */
	FIELD_MAPS,
	FIELD_CAPS,
	FIELD_PAGES,
	FIELD_ARGS,
};

struct field {
	const char *key;
	uint32_t kinds;
	enum field_type type;
	size_t offset;
};

#define AT(field) offsetof(struct system_object, field)
#define PAID                                                                   \
	(BIT(MEMORY) | BIT(VIRTUAL) | BIT(NODE) | BIT(VIEW) | BIT(ENDPOINT) |  \
		BIT(BUFFER) | BIT(PROCESS))

static const struct field fields[] = {
	{ "parent", BIT(BANK), FIELD_REF, AT(bank) },
	{ "limit", BIT(BANK), FIELD_FRAMES, AT(limit) },
	{ "overcommit", BIT(BANK), FIELD_BOOL, AT(overcommit) },
	{ "bank", PAID, FIELD_REF, AT(bank) },
	{ "keeper", BIT(BANK) | BIT(VIRTUAL) | BIT(NODE) | BIT(PROCESS),
		FIELD_KEEPER, AT(keeper) },
	{ "size", BIT(MEMORY) | BIT(VIRTUAL) | BIT(NODE) | BIT(DEVICE),
		FIELD_SIZE, AT(size) },
	{ "contents", BIT(MEMORY), FIELD_BYTES, AT(contents) },
	{ "file", BIT(MEMORY) | BIT(PROGRAM), FIELD_TEXT, AT(file) },
	{ "pages", BIT(MEMORY), FIELD_PAGES, 0 },
	{ "map", BIT(NODE) | BIT(PROCESS), FIELD_MAPS, 0 },
	{ "pays", BIT(NODE), FIELD_REF, AT(pays) },
	{ "of", BIT(VIEW), FIELD_REF, AT(of) },
	{ "offset", BIT(VIEW), FIELD_SIZE, AT(offset) },
	{ "length", BIT(VIEW), FIELD_SIZE, AT(size) },
	{ "rights", BIT(VIEW), FIELD_TEXT, AT(rights_text) },
	{ "recipient", BIT(ENDPOINT), FIELD_REF, AT(process) },
	{ "endpoint", BIT(ENTRY) | BIT(NOTICE), FIELD_REF, AT(endpoint) },
	{ "payload", BIT(ENTRY), FIELD_NUMBER, AT(payload) },
	{ "bits", BIT(NOTICE), FIELD_NUMBER, AT(payload) },
	{ "id", BIT(BUFFER), FIELD_NUMBER, AT(payload) },
	{ "process", BIT(BUFFER), FIELD_REF, AT(process) },
	{ "program", BIT(PROCESS), FIELD_REF, AT(of) },
	{ "args", BIT(PROCESS), FIELD_ARGS, 0 },
	{ "caps", BIT(PROCESS), FIELD_CAPS, 0 },
	{ "cpu", BIT(PROCESS), FIELD_NUMBER, AT(cpu) },
	{ "slice", BIT(PROCESS), FIELD_TIME, AT(slice) },
	{ "service", BIT(PROCESS), FIELD_BOOL, AT(service) },
	{ "main", BIT(PROCESS), FIELD_BOOL, AT(main) },
	{ "start", BIT(PROCESS), FIELD_FALSE, AT(suspended) },
	{ "stays", BIT(PROCESS), FIELD_BOOL, AT(stays) },
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

/* The value at the stack top. */
static void read_field(
	lua_State *lua, struct statement *s, const struct field *field)
{
	void *at = (char *)s->object + field->offset;

	s->key = field->key;
	switch (field->type) {
	case FIELD_REF:
		*(struct system_ref *)at = read_plain_ref(lua, s);
		break;
	case FIELD_KEEPER:
		*(struct system_ref *)at = read_keeper(lua, s);
		break;
	case FIELD_SIZE:
		*(uint64_t *)at = read_size(lua, s);
		break;
	case FIELD_FRAMES:
		*(uint64_t *)at = read_frames(lua, s);
		break;
	case FIELD_NUMBER:
		*(uint64_t *)at = read_number(lua, s);
		break;
	case FIELD_TIME:
		*(uint64_t *)at = read_time(lua, s);
		break;
	case FIELD_TEXT:
		*(const char **)at = read_text(lua, s);
		break;
	case FIELD_BYTES:
		*(struct system_text *)at = read_bytes(lua, s);
		break;
	case FIELD_BOOL:
		*(bool *)at = read_bool(lua, s);
		break;
	case FIELD_FALSE:
		*(bool *)at = !read_bool(lua, s);
		break;
	case FIELD_MAPS:
		read_maps(lua, s);
		break;
	case FIELD_CAPS:
		read_caps(lua, s);
		break;
	case FIELD_PAGES:
		read_pages(lua, s);
		break;
	case FIELD_ARGS:
		read_args(lua, s);
		break;
	}
}

static int unknown_key(lua_State *lua, struct statement *s, const char *key)
{
	struct buf *text = &s->reader->script->scratch;
	struct nearest nearest;
	const char *between = "";

	nearest_init(&nearest, key, 1);
	buf_reset(text);
	for (size_t i = 0; i < FIELDS; i++)
		if (fields[i].kinds & (1u << s->object->kind))
			nearest_offer(&nearest, fields[i].key);
	buf_printf(text, "%s: unknown key '%s'", s->word, key);
	if (nearest.count)
		buf_printf(text, "; did you mean '%s'?", nearest.best[0].name);
	buf_add_str(text, " (keys: ");
	for (size_t i = 0; i < FIELDS; i++) {
		if (!(fields[i].kinds & (1u << s->object->kind)))
			continue;
		buf_printf(text, "%s%s", between, fields[i].key);
		between = ", ";
	}
	buf_add_char(text, ')');
	return luaL_error(lua, "%s", buf_str(text));
}

/* Key at -2, value at -1. */
static void read_pair(lua_State *lua, struct statement *s)
{
	if (lua_type(lua, -2) == LUA_TNUMBER && lua_isinteger(lua, -2) &&
		lua_tointeger(lua, -2) == 1)
		return; /* the name */
	if (lua_type(lua, -2) != LUA_TSTRING)
		luaL_error(lua, "%s: one thing too many in { }: it begins with "
			"the name, then come KEY = VALUE", s->word);
	for (size_t i = 0; i < FIELDS; i++)
		if (fields[i].kinds & (1u << s->object->kind) &&
			!strcmp(fields[i].key, lua_tostring(lua, -2))) {
			read_field(lua, s, &fields[i]);
			return;
		}
	unknown_key(lua, s, lua_tostring(lua, -2));
}

static unsigned current_line(lua_State *lua)
{
	lua_Debug where;

	for (int level = 1; lua_getstack(lua, level, &where); level++) {
		lua_getinfo(lua, "l", &where);
		if (where.currentline > 0)
			return (unsigned)where.currentline;
	}
	return 0;
}

static void push_object(lua_State *lua, uint32_t number)
{
	*(uint32_t *)lua_newuserdatauv(lua, sizeof(uint32_t), 0) = number;
	luaL_setmetatable(lua, OBJECT_TYPE);
}

/* KIND{ "name", key = value, ... }; upvalue: the kind. */
static int statement(lua_State *lua)
{
	enum system_kind kind =
		(enum system_kind)lua_tointeger(lua, lua_upvalueindex(1));
	struct statement s = { reader_of(lua), NULL, system_kind_name(kind),
		"the name" };
	struct error err = { 0 };
	const char *name = NULL;

	if (!lua_istable(lua, 1))
		return luaL_error(lua, "%s: %s{ \"name\", KEY = VALUE, ... } "
			"is wanted", s.word, s.word);
	lua_settop(lua, 1);
	if (lua_rawgeti(lua, 1, 1) != LUA_TNIL)
		name = read_text(lua, &s);
	lua_pop(lua, 1);
	if (system_add(s.reader->system, kind, name, current_line(lua),
		    &s.object, &err))
		return raise(lua, &err);
	for (lua_pushnil(lua); lua_next(lua, 1); lua_pop(lua, 1))
		read_pair(lua, &s);
	if (kind == SYSTEM_MEMORY && s.object->file) {
		if (s.object->contents.bytes)
			return luaL_error(lua, "memory: contents and file: only "
				"one of them can be");
		read_file(lua, &s);
	}
	if (kind == SYSTEM_MEMORY && !s.object->size)
		s.object->size = s.object->contents.len;
	push_object(lua, system_number(s.reader->system, s.object));
	return 1;
}

/* ---- what statements return ---- */

static int object_index(lua_State *lua)
{
	uint32_t number = *(uint32_t *)luaL_checkudata(lua, 1, OBJECT_TYPE);
	const struct system_object *o = reader_of(lua)->system->objects[number];
	const char *key = luaL_checkstring(lua, 2);

	if (!strcmp(key, "name"))
		lua_pushstring(lua, o->name);
	else if (!strcmp(key, "kind"))
		lua_pushstring(lua, system_kind_name(o->kind));
	else if (!strcmp(key, "size"))
		lua_pushinteger(lua, (lua_Integer)o->size);
	else
		return luaL_error(
			lua, "an object has name, kind and size, no %s", key);
	return 1;
}

static int object_text(lua_State *lua)
{
	uint32_t number = *(uint32_t *)luaL_checkudata(lua, 1, OBJECT_TYPE);
	const struct system_object *o = reader_of(lua)->system->objects[number];

	lua_pushfstring(lua, "%s %s", system_kind_name(o->kind), o->name);
	return 1;
}

/* A misspelt statement would be a call of nil otherwise, and a misspelt
 * variable nothing at all. */
static int unknown_word(lua_State *lua)
{
	const char *word = luaL_tolstring(lua, 2, NULL);
	struct system *system = reader_of(lua)->system;
	struct nearest nearest;

	if (system_find(system, word) != SYSTEM_NONE)
		return luaL_error(lua, "unknown word '%s'; the object of that "
			"name is \"%s\", with quotes", word, word);
	nearest_init(&nearest, word, 1);
	for (int i = SYSTEM_BANK; i < SYSTEM_KIND_MAX; i++)
		nearest_offer(
			&nearest, system_kind_name((enum system_kind)i));
	return luaL_error(lua, "unknown word '%s'%s%s%s", word,
		nearest.count ? "; did you mean '" : "",
		nearest.count ? nearest.best[0].name : "",
		nearest.count ? "'?" : "");
}

static void fill_statements(lua_State *lua)
{
	static const luaL_Reg methods[] = {
		{ "__index", object_index },
		{ "__tostring", object_text },
		{ NULL, NULL },
	};

	luaL_newmetatable(lua, OBJECT_TYPE);
	luaL_setfuncs(lua, methods, 0);
	lua_pop(lua, 1);
	for (int i = SYSTEM_BANK; i < SYSTEM_KIND_MAX; i++) {
		lua_pushinteger(lua, i);
		lua_pushcclosure(lua, statement, 1);
		lua_setglobal(lua, system_kind_name((enum system_kind)i));
	}
}

static void fill_globals(lua_State *lua, const struct reader *reader)
{
	const struct script_system_options *o = reader->options;

	lua_newtable(lua);
	for (size_t i = 0; i < o->arg_count; i++) {
		lua_pushstring(lua, o->args[i]);
		lua_rawseti(lua, -2, (lua_Integer)i);
	}
	lua_setglobal(lua, "arg");
	lua_pushglobaltable(lua);
	lua_newtable(lua);
	lua_pushcfunction(lua, unknown_word);
	lua_setfield(lua, -2, "__index");
	lua_setmetatable(lua, -2);
	lua_pop(lua, 1);
}

static int enter_description(lua_State *lua)
{
	struct reader *reader = script_of(lua)->options.ctx;

	lua_pushlightuserdata(lua, reader);
	lua_rawsetp(lua, LUA_REGISTRYINDEX, &reader_key);
	script_sandbox_fill(lua);
	script_library_fill(lua);
	fill_statements(lua);
	fill_globals(lua, reader);
	script_call_file(lua);
	return 0;
}

static void print(void *ctx, const char *text, size_t len)
{
	const struct reader *reader = ctx;

	if (reader->options->print)
		reader->options->print(reader->options->ctx, text, len);
	else
		fwrite(text, 1, len, stdout);
}

int script_system_read(const char *path,
	const struct script_system_options *options, struct system **out,
	struct error *err)
{
	struct reader reader = { NULL, system_create(path), options };
	const struct script_options script_options = {
		.budget_ms = options->budget_ms,
		.print = print,
		.ctx = &reader,
	};
	enum keeper_status status;

	reader.script = script_create(path, &script_options);
	if (!reader.system || !reader.script) {
		system_destroy(reader.system);
		if (reader.script)
			keeper_destroy(&reader.script->keeper);
		return error_set(err, -ENOMEM, "out of memory");
	}
	reader.script->loading = true;
	status = script_enter(reader.script, enter_description,
		SCRIPT_BUDGET_FACTOR, err);
	keeper_destroy(&reader.script->keeper);
	if (status != KEEPER_OK) {
		system_destroy(reader.system);
		return -EINVAL;
	}
	*out = reader.system;
	return 0;
}
