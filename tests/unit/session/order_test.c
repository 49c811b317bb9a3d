/* SPDX-License-Identifier: MIT */
/*
 * Whoever says in which order threads make their accesses, and whoever records
 * what a run cannot be repeated without.
 */
#include "tests/unit/session/rig.h"

static const char word[] = "0x401000+8";

/* ---- order ---- */

static struct {
	bool may;
	unsigned asked, waited;
	uint64_t process;
	uint32_t range;
	unsigned cpu;
} turn;

static bool may_access(void *ctx, uint64_t process, uint32_t range)
{
	assert_ptr_equal(ctx, &turn);
	turn.asked++;
	turn.process = process;
	turn.range = range;
	return turn.may;
}

static void on_wait(void *ctx, unsigned cpu)
{
	assert_ptr_equal(ctx, &turn);
	turn.waited++;
	turn.cpu = cpu;
}

static const struct session_order order = {
	.ctx = &turn,
	.access = may_access,
	.wait = on_wait,
};

static int setup_order(void **state)
{
	memset(&turn, 0, sizeof(turn));
	rig_order = &order;
	return rig_setup(state);
}

static int teardown_order(void **state)
{
	rig_order = NULL;
	return rig_teardown(state);
}

static void load_out_of_turn(struct fake_target *fake, void *ctx)
{
	struct rig *r = ctx;

	(void)fake;
	assert_int_equal(RIG_RUN(r, 1, RIG_LOAD), TARGET_RESUME);
	assert_int_equal(turn.waited, 1);
	assert_int_equal(turn.cpu, 1);
	assert_int_equal(r->keeper.asked, 0);
	turn.may = true;
	assert_int_equal(RIG_RUN(r, 1, RIG_LOAD), TARGET_RESUME);
}

static void an_access_out_of_turn_happens_later(void **state)
{
	struct rig *r = *state;
	const struct range *range = rig_keep(r, word, &r->keeper.keeper, VERDICT_PASS);

	rig_go(r, load_out_of_turn);
	assert_int_equal(r->keeper.asked, 1);
	assert_int_equal(r->summary.accesses, 1);
	assert_int_equal(turn.waited, 1);
	assert_int_equal(turn.asked, 2);
	assert_int_equal(turn.range, range->id);
	assert_int_equal(turn.process, r->fake->other_process.id);
}

static void load_beside(struct fake_target *fake, void *ctx)
{
	struct rig *r = ctx;

	fake->threads[0].regs.gpr[ARCH_RBX] = FAKE_DATA + 64;
	fake_target_run_insn(r->fake, 0, RIG_LOAD, 3);
}

static void a_page_mate_needs_no_turn(void **state)
{
	struct rig *r = *state;

	rig_keep(r, word, &r->keeper.keeper, VERDICT_PASS);
	rig_go(r, load_beside);
	assert_int_equal(turn.asked, 0);
	assert_int_equal(turn.waited, 0);
	assert_int_equal(r->summary.page_mates, 1);
}

/* ---- what is recorded ---- */

static struct {
	unsigned answers, stepped, accesses, writes, kept, released;
	enum verdict_kind kind;
	uint64_t new_value, final_value, write_seq, seq;
	bool told_before_access;
} noted;

static void on_answered(void *ctx, const struct access *access, bool stepped,
	const struct verdict *verdict)
{
	(void)ctx;
	noted.answers++;
	noted.stepped += stepped;
	noted.kind = verdict->kind;
	noted.seq = access->seq;
	noted.told_before_access = !noted.accesses;
}

static void on_access(void *ctx, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	(void)ctx;
	(void)outcome;
	noted.accesses++;
	if (access->new_bytes)
		memcpy(&noted.new_value, access->new_bytes, 8);
	if (final_bytes)
		memcpy(&noted.final_value, final_bytes, 8);
}

static void on_written(void *ctx, uint64_t seq, uint64_t process, uint64_t va,
	const uint8_t *bytes, size_t len)
{
	(void)ctx;
	(void)process;
	(void)va;
	(void)bytes;
	(void)len;
	noted.writes++;
	noted.write_seq = seq;
}

static void on_process(void *ctx, const struct target_process *process)
{
	(void)ctx;
	(void)process;
}

static void on_exit_of(
	void *ctx, const struct target_process *process, int64_t code)
{
	(void)ctx;
	(void)process;
	(void)code;
}

static void on_bind(void *ctx, uint64_t process, const struct range *range,
	uint64_t offset, uint32_t size, const uint8_t *bytes, frame_t frame)
{
	(void)ctx;
	(void)process;
	(void)range;
	(void)offset;
	(void)size;
	(void)bytes;
	(void)frame;
}

static void on_unbind(void *ctx, uint64_t process, const struct range *range,
	uint64_t offset, uint32_t size)
{
	on_bind(ctx, process, range, offset, size, NULL, 0);
}

static void on_kept(void *ctx, const struct range *range)
{
	(void)ctx;
	(void)range;
	noted.kept++;
}

static void on_released(void *ctx, const struct range *range)
{
	(void)ctx;
	(void)range;
	noted.released++;
}

static const struct session_recorder recorder = {
	.access = on_access,
	.process_start = on_process,
	.process_exit = on_exit_of,
	.bind = on_bind,
	.unbind = on_unbind,
	.answered = on_answered,
	.written = on_written,
	.kept = on_kept,
	.released = on_released,
};

static int setup_recorder(void **state)
{
	memset(&noted, 0, sizeof(noted));
	rig_recorder = &recorder;
	return rig_setup(state);
}

static int teardown_recorder(void **state)
{
	rig_recorder = NULL;
	return rig_teardown(state);
}

static enum keeper_status absorb(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	(void)k;
	(void)access;
	(void)err;
	verdict->kind = VERDICT_ABSORB;
	return KEEPER_OK;
}

static enum keeper_status serve_nine(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	uint64_t nine = 9;

	(void)k;
	(void)access;
	(void)err;
	verdict->kind = VERDICT_SERVE;
	memcpy(verdict->value, &nine, 8);
	return KEEPER_OK;
}

static enum keeper_status write_two(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	uint64_t two = 2;

	(void)verdict;
	(void)err;
	assert_int_equal(session_write(k->rig->session, access->process,
				 FAKE_DATA + 8, &two, 8),
		8);
	noted.seq = access->seq;
	return KEEPER_OK;
}

static void store_five(struct fake_target *fake, void *ctx)
{
	fake->threads[0].regs.gpr[ARCH_RAX] = 5;
	RIG_RUN((struct rig *)ctx, 0, RIG_STORE);
}

/* What would have been stored is in the record, though it was not. */
static void the_record_of_a_store_that_was_altered(void **state)
{
	struct rig *r = *state;

	rig_keep(r, word, &r->keeper.keeper, VERDICT_PASS);
	r->keeper.access = absorb;
	rig_go(r, store_five);
	assert_int_equal(noted.new_value, 5);
	assert_int_equal(noted.final_value, 0);
	assert_int_equal(noted.answers, 1);
	assert_int_equal(noted.kind, VERDICT_ABSORB);
	assert_true(noted.told_before_access);
}

static void the_record_of_a_store_that_was_served(void **state)
{
	struct rig *r = *state;

	rig_keep(r, word, &r->keeper.keeper, VERDICT_PASS);
	r->keeper.access = serve_nine;
	rig_go(r, store_five);
	assert_int_equal(rig_word(r), 9);
	assert_int_equal(noted.new_value, 5);
	assert_int_equal(noted.final_value, 9);
}

static void an_answer_to_pass_is_not_worth_a_word(void **state)
{
	struct rig *r = *state;

	rig_keep(r, word, &r->keeper.keeper, VERDICT_PASS);
	rig_go(r, store_five);
	assert_int_equal(noted.accesses, 1);
	assert_int_equal(noted.answers, 0);
}

static void a_keepers_write_belongs_to_its_access(void **state)
{
	struct rig *r = *state;

	rig_keep(r, word, &r->keeper.keeper, VERDICT_PASS);
	r->keeper.access = write_two;
	rig_go(r, store_five);
	assert_int_equal(noted.writes, 1);
	assert_true(noted.seq);
	assert_int_equal(noted.write_seq, noted.seq);
}

static enum keeper_status keep_and_release(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct range *range;

	(void)access;
	(void)verdict;
	if (noted.seq)
		return KEEPER_OK;
	noted.seq = access->seq;
	range = rig_keep(k->rig, "0x402000+8", &k->keeper, VERDICT_PASS);
	assert_int_equal(session_keep(k->rig->session, range, err), 0);
	assert_true(session_release(k->rig->session, range, &k->keeper));
	return KEEPER_OK;
}

static void ranges_that_come_and_go_are_told(void **state)
{
	struct rig *r = *state;

	rig_keep(r, word, &r->keeper.keeper, VERDICT_PASS);
	r->keeper.access = keep_and_release;
	rig_go(r, store_five);
	assert_int_equal(noted.kept, 1);
	assert_int_equal(noted.released, 1);
}

#define ORDER(test)                                                            \
	cmocka_unit_test_setup_teardown(test, setup_order, teardown_order)
#define RECORDER(test)                                                         \
	cmocka_unit_test_setup_teardown(test, setup_recorder, teardown_recorder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ORDER(an_access_out_of_turn_happens_later),
		ORDER(a_page_mate_needs_no_turn),
		RECORDER(the_record_of_a_store_that_was_altered),
		RECORDER(the_record_of_a_store_that_was_served),
		RECORDER(an_answer_to_pass_is_not_worth_a_word),
		RECORDER(a_keepers_write_belongs_to_its_access),
		RECORDER(ranges_that_come_and_go_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
