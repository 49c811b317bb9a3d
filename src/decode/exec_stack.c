/* SPDX-License-Identifier: MIT */
/*
 * Instructions whose memory is the stack, and near branches through memory.
 * Never executed: they would use our own stack, or leave our code.
 *
 * Stack addresses are 64 bits wide whatever prefixes say; 67h is for the
 * explicit operand only.
 */
#include <string.h>

#include "decode/exec_impl.h"

static uint64_t rsp(const struct exec *exec)
{
	return exec->regs->gpr[ARCH_RSP];
}

static unsigned width(const struct exec *exec)
{
	return exec->insn->internal.width;
}

enum exec_status exec_branch(struct exec *exec, uint64_t target)
{
	if (width(exec) == 2)
		target &= 0xffff;
	if ((uint64_t)((int64_t)(target << 16) >> 16) != target)
		return exec_raise(exec, ARCH_VECTOR_GP);
	exec->out.rip = target;
	return EXEC_OK;
}

/* ---- push, call ---- */

static enum exec_status plan_push(struct exec *exec)
{
	return exec_add(exec, exec->count, ACCESS_STORE,
		rsp(exec) - width(exec), width(exec));
}

static void push(struct exec *exec, struct exec_access *access, uint64_t value)
{
	exec_store(access, value);
	exec->out.gpr[ARCH_RSP] -= width(exec);
}

static uint64_t pushed_value(const struct exec *exec)
{
	switch (exec->insn->internal.form) {
	case FORM_PUSH_IMM:
		return (uint64_t)exec->insn->internal.immediate;
	case FORM_PUSH_FLAGS: /* without RF and VM */
		return (exec->regs->rflags & 0xfcffff) | ARCH_RFLAGS_FIXED;
	default:
		return exec->regs->gpr[exec->insn->internal.rm];
	}
}

static enum exec_status run_push(struct exec *exec)
{
	push(exec, &exec->accesses[0], pushed_value(exec));
	return EXEC_OK;
}

const struct form_ops form_push = { .plan = plan_push, .run = run_push };

static enum exec_status plan_push_mem(struct exec *exec)
{
	enum exec_status status = exec_add_operand(exec, 0);

	if (status == EXEC_OK)
		status = exec_defer(exec, plan_push(exec));
	return status;
}

static enum exec_status run_push_mem(struct exec *exec)
{
	push(exec, &exec->accesses[1], exec_load(&exec->accesses[0]));
	return EXEC_OK;
}

const struct form_ops form_push_mem = { .plan = plan_push_mem, .run = run_push_mem };

static enum exec_status run_call(struct exec *exec)
{
	uint64_t next = exec->out.rip;
	uint64_t target = exec->insn->internal.form == FORM_CALL_REL ?
		next + (uint64_t)exec->insn->internal.immediate :
		exec->regs->gpr[exec->insn->internal.rm];

	push(exec, &exec->accesses[0], next);
	return exec_branch(exec, target);
}

const struct form_ops form_call = { .plan = plan_push, .run = run_call };

static enum exec_status run_call_mem(struct exec *exec)
{
	push(exec, &exec->accesses[1], exec->out.rip);
	return exec_branch(exec, exec_load(&exec->accesses[0]));
}

const struct form_ops form_call_mem = { .plan = plan_push_mem, .run = run_call_mem };

static enum exec_status plan_jmp_mem(struct exec *exec)
{
	return exec_add_operand(exec, 0);
}

static enum exec_status run_jmp_mem(struct exec *exec)
{
	return exec_branch(exec, exec_load(&exec->accesses[0]));
}

const struct form_ops form_jmp_mem = { .plan = plan_jmp_mem, .run = run_jmp_mem };

/* ---- pop, ret, leave ---- */

static enum exec_status plan_pop(struct exec *exec)
{
	return exec_add(exec, 0, ACCESS_LOAD, rsp(exec), width(exec));
}

static uint64_t pop(struct exec *exec)
{
	exec->out.gpr[ARCH_RSP] += width(exec);
	return exec_load(&exec->accesses[0]);
}

static enum exec_status run_pop(struct exec *exec)
{
	uint64_t value = pop(exec);

	exec_set_reg(exec, exec->insn->internal.rm, width(exec), value);
	return EXEC_OK;
}

const struct form_ops form_pop = { .plan = plan_pop, .run = run_pop };

/* The destination's address is computed with the new rsp. */
static enum exec_status plan_pop_mem(struct exec *exec)
{
	struct insn_operand o = exec->insn->operands[1];
	enum exec_status status = plan_pop(exec);

	if (status != EXEC_OK)
		return status;
	if (o.base == ARCH_RSP)
		o.displacement += width(exec);
	status = exec_add(exec, 1, ACCESS_STORE,
		exec_effective(exec, &o) + exec_segment_base(exec, &o), o.size);
	return exec_defer(exec, status);
}

static enum exec_status run_pop_mem(struct exec *exec)
{
	exec_store(&exec->accesses[1], pop(exec));
	return EXEC_OK;
}

const struct form_ops form_pop_mem = { .plan = plan_pop_mem, .run = run_pop_mem };

/* At CPL 3 with IOPL 0, IF and IOPL keep their values; RF is cleared. */
static enum exec_status run_pop_flags(struct exec *exec)
{
	uint64_t writable = ARCH_RFLAGS_CF | ARCH_RFLAGS_PF | ARCH_RFLAGS_AF |
		ARCH_RFLAGS_ZF | ARCH_RFLAGS_SF | ARCH_RFLAGS_TF |
		ARCH_RFLAGS_DF | ARCH_RFLAGS_OF | ARCH_RFLAGS_NT;

	if (width(exec) > 2)
		writable |= ARCH_RFLAGS_AC | ARCH_RFLAGS_ID;
	exec->out.rflags = (exec->out.rflags & ~writable) |
		(pop(exec) & writable);
	return EXEC_OK;
}

const struct form_ops form_pop_flags = { .plan = plan_pop, .run = run_pop_flags };

static enum exec_status run_ret(struct exec *exec)
{
	uint64_t target = pop(exec);

	exec->out.gpr[ARCH_RSP] += (uint64_t)exec->insn->internal.immediate;
	return exec_branch(exec, target);
}

const struct form_ops form_ret = { .plan = plan_pop, .run = run_ret };

static enum exec_status plan_leave(struct exec *exec)
{
	return exec_add(exec, 0, ACCESS_LOAD, exec->regs->gpr[ARCH_RBP],
		width(exec));
}

static enum exec_status run_leave(struct exec *exec)
{
	exec->out.gpr[ARCH_RSP] = exec->regs->gpr[ARCH_RBP] + width(exec);
	exec_set_reg(exec, ARCH_RBP, width(exec),
		exec_load(&exec->accesses[0]));
	return EXEC_OK;
}

const struct form_ops form_leave = { .plan = plan_leave, .run = run_leave };

/* ---- enter: a frame and copies of the enclosing frames' pointers ---- */

/* The CPU sees whether the next push could be written. */
static enum exec_status plan_probe(struct exec *exec, uint64_t sp)
{
	enum exec_status status =
		exec_add(exec, 0, ACCESS_STORE, sp, width(exec));

	if (status != EXEC_OK)
		return status;
	exec->accesses[exec->count - 1].probe = true;
	exec->accesses[exec->count - 1].byte_mask = 0;
	return EXEC_OK;
}

static enum exec_status plan_enter(struct exec *exec)
{
	uint64_t sp = rsp(exec), bp = exec->regs->gpr[ARCH_RBP];
	int64_t levels = exec->insn->internal.immediate2;
	unsigned w = width(exec);
	enum exec_status status = plan_push(exec);

	for (int64_t i = 1; i < levels && status == EXEC_OK; i++) {
		sp -= w;
		bp -= w;
		status = exec_add(exec, 1, ACCESS_LOAD, bp, w);
		if (status == EXEC_OK)
			status = exec_add(exec, 0, ACCESS_STORE, sp - w, w);
	}
	if (levels && status == EXEC_OK)
		status = exec_add(exec, 0, ACCESS_STORE, sp - 2 * w, w);
	if (status != EXEC_OK)
		return exec_defer(exec, status);
	exec->pushes = exec->count;
	sp = exec->accesses[exec->count - 1].address -
		(uint64_t)exec->insn->internal.immediate;
	return exec_defer(exec, plan_probe(exec, sp));
}

/* What a load sees after this instruction's own earlier stores. */
static uint64_t load_after_stores(const struct exec *exec, unsigned index)
{
	const struct exec_access *load = &exec->accesses[index];
	uint8_t bytes[8] = { 0 };
	uint64_t value;

	memcpy(bytes, load->old_bytes, load->size);
	for (unsigned i = 0; i < index; i++) {
		const struct exec_access *store = &exec->accesses[i];

		if (store->kind != ACCESS_STORE)
			continue;
		for (unsigned b = 0; b < load->size; b++) {
			uint64_t at = load->address + b - store->address;

			if (at < store->size)
				bytes[b] = store->new_bytes[at];
		}
	}
	memcpy(&value, bytes, sizeof(value));
	return value;
}

static enum exec_status run_enter(struct exec *exec)
{
	uint64_t frame = rsp(exec) - width(exec);
	unsigned last = exec->pushes - 1;

	push(exec, &exec->accesses[0], exec->regs->gpr[ARCH_RBP]);
	for (unsigned i = 1; i < last; i += 2)
		push(exec, &exec->accesses[i + 1], load_after_stores(exec, i));
	if (last)
		push(exec, &exec->accesses[last], frame);
	exec_set_reg(exec, ARCH_RBP, width(exec), frame);
	exec->out.gpr[ARCH_RSP] -= (uint64_t)exec->insn->internal.immediate;
	return EXEC_OK;
}

const struct form_ops form_enter = { .plan = plan_enter, .run = run_enter };
