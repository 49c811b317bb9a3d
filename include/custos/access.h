/* SPDX-License-Identifier: MIT */
/*
 * An access: what one instruction (or one copy by the kernel) does to kept
 * memory. The unit that keepers answer, sinks print and traces record.
 */
#ifndef CUSTOS_ACCESS_H
#define CUSTOS_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include <custos/arch.h>

#define ACCESS_LANES_MAX 64

/* One element of a gather, scatter or masked access. */
struct access_lane {
	uint64_t address;
	uint32_t size;
	uint32_t offset; /* of its bytes in old_bytes and new_bytes */
};

struct access {
	uint64_t seq; /* from 1, in the order the accesses were decided */
	enum access_kind kind;
	bool atomic;
	uint64_t address; /* linear, of the first byte the instruction names */
	uint32_t size; /* all bytes of it, kept or not */
	/*
	 * The part inside one kept range: bytes [kept_first, kept_first +
	 * kept_count) of the access are bytes [offset, offset + kept_count)
	 * of the range. An access that touches two ranges is two of these,
	 * with the same seq.
	 */
	uint32_t range; /* id of the range */
	const char *range_name;
	uint64_t offset;
	uint32_t kept_first, kept_count;
	/*
	 * size bytes each. old_bytes: what memory holds (for a load: what
	 * would be loaded). new_bytes: what would be stored; NULL for kinds
	 * that only read.
	 */
	const uint8_t *old_bytes, *new_bytes;
	const struct access_lane *lanes; /* NULL: one piece */
	uint32_t lane_count;

	/* Who. */
	unsigned cpu;
	uint64_t process; /* id; 0: the kernel itself */
	const char *process_name; /* "kernel" for 0; never NULL */
	uint64_t ip; /* of the instruction; of the system call for copies */
	const uint8_t *insn; /* its bytes; NULL for copies */
	uint8_t insn_len;
};

/* What was done with an access in the end. */
enum outcome {
	OUTCOME_PASS, /* performed on the backing */
	OUTCOME_SERVE,
	OUTCOME_ABSORB,
	OUTCOME_DENY,
	OUTCOME_STEP,
	OUTCOME_ROLLBACK, /* stepped, and undone */
	OUTCOME_STOP,
	OUTCOME_UNEMULATABLE,
	OUTCOME_FAULT, /* the instruction faulted by itself; nothing done */
	OUTCOME_MAX
};

const char *outcome_name(enum outcome outcome); /* "pass", "serve", ... */

#endif
