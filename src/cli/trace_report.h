/* SPDX-License-Identifier: MIT */
/* What trace report counts, and how it is told. */
#ifndef CUSTOS_CLI_TRACE_REPORT_H
#define CUSTOS_CLI_TRACE_REPORT_H

#include "cli/trace_frames.h"
#include "cli/trace_query.h"
#include "keeper/builtin_map.h"

#define TRACE_LINE 64 /* bytes of a cache line */

/* A key's memory: a frame's, with its life in the lower half. */
#define TRACE_LINE_FRAME (UINT64_C(1) << 32)

struct trace_counts {
	uint64_t all, reads, writes; /* an rmw is both */
	uint64_t kinds[ACCESS_KIND_MAX];
};

struct trace_hot_site {
	uint64_t site; /* key */
	struct trace_counts counts;
	uint64_t first, last; /* accesses */
};

struct trace_hot_range {
	uint64_t range; /* key */
	struct trace_counts counts;
	/* Processes had other memory there; or, where the trace does not say
	 * which, one did not find what another had stored. */
	bool copies;
};

struct trace_hot_process {
	uint64_t process; /* key */
	struct trace_counts counts;
};

struct trace_line_user {
	struct trace_line_user_key {
		uint64_t memory, line, process;
	} key;
	uint64_t read_mask, write_mask; /* a bit for each byte */
	uint64_t reads, writes;
};

struct trace_line {
	/* Of a frame (below), or, where it is not known, of a program. */
	struct trace_line_key {
		uint64_t memory, line; /* address / TRACE_LINE */
	} key;
	uint32_t range; /* the first seen in it, and where that was */
	uint64_t address;
	uint32_t users;
	/* Since another process used it last: who, and what. */
	uint64_t user, read_mask, write_mask;
	/* How often it went to another process, after or for a write. */
	uint64_t true_moves, false_moves;
	/* What stores left there. */
	uint64_t known;
	uint8_t bytes[TRACE_LINE];
	uint64_t writers[TRACE_LINE];
};

struct trace_report {
	struct trace_counts counts;
	struct builtin_map sites, ranges, processes, lines, users;
	struct trace_frames frames;
};

void trace_report_init(struct trace_report *report);
void trace_report_fini(struct trace_report *report);
void trace_report_add(struct trace_report *report, const struct trace_query *q,
	const struct trace_record *record);

/* Sorts; nothing can be added any more. top 0: all. */
void trace_report_print(struct trace_report *report, struct trace_query *q,
	uint64_t top, bool json, struct buf *out);

#endif
