/* SPDX-License-Identifier: MIT */
/*
 * F16: mapping tables can be named and taken back, and come again, paid by the
 * same bank. Cyclic trees end in TRAVERSE_LIMIT. A split keeps every
 * translation, takes its node from the bank, and refused it changes nothing.
 */
#include "tests/spec/spec.h"

#define PAGES 64
#define NODES 8
#define ROUND 64
#define SEEN 65

/* ---- tables ---- */

static int role_rounds(uint64_t argument)
{
	(void)argument;
	spec_map(spec_given(0), WINDOW, PAGES * PAGE_SIZE);
	for (uint64_t round = 1;; round++) {
		for (uint64_t i = 0; i < PAGES; i++)
			EXPECT(i, spec_load8(WINDOW + i * PAGE_SIZE));
		board[SEEN] = round;
		while (board[ROUND] != round)
			yield();
	}
	return 0;
}

/* Free as many tables as the bank pays for, some of which may be back before the
 * last one goes: their users run on, and we are one. */
static int64_t rescind(uint32_t bank)
{
	int64_t all = custos_bank_usage(bank, CUSTOS_USAGE_TABLES), count = 0;
	uint32_t slot = cap_slot_alloc();

	while (count < all && !custos_bank_find_table(bank, 0, slot)) {
		int64_t info = custos_table_info(slot);

		EXPECT(true, (info & 0xff) >= 1 && (info & 0xff) <= 3);
		EXPECT(1, custos_bank_owner(bank, slot));
		EXPECT(0, custos_bank_free(bank, slot));
		EXPECT(CUSTOS_CAP_NULL, cap_type(slot));
		cap_slot_free(slot);
		slot = cap_slot_alloc();
		count++;
	}
	cap_slot_free(slot);
	return count;
}

static void tables_come_back(uint32_t node, uint64_t rounds)
{
	uint32_t a = spec_start("rounds", 0, spec_last_cpu(), CAPS(node));
	uint32_t bank = spawned_bank(a);
	int64_t tables;

	spec_wait_word(SEEN, 1);
	tables = custos_bank_usage(bank, CUSTOS_USAGE_TABLES);
	EXPECT(true, tables > 0);
	for (uint64_t i = 1; i <= rounds; i++) {
		EXPECT(true, rescind(bank) >= tables);
		rescind(spec_bank());
		board[ROUND] = i;
		spec_wait_word(SEEN, i + 1);
		EXPECT(tables, custos_bank_usage(bank, CUSTOS_USAGE_TABLES));
	}
	EXPECT(0, custos_process_kill(a, 1));
	EXPECT(1, wait_exit(a));
}

/* ---- cycles ---- */

static int role_load(uint64_t address)
{
	EXPECT(0, custos_gpt_map(cap_find("space"), 0x200000000, spec_given(0),
			  0, 64 << 24, CUSTOS_RIGHTS_MEMORY));
	spec_load8(0x200000000 + address);
	return 0;
}

/* Random links between nodes of all sizes, cycles and windows included: every
 * access comes to an end, in a page or in a fault. */
static void cycles(uint64_t count)
{
	const struct spawn_how how = {
		.cpu = spec_last_cpu(), .flags = CUSTOS_SPAWN_STAYS};
	uint32_t bank = (uint32_t)bank_create(0), node[NODES], process;
	uint64_t seed = 11, limits = 0;
	struct custos_access access;

	for (unsigned i = 0; i < NODES; i++)
		node[i] = spec_node(bank, i ? 12 + 6 * (i % 3) : 24);
	for (uint64_t i = 0; i < count; i++) {
		for (unsigned k = 0; k < NODES; k++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			for (unsigned s = 0; s < 8; s++)
				EXPECT(0, custos_gpt_set_slot(node[k], s,
					  node[(seed >> (20 + 4 * s)) % NODES]));
		}
		/* Half of them stay in slots that lead on. */
		process = spec_start_as("load",
			seed % (i % 2 ? 4 << 24 : 0x8000) & ~7u, &how,
			CAPS(node[0]));
		spec_wait_state(process, CUSTOS_STATE_FAULTED);
		if (custos_process_pending(process, (uint64_t)&access) ==
			CUSTOS_FAULT_TRAVERSE_LIMIT)
			limits++;
		EXPECT(0, custos_process_kill(process, 1));
		EXPECT(1, wait_exit(process));
	}
	/* A node in itself: nothing but that can come of it. */
	for (unsigned s = 0; s < 64; s++)
		EXPECT(0, custos_gpt_set_slot(node[0], s, node[0]));
	process = spec_start_as("load", 0x1000, &how, CAPS(node[0]));
	spec_wait_state(process, CUSTOS_STATE_FAULTED);
	EXPECT(CUSTOS_FAULT_TRAVERSE_LIMIT,
		custos_process_pending(process, (uint64_t)&access));
	EXPECT(0, custos_process_kill(process, 1));
	EXPECT(1, wait_exit(process));
	EXPECT(true, limits > 0);
	bank_end(bank);
}

/* ---- split ---- */

static void all_pages(uint64_t va)
{
	for (uint64_t i = 0; i < PAGES; i++)
		EXPECT(i, spec_load8(va + i * PAGE_SIZE));
}

static void split(uint32_t node)
{
	uint32_t bank = (uint32_t)bank_create(8);
	uint32_t top = spec_node(bank, 18), below = cap_slot_alloc();
	int64_t frames;

	EXPECT(0, custos_gpt_set_slot(top, 1, node));
	spec_map(top, WINDOW_2, 64 * 64 * PAGE_SIZE);
	all_pages(WINDOW_2 + 64 * PAGE_SIZE);
	frames = spec_frames(bank);
	EXPECT(0, custos_bank_set_limit(
			  bank, (uint64_t)custos_bank_usage(
					bank, CUSTOS_USAGE_ALL)));
	EXPECT(-CUSTOS_E_LIMIT, custos_gpt_split(top, 1));
	EXPECT(0, custos_gpt_get_slot(top, 1, below));
	EXPECT(1, custos_discrim_same(cap_find("discrim"), below, node));
	all_pages(WINDOW_2 + 64 * PAGE_SIZE);
	cap_slot_free(below);
	EXPECT(0, custos_bank_set_limit(bank, 0));
	EXPECT(0, custos_gpt_split(top, 1));
	EXPECT(frames + 1, spec_frames(bank));
	all_pages(WINDOW_2 + 64 * PAGE_SIZE);
	below = cap_slot_alloc();
	EXPECT(0, custos_gpt_get_slot(top, 1, below));
	EXPECT(0, custos_discrim_same(cap_find("discrim"), below, node));
	EXPECT(1, custos_bank_owner(bank, below));
	/* what is put into the old one is seen through the new one */
	EXPECT(0, custos_gpt_set_slot(node, 5, spec_page(bank)));
	EXPECT(0, spec_load8(WINDOW_2 + (64 + 5) * PAGE_SIZE));
	EXPECT(0, memory_unmap((void *)WINDOW_2, 64 * 64 * PAGE_SIZE));
	bank_end(bank);
}

const struct spec_role spec_roles[] = {
	{"rounds", role_rounds},
	{"load", role_load},
	{NULL, NULL},
};

void spec_test(uint64_t scale)
{
	uint32_t node = spec_node(spec_bank(), 12);

	spec_size("%lu rounds of rescinding, %lu random graphs, split", scale,
		scale);
	for (uint64_t i = 0; i < PAGES; i++) {
		uint32_t page = spec_page(spec_bank());

		EXPECT(0, custos_page_write(page, 0, (uint64_t)&i, 8));
		EXPECT(0, custos_gpt_set_slot(node, i, page));
		cap_slot_free(page);
	}
	tables_come_back(node, scale);
	cycles(scale);
	split(node);
}
