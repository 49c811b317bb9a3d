/* SPDX-License-Identifier: MIT */
/* Payloads of the chunks that only whoever repeats a run needs: START and
 * INPUTS. */
#ifndef CUSTOS_TRACE_TRACE_START_H
#define CUSTOS_TRACE_TRACE_START_H

#include <custos/trace.h>

#include "trace/trace_pack.h"

void trace_start_pack(struct pack_out *out, const struct trace_start *start);

/* malloc()ed; NULL: damaged (in->failed), or out of memory. */
const struct trace_start *trace_start_unpack(struct pack_in *in);
void trace_start_destroy(const struct trace_start *start); /* NULL is fine */

/* records: so many lie between it and the input before. */
void trace_input_pack(struct pack_out *out, const struct trace_input *input,
	uint64_t records);

/* The next of a payload that has more: 1, 0 (of a kind that is not known
 * here), -EBADMSG. out->record is what lies between, as above. */
int trace_input_unpack(struct pack_in *in, struct trace_input *out);

#endif
