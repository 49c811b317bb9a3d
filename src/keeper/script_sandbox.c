/* SPDX-License-Identifier: MIT */
/*
 * What a script may use: memory, time, libraries.
 *
 * Time. A count hook looks at the clock every HOOK_COUNT instructions, and the
 * allocator does so every few MiB (one instruction can copy a lot). Once time
 * is up everything raises until the callback is over: a script that catches
 * the error meets the next one at its next instruction. The budget is CPU
 * time, so that a busy machine does not cut a good script; the wall clock,
 * which is cheaper to read, says when to look. An ordinary callback ends
 * before the first hook and reads no clock at all.
 *
 * Lua runs some code with hooks off, which nothing could cut then. Closed
 * here: finalizers (setmetatable() refuses __gc), message handlers of errors
 * raised by a hook (xpcall() does not call them once time is up) and pending
 * to-be-closed variables of a coroutine that died in a hook (no
 * coroutine.close(), and our wrap() does not close).
 *
 * C functions that loop long without a hook are bounded: table functions by
 * the length of the table, string functions by the memory limit, patterns by
 * a matcher of our own (script_string.c).
 */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/invariant.h"
#include "keeper/script_impl.h"

#define HOOK_COUNT 1000
#define WORK_UNCHECKED ((size_t)4 << 20) /* bytes between looks at the clock */
#define WORK_LARGE ((size_t)64 << 10) /* refused once time is up */
#define ELEMENTS_MAX (1 << 20) /* of a table a C function loops over */

/* ---- time ---- */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool script_budget_spent(struct script *script)
{
	struct script_budget *b = &script->budget;
	uint64_t wall, cpu;

	if (b->expired || !b->time_ns)
		return b->expired;
	wall = clock_ns(CLOCK_MONOTONIC);
	if (!b->started) {
		b->started = true;
		b->wall_start = wall;
		b->cpu_start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		return false;
	}
	if (wall - b->wall_start < b->time_ns)
		return false;
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - b->cpu_start;
	b->expired = cpu >= b->time_ns;
	/* Not yet: look again when the rest may have been used up. */
	b->wall_start = wall - cpu;
	return b->expired;
}

static void on_count(lua_State *lua, lua_Debug *where)
{
	struct script *script = script_of(lua);

	if (!script_budget_spent(script))
		return;
	lua_sethook(lua, on_count, LUA_MASKCOUNT, 1);
	lua_getinfo(lua, "Sl", where);
	lua_pushfstring(lua, "%s:%d: ran longer than %d ms", where->short_src,
		where->currentline, (int)(script->budget.time_ns / 1000000));
	lua_error(lua);
}

void script_budget_begin(struct script *script, unsigned ms)
{
	struct script_budget *b = &script->budget;

	b->time_ns = (uint64_t)ms * 1000000;
	b->started = b->expired = false;
	b->unchecked = 0;
	b->refused_at[0] = '\0';
}

void script_budget_end(struct script *script)
{
	script->budget.time_ns = 0;
	if (!script->budget.expired)
		return;
	script->budget.expired = false;
	lua_sethook(script->lua, on_count, LUA_MASKCOUNT, HOOK_COUNT);
}

/* ---- memory ---- */

/* Looking at the stack allocates nothing, and is right at any allocation. */
static void note_refusal(struct script *script)
{
	struct script_budget *b = &script->budget;
	lua_Debug where;

	if (!script->lua)
		return;
	for (int i = 0; lua_getstack(script->lua, i, &where); i++) {
		lua_getinfo(script->lua, "Sl", &where);
		if (where.currentline <= 0)
			continue;
		snprintf(b->refused_at, sizeof(b->refused_at), "%s:%d",
			where.short_src, where.currentline);
		return;
	}
}

static bool may_grow(struct script *script, size_t old, size_t wanted)
{
	struct script_budget *b = &script->budget;

	if (wanted - old > b->memory_max - b->memory_used)
		return false;
	b->unchecked += wanted;
	if (b->unchecked < WORK_UNCHECKED)
		return true;
	b->unchecked = 0;
	return !script_budget_spent(script) || wanted < WORK_LARGE;
}

static void *allocate(void *ctx, void *block, size_t old, size_t wanted)
{
	struct script *script = ctx;
	void *moved;

	if (!block)
		old = 0;
	if (!wanted) {
		free(block);
		script->budget.memory_used -= old;
		return NULL;
	}
	if (wanted > old && !may_grow(script, old, wanted)) {
		note_refusal(script);
		return NULL;
	}
	moved = realloc(block, wanted);
	if (!moved) {
		/* Lua relies on shrinking; the old block is large enough. */
		if (wanted > old)
			return NULL;
		moved = block;
	}
	script->budget.memory_used += wanted - old;
	return moved;
}

/* ---- base functions that could escape the limits ---- */

/* Upvalue: the original. */
static int safe_setmetatable(lua_State *lua)
{
	if (lua_istable(lua, 2)) {
		lua_pushliteral(lua, "__gc");
		if (lua_rawget(lua, 2) != LUA_TNIL)
			return luaL_error(lua,
				"__gc is not available to scripts");
		lua_pop(lua, 1);
	}
	lua_pushvalue(lua, lua_upvalueindex(1));
	lua_insert(lua, 1);
	lua_call(lua, lua_gettop(lua) - 1, LUA_MULTRET);
	return lua_gettop(lua);
}

/* Upvalue: the user's handler. */
static int handle_message(lua_State *lua)
{
	if (script_of(lua)->budget.expired)
		return 1;
	lua_pushvalue(lua, lua_upvalueindex(1));
	lua_insert(lua, 1);
	lua_call(lua, lua_gettop(lua) - 1, 1);
	return 1;
}

static int finish_xpcall(lua_State *lua, int status, lua_KContext context)
{
	(void)context;
	/* Slot 1 is the handler. */
	if (status == LUA_OK || status == LUA_YIELD) {
		lua_pushboolean(lua, true);
		lua_replace(lua, 1);
		return lua_gettop(lua);
	}
	lua_pushboolean(lua, false);
	lua_insert(lua, -2);
	return 2;
}

static int safe_xpcall(lua_State *lua)
{
	int count = lua_gettop(lua);

	luaL_checktype(lua, 2, LUA_TFUNCTION);
	lua_pushvalue(lua, 2);
	lua_pushcclosure(lua, handle_message, 1);
	lua_replace(lua, 2);
	/* f, handler, arguments -> handler, f, arguments */
	lua_pushvalue(lua, 1);
	lua_pushvalue(lua, 2);
	lua_replace(lua, 1);
	lua_replace(lua, 2);
	return finish_xpcall(lua,
		lua_pcallk(lua, count - 2, LUA_MULTRET, 1, 0, finish_xpcall),
		0);
}

/* Upvalue: the coroutine. As coroutine.wrap() of the library, but a coroutine
 * that failed is not closed (see the head of this file). */
static int call_wrapped(lua_State *lua)
{
	lua_State *co = lua_tothread(lua, lua_upvalueindex(1));
	int count = lua_gettop(lua), results = 0, status;

	if (lua_status(co) != LUA_YIELD &&
		(lua_status(co) != LUA_OK || lua_gettop(co) == 0))
		return luaL_error(lua, "cannot resume dead coroutine");
	if (!lua_checkstack(co, count))
		return luaL_error(lua, "too many arguments to resume");
	lua_xmove(lua, co, count);
	status = lua_resume(co, lua, count, &results);
	if (status != LUA_OK && status != LUA_YIELD) {
		lua_xmove(co, lua, 1);
		return lua_error(lua);
	}
	if (!lua_checkstack(lua, results + 1)) {
		lua_pop(co, results);
		return luaL_error(lua, "too many results to resume");
	}
	lua_xmove(co, lua, results);
	return results;
}

static int safe_wrap(lua_State *lua)
{
	lua_State *co;

	luaL_checktype(lua, 1, LUA_TFUNCTION);
	co = lua_newthread(lua);
	lua_pushvalue(lua, 1);
	lua_xmove(lua, co, 1);
	lua_pushcclosure(lua, call_wrapped, 1);
	return 1;
}

/*
 * A table function of the library (upvalue), for tables whose length is what
 * it seems and not too much. Without __len the length cannot change between
 * this look and the library's.
 */
static int safe_table_call(lua_State *lua)
{
	luaL_checktype(lua, 1, LUA_TTABLE);
	if (luaL_getmetafield(lua, 1, "__len") != LUA_TNIL)
		return luaL_error(lua, "tables with __len cannot be used here");
	if (lua_rawlen(lua, 1) > ELEMENTS_MAX)
		return luaL_error(lua, "table too long (more than %d elements)",
			ELEMENTS_MAX);
	lua_pushvalue(lua, lua_upvalueindex(1));
	lua_insert(lua, 1);
	lua_call(lua, lua_gettop(lua) - 1, LUA_MULTRET);
	return lua_gettop(lua);
}

/* move(from, first, last, to [, into]): bounded by its numbers. */
static int safe_table_move(lua_State *lua)
{
	lua_Integer first = luaL_checkinteger(lua, 2);
	lua_Integer last = luaL_checkinteger(lua, 3);

	if (last >= first &&
		(lua_Unsigned)last - (lua_Unsigned)first >= ELEMENTS_MAX)
		return luaL_error(lua, "too many elements to move");
	lua_pushvalue(lua, lua_upvalueindex(1));
	lua_insert(lua, 1);
	lua_call(lua, lua_gettop(lua) - 1, LUA_MULTRET);
	return lua_gettop(lua);
}

/* concat(list, separator, first, last) */
static int safe_table_concat(lua_State *lua)
{
	if (!lua_isnoneornil(lua, 4)) {
		lua_Integer first = luaL_optinteger(lua, 3, 1);
		lua_Integer last = luaL_checkinteger(lua, 4);

		if (last >= first &&
			(lua_Unsigned)last - (lua_Unsigned)first >=
				ELEMENTS_MAX)
			return luaL_error(lua, "too many elements to concat");
	}
	return safe_table_call(lua);
}

/* ---- putting it together ---- */

/* Replace field of the table at the stack top by function, which gets the
 * original as its upvalue. */
static void wrap_field(
	lua_State *lua, const char *field, lua_CFunction function)
{
	lua_getfield(lua, -1, field);
	lua_pushcclosure(lua, function, 1);
	lua_setfield(lua, -2, field);
}

static void remove_fields(
	lua_State *lua, const char *const *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		lua_pushnil(lua);
		lua_setfield(lua, -2, fields[i]);
	}
}

static void fill_base(lua_State *lua)
{
	static const char *const unsafe[] = { "load", "loadfile", "dofile",
		"collectgarbage", "warn" };

	luaL_requiref(lua, LUA_GNAME, luaopen_base, 1);
	remove_fields(lua, unsafe, sizeof(unsafe) / sizeof(unsafe[0]));
	wrap_field(lua, "setmetatable", safe_setmetatable);
	lua_pushcfunction(lua, safe_xpcall);
	lua_setfield(lua, -2, "xpcall");
	lua_pop(lua, 1);
}

static void fill_table(lua_State *lua)
{
	luaL_requiref(lua, LUA_TABLIBNAME, luaopen_table, 1);
	wrap_field(lua, "insert", safe_table_call);
	wrap_field(lua, "remove", safe_table_call);
	wrap_field(lua, "sort", safe_table_call);
	wrap_field(lua, "concat", safe_table_concat);
	wrap_field(lua, "move", safe_table_move);
	lua_pop(lua, 1);
}

static void fill_coroutine(lua_State *lua)
{
	static const char *const unsafe[] = { "close" };

	luaL_requiref(lua, LUA_COLIBNAME, luaopen_coroutine, 1);
	remove_fields(lua, unsafe, 1);
	lua_pushcfunction(lua, safe_wrap);
	lua_setfield(lua, -2, "wrap");
	lua_pop(lua, 1);
}

static void fill_string(lua_State *lua)
{
	static const char *const unsafe[] = { "dump" };

	luaL_requiref(lua, LUA_STRLIBNAME, luaopen_string, 1);
	remove_fields(lua, unsafe, 1);
	script_string_fill(lua);
	lua_pop(lua, 1);
}

/* The same numbers in every run, unless the script seeds it. */
static void fill_math(lua_State *lua)
{
	luaL_requiref(lua, LUA_MATHLIBNAME, luaopen_math, 1);
	lua_getfield(lua, -1, "randomseed");
	lua_pushinteger(lua, 1);
	lua_call(lua, 1, 0);
	lua_pop(lua, 1);
}

void script_sandbox_fill(lua_State *lua)
{
	struct script *script = script_of(lua);

	/* Lua makes this string when memory is short; have it ready. */
	lua_pushliteral(lua, "error in error handling");
	luaL_ref(lua, LUA_REGISTRYINDEX);
	if (script->options.trusted) {
		luaL_openlibs(lua);
		lua_getglobal(lua, "load");
		script->base_load = lua_tocfunction(lua, -1);
		lua_pop(lua, 1);
		return;
	}
	fill_base(lua);
	fill_table(lua);
	fill_coroutine(lua);
	fill_string(lua);
	fill_math(lua);
	luaL_requiref(lua, LUA_UTF8LIBNAME, luaopen_utf8, 1);
	lua_pop(lua, 1);
}

/* Every entry into Lua is protected: this is our bug. */
static int on_panic(lua_State *lua)
{
	invariant_failed(lua_type(lua, -1) == LUA_TSTRING
			? lua_tostring(lua, -1)
			: "error outside protected mode",
		__FILE__, __LINE__, __func__);
}

lua_State *script_sandbox_create(struct script *script)
{
	lua_State *lua = lua_newstate(allocate, script);

	if (!lua)
		return NULL;
	*(struct script **)lua_getextraspace(lua) = script;
	lua_atpanic(lua, on_panic);
	lua_sethook(lua, on_count, LUA_MASKCOUNT, HOOK_COUNT);
	return lua;
}
