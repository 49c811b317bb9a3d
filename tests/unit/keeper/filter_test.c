/* SPDX-License-Identifier: MIT */
#include "keeper/filter.h"

#include <errno.h>
#include <string.h>

#include "tests/support/tests.h"

static const uint8_t five[8] = { 5 }, six[8] = { 6 };

static struct access store(void)
{
	return (struct access){
		.kind = ACCESS_STORE,
		.size = 4,
		.old_bytes = five,
		.new_bytes = six,
		.kept_count = 4,
		.process_name = "ring.elf",
		.ip = 0x401000,
	};
}

static bool matches(const char *text, struct access access)
{
	struct filter filter;
	struct error err = { 0 };

	if (filter_parse(text, NULL, 0, &filter, &err))
		fail_msg("%s", err.text);
	return filter_matches(&filter, &access);
}

static void each_condition_decides(void **state)
{
	static const struct {
		const char *text;
		bool want;
	} cases[] = {
		{ "", true },
		{ "store", true },
		{ "load", false },
		{ "load store", true },
		{ "size=4", true },
		{ "size=8", false },
		{ "value=6", true },
		{ "value=0x6", true },
		{ "value=5", false },
		{ "value!=5", true },
		{ "value!=6", false },
		{ "value<7", true },
		{ "value<6", false },
		{ "value>5", true },
		{ "value>6", false },
		{ "changed", true },
		{ "process=ring", true },
		{ "process=ring.elf", true },
		{ "process=rin", false },
		{ "store size=4 value=6 process=ring", true },
		{ "store,size=4,value=7", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (matches(cases[i].text, store()) != cases[i].want)
			fail_msg("`%s'", cases[i].text);
}

static void a_load_is_compared_by_what_it_loads(void **state)
{
	struct access a = store();

	(void)state;
	a.kind = ACCESS_LOAD;
	a.new_bytes = NULL;
	assert_true(matches("value=5", a));
	assert_false(matches("changed", a));
}

static void wide_accesses_match_no_number(void **state)
{
	struct access a = store();
	uint8_t wide[16] = { 6 };

	(void)state;
	a.size = 16;
	a.kept_count = 16;
	a.old_bytes = a.new_bytes = wide;
	assert_false(matches("value=6", a));
	assert_false(matches("changed", a));
}

static void every_nth_of_those_that_match(void **state)
{
	struct filter filter;
	struct access a = store(), other = store();
	struct error err;
	int hits = 0;

	(void)state;
	other.size = 8;
	assert_int_equal(
		filter_parse("size=4 every=3", NULL, 0, &filter, &err), 0);
	for (int i = 1; i <= 9; i++) {
		assert_false(filter_matches(&filter, &other));
		if (filter_matches(&filter, &a)) {
			hits++;
			assert_int_equal(i % 3, 0);
		}
	}
	assert_int_equal(hits, 3);
}

static void an_ip_range_has_both_ends(void **state)
{
	struct filter filter = { .ip_first = 0x401000, .ip_last = 0x40100f };
	struct access a = store();

	(void)state;
	assert_true(filter_matches(&filter, &a));
	a.ip = 0x40100f;
	assert_true(filter_matches(&filter, &a));
	a.ip = 0x401010;
	assert_false(filter_matches(&filter, &a));
	a.ip = 0x400fff;
	assert_false(filter_matches(&filter, &a));
}

static void wrong_conditions_are_named(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "lode", "`lode' is not known" },
		{ "size=0", "no access is so large" },
		{ "size=x", "`x' is not a number" },
		{ "size=-1", "`-1' is not a number" },
		{ "value~5", "compared with" },
		{ "every=0", "every which" },
		{ "process=", "1 to 31 characters" },
		{ "ip=nowhere", "condition `ip=nowhere'" },
		{ "value=99999999999999999999", "is not a number" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter filter;
		struct error err = { 0 };

		assert_true(
			filter_parse(cases[i].text, NULL, 0, &filter, &err) <
			0);
		if (!strstr(err.text, cases[i].says))
			fail_msg("%s: %s", cases[i].text, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_condition_decides),
		cmocka_unit_test(a_load_is_compared_by_what_it_loads),
		cmocka_unit_test(wide_accesses_match_no_number),
		cmocka_unit_test(every_nth_of_those_that_match),
		cmocka_unit_test(an_ip_range_has_both_ends),
		cmocka_unit_test(wrong_conditions_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
