/* SPDX-License-Identifier: MIT */
/*
 * The global trace is one userdata around the reader; records become tables
 * whose fields are called as those of the access a keeper gets.
 */
#include "keeper/script_trace.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/script_impl.h"

#define TRACE_TYPE "custos trace"
#define MEMORY_MAX (16 << 20)
#define LOOK_INSTRUCTIONS 100000 /* of Lua's, between two looks at the watch */

static const char *const kind_names[] = {
	[TRACE_ACCESS] = "access",
	[TRACE_PROCESS_START] = "process_start",
	[TRACE_PROCESS_EXIT] = "process_exit",
	[TRACE_BIND] = "bind",
	[TRACE_UNBIND] = "unbind",
	[TRACE_MARKER] = "marker",
	[TRACE_LOST] = "lost",
	[TRACE_END] = "end",
};

_Static_assert(sizeof(kind_names) / sizeof(kind_names[0]) == TRACE_KIND_MAX,
	"a name for every kind");

struct program {
	const char *path;
	struct trace_reader *reader;
	const char *const *args;
	size_t arg_count;
	const struct script_trace_watch *watch;
	uint64_t records; /* read */
	bool ended; /* by the watch */
};

/* A state's, and its coroutines'. */
static struct program *program_of(lua_State *lua)
{
	return *(struct program **)lua_getextraspace(lua);
}

/* However the program catches it, it comes again, at once. */
static void look(lua_State *lua, lua_Debug *where)
{
	struct program *program = program_of(lua);

	(void)where;
	if (!program->watch ||
		program->watch->go_on(program->watch->ctx, program->records))
		return;
	program->ended = true;
	lua_sethook(lua, look, LUA_MASKCOUNT, 1);
	luaL_error(lua, "interrupted");
}

static struct trace_reader *reader_of(lua_State *lua)
{
	return *(struct trace_reader **)luaL_checkudata(lua, 1, TRACE_TYPE);
}

/* ---- records as tables ---- */

static void set_integer(lua_State *lua, const char *key, uint64_t value)
{
	lua_pushinteger(lua, (lua_Integer)value);
	lua_setfield(lua, -2, key);
}

static void set_string(lua_State *lua, const char *key, const char *value)
{
	if (!value || !*value)
		return;
	lua_pushstring(lua, value);
	lua_setfield(lua, -2, key);
}

static void set_value(
	lua_State *lua, const char *key, const uint8_t *bytes, uint32_t size)
{
	script_push_value(lua, bytes, size);
	lua_setfield(lua, -2, key);
}

static void set_words(
	lua_State *lua, const char *key, const uint64_t *words, uint32_t count)
{
	if (!words)
		return;
	lua_createtable(lua, (int)count, 0);
	for (uint32_t i = 0; i < count; i++) {
		lua_pushinteger(lua, (lua_Integer)words[i]);
		lua_rawseti(lua, -2, (lua_Integer)i + 1);
	}
	lua_setfield(lua, -2, key);
}

static void set_site(lua_State *lua, const struct trace_site *site)
{
	if (!site)
		return;
	set_string(lua, "symbol", site->symbol);
	set_string(lua, "line", site->line);
	set_string(lua, "text", site->text);
	lua_pushlstring(lua, (const char *)site->insn, site->insn_len);
	lua_setfield(lua, -2, "bytes");
}

static void set_lanes(lua_State *lua, const struct access *a)
{
	if (!a->lane_count)
		return;
	lua_createtable(lua, (int)a->lane_count, 0);
	for (uint32_t i = 0; i < a->lane_count; i++) {
		lua_createtable(lua, 0, 3);
		set_integer(lua, "address", a->lanes[i].address);
		set_integer(lua, "size", a->lanes[i].size);
		set_integer(lua, "at", a->lanes[i].offset);
		lua_rawseti(lua, -2, (lua_Integer)i + 1);
	}
	lua_setfield(lua, -2, "lanes");
}

static void set_access(lua_State *lua, const struct trace_record *r)
{
	const struct access *a = &r->access;

	set_string(lua, "kind", access_kind_name(a->kind));
	set_string(lua, "outcome", outcome_name(r->outcome));
	lua_pushboolean(lua, a->atomic);
	lua_setfield(lua, -2, "atomic");
	set_integer(lua, "address", a->address);
	set_integer(lua, "size", a->size);
	set_string(lua, "range", a->range_name);
	set_integer(lua, "offset", a->offset);
	set_integer(lua, "kept_first", a->kept_first);
	set_integer(lua, "kept_count", a->kept_count);
	set_value(lua, "old", a->old_bytes, a->size);
	set_value(lua, "new", a->new_bytes, a->size);
	set_value(lua, "final", r->final_bytes, a->size);
	set_integer(lua, "cpu", a->cpu);
	set_integer(lua, "pid", a->process);
	set_string(lua, "process", a->process_name);
	set_integer(lua, "ip", a->ip);
	set_lanes(lua, a);
	set_words(lua, "regs", r->regs, TRACE_REGS);
	set_words(lua, "stack", r->stack, r->stack_count);
}

static void set_event(lua_State *lua, struct trace_reader *reader,
	const struct trace_record *r)
{
	const struct trace_meta *meta = trace_reader_meta(reader);

	set_string(lua, "kind", kind_names[r->kind]);
	set_integer(lua, "pid", r->process);
	set_string(lua, "process", r->process_name);
	set_string(lua, "message", r->text);
	set_integer(lua, "code", (uint64_t)r->exit_code);
	set_integer(lua, "count", r->count);
	if (r->kind != TRACE_BIND && r->kind != TRACE_UNBIND)
		return;
	for (uint32_t i = 0; i < meta->range_count; i++)
		if (meta->ranges[i].id == r->range)
			set_string(lua, "range", meta->ranges[i].name);
	set_integer(lua, "offset", r->offset);
	set_integer(lua, "size", r->size);
	if (r->frame)
		set_integer(lua, "frame", r->frame);
	if (!r->bytes)
		return;
	lua_pushlstring(lua, (const char *)r->bytes, (size_t)r->size);
	lua_setfield(lua, -2, "bytes");
}

static void push_record(lua_State *lua, struct trace_reader *reader,
	const struct trace_record *r)
{
	lua_createtable(lua, 0, 24);
	set_integer(lua, "seq", r->seq);
	set_integer(lua, "time", r->time_ns);
	if (r->kind == TRACE_ACCESS) {
		set_access(lua, r);
		set_site(lua, trace_reader_site(reader, r->site));
	} else {
		set_event(lua, reader, r);
	}
}

/* ---- what a program may ask ---- */

static int raise(lua_State *lua, const struct error *err)
{
	return luaL_error(lua, "%s", err->text);
}

static int next_record(lua_State *lua)
{
	struct trace_reader *reader = reader_of(lua);
	struct trace_record record;
	struct error err = { 0 };
	int ret = trace_reader_next(reader, &record, &err);

	if (ret < 0)
		return raise(lua, &err);
	if (!ret)
		return 0;
	program_of(lua)->records++;
	push_record(lua, reader, &record);
	return 1;
}

/* trace:records([seq]): from there on, for a for loop */
static int records(lua_State *lua)
{
	struct trace_reader *reader = reader_of(lua);
	struct error err = { 0 };

	if (trace_reader_seek(
		    reader, (uint64_t)luaL_optinteger(lua, 2, 0), &err))
		return raise(lua, &err);
	lua_pushcfunction(lua, next_record);
	lua_pushvalue(lua, 1);
	return 2;
}

/* The range called as argument 2 says. */
static uint32_t check_range(lua_State *lua, const struct trace_reader *reader)
{
	const struct trace_meta *meta = trace_reader_meta(reader);
	const char *name = luaL_checkstring(lua, 2);

	for (uint32_t i = 0; i < meta->range_count; i++)
		if (!strcmp(meta->ranges[i].name, name))
			return meta->ranges[i].id;
	return (uint32_t)luaL_error(lua, "the trace has no range `%s'", name);
}

/* trace:last_store(range, offset [, seq [, pid]]): the record, or nil */
static int last_store(lua_State *lua)
{
	struct trace_reader *reader = reader_of(lua);
	uint32_t range = check_range(lua, reader);
	struct trace_record record;
	struct error err = { 0 };
	int ret = trace_reader_last_store(reader, range,
		(uint64_t)luaL_checkinteger(lua, 3),
		(uint64_t)luaL_optinteger(lua, 5, 0),
		(uint64_t)luaL_optinteger(lua, 4, -1), &record, &err);

	if (ret < 0)
		return raise(lua, &err);
	if (!ret)
		return 0;
	push_record(lua, reader, &record);
	return 1;
}

/* trace:memory(range, offset, length [, seq [, pid]]): the bytes, nil when one
 * of them is not known */
static int memory(lua_State *lua)
{
	struct trace_reader *reader = reader_of(lua);
	uint32_t range = check_range(lua, reader);
	uint64_t offset = (uint64_t)luaL_checkinteger(lua, 3);
	lua_Integer len = luaL_checkinteger(lua, 4);
	uint64_t seq = (uint64_t)luaL_optinteger(lua, 5, -1);
	uint64_t process = (uint64_t)luaL_optinteger(lua, 6, 0);
	uint8_t *bytes;
	bool *known;
	struct error err = { 0 };

	if (len < 0 || len > MEMORY_MAX)
		return luaL_error(
			lua, "memory: the length must be 0 to %d", MEMORY_MAX);
	bytes = lua_newuserdatauv(lua, (size_t)len + 1, 0);
	known = lua_newuserdatauv(lua, (size_t)len + 1, 0);
	if (trace_reader_memory(reader, range, process, seq, offset,
		    (uint64_t)len, bytes, known, &err))
		return raise(lua, &err);
	for (lua_Integer i = 0; i < len; i++)
		if (!known[i])
			return 0;
	lua_pushlstring(lua, (const char *)bytes, (size_t)len);
	return 1;
}

/* trace:info(): what it is about */
static int info(lua_State *lua)
{
	struct trace_reader *reader = reader_of(lua);
	const struct trace_meta *meta = trace_reader_meta(reader);
	struct trace_totals totals;

	trace_reader_totals(reader, &totals);
	lua_newtable(lua);
	set_string(lua, "command", meta->command);
	set_string(lua, "kvm", meta->kvm);
	set_integer(lua, "cpus", meta->cpus);
	set_integer(lua, "accesses", totals.accesses);
	set_integer(lua, "lost", totals.lost);
	lua_pushboolean(lua, totals.complete);
	lua_setfield(lua, -2, "complete");
	lua_newtable(lua);
	for (uint32_t i = 0; i < meta->range_count; i++) {
		lua_newtable(lua);
		set_string(lua, "name", meta->ranges[i].name);
		set_integer(lua, "address", meta->ranges[i].address);
		set_integer(lua, "length", meta->ranges[i].length);
		lua_rawseti(lua, -2, (lua_Integer)i + 1);
	}
	lua_setfield(lua, -2, "ranges");
	return 1;
}

/* ---- running ---- */

static void set_trace(lua_State *lua, struct trace_reader *reader)
{
	static const luaL_Reg methods[] = {
		{ "records", records },
		{ "last_store", last_store },
		{ "memory", memory },
		{ "info", info },
		{ NULL, NULL },
	};

	*(struct trace_reader **)lua_newuserdatauv(
		lua, sizeof(struct trace_reader *), 0) = reader;
	luaL_newmetatable(lua, TRACE_TYPE);
	luaL_newlib(lua, methods);
	lua_setfield(lua, -2, "__index");
	lua_setmetatable(lua, -2);
	lua_setglobal(lua, "trace");
}

/* In protected mode: memory may run out anywhere. */
static int run_protected(lua_State *lua)
{
	const struct program *program = lua_touserdata(lua, 1);

	luaL_openlibs(lua);
	lua_sethook(lua, look, LUA_MASKCOUNT, LOOK_INSTRUCTIONS);
	set_trace(lua, program->reader);
	lua_newtable(lua);
	lua_pushstring(lua, program->path);
	lua_rawseti(lua, -2, 0);
	for (size_t i = 0; i < program->arg_count; i++) {
		lua_pushstring(lua, program->args[i]);
		lua_rawseti(lua, -2, (lua_Integer)i + 1);
	}
	lua_setglobal(lua, "arg");
	if (luaL_loadfilex(lua, program->path, "t"))
		return lua_error(lua);
	lua_call(lua, 0, 0);
	return 0;
}

int script_trace_run(const char *path, struct trace_reader *reader,
	const char *const *args, size_t arg_count,
	const struct script_trace_watch *watch, struct error *err)
{
	struct program program = { path, reader, args, arg_count, watch, 0,
		false };
	lua_State *lua = luaL_newstate();
	int ret = 0;

	if (!lua)
		return error_set(err, -ENOMEM, "out of memory");
	*(struct program **)lua_getextraspace(lua) = &program;
	lua_pushcfunction(lua, run_protected);
	lua_pushlightuserdata(lua, &program);
	if (lua_pcall(lua, 1, 0, 0)) {
		const char *text = lua_tostring(lua, -1);

		ret = error_set(err, program.ended ? -EINTR : -EINVAL, "%s",
			text ? text : "error without text");
	}
	lua_close(lua);
	return ret;
}
