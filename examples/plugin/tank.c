/* SPDX-License-Identifier: MIT */
/*
 * A tank with a gauge: valves add and take, and the level must stay between 0
 * and 100. One valve does not look before it takes.
 */
#include <custos/guest.h>

PAGE_ALIGNED volatile int level = 50;
static volatile int taken, added;

static void fill(int amount)
{
	if (level + amount <= 100) {
		level += amount;
		added += amount;
	}
}

static void drain(int amount)
{
	if (level >= amount) {
		level -= amount;
		taken += amount;
	}
}

static void flush_pipe(int amount)
{
	level -= amount; /* the bug: it does not look */
	taken += amount;
}

int main(void)
{
	for (int day = 0; day < 12; day++) {
		fill(15);
		drain(20);
		if (day % 4 == 3)
			flush_pipe(30);
	}
	printf("level %d, added %d, taken %d\n", level, added, taken);
	return level < 0;
}
