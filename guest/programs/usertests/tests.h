/* SPDX-License-Identifier: MIT */
/*
 * Tests of the kernel from user space. Each group is a file; main.c runs them
 * all, each in a process of its own, and checks that every frame comes back
 * when that one's bank is destroyed. A test that needs another process starts
 * this program again with a role.
 */
#ifndef CUSTOS_USERTESTS_H
#define CUSTOS_USERTESTS_H

#include "guest/programs/testing.h"

struct test {
	const char *name;
	void (*run)(void);
};

/* What a child does; its result is the exit code. */
struct role {
	const char *name;
	int (*run)(const char *argument);
};

/* Ended by a row without a name. */
extern const struct test cap_tests[], process_tests[], memory_tests[],
	endpoint_tests[], state_tests[];
extern const struct role process_roles[], memory_roles[], endpoint_roles[],
	state_roles[];

/* A slot of a child of this program in that role, with one capability named
 * "given" unless given is 0. Ends the tests when it cannot be started. */
uint32_t test_child(
	const char *role, const char *argument, uint32_t cpu, uint32_t given);

/* Until the child does that: sleeping for some time would only hope for it. */
void test_wait_state(uint32_t child, int64_t state);

/* The child's exit code. */
int64_t test_run_child(const char *role, const char *argument);

/* Addresses where tests may map. */
#define WINDOW UINT64_C(0x20000000)
#define WINDOW_PAGES 600

#endif
