/* SPDX-License-Identifier: MIT */
	.section .rodata
	.balign 16
	.globl system_program_elf, system_program_elf_end
system_program_elf:
	.incbin SYSTEM_ELF
system_program_elf_end:
	.section .note.GNU-stack, "", @progbits
