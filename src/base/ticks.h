/* SPDX-License-Identifier: MIT */
/*
 * A clock that costs some nanoseconds to read: the CPU's time stamp counter.
 * Whoever wants nanoseconds compares two readings with a real clock.
 */
#ifndef CUSTOS_BASE_TICKS_H
#define CUSTOS_BASE_TICKS_H

#include <stdint.h>

static inline uint64_t ticks_now(void)
{
	return __builtin_ia32_rdtsc();
}

#endif
