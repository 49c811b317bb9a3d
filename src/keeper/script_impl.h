/* SPDX-License-Identifier: MIT */
/* Private to script*.c: the state behind a Lua keeper. */
#ifndef CUSTOS_KEEPER_SCRIPT_IMPL_H
#define CUSTOS_KEEPER_SCRIPT_IMPL_H

#include <lauxlib.h>
#include <lua.h>

#include "base/buf.h"
#include "keeper/script.h"
#include "keeper/stats.h"

enum callback {
	CALLBACK_LOAD,
	CALLBACK_STORE,
	CALLBACK_RMW,
	CALLBACK_FETCH,
	CALLBACK_STEPPED,
	CALLBACK_START,
	CALLBACK_FINISH,
	CALLBACK_MAX
};

#define CALLBACK_RANGE_MAX (CALLBACK_STEPPED + 1) /* those keep{} may give */

extern const char *const script_callback_names[CALLBACK_MAX];

/* Time and memory a script may use. */
struct script_budget {
	size_t memory_max, memory_used;
	size_t unchecked; /* bytes allocated since the clock was looked at */
	uint64_t time_ns; /* of the present call; 0: none is under way */
	bool started; /* the two below are set */
	uint64_t wall_start, cpu_start;
	bool expired; /* cut: everything raises until the call is over */
	/* "watch.lua:3", where memory was refused last in this call; or "".
	 * Lua's own error of memory has no position. */
	char refused_at[LUA_IDSIZE + 16];
};

enum script_range_state {
	SCRIPT_RANGE_FREE, /* or an error left it half filled */
	SCRIPT_RANGE_ASKED, /* the programs are not known yet */
	SCRIPT_RANGE_KEPT,
};

/* keep{...} of the script's. */
struct script_range {
	enum script_range_state state;
	uint32_t generation; /* tells who had this place before */
	struct range *range; /* once it is kept */
	char *text; /* specification */
	char *name; /* NULL: text */
	char *when; /* condition; NULL: none */
	char *where; /* "watch.lua:3", for messages */
	enum verdict_kind fallback;
	bool joined; /* rep = "run" */
	int functions[CALLBACK_RANGE_MAX]; /* registry references */
};

#define SCRIPT_RELEASED UINT32_MAX

struct script {
	struct keeper keeper; /* first */
	struct script_options options;
	struct script_budget budget;
	char *path;
	lua_State *lua;
	lua_CFunction base_load; /* trusted: not the user's callback */
	bool loading; /* the main chunk runs: keep() works */

	bool finished; /* the target has ended */

	/* keep() calls, and which of them a range of the set came from:
	 * by_range[id] - 1 is an index into ranges, 0 none;
	 * SCRIPT_RELEASED: it is not the script's any more. */
	struct script_range *ranges;
	size_t range_count, range_capacity;
	uint32_t *by_range;
	size_t by_range_count;
	/* What ranges are made from; NULL until script_add_ranges(). */
	struct range_set *set;
	const struct image *const *images;
	size_t image_count;

	/* Registry references of what is made once. */
	int access_ref, step_ref;

	/* The present question; NULL outside. */
	enum callback callback;
	const struct access *access;
	const struct step_report *report;
	struct verdict *verdict;
	uint64_t process; /* of the present or latest access */

	struct stats *stats; /* for finish(); NULL: none set */
	const struct stats_numbers *numbers;
	struct stats_site *sites; /* while finish() is called */
	size_t site_count;

	struct buf scratch; /* for names; here so that no error leaks it */
};

static inline struct script *script_of(lua_State *lua)
{
	return *(struct script **)lua_getextraspace(lua);
}

/* ---- script.c ---- */

/* A state that nothing has been put into; keeper_destroy() ends it. NULL: no
 * memory. */
struct script *script_create(
	const char *path, const struct script_options *options);

/* Call enter, protected, with factor times the budget. What fails becomes a
 * sentence with file and line. */
#define SCRIPT_BUDGET_FACTOR 10 /* main chunk, start, finish */
enum keeper_status script_enter(struct script *script, lua_CFunction enter,
	unsigned factor, struct error *err);

/* Run the file of the script; in protected mode. */
void script_call_file(lua_State *lua);

/* ---- script_sandbox.c: what a script may use ---- */

/* A state with the libraries, hook and limits of options; NULL: no memory. */
lua_State *script_sandbox_create(struct script *script);

/* Put the libraries in; in protected mode. */
void script_sandbox_fill(lua_State *lua);

/* Bracket every entry into Lua. ms: of CPU time. */
void script_budget_begin(struct script *script, unsigned ms);
void script_budget_end(struct script *script);
/* Time is up. Looks at the clock. */
bool script_budget_spent(struct script *script);

/* ---- script_string.c: find, match, gmatch, gsub under the budget ---- */
void script_string_fill(lua_State *lua); /* string table on the stack top */

/* ---- script_access.c: what callbacks get ---- */
void script_access_fill(lua_State *lua);
/* bytes as an integer (up to 8) or a string */
void script_push_value(lua_State *lua, const uint8_t *bytes, uint32_t size);
void script_push_fault(lua_State *lua, const struct arch_fault *fault);

/* ---- script_step.c ---- */
void script_step_fill(lua_State *lua);

/* ---- script_answer.c: what they answer ---- */
void script_answer_fill(lua_State *lua);
/* Turn the value at the stack top into script->verdict. Raises an error that
 * has no position yet. */
void script_answer_take(lua_State *lua, struct script *script);

/* ---- script_keep.c: ranges ---- */
void script_keep_fill(lua_State *lua);
void script_keep_fini(struct script *script);
/* Push the function for this callback, or return false. */
bool script_push_callback(lua_State *lua, struct script *script,
	enum callback callback, const struct access *access);

/* Make the range that entry index asks for. 0, or -errno with err. */
int script_keep_range(struct script *script, size_t index, struct error *err);
/* Forget an entry; its place may be used again. */
void script_keep_forget(lua_State *lua, struct script *script, size_t index);
/* Has the script let go of this range of the set? */
bool script_keep_released(const struct script *script, uint32_t id);

/* ---- script_handle.c: what keep() returns ---- */
void script_handle_fill(lua_State *lua);
void script_handle_push(lua_State *lua, struct script *script, size_t index);
/* k:release() of the handle at index; false: it was released already. */
bool script_handle_release(lua_State *lua, int index);

/* ---- script_when.c: conditions ---- */
/* The condition at the stack top, a string or a table, as filter_parse() takes
 * it: pushed as a string. */
void script_when_push(lua_State *lua);

/* ---- script_library.c: print, read, write, hex, symbol, ... ---- */
void script_library_fill(lua_State *lua);
/* Push the table finish() gets. */
void script_push_summary(lua_State *lua, struct script *script);

#endif
