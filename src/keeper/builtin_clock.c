/* SPDX-License-Identifier: MIT */
#include "keeper/builtin_clock.h"

#include <stdlib.h>

void builtin_clock_join(
	struct builtin_clock *to, const struct builtin_clock *from)
{
	for (unsigned i = 0; i < BUILTIN_CLOCK_PROCESSES; i++)
		if (to->times[i] < from->times[i])
			to->times[i] = from->times[i];
}

void builtin_clocks_fini(struct builtin_clocks *clocks)
{
	for (unsigned i = 0; i < clocks->count; i++)
		free(clocks->clocks[i]);
}

int builtin_clocks_slot(struct builtin_clocks *clocks, uint64_t process)
{
	unsigned slot = clocks->count;

	/* The newest ones are the likely ones. */
	for (unsigned i = clocks->count; i-- > 0;)
		if (clocks->processes[i] == process)
			return (int)i;
	if (slot == BUILTIN_CLOCK_PROCESSES || clocks->lost) {
		clocks->lost = true;
		return -1;
	}
	clocks->clocks[slot] = calloc(1, sizeof(*clocks->clocks[slot]));
	if (!clocks->clocks[slot]) {
		clocks->lost = true;
		return -1;
	}
	clocks->clocks[slot]->times[slot] = 1;
	clocks->processes[slot] = process;
	clocks->count++;
	return (int)slot;
}

uint64_t builtin_clocks_now(const struct builtin_clocks *clocks, unsigned slot)
{
	return clocks->clocks[slot]->times[slot];
}

bool builtin_clocks_is_past(const struct builtin_clocks *clocks, unsigned past,
	uint64_t time, unsigned present)
{
	return time <= clocks->clocks[present]->times[past];
}

void builtin_clocks_release(
	struct builtin_clocks *clocks, unsigned slot, struct builtin_clock *to)
{
	builtin_clock_join(to, clocks->clocks[slot]);
	clocks->clocks[slot]->times[slot]++;
}

void builtin_clocks_acquire(struct builtin_clocks *clocks, unsigned slot,
	const struct builtin_clock *from)
{
	builtin_clock_join(clocks->clocks[slot], from);
}

void builtin_clocks_order(
	struct builtin_clocks *clocks, uint64_t before, uint64_t after)
{
	int from = builtin_clocks_slot(clocks, before);
	int to = builtin_clocks_slot(clocks, after);

	if (from >= 0 && to >= 0 && from != to)
		builtin_clocks_release(
			clocks, (unsigned)from, clocks->clocks[to]);
}
