/* SPDX-License-Identifier: MIT */
/*
 * F15: two processes put pages into one tree in turn, each paid by its own
 * bank; destroying one takes exactly its pages. A node it paid for with pages of
 * the other below leaves these unreachable, and the keeper of the node above is
 * told of the hole.
 */
#include "tests/spec/spec.h"

#define NODES 16
#define TURN 64


/* Page i goes to node i / 2 % NODES, and is the first's if i is even. */
static int role_insert(uint64_t argument)
{
	uint64_t me = argument & 1, count = argument >> 1;
	uint32_t top = spec_given(0), bank = spec_given(1);

	for (uint64_t i = me; i < count; i += 2) {
		uint32_t node = cap_slot_alloc(), page;

		while (board[TURN] != i)
			sleep_ms(1);
		EXPECT(0, custos_gpt_get_slot(top, i / 2 % NODES, node));
		page = spec_page(bank);
		EXPECT(0, custos_gpt_set_slot(
				  node, i / 2 / NODES * 2 + me, page));
		cap_slot_free(page);
		cap_slot_free(node);
		board[TURN] = i + 1;
	}
	return 0;
}

static uint64_t address(uint64_t i)
{
	return WINDOW + (i / 2 % NODES * 64 + i / 2 / NODES * 2 + i % 2) *
				PAGE_SIZE;
}

static uint32_t banks[2], top, endpoint;

/* What is there: every page can be stored to, or (by the keeper) is a hole. */
static int role_look(uint64_t count)
{
	spec_map(spec_given(0), WINDOW, 64 * 64 * PAGE_SIZE);
	for (uint64_t i = 0; i < count; i++)
		board[128 + i % 256] = spec_load8(address(i));
	return 0;
}

static void insert(uint64_t count)
{
	uint32_t a = spec_start("insert", count << 1, 0, CAPS(top, banks[0]));
	uint32_t b = spec_start("insert", count << 1 | 1, spec_last_cpu(),
		CAPS(top, banks[1]));

	EXPECT(0, wait_exit(a));
	EXPECT(0, wait_exit(b));
}

/* Who has what: half of the pages and of the nodes each, and itself. */
static void charged(uint64_t count)
{
	for (unsigned i = 0; i < 2; i++)
		EXPECT(1 + count / 2 + NODES / 2, spec_frames(banks[i]));
}

/* A load from each; the keeper counts those that find nothing. */
static uint64_t holes(uint64_t count)
{
	static struct spec_message m;
	uint32_t a = spec_start("look", count, spec_last_cpu(), CAPS(top));
	uint64_t asked = 0, value = 0;

	while (custos_process_state(a) != CUSTOS_STATE_ENDED) {
		if (spec_try(endpoint, &m)) {
			sleep_ms(1);
			continue;
		}
		EXPECT(CUSTOS_MESSAGE_ACCESS, m.message.words[0]);
		asked++;
		EXPECT(0, custos_resume_value(m.resume, (uint64_t)&value, 8));
	}
	EXPECT(0, wait_exit(a));
	spec_drop(&m);
	return asked;
}

/* A notice for every node that went, each with its place in the top one. */
static void told_of_holes(void)
{
	static struct spec_message m;
	uint64_t told = 0;

	while (!spec_try(endpoint, &m)) {
		uint64_t from, length;

		EXPECT(CUSTOS_MESSAGE_HOLE, m.message.words[0]);
		EXPECT(0, m.message.flags & CUSTOS_MESSAGE_RESUME);
		from = m.message.words[1] / PAGE_SIZE / 64;
		length = m.message.words[2] / PAGE_SIZE / 64;
		for (uint64_t i = 0; i < length; i++)
			told |= UINT64_C(1) << (from + i);
	}
	EXPECT(0x5555, told & 0x5555);
	spec_drop(&m);
}

const struct spec_role spec_roles[] = {
	{"insert", role_insert},
	{"look", role_look},
	{NULL, NULL},
};

void spec_test(uint64_t scale)
{
	spec_size("%lu pages in %u nodes by turns", scale, NODES);
	banks[0] = (uint32_t)bank_create(0);
	banks[1] = (uint32_t)bank_create(0);
	top = spec_node(spec_bank(), 18);
	endpoint = (uint32_t)endpoint_create();
	EXPECT(0, custos_gpt_set_keeper(
			  top, (uint32_t)entry_create(endpoint, 1)));
	for (unsigned i = 0; i < NODES; i++)
		EXPECT(0, custos_gpt_set_slot(
				  top, i, spec_node(banks[i % 2], 12)));
	insert(scale);
	charged(scale);
	EXPECT(0, holes(scale));
	bank_end(banks[0]);
	told_of_holes();
	/* Nodes of the first are gone with all below, and its pages. */
	EXPECT(1 + scale / 2 + NODES / 2, spec_frames(banks[1]));
	EXPECT(scale - scale / 4, holes(scale));
	EXPECT(1 + scale / 2 + NODES / 2, spec_frames(banks[1]));
	bank_end(banks[1]);
}
