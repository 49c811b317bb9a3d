/* SPDX-License-Identifier: MIT */
/*
 * string.find, match, gmatch, gsub and rep as the Lua manual describes them,
 * over a matcher that keeps to the script's time budget.
 */
#include <string.h>

#include "keeper/pattern.h"
#include "keeper/script_impl.h"

static bool give_up(void *ctx)
{
	return script_budget_spent(ctx);
}

static void prepare(lua_State *lua, struct pattern *p, const char *text,
	size_t text_len, const char *pattern, size_t pattern_len)
{
	p->text = text;
	p->text_end = text + text_len;
	p->pattern = pattern;
	p->pattern_end = pattern + pattern_len;
	p->give_up = give_up;
	p->ctx = script_of(lua);
	p->steps = 0;
}

/* Match at this place, raising the matcher's errors. */
static const char *match_at(
	lua_State *lua, struct pattern *p, const char *at)
{
	const char *end = pattern_match(p, at);

	if (p->gave_up)
		luaL_error(lua, "ran longer than %d ms (in a pattern)",
			(int)(script_of(lua)->budget.time_ns / 1000000));
	if (p->error)
		luaL_error(lua, "%s", p->error);
	return end;
}

/* The first match at or after at; its start in *out_start. */
static const char *search(lua_State *lua, struct pattern *p, const char *at,
	bool anchored, const char **out_start)
{
	const char *end;

	do {
		end = match_at(lua, p, at);
		if (end) {
			*out_start = at;
			return end;
		}
	} while (++at <= p->text_end && !anchored);
	return NULL;
}

static void push_capture(
	lua_State *lua, const struct pattern *p, unsigned index)
{
	const struct pattern_capture *capture = &p->captures[index];

	if (capture->state == CAPTURE_POSITION)
		lua_pushinteger(lua, capture->start - p->text + 1);
	else
		lua_pushlstring(lua, capture->start, capture->len);
}

/* The captures, or the whole match when there are none and whole is set. */
static int push_captures(lua_State *lua, const struct pattern *p,
	const char *start, const char *end, bool whole)
{
	luaL_checkstack(lua, PATTERN_CAPTURES_MAX, "too many captures");
	for (unsigned i = 0; i < p->capture_count; i++)
		push_capture(lua, p, i);
	if (p->capture_count || !whole)
		return (int)p->capture_count;
	lua_pushlstring(lua, start, (size_t)(end - start));
	return 1;
}

/* A position argument as an offset: 1 is the start, -1 the last character;
 * false: behind the end. */
static bool start_offset(
	lua_State *lua, int index, size_t len, size_t *out_offset)
{
	lua_Integer at = luaL_optinteger(lua, index, 1);

	if (at < 0 && (size_t)-(at + 1) < len)
		at += (lua_Integer)len + 1;
	if (at < 1)
		at = 1;
	*out_offset = (size_t)at - 1;
	return *out_offset <= len;
}

static int find_plain(lua_State *lua, const char *text, size_t len,
	size_t offset, const char *word, size_t word_len)
{
	const char *found = word_len
		? memmem(text + offset, len - offset, word, word_len)
		: text + offset;

	if (!found) {
		lua_pushnil(lua);
		return 1;
	}
	lua_pushinteger(lua, found - text + 1);
	lua_pushinteger(lua, found - text + (lua_Integer)word_len);
	return 2;
}

static int find_or_match(lua_State *lua, bool find)
{
	size_t len, pattern_len, offset;
	const char *text = luaL_checklstring(lua, 1, &len);
	const char *pattern = luaL_checklstring(lua, 2, &pattern_len);
	const char *start, *end;
	struct pattern p;
	bool anchored;

	if (!start_offset(lua, 3, len, &offset)) {
		lua_pushnil(lua);
		return 1;
	}
	if (find && (lua_toboolean(lua, 4) ||
			    pattern_is_plain(pattern, pattern_len)))
		return find_plain(
			lua, text, len, offset, pattern, pattern_len);
	anchored = pattern_len && *pattern == '^';
	prepare(lua, &p, text, len, pattern + anchored,
		pattern_len - anchored);
	end = search(lua, &p, text + offset, anchored, &start);
	if (!end) {
		lua_pushnil(lua);
		return 1;
	}
	if (!find)
		return push_captures(lua, &p, start, end, true);
	lua_pushinteger(lua, start - text + 1);
	lua_pushinteger(lua, end - text);
	return 2 + push_captures(lua, &p, start, end, false);
}

static int string_find(lua_State *lua)
{
	return find_or_match(lua, true);
}

static int string_match(lua_State *lua)
{
	return find_or_match(lua, false);
}

/* Upvalues: text, pattern, offset to go on from, end of the last match + 1
 * (0: none). */
static int next_match(lua_State *lua)
{
	size_t len, pattern_len;
	const char *text = lua_tolstring(lua, lua_upvalueindex(1), &len);
	const char *pattern =
		lua_tolstring(lua, lua_upvalueindex(2), &pattern_len);
	lua_Integer offset = lua_tointeger(lua, lua_upvalueindex(3));
	lua_Integer last = lua_tointeger(lua, lua_upvalueindex(4));
	const char *start, *end;
	struct pattern p;

	prepare(lua, &p, text, len, pattern, pattern_len);
	for (; offset <= (lua_Integer)len; offset++) {
		end = search(lua, &p, text + offset, false, &start);
		if (!end)
			break;
		offset = start - text;
		/* An empty match where the last one ended was seen then. */
		if (end - text + 1 == last)
			continue;
		lua_pushinteger(lua, end - text);
		lua_copy(lua, -1, lua_upvalueindex(3));
		lua_pushinteger(lua, end - text + 1);
		lua_copy(lua, -1, lua_upvalueindex(4));
		return push_captures(lua, &p, start, end, true);
	}
	lua_pushinteger(lua, (lua_Integer)len + 1);
	lua_copy(lua, -1, lua_upvalueindex(3));
	return 0;
}

static int string_gmatch(lua_State *lua)
{
	size_t len, offset;

	luaL_checklstring(lua, 1, &len);
	luaL_checkstring(lua, 2);
	if (!start_offset(lua, 3, len, &offset))
		offset = len + 1;
	lua_settop(lua, 2);
	lua_pushinteger(lua, (lua_Integer)offset);
	lua_pushinteger(lua, 0);
	lua_pushcclosure(lua, next_match, 4);
	return 1;
}

/* ---- gsub ---- */

struct gsub {
	struct pattern p;
	const char *start, *end; /* of the match */
	luaL_Buffer out;
};

/* %0 to %9 and %% of the replacement; at is behind the '%'. */
static void add_escape(lua_State *lua, struct gsub *g, char c)
{
	unsigned index = (unsigned)(c - '1');

	if (c == '%') {
		luaL_addchar(&g->out, '%');
	} else if (c == '0' || (c == '1' && !g->p.capture_count)) {
		luaL_addlstring(
			&g->out, g->start, (size_t)(g->end - g->start));
	} else if (c < '1' || c > '9') {
		luaL_error(lua, "invalid use of '%%' in replacement string");
	} else if (index >= g->p.capture_count) {
		luaL_error(lua, "invalid capture index %%%d in replacement "
			"string", (int)index + 1);
	} else {
		push_capture(lua, &g->p, index);
		luaL_tolstring(lua, -1, NULL);
		lua_remove(lua, -2);
		luaL_addvalue(&g->out);
	}
}

static void add_text(lua_State *lua, struct gsub *g)
{
	size_t len;
	const char *text = lua_tolstring(lua, 3, &len);
	const char *end = text + len;

	while (text < end) {
		const char *escape = memchr(text, '%', (size_t)(end - text));

		luaL_addlstring(&g->out, text,
			(size_t)((escape ? escape : end) - text));
		if (!escape)
			return;
		/* At the end of the string this is its NUL. */
		add_escape(lua, g, escape[1]);
		text = escape + 2;
	}
}

/* The value of a function or table, at the stack top, for the match. */
static bool add_value(lua_State *lua, struct gsub *g)
{
	if (!lua_toboolean(lua, -1)) {
		lua_pop(lua, 1);
		luaL_addlstring(
			&g->out, g->start, (size_t)(g->end - g->start));
		return false;
	}
	if (!lua_isstring(lua, -1))
		luaL_error(lua, "invalid replacement value (a %s)",
			luaL_typename(lua, -1));
	luaL_addvalue(&g->out);
	return true;
}

static void add_replacement(lua_State *lua, struct gsub *g)
{
	int count;

	switch (lua_type(lua, 3)) {
	case LUA_TFUNCTION:
		lua_pushvalue(lua, 3);
		count = push_captures(lua, &g->p, g->start, g->end, true);
		lua_call(lua, count, 1);
		add_value(lua, g);
		break;
	case LUA_TTABLE:
		count = push_captures(lua, &g->p, g->start, g->end, true);
		lua_pop(lua, count - 1); /* the first is the key */
		lua_gettable(lua, 3);
		add_value(lua, g);
		break;
	default:
		add_text(lua, g);
	}
}

static lua_Integer replace_all(lua_State *lua, struct gsub *g, bool anchored,
	lua_Integer most)
{
	const char *at = g->p.text, *last = NULL;
	lua_Integer count = 0;

	while (count < most) {
		const char *end = match_at(lua, &g->p, at);

		if (end && end != last) {
			count++;
			g->start = at;
			g->end = end;
			add_replacement(lua, g);
			at = last = end;
		} else if (at < g->p.text_end) {
			luaL_addchar(&g->out, *at++);
		} else {
			break;
		}
		if (anchored)
			break;
	}
	luaL_addlstring(&g->out, at, (size_t)(g->p.text_end - at));
	return count;
}

static int string_gsub(lua_State *lua)
{
	size_t len, pattern_len;
	const char *text = luaL_checklstring(lua, 1, &len);
	const char *pattern = luaL_checklstring(lua, 2, &pattern_len);
	int type = lua_type(lua, 3);
	lua_Integer most = luaL_optinteger(lua, 4, LUA_MAXINTEGER);
	lua_Integer count;
	struct gsub g;
	bool anchored;

	luaL_argexpected(lua, type == LUA_TNUMBER || type == LUA_TSTRING ||
			type == LUA_TTABLE || type == LUA_TFUNCTION,
		3, "string/function/table");
	lua_tostring(lua, 3); /* a number becomes its text */
	lua_settop(lua, 3);
	anchored = pattern_len && *pattern == '^';
	prepare(lua, &g.p, text, len, pattern + anchored,
		pattern_len - anchored);
	luaL_buffinit(lua, &g.out);
	count = replace_all(lua, &g, anchored, most);
	luaL_pushresult(&g.out);
	lua_pushinteger(lua, count);
	return 2;
}

/* Upvalue: the original, which loops count times over nothing, too. */
static int string_rep(lua_State *lua)
{
	size_t len, separator_len = 0;

	luaL_checklstring(lua, 1, &len);
	luaL_optlstring(lua, 3, "", &separator_len);
	if (len + separator_len == 0) {
		lua_pushliteral(lua, "");
		return 1;
	}
	lua_pushvalue(lua, lua_upvalueindex(1));
	lua_insert(lua, 1);
	lua_call(lua, lua_gettop(lua) - 1, 1);
	return 1;
}

void script_string_fill(lua_State *lua)
{
	static const luaL_Reg functions[] = {
		{ "find", string_find },
		{ "match", string_match },
		{ "gmatch", string_gmatch },
		{ "gsub", string_gsub },
		{ NULL, NULL },
	};

	luaL_setfuncs(lua, functions, 0);
	lua_getfield(lua, -1, "rep");
	lua_pushcclosure(lua, string_rep, 1);
	lua_setfield(lua, -2, "rep");
}
