/* SPDX-License-Identifier: MIT */
/*
 * The commands of custos. One command, one cmd_<name>.c, one row of the table
 * in cmd.c. Only this module prints usage and decides exit codes.
 */
#ifndef CUSTOS_CLI_CMD_H
#define CUSTOS_CLI_CMD_H

#include <stdio.h>

/* Exit codes that are custos's own; others are the target's. */
enum cli_exit {
	CLI_OK = 0,
	CLI_NO = 1, /* a question answered with no (doctor: not usable) */
	CLI_STOPPED = 124, /* a keeper stopped the target */
	CLI_FAILED = 125, /* custos could not do what was asked */
	CLI_CANNOT_RUN = 126, /* the program is not one we can run */
	CLI_NOT_FOUND = 127, /* there is no such program or command */
	CLI_INTERRUPTED = 130, /* ^C */
	CLI_CRASHED = 134, /* the guest's kernel broke */
};

struct cmd {
	const char *name;
	const char *args; /* synopsis behind the name */
	const char *help; /* one line */
	/* argv[0] is the command's name; returns the exit code. */
	int (*run)(int argc, char **argv);
};

/* All commands; ends with a NULL name. */
extern const struct cmd cmd_table[];

const struct cmd *cmd_find(const char *name); /* NULL: no such command */

/* "custos NAME: text", with a newline, to stderr; returns CLI_FAILED. */
int cmd_fail(const char *name, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The same for wrong usage: adds where to find help. */
int cmd_usage_error(const char *name, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* What `custos help' prints. */
void cmd_list(FILE *out);

int cmd_run(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_decode(int argc, char **argv);
int cmd_emulate(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_help(int argc, char **argv);

#endif
