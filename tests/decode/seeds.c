/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing starts from real instructions: writes some of the collected ones
 * as files, bare for the decoder, with a state behind them for the executor.
 *
 * Usage: seeds FORMS-FILE DECODE-DIRECTORY EXEC-DIRECTORY
 */
#include <stdio.h>
#include <string.h>

#include "tests/decode/forms.h"

#define EVERY 12 /* of some thousand forms */

static int write_file(const char *directory, size_t number,
	const uint8_t *bytes, size_t size)
{
	char path[512];
	FILE *file;
	int failed;

	snprintf(path, sizeof(path), "%s/form-%zu", directory, number);
	file = fopen(path, "wb");
	if (!file)
		return 1;
	failed = fwrite(bytes, 1, size, file) != size;
	return fclose(file) || failed;
}

/* The layout is exec_fuzz.c's: instruction, registers, state. */
static void make_input(const struct form *form, uint8_t input[16 + 20 * 8 + 64])
{
	memset(input, 0x40, 16 + 20 * 8 + 64);
	memset(input, 0x90, 16);
	memcpy(input, form->bytes, form->length);
	for (unsigned i = 0; i < 20; i++)
		memset(input + 16 + i * 8 + 4, 0, 4);
}

int main(int argc, char **argv)
{
	struct form_list list = { 0 };
	uint8_t input[16 + 20 * 8 + 64];
	int failed = 0;

	if (argc != 4 || forms_read(&list, argv[1]))
		return 1;
	for (size_t i = 0; i < list.count && !failed; i += EVERY) {
		const struct form *form = &list.forms[i];

		make_input(form, input);
		failed = write_file(argv[2], i, form->bytes, form->length) ||
			write_file(argv[3], i, input, sizeof(input));
	}
	forms_fini(&list);
	return failed;
}
