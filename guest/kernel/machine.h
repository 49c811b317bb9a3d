/* SPDX-License-Identifier: MIT */
/*
 * Everything only CPL 0 can do, as functions, so that the rest of the kernel
 * is portable C that compiles on the host too (where tests supply these).
 * Beware: one of our hosts emulates every kernel instruction in software, at
 * about half a microsecond each, and lacks the rarer ones.
 */
#ifndef CUSTOS_KERNEL_MACHINE_H
#define CUSTOS_KERNEL_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/custos_abi.h"

struct cpu;

#define PAGE_SIZE CUSTOS_ABI_PAGE
#define PAGE_MASK (PAGE_SIZE - 1)

#define VECTOR_DB 1u
#define VECTOR_PF 14u
#define VECTOR_TIMER 0xf0u
#define VECTOR_IPI 0xf1u
#define VECTOR_SPURIOUS 0xffu
#define VECTOR_SYSCALL 0x100u /* not the CPU's: what syscall_entry pushes */

#define SELECTOR_KERNEL_CODE 0x08
#define SELECTOR_KERNEL_DATA 0x10
#define SELECTOR_USER_DATA 0x1b
#define SELECTOR_USER_CODE 0x23
#define SELECTOR_TSS 0x28

#define RFLAGS_FIXED 0x002u
#define RFLAGS_TF 0x100u
#define RFLAGS_IF 0x200u
/* What a process may have set: CF PF AF ZF SF DF OF AC ID. */
#define RFLAGS_USER 0x240cd5u

/* Fill the CPU's GDT, TSS and APIC, load them and the shared IDT. */
void machine_cpu_init(struct cpu *cpu);

/* Where SYSCALL jumps to. A host that does not enter CPL 0 for it stops the
 * process by a fault there. */
uint64_t machine_syscall_entry(void);

/* Where an interrupt at rip goes on: not at the hlt of machine_halt. */
uint64_t machine_leave_halt(uint64_t rip);

/* Is this in the vectors' entries, before registers are saved? */
bool machine_is_vector_entry(uint64_t rip);

int64_t machine_hypercall(enum custos_call call, uint64_t a, uint64_t b,
	uint64_t c, uint64_t d, uint64_t e);

/* The direct map: pointer to RAM at gpa. */
#if __STDC_HOSTED__
void *machine_direct(uint64_t gpa);
uint64_t machine_gpa(const void *pointer);
#else
static inline void *machine_direct(uint64_t gpa)
{
	return (void *)(CUSTOS_DIRECT_BASE + gpa);
}

uint64_t machine_image_gpa(const void *pointer);

/* Physical address of anything of the kernel's. */
static inline uint64_t machine_gpa(const void *pointer)
{
	uint64_t va = (uint64_t)pointer;

	return va < CUSTOS_KERNEL_BASE ? va - CUSTOS_DIRECT_BASE
				       : machine_image_gpa(pointer);
}
#endif

void machine_set_cr3(uint64_t cr3);
uint64_t machine_cr3(void);
uint64_t machine_cr2(void);
void machine_flush_page(uint64_t va);
void machine_set_fs_base(uint64_t address);
void machine_xsave(void *area, uint64_t xcr0);
void machine_xrstor(const void *area, uint64_t xcr0);

/* With the string instructions; the size to zero is a multiple of 8. */
void machine_zero(void *to, size_t size);
void machine_copy(void *to, const void *from, size_t size);

/* Index of the first entry that is not 0 in table[from..512), or 512. */
unsigned machine_table_next(const uint64_t *table, unsigned from);

uint64_t machine_tsc(void);
/* One interrupt VECTOR_TIMER after ns nanoseconds (at most 2^32 - 1). */
void machine_timer_arm(uint64_t ns);
void machine_eoi(void);
void machine_ipi(uint32_t apic_id);
void machine_pause(void);
/* Let interrupts in and wait for one; returns with interrupts off. */
void machine_halt(void);

#endif
