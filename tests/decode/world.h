/* SPDX-License-Identifier: MIT */
/* Random states whose operands lie where we want them. */
#ifndef CUSTOS_TESTS_DECODE_WORLD_H
#define CUSTOS_TESTS_DECODE_WORLD_H

#include "tests/decode/native.h"
#include "tests/decode/random.h"

/* Random registers, flags and extended state on top of the child's own. */
void world_fill(struct random *random, const struct arch_xstate *base,
	struct state *state);

/* Random bytes, rich in numbers that mean something. */
void world_fill_bytes(struct random *random, uint8_t *bytes, size_t size);

/*
 * Set the registers that insn's addresses are made of so that its operands
 * lie at target (a second one at second), as far as that is possible.
 */
void world_aim(struct random *random, const struct insn *insn, uint64_t target,
	uint64_t second, struct state *state);

/* Prints what differs between two extended states; true if anything does. */
bool world_xstate_differs(const struct arch_xstate *a,
	const struct arch_xstate *b, bool print);

#endif
