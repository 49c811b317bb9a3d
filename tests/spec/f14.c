/* SPDX-License-Identifier: MIT */
/*
 * F14: a process makes a region, shares it and ends. The region lives as long
 * as the bank that paid: destroyed, the other's next access faults; removed,
 * the parent pays on, and nothing else changes; left alone, nothing changes.
 */
#include "tests/spec/spec.h"

#define PAGES 20
#define READY 64
#define ROUND 65
#define SEEN 66

/* Build a region from the bank, fill it, hand it over, end. */
static int role_builder(uint64_t argument)
{
	uint32_t slot = cap_slot_alloc();
	struct custos_message message = {.cap_count = 1, .caps = {slot}};

	EXPECT(0, custos_bank_create_memory(
			  spec_given(0), slot, PAGES * PAGE_SIZE));
	spec_map(slot, WINDOW, PAGES * PAGE_SIZE);
	for (uint64_t i = 0; i < PAGES; i++)
		spec_store8(WINDOW + i * PAGE_SIZE, argument + i);
	EXPECT(0, message_send(spec_given(1), &message));
	return 0;
}

/* Read all of it, in rounds. */
static int role_reader(uint64_t argument)
{
	spec_map(spec_given(0), WINDOW, PAGES * PAGE_SIZE);
	for (uint64_t round = 1;; round++) {
		for (uint64_t i = 0; i < PAGES; i++)
			EXPECT(argument + i,
				spec_load8(WINDOW + i * PAGE_SIZE));
		board[SEEN] = round;
		while (board[ROUND] != round)
			__asm__ volatile("pause");
	}
	return 0;
}

struct world {
	uint32_t storage; /* of the endpoints */
	uint32_t bank, region, reader, faults, keeper;
};

/* The builder has ended; the reader has the region in its TLB. */
static void build(struct world *w, uint64_t value)
{
	uint32_t endpoint, builder;
	struct custos_message message = {.cap_count = 1};

	w->storage = (uint32_t)bank_create(0);
	endpoint = (uint32_t)object_create(w->storage, CUSTOS_CAP_ENDPOINT);
	w->bank = (uint32_t)bank_create(0);
	w->region = cap_slot_alloc();
	w->faults = (uint32_t)object_create(w->storage, CUSTOS_CAP_ENDPOINT);
	w->keeper = (uint32_t)entry_create(w->faults, 1);
	message.caps[0] = w->region;
	builder = spec_start("builder", value, 0, CAPS(w->bank, endpoint));
	EXPECT(0, message_receive(endpoint, &message));
	EXPECT(0, wait_exit(builder));
	cap_slot_free(endpoint);
	EXPECT(true, custos_bank_usage(w->bank, CUSTOS_USAGE_OWN) > PAGES);
	board[SEEN] = board[ROUND] = 0;
	w->reader = spec_start_kept("reader", value, spec_last_cpu(),
		w->keeper, CAPS(w->region));
	spec_wait_word(SEEN, 1);
}

static void reads_again(struct world *w, uint64_t round)
{
	(void)w;
	board[ROUND] = round;
	spec_wait_word(SEEN, round + 1);
}

static void over(struct world *w)
{
	EXPECT(0, custos_process_kill(w->reader, 2));
	EXPECT(2, wait_exit(w->reader));
	cap_slot_free(w->region);
	cap_slot_free(w->bank);
	cap_slot_free(w->faults);
	cap_slot_free(w->keeper);
	bank_end(w->storage);
}

static void destroyed(void)
{
	static struct spec_message m;
	struct world w;

	build(&w, 1000);
	reads_again(&w, 1);
	EXPECT(0, custos_bank_destroy(w.bank));
	EXPECT(CUSTOS_CAP_NULL, cap_type(w.region));
	board[ROUND] = 2;
	spec_expect(w.faults, CUSTOS_MESSAGE_FAULT, &m);
	EXPECT(CUSTOS_FAULT_INVALID_ADDRESS, m.message.words[1]);
	EXPECT(WINDOW, m.access.va);
	over(&w);
	spec_drop(&m);
}

static void removed(void)
{
	struct world w;
	int64_t own, before;

	build(&w, 2000);
	own = custos_bank_usage(w.bank, CUSTOS_USAGE_OWN);
	before = custos_bank_usage(spec_bank(), CUSTOS_USAGE_OWN);
	EXPECT(0, custos_bank_remove(w.bank));
	EXPECT(before + own - 1, /* all but the bank itself */
		custos_bank_usage(spec_bank(), CUSTOS_USAGE_OWN));
	EXPECT(CUSTOS_CAP_NULL, cap_type(w.bank));
	reads_again(&w, 1);
	EXPECT(1, custos_bank_owner(spec_bank(), w.region));
	over(&w);
}

static void left_alone(void)
{
	struct world w;
	int64_t own;

	build(&w, 3000);
	own = custos_bank_usage(w.bank, CUSTOS_USAGE_OWN);
	reads_again(&w, 1);
	sleep_ms(50);
	reads_again(&w, 2);
	EXPECT(own, custos_bank_usage(w.bank, CUSTOS_USAGE_OWN));
	EXPECT(CUSTOS_CAP_GPT, cap_type(w.region));
	EXPECT(0, custos_process_suspend(w.reader));
	EXPECT(0, custos_bank_destroy(w.bank));
	EXPECT(CUSTOS_CAP_NULL, cap_type(w.region));
	over(&w);
}

const struct spec_role spec_roles[] = {
	{"builder", role_builder},
	{"reader", role_reader},
	{NULL, NULL},
};

void spec_test(uint64_t scale)
{
	spec_size("%u pages, %lu rounds of each case", PAGES, scale);
	for (uint64_t i = 0; i < scale; i++) {
		destroyed();
		removed();
		left_alone();
	}
}
