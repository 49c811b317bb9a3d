/* SPDX-License-Identifier: MIT */
/* Descriptions for tests: written to a file, read, checked. */
#ifndef CUSTOS_TESTS_UNIT_SYSTEM_DESCRIBED_H
#define CUSTOS_TESTS_UNIT_SYSTEM_DESCRIBED_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "keeper/script_system.h"
#include "system/system.h"
#include "tests/support/tests.h"

static char dir[] = "/tmp/custos-system-XXXXXX";
static char described_path[64];

static void write_file(const char *name, const void *bytes, size_t size)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

/* Beside descriptions there are p.elf, q.elf, which are programs, and
 * bytes.bin, which is "0123456789". */
static int make_dir(void **state)
{
	size_t size = (size_t)(system_program_elf_end - system_program_elf);

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(described_path, sizeof(described_path), "%s/s.lua", dir);
	write_file("p.elf", system_program_elf, size);
	write_file("q.elf", system_program_elf, size);
	write_file("bytes.bin", "0123456789", 10);
	return 0;
}

static int remove_dir(void **state)
{
	static const char *const names[] = { "p.elf", "q.elf", "bytes.bin",
		"s.lua" };
	char path[64];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

/* 0 and a system, or an error; its path is cut to "s.lua". */
static int describe(const char *text, struct system **out, struct error *err)
{
	const char *const args[] = { "s.lua", "first" };
	const struct script_system_options options = { .args = args,
		.arg_count = 2 };
	const struct system_machine machine = { 64 << 20, 2 };
	struct system *system = NULL;
	char *at;
	int ret;

	write_file("s.lua", text, strlen(text));
	*out = NULL;
	*err = (struct error){ 0 };
	ret = script_system_read(described_path, &options, &system, err);
	if (!ret)
		ret = system_resolve(system, err);
	if (!ret)
		ret = system_open_programs(system, NULL, 0, err);
	if (!ret)
		ret = system_check(system, &machine, err);
	if (!ret) {
		*out = system;
		return 0;
	}
	system_destroy(system);
	while ((at = strstr(err->text, dir)))
		memmove(at, at + strlen(dir) + 1,
			strlen(at + strlen(dir) + 1) + 1);
	return ret;
}

static inline struct system *described(const char *text)
{
	struct system *system;
	struct error err;

	if (describe(text, &system, &err))
		fail_msg("%s", err.text);
	return system;
}

#endif
