/* SPDX-License-Identifier: MIT */
/* Memory objects and address spaces. */
#include "tests.h"

#define BIG_PAGES 600 /* more than the object's header can name */

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
	return custos_space_map(
		cap_find("space"), page(at), memory, offset, length, rights);
}

static void unmap(unsigned at, unsigned pages)
{
	EXPECT(0, custos_space_unmap(
			  cap_find("space"), page(at), pages * PAGE_SIZE));
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

	EXPECT(2 * PAGE_SIZE, custos_memory_length(memory));
	EXPECT(0, map(0, memory, 0, 2 * PAGE_SIZE, RIGHTS_RW));
	EXPECT(0, map(4, memory, PAGE_SIZE, PAGE_SIZE, RIGHTS_RW));
	EXPECT(0, *word(0) | *word(1));
	*word(1) = 0x1122334455667788;
	EXPECT(0x1122334455667788, *word(4));
	cap_slot_free(memory); /* the mappings keep it */
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
	uint64_t high = CUSTOS_USER_END - PAGE_SIZE;

	EXPECT(-CUSTOS_E_REQUEST, map(0, memory, 0, 0, RIGHTS_RW));
	EXPECT(-CUSTOS_E_REQUEST, map(0, memory, 0, 1, RIGHTS_RW));
	EXPECT(-CUSTOS_E_REQUEST, map(0, memory, 1, PAGE_SIZE, RIGHTS_RW));
	EXPECT(-CUSTOS_E_REQUEST, map(0, memory, 0, 3 * PAGE_SIZE, RIGHTS_RW));
	EXPECT(-CUSTOS_E_REQUEST,
		map(0, memory, 2 * PAGE_SIZE, PAGE_SIZE, RIGHTS_RW));
	EXPECT(-CUSTOS_E_REQUEST,
		map(0, memory, -PAGE_SIZE, 2 * PAGE_SIZE, RIGHTS_RW));
	EXPECT(-CUSTOS_E_REQUEST,
		map(0, memory, 0, PAGE_SIZE, CUSTOS_RIGHT_WRITE));
	EXPECT(-CUSTOS_E_REQUEST,
		map(0, memory, 0, PAGE_SIZE, CUSTOS_RIGHT_READ | 0x80));
	EXPECT(-CUSTOS_E_INVALID_CAP, map(0, space, 0, PAGE_SIZE, RIGHTS_RW));
	EXPECT(-CUSTOS_E_INVALID_CAP, map(0, 0, 0, PAGE_SIZE, RIGHTS_RW));
	EXPECT(-CUSTOS_E_REQUEST,
		custos_space_map(space, 0, memory, 0, PAGE_SIZE, RIGHTS_RW));
	EXPECT(-CUSTOS_E_REQUEST, custos_space_map(space, high, memory, 0,
					  2 * PAGE_SIZE, RIGHTS_RW));
	EXPECT(-CUSTOS_E_REQUEST, custos_space_map(space, CUSTOS_KERNEL_BASE,
					  memory, 0, PAGE_SIZE, RIGHTS_RW));
	EXPECT(-CUSTOS_E_REQUEST,
		custos_space_unmap(space, page(0), UINT64_MAX - PAGE_SIZE + 1));
	EXPECT(-CUSTOS_E_REQUEST,
		custos_space_unmap(space, CUSTOS_DIRECT_BASE, PAGE_SIZE));
	EXPECT(-CUSTOS_E_REQUEST, /* would take for ever */
		custos_space_unmap(space, page(0), UINT64_C(1) << 46));
	EXPECT(0, custos_space_unmap(space, UINT64_C(1) << 44, 1 << 30));
	cap_slot_free(memory);
}

static void map_rights_come_from_the_capability(void)
{
	uint32_t memory = (uint32_t)memory_create(PAGE_SIZE);
	uint32_t weak = cap_slot_alloc();

	EXPECT(0, custos_cappage_copy(
			  cap_find("caps"), memory, weak, CUSTOS_RIGHT_READ));
	EXPECT(-CUSTOS_E_NO_ACCESS, map(0, weak, 0, PAGE_SIZE, RIGHTS_RW));
	EXPECT(0, map(0, weak, 0, PAGE_SIZE, CUSTOS_RIGHT_READ));
	unmap(0, 1);
	cap_slot_free(weak);
	cap_slot_free(memory);
}

static void create_checks_its_arguments(void)
{
	uint32_t bank = cap_find("bank"), slot = cap_slot_alloc();

	EXPECT(-CUSTOS_E_REQUEST, custos_bank_create_memory(bank, slot, 0));
	EXPECT(-CUSTOS_E_REQUEST, custos_bank_create_memory(bank, slot, 5));
	EXPECT(-CUSTOS_E_REQUEST,
		custos_bank_create_memory(bank, bank, PAGE_SIZE));
	EXPECT(-CUSTOS_E_LIMIT,
		custos_bank_create_memory(bank, slot, UINT64_C(1) << 46));
	EXPECT(-CUSTOS_E_LIMIT,
		custos_bank_create_memory(bank, slot, -PAGE_SIZE));
	cap_slot_free(slot);
}

static void frames_may_run_out(void)
{
	uint32_t bank = cap_find("bank"), slots[64], i, count = 0;
	uint64_t size = (uint64_t)custos_bank_count_free(bank) / 8 * PAGE_SIZE;

	while (size && count < 64) {
		slots[count] = cap_slot_alloc();
		if (!custos_bank_create_memory(bank, slots[count], size)) {
			count++;
			continue;
		}
		cap_slot_free(slots[count]);
		size = size / 2 & ~(PAGE_SIZE - 1);
	}
	EXPECT(true, custos_bank_count_free(bank) < 64);
	EXPECT(-CUSTOS_E_LIMIT, spawn("program", NULL, 0, NULL, 0));
	for (i = 0; i < count; i++)
		cap_slot_free(slots[i]);
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
	EXPECT(0, custos_space_map(space, message.words[0], memory, 0,
			  PAGE_SIZE, RIGHTS_RW));
	EXPECT(33, custos_process_wait(child));
	EXPECT(-CUSTOS_E_INVALID_CAP,
		custos_space_unmap(space, page(0), PAGE_SIZE));
	unmap(0, 1);
	cap_slot_free(child);
	cap_slot_free(space);
	cap_slot_free(memory);
	cap_slot_free(endpoint);
}

const struct role memory_roles[] = {
	{"touch", role_touch},
	{"lend", role_lend},
	{NULL, NULL},
};

const struct test memory_tests[] = {
	{"pages_are_shared_and_zero", pages_are_shared_and_zero},
	{"mapping_replaces", mapping_replaces},
	{"large_objects_work", large_objects_work},
	{"map_checks_its_arguments", map_checks_its_arguments},
	{"map_rights_come_from_the_capability",
		map_rights_come_from_the_capability},
	{"create_checks_its_arguments", create_checks_its_arguments},
	{"frames_may_run_out", frames_may_run_out},
	{"bad_touches_end_the_process", bad_touches_end_the_process},
	{"mapping_into_a_running_process", mapping_into_a_running_process},
	{NULL, NULL},
};
