/* SPDX-License-Identifier: MIT */
#include "tests/unit/keeper/builtin_program.h"

static enum verdict_kind answer(
	struct keeper *keeper, enum access_kind kind, uint64_t ip)
{
	struct access access = touch_at(kind, COUNTER, 0, 8, ip);
	uint8_t value[64];

	return ask_access(keeper, &access, value).kind;
}

static void stores_are_denied_and_loads_are_not(void **state)
{
	struct keeper *freeze = make("freeze", "counter", NULL);

	(void)state;
	assert_int_equal(answer(freeze, ACCESS_LOAD, 0x401000), VERDICT_PASS);
	assert_int_equal(answer(freeze, ACCESS_FETCH, 0x401000), VERDICT_PASS);
	assert_int_equal(findings, 0);
	assert_int_equal(answer(freeze, ACCESS_STORE, 0x401000), VERDICT_DENY);
	has_found("freeze: store to it denied (0x0 -> 0x807060504030201) by "
		  "count.elf#1 at 0x401000\n");
	assert_int_equal(answer(freeze, ACCESS_RMW, 0x401010), VERDICT_DENY);
	assert_int_equal(
		answer(freeze, ACCESS_SYSCALL_STORE, 0x401020), VERDICT_DENY);
	assert_int_equal(findings, 3);
	finish_keeper(freeze);
	assert_int_equal(findings, 3);
}

static void each_place_is_told_once(void **state)
{
	struct keeper *freeze = make("freeze", "counter", NULL);

	(void)state;
	caller = 0x401500;
	answer(freeze, ACCESS_STORE, 0x401000);
	answer(freeze, ACCESS_STORE, 0x401000);
	assert_int_equal(findings, 1);
	has_found("    #1 0x4014ff\n");
	caller = 0x401600;
	answer(freeze, ACCESS_STORE, 0x401000);
	assert_int_equal(findings, 2);
	finish_keeper(freeze);
	has_found("freeze: counter: 3 stores from 2 places\n");
}

static void pass_only_tells(void **state)
{
	struct keeper *freeze = make("freeze", "counter,pass", NULL);

	(void)state;
	assert_int_equal(answer(freeze, ACCESS_STORE, 0x401000), VERDICT_PASS);
	has_found("freeze: store to it (0x0");
	finish_keeper(freeze);
}

static void an_allowed_function_may_store(void **state)
{
	struct keeper *freeze = make("freeze", "counter,allow=work", NULL);

	(void)state;
	assert_int_equal(answer(freeze, ACCESS_STORE, 0x401100), VERDICT_PASS);
	assert_int_equal(answer(freeze, ACCESS_STORE, 0x40110f), VERDICT_PASS);
	assert_int_equal(findings, 0);
	assert_int_equal(answer(freeze, ACCESS_STORE, 0x401110), VERDICT_DENY);
	assert_int_equal(answer(freeze, ACCESS_STORE, 0x4010ff), VERDICT_DENY);
	finish_keeper(freeze);
}

static void wrong_arguments_are_refused(void **state)
{
	(void)state;
	is_refused("freeze", "counter,loose", "neither pass nor allow");
	is_refused("freeze", "counter,allow=nobody", "no symbol");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stores_are_denied_and_loads_are_not),
		cmocka_unit_test(each_place_is_told_once),
		cmocka_unit_test(pass_only_tells),
		cmocka_unit_test(an_allowed_function_may_store),
		cmocka_unit_test(wrong_arguments_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
