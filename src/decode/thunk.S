/* SPDX-License-Identifier: MIT */
/*
 * Running one instruction with somebody else's registers. rsp stays ours all
 * the time (rewrite.c sees to it that no displaced instruction names it), fs
 * and gs are not touched. Flags other than the arithmetic ones and AC are never
 * loaded. With AC set our own accesses must be aligned: rsp is a multiple of
 * 8, everything we touch is.
 */
	.text

#define FRAME_FLAGS 128
#define FRAME_CODE 136
#define FRAME_XIN 144
#define FRAME_XOUT 152
#define FRAME_XMASK 160
#define FLAG_AC 0x40000

/* Stack while the instruction runs: */
#define STACK_CODE 0 /* where to jump; then a spare word */
#define STACK_FRAME 8
#define STACK_MXCSR 16
#define STACK_FCW 20
#define STACK_SIZE 32

.macro enter_thunk
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	subq	$(STACK_SIZE + 8), %rsp
	movq	%rdi, STACK_FRAME(%rsp)
	movq	FRAME_CODE(%rdi), %rax
	movq	%rax, STACK_CODE(%rsp)
.endm

.macro load_registers
	pushq	FRAME_FLAGS(%rdi)
	popfq
	movq	0(%rdi), %rax
	movq	8(%rdi), %rcx
	movq	16(%rdi), %rdx
	movq	24(%rdi), %rbx
	movq	40(%rdi), %rbp
	movq	48(%rdi), %rsi
	movq	64(%rdi), %r8
	movq	72(%rdi), %r9
	movq	80(%rdi), %r10
	movq	88(%rdi), %r11
	movq	96(%rdi), %r12
	movq	104(%rdi), %r13
	movq	112(%rdi), %r14
	movq	120(%rdi), %r15
	movq	56(%rdi), %rdi
.endm

.macro save_registers
	movq	%rdi, STACK_CODE(%rsp)
	movq	STACK_FRAME(%rsp), %rdi
	movq	%rax, 0(%rdi)
	movq	%rcx, 8(%rdi)
	movq	%rdx, 16(%rdi)
	movq	%rbx, 24(%rdi)
	movq	%rbp, 40(%rdi)
	movq	%rsi, 48(%rdi)
	movq	%r8, 64(%rdi)
	movq	%r9, 72(%rdi)
	movq	%r10, 80(%rdi)
	movq	%r11, 88(%rdi)
	movq	%r12, 96(%rdi)
	movq	%r13, 104(%rdi)
	movq	%r14, 112(%rdi)
	movq	%r15, 120(%rdi)
	movq	STACK_CODE(%rsp), %rax
	movq	%rax, 56(%rdi)
	pushfq
	popq	%rax
	movq	%rax, FRAME_FLAGS(%rdi)
	testl	$FLAG_AC, %eax
	jz	1f
	pushq	$2
	popfq
1:
.endm

.macro leave_thunk
	addq	$(STACK_SIZE + 8), %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret
.endm

	.globl	thunk_run
	.type	thunk_run, @function
thunk_run:
	enter_thunk
	load_registers
	jmp	*STACK_CODE(%rsp)
	.size	thunk_run, . - thunk_run

	.globl	thunk_exit
	.type	thunk_exit, @function
thunk_exit:
	save_registers
	leave_thunk
	.size	thunk_exit, . - thunk_exit

	.globl	thunk_run_xstate
	.type	thunk_run_xstate, @function
thunk_run_xstate:
	enter_thunk
	stmxcsr	STACK_MXCSR(%rsp)
	fnstcw	STACK_FCW(%rsp)
	movl	FRAME_XMASK(%rdi), %eax
	movl	FRAME_XMASK + 4(%rdi), %edx
	movq	FRAME_XIN(%rdi), %rcx
	xrstor64 (%rcx)
	load_registers
	jmp	*STACK_CODE(%rsp)
	.size	thunk_run_xstate, . - thunk_run_xstate

/* The guest's x87 and SSE state may have any exception unmasked or pending:
 * only instructions that do not wait until ours is back. */
	.globl	thunk_exit_xstate
	.type	thunk_exit_xstate, @function
thunk_exit_xstate:
	save_registers
	movl	FRAME_XMASK(%rdi), %eax
	movl	FRAME_XMASK + 4(%rdi), %edx
	movq	FRAME_XOUT(%rdi), %rcx
	xsave64	(%rcx)
	fninit
	fldcw	STACK_FCW(%rsp)
	ldmxcsr	STACK_MXCSR(%rsp)
	testl	$4, FRAME_XMASK(%rdi)
	jz	2f
	vzeroupper
2:
	leave_thunk
	.size	thunk_exit_xstate, . - thunk_exit_xstate

/* Signal handlers start with the interrupted code's AC, and C code makes
 * unaligned accesses. */
	.globl	trap_entry
	.type	trap_entry, @function
trap_entry:
	pushfq
	andq	$~FLAG_AC, (%rsp)
	popfq
	jmp	trap_handler
	.size	trap_entry, . - trap_entry

	.section .note.GNU-stack, "", @progbits
