/* SPDX-License-Identifier: MIT */
/*
 * No order of kernel calls, however senseless, breaks the kernel, loses a
 * frame, or shows anybody more than was given away. What single calls do is
 * tested by programs (guest/programs/usertests).
 */
#include <stdio.h>

#include "guest/kernel/call.h"
#include "tests/support/kernel_random.h"
#include "tests/support/tests.h"

#define CALLS 1000000
#define EPISODE 2500

static unsigned seed;

/* After a failure: how to have it again. */
static int say_seed(void **state)
{
	(void)state;
	if (seed)
		print_message("# the episode's seed was %u\n", seed);
	return 0;
}

static unsigned long first_seed(void)
{
	const char *value = getenv("CUSTOS_KERNEL_SEED");

	return value ? strtoul(value, NULL, 10) : 1;
}

static void senseless_calls_break_nothing(void **state)
{
	unsigned long made = 0;

	(void)state;
	for (seed = (unsigned)first_seed(); made < CALLS; seed++) {
		struct kernel_random random = {
			.seed = seed * UINT64_C(0x9e3779b97f4a7c15)};

		made += 1 + kernel_random_episode(&random, EPISODE);
	}
	seed = 0;
}

/* Else the test above would show little. */
static void most_calls_succeed_sometimes(void **state)
{
	unsigned calls = 0, never = 0;

	(void)state;
	for (unsigned op = 0; op < CUSTOS_OP_MAX; op++) {
		if (!call_name(op))
			continue;
		calls++;
		if (kernel_random_successes[op])
			continue;
		print_message("# never: %s\n", call_name(op));
		never++;
	}
	assert_true(never * 10 <= calls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			senseless_calls_break_nothing, say_seed),
		cmocka_unit_test(most_calls_succeed_sometimes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
