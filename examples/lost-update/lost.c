/* SPDX-License-Identifier: MIT */
/*
 * Two processes on two CPUs add one each to a counter they share, without a
 * lock. The first process starts the two and says what came of it.
 */
#include <custos/guest.h>

PAGE_ALIGNED struct {
	volatile uint64_t counter;
	uint8_t rest[PAGE_SIZE - 8];
} shared;

/* counter++, but certainly a load and a store: the bug is not the compiler's
 * to hide in one instruction. */
__attribute__((noinline)) static void increment(void)
{
	uint64_t value = shared.counter;

	__asm__ volatile("" : "+r"(value));
	shared.counter = value + 1;
}

static int work(void)
{
	int64_t result = memory_map(cap_find("shared"), &shared,
		CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE);

	if (result)
		return 2;
	increment();
	return 0;
}

static int64_t start_worker(uint32_t cpu, uint32_t memory)
{
	const char *const argv[] = { "lost.elf", "work", NULL };
	const struct custos_spawn_cap cap = {
		.name = "shared",
		.slot = memory,
		.rights = CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE,
	};

	return spawn("lost.elf", argv, cpu, &cap, 1);
}

int main(int argc, char **argv)
{
	int64_t memory, first, second;

	(void)argv;
	if (argc > 1)
		return work();
	memory = memory_create(PAGE_SIZE);
	assert(memory > 0);
	assert(!memory_map((uint32_t)memory, &shared,
		CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE));
	first = start_worker(0, (uint32_t)memory);
	second = start_worker(1, (uint32_t)memory);
	assert(first > 0 && second > 0);
	assert(!wait_exit((uint32_t)first));
	assert(!wait_exit((uint32_t)second));
	printf("2 increments, counter = %lu\n", shared.counter);
	return shared.counter == 2 ? 0 : 1;
}
