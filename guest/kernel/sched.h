/* SPDX-License-Identifier: MIT */
/*
 * Who runs where: round robin on each CPU, with a tick only while somebody
 * else wants the CPU. Caller holds the big lock.
 */
#ifndef CUSTOS_KERNEL_SCHED_H
#define CUSTOS_KERNEL_SCHED_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct list;
struct process;
enum process_state;

/* Start the clock. */
void sched_init(void);

/* Nanoseconds since sched_init. */
uint64_t sched_now(void);

/* Is time counted in kernel entries? */
bool sched_is_virtual(void);

/* A process has entered the kernel: virtual time passes. */
void sched_entered(struct cpu *cpu);

/* The CPU a process that becomes ready should go to. */
struct cpu *sched_place(const struct process *process);

/* Put a process that is in no queue into its CPU's ready queue, or nowhere if
 * it is suspended. */
void sched_ready(struct process *process);

/* End a blocked process's wait: its call returns result. */
void sched_wake(struct process *process, int64_t result);

/* End a blocked process's wait: it makes its call again. */
void sched_restart(struct process *process);

/* End a blocked process's wait: its registers are right already. */
void sched_go_on(struct process *process);

/* Take the executing CPU's current process off it and put it in a queue, or
 * nowhere (NULL). */
void sched_block(
	struct process *process, enum process_state state, struct list *queue);

/* The same, until the clock shows wake_at. */
void sched_sleep(struct process *process, uint64_t wake_at);

/* Let the next ready process have the CPU. */
void sched_make_way(struct cpu *cpu);

/* The process ends: if this CPU runs it or any has its extended state
 * loaded, no more. */
void sched_forget(struct process *process);

/* The current process's extended state: have it in memory as well, or load it
 * again from there. */
void sched_save_xstate(struct process *process);
void sched_load_xstate(struct process *process);

/* A process that does not run shall do so elsewhere, with another slice. */
void sched_move(struct process *process);

/* The timer fired. */
void sched_tick(struct cpu *cpu);

/*
 * The process to leave the kernel with: the current one if it may go on, else
 * the next. Waits for one, with the lock released, if there is none.
 */
struct process *sched_next(struct cpu *cpu);

#endif
