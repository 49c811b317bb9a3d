/* SPDX-License-Identifier: MIT */
/*
 * Private to src/decode: what the decoder finds out for the executor, and the
 * seams between the files. The meaning of insn.internal is here.
 */
#ifndef CUSTOS_DECODE_DECODE_IMPL_H
#define CUSTOS_DECODE_DECODE_IMPL_H

#include <custos/decode.h>

/* How the executor carries an instruction out; a row of its form table. */
enum decode_form {
	FORM_NONE, /* not executed */
	FORM_PLAIN, /* one ModRM memory operand, through the thunk */
	FORM_BIT, /* bt/bts/btr/btc m, r: the register moves the address */
	FORM_MASKMOV, /* [rdi] is the implied operand of a thunk */
	FORM_XCHG,
	FORM_XLAT,
	FORM_MOFFS_LOAD,
	FORM_MOFFS_STORE,
	FORM_MOVDIR64B,
	FORM_FLUSH, /* clflush and the like: no data moves */
	FORM_PUSH_REG,
	FORM_PUSH_IMM,
	FORM_PUSH_MEM,
	FORM_PUSH_FLAGS,
	FORM_POP_REG,
	FORM_POP_MEM,
	FORM_POP_FLAGS,
	FORM_CALL_REL,
	FORM_CALL_REG,
	FORM_CALL_MEM,
	FORM_JMP_MEM,
	FORM_RET,
	FORM_LEAVE,
	FORM_ENTER,
	FORM_MOVS,
	FORM_CMPS,
	FORM_STOS,
	FORM_LODS,
	FORM_SCAS,
	FORM_GATHER,
	FORM_SCATTER,
	FORM_XSAVE,
	FORM_XRSTOR,
	/* No data memory: */
	FORM_REGISTER, /* through the thunk */
	FORM_NOP, /* hints, fences, endbr */
	FORM_LEA, /* the address is operands[0], which is not counted */
	FORM_DIRECTION, /* cld, std */
	FORM_UNDEFINED, /* ud0, ud1, ud2 */
	FORM_JMP_REL,
	FORM_JMP_REG,
	FORM_JCC, /* internal.reg: the condition */
	FORM_LOOP, /* internal.reg: the opcode's low bits; jrcxz is 3 */
	FORM_MAX
};

/* What selects the parts of a masked operand. */
enum decode_mask {
	MASK_NONE,
	MASK_K, /* bit i of a mask register: element i */
	MASK_K_ANY, /* broadcast: element i % elements, for each lane i */
	MASK_K_COUNT, /* compress, expand: the first popcount elements */
	MASK_VECTOR, /* sign bit of element i of a vector register */
};

/* insn.internal.repeat */
#define REPEAT_NONE 0
#define REPEAT_NE 0xf2
#define REPEAT_E 0xf3

#define NO_SUBSTITUTE 0xff

/* Facts by Zydis, corrected. Fills all of *out but the displaced code.
 * Returns as decode_insn(). */
int zydis_decode(const uint8_t *bytes, size_t len, struct insn *out);

/* Text by Zydis; false when it cannot decode the bytes. */
bool zydis_text(const uint8_t *bytes, size_t len, uint64_t rip, char *text,
	size_t capacity);

/* The mnemonic of insn.internal.mnemonic: "vaddps". */
const char *zydis_mnemonic(uint16_t mnemonic);

/* Length of the first instruction by Capstone, 0 when it decodes none. */
size_t capstone_length(const uint8_t *bytes, size_t len);

/* Text by Capstone; false when it cannot decode the bytes, or sees another
 * length than len. */
bool capstone_text(const uint8_t *bytes, size_t len, uint64_t rip, char *text,
	size_t capacity);

/* Where the parts of an encoding are: offsets from the first byte. */
struct encoding {
	enum { ENCODING_LEGACY, ENCODING_VEX, ENCODING_EVEX } kind;
	uint8_t opcode; /* offset of the first byte after prefixes and REX; of
			 * the VEX, XOP or EVEX prefix itself otherwise */
	uint8_t modrm;
	uint8_t operands_end; /* behind ModRM, SIB and displacement */
	bool has_rex; /* a live one, right before opcode */
	/* ... of 16 or more bits, or low byte */
	bool reg_is_gpr, vreg_is_gpr, rm_is_gpr;
	bool has_modrm; /* else rm is in the low bits of... */
	uint8_t opcode_reg; /* ...the byte here; 0: nowhere */
};

/*
 * Fill out->internal.{code, code_len, base, substitute, hash} so that the
 * memory operand is [base]. Needs bytes, length, internal.{reg, vreg}.
 */
void rewrite_insn(const struct encoding *encoding, struct insn *out);

/* The same for one without memory operand: internal.base is NO_SUBSTITUTE. */
void rewrite_register(const struct encoding *encoding, struct insn *out);

/* The same for an instruction whose implied operand is [rdi]. */
void rewrite_implied(const struct encoding *encoding, struct insn *out);

#endif
