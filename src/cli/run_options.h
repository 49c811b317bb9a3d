/* SPDX-License-Identifier: MIT */
/* What `custos run' was asked to do. */
#ifndef CUSTOS_CLI_RUN_OPTIONS_H
#define CUSTOS_CLI_RUN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keeper/builtin.h"

#define RUN_LIST_MAX 4096

struct run_list {
	const char **items; /* pointers into argv */
	size_t count;
};

/* One range and who keeps it, in the order of the command line. */
struct run_keep {
	const char *text; /* a range, or the built-in's argument */
	const struct builtin *builtin; /* NULL: -k, or a plugin */
	bool plugin; /* text is FILE[:ARGUMENT] */
	const char *when; /* conditions, or NULL */
};

struct run_options {
	const char *verb; /* "run" or "replay" */
	bool replays;
	/* replay: args are where programs are now */
	const char *trace;
	bool again; /* run the program, too */
	bool changed; /* though its file may be another */
	struct run_keep *keeps;
	size_t keep_count, plain_count; /* plain: those of -k */
	struct run_list modules; /* -m */
	const char *script; /* -s */
	const char *output; /* -o; NULL: stderr */
	const char *record; /* -r; NULL: nothing is recorded */
	bool record_regs, record_stacks;
	const char *kernel; /* --kernel; NULL: the built-in one */
	bool system; /* PROGRAM is a system description */
	bool dry_run, dot; /* of a system: only show it */
	bool json, print, quiet, trusted, virtual_time, joined, cost;
	bool no_table_sharing;
	unsigned cpus;
	uint64_t memory;
	unsigned budget_ms;
	enum verdict_kind fallback;
	char **line; /* all of the command line, "custos run" first */
	char **args; /* PROGRAM and what follows */
	unsigned arg_count;
};

/*
 * Read the command line. Returns -1 to go on, or an exit code: help was
 * printed, or the line was wrong and that has been said.
 */
int run_options_read(int argc, char **argv, struct run_options *out);
int replay_options_read(int argc, char **argv, struct run_options *out);
void run_options_free(struct run_options *options);

#endif
