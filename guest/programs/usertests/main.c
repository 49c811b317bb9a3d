/* SPDX-License-Identifier: MIT */
/*
 * usertests [TEST]: run all tests, or those whose name begins so, each in a
 * process of its own. usertests here TEST: run one in this process.
 */
#include "tests.h"

#define ROLE_ARGC 4

static const struct test *const groups[] = {
	cap_tests, process_tests, memory_tests, endpoint_tests, state_tests};
static const struct role *const roles[] = {
	process_roles, memory_roles, endpoint_roles, state_roles};

static unsigned failures;

void expect_fail(const char *file, int line, const char *what, int64_t got,
	int64_t wanted)
{
	failures++;
	printf("  %s:%d: %s is %ld (%s), not %ld\n", file, line, what, got,
		error_name(got), wanted);
}

void test_wait_state(uint32_t child, int64_t state)
{
	while (custos_process_state(child) != state)
		sleep_ms(1);
}

uint32_t test_child(
	const char *role, const char *argument, uint32_t cpu, uint32_t given)
{
	const char *const argv[] = {"usertests", "role", role, argument, NULL};
	const struct custos_spawn_cap cap = {"given", given, CUSTOS_RIGHT_ALL};
	int64_t slot = spawn("program", argv, cpu, &cap, given != 0);

	if (slot < 0)
		printf("cannot start %s: %s\n", role, error_name(slot));
	assert(slot > 0);
	return (uint32_t)slot;
}

int64_t test_run_child(const char *role, const char *argument)
{
	return wait_exit(test_child(role, argument, CUSTOS_ANY_CPU, 0));
}

static int play_role(const char *name, const char *argument)
{
	const struct role *role;
	size_t i;

	for (i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		for (role = roles[i]; role->name; role++)
			if (!strcmp(role->name, name))
				return role->run(argument);
	return 127;
}

static int64_t free_frames(void)
{
	return custos_bank_usage(cap_find("bank"), CUSTOS_USAGE_MACHINE);
}

static const struct test *find_test(const char *name)
{
	const struct test *test;
	size_t i;

	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		for (test = groups[i]; test->name; test++)
			if (!strcmp(test->name, name))
				return test;
	return NULL;
}

static int run_here(const char *name)
{
	const struct test *test = find_test(name);

	if (!test)
		return 127;
	test->run();
	return failures != 0;
}

/* Everything it takes is paid by a bank of its own, so that what a test does
 * not give back is the kernel's loss. */
static bool run(const struct test *test)
{
	const char *const argv[] = {"usertests", "here", test->name, NULL};
	int64_t frames = free_frames(), child, code;
	uint64_t start = time_ns();

	child = spawn("program", argv, CUSTOS_ANY_CPU, NULL, 0);
	code = child < 0 ? child : wait_exit((uint32_t)child);
	if (code < 0 || code > 1)
		printf("  ended with %ld\n", code);
	failures = 0;
	EXPECT(frames, free_frames());
	code |= failures;
	printf("%s %s (%lu ms)\n", code ? "FAIL" : "ok  ", test->name,
		(time_ns() - start) / 1000000);
	return !code;
}

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : "";
	unsigned passed = 0, failed = 0;
	const struct test *test;
	size_t i;

	if (argc == ROLE_ARGC && !strcmp(argv[1], "role"))
		return play_role(argv[2], argv[3]);
	if (argc > 2 && !strcmp(argv[1], "here"))
		return run_here(argv[2]);
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		for (test = groups[i]; test->name; test++) {
			if (strncmp(test->name, only, strlen(only)))
				continue;
			if (run(test))
				passed++;
			else
				failed++;
		}
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed;
}
