/* SPDX-License-Identifier: MIT */
/*
 * String instructions, one element at a time: rep forms stay at their rip
 * until the count or the comparison ends them, so that every state in between
 * is one the CPU could be interrupted in.
 */
#include "base/invariant.h"
#include "decode/exec_impl.h"

static uint64_t count_of(const struct exec *exec)
{
	uint64_t rcx = exec->regs->gpr[ARCH_RCX];

	return exec->insn->address32 ? (uint32_t)rcx : rcx;
}

/* cmps looks at [rdi] first: a fault there comes before one at [rsi]. */
static enum exec_status plan_string(struct exec *exec)
{
	enum exec_status status = EXEC_OK;

	exec->counted_out = exec->insn->repeated && !count_of(exec);
	if (exec->counted_out)
		return EXEC_OK;
	if (exec->insn->internal.form == FORM_CMPS) {
		status = exec_add_operand(exec, 1);
		if (status == EXEC_OK)
			status = exec_defer(exec, exec_add_operand(exec, 0));
		return status;
	}
	status = exec_add_operand(exec, 0);
	if (status == EXEC_OK && exec->insn->operand_count > 1)
		status = exec_defer(exec, exec_add_operand(exec, 1));
	return status;
}

#define COMPARE(type)                                                          \
	__asm__("cmp %2, %1\n\tpushfq\n\tpop %0"                               \
		: "=r"(flags)                                                  \
		: "r"((type)a), "r"((type)b)                                   \
		: "cc", "memory")

/* The flags of a - b, from the CPU itself. */
static uint64_t compare(uint64_t a, uint64_t b, unsigned size)
{
	uint64_t flags;

	switch (size) {
	case 1:
		COMPARE(uint8_t);
		break;
	case 2:
		COMPARE(uint16_t);
		break;
	case 4:
		COMPARE(uint32_t);
		break;
	default:
		COMPARE(uint64_t);
	}
	return flags;
}

static void set_flags(struct exec *exec, uint64_t flags)
{
	uint64_t arithmetic = ARCH_RFLAGS_CF | ARCH_RFLAGS_PF | ARCH_RFLAGS_AF |
		ARCH_RFLAGS_ZF | ARCH_RFLAGS_SF | ARCH_RFLAGS_OF;

	exec->out.rflags =
		(exec->out.rflags & ~arithmetic) | (flags & arithmetic);
}

static void advance(struct exec *exec, unsigned reg)
{
	uint64_t step = exec->insn->internal.width;
	uint64_t value = exec->regs->gpr[reg] +
		(exec->regs->rflags & ARCH_RFLAGS_DF ? -step : step);

	exec->out.gpr[reg] = exec->insn->address32 ? (uint32_t)value : value;
}

static void move_element(struct exec *exec)
{
	unsigned size = exec->insn->internal.width;
	struct exec_access *access = exec->accesses;
	uint64_t rax = exec->regs->gpr[ARCH_RAX];

	switch (exec->insn->internal.form) {
	case FORM_MOVS:
		exec_store(&access[1], exec_load(&access[0]));
		break;
	case FORM_STOS:
		exec_store(&access[0], rax);
		break;
	case FORM_LODS:
		exec_set_reg(exec, ARCH_RAX, size, exec_load(&access[0]));
		break;
	case FORM_CMPS:
		set_flags(exec, compare(exec_load(&access[1]),
					exec_load(&access[0]), size));
		break;
	case FORM_SCAS:
		set_flags(exec, compare(rax, exec_load(&access[0]), size));
		break;
	default:
		unreachable_state();
	}
}

static bool uses_source(enum decode_form form)
{
	return form == FORM_MOVS || form == FORM_LODS || form == FORM_CMPS;
}

static bool compares(enum decode_form form)
{
	return form == FORM_CMPS || form == FORM_SCAS;
}

static bool goes_on(const struct exec *exec, uint64_t count)
{
	bool equal = exec->out.rflags & ARCH_RFLAGS_ZF;

	if (!count)
		return false;
	if (!compares(exec->insn->internal.form))
		return true;
	return equal == (exec->insn->internal.repeat == REPEAT_E);
}

/* Rep forms write 32-bit registers back even when they do nothing, those that
 * store the addresses, too. */
static void write_back_32(struct exec *exec)
{
	enum decode_form form = exec->insn->internal.form;

	if (!exec->insn->address32)
		return;
	exec->out.gpr[ARCH_RCX] = count_of(exec);
	if (form == FORM_MOVS)
		exec->out.gpr[ARCH_RSI] = (uint32_t)exec->regs->gpr[ARCH_RSI];
	if (form == FORM_MOVS || form == FORM_STOS)
		exec->out.gpr[ARCH_RDI] = (uint32_t)exec->regs->gpr[ARCH_RDI];
}

static enum exec_status run_string(struct exec *exec)
{
	enum decode_form form = exec->insn->internal.form;
	uint64_t count = count_of(exec) - 1;

	if (exec->counted_out) {
		write_back_32(exec);
		return EXEC_OK;
	}
	move_element(exec);
	if (uses_source(form))
		advance(exec, ARCH_RSI);
	if (form != FORM_LODS)
		advance(exec, ARCH_RDI);
	if (!exec->insn->repeated)
		return EXEC_OK;
	exec->out.gpr[ARCH_RCX] =
		exec->insn->address32 ? (uint32_t)count : count;
	if (goes_on(exec, count)) {
		/* Nobody can tell, but CPUs set flags at the end only. */
		exec->out.rip = exec->regs->rip;
		exec->out.rflags = exec->regs->rflags;
	}
	return EXEC_OK;
}

static enum exec_status run_string_to_fault(struct exec *exec, unsigned done)
{
	(void)done;
	if (exec->insn->repeated)
		write_back_32(exec);
	return EXEC_OK;
}

const struct form_ops form_string = { .plan = plan_string,
	.run = run_string,
	.run_to_fault = run_string_to_fault };
