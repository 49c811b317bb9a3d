/* SPDX-License-Identifier: MIT */
/* What a script sees and can answer. How it can go wrong: script_misuse_test.c */
#include "keeper/script.h"

#include <errno.h>

#include "tests/unit/keeper/fake_image.h"
#include "tests/unit/keeper/script_support.h"

static void without_callbacks_everything_passes(void **state)
{
	struct asked q;

	(void)state;
	asked_init(&q, script_of_text("x = 1"), ACCESS_LOAD);
	for (int kind = 0; kind < ACCESS_KIND_MAX; kind++) {
		q.access.kind = (enum access_kind)kind;
		ask(&q);
		assert_int_equal(q.status, KEEPER_OK);
		assert_int_equal(q.verdict.kind, VERDICT_PASS);
	}
	keeper_destroy(q.keeper);
}

static void each_kind_has_its_callback(void **state)
{
	static const char *const want[ACCESS_KIND_MAX] = { "load load\n",
		"store store\n", "rmw rmw\n", "fetch fetch\n",
		"load ipc_src\n", "store ipc_dst\n", "load syscall_load\n",
		"store syscall_store\n" };
	struct asked q;

	(void)state;
	asked_init(&q,
		script_of_text("function load(a) print('load', a.kind) end "
			       "function store(a) print('store', a.kind) end "
			       "function rmw(a) print('rmw', a.kind) end "
			       "function fetch(a) print('fetch', a.kind) "
			       "end"),
		ACCESS_LOAD);
	for (int kind = 0; kind < ACCESS_KIND_MAX; kind++) {
		char tabbed[64];

		buf_reset(&printed);
		q.access.kind = (enum access_kind)kind;
		ask(&q);
		strcpy(tabbed, want[kind]);
		*strchr(tabbed, ' ') = '\t';
		assert_string_equal(buf_str(&printed), tabbed);
	}
	keeper_destroy(q.keeper);
}

static void an_access_has_its_fields(void **state)
{
	static const char script[] =
		"function store(a)\n"
		"assert(a.seq == 17 and a.kind == 'store')\n"
		"assert(a.address == 0x404010 and a.offset == 0x10)\n"
		"assert(a.size == 8 and a.old == 5 and a.new == 6)\n"
		"assert(a.value == 6 and a.atomic == false)\n"
		"assert(a.process == 'count' and a.pid == 3 and a.cpu == 1)\n"
		"assert(a.ip == 0x401000 and a.symbol == 'p3+0x401000')\n"
		"assert(a.line == 'ring.c:41' and a.text == 'insn of 3')\n"
		"assert(a.bytes == '\\x48\\x89\\x05' and a.range == 'counter')\n"
		"assert(a.old_bytes == '\\5\\0\\0\\0\\0\\0\\0\\0')\n"
		"assert(a.new_bytes == '\\6\\0\\0\\0\\0\\0\\0\\0')\n"
		"assert(a.kept_first == 0 and a.kept_count == 8)\n"
		"assert(a.lanes == nil)\n"
		"local c = a:copy()\n"
		"assert(type(c) == 'table' and c.new == 6)\n"
		"local n = 0 for k, v in pairs(a) do n = n + 1\n"
		"  assert(a[k] == v) end\n"
		"assert(n == 22, n)\n"
		"assert(tostring(a):find('counter+0x10 8', 1, true))\n"
		"assert(hex(255) == '0xff' and hex(-1) == "
		"'0xffffffffffffffff')\n"
		"assert(hex('\\1\\xff') == '01ff')\n"
		"assert(symbol(4) == 'p3+0x4' and symbol(4, 9) == 'p9+0x4')\n"
		"assert(line(4) == nil and line(0x401000) == 'ring.c:41')\n"
		"done = true end\n"
		"function load(a) assert(done and a.new == nil)\n"
		"assert(a.value == 5 and a.new_bytes == nil)\n"
		"assert(a.line == nil) return stop end";
	struct asked q;

	(void)state;
	asked_init(&q, script_of_text(script), ACCESS_STORE);
	ask(&q);
	assert_string_equal(q.err.text, "");
	asked_init(&q, q.keeper, ACCESS_LOAD);
	q.access.ip = 0x401001;
	ask(&q);
	assert_string_equal(q.err.text, "");
	assert_int_equal(q.verdict.kind, VERDICT_STOP);
	keeper_destroy(q.keeper);
}

static void wide_and_odd_values_and_lanes(void **state)
{
	static const struct access_lane lanes[] = {
		{ 0x404010, 8, 0 },
		{ 0x404030, 8, 8 },
	};
	static const char script[] =
		"function store(a) if a.size == 16 then\n"
		"assert(a.new == '\\6' .. ('\\0'):rep(15))\n"
		"assert(#a.lanes == 2 and a.lanes[2].address == 0x404030)\n"
		"assert(a.lanes[2].size == 8 and a.lanes[2].at == 8)\n"
		"elseif a.size == 3 then assert(a.new == 0xff0006)\n"
		"else assert(a.new == -1 and hex(a.new) == "
		"'0xffffffffffffffff') end return stop end";
	struct asked q;

	(void)state;
	asked_init(&q, script_of_text(script), ACCESS_STORE);
	q.access.size = 16;
	q.access.lanes = lanes;
	q.access.lane_count = 2;
	ask(&q);
	assert_string_equal(q.err.text, "");
	q.access.size = 3;
	q.new[2] = 0xff;
	ask(&q);
	assert_string_equal(q.err.text, "");
	q.access.size = 8;
	memset(q.new, 0xff, 8);
	ask(&q);
	assert_string_equal(q.err.text, "");
	assert_int_equal(q.verdict.kind, VERDICT_STOP);
	keeper_destroy(q.keeper);
}

static void every_verdict_can_be_answered(void **state)
{
	static const struct {
		const char *answer;
		enum access_kind kind;
		enum verdict_kind want;
		const char *reason;
	} cases[] = {
		{ "", ACCESS_STORE, VERDICT_PASS, "" },
		{ "return", ACCESS_STORE, VERDICT_PASS, "" },
		{ "return nil", ACCESS_STORE, VERDICT_PASS, "" },
		{ "return pass", ACCESS_STORE, VERDICT_PASS, "" },
		{ "return pass()", ACCESS_LOAD, VERDICT_PASS, "" },
		{ "return absorb", ACCESS_STORE, VERDICT_ABSORB, "" },
		{ "return absorb()", ACCESS_RMW, VERDICT_ABSORB, "" },
		{ "return deny", ACCESS_LOAD, VERDICT_DENY, "" },
		{ "return deny()", ACCESS_FETCH, VERDICT_DENY, "" },
		{ "return deny('no ' .. a.kind)", ACCESS_LOAD, VERDICT_DENY,
			"no load" },
		{ "return step", ACCESS_RMW, VERDICT_STEP, "" },
		{ "return step()", ACCESS_LOAD, VERDICT_STEP, "" },
		{ "return stop", ACCESS_LOAD, VERDICT_STOP, "" },
		{ "return stop('enough')", ACCESS_LOAD, VERDICT_STOP,
			"enough" },
		{ "return stop(('x'):rep(500))", ACCESS_LOAD, VERDICT_STOP,
			NULL },
		{ "local p = serve(7); serve(8); return p", ACCESS_LOAD,
			VERDICT_SERVE, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char script[256];
		struct asked q;

		snprintf(script, sizeof(script),
			"function load(a) %s end store = load rmw = load "
			"fetch = load", cases[i].answer);
		asked_init(&q, script_of_text(script), cases[i].kind);
		ask(&q);
		if (q.status || q.verdict.kind != cases[i].want)
			fail_msg("%s: %s %s", cases[i].answer,
				verdict_name(q.verdict.kind), q.err.text);
		if (cases[i].reason)
			assert_string_equal(
				q.verdict.reason, cases[i].reason);
		else
			assert_int_equal(strlen(q.verdict.reason), 127);
		assert_int_equal(q.verdict.fault.vector, ARCH_VECTOR_PF);
		keeper_destroy(q.keeper);
	}
}

static void served_values_become_bytes(void **state)
{
	static const struct {
		const char *value;
		uint32_t size;
		uint64_t want;
	} cases[] = {
		{ "7", 8, 7 },
		{ "-1", 8, UINT64_MAX },
		{ "0x1122334455667788", 8, 0x1122334455667788 },
		{ "255", 1, 0xff },
		{ "-128", 1, 0x80 },
		{ "0xffffffff", 4, 0xffffffff },
		{ "-1", 4, 0xffffffff },
		{ "3.0", 4, 3 },
		{ "0xffffff", 3, 0xffffff },
		{ "'\\1\\2\\3\\4'", 4, 0x04030201 },
		{ "a.old + 1", 8, 6 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char script[256];
		uint64_t got = 0;
		struct asked q;

		snprintf(script, sizeof(script),
			"function load(a) return serve(%s) end",
			cases[i].value);
		asked_init(&q, script_of_text(script), ACCESS_LOAD);
		q.access.size = cases[i].size;
		ask(&q);
		assert_string_equal(q.err.text, "");
		assert_int_equal(q.verdict.kind, VERDICT_SERVE);
		memcpy(&got, q.value, cases[i].size);
		assert_int_equal(got, cases[i].want);
		assert_int_equal(q.value[cases[i].size], 0);
		keeper_destroy(q.keeper);
	}
}

static void a_wide_serve_is_a_string(void **state)
{
	struct asked q;

	(void)state;
	asked_init(&q,
		script_of_text("local v = serve(('\\xab'):rep(16))\n"
			       "function load(a) return v end"),
		ACCESS_LOAD);
	q.access.size = 16;
	ask(&q);
	assert_int_equal(q.verdict.kind, VERDICT_SERVE);
	assert_int_equal(q.value[0], 0xab);
	assert_int_equal(q.value[15], 0xab);
	assert_int_equal(q.value[16], 0);
	keeper_destroy(q.keeper);
}

static void deny_can_name_the_fault(void **state)
{
	struct asked q;

	(void)state;
	asked_init(&q,
		script_of_text("function load(a) return deny('no', 'gp') end "
			       "function store(a) return deny('no', 'pf') "
			       "end"),
		ACCESS_LOAD);
	ask(&q);
	assert_int_equal(q.verdict.fault.vector, ARCH_VECTOR_GP);
	assert_int_equal(q.verdict.fault.error_code, 0);
	asked_init(&q, q.keeper, ACCESS_STORE);
	ask(&q);
	assert_int_equal(q.verdict.fault.vector, ARCH_VECTOR_PF);
	assert_int_equal(q.verdict.fault.address, 0x404010);
	keeper_destroy(q.keeper);
}

static void stepped_sees_the_step_and_answers(void **state)
{
	static const uint8_t old[] = { 5, 0, 0, 0, 9, 0, 0, 0 };
	static const uint8_t new[] = { 6, 0, 0, 0, 10, 0, 0, 0 };
	static const uint8_t wide[32] = { 1 };
	const struct step_piece two[] = {
		{ 0x14, 4, ACCESS_LOAD, old + 4, NULL },
		{ 0x10, 4, ACCESS_RMW, old, new },
	};
	const struct step_piece one[] = {
		{ 0x10, 32, ACCESS_STORE, wide, wide },
	};
	const struct step_piece gap[] = {
		{ 0x10, 1, ACCESS_STORE, old, new },
		{ 0x12, 1, ACCESS_STORE, old, new },
	};
	struct step_report report = {
		.next_ip = 0x401003,
		.times = 1,
		.pieces = two,
		.count = 2,
	};
	struct asked q;

	(void)state;
	asked_init(&q,
		script_of_text(
			"function stepped(a, s)\n"
			"assert(a.seq == 17)\n"
			"if s.times == 1 then\n"
			"assert(s.old == 0x900000005 and s.new == "
			"0x900000006)\n"
			"assert(s.next_ip == 0x401003 and s.fault == nil)\n"
			"assert(#s.pieces == 2 and s.pieces[1].kind == "
			"'load')\n"
			"assert(s.pieces[1].new == nil and s.pieces[2].new "
			"== 6)\n"
			"assert(s.pieces[2].offset == 0x10)\n"
			"return step\n"
			"elseif s.times == 2 then assert(#s.old == 32)\n"
			"return rollback\n"
			"elseif s.times == 3 then\n"
			"assert(s.old == nil and s.new == nil)\n"
			"assert(s.fault.vector == 14 and "
			"s.fault.address == 0x1234) return continue()\n"
			"elseif s.times == 4 then assert(s.old == nil)\n"
			"return deny('never')\n"
			"elseif s.times == 5 then return pass\n"
			"end end"),
		ACCESS_RMW);
	ask_stepped(&q, &report);
	assert_string_equal(q.err.text, "");
	assert_int_equal(q.verdict.kind, VERDICT_STEP);
	report.times = 2;
	report.pieces = one;
	report.count = 1;
	ask_stepped(&q, &report);
	assert_string_equal(q.err.text, "");
	assert_int_equal(q.verdict.kind, VERDICT_ROLLBACK);
	report.times = 3;
	report.pieces = gap;
	report.count = 2;
	report.faulted = true;
	report.fault = (struct arch_fault){ ARCH_VECTOR_PF, 2, 0x1234 };
	ask_stepped(&q, &report);
	assert_string_equal(q.err.text, "");
	assert_int_equal(q.verdict.kind, VERDICT_CONTINUE);
	report.times = 4;
	report.count = 0;
	ask_stepped(&q, &report);
	assert_int_equal(q.verdict.kind, VERDICT_DENY);
	assert_string_equal(q.verdict.reason, "never");
	for (report.times = 5; report.times < 7; report.times++) {
		ask_stepped(&q, &report);
		assert_int_equal(q.verdict.kind, VERDICT_CONTINUE);
	}
	keeper_destroy(q.keeper);
}

static void a_range_can_have_callbacks_of_its_own(void **state)
{
	static const char script[] =
		"keep 'counter'\n"
		"keep{ 'counts+0+8', 'counts+8+8', name = 'mine',\n"
		"  default = 'deny', load = function(a) return stop end }\n"
		"keep{ 'device:uart+0x100', default = deny,\n"
		"  store = function(a) return absorb end }\n"
		"function load(a) return deny end\n"
		"function store(a) return deny end\n";
	static const enum verdict_kind loads[] = { VERDICT_DENY, VERDICT_STOP,
		VERDICT_STOP, VERDICT_DENY };
	static const enum verdict_kind stores[] = { VERDICT_DENY, VERDICT_DENY,
		VERDICT_DENY, VERDICT_ABSORB };
	struct range_set *set = range_set_create();
	struct range *given;
	struct error err;
	struct asked q;

	(void)state;
	asked_init(&q, script_of_text(script), ACCESS_LOAD);
	/* One from the command line comes before the script's. */
	assert_int_equal(range_set_add(set, "0x500000+8", fake_images, 2,
				 q.keeper, VERDICT_PASS, &given, &err),
		0);
	assert_int_equal(
		script_add_ranges(q.keeper, set, fake_images, 2, &err), 0);
	assert_int_equal(range_set_count(set), 5);
	assert_string_equal(range_set_get(set, 1)->name, "counter");
	assert_string_equal(range_set_get(set, 2)->name, "mine");
	assert_int_equal(range_set_get(set, 1)->links[0].fallback, VERDICT_PASS);
	assert_int_equal(range_set_get(set, 2)->links[0].fallback, VERDICT_DENY);
	assert_int_equal(range_set_get(set, 3)->address, 0x404028);
	assert_true(range_set_get(set, 4)->device);
	assert_ptr_equal(range_set_get(set, 4)->links[0].keeper, q.keeper);
	for (uint32_t i = 1; i < 5; i++) {
		asked_init(&q, q.keeper, ACCESS_LOAD);
		q.access.range = i;
		ask(&q);
		assert_int_equal(q.verdict.kind, loads[i - 1]);
		asked_init(&q, q.keeper, ACCESS_STORE);
		q.access.range = i;
		ask(&q);
		assert_int_equal(q.verdict.kind, stores[i - 1]);
	}
	range_set_destroy(set);
	keeper_destroy(q.keeper);
}

static void a_range_that_cannot_be_is_told_with_its_line(void **state)
{
	struct range_set *set = range_set_create();
	struct keeper *keeper = script_of_text("\n\nkeep 'cuonter'");
	struct error err;

	(void)state;
	assert_int_equal(
		script_add_ranges(keeper, set, fake_images, 2, &err), -ENOENT);
	assert_non_null(strstr(err.text, ":3: keep: range 'cuonter': "));
	range_set_destroy(set);
	keeper_destroy(keeper);
}

static void start_and_finish_are_called(void **state)
{
	struct stats *stats = stats_create();
	struct stats_numbers numbers = { .page_mates = 4, .checked = true };
	struct error err = { 0 };
	struct asked q;

	(void)state;
	buf_reset(&printed);
	asked_init(&q,
		script_of_text(
			"function start() print('start', n) n = 1 end\n"
			"function finish(s) print(s.accesses, s.load, "
			"s.store, s.outcomes.pass, s.page_mates, s.missed)\n"
			"local i = s.instructions[1]\n"
			"print(#s.instructions, i.symbol, i.line, i.text, "
			"i.count, i.process, i.first, i.last, i.load) end"),
		ACCESS_LOAD);
	for (int i = 0; i < 3; i++) {
		stats_count(stats, &q.access, OUTCOME_PASS);
		q.access.seq++;
	}
	script_set_summary(q.keeper, stats, &numbers);
	assert_int_equal(keeper_start(q.keeper, &err), KEEPER_OK);
	assert_int_equal(keeper_finish(q.keeper, &err), KEEPER_OK);
	assert_string_equal(err.text, "");
	assert_string_equal(buf_str(&printed),
		"start\tnil\n3\t3\t0\t3\t4\t0\n"
		"1\tp3+0x401000\tring.c:41\tinsn of 3\t3\tcount\t17\t19\t3\n");
	keeper_destroy(q.keeper);
	stats_destroy(stats);
}

static void memory_can_be_read_and_written(void **state)
{
	struct asked q;

	(void)state;
	memcpy(memory, "hello", 5);
	asked_init(&q,
		script_of_text("function load(a)\n"
			       "assert(read(0x1000, 5) == 'hello')\n"
			       "assert(#read(0x1000, 100) == 64)\n"
			       "assert(read(0x2000, 4) == nil)\n"
			       "assert(read(0x1000, 0) == '')\n"
			       "assert(write(0x1000, 'J') == 1)\n"
			       "assert(write(0x2000, 'J') == 0)\n"
			       "end"),
		ACCESS_LOAD);
	ask(&q);
	assert_string_equal(q.err.text, "");
	assert_memory_equal(memory, "Jello", 5);
	keeper_destroy(q.keeper);
}

static void print_writes_one_line_at_once(void **state)
{
	struct keeper *keeper;

	(void)state;
	buf_reset(&printed);
	keeper = script_of_text(
		"print() print(1, 2.5, nil, true, 'a\\0b') "
		"print(setmetatable({}, {__tostring = function() "
		"return 'x' end}))");
	assert_int_equal(printed.len, 22);
	assert_memory_equal(
		buf_str(&printed), "\n1\t2.5\tnil\ttrue\ta\0b\nx\n", 22);
	keeper_destroy(keeper);
}

static void a_trusted_script_has_everything(void **state)
{
	struct keeper *keeper = NULL;
	struct error err = { 0 };
	struct asked q;

	(void)state;
	assert_int_equal(
		script_from("assert(io and os and require and debug and "
			    "string.dump and load('return 1')() == 1)",
			(struct script_options){ .trusted = true }, &keeper,
			&err),
		0);
	/* Lua's own load() is not the user's callback. */
	asked_init(&q, keeper, ACCESS_LOAD);
	ask(&q);
	assert_string_equal(q.err.text, "");
	assert_int_equal(q.verdict.kind, VERDICT_PASS);
	keeper_destroy(keeper);
	assert_int_equal(script_from("function load(a) return stop end",
				 (struct script_options){ .trusted = true },
				 &q.keeper, &err),
		0);
	ask(&q);
	assert_int_equal(q.verdict.kind, VERDICT_STOP);
	keeper_destroy(q.keeper);
}

static void the_same_random_numbers_in_every_run(void **state)
{
	(void)state;
	buf_reset(&printed);
	for (int i = 0; i < 2; i++)
		keeper_destroy(script_of_text(
			"print(math.random(1, 1 << 60))"));
	assert_memory_equal(printed.data, printed.data + printed.len / 2,
		printed.len / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_callbacks_everything_passes),
		cmocka_unit_test(each_kind_has_its_callback),
		cmocka_unit_test(an_access_has_its_fields),
		cmocka_unit_test(wide_and_odd_values_and_lanes),
		cmocka_unit_test(every_verdict_can_be_answered),
		cmocka_unit_test(served_values_become_bytes),
		cmocka_unit_test(a_wide_serve_is_a_string),
		cmocka_unit_test(deny_can_name_the_fault),
		cmocka_unit_test(stepped_sees_the_step_and_answers),
		cmocka_unit_test(a_range_can_have_callbacks_of_its_own),
		cmocka_unit_test(a_range_that_cannot_be_is_told_with_its_line),
		cmocka_unit_test(start_and_finish_are_called),
		cmocka_unit_test(memory_can_be_read_and_written),
		cmocka_unit_test(print_writes_one_line_at_once),
		cmocka_unit_test(a_trusted_script_has_everything),
		cmocka_unit_test(the_same_random_numbers_in_every_run),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buf_fini(&printed);
	return failed;
}
