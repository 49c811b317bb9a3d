/* SPDX-License-Identifier: MIT */
/*
 * F3: a read-modify-write is two records bound by one seq, with nobody else's
 * in between; no update is lost. What a process stored before is visible before
 * the keeper is asked, what it does afterwards happens after the answer.
 */
#include "tests/spec/spec.h"

#define WORKERS 4
#define BEFORE 64 /* words of the board */
#define AFTER 65

static int role_add(uint64_t count)
{
	uint64_t last = 0, got;

	spec_map(spec_given(0), WINDOW, 64 * PAGE_SIZE);
	for (uint64_t i = 0; i < count; i++) {
		got = spec_xadd8(WINDOW + 8, 1);
		EXPECT(true, !i || got > last);
		last = got;
	}
	return 0;
}

/* One half of an update, then the other; nothing else may come between. */
static void add_one(uint32_t endpoint, uint64_t *word, struct spec_message *m)
{
	uint64_t seq, process, old, new;

	spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, m);
	EXPECT(CUSTOS_ACCESS_RMW_LOAD, m->access.kind);
	EXPECT(8, m->access.offset);
	seq = m->access.seq;
	process = m->access.process;
	spec_value(m, *word, 8);
	spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, m);
	EXPECT(CUSTOS_ACCESS_RMW_STORE, m->access.kind);
	EXPECT(seq, m->access.seq);
	EXPECT(process, m->access.process);
	memcpy(&old, m->access.old, 8);
	memcpy(&new, m->access.value, 8);
	EXPECT(*word, old);
	EXPECT(*word + 1, new);
	*word = new;
	EXPECT(0, custos_resume_done(m->resume));
}

static void updates(uint32_t endpoint, uint32_t node, uint64_t count)
{
	static struct spec_message m;
	uint32_t workers[WORKERS];
	uint64_t word = 0;
	unsigned i;

	for (i = 0; i < WORKERS; i++)
		workers[i] = spec_start(
			"add", count, i % cpu_count(), CAPS(node));
	while (word < WORKERS * count && !spec_failures())
		add_one(endpoint, &word, &m);
	for (i = 0; i < WORKERS; i++)
		EXPECT(0, wait_exit(workers[i]));
	EXPECT(WORKERS * count, word);
}

static int role_order(uint64_t count)
{
	spec_map(spec_given(0), WINDOW, 64 * PAGE_SIZE);
	for (uint64_t i = 1; i <= count; i++) {
		board[BEFORE] = i;
		spec_store8(WINDOW + 16, i);
		board[AFTER] = i;
	}
	return 0;
}

static void order(uint32_t endpoint, uint32_t node, uint64_t count)
{
	static struct spec_message m;
	uint32_t a = spec_start("order", count, spec_last_cpu(), CAPS(node));

	for (uint64_t i = 1; i <= count && !spec_failures(); i++) {
		spec_expect(endpoint, CUSTOS_MESSAGE_ACCESS, &m);
		EXPECT(0, memcmp(m.access.value, &i, 8));
		EXPECT(i, board[BEFORE]);
		EXPECT(i - 1, board[AFTER]);
		EXPECT(0, custos_resume_done(m.resume));
	}
	EXPECT(0, wait_exit(a));
	EXPECT(count, board[AFTER]);
}

const struct spec_role spec_roles[] = {
	{"add", role_add},
	{"order", role_order},
	{NULL, NULL},
};

void spec_test(uint64_t scale)
{
	uint32_t endpoint = (uint32_t)endpoint_create();
	uint32_t node = spec_node(spec_bank(), 12);

	spec_size("%u processes, %lu lock xadd each, %lu ordered stores",
		WORKERS, scale, scale);
	EXPECT(0, custos_gpt_set_slot(
			  node, 0, (uint32_t)entry_create(endpoint, 1)));
	updates(endpoint, node, scale);
	order(endpoint, node, scale);
}
