/* SPDX-License-Identifier: MIT */
/* Increments a global as often as its argument says (10 times without). */
#include <custos/guest.h>

volatile uint64_t counter;

int main(int argc, char **argv)
{
	uint64_t i, n = argc > 1 ? parse_number(argv[1]) : 10;

	for (i = 0; i < n; i++)
		counter++;
	printf("counter = %lu\n", counter);
	return counter == n ? 0 : 1;
}
