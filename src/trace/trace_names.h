/* SPDX-License-Identifier: MIT */
/* Payloads of the chunks that name things: META and NAMES. */
#ifndef CUSTOS_TRACE_TRACE_NAMES_H
#define CUSTOS_TRACE_TRACE_NAMES_H

#include <custos/trace.h>

#include "trace/trace_pack.h"

void trace_meta_pack(struct pack_out *out, const struct trace_meta *meta);

/* All strings and tables are the caller's; false: damaged, *out is empty. */
bool trace_meta_unpack(struct pack_in *in, struct trace_meta *out);
void trace_meta_fini(struct trace_meta *meta);

void trace_site_pack(
	struct pack_out *out, uint32_t number, const struct trace_site *site);
void trace_range_pack(struct pack_out *out, const struct trace_range *range);
void trace_process_pack(
	struct pack_out *out, const struct trace_process *process);

/* What NAMES chunks told, all of them together. */
struct trace_names_table {
	struct trace_site *sites; /* symbol NULL: not known */
	size_t site_count, site_room;
	struct trace_process *processes; /* sorted by id */
	size_t process_count, process_room;
	struct trace_meta *meta; /* gets the ranges */
};

/* Add a payload. 0, -EBADMSG (what came before the damage was added),
 * -ENOMEM. */
int trace_names_unpack(struct trace_names_table *table, struct pack_in *in);
void trace_names_fini(struct trace_names_table *table);

/* NULL: unknown. */
const struct trace_process *trace_names_process(
	const struct trace_names_table *table, uint64_t id);

#endif
