/* SPDX-License-Identifier: MIT */
/*
 * Linked into a kernel of its own with --wrap: what a program prints makes the
 * kernel follow a null pointer, two calls deep.
 */
#include <stdint.h>

int64_t __wrap_console_call_write(const void *call);
int broken_follow(volatile int *where);

__attribute__((noinline)) int broken_follow(volatile int *where)
{
	return *where + 1;
}

int64_t __wrap_console_call_write(const void *call)
{
	(void)call;
	return broken_follow((volatile int *)16) + 1;
}
