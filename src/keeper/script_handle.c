/* SPDX-License-Identifier: MIT */
/*
 * What keep() returns for each range: its name, length and counters, and a way
 * to let go of it. A handle outlives its range's being kept; then it says what
 * was.
 */
#include <string.h>

#include "keeper/script_impl.h"

#define HANDLE_TYPE "keep"

struct handle {
	size_t index;
	uint32_t generation;
	/* Set when it was released. */
	bool released;
	struct range *range; /* NULL: it never was one */
	uint64_t asked, filtered;
};

void script_handle_push(lua_State *lua, struct script *script, size_t index)
{
	struct handle *h = lua_newuserdatauv(lua, sizeof(*h), 0);

	*h = (struct handle){
		.index = index,
		.generation = script->ranges[index].generation,
	};
	luaL_setmetatable(lua, HANDLE_TYPE);
}

/* The entry it is for, or NULL when it was released. */
static struct script_range *entry_of(
	const struct script *script, const struct handle *h)
{
	struct script_range *entry = &script->ranges[h->index];

	return h->released || entry->generation != h->generation ? NULL : entry;
}

static struct range *range_of(
	const struct script *script, const struct handle *h)
{
	const struct script_range *entry = entry_of(script, h);

	return entry ? entry->range : h->range;
}

static void count(
	struct script *script, struct handle *h, struct range *range)
{
	const struct range_link *link =
		range && !h->released ?
		range_find_link(range, &script->keeper) :
		NULL;

	if (!link)
		return;
	h->asked = link->asked;
	h->filtered = link->filtered;
}

bool script_handle_release(lua_State *lua, int index)
{
	struct handle *h = luaL_checkudata(lua, index, HANDLE_TYPE);
	struct script *script = script_of(lua);
	struct range *range = range_of(script, h);

	if (!entry_of(script, h))
		return false;
	if (range && !script->options.release)
		luaL_error(lua, "release is not possible here");
	count(script, h, range);
	h->range = range;
	h->released = true;
	script_keep_forget(lua, script, h->index);
	if (range)
		script->options.release(
			script->options.ctx, range, &script->keeper);
	return true;
}

/* k:release(): true when it was kept until now. */
static int release(lua_State *lua)
{
	lua_pushboolean(lua, script_handle_release(lua, 1));
	return 1;
}

/* k:revoke(): what was granted of it is asked about again. */
static int revoke(lua_State *lua)
{
	struct handle *h = luaL_checkudata(lua, 1, HANDLE_TYPE);
	struct script *script = script_of(lua);
	const struct script_range *entry = entry_of(script, h);

	if (!entry || !entry->range)
		return 0;
	if (!script->options.revoke)
		return luaL_error(lua, "revoke is not possible here");
	if (script->options.revoke(script->options.ctx, entry->range))
		return luaL_error(lua, "out of memory");
	return 0;
}

static void push_name(lua_State *lua, const struct script *script,
	const struct handle *h, const struct range *range)
{
	const struct script_range *entry = entry_of(script, h);

	if (range)
		lua_pushstring(lua, range->name);
	else if (entry)
		lua_pushstring(lua, entry->name ? entry->name : entry->text);
	else
		lua_pushnil(lua);
}

static int get_field(lua_State *lua)
{
	struct handle *h = luaL_checkudata(lua, 1, HANDLE_TYPE);
	const char *key = luaL_tolstring(lua, 2, NULL);
	struct script *script = script_of(lua);
	struct range *range = range_of(script, h);

	count(script, h, range);
	if (!strcmp(key, "name"))
		push_name(lua, script, h, range);
	else if (!strcmp(key, "kept"))
		lua_pushboolean(lua, entry_of(script, h) != NULL);
	else if (!strcmp(key, "asked"))
		lua_pushinteger(lua, (lua_Integer)h->asked);
	else if (!strcmp(key, "filtered"))
		lua_pushinteger(lua, (lua_Integer)h->filtered);
	else if (!strcmp(key, "release"))
		lua_pushcfunction(lua, release);
	else if (!strcmp(key, "revoke"))
		lua_pushcfunction(lua, revoke);
	else if (strcmp(key, "length") && strcmp(key, "address"))
		return luaL_error(lua, "a kept range has no field '%s'", key);
	else if (!range || (range->device && key[0] == 'a'))
		lua_pushnil(lua);
	else
		lua_pushinteger(lua, (lua_Integer)(key[0] == 'l' ?
						   range->length :
						   range->address));
	return 1;
}

static int refuse_set(lua_State *lua)
{
	return luaL_error(lua, "a kept range cannot be changed; release it and "
			       "keep another");
}

static int describe(lua_State *lua)
{
	const struct handle *h = luaL_checkudata(lua, 1, HANDLE_TYPE);
	struct script *script = script_of(lua);

	push_name(lua, script, h, range_of(script, h));
	lua_pushfstring(lua, "%s%s",
		lua_isnil(lua, -1) ? "a range" : lua_tostring(lua, -1),
		entry_of(script, h) ? "" : " (released)");
	return 1;
}

void script_handle_fill(lua_State *lua)
{
	static const luaL_Reg methods[] = {
		{ "__index", get_field },
		{ "__newindex", refuse_set },
		{ "__tostring", describe },
		{ NULL, NULL },
	};

	luaL_newmetatable(lua, HANDLE_TYPE);
	luaL_setfuncs(lua, methods, 0);
	lua_pushliteral(lua, HANDLE_TYPE);
	lua_setfield(lua, -2, "__metatable");
	lua_pop(lua, 1);
}
