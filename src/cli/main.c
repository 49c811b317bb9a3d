/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/cmd.h"

/*
 * Whoever starts us with a standard stream closed must not have our next open
 * file (/dev/kvm, the guest's memory) take its number. Opened the wrong way
 * round, so that its use still fails.
 */
static void reserve_standard_streams(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
			open("/dev/null", fd ? O_RDONLY : O_WRONLY) < 0)
			return; /* no /dev: nothing better to be had */
}

int main(int argc, char **argv)
{
	const struct cmd *cmd;

	reserve_standard_streams();
	log_init();
	if (argc < 2) {
		cmd_list(stderr);
		return CLI_FAILED;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return cmd_help(argc - 1, argv + 1);
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("custos %s\n", CUSTOS_VERSION);
		return fflush(stdout) ? CLI_FAILED : CLI_OK;
	}
	if (argv[1][0] == '-') {
		fprintf(stderr,
			"custos: unknown option `%s'; `custos help' lists the "
			"commands\n",
			argv[1]);
		return CLI_FAILED;
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
