/* SPDX-License-Identifier: MIT */
/* The executor's answer, on a copy of the child's memory. */
#ifndef CUSTOS_TESTS_DECODE_MODEL_H
#define CUSTOS_TESTS_DECODE_MODEL_H

#include "tests/decode/native.h"

struct model {
	struct exec *exec;
	uint8_t *data; /* DATA_SIZE bytes, at DATA_ADDRESS */
};

/* False: the executor cannot do this one (EXEC_CANNOT). */
bool model_step(struct model *model, const struct insn *insn,
	const struct state *before, struct outcome *after);

#endif
