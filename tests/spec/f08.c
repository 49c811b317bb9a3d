/* SPDX-License-Identifier: MIT */
/*
 * F8: who is asked: the entry, then the keepers of the nodes from the inside
 * out, then the process's, with one seq and offsets as each sees them; a keeper
 * below a link that forbids the access is not asked. A position may change from
 * page to kept page to entry while it is used.
 */
#include "tests/spec/spec.h"

#define SLOT_1 2 /* of G1: G2 */
#define SLOT_2 7 /* of G2: the entry */
#define AT (WINDOW + SLOT_1 * 64 * PAGE_SIZE + SLOT_2 * PAGE_SIZE + 0x10)
#define VALUE 0x1234
#define STOP 64
#define COUNT 65

static int role_store(uint64_t argument)
{
	spec_map(spec_given(0), WINDOW, 64 * 64 * PAGE_SIZE);
	spec_store8(AT, argument);
	return 0;
}

static int role_read(uint64_t argument)
{
	(void)argument;
	spec_map(spec_given(0), WINDOW, 64 * 64 * PAGE_SIZE);
	while (!board[STOP]) {
		EXPECT(VALUE, spec_load8(AT));
		board[COUNT]++;
	}
	return 0;
}

struct world {
	uint32_t endpoint, entry, page, g1, g2;
	struct spec_message m;
};

static struct world w;

static uint64_t asked(uint64_t payload, uint64_t offset, unsigned level)
{
	spec_expect(w.endpoint,
		payload == 4 ? CUSTOS_MESSAGE_FAULT : CUSTOS_MESSAGE_ACCESS,
		&w.m);
	EXPECT(payload, w.m.message.payload);
	if (payload != 4)
		EXPECT(offset, w.m.access.offset);
	if (payload != 4)
		EXPECT(level, w.m.access.level);
	return w.m.access.seq;
}

static void order(void)
{
	uint32_t keeper = (uint32_t)entry_create(w.endpoint, 4);
	uint32_t a = spec_start_kept(
		"store", 1, spec_last_cpu(), keeper, CAPS(w.g1));
	uint64_t seq;

	seq = asked(3, 0x10, 0);
	EXPECT(CUSTOS_REASON_ENTRY, w.m.access.reason);
	EXPECT(0, custos_resume_pass(w.m.resume));
	EXPECT(seq, asked(2, SLOT_2 * PAGE_SIZE + 0x10, 1));
	EXPECT(0, custos_resume_pass(w.m.resume));
	EXPECT(seq, asked(1, AT - WINDOW, 2));
	EXPECT(0, custos_resume_pass(w.m.resume));
	EXPECT(seq, asked(4, 0, 3));
	EXPECT(0, custos_process_kill(a, 1));
	EXPECT(1, wait_exit(a));
}

/* The link to G2 is read-only: a store is G1's business. */
static void weaker_links(void)
{
	uint32_t weak = (uint32_t)cap_copy(w.g2,
		CUSTOS_RIGHTS_MEMORY & ~(uint64_t)CUSTOS_RIGHT_WRITE);
	uint32_t a;

	EXPECT(0, custos_gpt_set_slot(w.g1, SLOT_1, weak));
	a = spec_start("store", 1, spec_last_cpu(), CAPS(w.g1));
	asked(1, AT - WINDOW, 0);
	EXPECT(CUSTOS_FAULT_ACCESS_VIOLATION, w.m.access.fault);
	EXPECT(0, custos_resume_done(w.m.resume));
	EXPECT(0, wait_exit(a));
	EXPECT(0, custos_gpt_set_slot(w.g1, SLOT_1, w.g2));
}

/* Answer until something has become this large, and some more. */
static void serve(
	struct keeper *keeper, const volatile uint64_t *count, uint64_t until)
{
	uint64_t start = time_ns();

	while (*count < until && time_ns() - start < UINT64_C(10000000000))
		if (keeper_once(keeper, CUSTOS_NO_WAIT))
			sleep_ms(1);
	EXPECT(true, *count >= until);
}

static void on_access(struct keeper *keeper, const struct custos_access *access)
{
	uint64_t value = VALUE;

	EXPECT(CUSTOS_ACCESS_LOAD, access->kind);
	EXPECT(0x10, access->offset);
	++*(uint64_t *)keeper->context;
	keeper_value(keeper, &value, 8);
}

static void switches(uint64_t rounds)
{
	static const struct keeper_ops ops = {.access = on_access};
	static struct keeper keeper;
	uint64_t value = VALUE, count = 0, before;
	uint32_t a;

	EXPECT(0, custos_page_write(w.page, 0x10, (uint64_t)&value, 8));
	keeper_init(&keeper, w.endpoint, &ops, &count);
	EXPECT(0, custos_gpt_set_slot(w.g2, SLOT_2, w.page));
	a = spec_start("read", 0, spec_last_cpu(), CAPS(w.g1));
	for (uint64_t i = 0; i < rounds; i++) {
		EXPECT(0, custos_page_set_keeper(
				  w.page, w.entry, CUSTOS_RIGHT_READ));
		serve(&keeper, &count, count + 3); /* a kept page: asked */
		EXPECT(0, custos_gpt_set_slot(w.g2, SLOT_2, w.entry));
		serve(&keeper, &count, count + 3); /* an entry: asked */
		EXPECT(0, custos_page_clear_keeper(w.page));
		EXPECT(0, custos_gpt_set_slot(w.g2, SLOT_2, w.page));
		board[COUNT] = 0;
		serve(&keeper, &board[COUNT], 10); /* asked before, perhaps */
		before = count;
		serve(&keeper, &board[COUNT], board[COUNT] + 1000);
		EXPECT(before, count); /* a page: used, not asked */
	}
	board[STOP] = 1;
	EXPECT(0, wait_exit(a));
}

const struct spec_role spec_roles[] = {
	{"store", role_store},
	{"read", role_read},
	{NULL, NULL},
};

void spec_test(uint64_t scale)
{
	spec_size("3 keepers and the process's; %lu rounds of switching", scale);
	w.endpoint = (uint32_t)endpoint_create();
	w.entry = (uint32_t)entry_create(w.endpoint, 3);
	w.page = spec_page(spec_bank());
	w.g1 = spec_node(spec_bank(), 18);
	w.g2 = spec_node(spec_bank(), 12);
	EXPECT(0, custos_gpt_set_slot(w.g1, SLOT_1, w.g2));
	EXPECT(0, custos_gpt_set_slot(w.g2, SLOT_2, w.entry));
	EXPECT(0, custos_gpt_set_keeper(
			  w.g1, (uint32_t)entry_create(w.endpoint, 1)));
	EXPECT(0, custos_gpt_set_keeper(
			  w.g2, (uint32_t)entry_create(w.endpoint, 2)));
	order();
	weaker_links();
	EXPECT(0, custos_gpt_set_keeper(w.g1, 0));
	EXPECT(0, custos_gpt_set_keeper(w.g2, 0));
	switches(scale);
}
