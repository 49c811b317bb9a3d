/* SPDX-License-Identifier: MIT */
/*
 * The guest kernel's portable part on the host: everything of
 * guest/kernel/machine.h over a piece of memory, and a booted kernel of one
 * CPU with one program. Nothing of the programs is executed.
 */
#ifndef CUSTOS_TESTS_KERNEL_MACHINE_H
#define CUSTOS_TESTS_KERNEL_MACHINE_H

#include <setjmp.h>
#include <stdint.h>

#include "abi/custos_abi.h"

#define KERNEL_RAM (UINT64_C(8) << 20)
#define KERNEL_PROGRAM UINT64_C(0x400000) /* four pages, writable */

struct kernel_machine {
	uint8_t *ram;
	uint64_t cr3;
	uint64_t tsc;
	uint64_t hypercalls[CUSTOS_CALL_MAX];
	jmp_buf *stuck; /* where to go when the kernel finds nothing to do */
};

extern struct kernel_machine kernel_machine;

/* RAM of zeros and a boot info, frames and CPU 0 initialized. A panic of the
 * kernel fails the test. */
void kernel_setup(void);
void kernel_teardown(void);

#endif
