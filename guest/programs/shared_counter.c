/* SPDX-License-Identifier: MIT */
/*
 * shared_counter [N] [plain|lock]: two processes, each on a CPU of its own if
 * there are two, increment one shared word N times each. With plain increments
 * some get lost; locked ones never.
 */
#include <custos/guest.h>

#define SHARED_PAGES 2

/* The memory object's pages are mapped over these. */
volatile uint64_t shared[PAGE_SIZE / 8] PAGE_ALIGNED; /* the counter: [0] */
static uint64_t ready[PAGE_SIZE / 8] PAGE_ALIGNED;    /* who has come: [0] */

static void map_shared(uint32_t memory)
{
	const uint32_t rights = CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE;

	assert(!memory_map_part(memory, shared, 0, PAGE_SIZE, rights));
	assert(!memory_map_part(memory, ready, PAGE_SIZE, PAGE_SIZE, rights));
}

/* So that the two run at the same time. */
static void meet(void)
{
	__atomic_fetch_add(&ready[0], 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&ready[0], __ATOMIC_SEQ_CST) < 2)
		yield();
}

static __attribute__((noinline)) void count_plain(uint64_t n)
{
	for (; n; n--)
		__asm__ volatile("mov %0, %%rax; inc %%rax; mov %%rax, %0"
				 : "+m"(shared[0])
				 :
				 : "rax");
}

static __attribute__((noinline)) void count_locked(uint64_t n)
{
	for (; n; n--)
		__asm__ volatile("lock incq %0" : "+m"(shared[0]));
}

static int work(char **argv)
{
	uint64_t n = parse_number(argv[2]);

	map_shared(cap_find("shared"));
	meet();
	if (!strcmp(argv[3], "lock"))
		count_locked(n);
	else
		count_plain(n);
	return 0;
}

static uint32_t start(const char *name, const char *n, const char *how,
	uint32_t cpu, uint32_t memory)
{
	const char *const argv[] = {name, "work", n, how, NULL};
	const struct custos_spawn_cap cap = {
		"shared", memory, CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE};
	int64_t slot = spawn("program", argv, cpu, &cap, 1);

	assert(slot > 0);
	return (uint32_t)slot;
}

int main(int argc, char **argv)
{
	const char *n = argc > 1 ? argv[1] : "1000";
	const char *how = argc > 2 ? argv[2] : "plain";
	uint64_t expected = 2 * parse_number(n);
	uint32_t memory, a, b;

	if (argc == 4 && !strcmp(argv[1], "work"))
		return work(argv);
	memory = (uint32_t)memory_create(SHARED_PAGES * PAGE_SIZE);
	map_shared(memory);
	a = start("first", n, how, 0, memory);
	b = start("second", n, how, cpu_count() > 1, memory);
	if (wait_exit(a) || wait_exit(b))
		return 2;
	printf("shared = %lu, expected %lu, lost %lu\n", shared[0], expected,
		expected - shared[0]);
	return !strcmp(how, "lock") && shared[0] != expected;
}
