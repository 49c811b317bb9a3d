/* SPDX-License-Identifier: MIT */
/*
 * The attack: a process that may read four pages of somebody's memory through a
 * window tries to get more: to write, to see the pages around, to change the
 * nodes, by windows of the window, by nodes of its own, by offsets that wrap.
 */
#include "attack.h"

#define ACCESSES 5
#define SHOWN (4 * PAGE_SIZE)

static unsigned rights_of(uint32_t slot)
{
	return (unsigned)(custos_discrim_classify(cap_find("discrim"), slot) >>
			  16);
}

static void windows_of(uint32_t window)
{
	static const uint64_t bad[][2] = {{0, SHOWN + PAGE_SIZE},
		{PAGE_SIZE, SHOWN}, {SHOWN, PAGE_SIZE},
		{UINT64_MAX - PAGE_SIZE + 1, PAGE_SIZE},
		{UINT64_MAX - PAGE_SIZE + 1, 2 * PAGE_SIZE},
		{0, UINT64_MAX - PAGE_SIZE + 1}, {PAGE_SIZE, 0 - PAGE_SIZE},
		{1, PAGE_SIZE}, {0, 1}, {UINT64_C(1) << 63, PAGE_SIZE}};
	uint32_t slot = cap_slot_alloc();
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_REFUSED(custos_gpt_make_window(window, slot, bad[i][0],
			bad[i][1], CUSTOS_RIGHT_READ));
	EXPECT(0, custos_gpt_make_window(
			  window, slot, 0, SHOWN, CUSTOS_RIGHT_ALL));
	EXPECT(0, rights_of(slot) & ~rights_of(window));
	EXPECT(SHOWN, custos_gpt_length(slot));
	cap_slot_free(slot);
}

static int role_widener(uint64_t argument)
{
	uint32_t window = attack_given(0), page = attack_given(1);
	uint32_t slot = cap_slot_alloc();

	(void)argument;
	EXPECT(-CUSTOS_E_NO_ACCESS, custos_gpt_get_slot(window, 0, slot));
	EXPECT(-CUSTOS_E_NO_ACCESS, custos_gpt_set_slot(window, 0, page));
	EXPECT(-CUSTOS_E_NO_ACCESS, custos_gpt_set_l2v(window, 18));
	EXPECT(-CUSTOS_E_NO_ACCESS, custos_gpt_set_keeper(window, 0));
	EXPECT(-CUSTOS_E_NO_ACCESS, custos_gpt_set_bank(window, 0));
	EXPECT(-CUSTOS_E_NO_ACCESS, custos_gpt_split(window, 0));
	EXPECT(-CUSTOS_E_NO_ACCESS,
		custos_gpt_map(window, 0, page, 0, PAGE_SIZE, RIGHTS_RW));
	EXPECT(-CUSTOS_E_NO_ACCESS, custos_gpt_unmap(window, 0, PAGE_SIZE));
	EXPECT(-CUSTOS_E_NO_ACCESS, custos_gpt_store_cap(window, 0, page));
	EXPECT(-CUSTOS_E_NO_ACCESS, custos_page_set_keeper(page, 0, 1));
	EXPECT(-CUSTOS_E_NO_ACCESS, custos_page_write(page, 0, (uint64_t)&slot,
					    sizeof(slot)));
	windows_of(window);
	return 0;
}

/* Through a node of its own, with all the rights it can write down. */
static void map_through_node(uint32_t window)
{
	int64_t node = object_create(cap_find("bank"), CUSTOS_CAP_GPT);

	EXPECT(0, custos_gpt_set_l2v((uint32_t)node, 18));
	EXPECT(0, custos_gpt_set_slot((uint32_t)node, 0, window));
	attack_map((uint32_t)node, WINDOW, UINT64_C(1) << 18,
		CUSTOS_RIGHT_ALL);
}

/* Each ends the process, or reads what it may read. */
static int role_accessor(uint64_t argument)
{
	volatile uint64_t *at = (volatile uint64_t *)WINDOW;

	if (argument == 3)
		map_through_node(attack_given(0));
	else
		custos_gpt_map(cap_find("space"), WINDOW, attack_given(0), 0,
			SHOWN, CUSTOS_RIGHT_ALL);
	switch (argument) {
	case 0:
		return (int)at[0]; /* what is there */
	case 1:
		at[0] = 1;
		break;
	case 2:
		(void)at[SHOWN / 8];
		break;
	case 3:
		at[1] = 1;
		break;
	default:
		((void (*)(void))WINDOW)();
	}
	return 0;
}

void attack(void)
{
	static const int codes[ACCESSES] = {42, CUSTOS_EXIT_MEMORY,
		CUSTOS_EXIT_MEMORY, CUSTOS_EXIT_MEMORY, CUSTOS_EXIT_MEMORY};
	uint32_t memory = cap_slot_alloc(), window = cap_slot_alloc(), child, i;
	int64_t page = cap_copy(attack_object(CUSTOS_CAP_PAGE), 0);
	volatile uint64_t *at = (volatile uint64_t *)WINDOW;

	EXPECT(0, custos_bank_create_memory(
			  attack_bank, memory, 16 * PAGE_SIZE));
	attack_map(memory, WINDOW, 16 * PAGE_SIZE, RIGHTS_RW);
	at[4 * PAGE_SIZE / 8] = 42;
	EXPECT(0, custos_gpt_make_window(memory, window, 4 * PAGE_SIZE, SHOWN,
			  CUSTOS_RIGHT_READ));
	child = attack_start("widener", 0, CAPS(window, (uint32_t)page));
	EXPECT(0, wait_exit(child));
	for (i = 0; i < ACCESSES; i++) {
		child = attack_start("accessor", i, CAPS(window));
		EXPECT(codes[i], wait_exit(child));
	}
	EXPECT(42, at[4 * PAGE_SIZE / 8]);
	EXPECT(0, at[4 * PAGE_SIZE / 8 + 1]);
	EXPECT(0, memory_unmap((void *)WINDOW, 16 * PAGE_SIZE));
	cap_slot_free(window);
	cap_slot_free(memory);
	cap_slot_free((uint32_t)page);
}

const struct attack_role attack_roles[] = {
	{"widener", role_widener},
	{"accessor", role_accessor},
	{NULL, NULL},
};
