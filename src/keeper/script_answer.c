/* SPDX-License-Identifier: MIT */
/*
 * Verdicts as values of the script: pass, serve, absorb, deny, step, stop,
 * hold, grant, continue and rollback are userdata made once; called, they give
 * themselves (absorb()) or a new one with what they were called with
 * (serve(v), deny(reason)). And resume(), which gives one to an access that
 * was held.
 */
#include <errno.h>
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
	uint32_t hold_ms;
	enum grant grant;
	bool grant_writes;
};

static struct answer *push_answer(lua_State *lua, enum verdict_kind kind)
{
	struct answer *answer = lua_newuserdatauv(lua, sizeof(*answer), 1);

	*answer = (struct answer){
		.kind = kind,
		.vector = -1,
		.grant = GRANT_PROCESS,
		.grant_writes = true,
	};
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

/* hold(ms) */
static int hold_for(lua_State *lua, struct answer *answer)
{
	int is_whole = 0;
	lua_Integer ms = lua_tointegerx(lua, 2, &is_whole);

	if (lua_type(lua, 2) != LUA_TNUMBER || !is_whole || ms < 1 ||
		ms > INT32_MAX)
		return luaL_error(lua, "hold wants milliseconds, 1 to %d",
			INT32_MAX);
	answer->hold_ms = (uint32_t)ms;
	return 1;
}

/* grant("process"), grant("all"), grant("all", "r") */
static int grant_to(lua_State *lua, struct answer *answer)
{
	const char *who =
		lua_type(lua, 2) == LUA_TSTRING ? lua_tostring(lua, 2) : "";
	const char *how =
		lua_type(lua, 3) == LUA_TSTRING ? lua_tostring(lua, 3) : "";

	if (lua_isnoneornil(lua, 3))
		how = "rw";
	if (!strcmp(who, "all"))
		answer->grant = GRANT_ALL;
	else if (strcmp(who, "process"))
		return luaL_error(lua, "grant is for \"process\" or \"all\"");
	if (!strcmp(how, "r"))
		answer->grant_writes = false;
	else if (strcmp(how, "rw"))
		return luaL_error(lua, "grant(\"%s\", ...) wants \"r\" or "
			"\"rw\"", who);
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
	if (kind == VERDICT_HOLD)
		return hold_for(lua, push_answer(lua, kind));
	if (kind == VERDICT_GRANT)
		return grant_to(lua, push_answer(lua, kind));
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

static void take_number(lua_State *lua, const struct answer *answer,
	uint32_t size, uint8_t *value)
{
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
	memcpy(value, &number, size);
}

/* The string is on the stack top. */
static void take_string(lua_State *lua, uint32_t size, uint8_t *value)
{
	size_t len;
	const char *bytes = lua_tolstring(lua, -1, &len);

	if (len != size)
		luaL_error(lua, "serve: a string of %d bytes for an access of "
			"%d", len > INT32_MAX ? INT32_MAX : (int)len,
			(int)size);
	memcpy(value, bytes, size);
}

/* The answer is at index; value has room for size bytes. */
static void take_serve(lua_State *lua, int index, const struct answer *answer,
	uint32_t size, uint8_t *value)
{
	if (!answer->filled)
		luaL_error(lua, "serve needs a value: return serve(v)");
	if (!answer->is_string) {
		take_number(lua, answer, size, value);
		return;
	}
	lua_getiuservalue(lua, index, 1);
	take_string(lua, size, value);
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

static void take_reason(lua_State *lua, int index, struct verdict *verdict,
	const struct answer *answer)
{
	if (!answer->filled)
		return;
	lua_getiuservalue(lua, index, 1);
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

/* Everything but the kind; verdict->value has room for size bytes. */
static void take_rest(lua_State *lua, int index, const struct answer *answer,
	uint32_t size, struct verdict *verdict)
{
	switch (answer->kind) {
	case VERDICT_SERVE:
		take_serve(lua, index, answer, size, verdict->value);
		break;
	case VERDICT_DENY:
		take_deny(verdict, answer);
		take_reason(lua, index, verdict, answer);
		break;
	case VERDICT_STOP:
		take_reason(lua, index, verdict, answer);
		break;
	case VERDICT_HOLD:
		verdict->hold_ms = answer->hold_ms;
		break;
	case VERDICT_GRANT:
		verdict->grant = answer->grant;
		verdict->grant_writes = answer->grant_writes;
		break;
	case VERDICT_PASS:
	case VERDICT_ABSORB:
	case VERDICT_STEP:
	case VERDICT_CONTINUE:
	case VERDICT_ROLLBACK:
	case VERDICT_KIND_MAX:
		break;
	}
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
	take_rest(lua, lua_gettop(lua), answer, script->access->size, verdict);
	verdict->kind = answer->kind;
}

/* ---- resume(seq [, verdict]) ---- */

static const struct answer *resume_answer(lua_State *lua)
{
	const struct answer *answer;

	if (lua_isnil(lua, 2))
		return push_answer(lua, VERDICT_PASS);
	answer = luaL_testudata(lua, 2, ANSWER_TYPE);
	if (!answer)
		luaL_error(lua, "resume wants a verdict, such as pass or "
			"serve(v), not %s", type_name(lua, 2));
	else if (answer->kind == VERDICT_HOLD ||
		!verdict_answers_access(answer->kind, ACCESS_STORE))
		luaL_error(lua, "resume: %s does not end a held access",
			verdict_name(answer->kind));
	return answer;
}

/* True: it goes on. False: no access with this number is held (any more). */
static int resume(lua_State *lua)
{
	struct script *script = script_of(lua);
	const struct script_options *o = &script->options;
	uint64_t seq = (uint64_t)luaL_checkinteger(lua, 1);
	const struct answer *answer;
	/* As when it was held: a #PF at the access. */
	struct verdict verdict = { .fault.vector = ARCH_VECTOR_PF };
	size_t size;
	int rc;

	lua_settop(lua, 2);
	answer = resume_answer(lua);
	if (!o->resume || !o->held_size)
		return luaL_error(lua, "resume is not possible here");
	size = o->held_size(o->ctx, seq);
	verdict.kind = answer->kind;
	verdict.value = lua_newuserdatauv(lua, size, 0);
	if (size)
		take_rest(lua, 2, answer, (uint32_t)size, &verdict);
	rc = size ? o->resume(o->ctx, seq, &verdict, verdict.value, size) :
		    -ENOENT;
	if (rc && rc != -ENOENT)
		return luaL_error(lua, "resume: %s is no answer to access %I",
			verdict_name(answer->kind), (lua_Integer)seq);
	lua_pushboolean(lua, !rc);
	return 1;
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
	lua_pushcfunction(lua, resume);
	lua_setglobal(lua, "resume");
}
