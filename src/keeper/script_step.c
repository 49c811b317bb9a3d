/* SPDX-License-Identifier: MIT */
/*
 * The report of a step that stepped(a, s) gets: like the access, a userdata
 * without contents that stands for the present one.
 */
#include <string.h>

#include "keeper/script_impl.h"

#define SPAN_MAX 65536 /* bytes of s.old and s.new */

/* The bytes of the range that the step touched, as one piece. */
struct span {
	uint64_t first, size;
};

static bool find_span(const struct step_report *report, struct span *out)
{
	uint64_t first = UINT64_MAX, end = 0;

	for (unsigned i = 0; i < report->count; i++) {
		const struct step_piece *p = &report->pieces[i];

		if (p->offset < first)
			first = p->offset;
		if (p->offset + p->size > end)
			end = p->offset + p->size;
	}
	out->first = first;
	out->size = end - first;
	return report->count && out->size && out->size <= SPAN_MAX;
}

static void lay(const struct step_piece *piece, const struct span *span,
	const uint8_t *from, uint8_t *bytes, uint8_t *covered)
{
	size_t at = (size_t)(piece->offset - span->first);

	if (!from)
		return;
	memcpy(bytes + at, from, piece->size);
	memset(covered + at, 1, piece->size);
}

/* What the span held before (the first piece that has a byte wins) or after
 * (the last one wins). */
static void compose(const struct step_report *report, const struct span *span,
	bool after, uint8_t *bytes, uint8_t *covered)
{
	memset(covered, 0, (size_t)span->size);
	for (unsigned i = report->count; i-- > 0;)
		lay(&report->pieces[i], span, report->pieces[i].old_bytes,
			bytes, covered);
	for (unsigned i = 0; after && i < report->count; i++)
		lay(&report->pieces[i], span, report->pieces[i].new_bytes,
			bytes, covered);
}

/* Integer up to 8 bytes, else a string; nil when the step touched nothing of
 * the range, or pieces with a gap between them. */
static int push_span(lua_State *lua, const struct step_report *report,
	bool after)
{
	uint8_t small[2 * sizeof(uint64_t)], *bytes = small;
	struct span span;

	if (!find_span(report, &span)) {
		lua_pushnil(lua);
		return 1;
	}
	if (span.size > sizeof(uint64_t))
		bytes = lua_newuserdatauv(lua, 2 * (size_t)span.size, 0);
	compose(report, &span, after, bytes, bytes + span.size);
	if (memchr(bytes + span.size, 0, (size_t)span.size))
		lua_pushnil(lua);
	else
		script_push_value(lua, bytes, (uint32_t)span.size);
	return 1;
}

static void push_pieces(lua_State *lua, const struct step_report *report)
{
	lua_createtable(lua, (int)report->count, 0);
	for (unsigned i = 0; i < report->count; i++) {
		const struct step_piece *p = &report->pieces[i];

		lua_createtable(lua, 0, 5);
		lua_pushinteger(lua, (lua_Integer)p->offset);
		lua_setfield(lua, -2, "offset");
		lua_pushinteger(lua, p->size);
		lua_setfield(lua, -2, "size");
		lua_pushstring(lua, access_kind_name(p->kind));
		lua_setfield(lua, -2, "kind");
		script_push_value(lua, p->old_bytes, p->size);
		lua_setfield(lua, -2, "old");
		script_push_value(lua, p->new_bytes, p->size);
		lua_setfield(lua, -2, "new");
		lua_rawseti(lua, -2, (lua_Integer)i + 1);
	}
}

void script_push_fault(lua_State *lua, const struct arch_fault *fault)
{
	lua_createtable(lua, 0, 3);
	lua_pushinteger(lua, fault->vector);
	lua_setfield(lua, -2, "vector");
	lua_pushinteger(lua, fault->error_code);
	lua_setfield(lua, -2, "error_code");
	lua_pushinteger(lua, (lua_Integer)fault->address);
	lua_setfield(lua, -2, "address");
}

static int get_field(lua_State *lua)
{
	const struct step_report *report = script_of(lua)->report;
	const char *key = luaL_tolstring(lua, 2, NULL);

	if (!report)
		return luaL_error(lua, "this step is over: its fields can be "
				       "read only inside stepped()");
	if (!strcmp(key, "old"))
		return push_span(lua, report, false);
	if (!strcmp(key, "new"))
		return push_span(lua, report, true);
	if (!strcmp(key, "pieces"))
		push_pieces(lua, report);
	else if (!strcmp(key, "next_ip"))
		lua_pushinteger(lua, (lua_Integer)report->next_ip);
	else if (!strcmp(key, "times"))
		lua_pushinteger(lua, report->times);
	else if (strcmp(key, "fault"))
		return luaL_error(lua, "a step has no field '%s'", key);
	else if (report->faulted)
		script_push_fault(lua, &report->fault);
	else
		lua_pushnil(lua);
	return 1;
}

static int refuse_set(lua_State *lua)
{
	return luaL_error(lua, "a step cannot be changed; answer rollback to "
			       "undo it");
}

void script_step_fill(lua_State *lua)
{
	lua_newuserdatauv(lua, 0, 0);
	lua_createtable(lua, 0, 4);
	lua_pushcfunction(lua, get_field);
	lua_setfield(lua, -2, "__index");
	lua_pushcfunction(lua, refuse_set);
	lua_setfield(lua, -2, "__newindex");
	lua_pushliteral(lua, "step");
	lua_setfield(lua, -2, "__name");
	lua_pushliteral(lua, "step");
	lua_setfield(lua, -2, "__metatable");
	lua_setmetatable(lua, -2);
	script_of(lua)->step_ref = luaL_ref(lua, LUA_REGISTRYINDEX);
}
