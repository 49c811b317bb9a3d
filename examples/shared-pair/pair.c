/* SPDX-License-Identifier: MIT */
/*
 * Two processes that share memory: a ring of numbers in a page both map, the
 * consumer only to read but for its own word. Who has to wait sleeps until the
 * other posts a notice; no kernel object is needed for the numbers themselves.
 */
#include <custos/guest.h>

#define RING 64
#define COUNT 1000
#define NOT_EMPTY 1
#define NOT_FULL 2

/* A page each: who writes it, maps it writable. */
PAGE_ALIGNED struct produced {
	volatile uint64_t head;
	volatile uint64_t ring[RING];
	uint8_t rest[PAGE_SIZE - 8 - 8 * RING];
} produced;

PAGE_ALIGNED struct consumed {
	volatile uint64_t tail;
	uint8_t rest[PAGE_SIZE - 8];
} consumed;

static void map_both(bool producer)
{
	uint32_t memory = cap_find("memory");
	uint32_t mine = CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE;

	assert(!memory_map_part(memory, &produced, 0, PAGE_SIZE,
		producer ? mine : CUSTOS_RIGHT_READ));
	assert(!memory_map_part(memory, &consumed, PAGE_SIZE, PAGE_SIZE,
		producer ? CUSTOS_RIGHT_READ : mine));
}

/* Until the other posts; bits may have been posted long ago. */
static void await(void)
{
	struct custos_message message = {0};

	assert(!message_receive(cap_find("news"), &message));
	assert(message.words[0] == CUSTOS_MESSAGE_NOTICE);
	assert(message.flags & CUSTOS_MESSAGE_KERNEL);
}

static int produce(void)
{
	map_both(true);
	for (uint64_t i = 0; i < COUNT; i++) {
		while (i - consumed.tail == RING)
			await();
		produced.ring[i % RING] = i * i;
		__atomic_store_n(&produced.head, i + 1, __ATOMIC_SEQ_CST);
		assert(!custos_notice_post(cap_find("other"), NOT_EMPTY));
	}
	return 0;
}

static int consume(void)
{
	uint64_t sum = 0;

	map_both(false);
	for (uint64_t i = 0; i < COUNT; i++) {
		while (__atomic_load_n(&produced.head, __ATOMIC_SEQ_CST) == i)
			await();
		sum += produced.ring[i % RING];
		consumed.tail = i + 1;
		assert(!custos_notice_post(cap_find("other"), NOT_FULL));
	}
	printf("%u squares, sum %lu\n", COUNT, sum);
	return 0;
}

/* Each hears from its own endpoint and posts to the other's. */
static uint32_t start(const char *role, uint32_t memory, uint32_t news,
	uint32_t other, uint64_t mask, uint32_t cpu)
{
	const char *const argv[] = {role, NULL};
	uint32_t notice = cap_slot_alloc();
	struct custos_spawn_cap caps[] = {{"memory", memory, CUSTOS_RIGHT_ALL},
		{"news", news, CUSTOS_RIGHT_RECEIVE},
		{"other", notice, CUSTOS_RIGHT_ALL}};
	int64_t slot;

	assert(!custos_endpoint_make_notice(other, notice, mask));
	slot = spawn("program", argv, cpu, caps, 3);
	assert(slot > 0);
	return (uint32_t)slot;
}

int main(int argc, char **argv)
{
	uint32_t memory, a, b, news[2];

	(void)argc;
	if (!strcmp(argv[0], "produce"))
		return produce();
	if (!strcmp(argv[0], "consume"))
		return consume();
	memory = (uint32_t)memory_create(2 * PAGE_SIZE);
	news[0] = (uint32_t)endpoint_create();
	news[1] = (uint32_t)endpoint_create();
	a = start("produce", memory, news[0], news[1], NOT_EMPTY, 0);
	b = start("consume", memory, news[1], news[0], NOT_FULL,
		cpu_count() - 1);
	return wait_exit(a) || wait_exit(b);
}
