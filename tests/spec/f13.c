/* SPDX-License-Identifier: MIT */
/*
 * F13: two processes with the same subtree share its mapping tables: what the
 * first touched the second does not fault on, and nobody pays twice. A
 * read-only link has tables of its own, through which nothing can be written.
 * The second number is the same without sharing: custos run
 * --no-table-sharing.
 */
#include "tests/spec/spec.h"

#define PAGES 512

#define FAULTS 64

#define FILL 1
#define LOAD 2
#define SCRIBBLE 3

/* Touch every page; how many faults that took. Page i begins with i. */
static int role_touch(uint64_t what)
{
	uint32_t self = cap_find("self");
	int64_t before;
	uint64_t sum = 0;

	spec_map(spec_given(0), WINDOW, PAGES * PAGE_SIZE);
	before = custos_process_faults(self);
	for (uint64_t i = 0; i < PAGES; i++)
		if (what == FILL)
			spec_store8(WINDOW + i * PAGE_SIZE, i);
		else
			sum += spec_load8(WINDOW + i * PAGE_SIZE);
	board[FAULTS] = (uint64_t)(custos_process_faults(self) - before);
	EXPECT(what == FILL ? 0 : PAGES * (PAGES - 1) / 2, sum);
	if (what == SCRIBBLE)
		spec_store8(WINDOW + 8, 1);
	board[FAULTS + 1] = 1;
	custos_process_wait(spec_given(1)); /* until killed */
	return 0;
}

static uint32_t stopper(void)
{
	return (uint32_t)object_create(spec_bank(), CUSTOS_CAP_PROCESS);
}

static uint32_t touch(
	uint64_t what, uint32_t memory, uint32_t until, uint64_t *faults)
{
	uint32_t process;

	board[FAULTS + 1] = 0;
	process = spec_start(
		"touch", what, spec_last_cpu(), CAPS(memory, until));
	spec_wait_word(FAULTS + 1, 1);
	*faults = board[FAULTS];
	return process;
}

const struct spec_role spec_roles[] = {
	{"touch", role_touch},
	{NULL, NULL},
};

static int64_t tables(uint32_t process)
{
	return custos_bank_usage(spawned_bank(process), CUSTOS_USAGE_TABLES);
}

static void end(uint32_t process)
{
	EXPECT(0, custos_process_kill(process, 6));
	EXPECT(6, wait_exit(process));
}

void spec_test(uint64_t scale)
{
	uint32_t memory = (uint32_t)memory_create(PAGES * PAGE_SIZE);
	uint32_t until = stopper(), a, b, weak, process;
	uint64_t first, second;
	int64_t shared;

	a = touch(FILL, memory, until, &first);
	shared = custos_bank_usage(spec_bank(), CUSTOS_USAGE_TABLES);
	b = touch(LOAD, memory, until, &second);
	if (scale) { /* sharing is off */
		spec_size("%u pages: %lu faults, then %lu without sharing",
			PAGES, first, second);
		EXPECT(true, second >= PAGES);
	} else {
		spec_size("%u pages: %lu faults, then %lu", PAGES, first,
			second);
		EXPECT(true, second <= 1);
		EXPECT(tables(a), tables(b));
		EXPECT(shared,
			custos_bank_usage(spec_bank(), CUSTOS_USAGE_TABLES));
	}
	end(a);
	end(b);
	weak = (uint32_t)cap_copy(memory, CUSTOS_RIGHT_READ);
	process = spec_start(
		"touch", SCRIBBLE, spec_last_cpu(), CAPS(weak, until));
	EXPECT(CUSTOS_EXIT_MEMORY, wait_exit(process));
	EXPECT(PAGES * (PAGES - 1) / 2,
		({ /* nothing leaked */
			uint64_t sum = 0;

			spec_map(memory, WINDOW_2, PAGES * PAGE_SIZE);
			for (uint64_t i = 0; i < PAGES; i++)
				sum += spec_load8(WINDOW_2 + i * PAGE_SIZE) +
				       spec_load8(WINDOW_2 + i * PAGE_SIZE + 8);
			sum;
		}));
}
