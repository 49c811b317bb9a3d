/* SPDX-License-Identifier: MIT */
/*
 * Scripts that are wrong, greedy or malicious: each gets a sentence with file,
 * line and callback, the range's default applies, and the next access is
 * asked as if nothing had happened.
 */
#include <errno.h>
#include <time.h>

#include "tests/unit/keeper/script_support.h"

#define BUDGET_MS 20

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Body of load(a), rmw(a) or store(a); kind chosen by the row. */
struct misuse {
	const char *body;
	enum access_kind kind;
	enum keeper_status status;
	const char *sentence;
};

#define LOAD ACCESS_LOAD
#define STORE ACCESS_STORE

static const struct misuse answers[] = {
	{ "return 5", LOAD, KEEPER_ERROR, ":2: the answer must be nothing or "
		"a verdict, such as pass or serve(v), not number" },
	{ "return 'pass'", LOAD, KEEPER_ERROR, "not string" },
	{ "return {}", LOAD, KEEPER_ERROR, "not table" },
	{ "return a", LOAD, KEEPER_ERROR, "not access" },
	{ "return print", LOAD, KEEPER_ERROR, "not function" },
	{ "return false", LOAD, KEEPER_ERROR, "not boolean" },
	{ "return serve", LOAD, KEEPER_ERROR, "serve needs a value" },
	{ "return serve()", LOAD, KEEPER_ERROR, ":3: serve wants an integer "
		"or a byte string, not nil" },
	{ "return serve(nil)", LOAD, KEEPER_ERROR, "not nil" },
	{ "return serve({})", LOAD, KEEPER_ERROR, "not table" },
	{ "return serve(true)", LOAD, KEEPER_ERROR, "not boolean" },
	{ "return serve(1.5)", LOAD, KEEPER_ERROR, "1.5 is not a whole" },
	{ "return serve(0/0)", LOAD, KEEPER_ERROR, "nan is not a whole" },
	{ "return serve(1e300)", LOAD, KEEPER_ERROR, "is not a whole number" },
	{ "return serve('abc')", LOAD, KEEPER_ERROR,
		":2: serve: a string of 3 bytes for an access of 8" },
	{ "return serve('')", LOAD, KEEPER_ERROR, "a string of 0 bytes" },
	{ "return serve(('x'):rep(1 << 20))", LOAD, KEEPER_ERROR,
		"a string of 1048576 bytes" },
	{ "return absorb", LOAD, KEEPER_ERROR,
		":2: absorb is no answer to a load" },
	{ "return absorb(1)", STORE, KEEPER_ERROR, "absorb takes nothing" },
	{ "return continue", LOAD, KEEPER_ERROR, "answer to a step only" },
	{ "return rollback", STORE, KEEPER_ERROR, "answer to a step only" },
	{ "return deny(5)", LOAD, KEEPER_ERROR, "deny wants its reason as a "
		"string, not number" },
	{ "return stop({})", LOAD, KEEPER_ERROR, "stop wants its reason" },
	{ "return deny('x', 'zz')", LOAD, KEEPER_ERROR, "no fault 'zz'" },
	{ "return deny('x', {})", LOAD, KEEPER_ERROR, "bad argument" },
	{ "return hold(0)", LOAD, KEEPER_ERROR,
		":3: hold wants milliseconds, 1 to 2147483647" },
	{ "return hold(-1)", LOAD, KEEPER_ERROR, "hold wants milliseconds" },
	{ "return hold(1.5)", LOAD, KEEPER_ERROR, "hold wants milliseconds" },
	{ "return hold(1 << 31)", LOAD, KEEPER_ERROR, "hold wants millisec" },
	{ "return hold('5')", LOAD, KEEPER_ERROR, "hold wants milliseconds" },
	{ "return hold({})", LOAD, KEEPER_ERROR, "hold wants milliseconds" },
	{ "return hold", ACCESS_IPC_DST, KEEPER_ERROR,
		"hold is no answer to a ipc_dst" },
	{ "return grant(5)", LOAD, KEEPER_ERROR,
		"grant is for \"process\" or \"all\"" },
	{ "return grant('everybody')", LOAD, KEEPER_ERROR, "grant is for" },
	{ "return grant('all', 'w')", LOAD, KEEPER_ERROR,
		"grant(\"all\", ...) wants \"r\" or \"rw\"" },
	{ "return grant('process', 5)", LOAD, KEEPER_ERROR, "wants \"r\"" },
	{ "return resume", LOAD, KEEPER_ERROR, "not function" },
	{ "return absorb", ACCESS_IPC_SRC, KEEPER_ERROR,
		"absorb is no answer to a ipc_src" },
};

static const struct misuse errors[] = {
	{ "error('boom')", LOAD, KEEPER_ERROR,
		":3: boom (in callback load, access 17)" },
	{ "error('boom', 0)", STORE, KEEPER_ERROR,
		":3: boom (in callback store, access 17)" },
	{ "error('boom', 2)", LOAD, KEEPER_ERROR, "boom (in callback load" },
	{ "error()", LOAD, KEEPER_ERROR, ":3: nil (in callback" },
	{ "error(nil)", LOAD, KEEPER_ERROR, ":3: nil" },
	{ "error(42)", LOAD, KEEPER_ERROR, ":3: 42" },
	{ "error({})", LOAD, KEEPER_ERROR, ":3: table: 0x" },
	{ "error(print)", LOAD, KEEPER_ERROR, ":3: function: " },
	{ "error(a)", LOAD, KEEPER_ERROR, "counter+0x10 8" },
	{ "error(setmetatable({}, {__tostring = function() return 'mine' "
	  "end}))", LOAD, KEEPER_ERROR, ":3: mine" },
	{ "error(setmetatable({}, {__tostring = function() error('again') "
	  "end}))", LOAD, KEEPER_ERROR, ":3: an error of type table" },
	{ "error(setmetatable({}, {__tostring = function() return {} end}))",
		LOAD, KEEPER_ERROR, ":3: an error of type table" },
	{ "error(setmetatable({}, {__tostring = function() while true do end "
	  "end}))", LOAD, KEEPER_TIMEOUT, ":3: " },
	{ "local t = nil; t.x = 1", LOAD, KEEPER_ERROR, ":3: attempt to index "
		"a nil value (local 't')" },
	{ "undefined()", LOAD, KEEPER_ERROR, ":3: attempt to call a nil" },
	{ "return a.old + nil", LOAD, KEEPER_ERROR, ":3: attempt to perform" },
	{ "return a.oldd", LOAD, KEEPER_ERROR,
		":3: an access has no field 'oldd'" },
	{ "return a[1]", LOAD, KEEPER_ERROR, "no field '1'" },
	{ "return a[nil]", LOAD, KEEPER_ERROR, "no field 'nil'" },
	{ "a.new = 5", STORE, KEEPER_ERROR, "an access cannot be changed" },
	{ "return a.__index", LOAD, KEEPER_ERROR, "no field '__index'" },
	{ "getmetatable(a).__index = 1", LOAD, KEEPER_ERROR, ":3: " },
	{ "getmetatable(pass).__call = 1", LOAD, KEEPER_ERROR, ":3: " },
	{ "setmetatable(a, {})", LOAD, KEEPER_ERROR, "bad argument #1" },
	{ "rawset(a, 1, 2)", LOAD, KEEPER_ERROR, "bad argument #1" },
	{ "resume()", LOAD, KEEPER_ERROR, "bad argument #1 to 'resume'" },
	{ "resume('x')", LOAD, KEEPER_ERROR, "bad argument #1 to 'resume'" },
	{ "resume(1.5)", LOAD, KEEPER_ERROR, "bad argument #1 to 'resume'" },
	{ "resume(a)", LOAD, KEEPER_ERROR, "bad argument #1 to 'resume'" },
	{ "resume(1, 5)", LOAD, KEEPER_ERROR,
		":3: resume wants a verdict, such as pass or serve(v), not "
		"number" },
	{ "resume(1, 'pass')", LOAD, KEEPER_ERROR, "not string" },
	{ "resume(1, a)", LOAD, KEEPER_ERROR, "not access" },
	{ "resume(1, hold)", LOAD, KEEPER_ERROR,
		":3: resume: hold does not end a held access" },
	{ "resume(1, rollback)", LOAD, KEEPER_ERROR, "rollback does not end" },
	{ "resume(1, continue)", LOAD, KEEPER_ERROR, "continue does not end" },
	{ "resume(1)", LOAD, KEEPER_ERROR, "resume is not possible here" },
	{ "keep 'counter'", LOAD, KEEPER_ERROR, "keep works only while" },
	{ "coroutine.yield()", LOAD, KEEPER_ERROR, "outside a coroutine" },
	{ "read(0, -1)", LOAD, KEEPER_ERROR, "the length must be" },
	{ "read(0, 1 << 40)", LOAD, KEEPER_ERROR, "the length must be" },
	{ "write(0x1000, 5)", LOAD, KEEPER_ERROR, "bad argument #2" },
	{ "hex({})", LOAD, KEEPER_ERROR, "bad argument #1 to 'hex'" },
	{ "hex(1.5)", LOAD, KEEPER_ERROR, "bad argument #1 to 'hex'" },
	{ "print(setmetatable({}, {__tostring = function() error('p') end}))",
		LOAD, KEEPER_ERROR, ":3: p" },
	{ "io.open('x')", LOAD, KEEPER_ERROR, "nil value (global 'io')" },
	{ "os.exit(1)", LOAD, KEEPER_ERROR, "nil value (global 'os')" },
	{ "require 'x'", LOAD, KEEPER_ERROR, "global 'require'" },
	{ "dofile 'x'", LOAD, KEEPER_ERROR, "global 'dofile'" },
	{ "loadfile 'x'", LOAD, KEEPER_ERROR, "global 'loadfile'" },
	{ "debug.sethook()", LOAD, KEEPER_ERROR, "global 'debug'" },
	{ "package.loadlib()", LOAD, KEEPER_ERROR, "global 'package'" },
	{ "collectgarbage()", LOAD, KEEPER_ERROR, "global 'collectgarbage'" },
	{ "string.dump(print)", LOAD, KEEPER_ERROR, "field 'dump'" },
	{ "coroutine.close()", LOAD, KEEPER_ERROR, "field 'close'" },
	{ "setmetatable({}, {__gc = print})", LOAD, KEEPER_ERROR,
		"__gc is not available" },
	{ "table.insert(setmetatable({}, {__len = function() return 1 << 60 "
	  "end}), 1, 1)", LOAD, KEEPER_ERROR, "tables with __len" },
	{ "table.move({}, 1, 1 << 60, 2)", LOAD, KEEPER_ERROR, "too many "
		"elements to move" },
	{ "table.concat(setmetatable({}, {__index = function() return '' "
	  "end}), '', 1, 1 << 60)", LOAD, KEEPER_ERROR, "too many elements" },
	{ "table.unpack({}, 1, 1 << 30)", LOAD, KEEPER_ERROR, "too many" },
	{ "local function f() return 1 + f() end f()", LOAD, KEEPER_ERROR,
		":3: stack overflow" },
	{ "string.rep('x', 1 << 62)", LOAD, KEEPER_ERROR, "too large" },
};

static const struct misuse endless[] = {
	{ "while true do end", LOAD, KEEPER_TIMEOUT,
		":3: ran longer than 20 ms (in callback load, access 17)" },
	{ "for i = 1, 1e18 do end", LOAD, KEEPER_TIMEOUT, "ran longer than" },
	{ "::x:: goto x", LOAD, KEEPER_TIMEOUT, "ran longer than" },
	{ "while true do pcall(function() while true do end end) end", LOAD,
		KEEPER_TIMEOUT, "ran longer than" },
	{ "while true do pcall(error) end", LOAD, KEEPER_TIMEOUT, "longer" },
	{ "local function f() pcall(f) return f() end f()", LOAD,
		KEEPER_TIMEOUT, "longer" },
	{ "local function f(x) return f({pcall(f, x)}) end f()", LOAD,
		KEEPER_TIMEOUT, "" },
	{ "while true do xpcall(function() while true do end end, "
	  "function() while true do end end) end", LOAD, KEEPER_TIMEOUT, "" },
	{ "xpcall(error, function() while true do end end)", LOAD,
		KEEPER_TIMEOUT, "" },
	{ "coroutine.wrap(function() while true do end end)()", LOAD,
		KEEPER_TIMEOUT, "longer" },
	{ "while true do coroutine.resume(coroutine.create(function() while "
	  "true do end end)) end", LOAD, KEEPER_TIMEOUT, "longer" },
	{ "while true do local co = coroutine.wrap(function() while true do "
	  "pcall(coroutine.yield) end end) for i = 1, 1e9 do co() end end",
		LOAD, KEEPER_TIMEOUT, "longer" },
	{ "coroutine.wrap(function() local x <close> = setmetatable({}, "
	  "{__close = function() while true do end end}) while true do end "
	  "end)()", LOAD, KEEPER_TIMEOUT, "longer" },
	{ "local x <close> = setmetatable({}, {__close = function() while "
	  "true do end end})", LOAD, KEEPER_TIMEOUT, "longer" },
	{ "local x <close> = setmetatable({}, {__close = function() while "
	  "true do end end}) while true do end", LOAD, KEEPER_TIMEOUT, "" },
	{ "table.sort({1, 2, 3}, function() while true do end end)", LOAD,
		KEEPER_TIMEOUT, "longer" },
	{ "(('a'):rep(60)):find(('a*'):rep(30) .. 'b')", LOAD,
		KEEPER_TIMEOUT, "longer" },
	{ "pcall(string.gsub, ('a'):rep(60), ('a-'):rep(30) .. 'b', '')"
	  " while true do end", LOAD, KEEPER_TIMEOUT, "longer" },
	{ "(('x'):rep(1e5)):gsub('x', function() while true do end end)",
		LOAD, KEEPER_TIMEOUT, "longer" },
	{ "for w in ('x'):gmatch('') do while true do end end", LOAD,
		KEEPER_TIMEOUT, "longer" },
	{ "local s = ('x'):rep(1e7) while true do local t = s .. s end", LOAD,
		KEEPER_TIMEOUT, ":3: ran longer" },
	{ "while true do string.rep('', 1 << 62) end", LOAD, KEEPER_TIMEOUT,
		"longer" },
	{ "setmetatable(_G, {__index = function(t, k) while true do end end}) "
	  "local x = nothing", LOAD, KEEPER_TIMEOUT, "longer" },
	{ "local t = setmetatable({}, {}) getmetatable(t).__index = t "
	  "return t.x", LOAD, KEEPER_ERROR, "'__index' chain too long" },
};

static const struct misuse greedy[] = {
	{ "local t = {} for i = 1, 1e9 do t[i] = {} end", LOAD, KEEPER_ERROR,
		":3: out of memory (limit 4096 KiB) (in callback load, access "
		"17)" },
	{ "local s = 'x' while true do s = s .. s end", LOAD, KEEPER_ERROR,
		":3: out of memory" },
	{ "return serve(string.rep('x', 1 << 30))", LOAD, KEEPER_ERROR,
		"out of memory" },
	{ "pcall(string.rep, 'x', 1 << 30) pcall(string.rep, 'x', 1 << 30) "
	  "error('still here')", LOAD, KEEPER_ERROR, ":3: still here" },
	{ "local co = coroutine.create(function() local function f() return 1 "
	  "+ f() end f() end) print(coroutine.resume(co)) error('after')",
		LOAD, KEEPER_ERROR, ":3: after" },
	{ "local f = print for i = 1, 1e6 do local g = f f = function() "
	  "return (coroutine.wrap(g)()) end end f()", LOAD, KEEPER_ERROR, "" },
	{ "local s = '' for i = 1, 300 do s = '(' .. s .. ')' end "
	  "('x'):find(s)", LOAD, KEEPER_ERROR, ":3: too many captures" },
	{ "('x'):rep(300):find(('x?'):rep(300))", LOAD, KEEPER_ERROR,
		":3: pattern too complex" },
	{ "local t = {} t = setmetatable(t, {__index = function(t, k) return "
	  "t[k] end}) return t.x", LOAD, KEEPER_ERROR, "overflow" },
};

/* The body is on line 3; fine(a) on 1 shows that the script still works. */
static struct keeper *open_row(const struct misuse *row, size_t memory_max,
	unsigned budget_ms)
{
	struct script_options options = {
		.budget_ms = budget_ms,
		.memory_max = memory_max,
	};
	struct keeper *keeper;
	struct error err = { 0 };
	char script[1024];

	snprintf(script, sizeof(script),
		"function fetch(a) assert(a.old == 5) return stop('fine') end"
		"\nfunction load(a)\n%s\nend store = load rmw = load",
		row->body);
	if (script_from(script, options, &keeper, &err))
		fail_msg("%s: %s", row->body, err.text);
	return keeper;
}

static void check_row(const struct misuse *row, size_t memory_max,
	unsigned budget_ms)
{
	struct asked q;
	double start;

	asked_init(&q, open_row(row, memory_max, budget_ms), row->kind);
	for (int again = 0; again < 2; again++) {
		start = seconds();
		ask(&q);
		if (q.status != row->status ||
			!strstr(q.err.text, row->sentence) ||
			!strstr(q.err.text, "/tmp/custos-script-") ||
			!strstr(q.err.text, "(in callback ") ||
			q.verdict.kind != VERDICT_DENY)
			fail_msg("%s: %d %s", row->body, q.status, q.err.text);
		assert_string_equal(q.verdict.reason, "");
		if (seconds() - start > 10)
			fail_msg("%s took too long", row->body);
	}
	assert_int_equal(q.keeper->failed, 2);
	/* The same script, the same state, goes on. */
	asked_init(&q, q.keeper, ACCESS_FETCH);
	ask(&q);
	if (q.verdict.kind != VERDICT_STOP ||
		strcmp(q.verdict.reason, "fine"))
		fail_msg("%s: afterwards %s", row->body, q.err.text);
	keeper_destroy(q.keeper);
}

#define CHECK_ROWS(rows, memory_max, budget_ms)                                \
	do {                                                                   \
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)    \
			check_row(&(rows)[i], memory_max, budget_ms);          \
	} while (0)

static void wrong_answers_are_told(void **state)
{
	(void)state;
	CHECK_ROWS(answers, 0, 10000);
}

static void numbers_must_fit_the_access(void **state)
{
	static const struct {
		const char *value;
		uint32_t size;
		const char *sentence;
	} cases[] = {
		{ "256", 1, "0x100 does not fit into 1 byte (" },
		{ "-129", 1, "0xffffffffffffff7f does not fit into 1 byte" },
		{ "1 << 32", 4, "0x100000000 does not fit into 4 bytes" },
		{ "1 << 56", 7, "does not fit into 7 bytes" },
		{ "1", 16, "an access of 16 bytes wants a byte string" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char script[128];
		struct asked q;

		snprintf(script, sizeof(script),
			"function load(a) return serve(%s) end",
			cases[i].value);
		asked_init(&q, script_of_text(script), ACCESS_LOAD);
		q.access.size = cases[i].size;
		ask(&q);
		assert_int_equal(q.status, KEEPER_ERROR);
		if (!strstr(q.err.text, cases[i].sentence))
			fail_msg("%s: %s", cases[i].value, q.err.text);
		keeper_destroy(q.keeper);
	}
}

static void errors_are_sentences_with_their_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		check_row(&errors[i], 0,
			errors[i].status == KEEPER_TIMEOUT ? BUDGET_MS
							   : 10000);
}

static void endless_callbacks_are_cut(void **state)
{
	(void)state;
	CHECK_ROWS(endless, 64 << 20, BUDGET_MS);
}

static void greedy_callbacks_meet_their_limit(void **state)
{
	(void)state;
	CHECK_ROWS(greedy, 4 << 20, 30000);
}

static void wrong_answers_to_steps_are_told(void **state)
{
	static const struct {
		const char *answer, *sentence;
	} cases[] = {
		{ "absorb", "absorb is no answer to a step" },
		{ "serve(1)", "serve is no answer to a step" },
		{ "1", "not number" },
		{ "s.x", "a step has no field 'x'" },
		{ "error('in step')", "in step (in callback stepped, access" },
	};
	struct step_report report = { .times = 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char script[128];
		struct asked q;

		snprintf(script, sizeof(script),
			"function stepped(a, s) return %s end",
			cases[i].answer);
		asked_init(&q, script_of_text(script), ACCESS_STORE);
		ask_stepped(&q, &report);
		assert_int_equal(q.status, KEEPER_ERROR);
		assert_int_equal(q.verdict.kind, VERDICT_DENY);
		if (!strstr(q.err.text, cases[i].sentence))
			fail_msg("%s: %s", cases[i].answer, q.err.text);
		keeper_destroy(q.keeper);
	}
}

static void an_access_kept_too_long_says_so(void **state)
{
	struct error err = { 0 };
	struct asked q;

	(void)state;
	asked_init(&q,
		script_of_text("function load(a) kept = a copy = a:copy() "
			       "copy_of = a.copy end "
			       "function stepped(a, s) step = s end "
			       "function start() return kept.old end "
			       "function finish() "
			       "assert(copy.old == 5) "
			       "assert(not pcall(copy_of, kept)) "
			       "assert(not pcall(read, 0x1000, 1)) "
			       "assert(tostring(kept) == "
			       "'an access that is over') "
			       "return step.old end"),
		ACCESS_LOAD);
	ask(&q);
	ask_stepped(&q, &(struct step_report){ .times = 1 });
	assert_int_equal(keeper_start(q.keeper, &err), KEEPER_ERROR);
	assert_non_null(strstr(err.text, "this access is over"));
	assert_non_null(strstr(err.text, "(in callback start)"));
	assert_int_equal(keeper_finish(q.keeper, &err), KEEPER_ERROR);
	assert_non_null(strstr(err.text, "this step is over"));
	assert_non_null(strstr(err.text, "(in callback finish)"));
	keeper_destroy(q.keeper);
}

static void coroutines_live_across_callbacks(void **state)
{
	struct asked q;

	(void)state;
	asked_init(&q,
		script_of_text("co = coroutine.wrap(function(a) while true do "
			       "a = coroutine.yield(serve(a.old + 1)) end "
			       "end) function load(a) return co(a) end"),
		ACCESS_LOAD);
	for (int i = 0; i < 3; i++) {
		q.old[0] = (uint8_t)(i * 10);
		ask(&q);
		assert_string_equal(q.err.text, "");
		assert_int_equal(q.value[0], i * 10 + 1);
	}
	keeper_destroy(q.keeper);
}

/* A coroutine cut in one callback cannot be used to escape in the next. */
static void a_cut_coroutine_stays_dead(void **state)
{
	struct script_options options = { .budget_ms = BUDGET_MS };
	struct error err = { 0 };
	struct asked q = { 0 };

	(void)state;
	assert_int_equal(
		script_from("co = coroutine.create(function() local x "
			    "<close> = setmetatable({}, {__close = function() "
			    "while true do end end}) while true do end end)\n"
			    "function load(a) coroutine.resume(co) end\n"
			    "function store(a) assert(coroutine.status(co) == "
			    "'dead' and not coroutine.resume(co)) "
			    "return stop end",
			options, &q.keeper, &err),
		0);
	asked_init(&q, q.keeper, ACCESS_LOAD);
	ask(&q);
	assert_int_equal(q.status, KEEPER_TIMEOUT);
	asked_init(&q, q.keeper, ACCESS_STORE);
	ask(&q);
	assert_string_equal(q.err.text, "");
	assert_int_equal(q.verdict.kind, VERDICT_STOP);
	keeper_destroy(q.keeper);
}

static void scripts_that_cannot_be_loaded(void **state)
{
	static const struct {
		const char *text, *sentence;
	} cases[] = {
		{ "x = = 1", ":1: unexpected symbol near '='" },
		{ "\n\nfor", ":3: <name> expected near <eof>" },
		{ "function load(a", ":1: ')' expected" },
		{ "'unfinished", ":1: unfinished string" },
		{ "error 'no'", ":1: no" },
		{ "\nlocal t; t.x = 1", ":2: attempt to index a nil value" },
		{ "while true do end", ":1: ran longer than 200 ms" },
		{ "store = 5", "the callback store is not a function but a "
			"number" },
		{ "keep()", ":1: keep wants one string or one table" },
		{ "keep(5)", ":1: keep: a range must be a string, not number" },
		{ "keep{}", ":1: keep: no range in the table" },
		{ "keep{ 1 }", "keep: a range must be a string" },
		{ "keep 'a\\0b'", "keep: a range has a NUL" },
		{ "keep{ 'a', laod = print }", "keep: unknown key 'laod'" },
		{ "keep{ 'a', load = 5 }", "keep: load must be a function" },
		{ "keep{ 'a', default = 'stop' }", "default must be" },
		{ "keep{ 'a', default = stop }", "default must be" },
		{ "keep{ 'a', name = 5 }", "keep: name must be a string" },
		{ "keep{ 'a', name = ('x'):rep(200) }", "longer than 127" },
		{ "keep{ 'a', [true] = 1 }", "keep: a key is a boolean" },
		{ "keep('a', 'b')", "keep wants one string" },
		{ "\x1bLua", "attempt to load a binary chunk" },
		{ "read(0, 1)", ":1: read works only in callbacks" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct script_options options = { .budget_ms = BUDGET_MS };
		struct keeper *keeper = NULL;
		struct error err = { 0 };
		int rc = script_from(cases[i].text, options, &keeper, &err);

		if (rc != -EINVAL || !strstr(err.text, cases[i].sentence) ||
			strstr(err.text, "(in callback"))
			fail_msg("%s: %d %s", cases[i].text, rc, err.text);
		assert_null(keeper);
	}
}

static void a_script_that_is_not_there_is_told(void **state)
{
	struct script_options options = { 0 };
	struct keeper *keeper;
	struct error err;

	(void)state;
	assert_int_equal(
		script_open("/nonexistent.lua", &options, &keeper, &err),
		-EINVAL);
	assert_non_null(strstr(err.text, "cannot open /nonexistent.lua"));
	assert_int_equal(script_open("/tmp", &options, &keeper, &err), -EINVAL);
	assert_non_null(strstr(err.text, "/tmp"));
	options.memory_max = 1000;
	assert_int_equal(script_open("/tmp", &options, &keeper, &err), -ENOMEM);
	options.memory_max = 16384;
	assert_int_equal(script_open("/tmp", &options, &keeper, &err), -EINVAL);
	assert_non_null(strstr(err.text, "out of memory (limit 16 KiB)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_answers_are_told),
		cmocka_unit_test(numbers_must_fit_the_access),
		cmocka_unit_test(errors_are_sentences_with_their_place),
		cmocka_unit_test(endless_callbacks_are_cut),
		cmocka_unit_test(greedy_callbacks_meet_their_limit),
		cmocka_unit_test(wrong_answers_to_steps_are_told),
		cmocka_unit_test(an_access_kept_too_long_says_so),
		cmocka_unit_test(coroutines_live_across_callbacks),
		cmocka_unit_test(a_cut_coroutine_stays_dead),
		cmocka_unit_test(scripts_that_cannot_be_loaded),
		cmocka_unit_test(a_script_that_is_not_there_is_told),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buf_fini(&printed);
	return failed;
}
