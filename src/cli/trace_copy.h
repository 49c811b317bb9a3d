/* SPDX-License-Identifier: MIT */
/* Records of traces, written into another one. */
#ifndef CUSTOS_CLI_TRACE_COPY_H
#define CUSTOS_CLI_TRACE_COPY_H

#include "cli/trace_query.h"

struct trace_copy {
	struct trace_query *q; /* whose failure it is; and whose sites */
	struct trace_writer *writer;
	const struct trace_site *site;
};

/* Refuses to write over q's own file. False: said why, q->code is set; so
 * below. */
bool trace_copy_open(struct trace_copy *copy, struct trace_query *q,
	const char *path, const struct trace_meta *meta);

/* record's site is source's. */
bool trace_copy_add_from(struct trace_copy *copy,
	const struct trace_query *source, const struct trace_record *record);
bool trace_copy_add(
	struct trace_copy *copy, const struct trace_record *record);

/* Ends the new trace in order, after ^C, too. */
void trace_copy_close(struct trace_copy *copy, int64_t exit_code);

#endif
