/* SPDX-License-Identifier: MIT */
/* The hash of a run's registers and memory, by which two runs on one CPU are
 * compared. */
#ifndef CUSTOS_CLI_RUN_STATE_H
#define CUSTOS_CLI_RUN_STATE_H

#include "cli/run.h"

struct run_state;

/* NULL: out of memory. */
struct run_state *run_state_create(void);
void run_state_destroy(struct run_state *state); /* NULL is fine */

/* In the order of what happened, one at a time. */
void run_state_access(struct run_state *state, const struct run *run,
	const struct access *access);
void run_state_start(
	struct run_state *state, const struct target_process *process);
/* While its mappings are there. */
void run_state_exit(struct run_state *state, const struct run *run,
	const struct target_process *process, int64_t code);

/* Add those processes that are left; the hash of all. Once, with the target
 * still there. */
uint64_t run_state_finish(struct run_state *state, const struct run *run);

#endif
