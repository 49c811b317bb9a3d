/* SPDX-License-Identifier: MIT */
	.section .rodata
	.balign 16
	.globl vmm_kernel_elf, vmm_kernel_elf_end
vmm_kernel_elf:
#ifdef KERNEL_ELF /* not yet on a tree without guest/kernel */
	.incbin KERNEL_ELF
#endif
vmm_kernel_elf_end:
	.section .note.GNU-stack, "", @progbits
