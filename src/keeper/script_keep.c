/* SPDX-License-Identifier: MIT */
/*
 * keep "RANGE" and keep{ "RANGE", ..., load = f, ... }: the main chunk says
 * what it wants kept; the ranges are made when the programs are known.
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

/* A new entry that owns nothing yet; script_keep_fini() frees what it gets
 * even when an error leaves it half filled. */
static struct script_range *add_entry(lua_State *lua, struct script *script)
{
	size_t capacity = script->range_capacity * 2 + 8;
	struct script_range *range, *grown;

	if (script->range_count == script->range_capacity) {
		grown = reallocarray(script->ranges, capacity, sizeof(*grown));
		if (!grown)
			luaL_error(lua, "out of memory");
		script->ranges = grown;
		script->range_capacity = capacity;
	}
	range = &script->ranges[script->range_count++];
	*range = (struct script_range){ .fallback = script->options.fallback };
	for (int i = 0; i < CALLBACK_RANGE_MAX; i++)
		range->functions[i] = LUA_NOREF;
	return range;
}

void script_keep_fini(struct script *script)
{
	for (size_t i = 0; i < script->range_count; i++) {
		free(script->ranges[i].text);
		free(script->ranges[i].name);
		free(script->ranges[i].where);
	}
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
	else if (!strcmp(key, "default"))
		range->fallback = default_verdict(lua);
	else if (!take_function(lua, range, key))
		luaL_error(lua, "keep: unknown key '%s' (name, default, load, "
			"store, rmw, fetch, stepped)", key);
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

/* The range whose text is at the stack top. */
static void keep_one(lua_State *lua, struct script *script)
{
	struct script_range *range = add_entry(lua, script);

	range->text = copy_string(lua, -1, "a range");
	luaL_where(lua, 1);
	range->where = copy_string(lua, -1, "position");
	lua_pop(lua, 1);
	take_fields(lua, range);
	if (range->name && strlen(range->name) >= RANGE_NAME_MAX)
		luaL_error(lua, "keep: the name is longer than %d characters",
			RANGE_NAME_MAX - 1);
}

static int keep(lua_State *lua)
{
	struct script *script = script_of(lua);
	lua_Integer count;

	if (!script->loading)
		return luaL_error(lua, "keep works only while the script is "
				       "loaded, not in callbacks");
	if (lua_gettop(lua) != 1)
		return luaL_error(lua, "keep wants one string or one table");
	if (!lua_istable(lua, 1)) {
		keep_one(lua, script);
		return 0;
	}
	count = (lua_Integer)lua_rawlen(lua, 1);
	if (!count)
		return luaL_error(lua, "keep: no range in the table");
	for (lua_Integer i = 1; i <= count; i++) {
		lua_rawgeti(lua, 1, i);
		keep_one(lua, script);
		lua_pop(lua, 1);
	}
	return 0;
}

void script_keep_fill(lua_State *lua)
{
	lua_pushcfunction(lua, keep);
	lua_setglobal(lua, "keep");
}

/* ---- after loading ---- */

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

int script_add_ranges(struct keeper *keeper, struct range_set *set,
	const struct image *const *images, size_t image_count,
	struct error *err)
{
	struct script *script = (struct script *)keeper;

	for (size_t i = 0; i < script->range_count; i++) {
		struct script_range *asked = &script->ranges[i];
		struct range *range;
		int rc = range_set_add(set, asked->text, images, image_count,
			keeper, asked->fallback, &range, err);

		if (rc) {
			error_prefix(err, "%skeep", asked->where);
			return rc;
		}
		if (asked->name)
			strcpy(range->name, asked->name); /* length checked */
		rc = remember(script, range->id, i, err);
		if (rc)
			return rc;
	}
	return 0;
}

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
