/* SPDX-License-Identifier: MIT */
/*
 * Instructions carried out for a guest's kernel. The test is the kernel: it
 * serves what is needed from a backing of its own, opens pages, and compares
 * with the executor on plain memory.
 */
#include <custos/decode.h>

#include "abi/custos_calls.h"
#include "tests/decode/random.h"
#include "tests/unit/session/rig.h"

#define PLAIN FAKE_DATA /* mapped */
#define VIRTUAL UINT64_C(0x900000) /* mapped nowhere: the kernel's to serve */
#define VIRTUAL_SIZE 0x3000
#define LOCKED_ROUNDS 200

struct kernel {
	struct rig *rig;
	struct custos_emulate e;
	struct arch_regs regs;
	struct arch_xstate xstate;
	bool no_xstate;
	uint8_t backing[VIRTUAL_SIZE];
	/* needs in their order */
	unsigned needs;
	struct {
		uint64_t va;
		uint32_t size, kind;
		uint64_t value, old;
	} need[64];
	uint32_t serve_max; /* bytes of a need served at once */
};

static struct kernel kernel;

static void kernel_reset(struct rig *r, const void *code, size_t len)
{
	struct kernel *k = &kernel;

	memset(k, 0, sizeof(*k));
	k->rig = r;
	k->serve_max = 64;
	k->regs.rip = FAKE_CODE;
	k->regs.rflags = ARCH_RFLAGS_FIXED;
	k->xstate = r->fake->threads[0].xstate;
	k->e.process = 1;
	k->e.cr3 = FAKE_SPACE;
	k->e.op = CUSTOS_EMULATE_RUN;
	memset(fake_target_byte(r->fake, FAKE_CODE), 0xcc, 64);
	memcpy(fake_target_byte(r->fake, FAKE_CODE), code, len);
}

/* One hypercall. */
static uint32_t call(void)
{
	struct kernel *k = &kernel;
	struct fake_target *fake = k->rig->fake;
	struct target_emulate t = {
		.emulate = &k->e,
		.process = &fake->process,
		.regs = k->regs,
		.xstate = k->no_xstate ? NULL : &k->xstate,
	};

	for (unsigned i = 0; i < k->e.open_count; i++) {
		uint64_t n = (k->e.open[i].gpa - FAKE_CODE) / 4096;

		t.open[i] = (struct target_page){ n, fake->pages[n],
			fake->closed[n] };
	}
	k->e.result = 0;
	k->e.xstate_changed = 0;
	fake->handler->emulate(
		fake->handler->ctx, &fake->threads[0].thread, &t);
	k->regs = t.regs;
	return k->e.result;
}

static void serve(const void *data)
{
	struct custos_emulate *e = &kernel.e;
	struct custos_emulate_served *s = &e->served[e->served_count++];

	assert_in_range(e->served_count, 1, CUSTOS_SERVED_MAX);
	s->va = e->need.va;
	s->size = e->need.size < kernel.serve_max ? e->need.size :
						    kernel.serve_max;
	s->kind = e->need.kind;
	if (data)
		memcpy(s->data, data, s->size);
}

static bool is_store(uint32_t kind)
{
	return kind == CUSTOS_ACCESS_STORE || kind == CUSTOS_ACCESS_RMW_STORE;
}

/* A keeper with a backing. */
static void answer(void)
{
	struct kernel *k = &kernel;
	struct custos_emulate *e = &k->e;
	uint64_t at = e->need.va - VIRTUAL;
	uint32_t size;

	assert_in_range(e->need.size, 1, 64);
	assert_in_range(at, 0, VIRTUAL_SIZE - e->need.size);
	assert_in_range(k->needs, 0, 63);
	k->need[k->needs].va = e->need.va;
	k->need[k->needs].size = e->need.size;
	k->need[k->needs].kind = e->need.kind;
	memcpy(&k->need[k->needs].value, e->need.value, 8);
	memcpy(&k->need[k->needs].old, e->need.old, 8);
	k->needs++;
	serve(&k->backing[at]);
	size = e->served[e->served_count - 1].size;
	if (is_store(e->need.kind))
		memcpy(&k->backing[at], e->need.value, size);
}

/* Until the instruction is done, or cannot be. */
static uint32_t run(void)
{
	kernel.e.served_count = 0;
	while (call() == CUSTOS_EMULATE_NEED)
		answer();
	return kernel.e.result;
}

static uint64_t backing_word(uint64_t va)
{
	uint64_t v;

	memcpy(&v, &kernel.backing[va - VIRTUAL], 8);
	return v;
}

static void set_backing(uint64_t va, uint64_t v)
{
	memcpy(&kernel.backing[va - VIRTUAL], &v, 8);
}

#define CODE(r, code) kernel_reset(r, code, sizeof(code) - 1)
#define GPR(reg) kernel.regs.gpr[ARCH_##reg]

#define TEST(name)                                                             \
	static void name##_body(struct fake_target *fake, void *ctx);          \
	static void name(void **state)                                         \
	{                                                                      \
		rig_go(*state, name##_body);                                   \
	}                                                                      \
	static void name##_body(struct fake_target *fake, void *ctx)

/* ---- needs ---- */

TEST(a_load_is_needed_and_served)
{
	(void)fake;
	CODE(ctx, RIG_LOAD);
	GPR(RBX) = VIRTUAL + 8;
	set_backing(VIRTUAL + 8, 0x1122334455667788);
	assert_int_equal(run(), CUSTOS_EMULATE_DONE);
	assert_int_equal(GPR(RAX), 0x1122334455667788);
	assert_int_equal(kernel.regs.rip, FAKE_CODE + 3);
	assert_int_equal(kernel.needs, 1);
	assert_int_equal(kernel.need[0].va, VIRTUAL + 8);
	assert_int_equal(kernel.need[0].size, 8);
	assert_int_equal(kernel.need[0].kind, CUSTOS_ACCESS_LOAD);
	assert_int_equal(kernel.e.insn_size, 3);
	assert_memory_equal(kernel.e.insn, RIG_LOAD, 3);
	assert_int_equal(kernel.e.xstate_changed, 0);
}

TEST(a_store_is_needed_with_its_value)
{
	(void)fake;
	CODE(ctx, RIG_STORE);
	GPR(RBX) = VIRTUAL;
	GPR(RAX) = 77;
	assert_int_equal(call(), CUSTOS_EMULATE_NEED);
	assert_int_equal(kernel.regs.rip, FAKE_CODE);
	assert_int_equal(run(), CUSTOS_EMULATE_DONE);
	assert_int_equal(backing_word(VIRTUAL), 77);
	assert_int_equal(kernel.need[0].kind, CUSTOS_ACCESS_STORE);
	assert_int_equal(kernel.need[0].value, 77);
	assert_int_equal(kernel.regs.rip, FAKE_CODE + 3);
}

TEST(a_read_modify_write_is_needed_twice)
{
	(void)fake;
	CODE(ctx, RIG_INC);
	GPR(RBX) = VIRTUAL;
	set_backing(VIRTUAL, 41);
	assert_int_equal(run(), CUSTOS_EMULATE_DONE);
	assert_int_equal(kernel.needs, 2);
	assert_int_equal(kernel.need[0].kind, CUSTOS_ACCESS_RMW_LOAD);
	assert_int_equal(kernel.need[1].kind, CUSTOS_ACCESS_RMW_STORE);
	assert_int_equal(kernel.need[1].old, 41);
	assert_int_equal(kernel.need[1].value, 42);
	assert_int_equal(backing_word(VIRTUAL), 42);
}

/* The page may be read, not written: an rmw is asked about as a whole. */
TEST(a_page_that_may_not_be_written_needs_both_halves)
{
	CODE(ctx, RIG_INC);
	GPR(RBX) = PLAIN;
	fake->read_only[1] = true;
	assert_int_equal(call(), CUSTOS_EMULATE_NEED);
	assert_int_equal(kernel.e.need.kind, CUSTOS_ACCESS_RMW_LOAD);
	CODE(ctx, RIG_STORE);
	GPR(RBX) = PLAIN;
	assert_int_equal(call(), CUSTOS_EMULATE_NEED);
	assert_int_equal(kernel.e.need.kind, CUSTOS_ACCESS_STORE);
	CODE(ctx, RIG_LOAD);
	GPR(RBX) = PLAIN;
	assert_int_equal(call(), CUSTOS_EMULATE_DONE);
}

TEST(only_the_bytes_that_are_missing_are_needed)
{
	uint64_t plain = 0x8877665544332211;

	CODE(ctx, RIG_LOAD);
	GPR(RBX) = FAKE_DATA + 7 * 4096 - 3; /* the last mapped page */
	memcpy(fake_target_byte(fake, GPR(RBX)), &plain, 3);
	assert_int_equal(call(), CUSTOS_EMULATE_NEED);
	assert_int_equal(kernel.e.need.va, FAKE_DATA + 7 * 4096);
	assert_int_equal(kernel.e.need.size, 5);
	serve("\x01\x02\x03\x04\x05");
	assert_int_equal(call(), CUSTOS_EMULATE_DONE);
	assert_int_equal(GPR(RAX), 0x0504030201332211);
}

TEST(a_store_half_in_memory_stores_there_when_all_is_served)
{
	CODE(ctx, RIG_STORE);
	GPR(RBX) = FAKE_DATA + 7 * 4096 - 3;
	GPR(RAX) = 0x0807060504030201;
	assert_int_equal(call(), CUSTOS_EMULATE_NEED);
	assert_int_equal(kernel.e.need.size, 5);
	assert_memory_equal(kernel.e.need.value, "\x04\x05\x06\x07\x08", 5);
	assert_int_equal(*fake_target_byte(fake, GPR(RBX)), 0);
	serve(kernel.e.need.value);
	assert_int_equal(call(), CUSTOS_EMULATE_DONE);
	assert_memory_equal(
		fake_target_byte(fake, GPR(RBX)), "\x01\x02\x03", 3);
}

TEST(an_entry_may_serve_a_part)
{
	(void)fake;
	CODE(ctx, RIG_INC);
	kernel.serve_max = 3;
	GPR(RBX) = VIRTUAL + 4094;
	set_backing(VIRTUAL + 4094, 0x00000000ffffffff);
	assert_int_equal(run(), CUSTOS_EMULATE_DONE);
	assert_int_equal(kernel.needs, 6);
	assert_int_equal(backing_word(VIRTUAL + 4094), 0x100000000);
}

TEST(two_accesses_to_one_place_are_two_needs)
{
	(void)fake;
	CODE(ctx, "\xa6"); /* cmpsb */
	GPR(RSI) = GPR(RDI) = VIRTUAL;
	assert_int_equal(run(), CUSTOS_EMULATE_DONE);
	assert_int_equal(kernel.needs, 2);
	assert_int_equal(GPR(RSI), VIRTUAL + 1);
}

TEST(one_iteration_at_a_time)
{
	(void)fake;
	CODE(ctx, "\xf3\x48\xab"); /* rep stosq */
	GPR(RDI) = VIRTUAL;
	GPR(RCX) = 3;
	GPR(RAX) = 5;
	assert_int_equal(run(), CUSTOS_EMULATE_DONE);
	assert_int_equal(kernel.regs.rip, FAKE_CODE);
	assert_int_equal(GPR(RCX), 2);
	assert_int_equal(backing_word(VIRTUAL), 5);
	assert_int_equal(backing_word(VIRTUAL + 8), 0);
}

TEST(bytes_a_mask_leaves_out_are_not_needed)
{
	uint8_t *xmm0;

	(void)fake;
	if (!__builtin_cpu_supports("avx"))
		skip();
	/* vmaskmovps [rbx], xmm0, xmm1 */
	CODE(ctx, "\xc4\xe2\x79\x2e\x0b");
	xmm0 = kernel.xstate.area + 160;
	kernel.xstate.area[512] = 7;
	memcpy(xmm0, "\0\0\0\x80\0\0\0\0\0\0\0\x80\0\0\0\x80", 16);
	memcpy(xmm0 + 16, "aaaabbbbccccdddd", 16);
	GPR(RBX) = VIRTUAL;
	assert_int_equal(run(), CUSTOS_EMULATE_DONE);
	assert_int_equal(kernel.needs, 2);
	assert_int_equal(kernel.need[0].size, 4);
	assert_int_equal(kernel.need[1].va, VIRTUAL + 8);
	assert_int_equal(kernel.need[1].size, 8);
	assert_memory_equal(kernel.backing, "aaaa\0\0\0\0ccccdddd", 16);
}

TEST(extended_state_is_asked_for_when_it_is_needed)
{
	(void)fake;
	CODE(ctx, "\x0f\x10\x03"); /* movups xmm0, [rbx] */
	GPR(RBX) = VIRTUAL;
	set_backing(VIRTUAL, 99);
	kernel.no_xstate = true;
	assert_int_equal(call(), CUSTOS_EMULATE_XSTATE);
	kernel.no_xstate = false;
	assert_int_equal(run(), CUSTOS_EMULATE_DONE);
	assert_int_equal(kernel.e.xstate_changed, 1);
	assert_int_equal(kernel.xstate.area[160], 99);
}

/* ---- code ---- */

TEST(code_is_needed_as_far_as_it_is_missing)
{
	(void)fake;
	CODE(ctx, "");
	kernel.regs.rip = VIRTUAL + 10;
	memcpy(&kernel.backing[10], "\x48\x8b\x43\x08", 4);
	GPR(RBX) = PLAIN;
	*fake_target_byte(kernel.rig->fake, PLAIN + 8) = 3;
	assert_int_equal(run(), CUSTOS_EMULATE_DONE);
	assert_int_equal(kernel.needs, 1);
	assert_int_equal(kernel.need[0].kind, CUSTOS_ACCESS_FETCH);
	assert_int_equal(kernel.need[0].size, 15);
	assert_int_equal(GPR(RAX), 3);
	assert_int_equal(kernel.regs.rip, VIRTUAL + 14);
}

TEST(code_that_ends_before_a_missing_page_is_enough)
{
	uint64_t end = FAKE_DATA + 7 * 4096;

	CODE(ctx, "");
	memcpy(fake_target_byte(fake, end - 3), RIG_LOAD, 3);
	kernel.regs.rip = end - 3;
	GPR(RBX) = PLAIN;
	assert_int_equal(call(), CUSTOS_EMULATE_DONE);
	memcpy(fake_target_byte(fake, end - 2), RIG_LOAD, 2);
	kernel.regs.rip = end - 2;
	assert_int_equal(call(), CUSTOS_EMULATE_NEED);
	assert_int_equal(kernel.e.need.va, end);
	assert_int_equal(kernel.e.need.size, 13);
	assert_int_equal(kernel.e.insn_size, 2);
	serve("\x03\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90");
	assert_int_equal(call(), CUSTOS_EMULATE_DONE);
	assert_int_equal(kernel.e.insn_size, 3);
}

TEST(code_that_computes_and_branches_runs_where_it_is_served)
{
	/* mov ecx, 5; xor eax, eax; 1: add eax, ecx; dec ecx; jnz 1b; ret */
	static const char code[] = "\xb9\x05\0\0\0\x31\xc0\x01\xc8\xff\xc9"
				   "\x75\xfa\xc3";
	unsigned done = 0;

	CODE(ctx, "");
	memcpy(kernel.backing, code, sizeof(code) - 1);
	kernel.regs.rip = VIRTUAL;
	GPR(RSP) = PLAIN + 64;
	memcpy(fake_target_byte(fake, PLAIN + 64), "\x34\x12\0\0\0\0\0", 8);
	while (kernel.regs.rip != 0x1234 && done++ < 100) {
		kernel.needs = 0;
		assert_int_equal(run(), CUSTOS_EMULATE_DONE);
	}
	assert_int_equal(GPR(RAX), 15);
	assert_int_equal(done, 2 + 5 * 3 + 1);
}

TEST(what_the_monitor_cannot_is_said_with_its_bytes)
{
	(void)fake;
	CODE(ctx, "\x0f\xa2"); /* cpuid */
	assert_int_equal(call(), CUSTOS_EMULATE_CANNOT);
	assert_int_equal(kernel.e.insn_size, 2);
	assert_memory_equal(kernel.e.insn, "\x0f\xa2", 2);
}

TEST(a_fault_of_the_instruction_is_told)
{
	(void)fake;
	CODE(ctx, "\x48\xf7\x33"); /* div qword [rbx] */
	GPR(RBX) = VIRTUAL;
	assert_int_equal(run(), CUSTOS_EMULATE_FAULT);
	assert_int_equal(kernel.e.vector, ARCH_VECTOR_DE);
	assert_int_equal(kernel.regs.rip, FAKE_CODE);
	CODE(ctx, "\x06"); /* none in 64-bit mode */
	assert_int_equal(call(), CUSTOS_EMULATE_FAULT);
	assert_int_equal(kernel.e.vector, ARCH_VECTOR_UD);
	CODE(ctx, RIG_LOAD);
	GPR(RBX) = UINT64_C(1) << 50;
	assert_int_equal(call(), CUSTOS_EMULATE_FAULT);
	assert_int_equal(kernel.e.vector, ARCH_VECTOR_GP);
}

/* ---- opened pages ---- */

static void open_page(uint64_t va, uint64_t gpa, uint32_t rights)
{
	struct custos_emulate *e = &kernel.e;

	e->open[e->open_count++] =
		(struct custos_emulate_open){ va, gpa, rights, 0 };
}

#define RW (CUSTOS_SEGMENT_READ | CUSTOS_SEGMENT_WRITE)

TEST(an_opened_page_goes_before_the_tables)
{
	CODE(ctx, RIG_INC);
	GPR(RBX) = PLAIN;
	*fake_target_byte(fake, PLAIN) = 1;
	*fake_target_byte(fake, PLAIN + 4096) = 10;
	open_page(PLAIN, PLAIN + 4096, RW);
	assert_int_equal(call(), CUSTOS_EMULATE_DONE);
	assert_int_equal(*fake_target_byte(fake, PLAIN), 1);
	assert_int_equal(*fake_target_byte(fake, PLAIN + 4096), 11);
	/* and alone: without the right it is missing */
	CODE(ctx, RIG_STORE);
	GPR(RBX) = PLAIN;
	open_page(PLAIN, PLAIN + 4096, CUSTOS_SEGMENT_READ);
	assert_int_equal(call(), CUSTOS_EMULATE_NEED);
}

TEST(a_step_is_reported_and_undone)
{
	CODE(ctx, "\x0f\x11\x03"); /* movups [rbx], xmm0 */
	memcpy(kernel.xstate.area + 160, "0123456789abcdef", 16);
	kernel.xstate.area[512] = 3;
	GPR(RBX) = VIRTUAL + 8;
	memcpy(fake_target_byte(fake, PLAIN + 8), "ABCDEFGHIJKLMNOP", 16);
	open_page(VIRTUAL, PLAIN, RW);
	kernel.e.op = CUSTOS_EMULATE_STEP;
	assert_int_equal(call(), CUSTOS_EMULATE_DONE);
	assert_int_equal(kernel.regs.rip, FAKE_CODE + 3);
	assert_int_equal(kernel.e.stepped_count, 1);
	assert_int_equal(kernel.e.stepped[0].va, VIRTUAL + 8);
	assert_int_equal(kernel.e.stepped[0].size, 16);
	assert_int_equal(kernel.e.stepped[0].kind, CUSTOS_ACCESS_STORE);
	assert_memory_equal(kernel.e.stepped[0].old, "ABCDEFGHIJKLMNOP", 16);
	assert_memory_equal(kernel.e.stepped[0].new, "0123456789abcdef", 16);
	kernel.e.op = CUSTOS_EMULATE_UNDO;
	assert_int_equal(call(), CUSTOS_EMULATE_DONE);
	assert_int_equal(kernel.regs.rip, FAKE_CODE);
	assert_memory_equal(
		fake_target_byte(fake, PLAIN + 8), "ABCDEFGHIJKLMNOP", 16);
	assert_int_equal(call(), CUSTOS_EMULATE_CANNOT);
}

TEST(undo_brings_extended_state_back)
{
	(void)fake;
	CODE(ctx, "\x0f\x10\x03"); /* movups xmm0, [rbx] */
	memcpy(kernel.xstate.area + 160, "0123456789abcdef", 16);
	kernel.xstate.area[512] = 3;
	GPR(RBX) = VIRTUAL;
	open_page(VIRTUAL, PLAIN, RW);
	kernel.e.op = CUSTOS_EMULATE_STEP;
	assert_int_equal(call(), CUSTOS_EMULATE_DONE);
	assert_int_equal(kernel.xstate.area[160], 0);
	assert_int_equal(kernel.e.stepped[0].kind, CUSTOS_ACCESS_LOAD);
	kernel.e.op = CUSTOS_EMULATE_UNDO;
	kernel.no_xstate = true;
	assert_int_equal(call(), CUSTOS_EMULATE_XSTATE);
	kernel.no_xstate = false;
	assert_int_equal(call(), CUSTOS_EMULATE_DONE);
	assert_int_equal(kernel.e.xstate_changed, 1);
	assert_memory_equal(
		kernel.xstate.area + 160, "0123456789abcdef", 16);
}

/* ---- the monitor's own keepers ---- */

struct host {
	enum verdict_kind answer, stepped;
	uint64_t value;
	struct access seen;
	uint64_t old_value;
};

static enum keeper_status host_access(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct host *h = k->rig->test;

	(void)err;
	h->seen = *access;
	memcpy(&h->old_value, access->old_bytes, 8);
	verdict->kind = h->answer;
	if (h->answer == VERDICT_SERVE)
		memcpy(verdict->value, &h->value, 8);
	return KEEPER_OK;
}

static enum keeper_status host_stepped(struct rig_keeper *k,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct host *h = k->rig->test;

	(void)access;
	(void)err;
	verdict->kind = h->stepped;
	return KEEPER_OK;
}

static struct rig *host(void **state, struct host *h)
{
	struct rig *r = *state;

	r->test = h;
	r->keeper.access = host_access;
	r->keeper.on_stepped = host_stepped;
	rig_keep(r, "0x401000+8", &r->keeper.keeper, VERDICT_PASS);
	return r;
}

/* movsq from what a guest keeps to what the host keeps */
static void into_kept(struct fake_target *fake, void *ctx)
{
	(void)fake;
	CODE(ctx, "\x48\xa5");
	GPR(RSI) = VIRTUAL;
	GPR(RDI) = PLAIN;
	set_backing(VIRTUAL, 123);
	run();
}

static void kept_frames_are_asked_about_when_it_commits(void **state)
{
	struct host h = { .answer = VERDICT_PASS };
	struct rig *r = host(state, &h);

	rig_go(r, into_kept);
	assert_int_equal(kernel.e.result, CUSTOS_EMULATE_DONE);
	assert_int_equal(r->keeper.asked, 1);
	assert_int_equal(h.seen.kind, ACCESS_STORE);
	assert_int_equal(h.seen.ip, FAKE_CODE);
	assert_int_equal(h.seen.process, 1);
	assert_int_equal(h.seen.address, PLAIN);
	assert_int_equal(rig_word(r), 123);
	assert_int_equal(r->summary.missed, 0);
	assert_int_equal(r->summary.accesses, 1);
}

static void a_host_keeper_can_refuse(void **state)
{
	struct host h = { .answer = VERDICT_DENY };
	struct rig *r = host(state, &h);

	rig_go(r, into_kept);
	assert_int_equal(kernel.e.result, CUSTOS_EMULATE_DENIED);
	assert_int_equal(kernel.regs.rip, FAKE_CODE);
	assert_int_equal(GPR(RSI), VIRTUAL);
	assert_int_equal(rig_word(r), 0);
}

static void a_host_keeper_that_would_hold_gives_its_default(void **state)
{
	struct host h = { .answer = VERDICT_HOLD };
	struct rig *r = host(state, &h);

	rig_go(r, into_kept);
	assert_int_equal(kernel.e.result, CUSTOS_EMULATE_DONE);
	assert_int_equal(rig_word(r), 123);
}

static void a_host_keeper_sees_a_step_and_takes_it_back(void **state)
{
	struct host h = { .answer = VERDICT_STEP,
		.stepped = VERDICT_ROLLBACK };
	struct rig *r = host(state, &h);

	rig_go(r, into_kept);
	assert_int_equal(kernel.e.result, CUSTOS_EMULATE_DONE);
	assert_int_equal(r->keeper.stepped, 1);
	assert_int_equal(kernel.regs.rip, FAKE_CODE);
	assert_int_equal(rig_word(r), 0);
}

/* movsq from what the host keeps to what a guest keeps */
static void out_of_kept(struct fake_target *fake, void *ctx)
{
	(void)fake;
	CODE(ctx, "\x48\xa5");
	GPR(RSI) = PLAIN;
	GPR(RDI) = VIRTUAL;
	run();
}

static void a_served_load_reaches_the_guests_keeper_and_is_asked_once(
	void **state)
{
	struct host h = { .answer = VERDICT_SERVE, .value = 55 };
	struct rig *r = host(state, &h);

	rig_go(r, out_of_kept);
	assert_int_equal(kernel.e.result, CUSTOS_EMULATE_DONE);
	assert_int_equal(kernel.needs, 1);
	assert_int_equal(kernel.need[0].value, 55);
	assert_int_equal(r->keeper.asked, 1);
	assert_int_equal(r->summary.accesses, 1);
}

/* What was asked before counts for that attempt only. */
static void load_twice(struct fake_target *fake, void *ctx)
{
	(void)fake;
	CODE(ctx, "\x48\xa5");
	GPR(RSI) = PLAIN;
	GPR(RDI) = VIRTUAL;
	assert_int_equal(call(), CUSTOS_EMULATE_NEED);
	assert_int_equal(call(), CUSTOS_EMULATE_NEED);
}

static void a_new_attempt_asks_again(void **state)
{
	struct host h = { .answer = VERDICT_PASS };
	struct rig *r = host(state, &h);

	rig_go(r, load_twice);
	assert_int_equal(r->keeper.asked, 2);
}

static void into_opened(struct fake_target *fake, void *ctx)
{
	(void)fake;
	CODE(ctx, RIG_STORE);
	GPR(RBX) = VIRTUAL;
	GPR(RAX) = 9;
	open_page(VIRTUAL, PLAIN, RW);
	run();
}

static void opened_pages_that_are_kept_are_asked_about(void **state)
{
	struct host h = { .answer = VERDICT_PASS };
	struct rig *r = host(state, &h);

	rig_go(r, into_opened);
	assert_int_equal(r->keeper.asked, 1);
	assert_int_equal(h.seen.address, VIRTUAL);
	assert_int_equal(rig_word(r), 9);
	assert_int_equal(r->summary.missed, 0);
}

/* ---- against the executor on plain memory ---- */

/* rbx, rsi, rdi, rsp, rbp point into the data. */
static const struct {
	const char *code;
	unsigned len;
} instructions[] = {
#define I(code) { code, sizeof(code) - 1 }
	I("\x48\x8b\x03"), I("\x48\x89\x03"), I("\x66\x89\x03"),
	I("\x88\x23"), I("\x48\x01\x03"), I("\x48\x03\x03"),
	I("\xf0\x48\x0f\xc1\x0b"), I("\x48\x87\x03"),
	I("\xf0\x48\x0f\xb1\x0b"), I("\x48\x0f\xc7\x0b"),
	I("\xf0\x48\x0f\xc7\x0b"), I("\x48\xa5"), I("\xa4"), I("\xa6"),
	I("\xf3\xaa"), I("\xf3\x48\xa5"), I("\xf2\xae"), I("\xac"),
	I("\x50"), I("\x58"), I("\xff\x33"), I("\x8f\x03"), I("\xc9"),
	I("\xe8\x10\x20\0\0"), I("\xc3"), I("\xff\x13"), I("\x9c"),
	I("\xc8\x10\0\x03"), I("\x0f\xab\x03"), I("\x48\xd1\x23"),
	I("\x0f\x10\x03"), I("\x0f\x11\x03"), I("\x0f\x29\x0b"),
	I("\xf2\x0f\x58\x03"), I("\xdd\x03"), I("\xdd\x1b"),
	I("\x0f\xae\x03"), I("\x0f\xae\x0b"), I("\xdb\x3b"),
	I("\xc5\xfc\x10\x03"), I("\xc5\xfc\x11\x03"),
	I("\xc4\xe2\x75\x2c\x03"), I("\xc4\xe2\x75\x8e\x03"),
	I("\x0f\xf7\xc1"), I("\x66\x0f\xf7\xc1"), I("\xd7"),
	I("\x48\x99"), I("\x48\x8d\x43\x10"), I("\x0f\x95\x03"),
#undef I
};
#define INSTRUCTIONS (sizeof(instructions) / sizeof(instructions[0]))

static uint8_t reference[VIRTUAL_SIZE];
static struct arch_regs after;
static struct arch_xstate after_xstate;

static uint8_t *reference_byte(uint64_t va)
{
	assert_in_range(va, VIRTUAL, VIRTUAL + VIRTUAL_SIZE - 1);
	return &reference[va - VIRTUAL];
}

/* False: it faults. */
static bool execute(struct exec *exec, unsigned n)
{
	struct insn insn;

	assert_int_equal(decode_insn((const uint8_t *)instructions[n].code,
				 instructions[n].len, &insn),
		0);
	if (exec_plan(exec, &insn, &kernel.regs, &kernel.xstate) != EXEC_OK)
		return false;
	for (unsigned i = 0; i < exec_count(exec); i++) {
		struct exec_access *a = exec_access(exec, i);

		for (uint32_t b = 0; b < a->size && !a->probe; b++)
			a->old_bytes[b] = *reference_byte(a->address + b);
	}
	if (exec_run(exec) != EXEC_OK)
		return false;
	after = *exec_regs(exec);
	after_xstate = exec_xstate(exec) ? *exec_xstate(exec) : kernel.xstate;
	for (unsigned i = 0; i < exec_count(exec); i++) {
		struct exec_access *a = exec_access(exec, i);

		for (uint32_t b = 0; b < a->size && !a->probe; b++)
			if (access_writes(a->kind) &&
				(a->size > 64 || (a->byte_mask >> b & 1)))
				*reference_byte(a->address + b) =
					a->new_bytes[b];
	}
	return true;
}

/* The same address space, parts of it in pages opened for the instruction, the
 * rest served in pieces. */
static void random_world(struct random *r, struct rig *rig, unsigned n)
{
	static const uint8_t pointers[] = { ARCH_RBX, ARCH_RSI, ARCH_RDI,
		ARCH_RSP, ARCH_RBP };

	kernel_reset(rig, instructions[n].code, instructions[n].len);
	for (unsigned i = 0; i < ARCH_GPR_MAX; i++)
		kernel.regs.gpr[i] = random_below(r, 64);
	for (unsigned i = 0; i < sizeof(pointers); i++) {
		uint64_t va = VIRTUAL + 4096 * (1 + random_below(r, 2));

		if (!random_once_in(r, 4))
			va -= random_below(r, 24);
		va &= random_once_in(r, 2) ? ~UINT64_C(15) : UINT64_MAX;
		kernel.regs.gpr[pointers[i]] = va;
	}
	for (unsigned i = 0; i < VIRTUAL_SIZE; i++)
		kernel.backing[i] = (uint8_t)random_next(r);
	/* a state that fxrstor takes, mostly */
	memset(kernel.backing + 4096 + 24, 0, 8);
	for (unsigned i = 160; i < 416; i++)
		kernel.xstate.area[i] = (uint8_t)random_next(r);
	memcpy(kernel.xstate.area, "\x7f\x03", 2);
	memcpy(kernel.xstate.area + 24, "\x80\x1f", 2);
	kernel.xstate.area[512] = 3;
	memcpy(reference, kernel.backing, VIRTUAL_SIZE);
	kernel.serve_max = 1 + random_below(r, 64);
	for (unsigned page = 0; page < 3; page++)
		if (random_once_in(r, 3)) {
			open_page(VIRTUAL + 4096 * page, PLAIN + 4096 * page,
				RW);
			memcpy(fake_target_byte(rig->fake, PLAIN + 4096 * page),
				&kernel.backing[4096 * page], 4096);
		}
}

/* What the opened pages hold now, into the backing. */
static void collect_pages(struct rig *rig)
{
	for (unsigned i = 0; i < kernel.e.open_count; i++)
		memcpy(&kernel.backing[kernel.e.open[i].va - VIRTUAL],
			fake_target_byte(rig->fake, kernel.e.open[i].gpa),
			4096);
}

static void serve_many(void)
{
	kernel.e.served_count = 0;
	while (call() == CUSTOS_EMULATE_NEED) {
		kernel.needs = 0;
		if (kernel.e.served_count > 60)
			return; /* too small pieces: the kernel gives up */
		answer();
	}
}

static void same_as_plain_memory_body(struct fake_target *fake, void *ctx)
{
	struct exec *exec = exec_create();
	struct random r = { 42 };

	(void)fake;
	assert_non_null(exec);
	for (unsigned i = 0; i < 40 * INSTRUCTIONS; i++) {
		unsigned n = i % INSTRUCTIONS;
		struct arch_regs before;

		random_world(&r, ctx, n);
		before = kernel.regs;
		if (instructions[n].code[0] == 0x0f &&
			(uint8_t)instructions[n].code[1] == 0xae)
			kernel.serve_max = 64;
		if (!execute(exec, n)) {
			serve_many();
			assert_int_equal(
				kernel.e.result, CUSTOS_EMULATE_FAULT);
			assert_memory_equal(
				&kernel.regs, &before, sizeof(before));
			continue;
		}
		serve_many();
		collect_pages(ctx);
		if (kernel.e.result != CUSTOS_EMULATE_DONE)
			fail_msg("instruction %u: result %u", n,
				kernel.e.result);
		assert_memory_equal(&kernel.regs, &after, sizeof(after));
		assert_memory_equal(kernel.backing, reference, VIRTUAL_SIZE);
		if (kernel.e.xstate_changed)
			assert_memory_equal(kernel.xstate.area,
				after_xstate.area, 576);
	}
	exec_destroy(exec);
}

static void same_as_plain_memory(void **state)
{
	rig_go(*state, same_as_plain_memory_body);
}

#define RIG_TEST(name)                                                         \
	cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_load_is_needed_and_served),
		RIG_TEST(a_store_is_needed_with_its_value),
		RIG_TEST(a_read_modify_write_is_needed_twice),
		RIG_TEST(a_page_that_may_not_be_written_needs_both_halves),
		RIG_TEST(only_the_bytes_that_are_missing_are_needed),
		RIG_TEST(a_store_half_in_memory_stores_there_when_all_is_served),
		RIG_TEST(an_entry_may_serve_a_part),
		RIG_TEST(two_accesses_to_one_place_are_two_needs),
		RIG_TEST(one_iteration_at_a_time),
		RIG_TEST(bytes_a_mask_leaves_out_are_not_needed),
		RIG_TEST(extended_state_is_asked_for_when_it_is_needed),
		RIG_TEST(code_is_needed_as_far_as_it_is_missing),
		RIG_TEST(code_that_ends_before_a_missing_page_is_enough),
		RIG_TEST(code_that_computes_and_branches_runs_where_it_is_served),
		RIG_TEST(what_the_monitor_cannot_is_said_with_its_bytes),
		RIG_TEST(a_fault_of_the_instruction_is_told),
		RIG_TEST(an_opened_page_goes_before_the_tables),
		RIG_TEST(a_step_is_reported_and_undone),
		RIG_TEST(undo_brings_extended_state_back),
		RIG_TEST(kept_frames_are_asked_about_when_it_commits),
		RIG_TEST(a_host_keeper_can_refuse),
		RIG_TEST(a_host_keeper_that_would_hold_gives_its_default),
		RIG_TEST(a_host_keeper_sees_a_step_and_takes_it_back),
		RIG_TEST(a_served_load_reaches_the_guests_keeper_and_is_asked_once),
		RIG_TEST(a_new_attempt_asks_again),
		RIG_TEST(opened_pages_that_are_kept_are_asked_about),
		RIG_TEST(same_as_plain_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
