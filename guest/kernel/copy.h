/* SPDX-License-Identifier: MIT */
/*
 * The only way to the memory of processes. Addresses given by a process are
 * looked up in its own page tables and never dereferenced; bytes the monitor
 * keeps are copied by the monitor. Caller holds the big lock.
 */
#ifndef CUSTOS_KERNEL_COPY_H
#define CUSTOS_KERNEL_COPY_H

#include <stdbool.h>
#include <stdint.h>

struct process;

/* Are the bytes there kept by the monitor, or no RAM: not ours to touch? */
bool copy_is_monitors(uint64_t gpa);

/*
 * 0, -CUSTOS_E_FAULT or -CUSTOS_E_DENIED; then some of the bytes may have been
 * copied. kind is one of CUSTOS_COPY_*, of the direction in the name.
 * CALL_RESTART: a keeper has to be asked first. If the process is current it
 * asks, and its call must return that; else it must make its call again,
 * sched_restart().
 */
int64_t copy_from_process(struct process *process, void *to, uint64_t va,
	uint64_t size, unsigned kind);
int64_t copy_to_process(struct process *process, uint64_t va, const void *from,
	uint64_t size, unsigned kind);

/* Could all of it be read (written) now, without asking? Asks if not: the same
 * results. Nothing is written. */
int64_t copy_prepare(struct process *process, uint64_t va, uint64_t size,
	unsigned kind);

/* Print bytes of a process without copying them where that is possible. The
 * same results; nothing is printed unless all is. */
int64_t copy_to_console(struct process *process, uint64_t va, uint64_t size);

#endif
