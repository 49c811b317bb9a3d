/* SPDX-License-Identifier: MIT */
/*
 * contend COUNT [spin|die]: four processes do COUNT accesses each to two words that
 * lie on either side of a page boundary, each by one of three addresses of the
 * same memory, with many kinds of instructions. Between them each counts in a
 * slot of its own on the same pages and looks whether that count stays right.
 * spin: one of them counts on a third page instead, until the others are done.
 * die: meanwhile 20 more, one after the other, access the words until they are
 * denied one, which ends them.
 */
#include <custos/guest.h>

#define WORKERS 4
#define VICTIMS 20
#define PAGES 3
#define WORD_PAGES 2
#define FIRST (PAGE_SIZE - 8) /* the two words: bytes [FIRST, FIRST + 16) */
#define RIGHTS (CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE)

/* The same memory object is mapped over these. */
char alias_a[PAGES * PAGE_SIZE] PAGE_ALIGNED;
static char alias_b[PAGES * PAGE_SIZE] PAGE_ALIGNED;
static char alias_c[PAGES * PAGE_SIZE] PAGE_ALIGNED;
static char *const alias[] = {alias_a, alias_b, alias_c};

static uint64_t seed;

static uint64_t chance(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % below;
}

static void map_all(uint32_t memory)
{
	for (int i = 0; i < 3; i++)
		assert(!memory_map(memory, alias[i], RIGHTS));
}

/* One instruction, one access to one word, or to both. */
static void access_words(char *base)
{
	volatile uint64_t *word =
		(uint64_t *)(base + FIRST + 8 * chance(2));
	uint64_t v = seed >> 40, expected = 1;

	switch (chance(7)) {
	case 0:
		__asm__ volatile("lock incq %0" : "+m"(*word));
		break;
	case 1:
		__asm__ volatile("mov %1, %0" : "=r"(v) : "m"(*word));
		break;
	case 2:
		__asm__ volatile("mov %1, %0" : "=m"(*word) : "r"(v));
		break;
	case 3:
		__asm__ volatile("lock xaddq %1, %0" : "+m"(*word), "+r"(v));
		break;
	case 4:
		__asm__ volatile("lock cmpxchgq %2, %0"
				 : "+m"(*word), "+a"(expected)
				 : "r"(v));
		break;
	case 5:
		__asm__ volatile("addq %1, %0" : "+m"(*word) : "r"(v));
		break;
	case 6: /* both, and both pages */
		__asm__ volatile("movq %1, %%xmm0; movddup %%xmm0, %%xmm0;"
				 "movups %%xmm0, (%0)"
				 :
				 : "r"(base + FIRST), "r"(v)
				 : "xmm0", "memory");
		break;
	}
}

/* On the third page: [0] a count, [1] how many others are done. */
static volatile uint64_t *third(void)
{
	return (uint64_t *)(alias_a + WORD_PAGES * PAGE_SIZE);
}

static int spin(void)
{
	while (third()[1] < WORKERS - 1)
		third()[0]++;
	return 0;
}

static _Noreturn void live_until_denied(void)
{
	for (;;)
		access_words(alias[chance(3)]);
}

static int work(uint64_t number, uint64_t count, const char *how)
{
	uint64_t counted = 0;

	seed = number * 7919 + 1;
	map_all(cap_find("shared"));
	if (number >= WORKERS)
		live_until_denied();
	if (!strcmp(how, "spin") && number == WORKERS - 1)
		return spin();
	for (uint64_t i = 0; i < count; i++) {
		volatile uint64_t *own = (uint64_t *)(alias[chance(3)] +
			PAGE_SIZE * chance(WORD_PAGES)) + 8 + number;

		access_words(alias[chance(3)]);
		if (chance(16))
			continue;
		*own += 1;
		counted++;
	}
	for (int page = 0; page < WORD_PAGES; page++)
		counted -= ((uint64_t *)(alias_b + PAGE_SIZE * page))[8 +
			number];
	__atomic_fetch_add(&third()[1], 1, __ATOMIC_SEQ_CST);
	return counted ? 3 : 0;
}

static uint32_t start(unsigned number, const char *count, const char *how,
	uint32_t memory)
{
	char text[8];
	const char *const argv[] = {"worker", count, text, how, NULL};
	const struct custos_spawn_cap cap = {"shared", memory, RIGHTS};
	int64_t slot;

	snprintf(text, sizeof(text), "%u", number);
	slot = spawn("program", argv, number % cpu_count(), &cap, 1);
	assert(slot > 0);
	return (uint32_t)slot;
}

int main(int argc, char **argv)
{
	const char *count = argc > 1 ? argv[1] : "1000";
	const char *how = argc > 2 ? argv[2] : "work";
	const volatile uint64_t *words =
		(const uint64_t *)(alias_a + FIRST);
	uint32_t memory, worker[WORKERS];
	int bad = 0;

	if (argc > 3 && !strcmp(argv[0], "worker"))
		return work(parse_number(argv[2]), parse_number(count),
			argv[3]);
	memory = (uint32_t)memory_create(PAGES * PAGE_SIZE);
	map_all(memory);
	for (unsigned i = 0; i < WORKERS; i++)
		worker[i] = start(i, count, how, memory);
	for (unsigned i = 0; i < VICTIMS && !strcmp(how, "die"); i++)
		wait_exit(start(WORKERS + i, count, how, memory));
	for (unsigned i = 0; i < WORKERS; i++)
		bad |= (int)wait_exit(worker[i]);
	printf("words %lx %lx\n", words[0], words[1]);
	return bad;
}
