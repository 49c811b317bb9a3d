/* SPDX-License-Identifier: MIT */
/*
 * A keeper that fails, at every place where it can be asked: whoever waits goes
 * on, the declared default applies, and the run ends as any other.
 */
#include <pthread.h>
#include <time.h>

#include "tests/unit/session/rig.h"

struct row {
	const char *name;
	const char *keep;
	const char *code;
	size_t code_len;
	bool stepped; /* it fails there */
};

static const struct row rows[] = {
	{ "load", "0x401000+8", RIG_LOAD, 3, false },
	{ "store", "0x401000+8", RIG_STORE, 3, false },
	{ "rmw", "0x401000+8", RIG_INC, 4, false },
	{ "fetch", "0x400000+512", RIG_LOAD, 3, false },
	{ "stepped load", "0x401000+8", RIG_LOAD, 3, true },
	{ "stepped store", "0x401000+8", RIG_STORE, 3, true },
	{ "stepped rmw", "0x401000+8", RIG_INC, 4, true },
	{ "stepped fetch", "0x400000+512", RIG_LOAD, 3, true },
};

static const enum keeper_status failures[] = { KEEPER_ERROR, KEEPER_TIMEOUT,
	KEEPER_GONE };

struct plan {
	const struct row *row;
	enum keeper_status failure;
	enum verdict_kind fallback;
	bool waited_for, failed;
	pthread_t waiter;
};

static void *wait_for_page(void *ctx)
{
	struct rig *r = ctx;
	const struct plan *plan = r->test;

	rig_run(r, 1, plan->row->code, plan->row->code_len);
	return NULL;
}

/* Fail, once somebody waits for the page if that is the plan. */
static enum keeper_status fail_now(struct rig *r, struct error *err)
{
	const struct timespec ms = { 0, 1000000 };
	struct session_summary now = { 0 };
	struct plan *plan = r->test;

	if (plan->failed)
		return KEEPER_OK;
	plan->failed = true;
	if (plan->waited_for)
		assert_int_equal(pthread_create(&plan->waiter, NULL,
					 wait_for_page, r),
			0);
	for (int i = 0; plan->waited_for && i < 5000 && !now.waits; i++) {
		nanosleep(&ms, NULL);
		session_summary(r->session, &now);
	}
	assert_int_equal(now.waits, plan->waited_for);
	error_set(err, -EINVAL, "it broke");
	return plan->failure;
}

static enum keeper_status access_fails(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct plan *plan = k->rig->test;

	(void)access;
	if (!plan->row->stepped)
		return fail_now(k->rig, err);
	if (!plan->failed)
		verdict->kind = VERDICT_STEP;
	return KEEPER_OK;
}

static enum keeper_status stepped_fails(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	(void)access;
	(void)verdict;
	return fail_now(k->rig, err);
}

static void run_row(struct fake_target *fake, void *ctx)
{
	struct rig *r = ctx;
	struct plan *plan = r->test;
	const struct row *row = plan->row;
	uint64_t after = row->code_len;

	for (int i = 0; i < 2; i++)
		memcpy(fake_target_byte(fake, FAKE_CODE + 256 * i), row->code,
			row->code_len);
	fake->threads[0].regs.gpr[ARCH_RAX] = 5;
	assert_int_equal(rig_run(r, 0, row->code, row->code_len),
		TARGET_RESUME);
	if (plan->waited_for)
		pthread_join(plan->waiter, NULL);
	if (plan->fallback == VERDICT_DENY)
		after = 0;
	assert_int_equal(fake->threads[0].regs.rip, FAKE_CODE + after);
	assert_int_equal(fake->threads[0].faulted, !after);
	if (plan->waited_for)
		assert_int_equal(fake->threads[1].regs.rip,
			FAKE_CODE + 256 + row->code_len);
}

static void check_row(struct plan *plan)
{
	void *state;
	struct rig *r;

	rig_setup(&state);
	r = state;
	r->test = plan;
	r->keeper.access = access_fails;
	r->keeper.on_stepped = stepped_fails;
	rig_keep(r, plan->row->keep, &r->keeper.keeper, plan->fallback);
	rig_go(r, run_row);
	if (r->result.end != TARGET_EXITED || r->summary.keeper_errors != 1 ||
		!strstr(r->said, "it broke; its default") ||
		r->summary.accesses != 1 + (unsigned)plan->waited_for)
		fail_msg("%s %d: %s", plan->row->name, plan->failure, r->said);
	/* Nothing of a denied store or step is left behind. */
	if (plan->fallback == VERDICT_DENY && !plan->waited_for)
		assert_int_equal(rig_word(r), 0);
	rig_teardown(&state);
}

static void check_all(enum verdict_kind fallback, bool waited_for)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t n = 0; n < 3; n++)
			check_row(&(struct plan){
				.row = &rows[i],
				.failure = failures[n],
				.fallback = fallback,
				.waited_for = waited_for,
			});
}

static void pass_applies_wherever_it_fails(void **state)
{
	(void)state;
	check_all(VERDICT_PASS, false);
}

static void deny_applies_wherever_it_fails(void **state)
{
	(void)state;
	check_all(VERDICT_DENY, false);
}

static void who_waits_goes_on_wherever_it_fails(void **state)
{
	(void)state;
	check_all(VERDICT_PASS, true);
	check_all(VERDICT_DENY, true);
}

/* ---- while it holds somebody ---- */

static enum keeper_status hold_then_fail(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct plan *plan = k->rig->test;

	if (access->process == 2) {
		verdict->kind = VERDICT_HOLD;
		return KEEPER_OK;
	}
	error_set(err, -EINVAL, "it broke");
	return plan->failure;
}

static void hold_and_fail(struct fake_target *fake, void *ctx)
{
	struct rig *r = ctx;
	struct plan *plan = r->test;
	struct fake_thread *held = &fake->threads[1];

	RIG_RUN(r, 1, RIG_STORE);
	RIG_RUN(r, 0, RIG_LOAD);
	RIG_RUN(r, 1, RIG_STORE);
	if (plan->failure != KEEPER_GONE) {
		struct verdict pass = { .kind = VERDICT_PASS };

		/* It still has a keeper. */
		assert_int_equal(held->regs.rip, FAKE_CODE + 256);
		assert_int_equal(
			session_resume(r->session, 1, &pass, NULL, 0), 0);
		RIG_RUN(r, 1, RIG_STORE);
		assert_int_equal(held->regs.rip, FAKE_CODE + 256 + 3);
		return;
	}
	assert_int_equal(held->faulted, plan->fallback == VERDICT_DENY);
	assert_int_equal(held->regs.rip,
		FAKE_CODE + 256 + (plan->fallback == VERDICT_DENY ? 0 : 3));
}

static void what_it_held_is_not_held_for_ever(void **state)
{
	(void)state;
	for (size_t i = 0; i < 6; i++) {
		struct plan plan = {
			.failure = failures[i % 3],
			.fallback = i < 3 ? VERDICT_PASS : VERDICT_DENY,
		};
		void *s;
		struct rig *r;

		rig_setup(&s);
		r = s;
		r->test = &plan;
		r->keeper.access = hold_then_fail;
		rig_keep(r, "0x401000+8", &r->keeper.keeper, plan.fallback);
		rig_go(r, hold_and_fail);
		assert_int_equal(r->result.end, TARGET_EXITED);
		assert_int_equal(r->summary.keeper_errors, 1);
		assert_int_equal(r->summary.still_held, 0);
		rig_teardown(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pass_applies_wherever_it_fails),
		cmocka_unit_test(deny_applies_wherever_it_fails),
		cmocka_unit_test(who_waits_goes_on_wherever_it_fails),
		cmocka_unit_test(what_it_held_is_not_held_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
