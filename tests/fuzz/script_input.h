/* SPDX-License-Identifier: MIT */
/* What fuzzed scripts come from and print to. */
#ifndef CUSTOS_TESTS_FUZZ_SCRIPT_INPUT_H
#define CUSTOS_TESTS_FUZZ_SCRIPT_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "base/invariant.h"

#define SCRIPT_PATH_MAX 64

static void print_nothing(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	(void)text;
	(void)len;
}

/* Into a file, which the caller removes. */
static void write_script(
	char path[SCRIPT_PATH_MAX], const uint8_t *data, size_t size)
{
	FILE *file;

	snprintf(path, SCRIPT_PATH_MAX, "/dev/shm/custos-fuzz-%d",
		(int)getpid());
	file = fopen(path, "w");
	invariant(file);
	fwrite(data, 1, size, file);
	fclose(file);
}

#endif
