/* SPDX-License-Identifier: MIT */
/* custos trace: the verbs, and their help. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/trace.h"

const struct trace_verb trace_verbs[] = {
	{ "info", "[--json] TRACE", "what a trace is about, and how much",
		trace_info_help, trace_info_run },
	{ "print", "[OPTIONS] TRACE", "records, all or selected ones",
		trace_print_help, trace_print_run },
	{ "who", "[OPTIONS] PLACE TRACE", "who stored there last",
		trace_who_help, trace_who_run },
	{ "history", "[OPTIONS] PLACE TRACE",
		"all values that some bytes had, with who stored them",
		trace_history_help, trace_history_run },
	{ "memory", "[OPTIONS] PLACE TRACE", "bytes as they were at a moment",
		trace_memory_help, trace_memory_run },
	{ "origin", "[OPTIONS] PLACE TRACE", "where a value came from",
		trace_origin_help, trace_origin_run },
	{ "report", "[OPTIONS] TRACE",
		"hot instructions, ranges, processes, shared cache lines",
		trace_report_help, trace_report_run },
	{ "diff", "[OPTIONS] TRACE TRACE", "what two runs did differently",
		trace_diff_help, trace_diff_run },
	{ "merge", "OUTPUT TRACE...", "one trace out of several",
		trace_merge_help, trace_merge_run },
	{ "cut", "[OPTIONS] INPUT OUTPUT", "a part of a trace, as a trace",
		trace_cut_help, trace_cut_run },
	{ "check", "[-q] TRACE", "is it whole, and what is missing",
		trace_check_help, trace_check_run },
	{ "export", "[-o FILE] FORMAT TRACE", "a trace for other tools",
		trace_export_help, trace_export_run },
	{ "plot", "[OPTIONS] TRACE", "a picture of places, times and processes",
		trace_plot_help, trace_plot_run },
	{ "import", "[--fetches] -o TRACE lackey FILE",
		"a trace out of another tool's", trace_import_help,
		trace_import_run },
	{ "sql", "[OPTIONS] TRACE STATEMENT", "a question in SQL",
		trace_sql_help, trace_sql_run },
	{ "lua", "SCRIPT TRACE [ARG...]", "a Lua program that reads a trace",
		trace_lua_help, trace_lua_run },
	{ 0 },
};

static const struct trace_verb *find_verb(const char *name)
{
	for (const struct trace_verb *verb = trace_verbs; verb->name; verb++)
		if (!strcmp(verb->name, name))
			return verb;
	return NULL;
}

static void list_verbs(FILE *out)
{
	fputs("Usage: custos trace VERB [OPTIONS] FILE...\n"
	      "\n"
	      "Ask a recorded run (custos run -r FILE). The verbs:\n",
		out);
	for (const struct trace_verb *verb = trace_verbs; verb->name; verb++)
		fprintf(out, "  %-9s %s\n", verb->name, verb->help);
	fputs("\n`custos trace VERB --help' explains a verb.\n\n"
	      "  -h, --help            this text\n",
		out);
}

static int explain(const struct trace_verb *verb)
{
	printf("Usage: custos trace %s %s\n\n%c%s.\n\n%s"
	       "  -h, --help            this text\n",
		verb->name, verb->args,
		verb->help[0] & ~('a' - 'A'), verb->help + 1, verb->more);
	return fflush(stdout) ? CLI_FAILED : CLI_OK;
}

static bool asks_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

int cmd_trace(int argc, char **argv)
{
	const struct trace_verb *verb;
	char name[64];

	if (argc < 2) {
		list_verbs(stderr);
		return CLI_FAILED;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		list_verbs(stdout);
		return fflush(stdout) ? CLI_FAILED : CLI_OK;
	}
	verb = find_verb(argv[1]);
	if (!verb)
		return cmd_usage_error(
			"trace", "there is no verb `%s'", argv[1]);
	if (asks_help(argc - 1, argv + 1))
		return explain(verb);
	snprintf(name, sizeof(name), "custos trace %s", verb->name);
	argv[1] = name;
	return verb->run(argc - 1, argv + 1);
}
