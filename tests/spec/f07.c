/* SPDX-License-Identifier: MIT */
/*
 * F7: every other answer, and what happens when nobody answers: the next
 * keeper, the process's, and at last a process that stays where it is, can be
 * looked at and goes on when told. A right to answer works once. Questions wait
 * for a busy keeper and none is lost.
 */
#include "tests/spec/spec.h"

#define OUTER 1 /* payloads */
#define INNER 2
#define PROCESS 3
#define MANY 20
#define AT (WINDOW + 5 * PAGE_SIZE + 8)

/* Load a word; the argument says what it must be, 0: never mind. */
static int role_load(uint64_t argument)
{
	uint64_t got;

	spec_map(spec_given(0), WINDOW, 64 * 64 * PAGE_SIZE);
	got = spec_load8(AT);
	if (argument)
		EXPECT(argument, got);
	return got == argument ? 0 : 3;
}

static int role_many(uint64_t count)
{
	spec_map(spec_given(0), WINDOW, 64 * 64 * PAGE_SIZE);
	for (uint64_t i = 0; i < count; i++)
		spec_store8(AT + 8 * (i % 400), i);
	return 0;
}

struct world {
	uint32_t endpoint, entry, keeper; /* of the position; of the process */
	uint32_t outer, inner; /* nodes: slot 0 of outer is inner */
	struct spec_message m;
};

static struct world w;

static uint32_t start(uint64_t value)
{
	return spec_start_kept(
		"load", value, spec_last_cpu(), w.keeper, CAPS(w.outer));
}

static void asked(uint64_t payload)
{
	spec_expect(w.endpoint,
		payload == PROCESS ? CUSTOS_MESSAGE_FAULT
				   : CUSTOS_MESSAGE_ACCESS,
		&w.m);
	EXPECT(payload, w.m.message.payload);
	EXPECT(AT, w.m.access.va);
}

static void values(void)
{
	uint32_t a = start(0x5566);

	asked(INNER);
	EXPECT(0, custos_resume_value(
			  w.m.resume, (uint64_t)(uint64_t[]){0x5566}, 8));
	EXPECT(-CUSTOS_E_STALE, custos_resume_done(w.m.resume));
	EXPECT(-CUSTOS_E_STALE, custos_resume_pass(w.m.resume));
	EXPECT(-CUSTOS_E_STALE, custos_resume_fault(w.m.resume, 1));
	EXPECT(0, wait_exit(a));
}

/* A page is there when it is tried again. */
static void retry(uint32_t page)
{
	uint32_t a = start(0x7788);

	asked(INNER);
	EXPECT(0, custos_page_write(
			  page, 8, (uint64_t)(uint64_t[]){0x7788}, 8));
	EXPECT(0, custos_gpt_set_slot(w.inner, 5, page));
	EXPECT(0, custos_resume_retry(w.m.resume));
	EXPECT(0, wait_exit(a));
	EXPECT(0, custos_gpt_set_slot(w.inner, 5, w.entry));
}

static void passes(void)
{
	uint32_t a = start(0);
	uint64_t seq;

	asked(INNER);
	seq = w.m.access.seq;
	EXPECT(0, custos_resume_pass(w.m.resume));
	asked(OUTER);
	EXPECT(seq, w.m.access.seq);
	EXPECT(0, custos_resume_pass(w.m.resume));
	asked(PROCESS);
	EXPECT(seq, w.m.access.seq);
	EXPECT(CUSTOS_FAULT_INVALID_ADDRESS, w.m.message.words[1]);
	EXPECT(0, custos_resume_retry(w.m.resume));
	asked(INNER);
	EXPECT(0, custos_resume_fault(w.m.resume, CUSTOS_FAULT_DATA_TYPE));
	asked(PROCESS);
	EXPECT(CUSTOS_FAULT_DATA_TYPE, w.m.message.words[1]);
	EXPECT(0, custos_process_kill(a, 5));
	EXPECT(-CUSTOS_E_STALE, custos_resume_retry(w.m.resume));
	EXPECT(5, wait_exit(a));
}

static void grants(uint32_t page)
{
	uint32_t a = spec_start("many", 10, spec_last_cpu(), CAPS(w.outer));
	uint64_t word;

	asked(INNER);
	EXPECT(0, custos_resume_grant(w.m.resume, page, RIGHTS_RW, 1));
	spec_expect(w.endpoint, CUSTOS_MESSAGE_ACCESS, &w.m); /* only once */
	EXPECT(16, w.m.access.offset);
	EXPECT(0, custos_resume_grant(w.m.resume, page, RIGHTS_RW, 0));
	EXPECT(0, wait_exit(a));
	EXPECT(true, spec_is_quiet(w.endpoint));
	for (uint64_t i = 0; i < 10; i++) {
		EXPECT(0, custos_page_read(
				  page, 8 + 8 * i, (uint64_t)&word, 8));
		EXPECT(i, word);
	}
}

/* Nobody answers, nobody is told: it stays, and can be helped. */
static void stays(uint32_t page)
{
	const struct spawn_how how = {
		.cpu = spec_last_cpu(), .flags = CUSTOS_SPAWN_STAYS};
	static struct custos_access access;
	struct custos_regs regs;
	uint32_t a;

	EXPECT(0, custos_gpt_set_slot(w.inner, 5, 0));
	EXPECT(0, custos_gpt_set_keeper(w.outer, 0));
	EXPECT(0, custos_page_write(
			  page, 8, (uint64_t)(uint64_t[]){0x99}, 8));
	a = spec_start_as("load", 0x99, &how, CAPS(w.outer));
	spec_wait_state(a, CUSTOS_STATE_FAULTED);
	EXPECT(CUSTOS_FAULT_INVALID_ADDRESS,
		custos_process_pending(a, (uint64_t)&access));
	EXPECT(AT, access.va);
	EXPECT((uint64_t)spec_load8, access.ip);
	EXPECT(0, custos_process_get_regs(a, (uint64_t)&regs));
	EXPECT(AT, regs.gpr[7]);
	EXPECT((uint64_t)spec_load8, regs.rip);
	EXPECT(0, custos_process_resume(a, 0));
	spec_wait_state(a, CUSTOS_STATE_FAULTED);
	EXPECT(0, custos_gpt_set_slot(w.inner, 5, page));
	EXPECT(0, custos_process_resume(a, 0));
	EXPECT(0, wait_exit(a));
	EXPECT(0, custos_gpt_set_slot(w.inner, 5, w.entry));
}

/* A keeper that is busy for a second finds every question afterwards. */
static void busy(uint64_t count)
{
	uint32_t process[MANY];
	uint64_t each = (count + MANY - 1) / MANY;

	for (unsigned i = 0; i < MANY; i++)
		process[i] = spec_start(
			"many", each, i % cpu_count(), CAPS(w.outer));
	sleep_ms(1000);
	for (uint64_t i = 0; i < each * MANY && !spec_failures(); i++) {
		spec_expect(w.endpoint, CUSTOS_MESSAGE_ACCESS, &w.m);
		EXPECT(CUSTOS_ACCESS_STORE, w.m.access.kind);
		EXPECT(0, custos_resume_done(w.m.resume));
	}
	for (unsigned i = 0; i < MANY; i++)
		EXPECT(0, wait_exit(process[i]));
}

const struct spec_role spec_roles[] = {
	{"load", role_load},
	{"many", role_many},
	{NULL, NULL},
};

void spec_test(uint64_t scale)
{
	uint32_t page = spec_page(spec_bank());

	spec_size("all answers, chain, %lu faults while the keeper is busy 1 s",
		scale);
	w.endpoint = (uint32_t)endpoint_create();
	w.entry = (uint32_t)entry_create(w.endpoint, INNER);
	w.keeper = (uint32_t)entry_create(w.endpoint, PROCESS);
	w.outer = spec_node(spec_bank(), 18);
	w.inner = spec_node(spec_bank(), 12);
	EXPECT(0, custos_gpt_set_slot(w.outer, 0, w.inner));
	EXPECT(0, custos_gpt_set_slot(w.inner, 5, w.entry));
	EXPECT(0, custos_gpt_set_keeper(w.outer,
			  (uint32_t)entry_create(w.endpoint, OUTER)));
	values();
	retry(page);
	passes();
	busy(scale);
	grants(page);
	stays(page);
}
