/* SPDX-License-Identifier: MIT */
/*
 * keep "RANGE" and keep{ "RANGE", ..., load = f, ... }: the main chunk says
 * what it wants kept; the ranges are made when the programs are known. Later,
 * in callbacks, they are made at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/script_impl.h"

const char *const script_callback_names[CALLBACK_MAX] = {
	[CALLBACK_LOAD] = "load",
	[CALLBACK_STORE] = "store",
	[CALLBACK_RMW] = "rmw",
	[CALLBACK_FETCH] = "fetch",
	[CALLBACK_STEPPED] = "stepped",
	[CALLBACK_START] = "start",
	[CALLBACK_FINISH] = "finish",
};

/* A C copy of the string at index; raises. what: for messages. */
static char *copy_string(lua_State *lua, int index, const char *what)
{
	const char *text;
	size_t len;
	char *copy;

	if (lua_type(lua, index) != LUA_TSTRING)
		luaL_error(lua, "keep: %s must be a string, not %s", what,
			luaL_typename(lua, index));
	text = lua_tolstring(lua, index, &len);
	if (strlen(text) != len)
		luaL_error(lua, "keep: %s has a NUL character in it", what);
	copy = strdup(text);
	if (!copy)
		luaL_error(lua, "out of memory");
	return copy;
}

#define ENTRIES_MAX 65536 /* kept at once, and those that errors left behind */

/* An entry that was released. */
static struct script_range *reuse_entry(struct script *script)
{
	for (size_t i = 0; i < script->range_count; i++) {
		struct script_range *range = &script->ranges[i];

		if (range->state == SCRIPT_RANGE_FREE && !range->text)
			return range;
	}
	return NULL;
}

static struct script_range *new_entry(lua_State *lua, struct script *script)
{
	size_t capacity = script->range_capacity * 2 + 8;
	struct script_range *grown;

	if (script->range_count == ENTRIES_MAX)
		luaL_error(lua, "keep: more than %d ranges", ENTRIES_MAX);
	if (script->range_count == script->range_capacity) {
		grown = reallocarray(script->ranges, capacity, sizeof(*grown));
		if (!grown)
			luaL_error(lua, "out of memory");
		script->ranges = grown;
		script->range_capacity = capacity;
	}
	return memset(&script->ranges[script->range_count++], 0,
		sizeof(struct script_range));
}

/* A new entry that owns nothing yet; script_keep_fini() frees what it gets
 * even when an error leaves it half filled. */
static struct script_range *add_entry(lua_State *lua, struct script *script)
{
	struct script_range *range = NULL;

	if (!script->loading) /* else they are made in order */
		range = reuse_entry(script);
	if (!range)
		range = new_entry(lua, script);
	*range = (struct script_range){
		.fallback = script->options.fallback,
		.generation = range->generation + 1,
	};
	for (int i = 0; i < CALLBACK_RANGE_MAX; i++)
		range->functions[i] = LUA_NOREF;
	return range;
}

static void free_texts(struct script_range *range)
{
	free(range->text);
	free(range->name);
	free(range->when);
	free(range->where);
	range->text = range->name = range->when = range->where = NULL;
}

void script_keep_fini(struct script *script)
{
	for (size_t i = 0; i < script->range_count; i++)
		free_texts(&script->ranges[i]);
	free(script->ranges);
	free(script->by_range);
}

static enum verdict_kind default_verdict(lua_State *lua)
{
	const char *word = luaL_tolstring(lua, -1, NULL);
	enum verdict_kind kind = VERDICT_PASS;

	/* The word or the verdict itself: both read the same. */
	if (!strcmp(word, "deny"))
		kind = VERDICT_DENY;
	else if (strcmp(word, "pass"))
		luaL_error(lua, "keep: default must be \"pass\" or \"deny\", "
			"not %s", word);
	lua_pop(lua, 1);
	return kind;
}

/* rep = "run" or "element" */
static bool joins_runs(lua_State *lua)
{
	const char *word = luaL_tolstring(lua, -1, NULL);
	bool run = !strcmp(word, "run");

	if (!run && strcmp(word, "element"))
		luaL_error(lua, "keep: rep must be \"run\" or \"element\", not "
			"%s", word);
	lua_pop(lua, 1);
	return run;
}

static bool take_function(
	lua_State *lua, struct script_range *range, const char *key)
{
	for (int i = 0; i < CALLBACK_RANGE_MAX; i++) {
		if (strcmp(key, script_callback_names[i]))
			continue;
		if (!lua_isfunction(lua, -1))
			luaL_error(lua, "keep: %s must be a function, not %s",
				key, luaL_typename(lua, -1));
		lua_pushvalue(lua, -1);
		range->functions[i] = luaL_ref(lua, LUA_REGISTRYINDEX);
		return true;
	}
	return false;
}

static void take_when(lua_State *lua, struct script_range *range)
{
	script_when_push(lua);
	range->when = copy_string(lua, -1, "when");
	lua_pop(lua, 1);
}

/* One field of the table: key at -2, value at -1. */
static void take_field(lua_State *lua, struct script_range *range)
{
	const char *key;

	if (lua_type(lua, -2) == LUA_TNUMBER)
		return; /* a range: taken in its turn */
	if (lua_type(lua, -2) != LUA_TSTRING)
		luaL_error(lua, "keep: a key is a %s",
			luaL_typename(lua, -2));
	key = lua_tostring(lua, -2);
	if (!strcmp(key, "name"))
		range->name = copy_string(lua, -1, "name");
	else if (!strcmp(key, "when"))
		take_when(lua, range);
	else if (!strcmp(key, "default"))
		range->fallback = default_verdict(lua);
	else if (!strcmp(key, "rep"))
		range->joined = joins_runs(lua);
	else if (!take_function(lua, range, key))
		luaL_error(lua, "keep: unknown key '%s' (name, default, when, "
			"rep, load, store, rmw, fetch, stepped)", key);
}

static void take_fields(lua_State *lua, struct script_range *range)
{
	if (!lua_istable(lua, 1))
		return;
	lua_pushnil(lua);
	while (lua_next(lua, 1)) {
		take_field(lua, range);
		lua_pop(lua, 1);
	}
}

/* The range whose text is at the stack top; pushes its handle. */
static void keep_one(lua_State *lua, struct script *script)
{
	struct script_range *range = add_entry(lua, script);
	size_t index = (size_t)(range - script->ranges);

	range->text = copy_string(lua, -1, "a range");
	luaL_where(lua, 1);
	range->where = copy_string(lua, -1, "position");
	lua_pop(lua, 1);
	take_fields(lua, range);
	if (range->name && strlen(range->name) >= RANGE_NAME_MAX)
		luaL_error(lua, "keep: the name is longer than %d characters",
			RANGE_NAME_MAX - 1);
	script_handle_push(lua, script, index);
	script->ranges[index].state = SCRIPT_RANGE_ASKED;
}

static int make_now(struct script *script, size_t index, struct error *err)
{
	int rc = script_keep_range(script, index, err);

	if (rc)
		return rc;
	return script->options.keep(
		script->options.ctx, script->ranges[index].range, err);
}

/* While the target runs: all, or none. The handles are the topmost count. */
static void keep_now(lua_State *lua, struct script *script, int count)
{
	struct error err = { 0 };
	int rc = 0;

	for (size_t i = 0; i < script->range_count && !rc; i++)
		if (script->ranges[i].state == SCRIPT_RANGE_ASKED)
			rc = make_now(script, i, &err);
	if (!rc)
		return;
	for (int i = 0; i < count; i++)
		script_handle_release(lua, -1 - i);
	luaL_error(lua, "keep: %s", err.text);
}

static void check_texts(lua_State *lua, lua_Integer count)
{
	if (!count)
		luaL_error(lua, "keep: no range in the table");
	if (count > ENTRIES_MAX)
		luaL_error(lua, "keep: more than %d ranges", ENTRIES_MAX);
	luaL_checkstack(lua, (int)count + 8, "keep");
	for (lua_Integer i = 1; i <= count; i++) {
		if (lua_rawgeti(lua, 1, i) != LUA_TSTRING)
			luaL_error(lua, "keep: a range must be a string, not "
				"%s", luaL_typename(lua, -1));
		lua_pop(lua, 1);
	}
}

/* One handle for each range. */
static int keep_list(lua_State *lua, struct script *script)
{
	lua_Integer count = (lua_Integer)lua_rawlen(lua, 1);

	check_texts(lua, count);
	for (lua_Integer i = 1; i <= count; i++) {
		lua_rawgeti(lua, 1, i);
		keep_one(lua, script);
		lua_remove(lua, -2);
	}
	return (int)count;
}

static int keep(lua_State *lua)
{
	struct script *script = script_of(lua);
	int count = 1;

	if (script->finished)
		return luaL_error(lua, "keep: the run is over");
	if (!script->loading && (!script->set || !script->options.keep))
		return luaL_error(lua, "keep works only while the script is "
				       "loaded here, not in callbacks");
	if (lua_gettop(lua) != 1)
		return luaL_error(lua, "keep wants one string or one table");
	if (lua_istable(lua, 1))
		count = keep_list(lua, script);
	else
		keep_one(lua, script);
	if (!script->loading)
		keep_now(lua, script, count);
	return count;
}

void script_keep_fill(lua_State *lua)
{
	lua_pushcfunction(lua, keep);
	lua_setglobal(lua, "keep");
}

/* ---- making ranges ---- */

static int remember(
	struct script *script, uint32_t id, size_t index, struct error *err)
{
	size_t count = (size_t)id + 1;
	uint32_t *grown;

	if (count > script->by_range_count) {
		grown = reallocarray(script->by_range, count, sizeof(*grown));
		if (!grown)
			return error_set(err, -ENOMEM, "out of memory");
		memset(grown + script->by_range_count, 0,
			(count - script->by_range_count) * sizeof(*grown));
		script->by_range = grown;
		script->by_range_count = count;
	}
	script->by_range[id] = (uint32_t)index + 1;
	return 0;
}

static int make_filter(const struct script *script, const char *when,
	struct filter **out, struct error *err)
{
	int rc;

	*out = NULL;
	if (!when)
		return 0;
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return error_set(err, -ENOMEM, "out of memory");
	rc = filter_parse(
		when, script->images, script->image_count, *out, err);
	if (!rc)
		return 0;
	free(*out);
	return rc;
}

int script_keep_range(struct script *script, size_t index, struct error *err)
{
	struct script_range *asked = &script->ranges[index];
	struct filter *filter;
	int rc = make_filter(script, asked->when, &filter, err);

	if (rc)
		return rc;
	rc = range_set_add_as(script->set, asked->text, asked->name,
		script->images, script->image_count, &script->keeper,
		asked->fallback, filter, &asked->range, err);
	if (rc) {
		free(filter);
		return rc;
	}
	asked->state = SCRIPT_RANGE_KEPT;
	asked->range->joined |= asked->joined;
	rc = remember(script, asked->range->id, index, err);
	if (rc)
		range_set_leave(script->set, asked->range, &script->keeper);
	return rc;
}

void script_keep_forget(lua_State *lua, struct script *script, size_t index)
{
	struct script_range *range = &script->ranges[index];
	uint32_t id = range->range ? range->range->id : UINT32_MAX;

	if (id < script->by_range_count &&
		script->by_range[id] == (uint32_t)index + 1)
		script->by_range[id] = SCRIPT_RELEASED;
	for (int i = 0; i < CALLBACK_RANGE_MAX; i++)
		luaL_unref(lua, LUA_REGISTRYINDEX, range->functions[i]);
	free_texts(range);
	range->state = SCRIPT_RANGE_FREE;
	range->range = NULL;
	range->generation++;
}

bool script_keep_released(const struct script *script, uint32_t id)
{
	return id < script->by_range_count &&
		script->by_range[id] == SCRIPT_RELEASED;
}

int script_add_ranges(struct keeper *keeper, struct range_set *set,
	const struct image *const *images, size_t image_count,
	struct error *err)
{
	struct script *script = (struct script *)keeper;

	script->set = set;
	script->images = images;
	script->image_count = image_count;
	for (size_t i = 0; i < script->range_count; i++) {
		struct script_range *asked = &script->ranges[i];
		int rc;

		if (asked->state != SCRIPT_RANGE_ASKED)
			continue;
		rc = script_keep_range(script, i, err);
		if (rc) {
			error_prefix(err, "%skeep", asked->where);
			return rc;
		}
	}
	return 0;
}

/* ---- finding callbacks ---- */

static bool push_range_callback(lua_State *lua, const struct script *script,
	enum callback callback, uint32_t id)
{
	const struct script_range *range;

	if (id >= script->by_range_count || !script->by_range[id])
		return false;
	range = &script->ranges[script->by_range[id] - 1];
	if (range->functions[callback] == LUA_NOREF)
		return false;
	lua_rawgeti(lua, LUA_REGISTRYINDEX, range->functions[callback]);
	return true;
}

bool script_push_callback(lua_State *lua, struct script *script,
	enum callback callback, const struct access *access)
{
	const char *name = script_callback_names[callback];

	if (access && script_keep_released(script, access->range))
		return false;
	if (access && callback < CALLBACK_RANGE_MAX &&
		push_range_callback(lua, script, callback, access->range))
		return true;
	lua_pushglobaltable(lua);
	lua_pushstring(lua, name);
	lua_rawget(lua, -2);
	lua_remove(lua, -2);
	/* A trusted script has Lua's own load(), which is no callback. */
	if (lua_isnil(lua, -1) || (script->base_load &&
				lua_tocfunction(lua, -1) ==
					script->base_load)) {
		lua_pop(lua, 1);
		return false;
	}
	if (!lua_isfunction(lua, -1))
		luaL_error(lua, "the callback %s is not a function but a %s",
			name, luaL_typename(lua, -1));
	return true;
}
