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

int trace_lua_run(int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	const char *verb = argv[0] + strlen("custos ");
	struct trace_reader *reader;
	struct error err = { 0 };
	int ret;

	if (getopt_long(argc, argv, "+", options, NULL) != -1)
		return trace_bad_option(verb);
	if (argc - optind < 2)
		return cmd_usage_error(verb, "name a script and a trace");
	if (trace_reader_open(argv[optind + 1], &reader, &err))
		return cmd_fail(verb, "%s", err.text);
	ret = script_trace_run(argv[optind], reader,
		(const char *const *)argv + optind + 2,
		(size_t)(argc - optind - 2), &err);
	trace_reader_close(reader);
	if (ret)
		return cmd_fail(verb, "%s", err.text);
	if (fflush(stdout) || ferror(stdout))
		return cmd_fail(verb, "cannot write: %s", strerror(errno));
	return CLI_OK;
}
