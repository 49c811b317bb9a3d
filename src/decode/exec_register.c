/* SPDX-License-Identifier: MIT */
/*
 * Instructions that touch no data memory. What computes is executed by the
 * CPU as it is; what looks at or moves rip cannot be, and is done here.
 */
#include "decode/exec_impl.h"

static enum exec_status plan_nothing(struct exec *exec)
{
	(void)exec;
	return EXEC_OK;
}

static enum exec_status run_register(struct exec *exec)
{
	return exec_thunk(exec, NULL);
}

const struct form_ops form_register = { .plan = plan_nothing, .run = run_register };

static enum exec_status run_nothing(struct exec *exec)
{
	(void)exec;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return EXEC_OK;
}

const struct form_ops form_nop = { .plan = plan_nothing, .run = run_nothing };

static enum exec_status run_lea(struct exec *exec)
{
	const struct insn *insn = exec->insn;

	exec_set_reg(exec, insn->internal.reg, insn->internal.width,
		exec_effective(exec, &insn->operands[0]));
	return EXEC_OK;
}

const struct form_ops form_lea = { .plan = plan_nothing, .run = run_lea };

#define OPCODE_CLD 0

static enum exec_status run_direction(struct exec *exec)
{
	exec->out.rflags &= ~(uint64_t)ARCH_RFLAGS_DF;
	if (exec->insn->internal.reg != OPCODE_CLD)
		exec->out.rflags |= ARCH_RFLAGS_DF;
	return EXEC_OK;
}

const struct form_ops form_direction = { .plan = plan_nothing, .run = run_direction };

static enum exec_status plan_undefined(struct exec *exec)
{
	return exec_raise(exec, ARCH_VECTOR_UD);
}

const struct form_ops form_undefined = { .plan = plan_undefined, .run = run_nothing };

/* ---- branches ---- */

static enum exec_status branch_relative(struct exec *exec)
{
	return exec_branch(exec,
		exec->out.rip + (uint64_t)exec->insn->internal.immediate);
}

static enum exec_status run_jump(struct exec *exec)
{
	if (exec->insn->internal.form == FORM_JMP_REL)
		return branch_relative(exec);
	return exec_branch(exec, exec->regs->gpr[exec->insn->internal.rm]);
}

const struct form_ops form_jump = { .plan = plan_nothing, .run = run_jump };

/* SDM vol. 1, appendix B: pairs of a condition and its negation. */
static bool holds(uint64_t flags, unsigned condition)
{
	bool cf = flags & ARCH_RFLAGS_CF, zf = flags & ARCH_RFLAGS_ZF;
	bool less = !(flags & ARCH_RFLAGS_SF) != !(flags & ARCH_RFLAGS_OF);
	const bool pairs[8] = {
		flags & ARCH_RFLAGS_OF,
		cf,
		zf,
		cf || zf,
		flags & ARCH_RFLAGS_SF,
		flags & ARCH_RFLAGS_PF,
		less,
		less || zf,
	};

	return pairs[condition >> 1] != (condition & 1);
}

static enum exec_status run_jcc(struct exec *exec)
{
	if (!holds(exec->regs->rflags, exec->insn->internal.reg))
		return EXEC_OK;
	return branch_relative(exec);
}

const struct form_ops form_jcc = { .plan = plan_nothing, .run = run_jcc };

enum { LOOPNE, LOOPE, LOOP, JRCXZ };

static enum exec_status run_loop(struct exec *exec)
{
	unsigned opcode = exec->insn->internal.reg;
	unsigned size = exec->insn->address32 ? 4 : 8;
	uint64_t count = exec_get_reg(exec, ARCH_RCX, size);
	bool zf = exec->regs->rflags & ARCH_RFLAGS_ZF, taken;
	enum exec_status status = EXEC_OK;

	if (opcode == JRCXZ)
		return count ? EXEC_OK : branch_relative(exec);
	count--;
	taken = (size == 4 ? (uint32_t)count : count) &&
		(opcode == LOOP || zf == (opcode == LOOPE));
	if (taken)
		status = branch_relative(exec);
	if (status == EXEC_OK)
		exec_set_reg(exec, ARCH_RCX, size, count);
	return status;
}

const struct form_ops form_loop = { .plan = plan_nothing, .run = run_loop };
