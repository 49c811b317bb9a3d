/* SPDX-License-Identifier: MIT */
/* Instructions that a single step must treat differently: step_form.c. */
#ifndef CUSTOS_VMM_STEP_H
#define CUSTOS_VMM_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "target/target.h"

struct vcpu;

enum step_form {
	STEP_PLAIN,
	STEP_PUSHF, /* shows the program the flags we set */
	STEP_POPF, /* sets TF itself */
	STEP_SYSCALL, /* clears TF on its way into the kernel */
	STEP_REFUSED, /* delays or loses the trap, or leaves the segment */
};

/* Looks at prefixes and opcode only; anything it does not know is plain. */
enum step_form vmm_step_classify(const uint8_t *code, size_t len);

/* Do what the syscall instruction at code (at rip) does. */
enum target_step vmm_step_syscall(
	struct vcpu *vcpu, const uint8_t *code, struct error *err);

/* A part of what an instruction touches, within one page. */
struct step_touch {
	uint64_t va, gpa;
	uint64_t size;
	bool stores; /* perhaps; what is not known is taken to load */
};

/*
 * The first bytes that the instruction at rip touches or is made of in a
 * closed page other than those given; false when there are none.
 */
bool vmm_step_find_closed(struct vcpu *vcpu, const uint8_t *code, size_t len,
	const uint64_t *open_pages, size_t open_count, struct step_touch *out);

#endif
