/* SPDX-License-Identifier: MIT */
/* Addresses as people read them: symbols, source lines, instruction text. */
#ifndef CUSTOS_SESSION_NAMES_H
#define CUSTOS_SESSION_NAMES_H

#include "target/target.h"
#include "trace/sink.h"

struct names;

struct names *names_create(void); /* NULL: out of memory */
void names_destroy(struct names *names);

/* The callbacks for sinks and scripts; valid as long as names. */
const struct trace_names *names_callbacks(const struct names *names);

/* A process exists; it must live as long as names. 0 or -ENOMEM. */
int names_add_process(
	struct names *names, const struct target_process *process);

/* The process with this id, or NULL. Any thread. */
const struct target_process *names_process(struct names *names, uint64_t id);

#endif
