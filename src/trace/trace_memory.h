/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints: what is known of kept memory at one moment, so that memory at
 * any moment needs no more than the records since the last checkpoint.
 */
#ifndef CUSTOS_TRACE_TRACE_MEMORY_H
#define CUSTOS_TRACE_TRACE_MEMORY_H

#include <custos/trace.h>

#include "trace/trace_pack.h"

#define TRACE_MEMORY_ANY UINT64_MAX /* process: whoever stored last */

/* Known bytes of a range as one process has it. */
struct trace_memory_piece {
	uint64_t process;
	uint32_t range;
	uint64_t offset;
	uint32_t len;
	const uint8_t *bytes;
};

/* Visit all pieces of a payload. False: it is damaged. */
bool trace_memory_unpack(struct pack_in *in,
	void (*visit)(void *ctx, const struct trace_memory_piece *piece),
	void *ctx);

/* ---- writing: the memory as the records tell it ---- */

struct trace_memory;

struct trace_memory *trace_memory_create(void); /* NULL: out of memory */
void trace_memory_destroy(struct trace_memory *memory);

/* Follow a record. Memory beyond a bound is not followed: there are no
 * checkpoints then. */
void trace_memory_add(
	struct trace_memory *memory, const struct trace_record *record);

/* Is it time for a checkpoint: have enough records passed since the last for
 * its size not to matter? */
bool trace_memory_is_due(const struct trace_memory *memory);
void trace_memory_pack(struct trace_memory *memory, struct pack_out *out);

#endif
