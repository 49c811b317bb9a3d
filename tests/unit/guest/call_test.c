/* SPDX-License-Identifier: MIT */
/* The table of kernel calls. What any order of them does: random_test.c. */
#include "guest/kernel/call.h"

#include "tests/support/tests.h"

static void names_come_from_the_table(void **state)
{
	(void)state;
	assert_string_equal(
		call_name(CUSTOS_OP_CONSOLE_WRITE), "console_write");
	assert_string_equal(call_name(CUSTOS_OP_MODULE_SPAWN), "module_spawn");
	assert_null(call_name(CUSTOS_OP_CONSOLE_WRITE + 1));
	assert_null(call_name(CUSTOS_OP_MAX));
	assert_string_equal(cap_type_name(CUSTOS_CAP_ENDPOINT), "endpoint");
	assert_string_equal(cap_type_name(CUSTOS_CAP_MAX), "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_come_from_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
