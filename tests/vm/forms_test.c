/* SPDX-License-Identifier: MIT */
/*
 * Common instruction forms through the whole stack: on kept memory, with a
 * keeper that always passes, they do what they do on plain memory.
 */
#include <stdio.h>
#include <string.h>

#include "tests/support/guest_run.h"
#include "tests/support/tests.h"

static void run_forms(const char *range, struct guest_run *run)
{
	*run = (struct guest_run){ .program = "forms", .keep = { range } };
	if (!guest_run_possible())
		test_skip("no KVM");
	guest_run(run);
	print_message("# %s", run->console);
}

static void kept_memory_is_like_plain_memory(void **state)
{
	static struct guest_run run;
	unsigned same = 0, absent = 0, count = 0;

	(void)state;
	run_forms("kept", &run);
	assert_int_equal(run.result.end, TARGET_EXITED);
	assert_null(strstr(run.console, "differs"));
	assert_int_equal(sscanf(run.console, "%u same, %u not on this cpu, of %u",
				 &same, &absent, &count),
		3);
	assert_true(same > 80 && same + absent == count);
	assert_int_equal(run.result.code, 0);
}

/* Every operand begins unkept and ends kept, or the other way round. */
static void operands_may_be_kept_in_part(void **state)
{
	static struct guest_run run;

	(void)state;
	run_forms("kept+513+2", &run);
	assert_int_equal(run.result.end, TARGET_EXITED);
	assert_null(strstr(run.console, "differs"));
	assert_int_equal(run.result.code, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kept_memory_is_like_plain_memory),
		cmocka_unit_test(operands_may_be_kept_in_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
