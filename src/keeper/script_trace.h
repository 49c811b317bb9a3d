/* SPDX-License-Identifier: MIT */
/* Lua programs that read recorded runs: custos-lua(3), section "Traces". */
#ifndef CUSTOS_KEEPER_SCRIPT_TRACE_H
#define CUSTOS_KEEPER_SCRIPT_TRACE_H

#include <custos/trace.h>

#include "base/error.h"

/* Asked now and then, with how many records have been read: false ends the
 * program with an error. */
struct script_trace_watch {
	void *ctx;
	bool (*go_on)(void *ctx, uint64_t records);
};

/*
 * Run the Lua program at path, with all of Lua's libraries: it is its user's
 * own, as a shell script is. The global trace is reader, arg holds the
 * arguments. watch may be NULL. -EINVAL with file:line: message; -ENOMEM;
 * -EINTR: the watch ended it.
 */
int script_trace_run(const char *path, struct trace_reader *reader,
	const char *const *args, size_t arg_count,
	const struct script_trace_watch *watch, struct error *err);

#endif
