/* SPDX-License-Identifier: MIT */
/*
 * The attack: nodes that are below themselves, so that whoever walks them, maps
 * into them, splits, searches or destroys them would never come to an end.
 */
#include "attack.h"

#define CYCLES 3

/* Node 0 in itself; two nodes in each other; a ladder back to its top. */
static uint32_t make_cycle(unsigned which)
{
	uint32_t bank = cap_find("bank"), nodes[6], count = which == 0 ? 1
						: which == 1	       ? 2
									: 6;
	uint32_t i;

	for (i = 0; i < count; i++)
		nodes[i] = (uint32_t)object_create(bank, CUSTOS_CAP_GPT);
	for (i = 0; i < count; i++) {
		EXPECT(0, custos_gpt_set_l2v(nodes[i],
				  which == 2 ? 42 - 6 * i : 12));
		EXPECT(0, custos_gpt_set_slot(
				  nodes[i], 0, nodes[(i + 1) % count]));
	}
	return nodes[0];
}

static int role_reader(uint64_t argument)
{
	uint32_t node = make_cycle((unsigned)argument);

	EXPECT(0, custos_gpt_set_slot(cap_find("space"), 1, node));
	return (int)*(volatile uint64_t *)(UINT64_C(1) << 42);
}

static int role_worker(uint64_t argument)
{
	uint32_t node = make_cycle((unsigned)argument);
	uint32_t slot = cap_slot_alloc(), self = cap_find("self");
	int64_t page = object_create(cap_find("bank"), CUSTOS_CAP_PAGE);

	EXPECT_REFUSED(custos_gpt_load_cap(node, 0, slot));
	EXPECT_REFUSED(custos_gpt_store_cap(node, 0, (uint32_t)page));
	EXPECT(-CUSTOS_E_LIMIT,
		custos_discrim_confined(cap_find("discrim"), node));
	/* These may do something, and must end. */
	custos_gpt_map(node, 0, (uint32_t)page, 0, PAGE_SIZE, RIGHTS_RW);
	custos_gpt_split(node, 0);
	custos_gpt_unmap(node, 0, PAGE_SIZE);
	custos_gpt_set_slot(cap_find("space"), 1, node);
	EXPECT_REFUSED(custos_console_write(
		cap_find("console"), UINT64_C(1) << 42, 10));
	/* Nothing can be executed any more after this one. */
	custos_process_set_cap(self, CUSTOS_PROCESS_SPACE, make_cycle(0));
	return 7;
}

void attack(void)
{
	uint64_t i;

	for (i = 0; i < CYCLES; i++) {
		uint32_t child = attack_start("reader", i, NULL, 0);

		EXPECT(CUSTOS_EXIT_MEMORY, wait_exit(child));
		child = attack_start("worker", i, NULL, 0);
		EXPECT(CUSTOS_EXIT_MEMORY, wait_exit(child));
	}
}

const struct attack_role attack_roles[] = {
	{"reader", role_reader},
	{"worker", role_worker},
	{NULL, NULL},
};
