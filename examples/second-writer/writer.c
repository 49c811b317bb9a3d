/* SPDX-License-Identifier: MIT */
/*
 * Statistics of a receiver. Only lose() is to count lost packets, but one more
 * line does, left over from copying. With `fixed' it is not executed.
 */
#include <custos/guest.h>

struct counters {
	uint64_t received, repeated, lost;
};

volatile struct counters counters;

__attribute__((noinline)) static void lose(void)
{
	counters.lost++;
}

__attribute__((noinline)) static void receive(void)
{
	counters.received++;
}

__attribute__((noinline)) static void repeat(bool fixed)
{
	if (fixed)
		counters.repeated++;
	else
		counters.lost++; /* the bug */
}

int main(int argc, char **argv)
{
	bool fixed = argc > 1 && !strcmp(argv[1], "fixed");
	uint64_t i;

	for (i = 1; i <= 10; i++) {
		receive();
		if (i % 4 == 0)
			repeat(fixed);
		if (i % 5 == 0)
			lose();
	}
	printf("%lu received, %lu repeated, %lu lost\n", counters.received,
		counters.repeated, counters.lost);
	return 0;
}
