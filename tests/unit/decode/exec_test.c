/* SPDX-License-Identifier: MIT */
#include <custos/decode.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "tests/support/tests.h"

#define BASE UINT64_C(0x500000)
#define BYTES(...) ((const uint8_t[]){ __VA_ARGS__ })
#define RUN(w, ...) run(w, BYTES(__VA_ARGS__), sizeof(BYTES(__VA_ARGS__)))

/* A little world: registers, vector state, 64 KiB of memory at BASE. */
struct world {
	struct exec *exec;
	struct arch_regs regs;
	struct arch_xstate xstate;
	struct insn insn;
	uint8_t memory[65536];
};

static uint8_t *at(struct world *w, uint64_t address)
{
	assert_in_range(address, BASE, BASE + sizeof(w->memory) - 1);
	return w->memory + (address - BASE);
}

static void commit(struct world *w)
{
	for (unsigned i = 0; i < exec_count(w->exec); i++) {
		struct exec_access *a = exec_access(w->exec, i);

		if (!access_writes(a->kind))
			continue;
		for (unsigned b = 0; b < a->size; b++)
			if (b >= 64 || (a->byte_mask >> b & 1))
				*at(w, a->address + b) = a->new_bytes[b];
	}
	w->regs = *exec_regs(w->exec);
	if (exec_xstate(w->exec))
		w->xstate = *exec_xstate(w->exec);
}

/* Not in a fixture: cmocka has signal handlers of its own for each test. */
static void need_exec(struct world *w)
{
	if (!w->exec)
		w->exec = exec_create();
	assert_non_null(w->exec);
}

static enum exec_status run(struct world *w, const uint8_t *bytes, size_t len)
{
	enum exec_status status;

	need_exec(w);
	assert_int_equal(decode_insn(bytes, len, &w->insn), 0);
	assert_int_equal(w->insn.length, len);
	status = exec_plan(w->exec, &w->insn, &w->regs, &w->xstate);
	if (status != EXEC_OK)
		return status;
	for (unsigned i = 0; i < exec_count(w->exec); i++) {
		struct exec_access *a = exec_access(w->exec, i);

		for (unsigned b = 0; b < a->size; b++)
			if (b >= 64 || (a->byte_mask >> b & 1))
				a->old_bytes[b] = *at(w, a->address + b);
	}
	status = exec_run(w->exec);
	if (status == EXEC_OK)
		commit(w);
	return status;
}

static void put(struct world *w, uint64_t address, uint64_t value, size_t size)
{
	memcpy(at(w, address), &value, size);
}

static uint64_t get(struct world *w, uint64_t address, size_t size)
{
	uint64_t value = 0;

	memcpy(&value, at(w, address), size);
	return value;
}

static int setup(void **state)
{
	static struct world w;
	uint64_t bv = 3;
	uint32_t mxcsr = 0x1f80;

	memset(&w, 0, sizeof(w));
	w.regs.rflags = ARCH_RFLAGS_FIXED | ARCH_RFLAGS_IF;
	w.regs.rip = 0x401000;
	w.xstate.size = 4096;
	w.xstate.area[0] = 0x7f;
	w.xstate.area[1] = 0x03;
	memcpy(w.xstate.area + 24, &mxcsr, sizeof(mxcsr));
	memcpy(w.xstate.area + 512, &bv, sizeof(bv));
	for (unsigned i = 0; i < ARCH_GPR_MAX; i++)
		w.regs.gpr[i] = 0x1111111111111111u * i;
	w.regs.gpr[ARCH_RSP] = BASE + 0x8000;
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	exec_destroy(((struct world *)*state)->exec);
	return 0;
}

static void moves_and_computes(void **state)
{
	struct world *w = *state;
	uint64_t rcx = w->regs.gpr[ARCH_RCX];

	w->regs.gpr[ARCH_RBX] = BASE + 0x100;
	put(w, BASE + 0x110, 0x1122334455667788, 8);
	/* mov rax, [rbx+0x10] */
	assert_int_equal(RUN(w, 0x48, 0x8b, 0x43, 0x10), EXEC_OK);
	assert_int_equal(w->regs.gpr[ARCH_RAX], 0x1122334455667788);
	assert_int_equal(w->regs.rip, 0x401004);
	/* add [rbx+0x10], rcx */
	assert_int_equal(RUN(w, 0x48, 0x01, 0x4b, 0x10), EXEC_OK);
	assert_int_equal(
		get(w, BASE + 0x110, 8), 0x1122334455667788 + rcx);
	/* mov eax, [rbx+0x10] clears the upper half */
	assert_int_equal(RUN(w, 0x8b, 0x43, 0x10), EXEC_OK);
	assert_int_equal(w->regs.gpr[ARCH_RAX], 0x66778899);
	/* mov [rbx], ah; the flags stay */
	assert_int_equal(RUN(w, 0x88, 0x23), EXEC_OK);
	assert_int_equal(get(w, BASE + 0x100, 1), 0x88);
	assert_true(w->regs.rflags & ARCH_RFLAGS_IF);
}

/* The base of the displaced operand must be none of the operands. */
static void every_byte_register_stores_its_own_value(void **state)
{
	struct world *w = *state;

	for (unsigned reg = 0; reg < 16; reg++) {
		uint8_t rex = (uint8_t)(0x40 | (reg >= 8 ? 4 : 0));
		uint8_t modrm = (uint8_t)(0x03 | (reg & 7) << 3);
		uint64_t value = BASE + 0x100 + reg;

		if (reg == ARCH_RBX) /* mov [rbx], bl */
			continue;
		w->regs.gpr[ARCH_RBX] = BASE + 0x100;
		w->regs.gpr[reg] = value;
		assert_int_equal(RUN(w, rex, 0x88, modrm), EXEC_OK);
		assert_int_equal(get(w, BASE + 0x100, 1), value & 0xff);
	}
}

static void rsp_is_an_operand_like_any_other(void **state)
{
	struct world *w = *state;
	uint64_t rsp = w->regs.gpr[ARCH_RSP];

	w->regs.gpr[ARCH_RBX] = BASE;
	assert_int_equal(RUN(w, 0x48, 0x89, 0x23), EXEC_OK); /* mov [rbx],rsp */
	assert_int_equal(get(w, BASE, 8), rsp);
	put(w, BASE, 0x10, 8);
	assert_int_equal(RUN(w, 0x48, 0x03, 0x23), EXEC_OK); /* add rsp,[rbx] */
	assert_int_equal(w->regs.gpr[ARCH_RSP], rsp + 0x10);
	/* andn rsp, rsp, [rbx] */
	put(w, BASE, 0xffffffff, 8);
	assert_int_equal(RUN(w, 0xc4, 0xe2, 0xd8, 0xf2, 0x23), EXEC_OK);
	assert_int_equal(
		w->regs.gpr[ARCH_RSP], ~(rsp + 0x10) & 0xffffffff);
	for (unsigned i = 5; i < ARCH_GPR_MAX; i++)
		assert_int_equal(
			w->regs.gpr[i], 0x1111111111111111u * i);
}

static void stack_instructions(void **state)
{
	struct world *w = *state;
	uint64_t rsp = w->regs.gpr[ARCH_RSP];

	assert_int_equal(RUN(w, 0x54), EXEC_OK); /* push rsp */
	assert_int_equal(get(w, rsp - 8, 8), rsp);
	assert_int_equal(RUN(w, 0x8f, 0x44, 0x24, 0x10), EXEC_OK);
	assert_int_equal(get(w, rsp + 0x10, 8), rsp); /* pop [rsp+0x10] */
	assert_int_equal(w->regs.gpr[ARCH_RSP], rsp);
	w->regs.rip = 0x401000;
	assert_int_equal(RUN(w, 0xe8, 0x10, 0, 0, 0), EXEC_OK); /* call */
	assert_int_equal(w->regs.rip, 0x401015);
	assert_int_equal(get(w, rsp - 8, 8), 0x401005);
	assert_int_equal(RUN(w, 0xc2, 0x08, 0), EXEC_OK); /* ret 8 */
	assert_int_equal(w->regs.rip, 0x401005);
	assert_int_equal(w->regs.gpr[ARCH_RSP], rsp + 8);
	/* a jump to a non-canonical address faults in place */
	w->regs.gpr[ARCH_RBX] = BASE;
	put(w, BASE, 0x8000000000000000, 8);
	assert_int_equal(RUN(w, 0xff, 0x23), EXEC_FAULT);
	assert_int_equal(exec_fault(w->exec)->vector, ARCH_VECTOR_GP);
}

static void registers_alone_compute_and_rsp_is_one_of_them(void **state)
{
	struct world *w = *state;

	w->regs.gpr[ARCH_RSP] = BASE + 8;
	w->regs.gpr[ARCH_RBP] = 5;
	w->regs.gpr[ARCH_RAX] = 7;
	RUN(w, 0x48, 0x83, 0xec, 0x28); /* sub rsp, 0x28 */
	assert_int_equal(w->regs.gpr[ARCH_RSP], BASE + 8 - 0x28);
	RUN(w, 0x48, 0x0f, 0xcc); /* bswap rsp */
	RUN(w, 0x48, 0x0f, 0xcc);
	RUN(w, 0x48, 0x94); /* xchg rax, rsp */
	assert_int_equal(w->regs.gpr[ARCH_RAX], BASE + 8 - 0x28);
	assert_int_equal(w->regs.gpr[ARCH_RSP], 7);
	RUN(w, 0x40, 0x88, 0xec); /* mov spl, bpl */
	assert_int_equal(w->regs.gpr[ARCH_RSP], 5);
	RUN(w, 0xc4, 0xe2, 0xd8, 0xf2, 0xe0); /* andn rsp, rsp, rax */
	assert_int_equal(w->regs.gpr[ARCH_RSP],
		(BASE + 8 - 0x28) & ~UINT64_C(5));
	assert_int_equal(w->regs.gpr[ARCH_RBP], 5);
	w->regs.rip = 0x1000;
	RUN(w, 0x48, 0x8d, 0x25, 0x10, 0, 0, 0); /* lea rsp, [rip + 0x10] */
	assert_int_equal(w->regs.gpr[ARCH_RSP], 0x1017);
	RUN(w, 0xfd); /* std */
	assert_true(w->regs.rflags & ARCH_RFLAGS_DF);
	RUN(w, 0xfc);
	assert_false(w->regs.rflags & ARCH_RFLAGS_DF);
}

static void branches_go_where_they_say(void **state)
{
	struct world *w = *state;

	w->regs.rip = 0x1000;
	RUN(w, 0xeb, 0xfe); /* jmp $ */
	assert_int_equal(w->regs.rip, 0x1000);
	w->regs.rflags = ARCH_RFLAGS_FIXED | ARCH_RFLAGS_ZF;
	RUN(w, 0x74, 0x10); /* jz */
	assert_int_equal(w->regs.rip, 0x1012);
	RUN(w, 0x0f, 0x85, 0, 1, 0, 0); /* jnz */
	assert_int_equal(w->regs.rip, 0x1018);
	w->regs.gpr[ARCH_RCX] = 2;
	RUN(w, 0xe2, 0xfe); /* loop $ */
	assert_int_equal(w->regs.rip, 0x1018);
	RUN(w, 0xe2, 0xfe);
	assert_int_equal(w->regs.rip, 0x101a);
	RUN(w, 0xe3, 0x10); /* jrcxz */
	assert_int_equal(w->regs.rip, 0x102c);
	w->regs.gpr[ARCH_RDX] = 0x2000;
	RUN(w, 0xff, 0xe2); /* jmp rdx */
	assert_int_equal(w->regs.rip, 0x2000);
	w->regs.gpr[ARCH_RDX] = UINT64_C(1) << 50;
	assert_int_equal(RUN(w, 0xff, 0xe2), EXEC_FAULT);
	assert_int_equal(exec_fault(w->exec)->vector, ARCH_VECTOR_GP);
	assert_int_equal(RUN(w, 0x0f, 0x0b), EXEC_FAULT); /* ud2 */
	assert_int_equal(exec_fault(w->exec)->vector, ARCH_VECTOR_UD);
	assert_int_equal(RUN(w, 0x0f, 0xa2), EXEC_CANNOT); /* cpuid */
}

static void strings_go_one_element_at_a_time(void **state)
{
	struct world *w = *state;

	w->regs.gpr[ARCH_RSI] = BASE;
	w->regs.gpr[ARCH_RDI] = BASE + 0x100;
	w->regs.gpr[ARCH_RCX] = 2;
	put(w, BASE, 0x1234567890abcdef, 8);
	assert_int_equal(RUN(w, 0xf3, 0xa5), EXEC_OK); /* rep movsd */
	assert_int_equal(w->regs.rip, 0x401000);
	assert_int_equal(w->regs.gpr[ARCH_RCX], 1);
	assert_int_equal(RUN(w, 0xf3, 0xa5), EXEC_OK);
	assert_int_equal(w->regs.rip, 0x401002);
	assert_int_equal(get(w, BASE + 0x100, 8), 0x1234567890abcdef);
	/* count 0: nothing is touched, wherever the registers point */
	w->regs.gpr[ARCH_RSI] = 0x8000000000000000;
	assert_int_equal(RUN(w, 0xf3, 0xa5), EXEC_OK);
	assert_int_equal(exec_count(w->exec), 0);
	assert_int_equal(w->regs.rip, 0x401004);
	/* repne scasb ends at the match */
	w->regs.gpr[ARCH_RDI] = BASE;
	w->regs.gpr[ARCH_RAX] = 0xcd;
	w->regs.gpr[ARCH_RCX] = 10;
	while (w->regs.rip == 0x401004)
		assert_int_equal(RUN(w, 0xf2, 0xae), EXEC_OK);
	assert_int_equal(w->regs.gpr[ARCH_RCX], 8);
	assert_true(w->regs.rflags & ARCH_RFLAGS_ZF);
}

static void vector_state_goes_in_and_out(void **state)
{
	struct world *w = *state;
	float four[4] = { 1, 2, 3, 4 }, result[4];

	w->regs.gpr[ARCH_RBX] = BASE;
	memcpy(at(w, BASE), four, sizeof(four));
	memcpy(w->xstate.area + 160 + 16, four, sizeof(four));
	assert_int_equal(RUN(w, 0x0f, 0x58, 0x0b), EXEC_OK); /* addps xmm1 */
	memcpy(result, w->xstate.area + 160 + 16, sizeof(result));
	assert_true(result[0] == 2 && result[3] == 8);
	/* a store leaves the state alone, and says so */
	assert_int_equal(RUN(w, 0x0f, 0x11, 0x4b, 0x11), EXEC_OK);
	assert_null(exec_xstate(w->exec));
	assert_memory_equal(at(w, BASE + 0x11), result, sizeof(result));
	/* misaligned: the state alone decides */
	w->regs.gpr[ARCH_RBX] = BASE + 1;
	assert_int_equal(RUN(w, 0x0f, 0x28, 0x0b), EXEC_FAULT);
	assert_int_equal(exec_fault(w->exec)->vector, ARCH_VECTOR_GP);
}

static void faults_are_the_guests(void **state)
{
	struct world *w = *state;
	uint32_t mxcsr;
	uint64_t rip = w->regs.rip;

	w->regs.gpr[ARCH_RBX] = BASE;
	assert_int_equal(RUN(w, 0xf7, 0x33), EXEC_FAULT); /* div [rbx] = 0 */
	assert_int_equal(exec_fault(w->exec)->vector, ARCH_VECTOR_DE);
	assert_int_equal(exec_regs(w->exec)->rip, rip);
	w->regs.gpr[ARCH_RBX] = 0x8000000000000000;
	assert_int_equal(RUN(w, 0x8b, 0x03), EXEC_FAULT);
	assert_int_equal(exec_fault(w->exec)->vector, ARCH_VECTOR_GP);
	w->regs.gpr[ARCH_RBP] = 0x8000000000000000;
	assert_int_equal(RUN(w, 0x8b, 0x45, 0x00), EXEC_FAULT);
	assert_int_equal(exec_fault(w->exec)->vector, ARCH_VECTOR_SS);
	/* 1 / 0 with the exception unmasked: #XM, and MXCSR says why */
	w->regs.gpr[ARCH_RBX] = BASE;
	mxcsr = 0x1d80;
	memcpy(w->xstate.area + 24, &mxcsr, sizeof(mxcsr));
	put(w, BASE, 0, 4);
	memcpy(w->xstate.area + 160, &(float){ 1 }, 4);
	assert_int_equal(RUN(w, 0xf3, 0x0f, 0x5e, 0x03), EXEC_FAULT);
	assert_int_equal(exec_fault(w->exec)->vector, ARCH_VECTOR_XM);
	assert_non_null(exec_xstate(w->exec));
	memcpy(&mxcsr, exec_xstate(w->exec)->area + 24, sizeof(mxcsr));
	assert_int_equal(mxcsr, 0x1d84);
}

static void bit_offsets_reach_far(void **state)
{
	struct world *w = *state;

	w->regs.gpr[ARCH_RBX] = BASE + 0x1000;
	w->regs.gpr[ARCH_RCX] = (uint64_t)-1000;
	/* bts [rbx], rcx */
	assert_int_equal(RUN(w, 0x48, 0x0f, 0xab, 0x0b), EXEC_OK);
	assert_int_equal(exec_access(w->exec, 0)->address,
		BASE + 0x1000 - 128);
	assert_int_equal(
		get(w, BASE + 0x1000 - 128, 8), UINT64_C(1) << 24);
	assert_int_equal(w->regs.gpr[ARCH_RCX], (uint64_t)-1000);
}

static void an_atomic_can_be_run_again_on_new_bytes(void **state)
{
	struct world *w = *state;
	const uint8_t inc[] = { 0xf0, 0x48, 0xff, 0x03 };
	struct exec_access *access;
	uint64_t value = 5;

	need_exec(w);
	w->regs.gpr[ARCH_RBX] = BASE;
	assert_int_equal(decode_insn(inc, sizeof(inc), &w->insn), 0);
	assert_int_equal(exec_plan(w->exec, &w->insn, &w->regs, NULL), EXEC_OK);
	access = exec_access(w->exec, 0);
	for (uint64_t i = 0; i < 3; i++) {
		value = 5 + i;
		memcpy(access->old_bytes, &value, 8);
		assert_int_equal(exec_run(w->exec), EXEC_OK);
		memcpy(&value, access->new_bytes, 8);
		assert_int_equal(value, 6 + i);
	}
}

static void the_cache_goes_by_bytes(void **state)
{
	struct world *w = *state;
	const uint8_t a[] = { 0x8b, 0x03 }, b[] = { 0x89, 0x03 };
	const struct insn *insn;
	int error;

	need_exec(w);
	insn = decode_cached(w->exec, 0x1000, a, sizeof(a), &error);
	assert_int_equal(insn->operands[0].kind, ACCESS_LOAD);
	assert_ptr_equal(
		decode_cached(w->exec, 0x1000, a, sizeof(a), &error), insn);
	insn = decode_cached(w->exec, 0x1000, b, sizeof(b), &error);
	assert_int_equal(insn->operands[0].kind, ACCESS_STORE);
	assert_null(decode_cached(w->exec, 0x1000, b, 1, &error));
	assert_int_equal(error, -ENODATA);
}

static void *run_many(void *arg)
{
	static const uint8_t div[] = { 0x48, 0xf7, 0x33 };
	struct arch_regs regs = { .rflags = 2 };
	struct exec *exec = exec_create();
	uintptr_t wrong = 0;
	struct insn insn;
	uint64_t divisor;

	(void)arg;
	decode_insn(div, sizeof(div), &insn);
	for (uint64_t i = 0; i < 2000; i++) {
		regs.gpr[ARCH_RAX] = 1000;
		regs.gpr[ARCH_RDX] = 0;
		divisor = i % 4;
		exec_plan(exec, &insn, &regs, NULL);
		memcpy(exec_access(exec, 0)->old_bytes, &divisor, 8);
		if (exec_run(exec) != (divisor ? EXEC_OK : EXEC_FAULT))
			wrong++;
		else if (divisor &&
			exec_regs(exec)->gpr[ARCH_RAX] != 1000 / divisor)
			wrong++;
	}
	exec_destroy(exec);
	return (void *)wrong;
}

static void threads_do_not_disturb_each_other(void **state)
{
	pthread_t threads[4];
	void *wrong;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, run_many, NULL), 0);
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(moves_and_computes),
		TEST(every_byte_register_stores_its_own_value),
		TEST(rsp_is_an_operand_like_any_other),
		TEST(stack_instructions),
		TEST(registers_alone_compute_and_rsp_is_one_of_them),
		TEST(branches_go_where_they_say),
		TEST(strings_go_one_element_at_a_time),
		TEST(vector_state_goes_in_and_out),
		TEST(faults_are_the_guests),
		TEST(bit_offsets_reach_far),
		TEST(an_atomic_can_be_run_again_on_new_bytes),
		TEST(the_cache_goes_by_bytes),
		cmocka_unit_test(threads_do_not_disturb_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
