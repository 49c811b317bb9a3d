/* SPDX-License-Identifier: MIT */
#ifndef CUSTOS_VMM_OPERAND_H
#define CUSTOS_VMM_OPERAND_H

#include <custos/decode.h>

/* The linear address of a memory operand of insn at regs->rip; the first
 * element's, without its index, of a gather. */
uint64_t vmm_operand_address(const struct insn *insn,
	const struct insn_operand *op, const struct arch_regs *regs);

#endif
