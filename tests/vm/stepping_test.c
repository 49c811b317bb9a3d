/* SPDX-License-Identifier: MIT */
/*
 * Keepers of code, stacks and copied buffers in a real guest: whatever the
 * instruction is, passed or stepped, the program computes what it would
 * compute alone, and its keeper hears of each one.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/support/guest_run.h"
#include "tests/support/tests.h"

struct stepper {
	struct keeper keeper;
	enum verdict_kind answer; /* to everything */
	enum verdict_kind stepped_answer; /* while it is in kept code */
	uint64_t asked[ACCESS_KIND_MAX], stepped, largest_times;
	uint64_t bad_pieces;
	/* The first instruction fetched is replaced by these. */
	const char *served;
	size_t served_len;
};

static enum keeper_status on_access(struct keeper *keeper,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct stepper *k = (struct stepper *)keeper;

	(void)err;
	verdict->kind = k->answer;
	if (k->served && access->kind == ACCESS_FETCH &&
		!k->asked[ACCESS_FETCH] && access->size == k->served_len) {
		verdict->kind = VERDICT_SERVE;
		memcpy(verdict->value, k->served, k->served_len);
	}
	k->asked[access->kind]++;
	return KEEPER_OK;
}

static enum keeper_status on_stepped(struct keeper *keeper,
	const struct access *access, const struct step_report *report,
	struct verdict *verdict, struct error *err)
{
	struct stepper *k = (struct stepper *)keeper;
	uint64_t page = access->address & ~ARCH_PAGE_MASK;

	(void)err;
	k->stepped++;
	k->bad_pieces += !report->count;
	if (report->times > k->largest_times)
		k->largest_times = report->times;
	verdict->kind = VERDICT_CONTINUE;
	if ((report->next_ip & ~ARCH_PAGE_MASK) == page)
		verdict->kind = k->stepped_answer;
	return KEEPER_OK;
}

static void on_destroy(struct keeper *keeper)
{
	(void)keeper;
}

static const struct keeper_ops stepper_ops = {
	.name = "stepper",
	.help = "steps",
	.access = on_access,
	.stepped = on_stepped,
	.destroy = on_destroy,
};

struct row {
	const char *what;
	const char *keep[3];
	const char *console;
	unsigned fetches, loads, stores;
};

static const struct row rows[] = {
	{ "code", { "kept_code" }, "result 7\n", 16, 0, 0 },
	{ "call", { "kept_code" }, "result 0\n", 4, 0, 0 },
	/* rep: one iteration is one instruction */
	{ "copy", { "kept_code" }, "result 16\n", 18, 0, 0 },
	{ "copy", { "kept_code", "kept_buffer+0+16" }, "result 16\n", 18, 0,
		16 },
	{ "stack", { "kept_stack" }, "result 5\n", 0, 5, 5 },
	{ "both", { "kept_stack" }, "result 7\n", 0, 3, 3 },
	{ "both", { "kept_stack", "kept_code" }, "result 7\n", 16, 3, 3 },
};

static void run_row(const struct row *row, struct stepper *k,
	struct guest_run *run)
{
	*run = (struct guest_run){
		.program = "steps",
		.args = { row->what },
		.keep = { row->keep[0], row->keep[1] },
		.keeper = &k->keeper,
	};
	assert_int_equal(keeper_init(&k->keeper, &stepper_ops), 0);
	guest_run(run);
	keeper_fini(&k->keeper);
	if (run->result.end != TARGET_EXITED || run->result.code ||
		strcmp(run->console, row->console))
		fail_msg("%s: %s%s", row->what, run->console, run->said);
	assert_int_equal(run->summary.missed, 0);
	assert_int_equal(run->summary.keeper_errors, 0);
}

static void check_counts(const struct row *row, const struct stepper *k)
{
	/* memcmp() at the end loads the buffer, in steps of its own. */
	bool compares = row->keep[1] && !strcmp(row->what, "copy");

	if (k->asked[ACCESS_FETCH] != row->fetches ||
		k->asked[ACCESS_STORE] != row->stores ||
		(!compares && k->asked[ACCESS_LOAD] != row->loads))
		fail_msg("%s (%s): %lu fetches, %lu loads, %lu stores",
			row->what, row->keep[0],
			(unsigned long)k->asked[ACCESS_FETCH],
			(unsigned long)k->asked[ACCESS_LOAD],
			(unsigned long)k->asked[ACCESS_STORE]);
}

static void check_rows(enum verdict_kind answer)
{
	if (!guest_run_possible())
		test_skip("no /dev/kvm");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stepper k = {
			.answer = answer,
			.stepped_answer = VERDICT_CONTINUE,
		};
		struct guest_run run;

		run_row(&rows[i], &k, &run);
		check_counts(&rows[i], &k);
		assert_int_equal(k.bad_pieces, 0);
		if (answer == VERDICT_STEP)
			assert_true(k.stepped >= run.summary.steps);
		if (answer == VERDICT_STEP && !rows[i].keep[1])
			assert_int_equal(k.stepped, rows[i].fetches +
				rows[i].loads + rows[i].stores);
	}
}

static void kept_code_and_stacks_pass(void **state)
{
	(void)state;
	check_rows(VERDICT_PASS);
}

static void kept_code_and_stacks_are_stepped(void **state)
{
	(void)state;
	check_rows(VERDICT_STEP);
}

static void a_keeper_may_step_through_its_code(void **state)
{
	static const struct row *const through[] = { &rows[0], &rows[1],
		&rows[2] };

	(void)state;
	if (!guest_run_possible())
		test_skip("no /dev/kvm");
	for (size_t i = 0; i < 3; i++) {
		struct stepper k = {
			.answer = VERDICT_STEP,
			.stepped_answer = VERDICT_STEP,
		};
		struct guest_run run;

		run_row(through[i], &k, &run);
		assert_int_equal(k.stepped, through[i]->fetches);
		/* A system call leaves the code it steps through. */
		if (strcmp(through[i]->what, "call")) {
			assert_int_equal(k.asked[ACCESS_FETCH], 1);
			assert_int_equal(k.largest_times, through[i]->fetches);
		}
	}
}

static void served_instruction_bytes_are_executed(void **state)
{
	/* mov $2, %eax in place of mov $1, %eax */
	struct row row = { .what = "code", .keep = { "kept_code" },
		.console = "result 8\n", .fetches = 16 };
	struct guest_run run;

	(void)state;
	if (!guest_run_possible())
		test_skip("no /dev/kvm");
	for (int i = 0; i < 2; i++) {
		struct stepper k = {
			.answer = i ? VERDICT_STEP : VERDICT_PASS,
			.stepped_answer = VERDICT_CONTINUE,
			.served = "\xb8\x02\x00\x00\x00",
			.served_len = 5,
		};

		run_row(&row, &k, &run);
		check_counts(&row, &k);
		assert_int_equal(run.summary.by_outcome[OUTCOME_SERVE], 1);
	}
}

/* ---- nobody else gets at the page, by whatever address ---- */

struct guard {
	struct keeper keeper;
	struct guest_run *run;
	uint8_t before[4096 + 8];
	uint64_t steps, changes, elsewhere;
};

/* Where everybody has the third page: only the one that spins uses it all the
 * time, for the others it may not be mapped. */
static bool look_elsewhere(struct guard *guard, uint8_t *bytes)
{
	uint64_t third = (range_set_get(guard->run->ranges, 0)->address &
				 ~ARCH_PAGE_MASK) +
		2 * ARCH_PAGE_SIZE;

	for (uint64_t id = 1; id < 16; id++)
		if (session_read(guard->run->session, id, third, bytes, 8) == 8)
			return true;
	return false;
}

/* The page that is stepped on, and a word of another one. */
static bool look(
	struct guard *guard, const struct access *access, uint8_t *bytes)
{
	return session_read(guard->run->session, access->process,
		       access->address & ~ARCH_PAGE_MASK, bytes,
		       ARCH_PAGE_SIZE) == ARCH_PAGE_SIZE &&
		look_elsewhere(guard, bytes + ARCH_PAGE_SIZE);
}

static enum keeper_status guard_access(struct keeper *keeper,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	(void)keeper;
	(void)err;
	/* Whole words only: the others are on both pages. */
	if (access->size == 8)
		verdict->kind = VERDICT_STEP;
	return KEEPER_OK;
}

static enum keeper_status guard_stepped(struct keeper *keeper,
	const struct access *access, const struct step_report *report,
	struct verdict *verdict, struct error *err)
{
	const struct timespec pause = { 0, 2000000 };
	struct guard *guard = (struct guard *)keeper;
	uint8_t after[4096 + 8];

	(void)report;
	(void)verdict;
	(void)err;
	if (guard->steps++ % 16)
		return KEEPER_OK;
	if (!look(guard, access, guard->before))
		return KEEPER_OK;
	nanosleep(&pause, NULL);
	if (!look(guard, access, after))
		return KEEPER_OK;
	guard->changes += memcmp(guard->before, after, ARCH_PAGE_SIZE) != 0;
	guard->elsewhere += memcmp(guard->before + ARCH_PAGE_SIZE,
				    after + ARCH_PAGE_SIZE, 8) != 0;
	return KEEPER_OK;
}

static const struct keeper_ops guard_ops = {
	.name = "guard",
	.help = "looks whether a page changes while it is stepped on",
	.access = guard_access,
	.stepped = guard_stepped,
	.destroy = on_destroy,
};

static void nobody_gets_at_a_page_that_is_stepped_on(void **state)
{
	struct guard guard = { .steps = 0 };
	char count[24];
	struct guest_run run = {
		.program = "contend",
		.args = { count, "spin" },
		.keep = { "alias_a+0xff8+8", "alias_a+0x1000+8" },
		.keeper = &guard.keeper,
		.cpus = 4,
	};

	(void)state;
	if (!guest_run_possible())
		test_skip("no /dev/kvm");
	snprintf(count, sizeof(count), "%lu", test_scaled(2000, 100));
	guard.run = &run;
	assert_int_equal(keeper_init(&guard.keeper, &guard_ops), 0);
	guest_run(&run);
	keeper_fini(&guard.keeper);
	if (run.result.end != TARGET_EXITED || run.result.code)
		fail_msg("%d: %s%s", run.result.code, run.console, run.said);
	assert_int_equal(run.summary.missed, 0);
	assert_int_equal(run.summary.keeper_errors, 0);
	assert_true(run.summary.steps > 100);
	assert_int_equal(guard.changes, 0);
	assert_true(guard.elsewhere > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kept_code_and_stacks_pass),
		cmocka_unit_test(kept_code_and_stacks_are_stepped),
		cmocka_unit_test(a_keeper_may_step_through_its_code),
		cmocka_unit_test(served_instruction_bytes_are_executed),
		cmocka_unit_test(nobody_gets_at_a_page_that_is_stepped_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
