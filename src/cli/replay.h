/* SPDX-License-Identifier: MIT */
/* One `custos replay', shared by the files that make it up. */
#ifndef CUSTOS_CLI_REPLAY_H
#define CUSTOS_CLI_REPLAY_H

#include "cli/run.h"
#include "cli/trace_query.h"

struct replay {
	struct run run; /* first: its callbacks get this */
	struct trace_query query;
	struct target_process *processes; /* of the trace, for names */
	struct replay_past *past; /* offline */
	struct replay_check *check; /* with --run */
};

static inline struct replay *replay_of(struct run *run)
{
	return (struct replay *)run;
}

/* replay_programs.c: exit codes as run.h's */
/* The trace's programs, which must be what they were. */
int replay_open_programs(struct replay *replay);
/* The recorded range with this id, kept by keeper. */
int replay_add_range(struct replay *replay, uint32_t id,
	struct keeper *keeper, struct range **out, struct error *err);
/* All of what was recorded, kept by keeper. */
int replay_add_ranges(struct replay *replay, struct keeper *keeper);
/* The device of a recorded range; "": it has none, or it is not known. */
void replay_device_name(const struct replay *replay,
	const struct trace_range *range, char *out, size_t size);

/* replay_past.c: the recorded accesses go through keepers as if live */
extern const struct run_world replay_past_world;
/* All of it, from the keepers' start to their end; the exit code. */
int replay_run_past(struct replay *replay);

/* replay_again.c: the program runs once more; the exit code */
int replay_run_again(struct replay *replay);

#endif
