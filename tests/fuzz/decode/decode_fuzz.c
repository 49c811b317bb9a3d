/* SPDX-License-Identifier: MIT */
/* Any bytes: decoding ends, stays in bounds, and contradicts itself nowhere. */
#include <stdlib.h>
#include <string.h>

#include <custos/decode.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_operands(const struct insn *insn)
{
	char text[100];

	check(insn->operand_count <= INSN_OPERANDS_MAX);
	for (unsigned i = 0; i < insn->operand_count; i++) {
		const struct insn_operand *o = &insn->operands[i];

		check(o->base < ARCH_GPR_MAX && o->base >= INSN_REG_RIP);
		check(o->index < (o->vsib ? 32 : ARCH_GPR_MAX));
		check(o->scale == 1 || o->scale == 2 || o->scale == 4 ||
			o->scale == 8);
		check(o->lanes >= 1 && o->lanes <= EXEC_ACCESSES_MAX);
		decode_operand_text(insn, i, text, sizeof(text));
		check(strlen(text) < sizeof(text));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size + 1); /* so that ASan sees the end */
	struct insn insn, again;
	char text[128];
	int result;

	if (!exact)
		return 0;
	memcpy(exact, data, size);
	result = decode_insn(exact, size, &insn);
	if (!result) {
		check(insn.length && insn.length <= ARCH_INSN_MAX);
		check(insn.length <= size);
		check(insn.internal.code_len <= ARCH_INSN_MAX);
		check_operands(&insn);
		decode_text(&insn, 0x401000, text, sizeof(text));
		/* What lies behind it does not matter. */
		check(!decode_insn(exact, insn.length, &again));
		check(again.length == insn.length &&
			again.operand_count == insn.operand_count);
	}
	free(exact);
	return 0;
}
