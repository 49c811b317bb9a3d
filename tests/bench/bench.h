/* SPDX-License-Identifier: MIT */
/* Shared by the benchmarks: one run of a guest program, and a bare exit. */
#ifndef CUSTOS_TESTS_BENCH_H
#define CUSTOS_TESTS_BENCH_H

#include <stdint.h>

#include "keeper/keeper.h"

double bench_now(void); /* seconds */

/* Build directory's path to a guest program. */
const char *bench_program(const char *name);

struct bench_run {
	const char *what; /* hammer's first argument */
	uint64_t count; /* its second */
	const char *keep; /* a range, or NULL */
	const char *script; /* Lua source file, or NULL: pass */
	double seconds; /* out: from first instruction to exit */
	uint64_t accesses; /* out */
	char console[256]; /* out */
};

/* Ends the process with a message when it cannot. */
void bench_run(struct bench_run *run);

/*
 * Seconds per round trip of the least a monitor could do: a store to a closed
 * page, KVM_RUN returning EFAULT, rip set behind the store, KVM_RUN again.
 */
double bench_bare_exit(unsigned count);

#endif
