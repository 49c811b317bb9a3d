/* SPDX-License-Identifier: MIT */
#include "cli/cmd.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct cmd cmd_table[] = {
	{ "run", "[OPTIONS] PROGRAM [ARG...]",
		"run a program in a virtual machine, some bytes kept",
		cmd_run },
	{ "trace", "VERB [OPTIONS] FILE...",
		"ask a recorded run: who wrote this, what was there then",
		cmd_trace },
	{ "replay", "[OPTIONS] TRACE [PROGRAM...]",
		"have keepers see a recorded run, or run it once more",
		cmd_replay },
	{ "decode", "[--json] HEX...",
		"what instructions do to memory", cmd_decode },
	{ "emulate", "[FILE]",
		"execute instructions from given states (JSON lines)",
		cmd_emulate },
	{ "doctor", "[--json]",
		"is this machine's KVM usable, and what to do when not",
		cmd_doctor },
	{ "help", "[COMMAND]", "list the commands, or explain one", cmd_help },
	{ NULL, NULL, NULL, NULL },
};

const struct cmd *cmd_find(const char *name)
{
	for (const struct cmd *cmd = cmd_table; cmd->name; cmd++)
		if (!strcmp(cmd->name, name))
			return cmd;
	return NULL;
}

static void complain(const char *name, const char *format, va_list args)
{
	fprintf(stderr, "custos %s: ", name);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

int cmd_fail(const char *name, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(name, format, args);
	va_end(args);
	return CLI_FAILED;
}

int cmd_usage_error(const char *name, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(name, format, args);
	va_end(args);
	fprintf(stderr, "Try `custos %s --help'.\n", name);
	return CLI_FAILED;
}
