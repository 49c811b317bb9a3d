/* SPDX-License-Identifier: MIT */
/* custos trace lua: a program of the user's that reads a trace. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/trace.h"
#include "cli/trace_query.h"
#include "keeper/script_trace.h"

const char trace_lua_help[] =
	"Run SCRIPT, a Lua program, with TRACE as its global `trace':\n"
	"\n"
	"  for r in trace:records() do print(r.seq, r.kind, r.range, r.new) end\n"
	"\n"
	"custos-lua(3), section TRACES, says what a trace and its records have.\n"
	"ARGs are in the table `arg'.\n";

static bool go_on(void *ctx, uint64_t records)
{
	struct trace_query *q = ctx;

	if (trace_interrupted())
		return false;
	trace_progress(q->verb, records, q->totals.records + 1);
	return true;
}

static void run(struct trace_query *q, const char *script,
	const char *const *args, size_t arg_count)
{
	const struct script_trace_watch watch = { q, go_on };
	struct error err = { 0 };
	int ret = script_trace_run(
		script, q->reader, args, arg_count, &watch, &err);

	trace_query_finish(q);
	if (ret)
		trace_query_fail(q, "%s", err.text);
	if (ret == -EINTR)
		q->code = CLI_INTERRUPTED;
}

int trace_lua_run(int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	const char *verb = argv[0] + strlen("custos ");
	struct trace_query q;

	if (getopt_long(argc, argv, "+", options, NULL) != -1)
		return trace_bad_option(verb);
	if (argc - optind < 2)
		return cmd_usage_error(verb, "name a script and a trace");
	if (!trace_query_open(&q, verb, argv[optind + 1]))
		return q.code;
	run(&q, argv[optind], (const char *const *)argv + optind + 2,
		(size_t)(argc - optind - 2));
	return trace_query_close(&q);
}
