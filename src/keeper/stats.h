/* SPDX-License-Identifier: MIT */
/*
 * What is counted while a target runs, and the summary of it at the end:
 * accesses by kind, outcome and range, and the distinct instructions that
 * made them. Counting is cheap (some tens of nanoseconds) and may be done on
 * every thread at once; memory is bounded whatever the target does.
 */
#ifndef CUSTOS_KEEPER_STATS_H
#define CUSTOS_KEEPER_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "keeper/range.h"
#include "trace/access.h"
#include "trace/sink.h"

#define STATS_NAME_MAX 32 /* of a process, NUL included; longer ones are cut */
#define STATS_SITES_MAX 65536 /* distinct instructions; more are one sum */

struct stats;

struct stats *stats_create(void); /* NULL: out of memory */
void stats_destroy(struct stats *stats); /* NULL is fine */

/* One access was decided so. Parts of an access in two ranges are two. */
void stats_count(struct stats *stats, const struct access *access,
	enum outcome outcome);

struct stats_totals {
	uint64_t accesses;
	uint64_t kinds[ACCESS_KIND_MAX];
	uint64_t outcomes[OUTCOME_MAX];
};

void stats_get_totals(struct stats *stats, struct stats_totals *out);
/* Of one range; zeros when it was never touched. */
void stats_get_range(
	struct stats *stats, uint32_t range, struct stats_totals *out);

/* An instruction (or system call) that touched kept memory. The same address
 * in two processes of one name is the same instruction. */
struct stats_site {
	char process_name[STATS_NAME_MAX];
	uint64_t process; /* the first one seen there */
	uint64_t ip;
	uint8_t insn[ARCH_INSN_MAX]; /* as seen first */
	uint8_t insn_len; /* 0: a system call */
	uint64_t count;
	uint64_t kinds[ACCESS_KIND_MAX];
	uint64_t first_seq, last_seq;
};

/*
 * All sites, most often seen first. Returns an array for the caller to free,
 * or NULL when there are none or memory is short; *out_others: accesses of
 * instructions that did not fit.
 */
struct stats_site *stats_get_sites(
	struct stats *stats, size_t *out_count, uint64_t *out_others);

/* Stops by what they were, as the session tells them apart. */
enum stats_trap {
	STATS_TRAP_USEFUL, /* a kept byte was touched */
	STATS_TRAP_MATE, /* only other bytes of a kept page */
	STATS_TRAP_SPURIOUS, /* no kept page any more */
	STATS_TRAP_MAX
};

/* What others have counted. */
struct stats_numbers {
	bool running; /* the run is not over */
	double seconds; /* so far */
	uint64_t steps; /* instructions single-stepped */
	uint64_t holds; /* accesses left suspended for a while */
	uint64_t still_held; /* of them, those never resumed */
	uint64_t verified_bytes; /* compared for missed */
	uint64_t traps[STATS_TRAP_MAX];
	/* Where the time went, when it was measured: of stops (keepers
	 * included) here, of keepers in struct keeper. Else 0. */
	double ns_per_tick;
	uint64_t trap_ticks[STATS_TRAP_MAX];
	uint64_t page_mates; /* accesses beside kept bytes, performed silently */
	uint64_t waits; /* accesses that waited for another's step or keeper */
	uint64_t keeper_errors; /* errors and timeouts, the default applied */
	bool checked; /* missed was looked for */
	uint64_t missed; /* stores to kept bytes nobody saw */
	char missed_why[512]; /* missed or not checked: the reason, or "" */
};

/*
 * The summary that ends a run: for people (several lines) or as one JSON
 * object on one line, both described in docs/KEEPERS.md. ranges and names may
 * be NULL. sites_max: how many instructions to list (people only; 0: all).
 */
void stats_print(struct stats *stats, const struct range_set *ranges,
	const struct trace_names *names, const struct stats_numbers *numbers,
	enum trace_sink_format format, size_t sites_max, struct buf *out);

#endif
