/* SPDX-License-Identifier: MIT */
/*
 * A page that is a process: behind the entry somebody computes squares. Whoever
 * uses it, by loads and stores or by read and write, cannot tell it from a page,
 * except that it knows more.
 */
#include <custos/guest_keeper.h>

#define WORDS (PAGE_SIZE / 8)

PAGE_ALIGNED volatile uint64_t window[WORDS];

/* The same code for both kinds of page: what it finds there. */
static uint64_t use(uint32_t page)
{
	uint64_t value = 0;

	assert(!memory_map(page, window,
		CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE | CUSTOS_RIGHT_CALL));
	window[3] = 333;
	assert(window[3] == 333);
	((volatile uint16_t *)window)[3 * 4] += 1;
	assert(window[3] == 334);
	assert(!custos_page_read(page, 3 * 8, (uint64_t)&value, 8));
	assert(value == 334);
	value = 77;
	assert(!custos_page_write(page, 5 * 8, (uint64_t)&value, 8));
	assert(window[5] == 77);
	return window[12];
}

static int user(void)
{
	uint32_t bank = cap_find("bank");
	uint64_t real, strange;

	real = use((uint32_t)object_create(bank, CUSTOS_CAP_PAGE));
	strange = use(cap_find("page"));
	printf("word 12 of a page: %lu; of the process: %lu\n", real, strange);
	return 0;
}

/* What was stored, and where; everything else is the square of its place. */
struct squares {
	uint64_t words[WORDS];
	bool stored[WORDS];
	uint64_t asked;
};

static void on_access(struct keeper *keeper, const struct custos_access *access)
{
	struct squares *squares = keeper->context;
	uint64_t first = access->offset / 8;
	uint64_t last = (access->offset + access->size - 1) / 8;

	for (uint64_t i = first; i <= last && i < WORDS; i++) {
		if (!squares->stored[i])
			squares->words[i] = i * i;
		squares->stored[i] |= keeper_is_store(access);
	}
	squares->asked++;
	keeper->context = &(struct keeper_store){
		(uint8_t *)squares->words, PAGE_SIZE};
	keeper_store_ops.access(keeper, access);
	keeper->context = squares;
}

static void on_message(
	struct keeper *keeper, const struct custos_message *message)
{
	(void)message;
	keeper_stop(keeper);
}

/* The user has ended: so may we. */
static int waiter(void)
{
	int64_t code = custos_process_wait(cap_find("user"));
	struct custos_message message = {.words = {1}};

	return message_send(cap_find("page"), &message) || code;
}

static uint32_t start(const char *role, const struct custos_spawn_cap *caps,
	uint32_t count)
{
	const char *const argv[] = {role, NULL};
	int64_t slot = spawn("program", argv, CUSTOS_ANY_CPU, caps, count);

	assert(slot > 0);
	return (uint32_t)slot;
}

int main(int argc, char **argv)
{
	static const struct keeper_ops ops = {
		.access = on_access, .message = on_message};
	static struct squares squares;
	static struct keeper keeper;
	uint32_t endpoint;
	struct custos_spawn_cap caps[2] = {{"page", 0, CUSTOS_RIGHT_ALL},
		{"user", 0, CUSTOS_RIGHT_WAIT}};
	uint32_t other;

	(void)argc;
	if (!strcmp(argv[0], "user"))
		return user();
	if (!strcmp(argv[0], "waiter"))
		return waiter();
	endpoint = (uint32_t)endpoint_create();
	caps[0].slot = (uint32_t)entry_create(endpoint, 0);
	caps[1].slot = start("user", caps, 1);
	other = start("waiter", caps, 2);
	keeper_init(&keeper, endpoint, &ops, &squares);
	assert(!keeper_run(&keeper));
	assert(!wait_exit(other) && !wait_exit(caps[1].slot));
	printf("asked %lu times\n", squares.asked);
	return 0;
}
