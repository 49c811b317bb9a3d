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

/* 0, -CUSTOS_E_FAULT or -CUSTOS_E_DENIED; then some of the bytes may have been
 * copied. kind is one of CUSTOS_COPY_*, of the direction in the name. */
int copy_from_process(struct process *process, void *to, uint64_t va,
	uint64_t size, unsigned kind);
int copy_to_process(struct process *process, uint64_t va, const void *from,
	uint64_t size, unsigned kind);

/* Print bytes of a process without copying them where that is possible. */
int copy_to_console(struct process *process, uint64_t va, uint64_t size);

#endif
