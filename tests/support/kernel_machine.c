/* SPDX-License-Identifier: MIT */
#include "tests/support/kernel_machine.h"

#include <stdlib.h>
#include <string.h>

#include "abi/custos_calls.h"
#include "guest/kernel/bank.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/frame.h"
#include "guest/kernel/keep.h"
#include "guest/kernel/machine.h"
#include "guest/kernel/process.h"
#include "guest/kernel/sched.h"
#include "tests/support/tests.h"

#define BASE CUSTOS_RAM_BASE
#define RESERVED_PAGES 16 /* boot info, program, kernel's tables */
#define RAM_DEFAULT (UINT64_C(8) << 20)
#define TSC_KHZ 1000000

struct kernel_machine kernel_machine;

/* ---- guest/kernel/machine.h ---- */

void *machine_direct(uint64_t gpa)
{
	assert_true(gpa - BASE < kernel_machine.ram_size);
	return kernel_machine.ram + (gpa - BASE);
}

uint64_t machine_gpa(const void *pointer)
{
	uint64_t offset =
		(uint64_t)((const uint8_t *)pointer - kernel_machine.ram);

	/* The kernel's own variables have no place in this RAM. */
	return offset < kernel_machine.ram_size ? BASE + offset : 0;
}

/* Without a hook no instruction can be carried out. */
static int64_t emulate(struct custos_emulate *emulate)
{
	emulate->result = CUSTOS_EMULATE_CANNOT;
	emulate->stepped_count = 0;
	if (kernel_machine.emulate)
		kernel_machine.emulate(emulate);
	return 0;
}

int64_t machine_hypercall(enum custos_call call, uint64_t a, uint64_t b,
	uint64_t c, uint64_t d, uint64_t e)
{
	assert_true(call < CUSTOS_CALL_MAX);
	assert_int_not_equal(call, CUSTOS_CALL_PANIC);
	kernel_machine.hypercalls[call]++;
	if (call == CUSTOS_CALL_EXIT) {
		kernel_machine.exit_code = a;
		assert_non_null(kernel_machine.exited);
		longjmp(*kernel_machine.exited, 1);
	}
	if (call == CUSTOS_CALL_EMULATE)
		return emulate(machine_direct(a));
	if (kernel_machine.hypercall)
		return kernel_machine.hypercall(call, a, b, c, d, e);
	return 0;
}

void machine_zero(void *to, size_t size)
{
	memset(to, 0, size);
}

void machine_copy(void *to, const void *from, size_t size)
{
	if (size)
		memmove(to, from, size);
}

unsigned machine_table_next(const uint64_t *table, unsigned from)
{
	while (from < 512 && !table[from])
		from++;
	return from;
}

void machine_set_cr3(uint64_t cr3)
{
	kernel_machine.cr3 = cr3;
	if (kernel_machine.flush)
		kernel_machine.flush(UINT64_MAX);
}

uint64_t machine_cr3(void)
{
	return kernel_machine.cr3;
}

uint64_t machine_cr2(void)
{
	return kernel_machine.cr2;
}

uint64_t machine_syscall_entry(void)
{
	return CUSTOS_KERNEL_BASE;
}

uint64_t machine_leave_halt(uint64_t rip)
{
	return rip;
}

bool machine_is_vector_entry(uint64_t rip)
{
	(void)rip;
	return false;
}

/* Time passes when it is looked at, and a lot of it in machine_halt. */
uint64_t machine_tsc(void)
{
	return kernel_machine.tsc += 1000;
}

void machine_halt(void)
{
	kernel_machine.tsc += UINT64_C(1) << 40;
}

void machine_flush_page(uint64_t va)
{
	if (kernel_machine.flush)
		kernel_machine.flush(va);
}

void machine_set_fs_base(uint64_t address)
{
	(void)address;
}

void machine_xsave(void *area, uint64_t xcr0)
{
	(void)area;
	(void)xcr0;
}

void machine_xrstor(const void *area, uint64_t xcr0)
{
	(void)area;
	(void)xcr0;
}

void machine_timer_arm(uint64_t ns)
{
	(void)ns;
}

void machine_eoi(void)
{
}

void machine_ipi(uint32_t apic_id)
{
	(void)apic_id;
}

void machine_pause(void)
{
}

/* ---- a booted kernel ---- */

static void fill_boot_info(struct custos_boot_info *info)
{
	struct custos_segment *segment = &info->modules[0].segments[0];

	boot_info = info;
	info->magic = CUSTOS_ABI_MAGIC;
	info->abi_version = CUSTOS_ABI_VERSION;
	info->cpu_count = 1;
	info->module_count = 1;
	info->xsave_size = 2696;
	info->tsc_khz = TSC_KHZ;
	info->ram_base = BASE;
	info->ram_size = kernel_machine.ram_size;
	info->free_base = BASE + RESERVED_PAGES * PAGE_SIZE;
	info->free_size = kernel_machine.ram_size - RESERVED_PAGES * PAGE_SIZE;
	info->kept_map = BASE + (RESERVED_PAGES - 1) * PAGE_SIZE;
	strcpy(info->modules[0].name, "test");
	info->modules[0].entry = KERNEL_PROGRAM;
	info->modules[0].segment_count = 1;
	segment->va = KERNEL_PROGRAM;
	segment->mem_size = 4 * PAGE_SIZE;
	segment->flags = CUSTOS_SEGMENT_READ | CUSTOS_SEGMENT_WRITE;
}

void kernel_setup_ram(uint64_t ram_size)
{
	struct cpu *cpu = cpu_get(0);

	memset(&kernel_machine, 0, sizeof(kernel_machine));
	kernel_machine.ram_size = ram_size;
	kernel_machine.block = calloc(1, ram_size + PAGE_SIZE);
	assert_non_null(kernel_machine.block);
	/* Pages begin at pages here, too. */
	kernel_machine.ram = (void *)(((uintptr_t)kernel_machine.block +
					      PAGE_MASK) &
				      ~PAGE_MASK);
	fill_boot_info(machine_direct(BASE));
	kernel_machine.cr3 = BASE + (RESERVED_PAGES - 2) * PAGE_SIZE;
	frame_init(
		boot_info->free_base, boot_info->free_size, process_frames());
	space_init_kernel();
	memset(cpu, 0, sizeof(*cpu));
	cpu->scratch = machine_direct(frame_take(FRAME_KERNEL, true));
	cpu->cr3 = kernel_machine.cr3;
	list_init(&cpu->ready);
	list_init(&cpu->sleepers);
	sched_init();
	lock_init();
	bank_init();
}

void kernel_setup(void)
{
	kernel_setup_ram(RAM_DEFAULT);
}

void kernel_teardown(void)
{
	free(kernel_machine.block);
}

int kernel_test_setup(void **state)
{
	(void)state;
	kernel_setup();
	return 0;
}

int kernel_test_teardown(void **state)
{
	(void)state;
	kernel_teardown();
	return 0;
}
