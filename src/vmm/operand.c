/* SPDX-License-Identifier: MIT */
#include "vmm/operand.h"

uint64_t vmm_operand_address(const struct insn *insn,
	const struct insn_operand *op, const struct arch_regs *regs)
{
	uint64_t at = (uint64_t)op->displacement;

	if (op->base >= 0)
		at += regs->gpr[op->base];
	else if (op->base == INSN_REG_RIP)
		at += regs->rip + insn->length;
	if (op->index >= 0 && !op->vsib)
		at += regs->gpr[op->index] * op->scale;
	if (insn->address32)
		at = (uint32_t)at;
	if (op->segment == INSN_SEGMENT_FS)
		at += regs->fs_base;
	else if (op->segment == INSN_SEGMENT_GS)
		at += regs->gs_base;
	return at;
}
