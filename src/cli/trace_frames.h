/* SPDX-License-Identifier: MIT */
/*
 * Which memory the bytes of processes are, as the BINDs and UNBINDs of a trace
 * tell it, up to the record followed last.
 */
#ifndef CUSTOS_CLI_TRACE_FRAMES_H
#define CUSTOS_CLI_TRACE_FRAMES_H

#include <custos/trace.h>

#include "keeper/builtin_map.h"

#define TRACE_PAGE UINT64_C(4096)

struct trace_frames {
	struct builtin_map pages, frames, places;
};

void trace_frames_init(struct trace_frames *frames);
void trace_frames_fini(struct trace_frames *frames);

/* Follow a record of any kind; range is its, NULL: nothing is known then. */
void trace_frames_follow(struct trace_frames *frames,
	const struct trace_range *range, const struct trace_record *record);

/*
 * The frame in which a process has byte offset of a range, 0: not known. The
 * frame's bytes are others when, some time, nobody had any of them: *out_life
 * counts that, and may be NULL.
 */
uint64_t trace_frames_find(const struct trace_frames *frames,
	uint64_t process, const struct trace_range *range, uint64_t offset,
	uint32_t *out_life);

/* Do several processes have it now, not all in the same frame? */
bool trace_frames_are_copies(const struct trace_frames *frames,
	const struct trace_range *range, uint64_t offset);

#endif
