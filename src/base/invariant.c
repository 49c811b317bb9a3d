/* SPDX-License-Identifier: MIT */
#include "base/invariant.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static void (*failure_hook)(void *arg);
static void *failure_hook_arg;

void invariant_set_hook(void (*hook)(void *arg), void *arg)
{
	failure_hook = hook;
	failure_hook_arg = arg;
}

void invariant_failed(
	const char *expr, const char *file, int line, const char *func)
{
	/* The hook itself may fail an invariant: print that one, too, but do
	 * not run the hook a second time. */
	static atomic_flag entered = ATOMIC_FLAG_INIT;

	fprintf(stderr,
		"custos: internal error: invariant `%s' is false at %s:%d (%s)\n"
		"custos: this is a bug in custos, not in your program; please "
		"report it with the lines above\n",
		expr, file, line, func);
	if (!atomic_flag_test_and_set(&entered) && failure_hook)
		failure_hook(failure_hook_arg);
	abort();
}
