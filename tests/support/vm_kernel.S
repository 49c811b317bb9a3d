/* SPDX-License-Identifier: MIT */
/*
 * The smallest guest kernel that can run user code on several CPUs, for tests
 * of the monitor alone. One address space, the boot's own, with user pages at
 * 0x400000; every CPU runs the same user code with its index in rdi.
 *
 * User code calls the kernel with ud2 and a number in rax:
 *	0 done(rdi = code): the last CPU to say so ends the machine with code
 *	1 hypercall: rbx is the number, rdi rsi r8 r9 r10 the arguments,
 *	  verbatim; the result comes back in rax
 *	2 xsave of the user's state into the page at 0x410000, mask rdx:rdi
 *	3 xrstor from there, mask rdx:rdi
 *	4 triple fault
 *	5 rdi: the kernel loads 8 bytes from the user address rdi into rax
 *	6 panic
 * Any other exception is reported with CUSTOS_CALL_FAULT and ends the machine
 * with 0x80 + vector.
 */
/* abi/custos_abi.h; asserted in vm_kernel.c */
#define CUSTOS_PORT 0x6375
#define CUSTOS_CALL_EXIT 2
#define CUSTOS_CALL_PANIC 3
#define CUSTOS_CALL_PROCESS_START 4
#define CUSTOS_CALL_FAULT 8
#define DIRECT 0xffff800000000000
#define USER 0x400000
#define USER_PAGES 64
#define TEST_STACK 8192

#define INFO_CPU_COUNT 8
#define INFO_FREE_BASE 56
#define INFO_CPUS 96

	.section .rodata.vm_kernel, "a"
	.balign 4096
	.globl vm_kernel, vm_kernel_data, vm_kernel_end, vm_kernel_user
	.globl vm_kernel_flags
vm_kernel:
	mov %rdi, %r15			/* boot info */
	mov %rsi, %r14			/* cpu */
	/* stack: top of stacks[cpu] */
	lea stacks(%rip), %rax
	mov %r14, %rcx
	inc %rcx
	imul $TEST_STACK, %rcx
	lea (%rax, %rcx), %rsp
	mov %rsp, %r13

	test %r14, %r14
	jnz 2f
	call build_user
	call build_idt
	lea ready(%rip), %rax
	movl $1, (%rax)
	jmp 3f
2:	pause
	lea ready(%rip), %rax
	cmpl $0, (%rax)
	je 2b
3:
	/* a GDT of this CPU's own: its TSS */
	lea gdts(%rip), %rdi
	mov %r14, %rcx
	shl $7, %rcx
	add %rcx, %rdi
	movq $0, (%rdi)
	mov gdt_code(%rip), %rax
	mov %rax, 0x08(%rdi)
	mov gdt_code + 8(%rip), %rax
	mov %rax, 0x10(%rdi)
	mov gdt_code + 16(%rip), %rax
	mov %rax, 0x18(%rdi)
	mov gdt_code + 24(%rip), %rax
	mov %rax, 0x20(%rdi)
	lea tsss(%rip), %rax
	add %rcx, %rax
	mov %r13, 4(%rax)		/* rsp0 */
	movw $0x68, 102(%rax)
	mov %rax, %rdx
	mov %rax, %rbx
	and $0xffffff, %rbx
	shl $16, %rbx
	mov $0x0000890000000067, %rcx
	or %rcx, %rbx
	mov %rax, %rcx
	shr $24, %rcx
	and $0xff, %rcx
	shl $56, %rcx
	or %rcx, %rbx
	mov %rbx, 0x28(%rdi)
	shr $32, %rdx
	mov %rdx, 0x30(%rdi)
	sub $16, %rsp
	movw $0x37, 6(%rsp)
	mov %rdi, 8(%rsp)
	lgdt 6(%rsp)
	movw $0xfff, 6(%rsp)
	lea idt(%rip), %rax
	mov %rax, 8(%rsp)
	lidt 6(%rsp)
	mov $0x28, %eax
	ltr %ax

	/* who runs here */
	mov %r14, %rcx
	shl $6, %rcx
	movq $1, INFO_CPUS(%r15, %rcx)
	test %r14, %r14
	jnz 4f
	mov $1, %edi
	mov %cr3, %rsi
	xor %r8d, %r8d
	lea name(%rip), %r9
	call to_gpa
	mov $CUSTOS_CALL_PROCESS_START, %eax
	mov $CUSTOS_PORT, %edx
	out %eax, %dx
	lea started(%rip), %rax
	movl $1, (%rax)
4:	pause
	lea started(%rip), %rax
	cmpl $0, (%rax)
	je 4b

	/* to user code */
	mov %r13, %rsp
	pushq $0x1b
	mov %r14, %rcx
	shl $12, %rcx
	lea USER + 0x20000(%rcx), %rax	/* stack: pages 32.. */
	add $4096, %rax
	push %rax
	pushq vm_kernel_flags(%rip)
	pushq $0x23
	pushq $USER
	mov %r14, %rdi
	mov $0x1b, %eax
	mov %eax, %ds
	mov %eax, %es
	xor %eax, %eax
	xor %ebx, %ebx
	iretq

/* r9: address in our data -> gpa, by a walk of our tables */
to_gpa:
	push %rax
	push %rcx
	push %rdx
	mov %cr3, %rax
	mov $39, %ecx
1:	mov %r9, %rdx
	shr %cl, %rdx
	and $511, %edx
	mov $DIRECT, %r10
	add %r10, %rax
	mov (%rax, %rdx, 8), %rax
	mov $0x000ffffffffff000, %r10
	and %r10, %rax
	sub $9, %ecx
	cmp $12, %ecx
	jge 1b
	and $0xfff, %r9d
	add %rax, %r9
	pop %rdx
	pop %rcx
	pop %rax
	ret

/* user pages: tables at free_base, then USER_PAGES pages */
build_user:
	mov INFO_FREE_BASE(%r15), %rbx	/* gpa */
	mov $DIRECT, %r12
	lea (%rbx, %r12), %rdi		/* va */
	lea 0x1007(%rbx), %rax
	mov %rax, (%rdi)		/* pdpt[0] */
	lea 0x2007(%rbx), %rax
	mov %rax, 0x1000 + 16(%rdi)	/* pd[2]: 0x400000 */
	xor %ecx, %ecx
	lea 0x3067(%rbx), %rax
1:	mov %rax, 0x2000(%rdi, %rcx, 8)
	add $4096, %rax
	inc %ecx
	cmp $USER_PAGES, %ecx
	jb 1b
	mov %cr3, %rax
	add %r12, %rax
	lea 7(%rbx), %rcx
	mov %rcx, (%rax)		/* pml4[0] */
	/* user code: page 0 */
	lea 0x3000(%rdi), %rdi
	lea vm_kernel_user(%rip), %rsi
	mov $512, %ecx
	rep movsq
	ret

build_idt:
	lea idt(%rip), %rdi
	lea stubs(%rip), %rax
	mov $256, %ecx
1:	mov %ax, (%rdi)
	movw $8, 2(%rdi)
	movw $0x8e00, 4(%rdi)
	mov %rax, %rdx
	shr $16, %rdx
	mov %dx, 6(%rdi)
	shr $16, %rdx
	mov %edx, 8(%rdi)
	movl $0, 12(%rdi)
	add $16, %rdi
	add $16, %rax
	dec %ecx
	jnz 1b
	ret

	.balign 16
stubs:
	.set vector, 0
	.rept 256
	.balign 16
	.if (vector != 8) && (vector != 10) && (vector != 11) && \
		(vector != 12) && (vector != 13) && (vector != 14) && \
		(vector != 17) && (vector != 21)
	pushq $0
	.endif
	pushq $vector
	jmp trap
	.set vector, vector + 1
	.endr

/* stack: vector error rip cs rflags rsp ss; push the rest in hardware order */
trap:
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
	push %rsp
	push %rbx
	push %rdx
	push %rcx
	push %rax
	cmpq $6, 128(%rsp)
	jne fault
	cmpq $0x23, 128 + 24(%rsp)
	jne fault
	addq $2, 128 + 16(%rsp)
	cmp $7, %rax
	jae fault
	lea table(%rip), %rcx
	movslq (%rcx, %rax, 4), %rax
	add %rcx, %rax
	jmp *%rax
table:	.long done - table, hypercall - table, save - table, restore - table
	.long triple - table, peek - table, panic - table

return:
	mov %rax, (%rsp)
	pop %rax
	pop %rcx
	pop %rdx
	pop %rbx
	add $8, %rsp
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

done:
	lea finished(%rip), %rcx
	mov $1, %eax
	lock xadd %eax, (%rcx)
	inc %eax
	lea info(%rip), %rcx
	mov $DIRECT, %r15
	cmp vm_kernel_cpus(%rip), %eax
	jae 1f
	/* not the last: sleep for good */
2:	cli
	hlt
	jmp 2b
1:	mov $CUSTOS_CALL_EXIT, %eax
	mov $CUSTOS_PORT, %edx
	out %eax, %dx
	ud2

hypercall:
	mov %rbx, %rax
	mov $CUSTOS_PORT, %edx
	out %eax, %dx
	jmp return

save:
	mov %rdi, %rax
	mov $0x410000, %edi
	xsave64 (%rdi)
	xor %eax, %eax
	jmp return

restore:
	mov %rdi, %rax
	mov $0x410000, %edi
	xrstor64 (%rdi)
	xor %eax, %eax
	jmp return

triple:
	sub $16, %rsp
	movw $0, 6(%rsp)
	lidt 6(%rsp)
	ud2

peek:
	mov (%rdi), %rax
	jmp return

panic:
	lea message(%rip), %r9
	call to_gpa
	mov %r9, %rdi
	mov $message_end - message, %esi
	mov $CUSTOS_CALL_PANIC, %eax
	mov $CUSTOS_PORT, %edx
	out %eax, %dx
	ud2

fault:
	/* a custos_fault_report in our data */
	lea report(%rip), %rdi
	mov %rsp, %rsi
	mov $16, %ecx
	rep movsq
	mov 128 + 40(%rsp), %rax	/* user rsp */
	mov %rax, report + 32(%rip)
	mov 128 + 16(%rsp), %rax
	mov %rax, report + 128(%rip)	/* rip */
	mov 128 + 32(%rsp), %rax
	mov %rax, report + 136(%rip)	/* rflags */
	mov 128(%rsp), %rbx
	mov %rbx, report + 144(%rip)	/* vector */
	mov 128 + 8(%rsp), %rax
	mov %rax, report + 152(%rip)	/* error code */
	mov %cr2, %rax
	mov %rax, report + 160(%rip)
	mov %cr3, %rax
	mov %rax, report + 168(%rip)
	lea report(%rip), %r9
	call to_gpa
	mov %r9, %rsi
	mov $1, %edi
	mov $CUSTOS_CALL_FAULT, %eax
	mov $CUSTOS_PORT, %edx
	out %eax, %dx
	lea 0x80(%rbx), %edi
	mov $CUSTOS_CALL_EXIT, %eax
	out %eax, %dx
	ud2

	.balign 8
gdt_code:
	.quad 0x00af9b000000ffff	/* 0x08 kernel code */
	.quad 0x00cf93000000ffff	/* 0x10 kernel data */
	.quad 0x00cff3000000ffff	/* 0x18 user data */
	.quad 0x00affb000000ffff	/* 0x20 user code */

	.balign 4096
vm_kernel_data:
ready:	.long 0
started: .long 0
finished: .long 0
	.globl vm_kernel_cpus
vm_kernel_cpus: .long 1
	.balign 8
vm_kernel_flags: .quad 0x002		/* user RFLAGS; the test sets IF */
info:	.quad 0
name:	.asciz "test"
	.fill 27, 1, 0
message: .ascii "the test asked for it"
message_end:
	.balign 64
report:	.fill 22, 8, 0
	.balign 128
gdts:	.fill 16 * 128, 1, 0
tsss:	.fill 16 * 128, 1, 0
	.balign 4096
idt:	.fill 4096, 1, 0
vm_kernel_user: .fill 4096, 1, 0	/* copied to user page 0 */
stacks:	.fill 16 * TEST_STACK, 1, 0
	.balign 4096
vm_kernel_end:
	.section .note.GNU-stack, "", @progbits
