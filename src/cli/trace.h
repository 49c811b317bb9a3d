/* SPDX-License-Identifier: MIT */
/*
 * The verbs of `custos trace'. One verb, one trace_<verb>.c, one row of the
 * table in cmd_trace.c.
 */
#ifndef CUSTOS_CLI_TRACE_H
#define CUSTOS_CLI_TRACE_H

struct trace_verb {
	const char *name;
	const char *args; /* synopsis behind the name */
	const char *help; /* one line */
	/* What `custos trace NAME --help' prints behind usage and help: whole
	 * lines about options. --help and -h are answered for every verb. */
	const char *more;
	/* argv[0] is "custos trace NAME", for getopt's messages; returns the
	 * exit code. */
	int (*run)(int argc, char **argv);
};

/* All verbs; ends with a NULL name. */
extern const struct trace_verb trace_verbs[];

extern const char trace_info_help[];
int trace_info_run(int argc, char **argv);
extern const char trace_print_help[];
int trace_print_run(int argc, char **argv);
extern const char trace_who_help[];
int trace_who_run(int argc, char **argv);
extern const char trace_history_help[];
int trace_history_run(int argc, char **argv);
extern const char trace_memory_help[];
int trace_memory_run(int argc, char **argv);
extern const char trace_report_help[];
int trace_report_run(int argc, char **argv);
extern const char trace_diff_help[];
int trace_diff_run(int argc, char **argv);
extern const char trace_origin_help[];
int trace_origin_run(int argc, char **argv);
extern const char trace_merge_help[];
int trace_merge_run(int argc, char **argv);
extern const char trace_cut_help[];
int trace_cut_run(int argc, char **argv);
extern const char trace_check_help[];
int trace_check_run(int argc, char **argv);
extern const char trace_export_help[], trace_import_help[], trace_sql_help[];
int trace_export_run(int argc, char **argv);
int trace_import_run(int argc, char **argv);
int trace_sql_run(int argc, char **argv);

extern const char trace_lua_help[];
int trace_lua_run(int argc, char **argv);
extern const char trace_plot_help[];
int trace_plot_run(int argc, char **argv);

#endif
