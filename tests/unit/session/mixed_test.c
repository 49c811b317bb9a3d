/* SPDX-License-Identifier: MIT */
/*
 * One instruction, two ranges, and two keepers that want different things: each
 * gets what it answered.
 */
#include "tests/unit/session/rig.h"

/* mov [rbx], rax over 4 bytes of each range; add [rbx], rax */
static const char first[] = "0x401000+4", second[] = "0x401004+4";
#define ADD "\x48\x01\x03"

struct plan {
	enum verdict_kind answers[2]; /* of the first and the second keeper */
	enum verdict_kind stepped;
	uint64_t value; /* served */
	unsigned held;
	uint64_t seq;
};

static enum keeper_status answer(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct plan *plan = k->rig->test;

	(void)err;
	verdict->kind = plan->answers[k == &k->rig->other];
	assert_true(!plan->seq || plan->seq == access->seq);
	plan->seq = access->seq;
	if (verdict->kind == VERDICT_SERVE)
		memcpy(verdict->value, &plan->value, 8);
	plan->held += verdict->kind == VERDICT_HOLD;
	return KEEPER_OK;
}

static enum keeper_status answer_stepped(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct plan *plan = k->rig->test;

	(void)access;
	(void)err;
	verdict->kind = plan->stepped;
	return KEEPER_OK;
}

static void set_word(struct rig *r, uint64_t v)
{
	memcpy(fake_target_byte(r->fake, FAKE_DATA), &v, sizeof(v));
}

static struct rig *start(void **state, struct plan *plan)
{
	struct rig *r = *state;

	r->test = plan;
	r->keeper.access = r->other.access = answer;
	r->keeper.on_stepped = r->other.on_stepped = answer_stepped;
	set_word(r, 0x1111111122222222);
	rig_keep(r, first, &r->keeper.keeper, VERDICT_PASS);
	rig_keep(r, second, &r->other.keeper, VERDICT_PASS);
	return r;
}

static void store(struct fake_target *fake, void *ctx)
{
	fake->threads[0].regs.gpr[ARCH_RAX] = 0x3333333344444444;
	RIG_RUN(ctx, 0, RIG_STORE);
	assert_int_equal(fake->threads[0].regs.rip, FAKE_CODE + 3);
}

static void a_served_store_is_served_when_another_steps_it(void **state)
{
	struct plan plan = { .answers = { VERDICT_SERVE, VERDICT_STEP },
		.stepped = VERDICT_CONTINUE,
		.value = 0x5555555566666666 };
	struct rig *r = start(state, &plan);

	rig_go(r, store);
	assert_int_equal(rig_word(r), 0x3333333366666666);
	assert_int_equal(r->summary.steps, 1);
	assert_int_equal(r->summary.missed, 0);
}

static void an_absorbed_store_is_absorbed_when_another_steps_it(void **state)
{
	struct plan plan = { .answers = { VERDICT_ABSORB, VERDICT_STEP },
		.stepped = VERDICT_CONTINUE };
	struct rig *r = start(state, &plan);

	rig_go(r, store);
	assert_int_equal(rig_word(r), 0x3333333322222222);
	assert_int_equal(r->summary.missed, 0);
}

static void a_store_stepped_first_is_served_too(void **state)
{
	struct plan plan = { .answers = { VERDICT_STEP, VERDICT_SERVE },
		.stepped = VERDICT_CONTINUE,
		.value = 0x5555555566666666 };
	struct rig *r = start(state, &plan);

	rig_go(r, store);
	assert_int_equal(rig_word(r), 0x5555555544444444);
}

static void add_once(struct fake_target *fake, void *ctx)
{
	fake->threads[0].regs.gpr[ARCH_RAX] = 1;
	RIG_RUN(ctx, 0, ADD);
}

static void a_served_rmw_computes_on_it_when_another_steps_it(void **state)
{
	struct plan plan = { .answers = { VERDICT_SERVE, VERDICT_STEP },
		.stepped = VERDICT_CONTINUE,
		.value = 0x77 };
	struct rig *r = start(state, &plan);

	rig_go(r, add_once);
	assert_int_equal(rig_word(r), 0x1111111100000078);
	assert_int_equal(r->summary.missed, 0);
}

static void rollback_takes_back_what_was_served(void **state)
{
	struct plan plan = { .answers = { VERDICT_SERVE, VERDICT_STEP },
		.stepped = VERDICT_ROLLBACK,
		.value = 0x77 };
	struct rig *r = start(state, &plan);

	rig_go(r, add_once);
	assert_int_equal(rig_word(r), 0x1111111122222222);
	assert_int_equal(r->fake->threads[0].regs.rip, FAKE_CODE);
	assert_int_equal(r->summary.missed, 0);
}

static void store_held(struct fake_target *fake, void *ctx)
{
	struct verdict pass = { .kind = VERDICT_PASS };
	struct rig *r = ctx;
	struct plan *plan = r->test;

	fake->threads[0].regs.gpr[ARCH_RAX] = 0x3333333344444444;
	RIG_RUN(r, 0, RIG_STORE);
	/* It was stepped, and taken back when the second one said hold. */
	assert_int_equal(rig_word(r), 0x1111111122222222);
	assert_int_equal(fake->threads[0].regs.rip, FAKE_CODE);
	assert_int_equal(
		session_resume(r->session, plan->seq, &pass, NULL, 0), 0);
	RIG_RUN(r, 0, RIG_STORE);
	assert_int_equal(fake->threads[0].regs.rip, FAKE_CODE + 3);
}

static void a_stepped_store_may_be_held_by_another(void **state)
{
	struct plan plan = { .answers = { VERDICT_STEP, VERDICT_HOLD },
		.stepped = VERDICT_CONTINUE };
	struct rig *r = start(state, &plan);

	rig_go(r, store_held);
	assert_int_equal(rig_word(r), 0x3333333344444444);
	/* Nobody was asked twice. */
	assert_int_equal(r->keeper.asked, 1);
	assert_int_equal(r->other.asked, 1);
	assert_int_equal(plan.held, 1);
	assert_int_equal(r->summary.still_held, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_served_store_is_served_when_another_steps_it),
		TEST(an_absorbed_store_is_absorbed_when_another_steps_it),
		TEST(a_store_stepped_first_is_served_too),
		TEST(a_served_rmw_computes_on_it_when_another_steps_it),
		TEST(rollback_takes_back_what_was_served),
		TEST(a_stepped_store_may_be_held_by_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
