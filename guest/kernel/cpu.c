/* SPDX-License-Identifier: MIT */
/* The big lock and TLB flushes. See cpu.h. */
#include "cpu.h"

#include "space.h"

#define FLUSH_PAGES_MAX 16 /* beyond, reloading CR3 is cheaper */

union cpu_block cpu_blocks[CUSTOS_CPUS_MAX];
struct custos_boot_info *boot_info;

static uint32_t big_lock;

void cpu_answer_flush(struct cpu *cpu)
{
	if (!__atomic_load_n(&cpu->flush_request, __ATOMIC_ACQUIRE))
		return;
	machine_set_cr3(machine_cr3());
	__atomic_store_n(&cpu->flush_request, 0, __ATOMIC_RELEASE);
}

void cpu_lock(struct cpu *cpu)
{
	cpu_answer_flush(cpu);
	while (__atomic_exchange_n(&big_lock, 1, __ATOMIC_ACQUIRE)) {
		while (__atomic_load_n(&big_lock, __ATOMIC_RELAXED)) {
			machine_pause();
			cpu_answer_flush(cpu);
		}
	}
}

void cpu_unlock(void)
{
	__atomic_store_n(&big_lock, 0, __ATOMIC_RELEASE);
}

static void flush_here(uint64_t va, uint64_t pages)
{
	if (pages > FLUSH_PAGES_MAX) {
		machine_set_cr3(machine_cr3());
		return;
	}
	for (; pages; pages--, va += PAGE_SIZE)
		machine_flush_page(va);
}

/*
 * The other CPU is in user mode or on its way there (then the interrupt finds
 * it), or spins for the lock we hold (then cpu_answer_flush does): never idle,
 * because an idle CPU has the kernel's own cr3 loaded.
 */
static void flush_there(struct cpu *cpu)
{
	__atomic_store_n(&cpu->flush_request, 1, __ATOMIC_RELEASE);
	machine_ipi(cpu->apic_id);
	while (__atomic_load_n(&cpu->flush_request, __ATOMIC_ACQUIRE))
		machine_pause();
}

void cpu_flush(uint64_t cr3, uint64_t va, uint64_t pages)
{
	const struct cpu *here = cpu_this();
	unsigned i;

	for (i = 0; i < boot_info->cpu_count; i++) {
		struct cpu *cpu = cpu_get(i);

		if (cpu->cr3 != cr3)
			continue;
		if (cpu == here)
			flush_here(va, pages);
		else
			flush_there(cpu);
	}
}

void cpu_flush_all(void)
{
	const struct cpu *here = cpu_this();
	unsigned i;

	for (i = 0; i < boot_info->cpu_count; i++) {
		struct cpu *cpu = cpu_get(i);

		if (cpu == here)
			machine_set_cr3(machine_cr3());
		else if (cpu->cr3 != space_kernel_cr3())
			flush_there(cpu);
	}
}
