/* SPDX-License-Identifier: MIT */
/*
 * keep{ ..., when = CONDITION }: a string as on the command line, or a table
 * that says the same: { kind = "store", value = { ">", 5 }, every = 10 }.
 */
#include <string.h>

#include "keeper/script_impl.h"

/* The text of a plain value at the stack top, which must be one word. */
static void add_word(lua_State *lua, struct buf *out, const char *key)
{
	const char *text;
	size_t len;

	if (lua_type(lua, -1) != LUA_TSTRING && !lua_isinteger(lua, -1))
		luaL_error(lua, "keep: when: %s must be a string or an "
			"integer, not %s", key, luaL_typename(lua, -1));
	lua_pushvalue(lua, -1); /* the table's own must stay what it is */
	text = lua_tolstring(lua, -1, &len);
	if (!len || strlen(text) != len || strpbrk(text, " \t,"))
		luaL_error(lua, "keep: when: %s must be one word", key);
	buf_add(out, text, len);
	lua_pop(lua, 1);
}

/* "store", or { "store", "rmw" } */
static void add_kinds(lua_State *lua, struct buf *out)
{
	if (!lua_istable(lua, -1)) {
		add_word(lua, out, "kind");
		buf_add_char(out, ' ');
		return;
	}
	for (lua_Integer i = 1; i <= ACCESS_KIND_MAX; i++) {
		if (lua_rawgeti(lua, -1, i) != LUA_TNIL) {
			add_word(lua, out, "kind");
			buf_add_char(out, ' ');
		}
		lua_pop(lua, 1);
	}
}

/* 5, or { ">", 5 } */
static void add_value(lua_State *lua, struct buf *out)
{
	buf_add_str(out, "value");
	if (!lua_istable(lua, -1)) {
		buf_add_char(out, '=');
		add_word(lua, out, "value");
	} else {
		lua_rawgeti(lua, -1, 1);
		add_word(lua, out, "value");
		lua_pop(lua, 1);
		lua_rawgeti(lua, -1, 2);
		add_word(lua, out, "value");
		lua_pop(lua, 1);
	}
	buf_add_char(out, ' ');
}

/* One field of the table: key at -2, value at -1. */
static void add_field(lua_State *lua, struct buf *out)
{
	static const char *const plain[] = { "size", "process", "ip", "every" };
	const char *key = lua_type(lua, -2) == LUA_TSTRING ?
		lua_tostring(lua, -2) :
		"?";

	if (!strcmp(key, "kind")) {
		add_kinds(lua, out);
		return;
	}
	if (!strcmp(key, "value")) {
		add_value(lua, out);
		return;
	}
	if (!strcmp(key, "changed")) {
		if (lua_toboolean(lua, -1))
			buf_add_str(out, "changed ");
		return;
	}
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (strcmp(key, plain[i]))
			continue;
		buf_printf(out, "%s=", key);
		add_word(lua, out, key);
		buf_add_char(out, ' ');
		return;
	}
	luaL_error(lua, "keep: when: unknown key '%s' (kind, size, value, "
		"changed, process, ip, every)", key);
}

void script_when_push(lua_State *lua)
{
	struct buf *out = &script_of(lua)->scratch;

	if (!lua_istable(lua, -1)) {
		lua_pushvalue(lua, -1); /* whoever asked checks its type */
		return;
	}
	buf_reset(out);
	lua_pushnil(lua);
	while (lua_next(lua, -2)) {
		add_field(lua, out);
		lua_pop(lua, 1);
	}
	if (out->failed)
		luaL_error(lua, "out of memory");
	lua_pushlstring(lua, buf_str(out), out->len);
}
