/* SPDX-License-Identifier: MIT */
/*
 * What happened before what, as vector clocks (Lamport's order, Mattern's and
 * Fidge's clocks): each process counts its own time and knows how much of
 * everybody else's has happened before it.
 */
#ifndef CUSTOS_KEEPER_BUILTIN_CLOCK_H
#define CUSTOS_KEEPER_BUILTIN_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define BUILTIN_CLOCK_PROCESSES 256

/* By slot: how much of each process's time is known. Zeroed: nothing is. */
struct builtin_clock {
	uint64_t times[BUILTIN_CLOCK_PROCESSES];
};

/* *to knows what from knows, too. */
void builtin_clock_join(
	struct builtin_clock *to, const struct builtin_clock *from);

/* All processes met so far. Zeroed it is empty. */
struct builtin_clocks {
	unsigned count;
	/* There were more processes than slots, or no memory: order has been
	 * lost, nobody may be accused any more. */
	bool lost;
	uint64_t processes[BUILTIN_CLOCK_PROCESSES];
	struct builtin_clock *clocks[BUILTIN_CLOCK_PROCESSES];
};

void builtin_clocks_fini(struct builtin_clocks *clocks);

/* The slot of a process; new ones begin at time 1. -1: `lost'. */
int builtin_clocks_slot(struct builtin_clocks *clocks, uint64_t process);

/* The present time of the process in this slot; never 0. */
uint64_t builtin_clocks_now(const struct builtin_clocks *clocks, unsigned slot);

/* Did all of process `past' up to this time happen before what `present' does
 * now? A process's own past always did. */
bool builtin_clocks_is_past(const struct builtin_clocks *clocks, unsigned past,
	uint64_t time, unsigned present);

/* What it has done so far is known to *to; what it does from now on is not. */
void builtin_clocks_release(struct builtin_clocks *clocks, unsigned slot,
	struct builtin_clock *to);
void builtin_clocks_acquire(struct builtin_clocks *clocks, unsigned slot,
	const struct builtin_clock *from);

/* As ordered() of a keeper gets it: ids of processes. */
void builtin_clocks_order(
	struct builtin_clocks *clocks, uint64_t before, uint64_t after);

#endif
