/* SPDX-License-Identifier: MIT */
/* What the kernel must not lose, and registers it must not trust. */
#include "tests.h"

#define ROUNDS 60
#define YMM_SIZE 32

static bool have_avx(void)
{
	uint32_t a = 1, b, c = 0, d, low, high;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if (!(c & 1u << 27)) /* OSXSAVE */
		return false;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (low & 6) == 6 && (c & 1u << 28);
}

/* Load a pattern, spin for a while, look whether it is still there. */
static bool keeps_vectors(const uint8_t *pattern, bool avx)
{
	uint8_t seen[YMM_SIZE];
	size_t size = avx ? YMM_SIZE : YMM_SIZE / 2;

	memset(seen, 0, sizeof(seen));
	if (avx)
		__asm__ volatile("vmovdqu (%0), %%ymm7\n\t"
				 "mov $2000000, %%ecx\n"
				 "1: dec %%ecx; jnz 1b\n\t"
				 "vmovdqu %%ymm7, (%1)\n\tvzeroupper"
				 :
				 : "r"(pattern), "r"(seen)
				 : "rcx", "xmm7", "memory");
	else
		__asm__ volatile("movdqu (%0), %%xmm7\n\t"
				 "mov $2000000, %%ecx\n"
				 "1: dec %%ecx; jnz 1b\n\t"
				 "movdqu %%xmm7, (%1)"
				 :
				 : "r"(pattern), "r"(seen)
				 : "rcx", "xmm7", "memory");
	return !memcmp(seen, pattern, size);
}

static int role_vectors(const char *argument)
{
	uint32_t mxcsr = 0x1f80 | (uint32_t)parse_number(argument) << 13;
	uint32_t now = 0;
	uint8_t pattern[YMM_SIZE];
	unsigned i;

	memset(pattern, (int)parse_number(argument) + 0x40, sizeof(pattern));
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	for (i = 0; i < ROUNDS; i++)
		if (!keeps_vectors(pattern, have_avx()))
			return 1;
	__asm__ volatile("stmxcsr %0" : "=m"(now));
	return (now & ~0x3fu) != (mxcsr & ~0x3fu);
}

static int role_fs(const char *argument)
{
	static uint64_t block[2];
	uint64_t seen, i;

	block[0] = parse_number(argument);
	if (custos_process_set_fs_base(cap_find("self"), (uint64_t)block))
		return 1;
	for (i = 0; i < 20; i++) {
		yield();
		__asm__ volatile("mov %%fs:0, %0" : "=r"(seen));
		if (seen != block[0])
			return 2;
	}
	return 0;
}

/* Every register the ABI promises to keep; direction and alignment flags. */
static bool call_keeps_registers(void)
{
	uint64_t ok;

	__asm__ volatile("mov $0x1111, %%rbx; mov $0x2222, %%r12\n\t"
			 "mov $0x3333, %%r13; mov $0x4444, %%r14\n\t"
			 "mov $0x5555, %%r15; mov $0x6666, %%r9\n\t"
			 "mov $0x7777, %%r8; mov $0x8888, %%r10\n\t"
			 "mov $0x9999, %%rdx; mov $0xaaaa, %%rsi\n\t"
			 "mov $-1, %%rax; mov $0, %%edi; stc; std\n\t"
			 "syscall\n\t"
			 "pushf; cld; pop %%rcx; and $0x401, %%ecx\n\t"
			 "sub $0x401, %%rcx; sub $0x1111, %%rbx\n\t"
			 "sub $0x2222, %%r12; sub $0x3333, %%r13\n\t"
			 "sub $0x4444, %%r14; sub $0x5555, %%r15\n\t"
			 "sub $0x6666, %%r9; sub $0x7777, %%r8\n\t"
			 "sub $0x8888, %%r10; sub $0x9999, %%rdx\n\t"
			 "sub $0xaaaa, %%rsi; or %%rdi, %%rcx\n\t"
			 "or %%rbx, %%rcx; or %%r12, %%rcx; or %%r13, %%rcx\n\t"
			 "or %%r14, %%rcx; or %%r15, %%rcx; or %%r9, %%rcx\n\t"
			 "or %%r8, %%rcx; or %%r10, %%rcx; or %%rdx, %%rcx\n\t"
			 "or %%rsi, %%rcx"
			 : "=c"(ok)
			 :
			 : "rax", "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10",
			 "r11", "r12", "r13", "r14", "r15", "memory", "cc");
	return ok == 0;
}

static void calls_keep_registers(void)
{
	EXPECT(true, call_keeps_registers());
}

static void vectors_survive_preemption(void)
{
	uint32_t a = test_child("vectors", "1", 0, 0);
	uint32_t b = test_child("vectors", "2", 0, 0);
	uint32_t c = test_child("vectors", "3", 0, 0);

	EXPECT(0, wait_exit(a));
	EXPECT(0, wait_exit(b));
	EXPECT(0, wait_exit(c));
}

static void fs_base_survives_switches(void)
{
	uint32_t a = test_child("fs", "0x111", 0, 0);
	uint32_t b = test_child("fs", "0x222", 0, 0);

	EXPECT(0, wait_exit(a));
	EXPECT(0, wait_exit(b));
	EXPECT(-CUSTOS_E_REQUEST, custos_process_set_fs_base(cap_find("self"),
					  CUSTOS_KERNEL_BASE));
}

#define WILD(name, code)                                                       \
	static void name(void)                                                 \
	{                                                                      \
		__asm__ volatile(code "\n\tud2");                              \
	}

#define NOWHERE "mov $0x8000000000001234, %rax; "

WILD(no_stack, "mov $0x8000000000001234, %rsp; mov $-1, %rax; syscall")
WILD(push_nowhere, "mov $0x8000000000001234, %rsp; push %rax")
WILD(jump_nowhere, NOWHERE "jmp *%rax")
WILD(return_nowhere, NOWHERE "push %rax; ret")
WILD(jump_kernel, "mov $0xffffffff80000000, %rax; jmp *%rax")
WILD(jump_last, "mov $0x7ffffffffffe, %rax; jmp *%rax")
WILD(flags, "mov $-1, %rax; pushq $0x244dd7; popf; syscall")
WILD(trap_flag, "mov $-1, %rax; pushq $0x302; popf; syscall")
WILD(software_interrupt, "int $0x80")
WILD(interrupts_off, "cli")
WILD(load_cr3, "mov %rax, %cr3")
WILD(write_msr, "xor %ecx, %ecx; wrmsr")
WILD(port, "outl %eax, %dx")
WILD(bad_selector, "mov $0x63, %eax; mov %eax, %ds")
WILD(null_selectors,
	"xor %eax, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %fs; "
	"mov %eax, %gs; mov $-1, %rax; syscall")

static void (*const wild[])(void) = {no_stack, push_nowhere, jump_nowhere,
	return_nowhere, jump_kernel, jump_last, flags, trap_flag,
	software_interrupt, interrupts_off, load_cr3, write_msr, port,
	bad_selector, null_selectors};

#define WILD_MAX (sizeof(wild) / sizeof(wild[0]))

static int role_wild(const char *argument)
{
	uint64_t i = parse_number(argument);

	if (i < WILD_MAX)
		wild[i]();
	return 0;
}

static void wild_registers_hurt_only_the_process(void)
{
	char number[8];
	size_t i;

	for (i = 0; i < WILD_MAX; i++) {
		int64_t code;

		snprintf(number, sizeof(number), "%zu", i);
		code = test_run_child("wild", number);
		if (code != CUSTOS_EXIT_MEMORY && code != CUSTOS_EXIT_TRAP)
			EXPECT(CUSTOS_EXIT_ILLEGAL, code);
	}
}

const struct role state_roles[] = {
	{"vectors", role_vectors},
	{"fs", role_fs},
	{"wild", role_wild},
	{NULL, NULL},
};

const struct test state_tests[] = {
	{"calls_keep_registers", calls_keep_registers},
	{"vectors_survive_preemption", vectors_survive_preemption},
	{"fs_base_survives_switches", fs_base_survives_switches},
	{"wild_registers_hurt_only_the_process",
		wild_registers_hurt_only_the_process},
	{NULL, NULL},
};
