/* SPDX-License-Identifier: MIT */
/*
 * Decoding as others see it: Zydis gives the facts, Capstone the text, and
 * where both decode and disagree on the length nothing is executed here.
 */
#include <custos/decode.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "decode/decode_impl.h"

int decode_insn(const uint8_t *bytes, size_t len, struct insn *out)
{
	int result;
	size_t second;

	if (len > ARCH_INSN_MAX)
		len = ARCH_INSN_MAX;
	result = zydis_decode(bytes, len, out);
	if (result || out->method != INSN_EXECUTE)
		return result;
	second = capstone_length(bytes, len);
	if (second && second != out->length)
		out->method = INSN_STEP;
	return 0;
}

static void hex_text(const struct insn *insn, char *text, size_t capacity)
{
	size_t used = 0;

	for (size_t i = 0; i < insn->length && used + 3 < capacity; i++)
		used += (size_t)snprintf(text + used, capacity - used, "%s%02x",
			i ? " " : "", insn->bytes[i]);
}

void decode_text(const struct insn *insn, uint64_t rip, char *text,
	size_t capacity)
{
	if (!capacity)
		return;
	text[0] = '\0';
	if (!capstone_text(insn->bytes, insn->length, rip, text, capacity) &&
		!zydis_text(insn->bytes, insn->length, rip, text, capacity))
		hex_text(insn, text, capacity);
}

static const char *gpr_name(int reg, bool address32)
{
	static const char *const names[ARCH_GPR_MAX] = { "rax", "rcx", "rdx",
		"rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11",
		"r12", "r13", "r14", "r15" };
	static const char *const names32[ARCH_GPR_MAX] = { "eax", "ecx", "edx",
		"ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d",
		"r12d", "r13d", "r14d", "r15d" };

	if (reg == INSN_REG_RIP)
		return address32 ? "eip" : "rip";
	return address32 ? names32[reg] : names[reg];
}

/* "xmm3": how wide the index register is follows from lanes and elements. */
static void index_name(
	const struct insn *insn, const struct insn_operand *o, char out[16])
{
	unsigned bytes = o->lanes * insn->internal.index_bytes;

	if (o->vsib)
		snprintf(out, 16, "%cmm%d",
			bytes > 32 ? 'z' : bytes > 16 ? 'y' : 'x', o->index);
	else
		snprintf(out, 16, "%s", gpr_name(o->index, insn->address32));
}

static void displacement_text(
	int64_t value, bool alone, char *out, size_t capacity)
{
	uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;

	if (alone)
		snprintf(out, capacity, "0x%" PRIx64, (uint64_t)value);
	else if (value)
		snprintf(out, capacity, " %c 0x%" PRIx64, value < 0 ? '-' : '+',
			magnitude);
	else
		out[0] = '\0';
}

/* What moves the address besides base and index: a bit offset, al. */
static void extra_text(const struct insn *insn, char *out, size_t capacity)
{
	unsigned width = insn->internal.width;

	out[0] = '\0';
	if (insn->internal.form == FORM_XLAT)
		snprintf(out, capacity, " + al");
	if (insn->internal.form == FORM_BIT)
		snprintf(out, capacity, " + (%s:%u >> %d)*%u",
			gpr_name(insn->internal.reg, false), width * 8,
			__builtin_ctz(width * 8), width);
}

void decode_operand_text(const struct insn *insn, unsigned operand, char *text,
	size_t capacity)
{
	static const char *const segments[] = { "", "fs:", "gs:" };
	const struct insn_operand *o = &insn->operands[operand];
	bool has_base = o->base != INSN_REG_NONE;
	bool has_index = o->index != INSN_REG_NONE;
	char index[16] = "", scale[8] = "", displacement[32], extra[40];

	if (has_index)
		index_name(insn, o, index);
	if (has_index && o->scale > 1)
		snprintf(scale, sizeof(scale), "*%u", o->scale);
	displacement_text(o->displacement, !has_base && !has_index,
		displacement, sizeof(displacement));
	extra_text(insn, extra, sizeof(extra));
	snprintf(text, capacity, "%s[%s%s%s%s%s%s]", segments[o->segment],
		has_base ? gpr_name(o->base, insn->address32) : "",
		has_base && has_index ? " + " : "", index, scale, extra,
		displacement);
}
