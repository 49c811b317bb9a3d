/* SPDX-License-Identifier: MIT */
/* custos trace check: is all of it there? */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/trace.h"
#include "cli/trace_query.h"

const char trace_check_help[] =
	"Exit code: 0 when the trace is whole, 1 when something is missing or\n"
	"damaged, 125 when it is not a trace.\n"
	"\n"
	"  -q, --quiet           only the exit code\n";

static bool on_progress(void *ctx, uint64_t done, uint64_t bytes)
{
	trace_progress(ctx, done, bytes ? bytes : 1);
	return !trace_interrupted();
}

static size_t tell(const struct trace_reader *reader, const char *path,
	bool quiet)
{
	const char *text;
	size_t i = 0;

	for (; (text = trace_reader_damage(reader, i)); i++)
		if (!quiet)
			printf("%s: %s\n", path, text);
	return i;
}

static int check(struct trace_reader *reader, const char *verb,
	const char *path, bool quiet)
{
	struct trace_totals totals;
	struct error err = { 0 };
	size_t wrong;
	int ret;

	ret = trace_reader_check(
		reader, on_progress, (void *)(uintptr_t)verb, &err);
	trace_progress(verb, 0, 0);
	trace_reader_totals(reader, &totals);
	wrong = tell(reader, path, quiet);
	if (ret == -ECANCELED) {
		fprintf(stderr, "custos %s: interrupted\n", verb);
		return CLI_INTERRUPTED;
	}
	if (ret)
		return cmd_fail(verb, "%s", err.text);
	if (totals.lost && !quiet)
		printf("%s: %" PRIu64 " records were lost while recording\n",
			path, totals.lost);
	if (!quiet)
		printf("%s: %" PRIu64 " accesses in %" PRIu64 " chunks, %s\n",
			path, totals.accesses, totals.chunks,
			totals.complete && !totals.lost && !wrong
				? "whole"
				: "not whole");
	return totals.complete && !totals.lost && !wrong ? CLI_OK : CLI_NO;
}

int trace_check_run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "quiet", no_argument, NULL, 'q' },
		{ NULL, 0, NULL, 0 },
	};
	const char *verb = argv[0] + strlen("custos ");
	struct trace_reader *reader;
	struct error err = { 0 };
	bool quiet = false;
	int option, code;

	while ((option = getopt_long(argc, argv, "q", options, NULL)) != -1) {
		if (option != 'q')
			return trace_bad_option(verb);
		quiet = true;
	}
	if (argc - optind != 1)
		return cmd_usage_error(verb, "name one trace");
	if (trace_reader_open(argv[optind], &reader, &err))
		return cmd_fail(verb, "%s", err.text);
	trace_catch_interrupts();
	code = check(reader, verb, argv[optind], quiet);
	trace_reader_close(reader);
	if (fflush(stdout) || ferror(stdout))
		return cmd_fail(verb, "cannot write: %s", strerror(errno));
	return code;
}
