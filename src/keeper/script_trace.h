/* SPDX-License-Identifier: MIT */
/* Lua programs that read recorded runs: custos-lua(3), section "Traces". */
#ifndef CUSTOS_KEEPER_SCRIPT_TRACE_H
#define CUSTOS_KEEPER_SCRIPT_TRACE_H

#include <custos/trace.h>

#include "base/error.h"

/*
 * Run the Lua program at path, with all of Lua's libraries: it is its user's
 * own, as a shell script is. The global trace is reader, arg holds the
 * arguments. -EINVAL with file:line: message; -ENOMEM.
 */
int script_trace_run(const char *path, struct trace_reader *reader,
	const char *const *args, size_t arg_count, struct error *err);

#endif
