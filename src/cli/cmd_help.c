/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"

void cmd_list(FILE *out)
{
	fputs("custos: an instruction-level virtualizing debugger\n\n"
	      "Usage: custos COMMAND [OPTIONS] [ARGUMENTS]\n\n"
	      "Commands:\n",
		out);
	for (const struct cmd *cmd = cmd_table; cmd->name; cmd++)
		fprintf(out, "  %-9s %s\n", cmd->name, cmd->help);
	fputs("\n`custos COMMAND --help' explains a command; `custos "
	      "--version' prints the version.\n"
	      "CUSTOS_LOG=MODULE:LEVEL (e.g. vmm:debug, all:trace) shows "
	      "what custos itself does.\n",
		out);
}

static int list(void)
{
	cmd_list(stdout);
	return fflush(stdout) ? CLI_FAILED : CLI_OK;
}

int cmd_help(int argc, char **argv)
{
	char *help[] = { NULL, "--help", NULL };
	const struct cmd *cmd;

	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return list();
	cmd = cmd_find(argv[1]);
	if (!cmd)
		return cmd_fail("help",
			"there is no command `%s'; `custos help' lists them",
			argv[1]);
	if (cmd->run == cmd_help)
		return list();
	help[0] = argv[1];
	return cmd->run(2, help);
}
