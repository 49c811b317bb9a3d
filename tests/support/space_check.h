/* SPDX-License-Identifier: MIT */
/*
 * What the hardware may do in the spaces of the guest kernel, compared with
 * what a walk of the nodes says: the first never goes beyond the second. Needs
 * kernel_machine.h's machine; a broken rule fails the test.
 */
#ifndef CUSTOS_TESTS_SPACE_CHECK_H
#define CUSTOS_TESTS_SPACE_CHECK_H

#include <stdint.h>

struct process;

/*
 * The way from the root to va, found without looking at the kernel's walk: as
 * walk() says it, and without its limit of nodes. 0: nothing there, or no page;
 * else the rights, *out_gpa the frame (kept and locked pages included).
 */
unsigned space_model(
	const struct process *process, uint64_t va, uint64_t *out_gpa);

/* Every translation of the process's tables; returns how many there are. */
unsigned space_check(const struct process *process);

/* Of all processes there are. */
unsigned space_check_all(void);

#endif
