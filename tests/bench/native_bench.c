/* SPDX-License-Identifier: MIT */
/*
 * User code that touches no kept page: the same loop inside and outside, in
 * TSC cycles, taking turns.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/guest_run.h"

#define ROUNDS 7

static uint64_t outside(uint64_t count)
{
	uint64_t x = count | 1, before = __builtin_ia32_rdtsc();

	for (uint64_t i = 0; i < count; i++)
		__asm__ volatile("imul %0, %0" : "+r"(x));
	return __builtin_ia32_rdtsc() - before;
}

static uint64_t inside(uint64_t count)
{
	char text[24];
	/* A range is kept, so that nothing is faster for want of one. */
	struct guest_run run = {
		.program = "hammer",
		.args = { "spin", text },
		.keep = { "word" },
	};

	snprintf(text, sizeof(text), "%llu", (unsigned long long)count);
	guest_run(&run);
	return strtoull(run.console, NULL, 10);
}

int main(void)
{
	uint64_t count = getenv("CUSTOS_TEST_SCALE") ? 5000000 : 300000000;
	uint64_t in = UINT64_MAX, out = UINT64_MAX;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t t = outside(count);

		out = t < out ? t : out;
		t = inside(count);
		in = t < in ? t : in;
	}
	printf("unkept code, best of %d rounds of %llu multiplications:\n"
	       "  inside %.3f G cycles, outside %.3f G cycles: %.3f x\n",
		ROUNDS, (unsigned long long)count, (double)in * 1e-9,
		(double)out * 1e-9, (double)in / (double)out);
	return 0;
}
