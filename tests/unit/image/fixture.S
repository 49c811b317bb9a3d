/* SPDX-License-Identifier: MIT */
/* Frames of every kind that image_unwind() knows. */
	.text
	.globl _start, with_cfi, with_expression, without_cfi, outermost
	.type _start, @function
_start:
	call	with_cfi
after_start:
	.globl after_start
	hlt
	.size _start, . - _start

	.type with_cfi, @function
with_cfi:
	.cfi_startproc
	.globl cfi_entry, cfi_pushed, cfi_deep
cfi_entry:
	push	%rbx
	.cfi_def_cfa_offset 16
	.cfi_offset rbx, -16
cfi_pushed:
	push	%r12
	.cfi_def_cfa_offset 24
	.cfi_offset r12, -24
	sub	$24, %rsp
	.cfi_def_cfa_offset 48
cfi_deep:
	nop
	ret
	.cfi_endproc
	.size with_cfi, . - with_cfi

/* CFA = *(rsp + 8), as code that has switched stacks says it. */
	.type with_expression, @function
with_expression:
	.cfi_startproc
	.cfi_escape 0x0f, 3, 0x77, 8, 0x06
	.globl expression_at
expression_at:
	nop
	ret
	.cfi_endproc
	.size with_expression, . - with_expression

	.type outermost, @function
outermost:
	.cfi_startproc
	.cfi_undefined rip
	nop
	ret
	.cfi_endproc
	.size outermost, . - outermost

	.type without_cfi, @function
without_cfi:
	push	%rbp
	mov	%rsp, %rbp
	.globl plain_body
plain_body:
	nop
	pop	%rbp
	ret
	.size without_cfi, . - without_cfi
	.section .note.GNU-stack, "", @progbits
