/* SPDX-License-Identifier: MIT */
/*
 * Ranges kept, released and revoked by keepers while they decide: it happens
 * after the instruction at hand and before the next one.
 */
#include <pthread.h>
#include <time.h>

#include "tests/unit/session/rig.h"

static const char word[] = "0x401000+8", second[] = "0x402000+8";

struct plan {
	struct range *range, *more;
	bool (*closed)(struct rig *r);
};

static enum keeper_status keep_more(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct plan *plan = k->rig->test;

	(void)access;
	(void)verdict;
	if (plan->more)
		return KEEPER_OK;
	plan->more = rig_keep(k->rig, second, &k->keeper, VERDICT_PASS);
	assert_int_equal(session_keep(k->rig->session, plan->more, err), 0);
	/* Not yet: this instruction's operands are looked up. */
	assert_false(k->rig->fake->closed[2]);
	return KEEPER_OK;
}

static void load_then_load_second(struct fake_target *fake, void *ctx)
{
	struct rig *r = ctx;

	RIG_RUN(r, 0, RIG_LOAD);
	assert_true(fake->closed[2]);
	fake->threads[0].regs.gpr[ARCH_RBX] = FAKE_DATA + 4096;
	fake_target_run_insn(fake, 0, RIG_LOAD, 3);
}

static void a_range_kept_in_a_callback_is_kept_from_the_next_insn_on(
	void **state)
{
	struct rig *r = *state;
	struct plan plan = { 0 };

	r->test = &plan;
	r->keeper.access = keep_more;
	rig_keep(r, word, &r->keeper.keeper, VERDICT_PASS);
	rig_go(r, load_then_load_second);
	assert_int_equal(r->keeper.asked, 2);
	assert_int_equal(r->summary.accesses, 2);
	assert_int_equal(r->summary.missed, 0);
	assert_int_equal(r->summary.verified_bytes, 16);
	assert_true(plan.more->ever_bound);
}

static enum keeper_status release(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct plan *plan = k->rig->test;

	(void)access;
	(void)verdict;
	(void)err;
	assert_true(session_release(
		k->rig->session, plan->range, &k->keeper));
	assert_false(session_release(
		k->rig->session, plan->range, &k->keeper));
	assert_true(k->rig->fake->closed[1]);
	return KEEPER_OK;
}

static void load_and_look(struct fake_target *fake, void *ctx)
{
	RIG_RUN(ctx, 0, RIG_LOAD);
	assert_false(fake->closed[1]);
}

static void a_released_range_is_open_from_the_next_insn_on(void **state)
{
	struct rig *r = *state;
	struct plan plan = { 0 };

	r->test = &plan;
	r->keeper.access = release;
	plan.range = rig_keep(r, word, &r->keeper.keeper, VERDICT_PASS);
	rig_go(r, load_and_look);
	assert_int_equal(r->keeper.asked, 1);
	assert_int_equal(r->summary.missed, 0);
}

static void load_twice_and_look(struct fake_target *fake, void *ctx)
{
	RIG_RUN(ctx, 0, RIG_LOAD);
	assert_true(fake->closed[1]);
	RIG_RUN(ctx, 0, RIG_LOAD);
}

static void a_range_others_keep_stays_closed_when_one_releases_it(void **state)
{
	struct rig *r = *state;
	struct plan plan = { 0 };

	r->test = &plan;
	r->keeper.access = release;
	plan.range = rig_keep(r, word, &r->keeper.keeper, VERDICT_PASS);
	rig_keep(r, word, &r->other.keeper, VERDICT_PASS);
	rig_go(r, load_twice_and_look);
	assert_int_equal(r->keeper.asked, 1);
	assert_int_equal(r->other.asked, 2);
}

/* k:release() and keep of the same bytes in one callback. */
static enum keeper_status release_and_keep(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct plan *plan = k->rig->test;

	release(k, access, verdict, err);
	plan->more = rig_keep(k->rig, word, &k->keeper, VERDICT_DENY);
	assert_int_equal(session_keep(k->rig->session, plan->more, err), 0);
	return KEEPER_OK;
}

static void a_range_may_be_kept_again_at_once(void **state)
{
	struct rig *r = *state;
	struct plan plan = { 0 };

	r->test = &plan;
	r->keeper.access = release_and_keep;
	plan.range = rig_keep(r, word, &r->keeper.keeper, VERDICT_PASS);
	rig_go(r, load_twice_and_look);
	assert_ptr_equal(plan.more, plan.range);
	assert_int_equal(r->keeper.asked, 2);
	assert_int_equal(range_set_count(r->ranges), 1);
	assert_int_equal(plan.range->links[0].fallback, VERDICT_DENY);
}

/* And of other bytes that overlap them. */
static enum keeper_status release_and_keep_half(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct plan *plan = k->rig->test;

	if (plan->more)
		return KEEPER_OK;
	release(k, access, verdict, err);
	plan->more = rig_keep(k->rig, "0x401004+8", &k->keeper, VERDICT_PASS);
	assert_int_equal(session_keep(k->rig->session, plan->more, err), 0);
	return KEEPER_OK;
}

static void released_bytes_are_free_for_other_ranges(void **state)
{
	struct rig *r = *state;
	struct plan plan = { 0 };

	r->test = &plan;
	r->keeper.access = release_and_keep_half;
	plan.range = rig_keep(r, word, &r->keeper.keeper, VERDICT_PASS);
	rig_go(r, load_twice_and_look);
	assert_int_equal(r->keeper.asked, 2);
	assert_string_equal(r->said, "");
}

/* ---- somebody waits for the page ---- */

static void wait_for_waiter(struct rig *r)
{
	const struct timespec ms = { 0, 1000000 };
	struct session_summary now = { 0 };

	for (int i = 0; i < 5000 && !now.waits; i++) {
		nanosleep(&ms, NULL);
		session_summary(r->session, &now);
	}
	assert_int_equal(now.waits, 1);
}

static void *other_cpu(void *ctx)
{
	RIG_RUN(ctx, 1, RIG_INC);
	return NULL;
}

static pthread_t the_other;

static enum keeper_status release_while_waited_for(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	assert_int_equal(
		pthread_create(&the_other, NULL, other_cpu, k->rig), 0);
	wait_for_waiter(k->rig);
	return release(k, access, verdict, err);
}

static void inc_and_join(struct fake_target *fake, void *ctx)
{
	RIG_RUN(ctx, 0, RIG_INC);
	pthread_join(the_other, NULL);
	assert_int_equal(fake->threads[1].regs.rip, FAKE_CODE + 256 + 4);
}

static void waiters_go_on_when_the_page_is_released(void **state)
{
	struct rig *r = *state;
	struct plan plan = { 0 };

	r->test = &plan;
	r->keeper.access = release_while_waited_for;
	plan.range = rig_keep(r, word, &r->keeper.keeper, VERDICT_PASS);
	rig_go(r, inc_and_join);
	assert_int_equal(r->keeper.asked, 1);
	assert_int_equal(rig_word(r), 2);
	assert_int_equal(r->summary.missed, 0);
}

/* ---- held ---- */

static enum keeper_status hold(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	(void)err;
	if (access->process == 1)
		verdict->kind = VERDICT_HOLD;
	else
		release(k, access, verdict, err);
	return KEEPER_OK;
}

static void hold_then_release(struct fake_target *fake, void *ctx)
{
	struct rig *r = ctx;

	RIG_RUN(r, 0, RIG_INC);
	assert_int_equal(fake->threads[0].regs.rip, FAKE_CODE);
	RIG_RUN(r, 1, RIG_INC);
	assert_int_equal(rig_word(r), 1);
	/* Its page is open: the CPU does it by itself. */
	assert_int_equal(RIG_RUN(r, 0, RIG_INC), TARGET_RESUME);
}

static void what_was_held_passes_when_its_range_is_released(void **state)
{
	struct rig *r = *state;
	struct plan plan = { 0 };

	r->test = &plan;
	r->keeper.access = hold;
	plan.range = rig_keep(r, word, &r->keeper.keeper, VERDICT_DENY);
	rig_go(r, hold_then_release);
	assert_int_equal(r->summary.spurious, 1);
	assert_int_equal(r->summary.still_held, 0);
	assert_int_equal(r->keeper.asked, 2);
}

/* ---- a held access is ended only by what can end it ---- */

static enum keeper_status hold_always(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	(void)k;
	(void)access;
	(void)err;
	verdict->kind = VERDICT_HOLD;
	return KEEPER_OK;
}

static void resume_wrongly(struct fake_target *fake, void *ctx)
{
	static const enum verdict_kind wrong[] = { VERDICT_HOLD, VERDICT_ABSORB,
		VERDICT_CONTINUE, VERDICT_ROLLBACK };
	struct verdict verdict = { .kind = VERDICT_SERVE };
	struct rig *r = ctx;
	uint64_t v = 7;

	RIG_RUN(r, 0, RIG_LOAD);
	assert_int_equal(session_held_size(r->session, 1), 8);
	assert_int_equal(session_held_size(r->session, 2), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct verdict w = { .kind = wrong[i] };

		assert_int_equal(session_resume(r->session, 1, &w, NULL, 0),
			-EINVAL);
	}
	assert_int_equal(session_resume(r->session, 1, &verdict,
				 (const uint8_t *)&v, 4),
		-EMSGSIZE);
	assert_int_equal(session_resume(r->session, 1, &verdict,
				 (const uint8_t *)&v, 8),
		0);
	RIG_RUN(r, 0, RIG_LOAD);
	assert_int_equal(fake->threads[0].regs.gpr[ARCH_RAX], 7);
	assert_int_equal(session_held_size(r->session, 1), 0);
}

static void only_an_answer_to_the_access_ends_a_hold(void **state)
{
	struct rig *r = *state;

	r->keeper.access = hold_always;
	rig_keep(r, word, &r->keeper.keeper, VERDICT_PASS);
	rig_go(r, resume_wrongly);
}

static void resume_with_deny(struct fake_target *fake, void *ctx)
{
	struct verdict deny = { .kind = VERDICT_DENY,
		.fault.vector = ARCH_VECTOR_PF };
	struct rig *r = ctx;

	RIG_RUN(r, 0, RIG_STORE);
	assert_int_equal(session_resume(r->session, 1, &deny, NULL, 0), 0);
	RIG_RUN(r, 0, RIG_STORE);
	assert_true(fake->threads[0].faulted);
	assert_int_equal(fake->threads[0].fault.vector, ARCH_VECTOR_PF);
	assert_int_equal(fake->threads[0].fault.address, FAKE_DATA);
}

static void a_held_access_denied_faults_where_it_is(void **state)
{
	struct rig *r = *state;

	r->keeper.access = hold_always;
	rig_keep(r, word, &r->keeper.keeper, VERDICT_PASS);
	rig_go(r, resume_with_deny);
}

/* ---- grants ---- */

static enum keeper_status grant_then_revoke(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct plan *plan = k->rig->test;

	(void)err;
	if (access->kind == ACCESS_LOAD) {
		verdict->kind = VERDICT_GRANT;
		verdict->grant = GRANT_ALL;
	} else {
		assert_int_equal(
			session_revoke(k->rig->session, plan->range), 0);
	}
	return KEEPER_OK;
}

static void grant_and_revoke(struct fake_target *fake, void *ctx)
{
	struct rig *r = ctx;

	RIG_RUN(r, 0, RIG_LOAD);
	assert_false(fake->closed[1]);
	/* Another page's access takes it back. */
	fake->threads[0].regs.gpr[ARCH_RBX] = FAKE_DATA + 4096;
	fake_target_run_insn(fake, 0, RIG_STORE, 3);
	assert_true(fake->closed[1]);
	RIG_RUN(r, 0, RIG_LOAD);
}

static void a_grant_is_revoked_from_another_callback(void **state)
{
	struct rig *r = *state;
	struct plan plan = { 0 };

	r->test = &plan;
	r->keeper.access = grant_then_revoke;
	plan.range = rig_keep(r, word, &r->keeper.keeper, VERDICT_PASS);
	rig_keep(r, second, &r->keeper.keeper, VERDICT_PASS);
	rig_go(r, grant_and_revoke);
	assert_int_equal(r->keeper.asked, 3);
	assert_int_equal(r->summary.missed, 0);
}

/* ---- devices ---- */

static enum keeper_status keep_no_device(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct range *range = rig_keep(k->rig, "device:none+8", &k->keeper,
		VERDICT_PASS);

	(void)access;
	(void)verdict;
	assert_int_equal(session_keep(k->rig->session, range, err), -ENODEV);
	return KEEPER_ERROR;
}

static void load_once(struct fake_target *fake, void *ctx)
{
	(void)fake;
	RIG_RUN(ctx, 0, RIG_LOAD);
}

static void an_unknown_device_cannot_be_kept_later(void **state)
{
	struct rig *r = *state;

	r->keeper.access = keep_no_device;
	rig_keep(r, word, &r->keeper.keeper, VERDICT_PASS);
	rig_go(r, load_once);
	assert_non_null(strstr(r->said, "there is no such device"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_range_kept_in_a_callback_is_kept_from_the_next_insn_on),
		TEST(a_released_range_is_open_from_the_next_insn_on),
		TEST(a_range_others_keep_stays_closed_when_one_releases_it),
		TEST(a_range_may_be_kept_again_at_once),
		TEST(released_bytes_are_free_for_other_ranges),
		TEST(waiters_go_on_when_the_page_is_released),
		TEST(what_was_held_passes_when_its_range_is_released),
		TEST(only_an_answer_to_the_access_ends_a_hold),
		TEST(a_held_access_denied_faults_where_it_is),
		TEST(a_grant_is_revoked_from_another_callback),
		TEST(an_unknown_device_cannot_be_kept_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
