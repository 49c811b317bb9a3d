/* SPDX-License-Identifier: MIT */
/*
 * Three processes that compute, yield, sleep and add to a log they share: what
 * comes out depends on who ran when. With virtual time and one CPU it is the
 * same every time. interleave [tsc|tscp]: the log has the TSC in it, too, as
 * RDTSC or RDTSCP tells it.
 */
#include <custos/guest.h>

#define WORKERS 3
#define ROUNDS 20

PAGE_ALIGNED struct {
	volatile uint64_t count;
	uint64_t entries[PAGE_SIZE / 8 - 1];
} log;

static void note(uint64_t what)
{
	log.entries[log.count % (PAGE_SIZE / 8 - 1)] = what;
	log.count++;
}

static int work(uint64_t id, const char *tsc)
{
	unsigned cpu;

	assert(!memory_map(cap_find("log"), &log,
		CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE));
	for (uint64_t i = 0; i < ROUNDS; i++) {
		note(id << 56 | time_ns());
		if (tsc && !strcmp(tsc, "tsc"))
			note(__builtin_ia32_rdtsc());
		else if (tsc)
			note(__builtin_ia32_rdtscp(&cpu));
		if (i % (id + 2) == 0)
			sleep_ms(id);
		else
			yield();
	}
	return 0;
}

static uint64_t hash(void)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (uint64_t i = 0; i < PAGE_SIZE / 8 - 1; i++)
		h = (h ^ log.entries[i]) * UINT64_C(0x100000001b3);
	return h;
}

int main(int argc, char **argv)
{
	static const char *const names[WORKERS] = { "1", "2", "3" };
	const char *last = argv[argc - 1];
	const char *tsc = argc > 1 && !strncmp(last, "tsc", 3) ? last : NULL;
	struct custos_spawn_cap cap = { .name = "log",
		.rights = CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE };
	int64_t workers[WORKERS];

	if (argc > 1 && !strcmp(argv[0], "work"))
		return work(parse_number(argv[1]), tsc);
	cap.slot = (uint32_t)memory_create(PAGE_SIZE);
	assert(!memory_map(cap.slot, &log,
		CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE));
	for (int i = 0; i < WORKERS; i++) {
		const char *const args[] = { "work", names[i], tsc, NULL };

		workers[i] = spawn("program", args, 0, &cap, 1);
		assert(workers[i] > 0);
	}
	for (int i = 0; i < WORKERS; i++)
		assert(!wait_exit((uint32_t)workers[i]));
	printf("%lu entries, hash %016lx, at %lu ns\n", log.count, hash(),
		time_ns());
	return 0;
}
