/* SPDX-License-Identifier: MIT */
/*
 * What must hold in the guest kernel between any two calls of it, looked at
 * from outside: every frame has one owner and is counted once, no capability
 * shows more than the ones before it did, nothing leads to what is gone. Needs
 * kernel_machine.h's machine; a broken rule fails the test.
 */
#ifndef CUSTOS_TESTS_KERNEL_CHECK_H
#define CUSTOS_TESTS_KERNEL_CHECK_H

#include <stdint.h>

/* After kernel_setup: nothing is known of any object. */
void kernel_check_init(void);

/* Capabilities of that type to the object at gpa shall never have other rights
 * than these, but for those in sealed pages. */
void kernel_check_allow(uint64_t gpa, unsigned type, unsigned rights);

/* What the capability page (or node) at gpa holds shall not count. */
void kernel_check_seal(uint64_t gpa);

/* What the next check allows: an entry with this payload has been made. */
void kernel_check_entry_made(uint64_t payload);

void kernel_check(void);

#endif
