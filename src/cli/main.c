/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/cmd.h"

int main(int argc, char **argv)
{
	char *help[] = { "help", NULL };
	const struct cmd *cmd;

	log_init();
	if (argc < 2) {
		cmd_help(1, help);
		return CLI_FAILED;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return cmd_help(argc - 1, argv + 1);
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("custos %s\n", CUSTOS_VERSION);
		return CLI_OK;
	}
	cmd = cmd_find(argv[1]);
	if (!cmd) {
		fprintf(stderr,
			"custos: there is no command `%s'; `custos help' lists "
			"them\n",
			argv[1]);
		return CLI_NOT_FOUND;
	}
	return cmd->run(argc - 1, argv + 1);
}
