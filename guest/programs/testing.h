/* SPDX-License-Identifier: MIT */
/* What programs that test the kernel have in common. */
#ifndef CUSTOS_TESTING_H
#define CUSTOS_TESTING_H

#include "guest/lib/include/custos/guest.h"

/* Each program has its own: records a failed expectation and goes on. */
void expect_fail(const char *file, int line, const char *what, int64_t got,
	int64_t wanted);

#define EXPECT(wanted, expression)                                             \
	do {                                                                   \
		int64_t got_ = (int64_t)(expression);                          \
		int64_t wanted_ = (int64_t)(wanted);                           \
		if (got_ != wanted_)                                           \
			expect_fail(__FILE__, __LINE__, #expression, got_,     \
				wanted_);                                      \
	} while (0)

#define RIGHTS_RW (CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE)

/* Slots, and how many. */
#define CAPS(...)                                                              \
	((const uint32_t[]){__VA_ARGS__}),                                     \
		sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)

#endif
