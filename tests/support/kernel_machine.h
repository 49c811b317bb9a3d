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

#define KERNEL_PROGRAM UINT64_C(0x400000) /* four pages, writable */

struct kernel_machine {
	uint8_t *ram;
	void *block; /* it is in */
	uint64_t ram_size;
	uint64_t cr2, cr3;
	uint64_t tsc;
	uint64_t hypercalls[CUSTOS_CALL_MAX]; /* how often */
	/* Where to go when the kernel ends the machine: process 1 has ended,
	 * or nobody has anything to do any more (CUSTOS_EXIT_STUCK). */
	jmp_buf *exited;
	uint64_t exit_code;
	/* The monitor's part; either may be NULL: no instruction can be
	 * carried out, every other call answers 0. */
	void (*emulate)(struct custos_emulate *emulate);
	int64_t (*hypercall)(enum custos_call call, uint64_t a, uint64_t b,
		uint64_t c, uint64_t d, uint64_t e);
	/* The TLB of the CPU forgets the page of va; UINT64_MAX: everything.
	 * May be NULL. */
	void (*flush)(uint64_t va);
};

extern struct kernel_machine kernel_machine;

/* RAM of zeros and a boot info, frames, the root bank and CPU 0 initialized.
 * A panic of the kernel fails the test. */
void kernel_setup(void);
void kernel_setup_ram(uint64_t ram_size);
void kernel_teardown(void);

/* The same, as CMocka calls them. */
int kernel_test_setup(void **state);
int kernel_test_teardown(void **state);

/* A test on a kernel that has just booted; the second one's setup boots it. */
#define KERNEL_TEST(function)                                                  \
	cmocka_unit_test_setup_teardown(                                       \
		function, kernel_test_setup, kernel_test_teardown)
#define KERNEL_TEST_AFTER(setup, function)                                     \
	cmocka_unit_test_setup_teardown(                                       \
		function, setup, kernel_test_teardown)

#endif
