/* SPDX-License-Identifier: MIT */
/*
 * Any instruction in any state: planning and running end, and write nothing
 * outside the operand's place in scratch, whose neighbourhood holds canaries
 * between its guard pages.
 *
 * Input: 16 bytes of instruction, 16 registers, rip, rflags, segment bases,
 * then bytes of extended state and memory, repeated as needed.
 */
#include <stdlib.h>
#include <string.h>

#include "decode/exec_impl.h"

#define CANARY 0x5c
#define STATE_OFFSET (16 + 20 * 8)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void fill(uint8_t *to, size_t count, const uint8_t *from, size_t size)
{
	for (size_t i = 0; i < count && size; i += size)
		memcpy(to + i, from, size < count - i ? size : count - i);
}

static void set_canaries(struct exec *exec)
{
	memset(exec->scratch, CANARY, SCRATCH_PAGES * ARCH_PAGE_SIZE);
}

/* Canaries around [place, place + size) and around the place of a first try. */
static void check_canaries(
	const struct exec *exec, const uint8_t *place, size_t size)
{
	const uint8_t *end = exec->scratch + SCRATCH_PAGES * ARCH_PAGE_SIZE;

	for (const uint8_t *p = exec->scratch; p < end; p++)
		check(*p == CANARY || (p >= place && p < place + size) ||
			(size_t)(p - exec->scratch) < size);
}

static size_t operand_size(const struct exec *exec)
{
	size_t size = exec->insn->operands[0].size;

	if (exec->count && exec->offset + exec->accesses[0].size > size)
		size = exec->offset + exec->accesses[0].size;
	return size;
}

static void run_once(struct exec *exec, const struct insn *insn,
	const struct arch_regs *regs, const struct arch_xstate *xstate,
	const uint8_t *bytes, size_t size)
{
	set_canaries(exec);
	if (exec_plan(exec, insn, regs, xstate) != EXEC_OK)
		return;
	check(exec_count(exec) <= EXEC_ACCESSES_MAX);
	for (unsigned i = 0; i < exec_count(exec); i++) {
		struct exec_access *a = exec_access(exec, i);

		check(a->size && a->operand < INSN_OPERANDS_MAX);
		fill(a->old_bytes, a->size, bytes, size);
	}
	for (unsigned done = 0; done <= exec_count(exec); done++)
		exec_run_lanes(exec, done);
	set_canaries(exec);
	exec_run(exec);
	check_canaries(exec, exec_place(exec, exec->operand_address),
		operand_size(exec));
}

static void read_regs(const uint8_t *data, struct arch_regs *regs)
{
	memcpy(regs->gpr, data, sizeof(regs->gpr));
	data += sizeof(regs->gpr);
	memcpy(&regs->rip, data, 8);
	memcpy(&regs->rflags, data + 8, 8);
	memcpy(&regs->fs_base, data + 16, 8);
	memcpy(&regs->gs_base, data + 24, 8);
}

/* Mostly one that can be loaded; the rest goes in as it comes. */
static void read_xstate(
	const uint8_t *data, size_t size, struct arch_xstate *xstate)
{
	uint32_t mxcsr = 0x1f80;
	uint64_t bv = xstate_thunk_mask();

	xstate->size = 4096;
	fill(xstate->area, xstate->size, data, size);
	if (size % 8 == 7)
		return;
	memset(xstate->area + 512, 0, 64);
	memcpy(xstate->area + 512, &bv, sizeof(bv));
	mxcsr ^= size ? (data[0] & 0x7fu) << 7 : 0;
	memcpy(xstate->area + 24, &mxcsr, sizeof(mxcsr));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct exec *exec;
	static struct arch_regs regs;
	static struct arch_xstate xstate;
	const struct insn *insn;
	int error;

	if (size < STATE_OFFSET)
		return 0;
	/* Anew each time: libFuzzer has handlers of its own. */
	if (!exec)
		exec = exec_create();
	else
		trap_init();
	if (!exec)
		return 0;
	insn = decode_cached(exec, data[0], data, ARCH_INSN_MAX, &error);
	if (!insn)
		return 0;
	exec_set_alignment_check(exec, data[15] & 1);
	read_regs(data + 16, &regs);
	read_xstate(data + STATE_OFFSET, size - STATE_OFFSET, &xstate);
	run_once(exec, insn, &regs, &xstate, data + 16, size - 16);
	return 0;
}
