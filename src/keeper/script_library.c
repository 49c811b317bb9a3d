/* SPDX-License-Identifier: MIT */
/* The functions custos adds to Lua: print, mark, hex, read, write, symbol, line;
 * and the table finish() gets. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "keeper/script_impl.h"

#define READ_MAX (16 << 20)

/* ---- printing ---- */

/* One call of the session's printer per print: lines stay whole. */
static int print(lua_State *lua)
{
	struct script *script = script_of(lua);
	int count = lua_gettop(lua);
	luaL_Buffer line;
	const char *text;
	size_t len;

	for (int i = 1; i <= count; i++) {
		luaL_tolstring(lua, i, NULL);
		lua_replace(lua, i);
	}
	luaL_buffinit(lua, &line);
	for (int i = 1; i <= count; i++) {
		if (i > 1)
			luaL_addchar(&line, '\t');
		lua_pushvalue(lua, i);
		luaL_addvalue(&line);
	}
	luaL_addchar(&line, '\n');
	luaL_pushresult(&line);
	text = lua_tolstring(lua, -1, &len);
	if (script->options.print)
		script->options.print(script->options.ctx, text, len);
	else
		fwrite(text, 1, len, stdout);
	return 0;
}

/* mark(text): a marker among the accesses of a recorded run. */
static int mark(lua_State *lua)
{
	struct script *script = script_of(lua);
	const char *text = luaL_checkstring(lua, 1);

	if (script->options.mark)
		script->options.mark(script->options.ctx, text);
	return 0;
}

/* ---- values as text ---- */

/* hex(255) == "0xff", hex("\1\2") == "0102" */
static int hex(lua_State *lua)
{
	struct buf *scratch = &script_of(lua)->scratch;
	const char *bytes;
	char text[24];
	size_t len;

	if (lua_type(lua, 1) != LUA_TSTRING) {
		snprintf(text, sizeof(text), "0x%" PRIx64,
			(uint64_t)luaL_checkinteger(lua, 1));
		lua_pushstring(lua, text);
		return 1;
	}
	bytes = lua_tolstring(lua, 1, &len);
	buf_reset(scratch);
	buf_add_hex(scratch, bytes, len);
	if (scratch->failed)
		return luaL_error(lua, "out of memory");
	lua_pushlstring(lua, buf_str(scratch), scratch->len);
	return 1;
}

typedef void (*name_fn)(
	void *ctx, uint64_t process, uint64_t address, struct buf *out);

/* name(address [, pid]) */
static int push_name(lua_State *lua, name_fn name)
{
	struct script *script = script_of(lua);
	uint64_t address = (uint64_t)luaL_checkinteger(lua, 1);
	uint64_t process = (uint64_t)luaL_optinteger(
		lua, 2, (lua_Integer)script->process);

	buf_reset(&script->scratch);
	if (name)
		name(script->options.names->ctx, process, address,
			&script->scratch);
	if (!script->scratch.len)
		return 0;
	lua_pushlstring(lua, script->scratch.data, script->scratch.len);
	return 1;
}

static int symbol(lua_State *lua)
{
	const struct trace_names *names = script_of(lua)->options.names;

	return push_name(lua, names ? names->symbol : NULL);
}

static int line(lua_State *lua)
{
	const struct trace_names *names = script_of(lua)->options.names;

	return push_name(lua, names ? names->line : NULL);
}

/* ---- memory ---- */

static struct script *need_access(lua_State *lua, const char *what)
{
	struct script *script = script_of(lua);

	if (!script->access)
		luaL_error(lua, "%s works only in callbacks that get an "
			"access", what);
	return script;
}

/* read(address, length): what could be read, or nil. */
static int read_memory(lua_State *lua)
{
	struct script *script = need_access(lua, "read");
	lua_Integer address = luaL_checkinteger(lua, 1);
	lua_Integer len = luaL_checkinteger(lua, 2);
	luaL_Buffer bytes;
	size_t done;
	char *room;

	if (len < 0 || len > READ_MAX)
		return luaL_error(lua, "read: the length must be 0 to %d",
			READ_MAX);
	if (!script->options.read)
		return luaL_error(lua, "read is not possible here");
	room = luaL_buffinitsize(lua, &bytes, (size_t)len);
	done = script->options.read(script->options.ctx,
		script->access->process, (uint64_t)address, room,
		(size_t)len);
	luaL_pushresultsize(&bytes, done < (size_t)len ? done : (size_t)len);
	if (!done && len)
		lua_pushnil(lua);
	return 1;
}

/* write(address, bytes): how many were written. */
static int write_memory(lua_State *lua)
{
	struct script *script = need_access(lua, "write");
	lua_Integer address = luaL_checkinteger(lua, 1);
	const char *bytes;
	size_t len;

	luaL_checktype(lua, 2, LUA_TSTRING);
	bytes = lua_tolstring(lua, 2, &len);
	if (!script->options.write)
		return luaL_error(lua, "write is not possible here");
	lua_pushinteger(lua, (lua_Integer)script->options.write(
		script->options.ctx, script->access->process,
		(uint64_t)address, bytes, len));
	return 1;
}

void script_library_fill(lua_State *lua)
{
	static const luaL_Reg functions[] = {
		{ "print", print },
		{ "mark", mark },
		{ "hex", hex },
		{ "symbol", symbol },
		{ "line", line },
		{ "read", read_memory },
		{ "write", write_memory },
		{ NULL, NULL },
	};

	lua_pushglobaltable(lua);
	luaL_setfuncs(lua, functions, 0);
	lua_pop(lua, 1);
}

/* ---- finish(summary) ---- */

static void set_count(lua_State *lua, const char *key, uint64_t count)
{
	lua_pushinteger(lua, (lua_Integer)count);
	lua_setfield(lua, -2, key);
}

static void set_kinds(lua_State *lua, const uint64_t *kinds)
{
	for (int i = 0; i < ACCESS_KIND_MAX; i++)
		set_count(lua, access_kind_name((enum access_kind)i),
			kinds[i]);
}

/* What a name function wrote into scratch, as a field, unless nothing. */
static void set_scratch(lua_State *lua, struct script *script, const char *key)
{
	if (script->scratch.len) {
		lua_pushlstring(lua, script->scratch.data,
			script->scratch.len);
		lua_setfield(lua, -2, key);
	}
	buf_reset(&script->scratch);
}

static void set_names(lua_State *lua, struct script *script,
	const struct stats_site *site)
{
	const struct trace_names *names = script->options.names;
	struct buf *scratch = &script->scratch;

	buf_reset(scratch);
	if (names->symbol)
		names->symbol(names->ctx, site->process, site->ip, scratch);
	set_scratch(lua, script, "symbol");
	if (names->line)
		names->line(names->ctx, site->process, site->ip, scratch);
	set_scratch(lua, script, "line");
	if (names->text && site->insn_len)
		names->text(names->ctx, site->insn, site->insn_len, site->ip,
			scratch);
	set_scratch(lua, script, "text");
}

static void push_site(lua_State *lua, struct script *script,
	const struct stats_site *site)
{
	lua_createtable(lua, 0, 18);
	lua_pushstring(lua, site->process_name);
	lua_setfield(lua, -2, "process");
	set_count(lua, "pid", site->process);
	set_count(lua, "ip", site->ip);
	set_count(lua, "count", site->count);
	set_count(lua, "first", site->first_seq);
	set_count(lua, "last", site->last_seq);
	set_kinds(lua, site->kinds);
	if (script->options.names)
		set_names(lua, script, site);
}

static void push_sites(lua_State *lua, struct script *script)
{
	lua_createtable(lua, (int)script->site_count, 0);
	for (size_t i = 0; i < script->site_count; i++) {
		push_site(lua, script, &script->sites[i]);
		lua_rawseti(lua, -2, (lua_Integer)i + 1);
	}
}

static void set_numbers(lua_State *lua, const struct stats_numbers *numbers)
{
	set_count(lua, "page_mates", numbers->page_mates);
	set_count(lua, "waits", numbers->waits);
	set_count(lua, "errors", numbers->keeper_errors);
	/* Without a check there is no number to give. */
	if (numbers->checked)
		set_count(lua, "missed", numbers->missed);
}

void script_push_summary(lua_State *lua, struct script *script)
{
	struct stats_totals totals = { 0 };

	if (script->stats)
		stats_get_totals(script->stats, &totals);
	lua_createtable(lua, 0, 20);
	set_count(lua, "accesses", totals.accesses);
	set_kinds(lua, totals.kinds);
	lua_createtable(lua, 0, OUTCOME_MAX);
	for (int i = 0; i < OUTCOME_MAX; i++)
		set_count(lua, outcome_name((enum outcome)i),
			totals.outcomes[i]);
	lua_setfield(lua, -2, "outcomes");
	push_sites(lua, script);
	lua_setfield(lua, -2, "instructions");
	if (script->numbers)
		set_numbers(lua, script->numbers);
}
