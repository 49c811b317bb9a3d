/* SPDX-License-Identifier: MIT */
/*
 * Where records wait, as they came, for the thread that encodes them: bytes
 * in a block of fixed size, no pointers into anybody else's memory.
 */
#ifndef CUSTOS_TRACE_TRACE_STAGE_H
#define CUSTOS_TRACE_TRACE_STAGE_H

#include <custos/trace.h>

#define TRACE_STAGE_SIZE ((size_t)512 * 1024)

struct trace_stage {
	uint8_t *bytes; /* TRACE_STAGE_SIZE of them, 8-aligned */
	size_t len;
	uint32_t records;
};

/* Bytes a record takes; at most half a stage, for records within bounds. */
size_t trace_stage_need(const struct trace_record *record);

/* There must be room. site: the access's. */
void trace_stage_add(struct trace_stage *stage,
	const struct trace_record *record, size_t need, uint32_t site);

/* The record at *at, which moves on; false at the end. out points into the
 * stage; of it, only what its kind has is set. */
bool trace_stage_next(const struct trace_stage *stage, size_t *at,
	struct trace_record *out);

#endif
