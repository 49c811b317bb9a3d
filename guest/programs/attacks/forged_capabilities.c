/* SPDX-License-Identifier: MIT */
/*
 * The attack: capabilities made of data. A process writes what a capability
 * looks like in memory, and would have the page taken for one of capabilities;
 * it names slots that do not exist, uses capabilities of freed objects, sets
 * its own by ones of a wrong type.
 */
#include "attack.h"

static uint32_t make(enum custos_captype type)
{
	int64_t slot = object_create(cap_find("bank"), type);

	EXPECT(true, slot > 0);
	return (uint32_t)slot;
}

/* Type, rights, window, payload, object, generation. */
static void write_forged(uint32_t page)
{
	const uint64_t forged[4] = {CUSTOS_CAP_BANK | 0xffffu << 16, 0,
		CUSTOS_DIRECT_BASE + CUSTOS_RAM_BASE, 1};
	unsigned i;

	for (i = 0; i < CUSTOS_SLOTS; i++)
		EXPECT(0, custos_page_write(page, i * sizeof(forged),
				  (uint64_t)forged, sizeof(forged)));
}

static void data_is_no_capability(void)
{
	uint32_t page = make(CUSTOS_CAP_PAGE), node = make(CUSTOS_CAP_GPT);
	uint32_t slot = cap_slot_alloc(), self = cap_find("self");

	write_forged(page);
	EXPECT_REFUSED(custos_process_set_cap(self, CUSTOS_PROCESS_CAPS, page));
	EXPECT(0, custos_gpt_set_slot(node, 0, page));
	EXPECT_REFUSED(custos_gpt_load_cap(node, 0, slot));
	EXPECT_REFUSED(custos_gpt_load_cap(node, 32, slot));
	EXPECT_REFUSED(custos_gpt_store_cap(node, 32, page));
	EXPECT(-CUSTOS_E_INVALID_CAP, custos_cappage_get(page, 1, slot));
	EXPECT(CUSTOS_CAP_NULL, cap_type(slot));
	cap_slot_free(slot);
}

static void wrong_types(void)
{
	static const enum custos_captype types[] = {CUSTOS_CAP_PAGE,
		CUSTOS_CAP_CAPPAGE, CUSTOS_CAP_GPT, CUSTOS_CAP_ENDPOINT,
		CUSTOS_CAP_BUFFER, CUSTOS_CAP_PROCESS};
	unsigned i;
	uint64_t op;

	for (i = 0; i < 6; i++) {
		uint32_t slot = make(types[i]);

		for (op = 0; op < CUSTOS_OP_MAX; op++)
			if (op / CUSTOS_OPS_PER_TYPE != types[i])
				EXPECT_REFUSED(guest_call(
					op, slot, 1, 2, 3, 4, 5));
		EXPECT(types[i], cap_type(slot));
	}
}

static void freed_objects(void)
{
	uint32_t bank = cap_find("bank"), page = make(CUSTOS_CAP_PAGE);
	uint32_t copy = (uint32_t)cap_copy(page, CUSTOS_RIGHT_ALL), other;
	uint64_t word = 1;

	EXPECT(0, custos_bank_free(bank, page));
	other = make(CUSTOS_CAP_PAGE); /* the same frame, most likely */
	EXPECT(-CUSTOS_E_INVALID_CAP,
		custos_page_write(copy, 0, (uint64_t)&word, sizeof(word)));
	EXPECT(-CUSTOS_E_INVALID_CAP, custos_bank_free(bank, copy));
	EXPECT(CUSTOS_CAP_NULL, cap_type(copy));
	EXPECT(CUSTOS_CAP_PAGE, cap_type(other));
}

static void slots_that_are_none(void)
{
	static const uint64_t slots[] = {0, CUSTOS_SLOTS, CUSTOS_SLOTS + 3,
		UINT32_MAX, UINT64_C(0x100000001), UINT64_MAX};
	uint32_t caps = cap_find("caps"), i;

	for (i = 0; i < 6; i++) {
		uint32_t low = (uint32_t)slots[i];

		EXPECT(-CUSTOS_E_INVALID_CAP,
			guest_call(CUSTOS_OP_TIMER_NOW, low ? low | 0x80 : 0, 0,
				0, 0, 0, 0));
		EXPECT_REFUSED(custos_cappage_copy(
			caps, caps, slots[i], CUSTOS_RIGHT_ALL));
		EXPECT_REFUSED(custos_cappage_put(caps, slots[i], caps));
		EXPECT_REFUSED(custos_bank_alloc(
			cap_find("bank"), CUSTOS_CAP_PAGE, slots[i]));
	}
}

/* What another's bank paid for is not one's own to free. */
static void foreign_objects(void)
{
	uint32_t bank = cap_find("bank");

	EXPECT(-CUSTOS_E_REQUEST, custos_bank_free(bank, attack_given(0)));
	EXPECT(0, custos_bank_owner(bank, attack_given(0)));
	EXPECT(-CUSTOS_E_REQUEST, custos_bank_free(bank, bank));
	EXPECT(-CUSTOS_E_REQUEST, custos_bank_free(bank, cap_find("timer")));
	EXPECT(-CUSTOS_E_REQUEST, custos_bank_free(bank, attack_given(1)));
}

static int role_forger(uint64_t argument)
{
	(void)argument;
	data_is_no_capability();
	wrong_types();
	freed_objects();
	slots_that_are_none();
	foreign_objects();
	return 0;
}

/* Capabilities are no data, either. */
static int role_reader(uint64_t argument)
{
	uint32_t slots = make(CUSTOS_CAP_CAPPAGE);
	volatile uint64_t *at = (volatile uint64_t *)WINDOW;

	attack_map(slots, WINDOW, PAGE_SIZE, CUSTOS_RIGHT_ALL);
	if (argument)
		at[8] = CUSTOS_CAP_BANK;
	return (int)at[8];
}

void attack(void)
{
	uint32_t page = attack_object(CUSTOS_CAP_PAGE);
	uint32_t endpoint = attack_object(CUSTOS_CAP_ENDPOINT);
	uint32_t entry = (uint32_t)entry_create(endpoint, 1), child, i;

	child = attack_start("forger", 0, CAPS(page, entry));
	EXPECT(0, wait_exit(child));
	for (i = 0; i < 2; i++) {
		child = attack_start("reader", i, NULL, 0);
		EXPECT(CUSTOS_EXIT_MEMORY, wait_exit(child));
	}
	cap_slot_free(entry);
	cap_slot_free(endpoint);
	cap_slot_free(page);
}

const struct attack_role attack_roles[] = {
	{"forger", role_forger},
	{"reader", role_reader},
	{NULL, NULL},
};
