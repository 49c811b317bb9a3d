/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic on numbers that come from outside (guests, files, scripts).
 * Each returns true and stores the result, or false when it would wrap.
 */
#ifndef CUSTOS_BASE_CHECKED_H
#define CUSTOS_BASE_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

static inline bool checked_add(uint64_t a, uint64_t b, uint64_t *out)
{
	return !__builtin_add_overflow(a, b, out);
}

static inline bool checked_mul(uint64_t a, uint64_t b, uint64_t *out)
{
	return !__builtin_mul_overflow(a, b, out);
}

/* Is [start, start+len) inside [0, limit)? Never wraps. */
static inline bool checked_range(uint64_t start, uint64_t len, uint64_t limit)
{
	return start <= limit && len <= limit - start;
}

/* Do [a, a+a_len) and [b, b+b_len) share a byte? Both must not wrap. */
static inline bool ranges_overlap(
	uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a_len && b_len && a <= b + (b_len - 1) && b <= a + (a_len - 1);
}

#endif
