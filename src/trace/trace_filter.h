/* SPDX-License-Identifier: MIT */
/*
 * Which bytes a chunk of records stores: a blocked Bloom filter over granules
 * of 8 bytes of ranges, and over pages of ranges that were bound. It may say
 * yes wrongly, but never no.
 */
#ifndef CUSTOS_TRACE_TRACE_FILTER_H
#define CUSTOS_TRACE_TRACE_FILTER_H

#include <custos/trace.h>

#include "trace/trace_pack.h"

#define TRACE_FILTER_BLOCK 64 /* bytes */

struct trace_filter; /* being made */

struct trace_filter *trace_filter_create(void); /* NULL: out of memory */
void trace_filter_destroy(struct trace_filter *filter);

void trace_filter_reset(struct trace_filter *filter);
void trace_filter_add(
	struct trace_filter *filter, const struct trace_record *record);

/* Nothing was stored: there is no need to write it. */
bool trace_filter_is_empty(const struct trace_filter *filter);
void trace_filter_pack(struct trace_filter *filter, struct pack_out *out);

/* May any of bytes [offset, offset + len) of range be stored, or bound? */
bool trace_filter_stored(const uint8_t *payload, size_t payload_len,
	uint32_t range, uint64_t offset, uint64_t len);
bool trace_filter_bound(const uint8_t *payload, size_t payload_len,
	uint32_t range, uint64_t offset, uint64_t len);

#endif
