/* SPDX-License-Identifier: MIT */
/* Called by entry.S, and by main.c for the first process. */
#ifndef CUSTOS_KERNEL_TRAP_H
#define CUSTOS_KERNEL_TRAP_H

struct cpu;
struct frame;
struct process;

/* A trap from user mode, its registers already in process->frame. Returns the
 * process to go on with, perhaps much later. */
struct process *trap_user(struct process *process);

/* A trap from CPL 0: an interrupt in machine_halt, or our bug. */
void trap_kernel(struct frame *frame);

/* The first process this CPU is to run. */
struct process *trap_first(struct cpu *cpu);

/* entry.S: leave the kernel to run it. */
_Noreturn void entry_resume(struct process *process);

#endif
