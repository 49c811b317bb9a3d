/* SPDX-License-Identifier: MIT */
/*
 * F5: the answer STEP lets one instruction of the one process use a page while
 * nobody else touches it through any alias, then the keeper is asked again with
 * what was done; others go on elsewhere. It may step on, roll back or fault.
 * The same exclusion holds while an access is served.
 */
#include "tests/spec/spec.h"

#define WORKERS 3
#define OTHER 64	/* board: counts of who uses another page */
#define STOP 65
#define FAILED 66

static const uint64_t windows[] = {WINDOW, WINDOW_2, WINDOW_3};

/* The page is in slot 0 of two nodes, and in slot 9 of the second. */
static uint64_t alias(uint64_t worker)
{
	return windows[worker] + (worker == 2 ? 9 * PAGE_SIZE : 0);
}

static void map_all(void)
{
	spec_map(spec_given(0), WINDOW, 64 * PAGE_SIZE);
	spec_map(spec_given(1), WINDOW_2, 64 * PAGE_SIZE);
	spec_map(spec_given(1), WINDOW_3, 64 * PAGE_SIZE);
}

/* Word 0 is counted by all, the page's word 8 + worker by one. */
static int role_work(uint64_t argument)
{
	uint64_t worker = argument >> 32, count = argument & 0xffffffff;

	map_all();
	for (uint64_t i = 0; i < count; i++) {
		spec_xadd8(alias((worker + i) % 3), 1);
		if (i % 4 == 0) {
			uint64_t va = alias(i % 3) + 64 + 8 * worker;
			uint64_t was = spec_load8(va);

			EXPECT(i / 4, was);
			spec_store8(va, was + 1);
		}
	}
	return 0;
}

/* Uses the page beside, all the time. */
static int role_other(uint64_t argument)
{
	volatile uint64_t *word = (uint64_t *)(WINDOW + PAGE_SIZE);

	(void)argument;
	map_all();
	while (!board[STOP]) {
		++*word;
		board[OTHER]++;
	}
	return 0;
}

/* What the page must hold: only what steps reported may have changed it. */
static uint8_t model[PAGE_SIZE];

static void take(const struct custos_stepped *stepped)
{
	for (uint32_t i = 0; i < stepped->count && i < CUSTOS_STEPPED_MAX; i++) {
		const struct custos_stepped_access *a = &stepped->accesses[i];
		bool store = a->kind == CUSTOS_ACCESS_STORE ||
			     a->kind == CUSTOS_ACCESS_RMW_STORE;

		EXPECT(true, a->offset + a->size <= PAGE_SIZE);
		if (a->offset + a->size > PAGE_SIZE)
			return;
		EXPECT(0, memcmp(model + a->offset, a->old, a->size));
		if (store)
			memcpy(model + a->offset, a->new, a->size);
	}
}

/* One instruction of whoever comes. */
static void step_one(uint32_t endpoint, uint32_t page, bool others,
	struct spec_message *m)
{
	uint64_t seq, ip, before = board[OTHER];

	spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, m);
	EXPECT(CUSTOS_REASON_PAGE, m->access.reason);
	seq = m->access.seq;
	ip = m->access.ip;
	if (others) { /* they go on while we think */
		uint64_t start = time_ns();

		while (board[OTHER] == before &&
			time_ns() - start < UINT64_C(5000000000))
			sleep_ms(1);
		EXPECT(true, board[OTHER] != before);
	}
	EXPECT(0, custos_resume_step(m->resume, page, RIGHTS_RW));
	spec_expect(endpoint, CUSTOS_MESSAGE_STEPPED, m);
	EXPECT(seq, m->stepped.seq);
	EXPECT(ip, m->stepped.ip);
	EXPECT(0, m->stepped.fault);
	EXPECT(true, m->stepped.count >= 1);
	EXPECT(true, m->stepped.next_ip > ip);
	take(&m->stepped);
	EXPECT(0, custos_resume_continue(m->resume));
}

static void steps(uint32_t endpoint, uint32_t page, const uint32_t nodes[2],
	uint64_t count)
{
	static struct spec_message m;
	uint32_t workers[WORKERS], other, caps[] = {nodes[0], nodes[1]};
	uint64_t total = 0;
	uint64_t expected = WORKERS * (count + (count + 3) / 4 * 2);

	other = spec_start("other", 0, spec_last_cpu(), caps, 2);
	for (uint64_t i = 0; i < WORKERS; i++)
		workers[i] = spec_start("work", i << 32 | count,
			(uint32_t)(i % cpu_count()), caps, 2);
	for (; total < expected && !spec_failures(); total++)
		step_one(endpoint, page, total % 64 == 0, &m);
	board[STOP] = 1;
	for (unsigned i = 0; i < WORKERS; i++)
		EXPECT(0, wait_exit(workers[i]));
	EXPECT(0, wait_exit(other));
	EXPECT(WORKERS * count, *(uint64_t *)model);
	spec_drop(&m);
}

/* ---- the other answers ---- */

static int role_move(uint64_t argument)
{
	uint64_t place = argument ? (uint64_t)&board[70] : WINDOW + 24;

	map_all();
	if (argument == 2)
		spec_fill(WINDOW + 32, 0x77, 3);
	else if (argument == 3)
		spec_store8(WINDOW + 40, 5);
	else
		spec_move1(place, WINDOW + 16);
	return 0;
}

/* Range stepping: the instruction after, until one that is not the page's. */
static void step_again(
	uint32_t endpoint, uint32_t page, const uint32_t nodes[2])
{
	static struct spec_message m;
	uint32_t a = spec_start(
		"move", 1, spec_last_cpu(), CAPS(nodes[0], nodes[1]));

	spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, &m);
	EXPECT(CUSTOS_ACCESS_LOAD, m.access.kind);
	EXPECT(0, custos_resume_step(m.resume, page, RIGHTS_RW));
	spec_expect(endpoint, CUSTOS_MESSAGE_STEPPED, &m);
	EXPECT(1, m.stepped.count); /* the store to the board is not told */
	EXPECT(16, m.stepped.accesses[0].offset);
	EXPECT((uint64_t)spec_move1 + 1, m.stepped.next_ip);
	EXPECT(0, custos_resume_step(m.resume, page, RIGHTS_RW));
	spec_expect(endpoint, CUSTOS_MESSAGE_STEPPED, &m);
	EXPECT((uint64_t)spec_move1 + 1, m.stepped.ip);
	EXPECT(0, m.stepped.count);
	EXPECT(0, custos_resume_continue(m.resume));
	EXPECT(0, wait_exit(a));
	spec_drop(&m);
}

/* rep: one iteration is one step. */
static void step_rep(uint32_t endpoint, uint32_t page, const uint32_t nodes[2])
{
	static struct spec_message m;
	uint32_t a = spec_start(
		"move", 2, spec_last_cpu(), CAPS(nodes[0], nodes[1]));

	for (unsigned i = 0; i < 3; i++) {
		spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, &m);
		EXPECT(32 + i, m.access.offset);
		EXPECT(0, custos_resume_step(m.resume, page, RIGHTS_RW));
		spec_expect(endpoint, CUSTOS_MESSAGE_STEPPED, &m);
		EXPECT(1, m.stepped.count);
		EXPECT(1, m.stepped.accesses[0].size);
		EXPECT(32 + i, m.stepped.accesses[0].offset);
		EXPECT(0, custos_resume_continue(m.resume));
	}
	EXPECT(0, wait_exit(a));
	spec_drop(&m);
}

static void roll_back(uint32_t endpoint, uint32_t entry, uint32_t page,
	const uint32_t nodes[2])
{
	static struct spec_message m;
	uint32_t a = spec_start(
		"move", 3, spec_last_cpu(), CAPS(nodes[0], nodes[1]));
	uint64_t word = 1, seq;

	spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, &m);
	seq = m.access.seq;
	for (unsigned i = 0; i < 3; i++) {
		EXPECT(0, custos_resume_step(m.resume, page, RIGHTS_RW));
		spec_expect(endpoint, CUSTOS_MESSAGE_STEPPED, &m);
		EXPECT(5, m.stepped.accesses[0].new[0]);
		EXPECT(0, m.stepped.accesses[0].old[0]);
		EXPECT(0, custos_resume_rollback(m.resume));
		spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, &m);
		EXPECT(seq, m.access.seq);
		EXPECT(40, m.access.offset);
		EXPECT((uint64_t)spec_store8, m.access.ip);
	}
	EXPECT(0, custos_resume_fault(
			  m.resume, CUSTOS_FAULT_ACCESS_VIOLATION));
	EXPECT(CUSTOS_EXIT_MEMORY, wait_exit(a));
	EXPECT(0, custos_page_clear_keeper(page)); /* we would be asked */
	EXPECT(0, custos_page_read(page, 40, (uint64_t)&word, 8));
	EXPECT(0, word);
	EXPECT(0, custos_page_set_keeper(page, entry, RIGHTS_RW));
	spec_drop(&m);
}

/* Without STEP: while one access is being served, others of the page wait. */
static void serving_excludes(uint32_t endpoint, const uint32_t nodes[2])
{
	static struct spec_message m;
	uint32_t a = spec_start(
		"move", 1, spec_last_cpu(), CAPS(nodes[0], nodes[1]));
	uint32_t b;
	uint8_t byte = 7;

	spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, &m);
	b = spec_start("move", 3, 0, CAPS(nodes[0], nodes[1]));
	spec_wait_state(b, CUSTOS_STATE_LOCKED);
	EXPECT(0, custos_resume_value(m.resume, (uint64_t)&byte, 1));
	spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, &m);
	EXPECT(CUSTOS_ACCESS_STORE, m.access.kind);
	EXPECT(0, custos_resume_done(m.resume));
	EXPECT(0, wait_exit(a));
	EXPECT(0, wait_exit(b));
	EXPECT(7, board[70] & 0xff);
	spec_drop(&m);
}

/* The kernel stores to the page for the process: so it does, in its turn. */
static int role_copy(uint64_t argument)
{
	map_all();
	return (int)custos_process_get_regs(
		spec_given(2), WINDOW + argument);
}

/* Code in the page (ret) is executed. */
static int role_fetch(uint64_t argument)
{
	map_all();
	((void (*)(void))(WINDOW_2 + argument))();
	return 0;
}

/* While one is stepped: the kernel's copies and fetches wait, too. */
static void everything_is_excluded(uint32_t endpoint, uint32_t entry,
	uint32_t page, const uint32_t nodes[2])
{
	static struct spec_message m;
	uint32_t known = (uint32_t)object_create(
		spec_bank(), CUSTOS_CAP_PROCESS);
	uint32_t a, copier, fetcher;
	uint8_t ret = 0xc3, seen = 0;
	int64_t state;

	EXPECT(0, custos_page_clear_keeper(page));
	EXPECT(0, custos_page_write(page, 0x800, (uint64_t)&ret, 1));
	EXPECT(0, custos_page_set_keeper(page, entry, CUSTOS_RIGHT_WRITE));
	a = spec_start("move", 3, spec_last_cpu(), CAPS(nodes[0], nodes[1]));
	spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, &m);
	EXPECT(0, custos_resume_step(m.resume, page, RIGHTS_RW));
	spec_expect(endpoint, CUSTOS_MESSAGE_STEPPED, &m);
	copier = spec_start(
		"copy", 0x400, 0, CAPS(nodes[0], nodes[1], known));
	fetcher = spec_start("fetch", 0x800, 0, CAPS(nodes[0], nodes[1]));
	spec_wait_state(copier, CUSTOS_STATE_LOCKED);
	spec_wait_state(fetcher, CUSTOS_STATE_LOCKED);
	sleep_ms(20);
	EXPECT(CUSTOS_STATE_LOCKED, custos_process_state(copier));
	EXPECT(CUSTOS_STATE_LOCKED, custos_process_state(fetcher));
	EXPECT(0, custos_resume_continue(m.resume));
	do {
		state = custos_process_state(copier);
		if (spec_try(endpoint, &m)) {
			sleep_ms(1);
			continue;
		}
		EXPECT(CUSTOS_ACCESS_SYSCALL_STORE, m.access.kind);
		seen++;
		EXPECT(0, custos_resume_done(m.resume));
	} while (state != CUSTOS_STATE_ENDED && !spec_failures());
	EXPECT(true, seen >= 3); /* 152 bytes in pieces of 64 */
	EXPECT(0, wait_exit(copier));
	EXPECT(0, wait_exit(fetcher));
	EXPECT(0, wait_exit(a));
	EXPECT(0, custos_page_set_keeper(page, entry, RIGHTS_RW));
	spec_drop(&m);
}

const struct spec_role spec_roles[] = {
	{"work", role_work},
	{"other", role_other},
	{"move", role_move},
	{"copy", role_copy},
	{"fetch", role_fetch},
	{NULL, NULL},
};

void spec_test(uint64_t scale)
{
	uint32_t endpoint = (uint32_t)endpoint_create();
	uint32_t entry = (uint32_t)entry_create(endpoint, 1);
	uint32_t page = spec_page(spec_bank());
	uint32_t beside = spec_page(spec_bank());
	const uint32_t nodes[] = {
		spec_node(spec_bank(), 12), spec_node(spec_bank(), 12)};

	spec_size("%u processes, 3 aliases, %lu updates each", WORKERS, scale);
	EXPECT(0, custos_gpt_set_slot(nodes[0], 0, page));
	EXPECT(0, custos_gpt_set_slot(nodes[0], 1, beside));
	EXPECT(0, custos_gpt_set_slot(nodes[1], 0, page));
	EXPECT(0, custos_gpt_set_slot(nodes[1], 9, page));
	EXPECT(0, custos_page_set_keeper(page, entry, RIGHTS_RW));
	steps(endpoint, page, nodes, scale);
	step_again(endpoint, page, nodes);
	step_rep(endpoint, page, nodes);
	roll_back(endpoint, entry, page, nodes);
	serving_excludes(endpoint, nodes);
	everything_is_excluded(endpoint, entry, page, nodes);
}
