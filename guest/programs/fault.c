/* SPDX-License-Identifier: MIT */
/*
 * fault [KIND]: do something a program may not do. The process ends with a
 * report and the exit code beside the kind; the kernel goes on.
 */
#include <custos/guest.h>

static const char constant[] = "constant";

static void null(void)
{
	*(volatile int *)0 = 1;
}

static void divide(void)
{
	__asm__ volatile("xor %%ecx, %%ecx; div %%ecx"
			 :
			 : "a"(1), "d"(0)
			 : "rcx");
}

static void jump(void)
{
	((void (*)(void))0x123450)();
}

static void undefined(void)
{
	__asm__ volatile("ud2");
}

static void readonly(void)
{
	*(volatile char *)constant = 'C';
}

static void data(void)
{
	static uint8_t ret_insn[] = {0xc3};

	((void (*)(void))ret_insn)();
}

static void kernel(void)
{
	printf("%lx\n", *(volatile uint64_t *)CUSTOS_KERNEL_BASE);
}

static void privileged(void)
{
	__asm__ volatile("hlt");
}

static void breakpoint(void)
{
	__asm__ volatile("int3");
}

static void step(void)
{
	__asm__ volatile("pushf; orq $0x100, (%rsp); popf; nop; nop");
}

static void stack(void)
{
	__asm__ volatile("mov $0x123000, %rsp; push %rax");
}

/* Not a fault, but no way out either: the machine ends. */
static void stuck(void)
{
	struct custos_message message = {0};

	message_receive((uint32_t)endpoint_create(), &message);
}

static const struct {
	const char *name;
	void (*run)(void);
	int code;
} kinds[] = {
	{"null", null, CUSTOS_EXIT_MEMORY},
	{"divide", divide, CUSTOS_EXIT_ARITHMETIC},
	{"jump", jump, CUSTOS_EXIT_MEMORY},
	{"undefined", undefined, CUSTOS_EXIT_ILLEGAL},
	{"readonly", readonly, CUSTOS_EXIT_MEMORY},
	{"data", data, CUSTOS_EXIT_MEMORY},
	{"kernel", kernel, CUSTOS_EXIT_MEMORY},
	{"privileged", privileged, CUSTOS_EXIT_MEMORY},
	{"breakpoint", breakpoint, CUSTOS_EXIT_TRAP},
	{"step", step, CUSTOS_EXIT_TRAP},
	{"stack", stack, CUSTOS_EXIT_MEMORY},
	{"stuck", stuck, CUSTOS_EXIT_STUCK},
};

int main(int argc, char **argv)
{
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (argc < 2)
			printf("%s %d\n", kinds[i].name, kinds[i].code);
		else if (!strcmp(argv[1], kinds[i].name))
			kinds[i].run();
	}
	return argc < 2 ? 0 : 1;
}
