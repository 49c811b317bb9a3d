/* SPDX-License-Identifier: MIT */
/*
 * The file being written: records go in, chunks come out. Used by one thread
 * at a time.
 */
#ifndef CUSTOS_TRACE_TRACE_OUTPUT_H
#define CUSTOS_TRACE_TRACE_OUTPUT_H

#include <custos/trace.h>

#include "base/error.h"
#include "trace/trace_pack.h"

struct trace_output;

/* Creates or replaces path and writes the META chunk. */
int trace_output_open(const char *path, const struct trace_meta *meta,
	struct trace_output **out, struct error *err);

/* Close without an end, as a kill would. */
void trace_output_destroy(struct trace_output *output);

/* Names that records to come use; appended to a payload of NAMES. */
struct pack_out *trace_output_names(struct trace_output *output);

/* Inputs, those of the records to come; appended to a payload of INPUTS. */
struct pack_out *trace_output_inputs(struct trace_output *output);

/*
 * Add a record to the open chunk, which is written when it is full. 0, or the
 * first error since the opening, again and again; the file then ends behind
 * the last whole chunk.
 */
int trace_output_add(
	struct trace_output *output, const struct trace_record *record);

/* Write the open chunk, if there is anything in it. As trace_output_add(). */
int trace_output_flush(struct trace_output *output);
bool trace_output_is_empty(const struct trace_output *output);

/* Records that did not get into the file. */
uint64_t trace_output_lost(const struct trace_output *output);

/* Write lost (0: none, why else) and end records, what is open, and the
 * index; destroys output. 0 or the first error since the opening. */
int trace_output_finish(struct trace_output *output, uint64_t time_ns,
	uint64_t lost, int64_t exit_code);

#endif
