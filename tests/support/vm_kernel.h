/* SPDX-License-Identifier: MIT */
/* A machine with the tests' own kernel (vm_kernel.S) and given user code. */
#ifndef CUSTOS_TESTS_VM_KERNEL_H
#define CUSTOS_TESTS_VM_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/image.h"
#include "target/target.h"
#include "vmm/vmm.h"

#define VM_USER UINT64_C(0x400000) /* user code; 64 pages from here */
#define VM_PAGE(n) (VM_USER + (n) * UINT64_C(4096))
#define VM_KERNEL_BASE UINT64_C(0xffffffff80000000)
/* Calls of vm_kernel.S */
#define VM_DONE 0
#define VM_HYPERCALL 1
#define VM_XSAVE 2
#define VM_XRSTOR 3
#define VM_TRIPLE 4
#define VM_PEEK 5
#define VM_PANIC 6

/* Code bytes between two labels of a file-scope asm(). */
struct vm_code {
	const uint8_t *start, *end;
};

/*
 * VM_CODE(name, "asm text"): `static const struct vm_code name'. The text is
 * assembled for VM_USER; position-independent code only.
 */
#define VM_CODE(name, text)                                                    \
	__asm__(".pushsection .rodata\n" #name "_start:\n" text                \
		"\n" #name "_end:\n.popsection\n");                            \
	extern const uint8_t name##_start[], name##_end[];                     \
	static const struct vm_code name = { name##_start, name##_end }

struct vm_options {
	unsigned cpus; /* 0: 1 */
	bool interrupts; /* user code runs with IF set */
	bool console_to_text; /* collect console output in vm->console */
	const struct vmm_device *devices;
	unsigned device_count;
};

struct vm {
	struct target *target;
	void *kernel_file, *program_file;
	struct image *kernel, *program;
	char console[4096];
	size_t console_len;
	char report[8192]; /* what handler->report got; default_handler() */
	size_t report_len;
};

/* Fails the test when it cannot; skips it without /dev/kvm. */
void vm_setup(struct vm *vm, const struct vm_code *code,
	const struct vm_options *options);
void vm_teardown(struct vm *vm);

/* target_run() that fails the test when it fails. */
struct target_result vm_run(
	struct vm *vm, const struct target_handler *handler);

/* Close or open user page n, or find its bytes. Fail the test when that
 * fails. */
void vm_close_page(struct target *target, space_t space, unsigned n);
void vm_open_page(struct target *target, space_t space, unsigned n);
uint8_t *vm_page_bytes(struct target *target, space_t space, unsigned n);
frame_t vm_page_frame(struct target *target, space_t space, unsigned n);

/* A handler whose callbacks do nothing but collect reports into vm; access
 * stops the run. Replace what the test wants to see. */
struct target_handler vm_handler(struct vm *vm);

#endif
