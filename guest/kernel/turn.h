/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs do the same again if they work in the kernel in the same order:
 * each time one takes the lock to do more than to answer, it takes a turn, and
 * the monitor writes down whose, or says whose it is. Without
 * CUSTOS_BOOT_ORDERED all of this is nothing.
 */
#ifndef CUSTOS_KERNEL_TURN_H
#define CUSTOS_KERNEL_TURN_H

#include "cpu.h"

static inline bool turn_is_ordered(void)
{
	return boot_info->flags & CUSTOS_BOOT_ORDERED;
}

static inline bool turn_is_repeated(void)
{
	return boot_info->flags & CUSTOS_BOOT_REPEATED;
}

/* Without the lock: return when the next turn is this CPU's. */
void turn_wait(struct cpu *cpu);

/* With the lock: this CPU's turn begins. */
void turn_take(void);

#endif
