/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU state and the big lock. A CPU's kernel stack is the upper end of its
 * struct; each trap from user mode starts at its top, nothing survives there
 * from one trap to the next: what a blocked process waits for is in the
 * process, never on a stack.
 */
#ifndef CUSTOS_KERNEL_CPU_H
#define CUSTOS_KERNEL_CPU_H

#include "list.h"
#include "machine.h"

struct process;

#define CPU_SIZE 16384
#define CPU_FATAL_STACK_SIZE 2048
#define CPU_GDT_ENTRIES 7

/* Hardware layout (SDM vol. 3, 8.7). */
struct tss {
	uint32_t reserved0;
	uint64_t rsp0, rsp1, rsp2;
	uint64_t reserved1;
	uint64_t ist1, ist2, ist3, ist4, ist5, ist6, ist7;
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_map_base;
} __attribute__((packed));

struct cpu {
	/* Known to entry.S by offset. */
	uint64_t user_rsp;    /* scratch of syscall_entry */
	uint32_t tss_padding; /* so that rsp0 is aligned */
	struct tss tss;

	/* Constant after boot. */
	uint32_t index;
	uint32_t apic_id;
	uint64_t gdt[CPU_GDT_ENTRIES];

	/* Written by others without the lock; atomics. */
	uint32_t flush_request;

	/* Big lock. */
	struct process *current;      /* NULL: idle */
	struct process *xstate_owner; /* whose extended state is loaded */
	bool xstate_used;	      /* has had an owner */
	uint64_t cr3;		      /* loaded */
	uint64_t fs_base;	      /* last written */
	uint64_t slice_end;	      /* ns: when current must make way */
	uint64_t timer_at; /* ns: when the timer fires; 0: not armed */
	bool reschedule;
	struct list ready;
	struct list sleepers; /* by wake_at, earliest first */
	void *scratch;	      /* one frame, for copies and reports */

	uint8_t fatal_stack[CPU_FATAL_STACK_SIZE] __attribute__((aligned(16)));
};

#define CPU_USER_RSP 0
#define CPU_TSS_RSP0 16

_Static_assert(sizeof(struct tss) == 104, "hardware layout");
_Static_assert(offsetof(struct cpu, user_rsp) == CPU_USER_RSP, "entry.S");
_Static_assert(offsetof(struct cpu, tss.rsp0) == CPU_TSS_RSP0, "entry.S");
_Static_assert(sizeof(struct cpu) <= CPU_SIZE / 2, "room for the stack");

union cpu_block {
	struct cpu cpu;
	uint8_t bytes[CPU_SIZE];
} __attribute__((aligned(CPU_SIZE)));

extern union cpu_block cpu_blocks[CUSTOS_CPUS_MAX];
extern struct custos_boot_info *boot_info;

static inline struct cpu *cpu_get(unsigned index)
{
	return &cpu_blocks[index].cpu;
}

static inline void *cpu_stack_top(struct cpu *cpu)
{
	return (uint8_t *)cpu + CPU_SIZE;
}

/* The executing CPU: its stack, wherever in it, is inside its block. */
static inline struct cpu *cpu_this(void)
{
#if __STDC_HOSTED__
	return cpu_get(0);
#else
	uint64_t rsp;

	__asm__("mov %%rsp, %0" : "=r"(rsp));
	return (struct cpu *)((rsp - 1) & ~(uint64_t)(CPU_SIZE - 1));
#endif
}

/*
 * The big lock guards everything not said to be constant or atomic. Taken on
 * entry to the kernel, released before return to user mode and before hlt.
 * Whoever spins for it answers TLB flush requests, so its holder may wait
 * for such an answer.
 */
void cpu_lock(struct cpu *cpu);
void cpu_unlock(void);
/* Whoever waits without the lock does this now and then. */
void cpu_answer_flush(struct cpu *cpu);

/* Make every translation for cr3 cached anywhere be forgotten. */
void cpu_flush(uint64_t cr3, uint64_t va, uint64_t pages);

/* The same for every space. */
void cpu_flush_all(void);

#endif
