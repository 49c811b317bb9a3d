/* SPDX-License-Identifier: MIT */
/*
 * A keeper that asks a Lua script. Every entry into Lua is a protected call of
 * a C function (enter_*), which does all that may raise; what it needs and
 * gives is in struct script. So no error, not even of memory, leaves Lua
 * unprotected, and every error becomes one sentence with file, line, callback
 * and access.
 */
#include "keeper/script.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/script_impl.h"

#define BUDGET_MS 100
#define MEMORY_MAX ((size_t)256 << 20)

/* ---- errors ---- */

/* Push "watch.lua:12: " of the innermost script function that runs. */
static void push_where(lua_State *lua)
{
	lua_Debug where;

	for (int level = 1; lua_getstack(lua, level, &where); level++) {
		lua_getinfo(lua, "Sl", &where);
		if (where.currentline > 0) {
			lua_pushfstring(lua, "%s:%d: ", where.short_src,
				where.currentline);
			return;
		}
	}
	lua_pushliteral(lua, "");
}

static int to_string(lua_State *lua)
{
	luaL_tolstring(lua, 1, NULL);
	return 1;
}

/* The error object, whatever it is, as a string at its place. */
static void make_text(lua_State *lua)
{
	if (lua_type(lua, 1) == LUA_TSTRING)
		return;
	if (script_of(lua)->budget.expired) {
		lua_pushliteral(lua, "ran too long");
	} else {
		/* __tostring is the script's: it may fail again. */
		lua_pushcfunction(lua, to_string);
		lua_pushvalue(lua, 1);
		if (lua_pcall(lua, 1, 1, 0) != LUA_OK) {
			lua_pop(lua, 1);
			lua_pushfstring(lua, "an error of type %s",
				luaL_typename(lua, 1));
		}
	}
	lua_replace(lua, 1);
}

/* Is there "NAME:LINE:" at the start of text? */
static bool has_position(const char *text, const char *where)
{
	const char *colon = strchr(where, ':');
	size_t len = colon ? (size_t)(colon - where) + 1 : 0;

	return len && !strncmp(text, where, len);
}

/* Message handler: the error as text with a position. */
static int explain(lua_State *lua)
{
	lua_settop(lua, 1);
	make_text(lua);
	push_where(lua);
	if (has_position(lua_tostring(lua, 1), lua_tostring(lua, 2)))
		lua_settop(lua, 1);
	else
		lua_insert(lua, 1);
	lua_concat(lua, lua_gettop(lua));
	return 1;
}

static void describe_failure(struct script *script, int status,
	const char *text, struct error *err)
{
	const struct script_budget *b = &script->budget;
	const char *at = b->refused_at[0] ? b->refused_at : script->path;
	struct buf where = BUF_INIT;

	if (script->access)
		buf_printf(&where, " (in callback %s, access %" PRIu64 ")",
			script_callback_names[script->callback],
			script->access->seq);
	else if (!script->loading)
		buf_printf(&where, " (in callback %s)",
			script_callback_names[script->callback]);
	if (status == LUA_ERRMEM && b->expired)
		error_set(err, -EINVAL, "%s: ran longer than %" PRIu64 " ms%s",
			at, b->time_ns / 1000000, buf_str(&where));
	else if (status == LUA_ERRMEM)
		error_set(err, -EINVAL, "%s: out of memory (limit %zu KiB)%s",
			at, b->memory_max >> 10, buf_str(&where));
	else if (status == LUA_ERRERR)
		error_set(err, -EINVAL, "%s: an error in handling an error%s",
			script->path, buf_str(&where));
	else
		error_set(err, -EINVAL, "%s%s", text, buf_str(&where));
	buf_fini(&where);
}

/* ---- the way in ---- */

enum keeper_status script_enter(struct script *script, lua_CFunction enter,
	unsigned factor, struct error *err)
{
	lua_State *lua = script->lua;
	enum keeper_status result = KEEPER_OK;
	int status;

	script_budget_begin(script, script->options.budget_ms * factor);
	lua_settop(lua, 0);
	lua_pushcfunction(lua, explain);
	lua_pushcfunction(lua, enter);
	status = lua_pcall(lua, 0, 0, 1);
	if (status != LUA_OK) {
		result = script->budget.expired ? KEEPER_TIMEOUT
						: KEEPER_ERROR;
		/* explain() made it a string; so are Lua's own. */
		describe_failure(script, status,
			lua_type(lua, -1) == LUA_TSTRING
				? lua_tostring(lua, -1)
				: "an error without text",
			err);
	} else if (script->budget.expired) {
		/* It ended before its next instruction could tell it. */
		result = KEEPER_TIMEOUT;
		describe_failure(script, LUA_ERRMEM, NULL, err);
	}
	script_budget_end(script);
	lua_settop(lua, 0);
	return result;
}

static int take_answer(lua_State *lua)
{
	script_answer_take(lua, script_of(lua));
	return 0;
}

static void raise_at_function(lua_State *lua, int function)
{
	lua_Debug where;

	lua_pushvalue(lua, function);
	lua_getinfo(lua, ">S", &where);
	lua_pushfstring(lua, "%s:%d: ", where.short_src, where.linedefined);
	lua_insert(lua, -2);
	lua_concat(lua, 2);
	lua_error(lua);
}

/*
 * Call the function below its count arguments and take its answer. A wrong
 * answer is found when the function is over: its position is the function's.
 */
static void call_and_answer(lua_State *lua, int count)
{
	int function = lua_gettop(lua) - count;

	lua_pushvalue(lua, function);
	lua_insert(lua, function);
	lua_call(lua, count, 1);
	if (lua_isnil(lua, -1))
		return;
	lua_pushcfunction(lua, take_answer);
	lua_insert(lua, -2);
	if (lua_pcall(lua, 1, 0, 0) != LUA_OK)
		raise_at_function(lua, function);
}

static int enter_access(lua_State *lua)
{
	struct script *script = script_of(lua);

	if (!script_push_callback(
		    lua, script, script->callback, script->access))
		return 0;
	lua_rawgeti(lua, LUA_REGISTRYINDEX, script->access_ref);
	call_and_answer(lua, 1);
	return 0;
}

static int enter_stepped(lua_State *lua)
{
	struct script *script = script_of(lua);

	if (!script_push_callback(
		    lua, script, CALLBACK_STEPPED, script->access))
		return 0;
	lua_rawgeti(lua, LUA_REGISTRYINDEX, script->access_ref);
	lua_rawgeti(lua, LUA_REGISTRYINDEX, script->step_ref);
	call_and_answer(lua, 2);
	return 0;
}

static int enter_start(lua_State *lua)
{
	if (script_push_callback(lua, script_of(lua), CALLBACK_START, NULL))
		lua_call(lua, 0, 0);
	return 0;
}

static int enter_finish(lua_State *lua)
{
	struct script *script = script_of(lua);

	if (!script_push_callback(lua, script, CALLBACK_FINISH, NULL))
		return 0;
	script_push_summary(lua, script);
	lua_call(lua, 1, 0);
	return 0;
}

/* ---- the keeper ---- */

static enum callback callback_of(enum access_kind kind)
{
	switch (kind) {
	case ACCESS_LOAD:
	case ACCESS_IPC_SRC:
	case ACCESS_SYSCALL_LOAD:
		return CALLBACK_LOAD;
	case ACCESS_STORE:
	case ACCESS_IPC_DST:
	case ACCESS_SYSCALL_STORE:
		return CALLBACK_STORE;
	case ACCESS_RMW:
		return CALLBACK_RMW;
	case ACCESS_FETCH:
	case ACCESS_KIND_MAX:
		break;
	}
	return CALLBACK_FETCH;
}

static enum keeper_status ask(struct script *script, enum callback callback,
	const struct access *access, const struct step_report *report,
	struct verdict *verdict, struct error *err)
{
	enum keeper_status status;

	script->callback = callback;
	script->access = access;
	script->report = report;
	script->verdict = verdict;
	script->process = access->process;
	status = script_enter(
		script, report ? enter_stepped : enter_access, 1, err);
	script->access = NULL;
	script->report = NULL;
	script->verdict = NULL;
	return status;
}

static enum keeper_status script_access(struct keeper *keeper,
	const struct access *access, struct verdict *verdict,
	struct error *err)
{
	return ask((struct script *)keeper, callback_of(access->kind), access,
		NULL, verdict, err);
}

static enum keeper_status script_stepped(struct keeper *keeper,
	const struct access *access, const struct step_report *report,
	struct verdict *verdict, struct error *err)
{
	return ask((struct script *)keeper, CALLBACK_STEPPED, access, report,
		verdict, err);
}

static enum keeper_status script_start(
	struct keeper *keeper, struct error *err)
{
	struct script *script = (struct script *)keeper;

	script->callback = CALLBACK_START;
	return script_enter(script, enter_start, SCRIPT_BUDGET_FACTOR, err);
}

static enum keeper_status script_finish(
	struct keeper *keeper, struct error *err)
{
	struct script *script = (struct script *)keeper;
	enum keeper_status status;
	uint64_t others;

	if (script->stats)
		script->sites = stats_get_sites(
			script->stats, &script->site_count, &others);
	script->callback = CALLBACK_FINISH;
	script->finished = true;
	status = script_enter(script, enter_finish, SCRIPT_BUDGET_FACTOR, err);
	free(script->sites);
	script->sites = NULL;
	script->site_count = 0;
	return status;
}

static void script_destroy(struct keeper *keeper)
{
	struct script *script = (struct script *)keeper;

	if (script->lua)
		lua_close(script->lua);
	script_keep_fini(script);
	buf_fini(&script->scratch);
	free(script->path);
	free(script);
}

static const struct keeper_ops script_ops = {
	.name = "script",
	.help = "ask the callbacks of a Lua script",
	.access = script_access,
	.stepped = script_stepped,
	.start = script_start,
	.finish = script_finish,
	.destroy = script_destroy,
};

void script_set_summary(struct keeper *keeper, struct stats *stats,
	const struct stats_numbers *numbers)
{
	struct script *script = (struct script *)keeper;

	script->stats = stats;
	script->numbers = numbers;
}

/* ---- loading ---- */

/* Text only: bytecode can break the interpreter. */
void script_call_file(lua_State *lua)
{
	struct script *script = script_of(lua);

	if (luaL_loadfilex(lua, script->path, "t") != LUA_OK) {
		/* Of bytecode Lua says no more than that it is. */
		if (!strstr(lua_tostring(lua, -1), script->path))
			luaL_error(lua, "%s: %s", script->path,
				lua_tostring(lua, -1));
		lua_error(lua);
	}
	lua_call(lua, 0, 0);
}

static int enter_main(lua_State *lua)
{
	struct script *script = script_of(lua);

	script_sandbox_fill(lua);
	script_library_fill(lua);
	script_access_fill(lua);
	script_step_fill(lua);
	script_answer_fill(lua);
	script_keep_fill(lua);
	script_handle_fill(lua);
	script_call_file(lua);
	/* A callback that is no function is told now, not at its access. */
	for (int i = 0; i < CALLBACK_MAX; i++)
		if (script_push_callback(lua, script, (enum callback)i, NULL))
			lua_pop(lua, 1);
	return 0;
}

struct script *script_create(
	const char *path, const struct script_options *options)
{
	struct script *script = calloc(1, sizeof(*script));

	if (!script)
		return NULL;
	script->options = *options;
	if (!script->options.budget_ms)
		script->options.budget_ms = BUDGET_MS;
	script->budget.memory_max =
		options->memory_max ? options->memory_max : MEMORY_MAX;
	script->path = strdup(path);
	script->lua = script_sandbox_create(script);
	if (!script->path || !script->lua ||
		keeper_init(&script->keeper, &script_ops)) {
		script_destroy(&script->keeper);
		return NULL;
	}
	return script;
}

int script_open(const char *path, const struct script_options *options,
	struct keeper **out, struct error *err)
{
	struct script *script = script_create(path, options);
	enum keeper_status status;

	if (!script)
		return error_set(err, -ENOMEM, "out of memory");
	script->loading = true;
	status = script_enter(script, enter_main, SCRIPT_BUDGET_FACTOR, err);
	script->loading = false;
	if (status != KEEPER_OK) {
		keeper_destroy(&script->keeper);
		return -EINVAL;
	}
	*out = &script->keeper;
	return 0;
}
