/* SPDX-License-Identifier: MIT */
/*
 * Displaced execution needs the instruction with its memory operand at
 * [register]: prefixes that say where the operand is are dropped, ModRM
 * becomes mod 0 with a base register that the instruction does not use
 * otherwise, everything else stays. A register base, because a rip-relative
 * operand would need the code patched to keep the operand's alignment.
 *
 * rsp as a register operand is replaced as well: the host's stack pointer then
 * stays in place while the guest's instruction runs, so that signals that come
 * in between find a stack.
 *
 * LOCK is dropped: scratch is private, and a locked access across two cache
 * lines of it would stop every bus of the machine.
 */
#include "decode/decode_impl.h"

#include <string.h>

#include "base/invariant.h"

#define SP 4

static bool is_dropped_prefix(uint8_t byte)
{
	switch (byte) {
	case 0x26: /* es */
	case 0x2e: /* cs */
	case 0x36: /* ss */
	case 0x3e: /* ds */
	case 0x64: /* fs */
	case 0x65: /* gs */
	case 0x67: /* address size */
	case 0xf0: /* lock */
		return true;
	default:
		/* A REX that is not right before the opcode means nothing. */
		return byte >= 0x40 && byte <= 0x4f;
	}
}

/*
 * Only low registers that need no SIB and no REX bit. The implicit operands
 * of instructions with a ModRM operand are rax, rcx, rdx and rbx (cmpxchg8b);
 * rbx is taken only when reg and vvvv are both in use, and then nothing is
 * implicit but mulx's rdx.
 */
static uint8_t pick(const struct insn *insn, const uint8_t *candidates,
	size_t count, uint8_t taken)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t candidate = candidates[i];

		if (candidate != (insn->internal.reg & 15) &&
			candidate != (insn->internal.vreg & 15) &&
			candidate != taken)
			return candidate;
	}
	unreachable_state();
}

static void add(struct insn *out, uint8_t byte)
{
	invariant(out->internal.code_len < ARCH_INSN_MAX);
	out->internal.code[out->internal.code_len++] = byte;
}

static void add_prefixes(const struct encoding *e, struct insn *out)
{
	size_t end = e->opcode - (e->has_rex ? 1u : 0u);

	for (size_t i = 0; i < end; i++)
		if (!is_dropped_prefix(out->bytes[i]))
			add(out, out->bytes[i]);
	if (e->has_rex) /* X and B extended the old operand */
		add(out, out->bytes[e->opcode - 1] & 0xfc);
}

static bool is_long_vex(const struct encoding *e, const struct insn *out)
{
	return e->kind == ENCODING_VEX && out->bytes[e->opcode] != 0xc5;
}

/* vvvv, inverted, sits in bits 3..6 of the byte with pp. */
static void replace_vvvv(
	const struct encoding *e, const struct insn *out, uint8_t *code)
{
	uint8_t vreg = out->internal.substitute;

	code += is_long_vex(e, out) || e->kind == ENCODING_EVEX ? 2 : 1;
	*code = (uint8_t)((*code & 0x87) | ((~vreg & 15) << 3));
}

/* From the opcode (or vector prefix) up to ModRM. */
static void add_opcode(const struct encoding *e, struct insn *out)
{
	size_t start = out->internal.code_len;
	uint8_t *code = out->internal.code + start;

	for (size_t i = e->opcode; i < e->modrm; i++)
		add(out, out->bytes[i]);
	if (e->kind == ENCODING_EVEX || is_long_vex(e, out)) /* inverted X and B */
		code[1] |= 0x60;
	if (out->internal.substitute != NO_SUBSTITUTE && e->vreg_is_gpr &&
		out->internal.vreg == SP)
		replace_vvvv(e, out, code);
}

static void add_operand(const struct encoding *e, struct insn *out)
{
	uint8_t modrm = out->bytes[e->modrm];
	uint8_t reg = modrm & 0x38;

	if (e->reg_is_gpr && out->internal.reg == SP)
		reg = (uint8_t)(out->internal.substitute << 3);
	add(out, reg | out->internal.base);
	for (size_t i = e->operands_end; i < out->length; i++)
		add(out, out->bytes[i]);
}

static uint32_t hash_code(const uint8_t *code)
{
	uint64_t words[2];

	memcpy(words, code, sizeof(words));
	words[0] = (words[0] ^ (words[1] * UINT64_C(0x9e3779b97f4a7c15))) *
		UINT64_C(0xff51afd7ed558ccd);
	return (uint32_t)(words[0] >> 32);
}

/* The operand is [rdi] already: only what moves it has to go. */
void rewrite_implied(const struct encoding *encoding, struct insn *out)
{
	memset(out->internal.code, 0, sizeof(out->internal.code));
	out->internal.code_len = 0;
	out->internal.base = ARCH_RDI;
	out->internal.substitute = NO_SUBSTITUTE;
	add_prefixes(encoding, out);
	if (encoding->has_rex) /* here they extend registers */
		out->internal.code[out->internal.code_len - 1] =
			out->bytes[encoding->opcode - 1];
	for (size_t i = encoding->opcode; i < out->length; i++)
		add(out, out->bytes[i]);
	out->internal.hash = hash_code(out->internal.code);
}

static void replace(uint8_t *byte, unsigned shift, uint8_t reg)
{
	*byte = (uint8_t)((*byte & ~(7u << shift)) | (unsigned)reg << shift);
}

/* Put the substitute where rsp is named; code is what stands at the
 * encoding's opcode. */
static void replace_rsp(
	const struct encoding *e, struct insn *out, uint8_t *code)
{
	uint8_t substitute = out->internal.substitute;

	if (e->rm_is_gpr && out->internal.rm == SP)
		replace(&code[(e->has_modrm ? e->modrm : e->opcode_reg) -
				e->opcode],
			0, substitute);
	if (e->reg_is_gpr && out->internal.reg == SP)
		replace(&code[e->modrm - e->opcode], 3, substitute);
	if (e->vreg_is_gpr && out->internal.vreg == SP)
		replace_vvvv(e, out, code);
}

void rewrite_register(const struct encoding *e, struct insn *out)
{
	static const uint8_t substitutes[] = { 5, 6, 7, 3 };
	uint8_t *code;

	memset(out->internal.code, 0, sizeof(out->internal.code));
	out->internal.code_len = 0;
	out->internal.base = NO_SUBSTITUTE;
	out->internal.substitute = NO_SUBSTITUTE;
	add_prefixes(e, out);
	if (e->has_rex) /* X and B extend registers here */
		out->internal.code[out->internal.code_len - 1] =
			out->bytes[e->opcode - 1];
	code = out->internal.code + out->internal.code_len;
	for (size_t i = e->opcode; i < out->length; i++)
		add(out, out->bytes[i]);
	if ((e->reg_is_gpr && out->internal.reg == SP) ||
		(e->vreg_is_gpr && out->internal.vreg == SP) ||
		(e->rm_is_gpr && out->internal.rm == SP)) {
		out->internal.substitute = pick(out, substitutes,
			sizeof(substitutes), out->internal.rm & 15);
		replace_rsp(e, out, code);
	}
	out->internal.hash = hash_code(out->internal.code);
}

void rewrite_insn(const struct encoding *encoding, struct insn *out)
{
	static const uint8_t bases[] = { 6, 7, 3 };
	static const uint8_t substitutes[] = { 5, 6, 7, 3 };
	uint8_t none = NO_SUBSTITUTE;

	memset(out->internal.code, 0, sizeof(out->internal.code));
	out->internal.code_len = 0;
	out->internal.base = pick(out, bases, sizeof(bases), none);
	out->internal.substitute = none;
	if ((encoding->reg_is_gpr && out->internal.reg == SP) ||
		(encoding->vreg_is_gpr && out->internal.vreg == SP))
		out->internal.substitute = pick(out, substitutes,
			sizeof(substitutes), out->internal.base);
	add_prefixes(encoding, out);
	add_opcode(encoding, out);
	add_operand(encoding, out);
	out->internal.hash = hash_code(out->internal.code);
}
