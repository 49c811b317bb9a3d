/* SPDX-License-Identifier: MIT */
/* The one place that knows cmocka's include order; helpers for all tests. */
#ifndef CUSTOS_TESTS_TESTS_H
#define CUSTOS_TESTS_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Skip the running test, with a reason that the summary shows. */
#define test_skip(reason)                                                      \
	do {                                                                   \
		print_message("# skipped: %s\n", reason);                      \
		skip();                                                        \
	} while (0)

/* assert_true for what is asked a million times: cmocka's own calls a function
 * each time. */
#define must(condition)                                                        \
	do {                                                                   \
		if (__builtin_expect(!(condition), 0))                         \
			fail_msg("not so: %s", #condition);                    \
	} while (0)

/* Are we inside the emulated machine of `make check-svm', where everything
 * takes some hundred times as long? Scale loops down then. */
static inline bool test_is_slow(void)
{
	const char *scale = getenv("CUSTOS_TEST_SCALE");

	return scale && scale[0] == 's';
}

static inline unsigned long test_scaled(
	unsigned long normal, unsigned long slow)
{
	return test_is_slow() ? slow : normal;
}

#endif
