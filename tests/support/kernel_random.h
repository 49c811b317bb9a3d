/* SPDX-License-Identifier: MIT */
/*
 * Processes that make senseless calls of the guest kernel: some of them share
 * endpoints, banks and memory, some hold secrets behind weak and opaque
 * capabilities. After each call kernel_check() looks at everything.
 */
#ifndef CUSTOS_TESTS_KERNEL_RANDOM_H
#define CUSTOS_TESTS_KERNEL_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where choices come from: bytes while there are any, else from the seed. */
struct kernel_random {
	uint64_t seed;
	const uint8_t *bytes;
	size_t size;
	bool has_bytes;
};

/*
 * Boot a kernel, make at most so many calls (fewer when all processes wait for
 * ever, or the bytes are at an end), destroy the bank that paid for all of it
 * and check that every frame is back. Returns the calls made.
 */
unsigned long kernel_random_episode(
	struct kernel_random *random, unsigned long calls);

/* How often a call answered 0 or more. By CUSTOS_OP_*. */
extern uint64_t kernel_random_successes[];

#endif
