/* SPDX-License-Identifier: MIT */
/*
 * The ways into the kernel and the one way out. A trap from user mode pushes
 * straight into the process (TSS.rsp0 is the end of its frame), so switching
 * processes copies nothing. What comes before the stack is switched (an NMI, or
 * an event that a nested machine delivers a second time: see trap.c) pushes
 * below the frame, where there is room. Every instruction here counts: see
 * machine.h.
 */
#define CPU_SIZE 16384
#define CPU_USER_RSP 0
#define CPU_TSS_RSP0 16
#define FRAME_CS 152 /* offset in struct frame */
#define FRAME_SIZE 184
#define PROCESS_FRAME 776
#define USER_DATA 0x1b
#define USER_CODE 0x23
#define VECTOR_SYSCALL 0x100
/* One bit per vector: 8, 10 to 14, 17, 21, 29, 30 (SDM vol. 3, 6.3.1). */
#define HAS_ERROR_CODE 0x60227d00

	.section .text.entry, "ax"

/* rdi = boot info, rsi = cpu index. */
	.globl kernel_start
kernel_start:
	mov %rsi, %rsp
	inc %rsp
	shl $14, %rsp
	add $cpu_blocks, %rsp
	xor %ebp, %ebp
	cld
	call kernel_main
	ud2

	.macro VECTOR number, has_error
vector_\number:
	.if !\has_error
	push $0
	.endif
	push $\number
	jmp trap_common
	.endm

	.globl entry_vectors
entry_vectors:
	.altmacro
	.set i, 0
	.rept 32
	.if (HAS_ERROR_CODE >> i) & 1
	VECTOR %i, 1
	.else
	VECTOR %i, 0
	.endif
	.set i, i + 1
	.endr

	.globl vector_timer, vector_ipi, vector_spurious
vector_timer:
	push $0
	push $0xf0
	jmp trap_common
vector_ipi:
	push $0
	push $0xf1
	jmp trap_common
vector_spurious:
	push $0
	push $0xff
	jmp trap_common
	.globl entry_vectors_end
entry_vectors_end:

/*
 * Reached at CPL 0 where SYSCALL works as the manual says. Elsewhere the jump
 * here is made at CPL 3 and faults: trap.c knows such a fault by its address.
 */
	.globl syscall_entry
syscall_entry:
	swapgs
	mov %rsp, %gs:CPU_USER_RSP
	mov %gs:CPU_TSS_RSP0, %rsp
	push $USER_DATA
	push %gs:CPU_USER_RSP
	push %r11
	push $USER_CODE
	push %rcx
	push $0
	push $VECTOR_SYSCALL
	swapgs

trap_common:
	cld
	push %r15
	push %r14
	push %r13
	push %r12
	push %r11
	push %r10
	push %r9
	push %r8
	push %rdi
	push %rsi
	push %rbp
	push %rsp /* keeps hardware order; the real one is above */
	push %rbx
	push %rdx
	push %rcx
	push %rax
	testb $3, FRAME_CS(%rsp)
	jz trap_from_kernel
	lea -PROCESS_FRAME(%rsp), %rdi
	mov FRAME_SIZE(%rsp), %rsp /* process->kernel_stack */
	xor %ebp, %ebp
	call trap_user

/* rax = the process to run. */
	lea PROCESS_FRAME(%rax), %rsp
pop_frame:
	pop %rax
	pop %rcx
	pop %rdx
	pop %rbx
	pop %rbp
	pop %rbp
	pop %rsi
	pop %rdi
	pop %r8
	pop %r9
	pop %r10
	pop %r11
	pop %r12
	pop %r13
	pop %r14
	pop %r15
	add $16, %rsp
	iretq

/* Backtraces go on from here to what was interrupted: where in the frame its
 * registers are, for debuggers only. */
	.cfi_sections .debug_frame
trap_from_kernel:
	.cfi_startproc
	.cfi_signal_frame
	.cfi_def_cfa %rsp, FRAME_SIZE
	.cfi_offset %rbx, 24 - FRAME_SIZE
	.cfi_offset %rbp, 40 - FRAME_SIZE
	.cfi_offset %r12, 96 - FRAME_SIZE
	.cfi_offset %r13, 104 - FRAME_SIZE
	.cfi_offset %r14, 112 - FRAME_SIZE
	.cfi_offset %r15, 120 - FRAME_SIZE
	.cfi_offset %rip, 144 - FRAME_SIZE
	.cfi_offset %rsp, 168 - FRAME_SIZE
	mov %rsp, %rdi
	sub $8, %rsp
	.cfi_adjust_cfa_offset 8
	call trap_kernel
	add $8, %rsp
	.cfi_adjust_cfa_offset -8
	jmp pop_frame
	.cfi_endproc

/* void entry_resume(struct process *): leave the kernel for the first time. */
	.globl entry_resume
entry_resume:
	lea PROCESS_FRAME(%rdi), %rsp
	jmp pop_frame

	.section .rodata
	.globl vector_stubs
	.balign 8
	.macro VECTOR_ADDRESS number
	.quad vector_\number
	.endm
vector_stubs:
	.set i, 0
	.rept 32
	VECTOR_ADDRESS %i
	.set i, i + 1
	.endr

	.section .note.GNU-stack, "", @progbits
