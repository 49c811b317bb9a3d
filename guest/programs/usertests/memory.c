/* SPDX-License-Identifier: MIT */
/* Memory objects and address spaces. */
#include "tests.h"

#define BIG_PAGES 600 /* more than one node, or one table, can name */

static uint64_t page(unsigned i)
{
	return WINDOW + i * PAGE_SIZE;
}

static volatile uint64_t *word(unsigned i)
{
	return (volatile uint64_t *)page(i);
}

static int64_t map(unsigned at, uint32_t memory, uint64_t offset,
	uint64_t length, uint64_t rights)
{
	return custos_gpt_map(
		cap_find("space"), page(at), memory, offset, length, rights);
}

static void unmap(unsigned at, unsigned pages)
{
	EXPECT(0, memory_unmap(word(at), pages * PAGE_SIZE));
}

/* Touch a page mapped as the argument says. */
static int role_touch(const char *argument)
{
	uint32_t memory = (uint32_t)memory_create(PAGE_SIZE);

	if (!strcmp(argument, "unmapped")) {
		map(0, memory, 0, PAGE_SIZE, RIGHTS_RW);
		*word(0) = 1;
		unmap(0, 1);
		*word(0) = 2;
	}
	map(0, memory, 0, PAGE_SIZE, CUSTOS_RIGHT_READ);
	if (*word(0) != 0)
		return 1;
	if (!strcmp(argument, "readonly"))
		*word(0) = 1;
	if (!strcmp(argument, "noexec"))
		((void (*)(void))page(0))();
	return 0;
}

static int role_scribble(const char *argument)
{
	(void)argument;
	if (map(0, cap_find("given"), 0, PAGE_SIZE, RIGHTS_RW))
		return 1;
	*word(0) += 1;
	return 0;
}

/* Answer with the space capability, then wait for the new page. */
static int role_lend(const char *argument)
{
	struct custos_message message = {
		.cap_count = 1, .caps = {cap_find("space")}};

	(void)argument;
	map(0, (uint32_t)memory_create(PAGE_SIZE), 0, PAGE_SIZE, RIGHTS_RW);
	*word(0) = 1;
	message.words[0] = page(0);
	if (message_send(cap_find("given"), &message))
		return 1;
	while (*word(0) == 1)
		__asm__ volatile("pause");
	return (int)*word(0);
}

static void pages_are_shared_and_zero(void)
{
	uint32_t memory = (uint32_t)memory_create(2 * PAGE_SIZE);

	EXPECT(2 * PAGE_SIZE, memory_length(memory));
	EXPECT(0, map(0, memory, 0, 2 * PAGE_SIZE, RIGHTS_RW));
	EXPECT(0, map(4, memory, PAGE_SIZE, PAGE_SIZE, RIGHTS_RW));
	EXPECT(0, *word(0) | *word(1));
	*word(1) = 0x1122334455667788;
	EXPECT(0x1122334455667788, *word(4));
	cap_slot_free(memory); /* it is the bank's, whoever names it */
	*word(4) = 5;
	EXPECT(5, *word(1));
	unmap(0, 8);
}

static void mapping_replaces(void)
{
	uint32_t a = (uint32_t)memory_create(PAGE_SIZE);
	uint32_t b = (uint32_t)memory_create(PAGE_SIZE);

	EXPECT(0, map(0, a, 0, PAGE_SIZE, RIGHTS_RW));
	*word(0) = 1;
	EXPECT(0, map(0, b, 0, PAGE_SIZE, RIGHTS_RW));
	EXPECT(0, *word(0));
	EXPECT(0, map(0, a, 0, PAGE_SIZE, CUSTOS_RIGHT_READ));
	EXPECT(1, *word(0));
	unmap(0, 1);
	cap_slot_free(a);
	cap_slot_free(b);
}

static void large_objects_work(void)
{
	uint32_t memory = (uint32_t)memory_create(BIG_PAGES * PAGE_SIZE);
	unsigned i;

	EXPECT(0, map(0, memory, 0, BIG_PAGES * PAGE_SIZE, RIGHTS_RW));
	for (i = 0; i < BIG_PAGES; i += 37)
		*word(i) = i;
	for (i = 0; i < BIG_PAGES; i += 37)
		EXPECT(i, *word(i));
	EXPECT(0, *word(BIG_PAGES - 1));
	unmap(0, BIG_PAGES);
	cap_slot_free(memory);
}

static void map_checks_its_arguments(void)
{
	uint32_t memory = (uint32_t)memory_create(2 * PAGE_SIZE);
	uint32_t space = cap_find("space");

	EXPECT(-CUSTOS_E_REQUEST, map(0, memory, 0, 1, RIGHTS_RW));
	EXPECT(-CUSTOS_E_REQUEST, map(0, memory, 1, PAGE_SIZE, RIGHTS_RW));
	EXPECT(-CUSTOS_E_REQUEST, map(0, memory, 0, 3 * PAGE_SIZE, RIGHTS_RW));
	EXPECT(-CUSTOS_E_REQUEST,
		map(0, memory, 2 * PAGE_SIZE, PAGE_SIZE, RIGHTS_RW));
	EXPECT(-CUSTOS_E_REQUEST,
		map(0, memory, -PAGE_SIZE, 2 * PAGE_SIZE, RIGHTS_RW));
	EXPECT(-CUSTOS_E_INVALID_CAP, map(0, 0, 0, PAGE_SIZE, RIGHTS_RW));
	EXPECT(-CUSTOS_E_INVALID_CAP,
		map(0, cap_find("self"), 0, PAGE_SIZE, RIGHTS_RW));
	EXPECT(-CUSTOS_E_REQUEST, custos_gpt_map(space, CUSTOS_KERNEL_BASE,
					  memory, 0, PAGE_SIZE, RIGHTS_RW));
	EXPECT(-CUSTOS_E_REQUEST,
		custos_gpt_unmap(space, page(0), UINT64_MAX - PAGE_SIZE + 1));
	EXPECT(-CUSTOS_E_REQUEST,
		custos_gpt_unmap(space, CUSTOS_DIRECT_BASE, PAGE_SIZE));
	EXPECT(-CUSTOS_E_REQUEST, /* would take for ever */
		custos_gpt_unmap(space, page(0), UINT64_C(1) << 46));
	EXPECT(0, custos_gpt_unmap(space, UINT64_C(1) << 44, 1 << 30));
}

/* What a mapping may do is what the capability, the call and the way allow. */
static void rights_are_anded(void)
{
	uint32_t memory = (uint32_t)memory_create(PAGE_SIZE);
	uint32_t weak = (uint32_t)cap_copy(memory, CUSTOS_RIGHT_READ);

	EXPECT(0, map(0, memory, 0, PAGE_SIZE, RIGHTS_RW));
	*word(0) = 7;
	EXPECT(0, map(0, weak, 0, PAGE_SIZE, RIGHTS_RW));
	EXPECT(7, *word(0));
	EXPECT(CUSTOS_EXIT_MEMORY,
		wait_exit(test_child("scribble", "", CUSTOS_ANY_CPU, weak)));
	EXPECT(0, wait_exit(test_child(
			  "scribble", "", CUSTOS_ANY_CPU, memory)));
	EXPECT(8, *word(0));
	unmap(0, 1);
}

/* Objects live until they are freed, and are Null everywhere then. */
static void freed_memory_is_gone(void)
{
	uint32_t bank = (uint32_t)bank_create(0);
	uint32_t pages = (uint32_t)object_create(bank, CUSTOS_CAP_PAGE);
	uint32_t twin = (uint32_t)cap_copy(pages, CUSTOS_RIGHT_ALL);
	static char bytes[8] = "abcdefg", back[8];

	EXPECT(0, custos_page_write(pages, 100, (uint64_t)bytes, 8));
	EXPECT(0, custos_page_read(twin, 100, (uint64_t)back, 8));
	EXPECT(0, memcmp(bytes, back, 8));
	EXPECT(1, custos_bank_owner(bank, twin));
	EXPECT(0, custos_bank_owner(cap_find("bank"), twin));
	EXPECT(-CUSTOS_E_REQUEST, custos_bank_free(cap_find("bank"), twin));
	EXPECT(2, custos_bank_usage(bank, CUSTOS_USAGE_OWN));
	EXPECT(0, custos_bank_free(bank, twin));
	EXPECT(1, custos_bank_usage(bank, CUSTOS_USAGE_OWN));
	EXPECT(CUSTOS_CAP_NULL, cap_type(pages));
	EXPECT(-CUSTOS_E_INVALID_CAP,
		custos_page_read(pages, 0, (uint64_t)back, 8));
	bank_end(bank);
}

static void create_checks_its_arguments(void)
{
	uint32_t bank = cap_find("bank"), slot = cap_slot_alloc();

	EXPECT(-CUSTOS_E_REQUEST, custos_bank_create_memory(bank, slot, 0));
	EXPECT(-CUSTOS_E_REQUEST, custos_bank_create_memory(bank, slot, 5));
	EXPECT(-CUSTOS_E_REQUEST,
		custos_bank_create_memory(bank, bank, PAGE_SIZE));
	EXPECT(-CUSTOS_E_REQUEST, /* more than any node spans */
		custos_bank_create_memory(bank, slot, -PAGE_SIZE));
	EXPECT(-CUSTOS_E_LIMIT,
		custos_bank_create_memory(bank, slot, UINT64_C(1) << 40));
	cap_slot_free(slot);
}

static void frames_may_run_out(void)
{
	uint32_t bank = (uint32_t)bank_create(100);
	const struct spawn_how how = {.bank = bank};
	uint64_t size = 64 * PAGE_SIZE;

	while (size) {
		uint32_t slot = cap_slot_alloc();

		if (custos_bank_create_memory(bank, slot, size))
			size = size / 2 & ~(PAGE_SIZE - 1);
		cap_slot_free(slot);
	}
	EXPECT(true, custos_bank_usage(bank, CUSTOS_USAGE_FREE) < 4);
	EXPECT(-CUSTOS_E_LIMIT, spawn_as("program", NULL, &how, NULL, 0));
	bank_end(bank);
}

static void bad_touches_end_the_process(void)
{
	EXPECT(0, test_run_child("touch", "read"));
	EXPECT(CUSTOS_EXIT_MEMORY, test_run_child("touch", "unmapped"));
	EXPECT(CUSTOS_EXIT_MEMORY, test_run_child("touch", "readonly"));
	EXPECT(CUSTOS_EXIT_MEMORY, test_run_child("touch", "noexec"));
}

/* The other process runs, with the old page in its TLB. */
static void mapping_into_a_running_process(void)
{
	uint32_t endpoint = (uint32_t)endpoint_create();
	uint32_t memory = (uint32_t)memory_create(PAGE_SIZE);
	uint32_t space = cap_slot_alloc();
	uint32_t child = test_child("lend", "", cpu_count() - 1, endpoint);
	struct custos_message message = {.cap_count = 1, .caps = {space}};

	EXPECT(0, message_receive(endpoint, &message));
	EXPECT(0, map(0, memory, 0, PAGE_SIZE, RIGHTS_RW));
	*word(0) = 33;
	sleep_ms(2);
	EXPECT(0, custos_gpt_map(space, message.words[0], memory, 0, PAGE_SIZE,
			  RIGHTS_RW));
	EXPECT(33, wait_exit(child));
	EXPECT(-CUSTOS_E_INVALID_CAP,
		custos_gpt_unmap(space, page(0), PAGE_SIZE));
	unmap(0, 1);
	cap_slot_free(space);
	cap_slot_free(memory);
	cap_slot_free(endpoint);
}

const struct role memory_roles[] = {
	{"touch", role_touch},
	{"scribble", role_scribble},
	{"lend", role_lend},
	{NULL, NULL},
};

const struct test memory_tests[] = {
	{"pages_are_shared_and_zero", pages_are_shared_and_zero},
	{"mapping_replaces", mapping_replaces},
	{"large_objects_work", large_objects_work},
	{"map_checks_its_arguments", map_checks_its_arguments},
	{"rights_are_anded", rights_are_anded},
	{"freed_memory_is_gone", freed_memory_is_gone},
	{"create_checks_its_arguments", create_checks_its_arguments},
	{"frames_may_run_out", frames_may_run_out},
	{"bad_touches_end_the_process", bad_touches_end_the_process},
	{"mapping_into_a_running_process", mapping_into_a_running_process},
	{NULL, NULL},
};
