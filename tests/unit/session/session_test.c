/* SPDX-License-Identifier: MIT */
/*
 * The whole path from a stop to its end, on a target made of a few pages: what
 * keepers are told, what their answers do, and what is left undone.
 */
#include "session/session.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/session/rig.h"

#define LOG_MAX 64

/* A keeper that writes down what it is told and answers as told. */
struct told {
	struct access access;
	uint8_t old_bytes[64], new_bytes[64];
	bool has_new;
};

struct test_keeper {
	struct keeper keeper;
	struct told told[LOG_MAX];
	unsigned count;
	enum verdict_kind answer; /* to access() */
	uint32_t hold_ms;
	enum grant grant;
	unsigned told_count;
	enum outcome told_outcome;
	uint32_t ranges[4]; /* told by kept() */
	unsigned range_count;
	uint64_t before, after;
	unsigned ordered_count;
	uint64_t value; /* for serve */
	enum keeper_status fail;
	struct session *session; /* to be asked for the two below, or NULL */
	struct arch_regs regs;
	bool has_regs;
	uint64_t stack[4];
	size_t stack_count;
	/* stepped() */
	enum verdict_kind stepped_answers[4];
	unsigned stepped_count;
	struct step_report stepped;
	struct step_piece piece;
	uint8_t piece_old[64], piece_new[64];
};

static enum keeper_status on_access(struct keeper *keeper,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct test_keeper *k = (struct test_keeper *)keeper;
	struct told *told = &k->told[k->count % LOG_MAX];

	k->count++;
	told->access = *access;
	memcpy(told->old_bytes, access->old_bytes,
		access->size < 64 ? access->size : 64);
	told->has_new = access->new_bytes != NULL;
	if (told->has_new)
		memcpy(told->new_bytes, access->new_bytes,
			access->size < 64 ? access->size : 64);
	if (k->session) {
		k->has_regs = session_regs(k->session, &k->regs);
		k->stack_count = session_stack(k->session, k->stack, 4);
	}
	if (k->fail != KEEPER_OK) {
		error_set(err, -EINVAL, "told to fail");
		return k->fail;
	}
	verdict->kind = k->answer;
	verdict->hold_ms = k->hold_ms;
	verdict->grant = k->grant;
	if (k->answer == VERDICT_SERVE)
		memcpy(verdict->value, &k->value,
			access->size < 8 ? access->size : 8);
	return KEEPER_OK;
}

static enum keeper_status on_stepped(struct keeper *keeper,
	const struct access *access, const struct step_report *report,
	struct verdict *verdict, struct error *err)
{
	struct test_keeper *k = (struct test_keeper *)keeper;

	(void)access;
	(void)err;
	k->stepped = *report;
	if (report->count) {
		k->piece = report->pieces[0];
		memcpy(k->piece_old, k->piece.old_bytes, k->piece.size);
		if (k->piece.new_bytes)
			memcpy(k->piece_new, k->piece.new_bytes, k->piece.size);
	}
	verdict->kind = k->stepped_answers[k->stepped_count++];
	return KEEPER_OK;
}

static void on_told(struct keeper *keeper, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	struct test_keeper *k = (struct test_keeper *)keeper;

	(void)access;
	(void)final_bytes;
	k->told_count++;
	k->told_outcome = outcome;
}

static void on_kept(struct keeper *keeper, uint32_t range)
{
	struct test_keeper *k = (struct test_keeper *)keeper;

	k->ranges[k->range_count++] = range;
}

static void on_ordered(struct keeper *keeper, uint64_t before, uint64_t after)
{
	struct test_keeper *k = (struct test_keeper *)keeper;

	k->before = before;
	k->after = after;
	k->ordered_count++;
}

static void on_destroy(struct keeper *keeper)
{
	(void)keeper; /* part of the fixture */
}

static const struct keeper_ops test_keeper_ops = {
	.name = "test",
	.help = "answers as the test says",
	.access = on_access,
	.stepped = on_stepped,
	.destroy = on_destroy,
};

static const struct keeper_ops watcher_ops = {
	.name = "watcher",
	.help = "is only told",
	.told = on_told,
	.kept = on_kept,
	.ordered = on_ordered,
	.destroy = on_destroy,
};

/* A rig with keepers of this file's. */
struct fixture {
	struct rig rig; /* first: what the rig is told, the fixture is */
	struct test_keeper keeper, other, watcher;
	uint64_t decided;
};

static void on_decided(
	void *ctx, const struct access *access, enum outcome outcome)
{
	struct fixture *f = ctx;

	(void)access;
	(void)outcome;
	__atomic_fetch_add(&f->decided, 1, __ATOMIC_SEQ_CST);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	rig_init(&f->rig, on_decided);
	keeper_init(&f->keeper.keeper, &test_keeper_ops);
	keeper_init(&f->other.keeper, &test_keeper_ops);
	keeper_init(&f->watcher.keeper, &watcher_ops);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rig_fini(&f->rig);
	keeper_destroy(&f->keeper.keeper);
	keeper_destroy(&f->other.keeper);
	keeper_destroy(&f->watcher.keeper);
	free(f);
	return 0;
}

static struct range *keep(
	struct fixture *f, const char *text, struct test_keeper *keeper)
{
	return rig_keep(&f->rig, text, &keeper->keeper, VERDICT_PASS);
}

static void go(struct fixture *f, void (*body)(struct fake_target *, void *))
{
	rig_go(&f->rig, body);
}

static uint64_t memory(struct fixture *f, uint64_t va)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | *fake_target_byte(f->rig.fake, va + i);
	return v;
}

static void set_memory(struct fixture *f, uint64_t va, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		*fake_target_byte(f->rig.fake, va + i) = (uint8_t)(v >> 8 * i);
}

#define RUN(f, ...)                                                            \
	fake_target_run_insn((f)->rig.fake, 0, (const uint8_t[]){ __VA_ARGS__ },   \
		sizeof((const uint8_t[]){ __VA_ARGS__ }))
#define REGS(f) ((f)->rig.fake->threads[0].regs)
#define GPR(f, r) (REGS(f).gpr[ARCH_##r])
#define X FAKE_DATA

/* mov rax, [rbx] and mov [rbx], rax, ... : rbx points at the data */
#define LOAD_RAX 0x48, 0x8b, 0x03
#define STORE_RAX 0x48, 0x89, 0x03
#define LOAD_EAX 0x8b, 0x03
#define INC_MEM 0x48, 0xff, 0x03
#define LOCK_XADD 0xf0, 0x48, 0x0f, 0xc1, 0x03
#define LOCK_INC 0xf0, 0x48, 0xff, 0x03

static void load_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	GPR(f, RBX) = X;
	assert_int_equal(RUN(f, LOAD_RAX), TARGET_RESUME);
	assert_int_equal(REGS(f).rip, FAKE_CODE + 3);
}

static void a_load_is_told_and_passes(void **state)
{
	struct fixture *f = *state;
	const struct access *a = &f->keeper.told[0].access;

	keep(f, "0x401000+8", &f->keeper);
	set_memory(f, X, 0x1122334455667788);
	go(f, load_body);
	assert_int_equal(GPR(f, RAX), 0x1122334455667788);
	assert_int_equal(f->keeper.count, 1);
	assert_int_equal(a->seq, 1);
	assert_int_equal(a->kind, ACCESS_LOAD);
	assert_int_equal(a->address, X);
	assert_int_equal(a->size, 8);
	assert_int_equal(a->offset, 0);
	assert_int_equal(a->kept_count, 8);
	assert_int_equal(a->ip, FAKE_CODE);
	assert_int_equal(a->insn_len, 3);
	assert_string_equal(a->process_name, "fake");
	assert_memory_equal(f->keeper.told[0].old_bytes,
		"\x88\x77\x66\x55\x44\x33\x22\x11", 8);
	assert_false(f->keeper.told[0].has_new);
	assert_int_equal(f->rig.summary.accesses, 1);
	assert_int_equal(f->rig.summary.by_kind[ACCESS_LOAD], 1);
	assert_int_equal(f->rig.summary.missed, 0);
	assert_int_equal(f->decided, 1);
}

static void a_served_load_sees_the_value_and_memory_stays(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_SERVE;
	f->keeper.value = 0xabcdef;
	keep(f, "0x401000+8", &f->keeper);
	set_memory(f, X, 0x1122334455667788);
	go(f, load_body);
	assert_int_equal(GPR(f, RAX), 0xabcdef);
	assert_int_equal(memory(f, X), 0x1122334455667788);
	assert_int_equal(f->rig.summary.by_outcome[OUTCOME_SERVE], 1);
}

static void store_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	GPR(f, RBX) = X;
	GPR(f, RAX) = 0x55;
	assert_int_equal(RUN(f, STORE_RAX), TARGET_RESUME);
}

static void a_store_passes_with_old_and_new(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401000+8", &f->keeper);
	set_memory(f, X, 7);
	go(f, store_body);
	assert_int_equal(memory(f, X), 0x55);
	assert_int_equal(f->keeper.told[0].access.kind, ACCESS_STORE);
	assert_int_equal(f->keeper.told[0].old_bytes[0], 7);
	assert_int_equal(f->keeper.told[0].new_bytes[0], 0x55);
	assert_int_equal(f->rig.summary.missed, 0);
}

static void an_absorbed_store_completes_and_stores_nothing(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_ABSORB;
	keep(f, "0x401000+8", &f->keeper);
	set_memory(f, X, 7);
	go(f, store_body);
	assert_int_equal(memory(f, X), 7);
	assert_int_equal(REGS(f).rip, FAKE_CODE + 3);
	assert_int_equal(f->rig.summary.by_outcome[OUTCOME_ABSORB], 1);
}

static void a_served_store_stores_the_other_value(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_SERVE;
	f->keeper.value = 0x99;
	keep(f, "0x401000+8", &f->keeper);
	go(f, store_body);
	assert_int_equal(memory(f, X), 0x99);
	assert_int_equal(f->rig.summary.missed, 0);
}

static void a_denied_access_faults_and_nothing_happens(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_DENY;
	keep(f, "0x401000+8", &f->keeper);
	set_memory(f, X, 7);
	go(f, store_body);
	assert_int_equal(memory(f, X), 7);
	assert_int_equal(REGS(f).rip, FAKE_CODE);
	assert_true(f->rig.fake->threads[0].faulted);
	assert_int_equal(f->rig.fake->threads[0].fault.vector, ARCH_VECTOR_PF);
	assert_int_equal(f->rig.fake->threads[0].fault.address, X);
	assert_true(f->rig.fake->threads[0].fault.error_code & ARCH_PF_WRITE);
	assert_non_null(strstr(f->rig.said, "access 1 denied by the keeper of"));
}

static void stop_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	GPR(f, RBX) = X;
	assert_int_equal(RUN(f, STORE_RAX), TARGET_STOP);
}

static void stop_stops_before_the_access(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_STOP;
	keep(f, "0x401000+8", &f->keeper);
	set_memory(f, X, 7);
	GPR(f, RAX) = 1;
	go(f, stop_body);
	assert_int_equal(memory(f, X), 7);
	assert_int_equal(REGS(f).rip, FAKE_CODE);
	assert_non_null(strstr(f->rig.said, "0x401000+8"));
}

static void xadd_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	set_memory(f, X, 100);
	GPR(f, RBX) = X;
	GPR(f, RAX) = 5;
	assert_int_equal(RUN(f, LOCK_XADD), TARGET_RESUME);
}

static void an_atomic_is_one_access_with_old_and_new(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401000+8", &f->keeper);
	go(f, xadd_body);
	assert_int_equal(memory(f, X), 105);
	assert_int_equal(GPR(f, RAX), 100);
	assert_int_equal(f->keeper.count, 1);
	assert_int_equal(f->keeper.told[0].access.kind, ACCESS_RMW);
	assert_true(f->keeper.told[0].access.atomic);
	assert_int_equal(f->keeper.told[0].old_bytes[0], 100);
	assert_int_equal(f->keeper.told[0].new_bytes[0], 105);
}

static void a_served_atomic_computes_on_the_served_value(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_SERVE;
	f->keeper.value = 1000;
	keep(f, "0x401000+8", &f->keeper);
	go(f, xadd_body);
	assert_int_equal(GPR(f, RAX), 1000);
	assert_int_equal(memory(f, X), 1005);
	assert_int_equal(f->rig.summary.missed, 0);
}

static void an_absorbed_atomic_sees_memory_and_stores_nothing(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_ABSORB;
	keep(f, "0x401000+8", &f->keeper);
	go(f, xadd_body);
	assert_int_equal(GPR(f, RAX), 100);
	assert_int_equal(memory(f, X), 100);
}

static void page_mate_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	GPR(f, RBX) = X + 8;
	GPR(f, RAX) = 3;
	assert_int_equal(RUN(f, STORE_RAX), TARGET_RESUME);
	assert_int_equal(memory(f, X + 8), 3);
}

static void a_page_mate_is_performed_and_only_counted(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401000+8", &f->keeper);
	go(f, page_mate_body);
	assert_int_equal(f->keeper.count, 0);
	assert_int_equal(f->rig.summary.accesses, 0);
	assert_int_equal(f->rig.summary.page_mates, 1);
}

static void straddle_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	set_memory(f, X, 0);
	GPR(f, RBX) = X;
	GPR(f, RAX) = 0x1111111111111111;
	assert_int_equal(RUN(f, STORE_RAX), TARGET_RESUME);
}

static void only_kept_bytes_are_the_keepers(void **state)
{
	struct fixture *f = *state;
	const struct access *a = &f->keeper.told[0].access;

	f->keeper.answer = VERDICT_ABSORB;
	keep(f, "0x401003+2", &f->keeper);
	go(f, straddle_body);
	assert_int_equal(a->address, X);
	assert_int_equal(a->size, 8);
	assert_int_equal(a->offset, 0);
	assert_int_equal(a->kept_first, 3);
	assert_int_equal(a->kept_count, 2);
	assert_int_equal(memory(f, X), 0x1111110000111111);
}

static void an_access_to_two_ranges_is_two_parts_of_one(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401000+4", &f->keeper);
	keep(f, "0x401004+4", &f->other);
	f->keeper.answer = VERDICT_ABSORB;
	go(f, straddle_body);
	assert_int_equal(f->keeper.count, 1);
	assert_int_equal(f->other.count, 1);
	assert_int_equal(f->keeper.told[0].access.seq,
		f->other.told[0].access.seq);
	assert_int_equal(f->other.told[0].access.kept_first, 4);
	assert_int_equal(memory(f, X), 0x1111111100000000);
}

static void one_keepers_no_undoes_all(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401000+4", &f->keeper);
	keep(f, "0x401004+4", &f->other);
	f->other.answer = VERDICT_DENY;
	go(f, straddle_body);
	assert_int_equal(memory(f, X), 0);
	assert_int_equal(f->rig.fake->threads[0].fault.address, X + 4);
	assert_int_equal(f->rig.summary.by_outcome[OUTCOME_DENY], 1);
	assert_int_equal(f->rig.summary.by_outcome[OUTCOME_FAULT], 1);
}

static void half_mapped_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	fake->unmapped[2] = true;
	GPR(f, RBX) = X + 4092;
	GPR(f, RAX) = ~UINT64_C(0);
	assert_int_equal(RUN(f, STORE_RAX), TARGET_RESUME);
}

static void an_operand_half_unmapped_faults_whole(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401ffc+4", &f->keeper);
	go(f, half_mapped_body);
	assert_true(f->rig.fake->threads[0].faulted);
	assert_int_equal(f->rig.fake->threads[0].fault.address, X + 4096);
	assert_int_equal(*fake_target_byte(f->rig.fake, X + 4092), 0);
	assert_int_equal(f->keeper.count, 0);
}

static void across_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	GPR(f, RBX) = X + 4092;
	GPR(f, RAX) = 0x0102030405060708;
	assert_int_equal(RUN(f, STORE_RAX), TARGET_RESUME);
	assert_int_equal(memory(f, X + 4092), 0x0102030405060708);
}

static void an_access_across_two_kept_pages_is_one(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401000+8192", &f->keeper);
	go(f, across_body);
	assert_int_equal(f->keeper.count, 1);
	assert_int_equal(f->keeper.told[0].access.offset, 4092);
	assert_int_equal(f->keeper.told[0].access.kept_count, 8);
	assert_int_equal(f->rig.summary.missed, 0);
}

static void rep_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	for (int i = 0; i < 16; i++)
		*fake_target_byte(f->rig.fake, X + 4096 + i) = (uint8_t)(i + 1);
	GPR(f, RSI) = X + 4096;
	GPR(f, RDI) = X;
	GPR(f, RCX) = 16;
	/* rep movsb */
	assert_int_equal(RUN(f, 0xf3, 0xa4), TARGET_RESUME);
	assert_int_equal(GPR(f, RCX), 0);
	assert_int_equal(GPR(f, RDI), X + 16);
	assert_int_equal(REGS(f).rip, FAKE_CODE + 2);
}

static void rep_is_one_access_an_element(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401004+8", &f->keeper);
	go(f, rep_body);
	assert_int_equal(f->keeper.count, 8);
	assert_int_equal(f->rig.summary.page_mates, 8);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(f->keeper.told[i].access.offset, i);
		assert_int_equal(f->keeper.told[i].new_bytes[0], i + 5);
	}
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(*fake_target_byte(f->rig.fake, X + i), i + 1);
}

static void run_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	for (int i = 0; i < 64; i++)
		*fake_target_byte(f->rig.fake, X + 4096 + i) = (uint8_t)(i + 1);
	GPR(f, RSI) = X + 4096;
	GPR(f, RDI) = X;
	GPR(f, RCX) = 8;
	/* rep movsq: 8 before, 48 kept, 8 behind */
	assert_int_equal(RUN(f, 0xf3, 0x48, 0xa5), TARGET_RESUME);
	assert_int_equal(GPR(f, RCX), 0);
	assert_int_equal(GPR(f, RDI), X + 64);
	assert_int_equal(GPR(f, RSI), X + 4096 + 64);
	assert_int_equal(REGS(f).rip, FAKE_CODE + 3);
}

static void rep_is_one_access_a_run_where_the_range_asks(void **state)
{
	struct fixture *f = *state;
	const struct access *a = &f->keeper.told[0].access;

	keep(f, "0x401008+48", &f->keeper)->joined = true;
	go(f, run_body);
	assert_int_equal(f->keeper.count, 1);
	assert_int_equal(a->kind, ACCESS_STORE);
	assert_int_equal(a->offset, 0);
	assert_int_equal(a->size, 48);
	assert_int_equal(f->keeper.told[0].new_bytes[47], 56);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(*fake_target_byte(f->rig.fake, X + i), i + 1);
	assert_int_equal(f->rig.summary.page_mates, 2);
	assert_int_equal(f->rig.summary.missed, 0);
}

static void nobody_gets_a_run_that_nobody_asked_for(void **state)
{
	struct fixture *f = *state;

	/* The instruction is kept, its operands are not. */
	keep(f, "0x400000+3", &f->keeper)->joined = true;
	go(f, run_body);
	assert_int_equal(f->keeper.count, 8);
	assert_int_equal(f->rig.summary.by_kind[ACCESS_FETCH], 8);
}

static void an_absorbed_run_stores_nothing(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_ABSORB;
	keep(f, "0x401008+48", &f->keeper)->joined = true;
	go(f, run_body);
	assert_int_equal(*fake_target_byte(f->rig.fake, X + 7), 8);
	for (unsigned i = 8; i < 56; i++)
		assert_int_equal(*fake_target_byte(f->rig.fake, X + i), 0);
	assert_int_equal(*fake_target_byte(f->rig.fake, X + 56), 57);
}

static void a_stepped_run_is_stepped_by_elements(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_STEP;
	keep(f, "0x401008+16", &f->keeper)->joined = true;
	go(f, run_body);
	assert_int_equal(f->keeper.stepped_count, 2);
	assert_int_equal(f->keeper.stepped.count, 1);
	assert_int_equal(f->rig.summary.accesses, 2);
	assert_int_equal(*fake_target_byte(f->rig.fake, X + 23), 24);
}

static void run_onto_itself_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	*fake_target_byte(f->rig.fake, X) = 0x77;
	GPR(f, RSI) = X;
	GPR(f, RDI) = X + 1;
	GPR(f, RCX) = 15;
	/* rep movsb one byte further: a fill */
	assert_int_equal(RUN(f, 0xf3, 0xa4), TARGET_RESUME);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(*fake_target_byte(f->rig.fake, X + i), 0x77);
}

static void a_run_onto_its_own_source_stays_elements(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401000+16", &f->keeper)->joined = true;
	go(f, run_onto_itself_body);
	assert_int_equal(f->rig.summary.accesses, 30);
}

static void stos_and_lods_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	GPR(f, RAX) = 0x1122334455667788;
	GPR(f, RDI) = X;
	GPR(f, RCX) = 4;
	/* rep stosw */
	assert_int_equal(RUN(f, 0x66, 0xf3, 0xab), TARGET_RESUME);
	assert_int_equal(memory(f, X), 0x7788778877887788);
	GPR(f, RSI) = X;
	GPR(f, RCX) = 2;
	/* rep lodsd */
	assert_int_equal(RUN(f, 0xf3, 0xad), TARGET_RESUME);
	assert_int_equal(GPR(f, RAX), 0x77887788);
	assert_int_equal(GPR(f, RSI), X + 8);
	assert_int_equal(GPR(f, RCX), 0);
}

static void runs_of_stos_and_lods(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401000+16", &f->keeper)->joined = true;
	go(f, stos_and_lods_body);
	assert_int_equal(f->keeper.count, 2);
	assert_int_equal(f->keeper.told[0].access.size, 8);
	assert_int_equal(f->keeper.told[1].access.kind, ACCESS_LOAD);
}

static void push_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	set_memory(f, X + 4096, 0xfeed);
	GPR(f, RSP) = X + 16;
	GPR(f, RBX) = X + 4096;
	/* push qword [rbx] */
	assert_int_equal(RUN(f, 0xff, 0x33), TARGET_RESUME);
	assert_int_equal(GPR(f, RSP), X + 8);
	assert_int_equal(memory(f, X + 8), 0xfeed);
}

static void both_operands_of_a_push_are_told(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401000+16", &f->keeper);
	keep(f, "0x402000+8", &f->other);
	go(f, push_body);
	assert_int_equal(f->keeper.count, 1);
	assert_int_equal(f->keeper.told[0].access.kind, ACCESS_STORE);
	assert_int_equal(f->keeper.told[0].access.offset, 8);
	assert_int_equal(f->other.count, 1);
	assert_int_equal(f->other.told[0].access.kind, ACCESS_LOAD);
}

static void trap_flag_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	GPR(f, RBX) = X;
	REGS(f).rflags |= ARCH_RFLAGS_TF;
	RUN(f, LOAD_RAX);
	assert_int_equal(REGS(f).rip, FAKE_CODE + 3);
}

static void a_program_that_steps_itself_gets_its_trap(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401000+8", &f->keeper);
	set_memory(f, X, 0x1234);
	go(f, trap_flag_body);
	assert_int_equal(GPR(f, RAX), 0x1234);
	assert_true(f->rig.fake->threads[0].faulted);
	assert_int_equal(f->rig.fake->threads[0].fault.vector, ARCH_VECTOR_DB);
	assert_int_equal(f->rig.summary.by_outcome[OUTCOME_PASS], 1);
}

/* Element 1 of a gather lies on no page. */
static void gather_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;
	struct arch_xstate *xstate = &fake->threads[0].xstate;
	uint32_t indices[4] = { 0, 0x100000, 1, 2 };
	uint32_t masks[4] = { ~0u, ~0u, ~0u, ~0u };
	uint64_t bv = 7;
	uint32_t mxcsr = 0x1f80;

	memcpy(xstate->area + 24, &mxcsr, 4);
	memcpy(xstate->area + 512, &bv, 8);
	memcpy(xstate->area + 160 + 16 * 1, indices, 16); /* xmm1 */
	memcpy(xstate->area + 160 + 16 * 2, masks, 16); /* xmm2 */
	GPR(f, RBX) = X;
	/* vpgatherdd xmm0, [rbx + xmm1 * 4], xmm2 */
	assert_int_equal(RUN(f, 0xc4, 0xe2, 0x69, 0x90, 0x04, 0x8b),
		TARGET_RESUME);
	memcpy(indices, xstate->area + 160, 16);
	memcpy(masks, xstate->area + 160 + 16 * 2, 16);
	assert_int_equal(indices[0], 0x1234);
	assert_int_equal(masks[0], 0);
	assert_int_equal(masks[1], ~0u);
	assert_int_equal(REGS(f).rip, FAKE_CODE);
}

static void a_faulting_gather_has_done_the_lanes_before(void **state)
{
	struct fixture *f = *state;

	if (!__builtin_cpu_supports("avx2")) {
		print_message("skipped: no AVX2\n");
		skip();
	}
	keep(f, "0x401000+8", &f->keeper);
	set_memory(f, X, 0x1234);
	go(f, gather_body);
	assert_true(f->rig.fake->threads[0].faulted);
	assert_int_equal(f->rig.fake->threads[0].fault.address, X + 0x400000);
	assert_int_equal(f->keeper.count, 1);
	assert_int_equal(f->rig.summary.by_outcome[OUTCOME_PASS], 1);
}

static void inc_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	set_memory(f, X, 41);
	GPR(f, RBX) = X;
	assert_int_equal(RUN(f, INC_MEM), TARGET_RESUME);
}

static void step_shows_old_and_new(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_STEP;
	f->keeper.stepped_answers[0] = VERDICT_CONTINUE;
	keep(f, "0x401000+8", &f->keeper);
	go(f, inc_body);
	assert_int_equal(memory(f, X), 42);
	assert_int_equal(f->rig.fake->threads[0].steps, 1);
	assert_int_equal(f->keeper.stepped_count, 1);
	assert_int_equal(f->keeper.stepped.count, 1);
	assert_int_equal(f->keeper.stepped.next_ip, FAKE_CODE + 3);
	assert_int_equal(f->keeper.piece.kind, ACCESS_RMW);
	assert_int_equal(f->keeper.piece_old[0], 41);
	assert_int_equal(f->keeper.piece_new[0], 42);
	assert_int_equal(f->rig.summary.steps, 1);
	assert_int_equal(f->rig.summary.missed, 0);
}

static void rollback_undoes_a_step(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_STEP;
	f->keeper.stepped_answers[0] = VERDICT_ROLLBACK;
	keep(f, "0x401000+8", &f->keeper);
	go(f, inc_body);
	assert_int_equal(memory(f, X), 41);
	assert_int_equal(REGS(f).rip, FAKE_CODE);
	assert_int_equal(f->rig.summary.by_outcome[OUTCOME_ROLLBACK], 1);
	assert_int_equal(f->rig.summary.missed, 0);
}

static void deny_after_a_step_undoes_it_and_faults(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_STEP;
	f->keeper.stepped_answers[0] = VERDICT_DENY;
	keep(f, "0x401000+8", &f->keeper);
	go(f, inc_body);
	assert_int_equal(memory(f, X), 41);
	assert_true(f->rig.fake->threads[0].faulted);
	assert_int_equal(f->rig.fake->threads[0].fault.vector, ARCH_VECTOR_PF);
	assert_non_null(strstr(f->rig.said, "access 1 denied by the keeper of"));
}

static void step_on_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	set_memory(f, X, 1);
	GPR(f, RBX) = X;
	/* inc; inc; mov rax, [rbx] : two of them are stepped */
	assert_int_equal(RUN(f, INC_MEM, INC_MEM, LOAD_RAX), TARGET_RESUME);
	assert_int_equal(REGS(f).rip, FAKE_CODE + 6);
}

static void step_again_steps_the_next_instruction(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_STEP;
	f->keeper.stepped_answers[0] = VERDICT_STEP;
	f->keeper.stepped_answers[1] = VERDICT_CONTINUE;
	keep(f, "0x401000+8", &f->keeper);
	go(f, step_on_body);
	assert_int_equal(f->keeper.stepped_count, 2);
	assert_int_equal(f->keeper.stepped.times, 2);
	assert_int_equal(f->keeper.piece_new[0], 3);
	assert_int_equal(memory(f, X), 3);
	assert_int_equal(f->rig.summary.by_outcome[OUTCOME_STEP], 2);
	assert_int_equal(f->rig.summary.missed, 0);
}

static void device_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	GPR(f, RBX) = FAKE_DEVICE + 4;
	assert_int_equal(RUN(f, LOAD_EAX), TARGET_RESUME);
}

static void a_device_load_is_what_the_keeper_serves(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_SERVE;
	f->keeper.value = 0x1234;
	keep(f, "device:dev+16", &f->keeper);
	go(f, device_body);
	assert_int_equal(GPR(f, RAX), 0x1234);
	assert_int_equal(f->keeper.told[0].access.offset, 4);
}

static void a_failing_keeper_has_its_default_applied(void **state)
{
	struct fixture *f = *state;

	f->keeper.fail = KEEPER_ERROR;
	f->keeper.answer = VERDICT_SERVE;
	keep(f, "0x401000+8", &f->keeper)->links[0].fallback = VERDICT_DENY;
	set_memory(f, X, 7);
	go(f, store_body);
	assert_true(f->rig.fake->threads[0].faulted);
	assert_int_equal(memory(f, X), 7);
	assert_int_equal(f->rig.summary.keeper_errors, 1);
	assert_non_null(strstr(f->rig.said, "told to fail"));
	assert_non_null(strstr(f->rig.said, "`deny' applies"));
}

/* On demand, while it runs: each store that slipped past is found once. */
static void check_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;
	struct session_summary now;

	(void)fake;
	session_check(f->rig.session);
	session_summary(f->rig.session, &now);
	assert_int_equal(now.missed, 0);
	set_memory(f, X, 0x0100);
	session_check(f->rig.session);
	session_check(f->rig.session);
	session_summary(f->rig.session, &now);
	assert_int_equal(now.missed, 1);
	GPR(f, RBX) = X;
	assert_int_equal(RUN(f, LOAD_RAX), TARGET_RESUME);
	assert_int_equal(GPR(f, RAX), 0x0100);
}

static void memory_is_checked_on_demand(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401000+8", &f->keeper);
	go(f, check_body);
	assert_int_equal(f->rig.summary.missed, 1);
	assert_int_equal(f->rig.summary.verified_bytes, 8);
	assert_int_equal(f->rig.summary.traps[TRAP_USEFUL], 1);
	assert_int_equal(f->rig.summary.traps[TRAP_MATE], 0);
	assert_int_equal(f->rig.summary.trap_ticks[TRAP_USEFUL], 0);
}

static void slip_body(struct fake_target *fake, void *ctx)
{
	(void)fake;
	set_memory(ctx, X, 0x0100);
}

static void a_store_that_slipped_past_is_found(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401000+8", &f->keeper);
	go(f, slip_body);
	assert_int_equal(f->rig.summary.missed, 1);
	assert_non_null(strstr(f->rig.summary.missed_why, "byte 1 of"));
}

static void map_later_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	assert_false(fake->closed[2]);
	fake->unmapped[2] = false;
	fake_target_changed(fake);
	assert_true(fake->closed[2]);
	GPR(f, RBX) = X + 4096;
	assert_int_equal(RUN(f, LOAD_RAX), TARGET_RESUME);
	fake->unmapped[2] = true;
	fake_target_changed(fake);
	assert_false(fake->closed[2]);
}

/* The page is there long before somebody maps it, and may be unmapped for a
 * while: it is kept all the time. */
static void not_mapped_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	assert_true(fake->watching);
	assert_false(fake->asks);
	assert_false(fake->closed[2]);
	fake->unmapped[2] = false;
	fake->hidden[2] = true;
	fake_target_changed(fake);
	assert_true(fake->closed[2]);
	fake->hidden[2] = false;
	GPR(f, RBX) = X + 4096;
	assert_int_equal(RUN(f, LOAD_RAX), TARGET_RESUME);
	fake->hidden[2] = true;
	fake_target_changed(fake);
	assert_true(fake->closed[2]);
	fake->unmapped[2] = true;
	fake_target_changed(fake);
	assert_false(fake->closed[2]);
}

static void a_page_is_kept_while_it_is_not_mapped(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x402000+8", &f->keeper);
	f->rig.fake->unmapped[2] = true;
	go(f, not_mapped_body);
	assert_int_equal(f->keeper.count, 1);
	assert_int_equal(f->rig.summary.missed, 0);
	assert_false(f->rig.fake->watching);
}

static void pages_nobody_has_mapped_yet_are_kept_body(
	struct fake_target *fake, void *ctx)
{
	(void)ctx;
	for (unsigned i = 2; i < 7; i++)
		assert_true(fake->closed[i]);
}

static void pages_nobody_has_mapped_yet_are_kept(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x402000+0x5000", &f->keeper);
	for (unsigned i = 2; i < 7; i++)
		f->rig.fake->hidden[i] = true;
	go(f, pages_nobody_has_mapped_yet_are_kept_body);
}

static void not_watching_body(struct fake_target *fake, void *ctx)
{
	(void)ctx;
	assert_false(fake->watching);
}

static void nobody_is_told_of_spaces_when_nothing_follows_them(void **state)
{
	struct fixture *f = *state;

	keep(f, "device:dev+8", &f->keeper);
	go(f, not_watching_body);
}

static void a_range_follows_its_mappings(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x402000+8", &f->keeper);
	f->rig.fake->unmapped[2] = true;
	go(f, map_later_body);
	assert_int_equal(f->keeper.count, 1);
	assert_int_equal(f->rig.summary.never_bound, 0);
}

static void copy_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;
	uint8_t kernel[16] = "0123456789abcdef";
	struct target_copy copy = {
		.kind = ACCESS_SYSCALL_STORE,
		.space = FAKE_SPACE,
		.address = X,
		.kernel_bytes = kernel,
		.size = 16,
	};

	assert_int_equal(fake->handler->copy(fake->handler->ctx,
				 &fake->threads[0].thread, &copy),
		f->keeper.answer == VERDICT_DENY ? TARGET_COPY_DENIED :
						   TARGET_COPY_DONE);
	copy.kind = ACCESS_IPC_SRC;
	assert_int_equal(fake->handler->copy(fake->handler->ctx,
				 &fake->threads[0].thread, &copy),
		f->keeper.answer == VERDICT_DENY ? TARGET_COPY_DENIED :
						   TARGET_COPY_DONE);
	if (f->keeper.answer == VERDICT_PASS)
		assert_memory_equal(kernel, "0123456789abcdef", 16);
}

static void the_kernels_copies_are_accesses_too(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401004+4", &f->keeper);
	go(f, copy_body);
	assert_int_equal(f->keeper.count, 2);
	assert_int_equal(
		f->keeper.told[0].access.kind, ACCESS_SYSCALL_STORE);
	assert_int_equal(f->keeper.told[0].access.kept_first, 4);
	assert_int_equal(f->keeper.told[0].access.kept_count, 4);
	assert_int_equal(f->keeper.told[1].access.kind, ACCESS_IPC_SRC);
	assert_memory_equal(
		fake_target_byte(f->rig.fake, X), "0123456789abcdef", 16);
	assert_int_equal(f->rig.summary.missed, 0);
}

static void caller_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;
	uint8_t kernel[8] = { 0 };
	struct arch_regs regs = { .rip = FAKE_CODE + 8, .rflags = 0x202 };
	struct target_copy copy = {
		.kind = ACCESS_IPC_SRC,
		.space = FAKE_SPACE,
		.address = X,
		.kernel_bytes = kernel,
		.size = 8,
		.regs = &regs,
	};

	regs.gpr[ARCH_RSP] = X + 64;
	regs.gpr[ARCH_R15] = 15;
	fake->handler->copy(
		fake->handler->ctx, &fake->threads[0].thread, &copy);
	assert_true(f->keeper.has_regs);
	assert_int_equal(f->keeper.regs.rip, FAKE_CODE + 8);
	assert_int_equal(f->keeper.regs.gpr[ARCH_R15], 15);
	assert_in_range(f->keeper.stack_count, 1, 4);
	assert_int_equal(f->keeper.stack[0], FAKE_CODE + 8);
	copy.regs = NULL;
	fake->handler->copy(
		fake->handler->ctx, &fake->threads[0].thread, &copy);
	assert_false(f->keeper.has_regs);
	assert_int_equal(f->keeper.stack_count, 0);
	GPR(f, RSP) = X + 64;
	load_body(fake, ctx);
	assert_true(f->keeper.has_regs);
	assert_int_equal(f->keeper.stack[0], FAKE_CODE);
}

static void a_copy_has_the_stack_of_the_call(void **state)
{
	struct fixture *f = *state;

	f->keeper.session = f->rig.session;
	keep(f, "0x401000+8", &f->keeper);
	go(f, caller_body);
	assert_int_equal(f->keeper.count, 3);
}

static void a_denied_copy_leaves_memory_alone(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_DENY;
	keep(f, "0x401004+4", &f->keeper);
	go(f, copy_body);
	assert_int_equal(*fake_target_byte(f->rig.fake, X), 0);
}

static void stopped_copy_body(struct fake_target *fake, void *ctx)
{
	uint8_t kernel[16] = "0123456789abcdef";
	const struct target_copy copy = {
		.kind = ACCESS_SYSCALL_STORE,
		.space = FAKE_SPACE,
		.address = X,
		.kernel_bytes = kernel,
		.size = 16,
	};

	(void)ctx;
	assert_int_equal(fake->handler->copy(fake->handler->ctx,
				 &fake->threads[0].thread, &copy),
		TARGET_COPY_DENIED);
}

static void stop_after_a_step_stops_a_copy_too(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_STEP;
	f->keeper.stepped_answers[0] = VERDICT_STOP;
	keep(f, "0x401004+4", &f->keeper);
	go(f, stopped_copy_body);
	assert_int_equal(*fake_target_byte(f->rig.fake, X), 0);
	assert_non_null(strstr(f->rig.said, "stopped by the keeper"));
}

static void the_keepers_of_a_range_are_asked_in_turn(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401000+8", &f->keeper);
	keep(f, "0x401000+8", &f->watcher);
	keep(f, "0x401000+8", &f->other);
	f->other.answer = VERDICT_ABSORB;
	set_memory(f, X, 7);
	go(f, store_body);
	assert_int_equal(f->keeper.count, 1);
	assert_int_equal(f->other.count, 1);
	assert_int_equal(f->watcher.told_count, 1);
	assert_int_equal(f->watcher.told_outcome, OUTCOME_ABSORB);
	assert_int_equal(memory(f, X), 7);
	assert_int_equal(f->rig.summary.accesses, 1);
}

static void an_answer_ends_the_asking(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401000+8", &f->keeper);
	keep(f, "0x401000+8", &f->other);
	f->keeper.answer = VERDICT_SERVE;
	f->keeper.value = 9;
	go(f, store_body);
	assert_int_equal(f->other.count, 0);
	assert_int_equal(memory(f, X), 9);
}

static void what_a_condition_leaves_out_is_not_asked(void **state)
{
	struct fixture *f = *state;
	struct filter *filter = calloc(1, sizeof(*filter));
	struct range *range = keep(f, "0x401000+8", &f->keeper);
	struct error err;

	assert_int_equal(filter_parse("load", NULL, 0, filter, &err), 0);
	range_set_filter(range, filter);
	f->keeper.answer = VERDICT_DENY;
	go(f, store_body);
	assert_int_equal(f->keeper.count, 0);
	assert_int_equal(memory(f, X), 0x55);
	assert_int_equal(f->rig.summary.accesses, 1);
	assert_int_equal(range->links[0].filtered, 1);
}

/* Another observer of the frame changes the word between the question and the
 * exchange, once. */
static enum keeper_status meddle(struct keeper *keeper,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct test_keeper *k = (struct test_keeper *)keeper;

	if (!k->count)
		*fake_target_byte(&rig_fake, X) = 200;
	return on_access(keeper, access, verdict, err);
}

static void an_atomic_that_lost_its_race_is_asked_again(void **state)
{
	struct fixture *f = *state;
	struct keeper_ops ops = test_keeper_ops;

	ops.access = meddle;
	f->keeper.keeper.ops = &ops;
	keep(f, "0x401000+8", &f->keeper);
	go(f, xadd_body);
	assert_int_equal(f->keeper.count, 2);
	assert_int_equal(f->keeper.told[0].old_bytes[0], 100);
	assert_int_equal(f->keeper.told[1].old_bytes[0], 200);
	assert_int_equal(f->keeper.told[0].access.seq, 1);
	assert_int_equal(f->keeper.told[1].access.seq, 1);
	assert_int_equal(memory(f, X), 205);
	assert_int_equal(GPR(f, RAX), 200);
	assert_int_equal(f->rig.summary.accesses, 1);
	f->keeper.keeper.ops = &test_keeper_ops;
}

static void resume(struct fixture *f, uint64_t seq, enum verdict_kind kind,
	uint64_t value, size_t size, int want)
{
	struct verdict verdict = { .kind = kind };

	assert_int_equal(session_resume(f->rig.session, seq, &verdict,
				 (const uint8_t *)&value, size),
		want);
}

static void hold_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;
	struct fake_thread *second = &fake->threads[1];

	GPR(f, RBX) = X;
	GPR(f, RAX) = 0x55;
	assert_int_equal(RUN(f, STORE_RAX), TARGET_RESUME);
	assert_int_equal(REGS(f).rip, FAKE_CODE);
	assert_int_equal(memory(f, X), 7);
	/* It stops again and is not asked again. */
	assert_int_equal(RUN(f, STORE_RAX), TARGET_RESUME);
	assert_int_equal(f->keeper.count, 1);
	/* Others are not kept waiting. */
	f->keeper.answer = VERDICT_PASS;
	second->regs.gpr[ARCH_RBX] = X;
	fake_target_run_insn(fake, 1, (const uint8_t[]){ INC_MEM }, 3);
	assert_int_equal(memory(f, X), 8);
	assert_int_equal(f->keeper.count, 2);
	/* What cannot end it. */
	resume(f, 99, VERDICT_PASS, 0, 0, -ENOENT);
	resume(f, 1, VERDICT_HOLD, 0, 0, -EINVAL);
	resume(f, 1, VERDICT_SERVE, 0, 4, -EMSGSIZE);
	assert_int_equal(RUN(f, STORE_RAX), TARGET_RESUME);
	assert_int_equal(memory(f, X), 8);
	/* What does. */
	resume(f, 1, VERDICT_SERVE, 0x66, 8, 0);
	assert_int_equal(RUN(f, STORE_RAX), TARGET_RESUME);
	assert_int_equal(REGS(f).rip, FAKE_CODE + 3);
	assert_int_equal(memory(f, X), 0x66);
	resume(f, 1, VERDICT_PASS, 0, 0, -ENOENT);
}

static void a_held_access_waits_for_its_word(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_HOLD;
	keep(f, "0x401000+8", &f->keeper);
	set_memory(f, X, 7);
	go(f, hold_body);
	assert_int_equal(f->keeper.count, 2);
	assert_int_equal(f->keeper.told[0].access.seq, 1);
	assert_int_equal(f->keeper.told[1].access.seq, 2);
	assert_int_equal(f->rig.summary.accesses, 2);
	assert_int_equal(f->rig.summary.holds, 1);
	assert_int_equal(f->rig.summary.still_held, 0);
	assert_int_equal(f->rig.summary.missed, 0);
}

static void hold_too_long_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	GPR(f, RBX) = X;
	GPR(f, RAX) = 0x55;
	for (int i = 0; i < 1000 && REGS(f).rip == FAKE_CODE; i++)
		RUN(f, STORE_RAX);
}

static void a_hold_of_limited_time_ends_with_the_default(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_HOLD;
	f->keeper.hold_ms = 5;
	keep(f, "0x401000+8", &f->keeper);
	go(f, hold_too_long_body);
	assert_int_equal(memory(f, X), 0x55);
	assert_int_equal(f->keeper.count, 1);
}

static void held_for_ever_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	GPR(f, RBX) = X;
	RUN(f, STORE_RAX);
	f->rig.summary.still_held = 99;
	session_summary(f->rig.session, &f->rig.summary);
	assert_int_equal(f->rig.summary.still_held, 1);
}

static void what_was_never_resumed_ends_with_its_process(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_HOLD;
	keep(f, "0x401000+8", &f->keeper);
	go(f, held_for_ever_body);
	assert_int_equal(f->rig.summary.still_held, 0);
	assert_int_equal(f->rig.summary.accesses, 0);
}

static void movs_held_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	(void)fake;
	set_memory(f, X + 4096, 0x77);
	GPR(f, RSI) = X + 4096;
	GPR(f, RDI) = X;
	/* movsb: its load is answered, its store is held */
	RUN(f, 0xa4);
	assert_int_equal(f->other.count, 1);
	resume(f, 2, VERDICT_PASS, 0, 0, 0);
	RUN(f, 0xa4);
	assert_int_equal(*fake_target_byte(f->rig.fake, X), 0x77);
}

static void nobody_is_asked_twice_for_a_held_instruction(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_HOLD;
	keep(f, "0x401000+8", &f->keeper);
	keep(f, "0x402000+8", &f->other);
	go(f, movs_held_body);
	assert_int_equal(f->keeper.count, 1);
	assert_int_equal(f->other.count, 1);
	assert_int_equal(f->rig.summary.accesses, 2);
}

static void granted_process_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;
	struct fake_thread *second = &fake->threads[1];

	GPR(f, RBX) = X;
	RUN(f, STORE_RAX);
	RUN(f, LOAD_RAX);
	assert_int_equal(f->keeper.count, 1);
	f->keeper.answer = VERDICT_PASS;
	second->regs.gpr[ARCH_RBX] = X;
	fake_target_run_insn(fake, 1, (const uint8_t[]){ INC_MEM }, 3);
	assert_int_equal(f->keeper.count, 2);
	assert_true(fake->closed[1]);
}

static void a_grant_to_a_process_is_its_own(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_GRANT;
	f->keeper.grant = GRANT_PROCESS;
	keep(f, "0x401000+8", &f->keeper);
	go(f, granted_process_body);
	assert_int_equal(f->rig.summary.accesses, 3);
}

static void granted_all_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	GPR(f, RBX) = X;
	GPR(f, RAX) = 1;
	RUN(f, STORE_RAX);
	assert_false(fake->closed[1]);
	/* Nobody sees this one. */
	set_memory(f, X, 1234);
	session_revoke(f->rig.session, range_set_get(f->rig.ranges, 0));
	assert_true(fake->closed[1]);
	f->keeper.answer = VERDICT_PASS;
	RUN(f, LOAD_RAX);
	assert_int_equal(f->keeper.count, 2);
}

static void a_grant_to_all_opens_the_page_until_revoked(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_GRANT;
	f->keeper.grant = GRANT_ALL;
	keep(f, "0x401000+8", &f->keeper);
	go(f, granted_all_body);
	assert_int_equal(f->rig.summary.missed, 0);
}

static void granted_beside_body(struct fake_target *fake, void *ctx)
{
	struct fixture *f = ctx;

	GPR(f, RBX) = X;
	RUN(f, STORE_RAX);
	assert_true(fake->closed[1]);
	RUN(f, STORE_RAX);
	assert_int_equal(f->keeper.count, 1);
}

static void a_grant_opens_no_page_with_others_bytes(void **state)
{
	struct fixture *f = *state;

	f->keeper.answer = VERDICT_GRANT;
	f->keeper.grant = GRANT_ALL;
	keep(f, "0x401000+8", &f->keeper);
	keep(f, "0x401100+8", &f->other);
	go(f, granted_beside_body);
}

#define ROUNDS 20000

static void *count_up(void *arg)
{
	struct fake_thread *t = arg;
	struct fake_target *fake = (struct fake_target *)t->thread.target;

	for (int i = 0; i < ROUNDS; i++) {
		t->regs.rip = FAKE_CODE + 256 * t->thread.index;
		fake->handler->access(fake->handler->ctx, &t->thread);
	}
	return NULL;
}

static void race_body(struct fake_target *fake, void *ctx)
{
	static const uint8_t code[] = { LOCK_INC };
	pthread_t threads[2];

	set_memory(ctx, X, 0);
	for (int i = 0; i < 2; i++) {
		fake->threads[i].regs.gpr[ARCH_RBX] = X;
		memcpy(fake_target_byte(fake, FAKE_CODE + 256 * i), code,
			sizeof(code));
		pthread_create(
			&threads[i], NULL, count_up, &fake->threads[i]);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

static void two_threads_lose_nothing(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401000+8", &f->keeper);
	go(f, race_body);
	assert_int_equal(memory(f, X), 2 * ROUNDS);
	assert_int_equal(f->keeper.count, 2 * ROUNDS);
	assert_int_equal(f->rig.summary.by_kind[ACCESS_RMW], 2 * ROUNDS);
	assert_int_equal(f->rig.summary.missed, 0);
}

static void order_body(struct fake_target *fake, void *ctx)
{
	(void)ctx;
	fake->handler->ordered(fake->handler->ctx, 7, 9);
}

static void order_is_told_once_to_a_keeper_of_several_ranges(void **state)
{
	struct fixture *f = *state;

	keep(f, "0x401000+8", &f->keeper);
	keep(f, "0x401010+8", &f->watcher);
	keep(f, "0x401000+8", &f->watcher);
	assert_int_equal(f->watcher.range_count, 2);
	assert_int_equal(f->watcher.ranges[0], 1);
	assert_int_equal(f->watcher.ranges[1], 0);
	go(f, order_body);
	assert_int_equal(f->watcher.ordered_count, 1);
	assert_int_equal(f->watcher.before, 7);
	assert_int_equal(f->watcher.after, 9);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_load_is_told_and_passes),
		TEST(order_is_told_once_to_a_keeper_of_several_ranges),
		TEST(a_served_load_sees_the_value_and_memory_stays),
		TEST(a_store_passes_with_old_and_new),
		TEST(an_absorbed_store_completes_and_stores_nothing),
		TEST(a_served_store_stores_the_other_value),
		TEST(a_denied_access_faults_and_nothing_happens),
		TEST(stop_stops_before_the_access),
		TEST(an_atomic_is_one_access_with_old_and_new),
		TEST(a_served_atomic_computes_on_the_served_value),
		TEST(an_absorbed_atomic_sees_memory_and_stores_nothing),
		TEST(a_page_mate_is_performed_and_only_counted),
		TEST(only_kept_bytes_are_the_keepers),
		TEST(an_access_to_two_ranges_is_two_parts_of_one),
		TEST(one_keepers_no_undoes_all),
		TEST(an_operand_half_unmapped_faults_whole),
		TEST(an_access_across_two_kept_pages_is_one),
		TEST(rep_is_one_access_an_element),
		TEST(rep_is_one_access_a_run_where_the_range_asks),
		TEST(nobody_gets_a_run_that_nobody_asked_for),
		TEST(an_absorbed_run_stores_nothing),
		TEST(a_stepped_run_is_stepped_by_elements),
		TEST(a_run_onto_its_own_source_stays_elements),
		TEST(runs_of_stos_and_lods),
		TEST(both_operands_of_a_push_are_told),
		TEST(a_program_that_steps_itself_gets_its_trap),
		TEST(a_faulting_gather_has_done_the_lanes_before),
		TEST(step_shows_old_and_new),
		TEST(rollback_undoes_a_step),
		TEST(deny_after_a_step_undoes_it_and_faults),
		TEST(step_again_steps_the_next_instruction),
		TEST(a_device_load_is_what_the_keeper_serves),
		TEST(a_failing_keeper_has_its_default_applied),
		TEST(a_store_that_slipped_past_is_found),
		TEST(memory_is_checked_on_demand),
		TEST(a_range_follows_its_mappings),
		TEST(a_page_is_kept_while_it_is_not_mapped),
		TEST(pages_nobody_has_mapped_yet_are_kept),
		TEST(nobody_is_told_of_spaces_when_nothing_follows_them),
		TEST(the_kernels_copies_are_accesses_too),
		TEST(a_copy_has_the_stack_of_the_call),
		TEST(a_denied_copy_leaves_memory_alone),
		TEST(stop_after_a_step_stops_a_copy_too),
		TEST(the_keepers_of_a_range_are_asked_in_turn),
		TEST(an_answer_ends_the_asking),
		TEST(what_a_condition_leaves_out_is_not_asked),
		TEST(an_atomic_that_lost_its_race_is_asked_again),
		TEST(a_held_access_waits_for_its_word),
		TEST(a_hold_of_limited_time_ends_with_the_default),
		TEST(what_was_never_resumed_ends_with_its_process),
		TEST(nobody_is_asked_twice_for_a_held_instruction),
		TEST(a_grant_to_a_process_is_its_own),
		TEST(a_grant_to_all_opens_the_page_until_revoked),
		TEST(a_grant_opens_no_page_with_others_bytes),
		TEST(two_threads_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
