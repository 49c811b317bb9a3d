/* SPDX-License-Identifier: MIT */
/*
 * The attack: a process is shown a page of capabilities, and a node with that
 * page below, without the right to be strong. It takes the capabilities out in
 * every way there is and tries to have one that writes, or to have the page for
 * its own slots.
 */
#include "attack.h"

#define SECRET 1		 /* slot of the capability page */
#define SECRET_AT (SECRET * 32) /* where that is, to a capability load */
#define LOST                                                                   \
	(CUSTOS_RIGHT_WRITE | CUSTOS_RIGHT_CONTROL | CUSTOS_RIGHT_INSPECT |    \
		CUSTOS_RIGHT_STRONG)

static void is_weak(uint32_t slot)
{
	uint64_t seen = 0, other = 1;

	EXPECT(0, (custos_discrim_classify(cap_find("discrim"), slot) >> 16) &
			  LOST);
	EXPECT(0, custos_page_read(slot, 0, (uint64_t)&seen, sizeof(seen)));
	EXPECT(42, seen);
	EXPECT(-CUSTOS_E_NO_ACCESS,
		custos_page_write(slot, 0, (uint64_t)&other, sizeof(other)));
	EXPECT(-CUSTOS_E_NO_ACCESS, custos_page_clear_keeper(slot));
}

static int role_taker(uint64_t argument)
{
	uint32_t weak = attack_given(0), node = attack_given(1);
	uint32_t slot = cap_slot_alloc(), self = cap_find("self");

	(void)argument;
	EXPECT(0, custos_cappage_get(weak, SECRET, slot));
	is_weak(slot);
	EXPECT(-CUSTOS_E_NO_ACCESS, custos_cappage_put(weak, 2, slot));
	EXPECT(-CUSTOS_E_NO_ACCESS,
		custos_cappage_copy(weak, SECRET, 2, CUSTOS_RIGHT_ALL));
	EXPECT(-CUSTOS_E_NO_ACCESS, custos_cappage_drop(weak, SECRET));
	cap_slot_free(slot);
	slot = cap_slot_alloc();
	EXPECT(0, custos_gpt_load_cap(node, SECRET_AT, slot));
	is_weak(slot);
	EXPECT(-CUSTOS_E_NO_ACCESS,
		custos_gpt_store_cap(node, 2 * SECRET_AT, slot));
	EXPECT(-CUSTOS_E_NO_ACCESS, custos_gpt_get_slot(node, 0, slot));
	EXPECT_REFUSED(custos_process_set_cap(self, CUSTOS_PROCESS_CAPS, weak));
	EXPECT(CUSTOS_CAP_PROCESS, cap_type(self)); /* has its own slots */
	cap_slot_free(slot);
	return 0;
}

/* A node of its own above, linked with all rights. */
static int role_linker(uint64_t argument)
{
	int64_t own = object_create(cap_find("bank"), CUSTOS_CAP_GPT);
	uint32_t slot = cap_slot_alloc();

	(void)argument;
	EXPECT(0, custos_gpt_set_slot((uint32_t)own, 0, attack_given(0)));
	EXPECT(0, custos_gpt_load_cap((uint32_t)own, SECRET_AT, slot));
	is_weak(slot);
	return 0;
}

/* Capabilities are no data. */
static int role_reader(uint64_t argument)
{
	(void)argument;
	attack_map(attack_given(1), WINDOW, PAGE_SIZE, CUSTOS_RIGHT_ALL);
	return (int)*(volatile uint64_t *)(WINDOW + SECRET_AT);
}

void attack(void)
{
	uint32_t slots = attack_object(CUSTOS_CAP_CAPPAGE);
	uint32_t page = attack_object(CUSTOS_CAP_PAGE), node = attack_node(12);
	uint64_t value = 42;
	int64_t weak = cap_copy(slots, CUSTOS_RIGHT_READ), weak_node, i;
	static const char *const roles[] = {"taker", "linker", "reader"};
	static const int codes[] = {0, 0, CUSTOS_EXIT_MEMORY};

	EXPECT(0, custos_page_write(page, 0, (uint64_t)&value, sizeof(value)));
	EXPECT(0, custos_cappage_put(slots, SECRET, page));
	EXPECT(0, custos_gpt_set_slot(node, 0, slots));
	weak_node = cap_copy(node, CUSTOS_RIGHT_READ | CUSTOS_RIGHT_CALL);
	for (i = 0; i < 3; i++) {
		uint32_t child = attack_start(roles[i], 0,
			CAPS((uint32_t)weak, (uint32_t)weak_node));

		EXPECT(codes[i], wait_exit(child));
	}
	EXPECT(0, custos_page_read(page, 0, (uint64_t)&value, sizeof(value)));
	EXPECT(42, value);
	cap_slot_free((uint32_t)weak);
	cap_slot_free((uint32_t)weak_node);
	cap_slot_free(node);
	cap_slot_free(page);
	cap_slot_free(slots);
}

const struct attack_role attack_roles[] = {
	{"taker", role_taker},
	{"linker", role_linker},
	{"reader", role_reader},
	{NULL, NULL},
};
