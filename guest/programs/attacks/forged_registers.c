/* SPDX-License-Identifier: MIT */
/*
 * The attack: a process that controls another loads it with registers that
 * would make the CPU run it in the kernel, with interrupts off, with port
 * access, at addresses that are none; and user code tries by itself what only
 * the kernel may, hypercalls among it.
 */
#include "attack.h"

#define ALL_FLAGS UINT64_C(0xffffffffffffffff)
#define IOPL UINT64_C(0x3000)

static int role_victim(uint64_t argument)
{
	(void)argument;
	return 1;
}

static const struct custos_regs forged[] = {
	{.rip = CUSTOS_KERNEL_BASE},
	{.rip = CUSTOS_DIRECT_BASE + CUSTOS_RAM_BASE},
	{.rip = UINT64_C(0x800000000000)},
	{.rip = UINT64_MAX, .rflags = ALL_FLAGS},
	{.rip = UINT64_C(1) << 63, .gpr = {[4] = UINT64_C(1) << 63}},
	{.rip = CUSTOS_USER_END, .gpr = {[4] = CUSTOS_KERNEL_BASE}},
};

static void load(const struct custos_regs *regs)
{
	uint32_t victim = attack_start_new("victim", 0, NULL, 0);

	EXPECT(0, custos_process_set_regs(victim, (uint64_t)regs));
	EXPECT(0, custos_process_resume(victim, 0));
	EXPECT(CUSTOS_EXIT_MEMORY, wait_exit(victim));
}

/* Flags a process may not have are not there. */
static void load_flags(void)
{
	uint32_t victim = attack_start_new("victim", 0, NULL, 0);
	struct custos_regs regs;

	EXPECT(0, custos_process_get_regs(victim, (uint64_t)&regs));
	regs.rflags |= ALL_FLAGS & ~UINT64_C(0x40100); /* AC, TF: faults */
	EXPECT(0, custos_process_set_regs(victim, (uint64_t)&regs));
	EXPECT(0, custos_process_get_regs(victim, (uint64_t)&regs));
	EXPECT(0, regs.rflags & IOPL);
	EXPECT(0x202, regs.rflags & 0x202);
	EXPECT(0, regs.rflags & UINT64_C(0xffffffffffd80000));
	regs.fs_base = CUSTOS_KERNEL_BASE;
	EXPECT(-CUSTOS_E_REQUEST,
		custos_process_set_regs(victim, (uint64_t)&regs));
	EXPECT(0, custos_process_kill(victim, 4));
	EXPECT(4, wait_exit(victim));
}

/* A hypercall with arguments that would do something. */
static int role_caller(uint64_t argument)
{
	uint64_t rax = argument;

	__asm__ volatile("outl %%eax, %%dx"
			 : "+a"(rax)
			 : "d"(CUSTOS_PORT), "D"(CUSTOS_RAM_BASE), "S"(16UL)
			 : "memory");
	return 1;
}

static int role_instruction(uint64_t argument)
{
	switch (argument) {
	case 0:
		__asm__ volatile("hlt");
		break;
	case 1:
		__asm__ volatile("lgdt (%%rsp)" : : : "memory");
		break;
	case 2:
		__asm__ volatile("swapgs");
		break;
	case 3:
		__asm__ volatile("sysretq" : : "c"(CUSTOS_KERNEL_BASE));
		break;
	case 4:
		__asm__ volatile("invlpg (%%rsp)" : : : "memory");
		break;
	default:
		return (int)*(volatile uint64_t *)(CUSTOS_DIRECT_BASE +
						   CUSTOS_RAM_BASE);
	}
	return 1;
}

void attack(void)
{
	uint32_t i, child;

	for (i = 0; i < sizeof(forged) / sizeof(forged[0]); i++)
		load(&forged[i]);
	load_flags();
	for (i = 1; i < CUSTOS_CALL_MAX; i++) {
		child = attack_start("caller", i, NULL, 0);
		EXPECT(CUSTOS_EXIT_MEMORY, wait_exit(child));
	}
	for (i = 0; i < 6; i++) {
		int64_t code;

		child = attack_start("instruction", i, NULL, 0);
		code = wait_exit(child);
		EXPECT(true, code == CUSTOS_EXIT_MEMORY ||
				     code == CUSTOS_EXIT_ILLEGAL);
	}
	EXPECT(-CUSTOS_E_BUSY, custos_process_set_regs(cap_find("self"), 0));
}

const struct attack_role attack_roles[] = {
	{"victim", role_victim},
	{"caller", role_caller},
	{"instruction", role_instruction},
	{NULL, NULL},
};
