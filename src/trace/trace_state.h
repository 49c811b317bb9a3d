/* SPDX-License-Identifier: MIT */
/* The hash of what a run did and left, as docs/TRACE-FORMAT.md says of
 * STATE. */
#ifndef CUSTOS_TRACE_TRACE_STATE_H
#define CUSTOS_TRACE_TRACE_STATE_H

#include <stddef.h>
#include <stdint.h>

struct trace_state;

struct trace_state *trace_state_create(void); /* NULL: out of memory */
void trace_state_destroy(struct trace_state *state); /* NULL is fine */

/* What came next. */
void trace_state_add(struct trace_state *state, const void *bytes, size_t len);
/* Of all so far. */
uint64_t trace_state_value(const struct trace_state *state);

#endif
