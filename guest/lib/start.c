/* SPDX-License-Identifier: MIT */
/* From the start info to main, and back out. */
#include <custos/guest.h>

#include "guest_impl.h"

#define ARGS_MAX 64

const struct custos_start_info *guest_info;

_Noreturn void guest_start(const struct custos_start_info *info);

/* The strings end inside args_size bytes, the last of which is NUL. */
static int split_args(char **argv)
{
	char *at = (char *)guest_info->args;
	const char *end = at + guest_info->args_size;
	int argc = 0;

	while (argc < ARGS_MAX && (uint32_t)argc < guest_info->args_count &&
		at < end) {
		argv[argc++] = at;
		at += strlen(at) + 1;
	}
	argv[argc] = NULL;
	return argc;
}

void guest_start(const struct custos_start_info *info)
{
	static char *argv[ARGS_MAX + 1];

	guest_info = info;
	guest_caps_init();
	exit(main(split_args(argv), argv));
}

void exit(int code)
{
	flush();
	for (;;)
		custos_process_exit(cap_find("self"), (uint64_t)(int64_t)code);
}

void assert_fail(const char *what, const char *file, int line)
{
	printf("%s:%d: assertion failed: %s\n", file, line, what);
	exit(134);
}
