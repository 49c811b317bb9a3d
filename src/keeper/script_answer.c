/* SPDX-License-Identifier: MIT */
/*
 * Verdicts as values of the script: pass, serve, absorb, deny, step, stop,
 * continue and rollback are userdata made once; called, they give themselves
 * (absorb()) or a new one with what they were called with (serve(v),
 * deny(reason)).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "keeper/script_impl.h"

#define ANSWER_TYPE "verdict"

struct answer {
	enum verdict_kind kind;
	bool filled; /* serve: a value; deny and stop: a reason */
	bool is_string; /* the value is the user value */
	lua_Integer number;
	int vector; /* deny: -1 for the default */
};

static struct answer *push_answer(lua_State *lua, enum verdict_kind kind)
{
	struct answer *answer = lua_newuserdatauv(lua, sizeof(*answer), 1);

	*answer = (struct answer){ .kind = kind, .vector = -1 };
	luaL_setmetatable(lua, ANSWER_TYPE);
	return answer;
}

/* A whole number, also as a float: 3.0 but not 3.5. */
static int serve_value(lua_State *lua, struct answer *answer)
{
	int is_whole = 0;

	answer->filled = true;
	switch (lua_type(lua, 2)) {
	case LUA_TSTRING:
		answer->is_string = true;
		lua_pushvalue(lua, 2);
		lua_setiuservalue(lua, -2, 1);
		return 1;
	case LUA_TNUMBER:
		answer->number = lua_tointegerx(lua, 2, &is_whole);
		if (is_whole)
			return 1;
		return luaL_error(lua, "serve: %s is not a whole number",
			luaL_tolstring(lua, 2, NULL));
	default:
		return luaL_error(lua, "serve wants an integer or a byte "
			"string, not %s", luaL_typename(lua, 2));
	}
}

static int fault_vector(lua_State *lua, const char *name)
{
	static const struct {
		const char *name;
		enum arch_vector vector;
	} faults[] = {
		{ "de", ARCH_VECTOR_DE }, { "ud", ARCH_VECTOR_UD },
		{ "nm", ARCH_VECTOR_NM }, { "ss", ARCH_VECTOR_SS },
		{ "gp", ARCH_VECTOR_GP }, { "pf", ARCH_VECTOR_PF },
		{ "mf", ARCH_VECTOR_MF }, { "ac", ARCH_VECTOR_AC },
		{ "xm", ARCH_VECTOR_XM },
	};

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (!strcmp(faults[i].name, name))
			return (int)faults[i].vector;
	return luaL_error(lua, "deny: there is no fault '%s' (pf, gp, ud, ac, "
		"ss, de, nm, mf, xm)", name);
}

static int give_reason(lua_State *lua, struct answer *answer)
{
	answer->filled = true;
	if (lua_type(lua, 2) != LUA_TSTRING)
		return luaL_error(lua, "%s wants its reason as a string, "
			"not %s", verdict_name(answer->kind),
			luaL_typename(lua, 2));
	if (answer->kind == VERDICT_DENY && !lua_isnoneornil(lua, 3))
		answer->vector =
			fault_vector(lua, luaL_checkstring(lua, 3));
	lua_pushvalue(lua, 2);
	lua_setiuservalue(lua, -2, 1);
	return 1;
}

/* absorb(), serve(v), deny("reason"), ... */
static int call_answer(lua_State *lua)
{
	enum verdict_kind kind =
		((struct answer *)luaL_checkudata(lua, 1, ANSWER_TYPE))->kind;

	lua_settop(lua, 3); /* the new one is above */
	if (kind == VERDICT_SERVE)
		return serve_value(lua, push_answer(lua, kind));
	if (lua_isnoneornil(lua, 2)) {
		lua_settop(lua, 1);
		return 1;
	}
	if (kind == VERDICT_DENY || kind == VERDICT_STOP)
		return give_reason(lua, push_answer(lua, kind));
	return luaL_error(lua, "%s takes nothing", verdict_name(kind));
}

static int describe_answer(lua_State *lua)
{
	struct answer *answer = luaL_checkudata(lua, 1, ANSWER_TYPE);

	lua_pushstring(lua, verdict_name(answer->kind));
	return 1;
}

/* As an unsigned or as a signed number of size bytes. */
static bool fits(lua_Integer number, uint32_t size)
{
	int64_t limit;

	if (size >= sizeof(number))
		return true;
	limit = INT64_C(1) << (size * 8 - 1);
	return number < 0 ? number >= -limit : number < limit * 2;
}

static void take_number(lua_State *lua, struct script *script,
	const struct answer *answer)
{
	uint32_t size = script->access->size;
	uint64_t number = (uint64_t)answer->number;
	char hex[24];

	if (size > sizeof(number)) {
		luaL_error(lua, "serve: an access of %d bytes wants a byte "
			"string, not an integer", (int)size);
	} else if (!fits(answer->number, size)) {
		snprintf(hex, sizeof(hex), "0x%" PRIx64, number);
		luaL_error(lua, "serve: %s does not fit into %d byte%s", hex,
			(int)size, size == 1 ? "" : "s");
	}
	memcpy(script->verdict->value, &number, size);
}

/* The string is on the stack top. */
static void take_string(lua_State *lua, struct script *script)
{
	uint32_t size = script->access->size;
	size_t len;
	const char *bytes = lua_tolstring(lua, -1, &len);

	if (len != size)
		luaL_error(lua, "serve: a string of %d bytes for an access of "
			"%d", len > INT32_MAX ? INT32_MAX : (int)len,
			(int)size);
	memcpy(script->verdict->value, bytes, size);
}

static void take_serve(lua_State *lua, struct script *script,
	const struct answer *answer)
{
	if (!answer->filled)
		luaL_error(lua, "serve needs a value: return serve(v)");
	if (!answer->is_string) {
		take_number(lua, script, answer);
		return;
	}
	lua_getiuservalue(lua, -1, 1);
	take_string(lua, script);
	lua_pop(lua, 1);
}

static void take_deny(struct verdict *verdict, const struct answer *answer)
{
	if (answer->vector < 0 || answer->vector == ARCH_VECTOR_PF)
		return; /* the default is there already */
	verdict->fault = (struct arch_fault){
		.vector = (enum arch_vector)answer->vector,
	};
}

static void take_reason(
	lua_State *lua, struct verdict *verdict, const struct answer *answer)
{
	if (!answer->filled)
		return;
	lua_getiuservalue(lua, -1, 1);
	snprintf(verdict->reason, sizeof(verdict->reason), "%s",
		lua_tostring(lua, -1));
	lua_pop(lua, 1);
}

static void check_possible(lua_State *lua, const struct script *script,
	enum verdict_kind kind)
{
	if (script->callback == CALLBACK_STEPPED) {
		if (kind != VERDICT_PASS && !verdict_answers_stepped(kind))
			luaL_error(lua, "%s is no answer to a step (continue, "
				"step, rollback, deny, stop are)",
				verdict_name(kind));
	} else if (kind == VERDICT_CONTINUE || kind == VERDICT_ROLLBACK) {
		luaL_error(lua, "%s is an answer to a step only: return it "
			"from stepped()", verdict_name(kind));
	} else if (!verdict_answers_access(kind, script->access->kind)) {
		luaL_error(lua, "%s is no answer to a %s", verdict_name(kind),
			access_kind_name(script->access->kind));
	}
}

/* "number", "table", or the name of one of our own types. */
static const char *type_name(lua_State *lua, int index)
{
	if (luaL_getmetafield(lua, index, "__name") == LUA_TSTRING)
		return lua_tostring(lua, -1);
	return luaL_typename(lua, index);
}

void script_answer_take(lua_State *lua, struct script *script)
{
	struct verdict *verdict = script->verdict;
	const struct answer *answer;

	if (lua_isnil(lua, -1))
		return;
	answer = luaL_testudata(lua, -1, ANSWER_TYPE);
	if (!answer) {
		luaL_error(lua, "the answer must be nothing or a verdict, "
			"such as pass or serve(v), not %s",
			type_name(lua, lua_gettop(lua)));
		return;
	}
	check_possible(lua, script, answer->kind);
	if (answer->kind == VERDICT_SERVE)
		take_serve(lua, script, answer);
	else if (answer->kind == VERDICT_DENY)
		take_deny(verdict, answer);
	if (answer->kind == VERDICT_DENY || answer->kind == VERDICT_STOP)
		take_reason(lua, verdict, answer);
	verdict->kind = answer->kind;
}

void script_answer_fill(lua_State *lua)
{
	luaL_newmetatable(lua, ANSWER_TYPE);
	lua_pushcfunction(lua, call_answer);
	lua_setfield(lua, -2, "__call");
	lua_pushcfunction(lua, describe_answer);
	lua_setfield(lua, -2, "__tostring");
	lua_pushliteral(lua, ANSWER_TYPE);
	lua_setfield(lua, -2, "__metatable");
	lua_pop(lua, 1);
	for (int kind = 0; kind < VERDICT_KIND_MAX; kind++) {
		push_answer(lua, (enum verdict_kind)kind);
		lua_setglobal(lua, verdict_name((enum verdict_kind)kind));
	}
}
