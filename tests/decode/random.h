/* SPDX-License-Identifier: MIT */
/* Reproducible random numbers. */
#ifndef CUSTOS_TESTS_DECODE_RANDOM_H
#define CUSTOS_TESTS_DECODE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
	uint64_t s;
};

static inline uint64_t random_next(struct random *r)
{
	uint64_t z = r->s += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static inline unsigned random_below(struct random *r, unsigned limit)
{
	return (unsigned)((random_next(r) >> 32) * limit >> 32);
}

/* True once in n times. */
static inline bool random_once_in(struct random *r, unsigned n)
{
	return !random_below(r, n);
}

#endif
