/* SPDX-License-Identifier: MIT */
/* The order in which the kernel comes up. */
#include "bank.h"
#include "cpu.h"
#include "frame.h"
#include "panic.h"
#include "process.h"
#include "sched.h"
#include "space.h"
#include "trap.h"

/* Called by entry.S on every CPU. */
_Noreturn void kernel_main(struct custos_boot_info *info, uint64_t index);

/* Of the first schedule. */
#define SLICE_NS UINT64_C(10000000)

static uint32_t booted; /* atomic */

static void init_cpus(void)
{
	unsigned i;

	for (i = 0; i < boot_info->cpu_count; i++) {
		struct cpu *cpu = cpu_get(i);
		uint64_t gpa = frame_take(FRAME_KERNEL, true);

		invariant(gpa);
		cpu->index = i;
		cpu->scratch = machine_direct(gpa);
		cpu->cr3 = space_kernel_cr3();
		list_init(&cpu->ready);
		list_init(&cpu->sleepers);
	}
}

static void give(struct process *process, const char *name, struct cap cap)
{
	invariant(process_give(process, name, &cap, CUSTOS_RIGHT_ALL) == 0);
}

static struct cap plain(enum custos_captype type, uint64_t payload)
{
	return cap_make(type, CUSTOS_RIGHT_ALL, NULL, payload);
}

static struct cap device_cap(const struct custos_device *device)
{
	struct cap cap = cap_make(
		CUSTOS_CAP_FIXED, CUSTOS_RIGHTS_MEMORY, NULL, device->gpa);

	cap.pages = (uint32_t)(device->size / PAGE_SIZE);
	return cap;
}

static void give_boot_caps(struct process *process)
{
	static const char console[CUSTOS_NAME_MAX] = "console";
	static const char bank[CUSTOS_NAME_MAX] = "bank";
	static const char timer[CUSTOS_NAME_MAX] = "timer";
	static const char schedule[CUSTOS_NAME_MAX] = "schedule";
	static const char discrim[CUSTOS_NAME_MAX] = "discrim";
	static const char program[CUSTOS_NAME_MAX] = "program";
	const struct custos_device *device = boot_info->devices;
	unsigned i;

	give(process, console, plain(CUSTOS_CAP_CONSOLE, 0));
	give(process, bank,
		cap_make(CUSTOS_CAP_BANK, CUSTOS_RIGHT_ALL, bank_root(), 0));
	give(process, timer, plain(CUSTOS_CAP_TIMER, 0));
	give(process, schedule,
		plain(CUSTOS_CAP_SCHEDULE, CUSTOS_ANY_CPU | SLICE_NS << 32));
	give(process, discrim, plain(CUSTOS_CAP_DISCRIM, 0));
	give(process, program, plain(CUSTOS_CAP_MODULE, 0));
	for (i = 0; i < boot_info->module_count; i++)
		give(process, boot_info->modules[i].name,
			plain(CUSTOS_CAP_MODULE, i));
	for (i = 0; i < boot_info->device_count; i++, device++)
		give(process, device->name, device_cap(device));
}

static struct process *make_first(void)
{
	struct process *process = process_create(bank_root());

	if (!process ||
		process_load(process, bank_root(), 0, CUSTOS_ANY_CPU))
		panic_end("custos: the machine has too little memory for the "
			  "program\n",
			CUSTOS_EXIT_TOO_LARGE);
	return process;
}

static void start_first(void)
{
	struct process *process = make_first();
	struct custos_start_info *info;

	give_boot_caps(process);
	info = process_start_info(process);
	info->args_count = boot_info->args_count;
	info->args_size = CUSTOS_ARGS_MAX;
	machine_copy(
		process_start_args(process), boot_info->args, CUSTOS_ARGS_MAX);
	process_start(process, 0);
}

static void boot(void)
{
	invariant(boot_info->magic == CUSTOS_ABI_MAGIC);
	invariant(boot_info->abi_version == CUSTOS_ABI_VERSION);
	invariant(boot_info->cpu_count - 1 < CUSTOS_CPUS_MAX);
	invariant(boot_info->module_count - 1 < CUSTOS_MODULES_MAX);
	frame_init(
		boot_info->free_base, boot_info->free_size, process_frames());
	space_init_kernel();	      /* page tables made by the monitor */
	init_cpus();		      /* needs frames */
	machine_cpu_init(cpu_get(0)); /* exceptions work from here */
	sched_init();
	lock_init();
	bank_init();
	start_first();
}

void kernel_main(struct custos_boot_info *info, uint64_t index)
{
	struct cpu *cpu = cpu_get((unsigned)index);

	if (index == 0) {
		boot_info = info;
		boot();
		__atomic_store_n(&booted, 1, __ATOMIC_RELEASE);
	} else {
		while (!__atomic_load_n(&booted, __ATOMIC_ACQUIRE))
			machine_pause();
		machine_cpu_init(cpu);
	}
	entry_resume(trap_first(cpu));
}
