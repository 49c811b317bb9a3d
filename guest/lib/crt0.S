/* SPDX-License-Identifier: MIT */
/* Where a program starts: rdi = start info, the stack is below a NULL return
 * address. */
	.section .text.start, "ax"
	.globl custos_start
	.type custos_start, @function
custos_start:
	xor %ebp, %ebp
	jmp guest_start
	.size custos_start, . - custos_start

	.section .note.GNU-stack, "", @progbits
