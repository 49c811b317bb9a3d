/* SPDX-License-Identifier: MIT */
/* Small moves that are simpler, or safer, in C than on scratch. */
#include <string.h>

#include "decode/exec_impl.h"

static enum exec_status plan_one(struct exec *exec)
{
	return exec_add_operand(exec, 0);
}

/* Not on scratch: it is locked there, too, and scratch may be split across
 * two cache lines. */
static enum exec_status run_xchg(struct exec *exec)
{
	struct exec_access *access = &exec->accesses[0];
	unsigned size = exec->insn->internal.width;
	unsigned reg = exec->insn->internal.reg;

	exec_store(access, exec_get_reg(exec, reg, size));
	exec_set_reg(exec, reg, size, exec_load(access));
	return EXEC_OK;
}

const struct form_ops form_xchg = { .plan = plan_one, .run = run_xchg };

/* [rbx + al] */
static enum exec_status plan_xlat(struct exec *exec)
{
	const struct insn_operand *o = &exec->insn->operands[0];
	uint64_t address = exec_effective(exec, o) +
		(exec->regs->gpr[ARCH_RAX] & 0xff);

	if (exec->insn->address32)
		address = (uint32_t)address;
	return exec_add(exec, 0, ACCESS_LOAD,
		address + exec_segment_base(exec, o), 1);
}

static enum exec_status run_load_rax(struct exec *exec)
{
	exec_set_reg(exec, ARCH_RAX, exec->accesses[0].size,
		exec_load(&exec->accesses[0]));
	return EXEC_OK;
}

const struct form_ops form_xlat = { .plan = plan_xlat, .run = run_load_rax };
const struct form_ops form_moffs_load = { .plan = plan_one, .run = run_load_rax };

static enum exec_status run_moffs_store(struct exec *exec)
{
	exec_store(&exec->accesses[0], exec->regs->gpr[ARCH_RAX]);
	return EXEC_OK;
}

const struct form_ops form_moffs_store = { .plan = plan_one, .run = run_moffs_store };

static enum exec_status plan_movdir64b(struct exec *exec)
{
	enum exec_status status = exec_add_operand(exec, 0);

	if (status == EXEC_OK && exec_add_operand(exec, 1) != EXEC_OK)
		/* #GP even through rsp: the destination is in es */
		status = exec_defer(
			exec, exec_raise(exec, ARCH_VECTOR_GP));
	return status;
}

static enum exec_status run_movdir64b(struct exec *exec)
{
	memcpy(exec->accesses[1].new_bytes, exec->accesses[0].old_bytes, 64);
	return EXEC_OK;
}

const struct form_ops form_movdir64b = { .plan = plan_movdir64b, .run = run_movdir64b };

/* Cache flushes check address and rights like a load but move no data. */
static enum exec_status plan_flush(struct exec *exec)
{
	enum exec_status status = exec_add_operand(exec, 0);

	exec->count = 0;
	return status;
}

static enum exec_status run_flush(struct exec *exec)
{
	(void)exec;
	return EXEC_OK;
}

const struct form_ops form_flush = { .plan = plan_flush, .run = run_flush };
