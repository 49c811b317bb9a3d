/* SPDX-License-Identifier: MIT */
/*
 * A run that repeats a recorded one: what it does is compared with the records
 * as it comes, its accesses are answered as they were, and what came from
 * outside comes again.
 */
#ifndef CUSTOS_CLI_REPLAY_CHECK_H
#define CUSTOS_CLI_REPLAY_CHECK_H

#include "cli/replay.h"

struct replay_check;

/* NULL: out of memory. */
struct replay_check *replay_check_create(struct replay *replay);
void replay_check_destroy(struct replay_check *check); /* NULL is fine */

/* It comes behind all other keepers of the recorded ranges. */
struct keeper *replay_check_keeper(struct replay_check *check);
const struct session_recorder *replay_check_recorder(
	struct replay_check *check);

/* NULL: there is one CPU, which needs none. */
const struct session_order *replay_check_order(struct replay_check *check);

/* This range is the recorded one with this id. 0 or -ENOMEM. */
int replay_check_range(
	struct replay_check *check, const struct range *range, uint32_t id);

/* With the session there, before it runs. */
void replay_check_begin(struct replay_check *check);
/* When it has run, to this end; stopped: which it did not reach by itself. */
void replay_check_end(
	struct replay_check *check, int exit_code, bool stopped);

struct replay_verdict {
	bool diverged; /* it has been told */
	bool failed; /* the trace could not be read on; told */
	bool stopped; /* by somebody else, before the records ended */
	bool cut; /* as far as the recording goes, which has no end */
	uint64_t held; /* accesses that waited when they were recorded */
	uint64_t accesses; /* as they were recorded */
	uint64_t seq; /* diverged: at this access, or behind it */
	uint64_t state; /* hash of registers and memory */
	uint64_t recorded_state;
	bool has_state, has_recorded_state;
};
void replay_check_verdict(
	const struct replay_check *check, struct replay_verdict *out);

#endif
