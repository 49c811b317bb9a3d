/* SPDX-License-Identifier: MIT */
/* keep() and its handles, conditions and resume(), with a session made up
 * here. */
#include <errno.h>

#include "tests/unit/keeper/fake_image.h"
#include "tests/unit/keeper/script_support.h"

static struct range_set *set;
static unsigned kept, released, revoked;
static int keep_result;
static struct verdict resumed;
static uint64_t resumed_seq, resumed_value;
static int resume_result;

static int do_keep(void *ctx, struct range *range, struct error *err)
{
	(void)ctx;
	(void)range;
	kept++;
	return keep_result ? error_set(err, keep_result, "no room") : 0;
}

static bool do_release(void *ctx, struct range *range, struct keeper *keeper)
{
	(void)ctx;
	released++;
	if (!range_set_leave(set, range, keeper))
		return false;
	range_set_settle(set, range);
	return true;
}

static int do_revoke(void *ctx, struct range *range)
{
	(void)ctx;
	(void)range;
	revoked++;
	return 0;
}

static size_t do_held_size(void *ctx, uint64_t seq)
{
	(void)ctx;
	return seq == 7 ? 4 : 0;
}

static int do_resume(void *ctx, uint64_t seq, const struct verdict *verdict,
	const uint8_t *value, size_t size)
{
	(void)ctx;
	resumed = *verdict;
	resumed_seq = seq;
	resumed_value = 0;
	memcpy(&resumed_value, value, size);
	return resume_result;
}

static struct keeper *open_script(const char *text)
{
	const struct script_options options = {
		.keep = do_keep,
		.release = do_release,
		.revoke = do_revoke,
		.held_size = do_held_size,
		.resume = do_resume,
	};
	struct keeper *keeper;
	struct error err = { 0 };

	if (script_from(text, options, &keeper, &err) ||
		script_add_ranges(keeper, set, fake_images, 2, &err))
		fail_msg("%s", err.text);
	return keeper;
}

static int setup(void **state)
{
	(void)state;
	set = range_set_create();
	kept = released = revoked = 0;
	keep_result = resume_result = 0;
	buf_reset(&printed);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	range_set_destroy(set);
	buf_fini(&printed);
	return 0;
}

/* Once more from the start. */
static void renew(void)
{
	range_set_destroy(set);
	setup(NULL);
}

/* The body of store(a) must raise nothing; what it printed. */
static const char *run_body(const char *body)
{
	char script[2048];
	struct asked q;

	snprintf(script, sizeof(script),
		"k = keep 'counter'\nfunction store(a)\n%s\nend", body);
	asked_init(&q, open_script(script), ACCESS_STORE);
	ask(&q);
	if (q.status != KEEPER_OK)
		fail_msg("%s: %s", body, q.err.text);
	keeper_destroy(q.keeper);
	return buf_str(&printed);
}

static void a_handle_tells_about_its_range(void **state)
{
	(void)state;
	assert_string_equal(
		run_body("print(k, k.name, k.length, k.address ~= nil, k.kept, "
			 "k.asked, k.filtered)"),
		"counter\tcounter\t8\ttrue\ttrue\t0\t0\n");
}

static void a_handle_outlives_its_range(void **state)
{
	(void)state;
	assert_string_equal(
		run_body("print(k:release(), k:release(), k, k.name, k.length, "
			 "k.kept, k:revoke())"),
		"true\tfalse\tcounter (released)\tcounter\t8\tfalse\n");
	assert_int_equal(released, 1);
	assert_int_equal(revoked, 0);
}

static void a_range_released_is_not_the_scripts_any_more(void **state)
{
	struct asked q;

	(void)state;
	asked_init(&q,
		open_script("local k = keep 'counter'\n"
			    "function store(a) print 'asked' k:release() end"),
		ACCESS_STORE);
	ask(&q);
	/* It waited for the script while that let go. */
	ask(&q);
	assert_int_equal(q.status, KEEPER_OK);
	assert_int_equal(q.verdict.kind, VERDICT_PASS);
	assert_string_equal(buf_str(&printed), "asked\n");
	keeper_destroy(q.keeper);
}

static void ranges_are_kept_in_callbacks(void **state)
{
	(void)state;
	assert_string_equal(
		run_body("local x, y = keep{ 'counts+0+8', 'counts+8+8', "
			 "name = 'n' }\n"
			 "print(x.name, y.length, x ~= y)\n"
			 "print(x:release(), keep('counts+0+8').name)"),
		"n\t8\ttrue\ntrue\tcounts+0+8\n");
	assert_int_equal(kept, 3);
	/* The same range as before. */
	assert_int_equal(range_set_count(set), 3);
}

static void all_ranges_of_a_keep_are_kept_or_none(void **state)
{
	(void)state;
	assert_non_null(strstr(
		run_body("print(pcall(keep, { 'counts+0+8', 'counts+4+8' }))\n"
			 "print(keep('counts+4+8').kept)"),
		"overlaps range"));
	assert_non_null(strstr(buf_str(&printed), "\ntrue\n"));
	assert_int_equal(released, 1);
}

static void what_the_session_refuses_is_an_error(void **state)
{
	(void)state;
	keep_result = -ENODEV;
	assert_string_equal(
		run_body("print((select(2, pcall(keep, 'counts')):gsub('^.*: k', "
			 "'k')))\nprint(pcall(keep, 'counts+0+8'))"),
		"keep: no room\nfalse\tkeep: no room\n");
	assert_int_equal(released, 2);
}

static void a_thousand_rounds_need_no_more_memory(void **state)
{
	(void)state;
	run_body("for i = 1, 1000 do local k = keep{ 'counts', load = print, "
		 "when = 'store every=2' } k:release() end");
	assert_int_equal(kept, 1000);
	assert_int_equal(range_set_count(set), 2);
}

static void a_range_dropped_while_loading_never_is_one(void **state)
{
	struct keeper *keeper;

	(void)state;
	keeper = open_script("local k = keep 'counts'\n"
			     "assert(k.length == nil and k.name == 'counts')\n"
			     "assert(k:release() and not k.kept)\n"
			     "pcall(keep, { 'counter', bad = 1 })");
	assert_int_equal(range_set_count(set), 0);
	assert_int_equal(released, 0);
	keeper_destroy(keeper);
}

static void conditions_are_texts_or_tables(void **state)
{
	static const char *const whens[] = { "'store value>5 every=10'",
		"{ kind = 'store', value = { '>', 5 }, every = 10 }",
		"{ kind = { 'store' }, value = { '>', '5' }, every = '0xa' }" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const struct filter *filter;
		struct keeper *keeper;
		char script[128];

		renew();
		snprintf(script, sizeof(script),
			"keep{ 'counter', when = %s }", whens[i]);
		keeper = open_script(script);
		filter = range_set_get(set, 0)->links[0].filter;
		assert_non_null(filter);
		assert_int_equal(filter->kinds, 1u << ACCESS_STORE);
		assert_int_equal(filter->compare, FILTER_GREATER);
		assert_int_equal(filter->value, 5);
		assert_int_equal(filter->every, 10);
		keeper_destroy(keeper);
	}
}

static void resume_gives_a_verdict_to_what_is_held(void **state)
{
	(void)state;
	assert_string_equal(run_body("print(resume(7), resume(8))"),
		"true\tfalse\n");
	assert_int_equal(resumed.kind, VERDICT_PASS);
	buf_reset(&printed);
	renew();
	run_body("resume(7, serve(-1))");
	assert_int_equal(resumed_seq, 7);
	assert_int_equal(resumed.kind, VERDICT_SERVE);
	assert_int_equal(resumed_value, 0xffffffff);
	renew();
	run_body("resume(7, deny('no', 'gp'))");
	assert_int_equal(resumed.kind, VERDICT_DENY);
	assert_int_equal(resumed.fault.vector, ARCH_VECTOR_GP);
	assert_string_equal(resumed.reason, "no");
	renew();
	run_body("resume(7, grant('all', 'r'))");
	assert_int_equal(resumed.kind, VERDICT_GRANT);
	assert_int_equal(resumed.grant, GRANT_ALL);
	assert_false(resumed.grant_writes);
}

static void an_access_that_is_gone_is_no_error(void **state)
{
	(void)state;
	resume_result = -ENOENT;
	assert_string_equal(run_body("print(resume(7))"), "false\n");
}

/* ---- misuse: each a sentence, and nothing done ---- */

static const struct {
	const char *body, *sentence;
} misuses[] = {
	{ "keep()", "keep wants one string or one table" },
	{ "keep(5)", "keep: a range must be a string, not number" },
	{ "keep('a', 'b')", "keep wants one string or one table" },
	{ "keep{}", "no range in the table" },
	{ "keep{ 'counts', 5 }", "a range must be a string, not number" },
	{ "keep(k)", "a range must be a string, not userdata" },
	{ "keep 'cuonts'", "no symbol 'cuonts'" },
	{ "keep(('x'):rep(1 << 20))", "keep: range" },
	{ "keep 'counts\\0x'", "has a NUL character" },
	{ "keep 'counter'", "is given twice" },
	{ "keep{ 'counts', frobnicate = 1 }", "unknown key 'frobnicate'" },
	{ "keep{ 'counts', load = 5 }", "load must be a function" },
	{ "keep{ 'counts', name = ('x'):rep(200) }", "name is longer" },
	{ "keep{ 'counts', when = 5 }", "when must be a string" },
	{ "keep{ 'counts', when = 'sometimes' }", "`sometimes' is not known" },
	{ "keep{ 'counts', when = 'every=0' }", "every which?" },
	{ "keep{ 'counts', when = { kind = 'stare' } }", "`stare' is not" },
	{ "keep{ 'counts', when = { colour = 1 } }", "unknown key 'colour'" },
	{ "keep{ 'counts', when = { 'store' } }", "unknown key '?'" },
	{ "keep{ 'counts', when = { size = {} } }",
		"size must be a string or an integer, not table" },
	{ "keep{ 'counts', when = { process = 'a every=2' } }",
		"process must be one word" },
	{ "keep{ 'counts', when = { value = { '~', 5 } } }", "compared with" },
	{ "keep{ 'counts', when = { value = {} } }", "value must be a string" },
	{ "k.name = 'x'", "a kept range cannot be changed" },
	{ "return k.nothing", "a kept range has no field 'nothing'" },
	{ "k.release()", "bad argument #1" },
	{ "k.release(a)", "bad argument #1" },
	{ "k.release({})", "bad argument #1" },
	{ "k.revoke(pass)", "bad argument #1" },
	{ "return k", "not keep" },
	{ "getmetatable(k).__index = 1", ":3: " },
	{ "resume(7, serve)", "serve needs a value" },
	{ "resume(7, serve(1 << 32))", "does not fit into 4 bytes" },
	{ "resume(7, serve('abc'))", "a string of 3 bytes for an access of 4" },
};

static void misuse_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++) {
		char script[512];
		struct asked q;

		renew();
		snprintf(script, sizeof(script),
			"k = keep 'counter'\nfunction store(a)\n%s\nend",
			misuses[i].body);
		asked_init(&q, open_script(script), ACCESS_STORE);
		ask(&q);
		if (q.status != KEEPER_ERROR ||
			!strstr(q.err.text, misuses[i].sentence))
			fail_msg("%s: %s", misuses[i].body, q.err.text);
		assert_int_equal(released, kept);
		keeper_destroy(q.keeper);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_handle_tells_about_its_range),
		TEST(a_handle_outlives_its_range),
		TEST(a_range_released_is_not_the_scripts_any_more),
		TEST(ranges_are_kept_in_callbacks),
		TEST(all_ranges_of_a_keep_are_kept_or_none),
		TEST(what_the_session_refuses_is_an_error),
		TEST(a_thousand_rounds_need_no_more_memory),
		TEST(a_range_dropped_while_loading_never_is_one),
		TEST(conditions_are_texts_or_tables),
		TEST(resume_gives_a_verdict_to_what_is_held),
		TEST(an_access_that_is_gone_is_no_error),
		TEST(misuse_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
