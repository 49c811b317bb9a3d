/* SPDX-License-Identifier: MIT */
/*
 * The access a callback gets. One userdata without contents stands for "the
 * present access"; fields are fetched from it when asked for, so that a
 * callback pays for what it looks at and ordinary fields allocate nothing.
 */
#include <string.h>

#include "keeper/script_impl.h"

enum field {
	FIELD_NONE,
	FIELD_SEQ,
	FIELD_KIND,
	FIELD_ATOMIC,
	FIELD_ADDRESS,
	FIELD_SIZE,
	FIELD_RANGE,
	FIELD_OFFSET,
	FIELD_KEPT_FIRST,
	FIELD_KEPT_COUNT,
	FIELD_OLD,
	FIELD_NEW,
	FIELD_VALUE,
	FIELD_OLD_BYTES,
	FIELD_NEW_BYTES,
	FIELD_LANES,
	FIELD_PROCESS,
	FIELD_PID,
	FIELD_CPU,
	FIELD_IP,
	FIELD_SYMBOL,
	FIELD_LINE,
	FIELD_FIELD,
	FIELD_INLINED,
	FIELD_TEXT,
	FIELD_BYTES,
	FIELD_COPY,
	FIELD_MAX
};

static const char *const field_names[FIELD_MAX] = {
	[FIELD_SEQ] = "seq",
	[FIELD_KIND] = "kind",
	[FIELD_ATOMIC] = "atomic",
	[FIELD_ADDRESS] = "address",
	[FIELD_SIZE] = "size",
	[FIELD_RANGE] = "range",
	[FIELD_OFFSET] = "offset",
	[FIELD_KEPT_FIRST] = "kept_first",
	[FIELD_KEPT_COUNT] = "kept_count",
	[FIELD_OLD] = "old",
	[FIELD_NEW] = "new",
	[FIELD_VALUE] = "value",
	[FIELD_OLD_BYTES] = "old_bytes",
	[FIELD_NEW_BYTES] = "new_bytes",
	[FIELD_LANES] = "lanes",
	[FIELD_PROCESS] = "process",
	[FIELD_PID] = "pid",
	[FIELD_CPU] = "cpu",
	[FIELD_IP] = "ip",
	[FIELD_SYMBOL] = "symbol",
	[FIELD_LINE] = "line",
	[FIELD_FIELD] = "field",
	[FIELD_INLINED] = "inlined",
	[FIELD_TEXT] = "text",
	[FIELD_BYTES] = "bytes",
	[FIELD_COPY] = "copy",
};

void script_push_value(lua_State *lua, const uint8_t *bytes, uint32_t size)
{
	uint64_t number = 0;

	if (!bytes) {
		lua_pushnil(lua);
	} else if (size > sizeof(number)) {
		lua_pushlstring(lua, (const char *)bytes, size);
	} else {
		memcpy(&number, bytes, size);
		lua_pushinteger(lua, (lua_Integer)number);
	}
}

static void push_bytes(lua_State *lua, const uint8_t *bytes, uint32_t size)
{
	if (bytes)
		lua_pushlstring(lua, (const char *)bytes, size);
	else
		lua_pushnil(lua);
}

static void push_lanes(lua_State *lua, const struct access *access)
{
	if (!access->lanes) {
		lua_pushnil(lua);
		return;
	}
	lua_createtable(lua, (int)access->lane_count, 0);
	for (uint32_t i = 0; i < access->lane_count; i++) {
		const struct access_lane *lane = &access->lanes[i];

		lua_createtable(lua, 0, 3);
		lua_pushinteger(lua, (lua_Integer)lane->address);
		lua_setfield(lua, -2, "address");
		lua_pushinteger(lua, lane->size);
		lua_setfield(lua, -2, "size");
		lua_pushinteger(lua, lane->offset);
		lua_setfield(lua, -2, "at");
		lua_rawseti(lua, -2, (lua_Integer)i + 1);
	}
}

/* What a name function wrote into scratch, or nil. */
static void push_scratch(lua_State *lua, struct script *script)
{
	if (script->scratch.len)
		lua_pushlstring(lua, script->scratch.data,
			script->scratch.len);
	else
		lua_pushnil(lua);
}

static void push_symbol(lua_State *lua, struct script *script)
{
	const struct trace_names *names = script->options.names;
	const struct access *a = script->access;

	buf_reset(&script->scratch);
	if (names && names->symbol)
		names->symbol(names->ctx, a->process, a->ip, &script->scratch);
	push_scratch(lua, script);
}

static void push_line(lua_State *lua, struct script *script)
{
	const struct trace_names *names = script->options.names;
	const struct access *a = script->access;

	buf_reset(&script->scratch);
	if (names && names->line)
		names->line(names->ctx, a->process, a->ip, &script->scratch);
	push_scratch(lua, script);
}

static void push_data(lua_State *lua, struct script *script)
{
	const struct trace_names *names = script->options.names;
	const struct access *a = script->access;

	buf_reset(&script->scratch);
	if (names && names->data && !a->lane_count)
		names->data(names->ctx, a->process, a->address + a->kept_first,
			a->kept_count, &script->scratch);
	push_scratch(lua, script);
}

static void push_inlined(lua_State *lua, struct script *script)
{
	const struct trace_names *names = script->options.names;
	const struct access *a = script->access;

	buf_reset(&script->scratch);
	if (names && names->inlined)
		names->inlined(
			names->ctx, a->process, a->ip, &script->scratch);
	push_scratch(lua, script);
}

static void push_text(lua_State *lua, struct script *script)
{
	const struct trace_names *names = script->options.names;
	const struct access *a = script->access;

	buf_reset(&script->scratch);
	if (names && names->text && a->insn)
		names->text(names->ctx, a->insn, a->insn_len, a->ip,
			&script->scratch);
	push_scratch(lua, script);
}

/* Load: what memory holds; anything else: what it would hold. */
static const uint8_t *value_of(const struct access *access)
{
	return access->new_bytes ? access->new_bytes : access->old_bytes;
}

static int copy_access(lua_State *lua);

/* One row per field; long, but a table of one-liners. */
static void push_field(
	lua_State *lua, struct script *script, enum field field)
{
	const struct access *a = script->access;

	switch (field) {
	case FIELD_SEQ:
		lua_pushinteger(lua, (lua_Integer)a->seq);
		break;
	case FIELD_KIND:
		lua_pushstring(lua, access_kind_name(a->kind));
		break;
	case FIELD_ATOMIC:
		lua_pushboolean(lua, a->atomic);
		break;
	case FIELD_ADDRESS:
		lua_pushinteger(lua, (lua_Integer)a->address);
		break;
	case FIELD_SIZE:
		lua_pushinteger(lua, a->size);
		break;
	case FIELD_RANGE:
		lua_pushstring(lua, a->range_name);
		break;
	case FIELD_OFFSET:
		lua_pushinteger(lua, (lua_Integer)a->offset);
		break;
	case FIELD_KEPT_FIRST:
		lua_pushinteger(lua, a->kept_first);
		break;
	case FIELD_KEPT_COUNT:
		lua_pushinteger(lua, a->kept_count);
		break;
	case FIELD_OLD:
		script_push_value(lua, a->old_bytes, a->size);
		break;
	case FIELD_NEW:
		script_push_value(lua, a->new_bytes, a->size);
		break;
	case FIELD_VALUE:
		script_push_value(lua, value_of(a), a->size);
		break;
	case FIELD_OLD_BYTES:
		push_bytes(lua, a->old_bytes, a->size);
		break;
	case FIELD_NEW_BYTES:
		push_bytes(lua, a->new_bytes, a->size);
		break;
	case FIELD_LANES:
		push_lanes(lua, a);
		break;
	case FIELD_PROCESS:
		lua_pushstring(lua, a->process_name);
		break;
	case FIELD_PID:
		lua_pushinteger(lua, (lua_Integer)a->process);
		break;
	case FIELD_CPU:
		lua_pushinteger(lua, a->cpu);
		break;
	case FIELD_IP:
		lua_pushinteger(lua, (lua_Integer)a->ip);
		break;
	case FIELD_SYMBOL:
		push_symbol(lua, script);
		break;
	case FIELD_LINE:
		push_line(lua, script);
		break;
	case FIELD_FIELD:
		push_data(lua, script);
		break;
	case FIELD_INLINED:
		push_inlined(lua, script);
		break;
	case FIELD_TEXT:
		push_text(lua, script);
		break;
	case FIELD_BYTES:
		push_bytes(lua, a->insn, a->insn_len);
		break;
	case FIELD_COPY:
		lua_pushcfunction(lua, copy_access);
		break;
	case FIELD_NONE:
	case FIELD_MAX:
		lua_pushnil(lua);
		break;
	}
}

static struct script *present(lua_State *lua)
{
	struct script *script = script_of(lua);

	if (!script->access)
		luaL_error(lua, "this access is over: its fields can be read "
				"only inside the callback that got it (keep "
				"a:copy() instead)");
	return script;
}

/* Upvalue: table from names to fields. */
static int get_field(lua_State *lua)
{
	struct script *script = present(lua);
	enum field field;

	lua_pushvalue(lua, 2);
	lua_rawget(lua, lua_upvalueindex(1));
	field = (enum field)lua_tointeger(lua, -1);
	if (field == FIELD_NONE)
		return luaL_error(lua, "an access has no field '%s'",
			luaL_tolstring(lua, 2, NULL));
	push_field(lua, script, field);
	return 1;
}

static int refuse_set(lua_State *lua)
{
	return luaL_error(lua, "an access cannot be changed; to change the "
			       "value, answer serve(v)");
}

/* a:copy(): a table with all fields, to be kept. */
static int copy_access(lua_State *lua)
{
	struct script *script = present(lua);

	lua_createtable(lua, 0, FIELD_MAX);
	for (int field = FIELD_NONE + 1; field < FIELD_COPY; field++) {
		push_field(lua, script, (enum field)field);
		lua_setfield(lua, -2, field_names[field]);
	}
	return 1;
}

static int describe_access(lua_State *lua)
{
	struct script *script = script_of(lua);

	if (!script->access) {
		lua_pushliteral(lua, "an access that is over");
		return 1;
	}
	buf_reset(&script->scratch);
	trace_access_text(script->access, OUTCOME_PASS, NULL,
		script->options.names, &script->scratch);
	push_scratch(lua, script);
	return 1;
}

/* for name, value in pairs(a) */
static int pairs_of_access(lua_State *lua)
{
	lua_getglobal(lua, "next");
	lua_pushcfunction(lua, copy_access);
	lua_call(lua, 0, 1);
	lua_pushnil(lua);
	return 3;
}

void script_access_fill(lua_State *lua)
{
	struct script *script = script_of(lua);

	lua_newuserdatauv(lua, 0, 0);
	lua_createtable(lua, 0, 8); /* metatable */
	lua_createtable(lua, 0, FIELD_MAX);
	for (int field = FIELD_NONE + 1; field < FIELD_MAX; field++) {
		lua_pushinteger(lua, field);
		lua_setfield(lua, -2, field_names[field]);
	}
	lua_pushcclosure(lua, get_field, 1);
	lua_setfield(lua, -2, "__index");
	lua_pushcfunction(lua, refuse_set);
	lua_setfield(lua, -2, "__newindex");
	lua_pushcfunction(lua, describe_access);
	lua_setfield(lua, -2, "__tostring");
	lua_pushcfunction(lua, pairs_of_access);
	lua_setfield(lua, -2, "__pairs");
	lua_pushliteral(lua, "access");
	lua_setfield(lua, -2, "__name");
	lua_pushliteral(lua, "access");
	lua_setfield(lua, -2, "__metatable");
	lua_setmetatable(lua, -2);
	script->access_ref = luaL_ref(lua, LUA_REGISTRYINDEX);
}
