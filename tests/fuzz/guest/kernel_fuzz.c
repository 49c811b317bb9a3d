/* SPDX-License-Identifier: MIT */
/* Kernel calls of several processes, chosen by the bytes: kernel_random.h. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/kernel_random.h"

#define CALLS 4000 /* more need more bytes than there are */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kernel_random random = {
		.seed = 1, .bytes = data, .size = size, .has_bytes = true};

	kernel_random_episode(&random, CALLS);
	return 0;
}
