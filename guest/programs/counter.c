/* SPDX-License-Identifier: MIT */
/* Increments a global as often as its argument says (10 times without). */
#include <custos/guest.h>

volatile uint64_t counter;

/* So that every compiler makes a load and a store of it. */
static inline uint64_t loaded(uint64_t value)
{
	__asm__("" : "+r"(value));
	return value;
}

int main(int argc, char **argv)
{
	uint64_t i, n = argc > 1 ? parse_number(argv[1]) : 10;

	for (i = 0; i < n; i++)
		counter = loaded(counter) + 1;
	printf("counter = %lu\n", counter);
	return counter == n ? 0 : 1;
}
