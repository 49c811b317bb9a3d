/* SPDX-License-Identifier: MIT */
/*
 * F6: who wants a page that is locked waits in line, first come first served,
 * and the keeper does not hear of it before; killed, a waiter is out of the
 * line; killed, the stepped process is told GONE; without the keeper everybody
 * goes on to the next one.
 */
#include "tests/spec/spec.h"

#define WAITERS 6

static int role_store(uint64_t argument)
{
	spec_map(spec_given(0), WINDOW, 64 * PAGE_SIZE);
	spec_store8(WINDOW + 8 * argument, argument);
	return 0;
}

/* One asks, the others come one after the other and wait. */
static void start_all(uint32_t endpoint, uint32_t node,
	uint32_t process[WAITERS], struct spec_message *m)
{
	for (unsigned i = 0; i < WAITERS; i++) {
		process[i] = spec_start(
			"store", i, i % cpu_count(), CAPS(node));
		if (i) {
			spec_wait_state(process[i], CUSTOS_STATE_LOCKED);
			continue;
		}
		spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, m);
		EXPECT(0, m->access.offset);
	}
	EXPECT(CUSTOS_STATE_ASKING, custos_process_state(process[0]));
}

static void in_order(uint32_t endpoint, uint32_t node)
{
	static struct spec_message m;
	uint32_t process[WAITERS];

	start_all(endpoint, node, process, &m);
	EXPECT(true, spec_is_quiet(endpoint));
	EXPECT(0, custos_process_kill(process[3], 9)); /* out of the line */
	EXPECT(9, wait_exit(process[3]));
	EXPECT(0, custos_resume_done(m.resume));
	for (unsigned i = 1; i < WAITERS; i++) {
		if (i == 3)
			continue;
		spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, &m);
		EXPECT(8 * i, m.access.offset);
		EXPECT(true, spec_is_quiet(endpoint));
		EXPECT(0, custos_resume_done(m.resume));
	}
	for (unsigned i = 0; i < WAITERS; i++)
		if (i != 3)
			EXPECT(0, wait_exit(process[i]));
	spec_drop(&m);
}

/* The stepped process dies between STEP and CONTINUE. */
static void stepped_dies(uint32_t endpoint, uint32_t node, uint32_t page)
{
	static struct spec_message m;
	uint32_t process[WAITERS];
	uint64_t seq;

	start_all(endpoint, node, process, &m);
	seq = m.access.seq;
	EXPECT(0, custos_resume_step(m.resume, page, RIGHTS_RW));
	spec_wait_state(process[0], CUSTOS_STATE_ASKING);
	EXPECT(0, custos_process_kill(process[0], 9));
	EXPECT(9, custos_process_wait(process[0]));
	spec_expect(endpoint, CUSTOS_MESSAGE_STEPPED, &m);
	EXPECT(seq, m.stepped.seq);
	EXPECT(CUSTOS_FAULT_GONE, m.stepped.fault);
	for (unsigned i = 1; i < WAITERS; i++) {
		spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, &m);
		EXPECT(8 * i, m.access.offset);
		EXPECT(0, custos_resume_done(m.resume));
	}
	EXPECT(9, wait_exit(process[0]));
	for (unsigned i = 1; i < WAITERS; i++)
		EXPECT(0, wait_exit(process[i]));
	spec_drop(&m);
}

/* Nobody will answer: each of them faults, and nothing is stored. */
static void keeper_dies(uint32_t endpoint, uint32_t node, uint32_t page)
{
	static struct spec_message m;
	uint32_t process[WAITERS];
	uint64_t word = 0;

	start_all(endpoint, node, process, &m);
	EXPECT(0, custos_bank_free(cap_find("bank"), endpoint));
	for (unsigned i = 0; i < WAITERS; i++)
		EXPECT(CUSTOS_EXIT_MEMORY, wait_exit(process[i]));
	EXPECT(0, custos_page_clear_keeper(page));
	EXPECT(0, custos_page_read(page, 8, (uint64_t)&word, 8));
	EXPECT(0, word);
	EXPECT(-CUSTOS_E_INVALID_CAP, custos_resume_done(m.resume));
	spec_drop(&m);
}

const struct spec_role spec_roles[] = {
	{"store", role_store},
	{NULL, NULL},
};

void spec_test(uint64_t scale)
{
	uint32_t node = spec_node(spec_bank(), 12);
	uint32_t page = spec_page(spec_bank());

	spec_size("%u processes at one page, %lu rounds", WAITERS, scale);
	EXPECT(0, custos_gpt_set_slot(node, 0, page));
	for (uint64_t i = 0; i < scale; i++) {
		uint32_t endpoint = (uint32_t)endpoint_create();
		uint32_t entry = (uint32_t)entry_create(endpoint, 1);

		EXPECT(0, custos_page_set_keeper(page, entry, RIGHTS_RW));
		in_order(endpoint, node);
		stepped_dies(endpoint, node, page);
		keeper_dies(endpoint, node, page);
		cap_slot_free(entry);
		cap_slot_free(endpoint);
	}
}
