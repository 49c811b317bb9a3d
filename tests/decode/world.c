/* SPDX-License-Identifier: MIT */
#include "tests/decode/world.h"

#include <stdio.h>
#include <string.h>

#include "decode/exec_impl.h"

#define MXCSR 24
#define FTW 4
#define ST 32
#define BV 512

/* ---- values ---- */

static uint32_t random_float(struct random *r)
{
	static const uint32_t special[] = { 0, 0x80000000, 0x3f800000,
		0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001,
		0x00000001, 0x00800000, 0x7f7fffff, 0x4f000000 };

	if (random_once_in(r, 4))
		return special[random_below(r, 12)];
	return (uint32_t)((random_next(r) & 0x807fffff) |
		(uint64_t)(110 + random_below(r, 40)) << 23);
}

static uint64_t random_double(struct random *r)
{
	static const uint64_t special[] = { 0, UINT64_C(1) << 63,
		0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000,
		0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001, 1,
		0x0010000000000000, 0x7fefffffffffffff, 0x43e0000000000000 };

	if (random_once_in(r, 4))
		return special[random_below(r, 12)];
	return (random_next(r) & UINT64_C(0x800fffffffffffff)) |
		(uint64_t)(1000 + random_below(r, 46)) << 52;
}

static uint16_t random_half(struct random *r)
{
	static const uint16_t special[] = { 0, 0x8000, 0x3c00, 0x7c00, 0x7e00,
		0x7c01, 1, 0x0400 };

	if (random_once_in(r, 4))
		return special[random_below(r, 8)];
	return (uint16_t)((random_next(r) & 0x83ff) |
		(8 + random_below(r, 14)) << 10);
}

static uint64_t random_word(struct random *r, unsigned kind)
{
	switch (kind) {
	case 0:
		return random_float(r) | (uint64_t)random_float(r) << 32;
	case 1:
		return random_double(r);
	case 2:
		return random_half(r) | (uint64_t)random_half(r) << 16 |
			(uint64_t)random_half(r) << 32 |
			(uint64_t)random_half(r) << 48;
	case 3:
		return random_below(r, 3);
	case 4:
		return ~(uint64_t)0;
	default:
		return random_next(r);
	}
}

void world_fill_bytes(struct random *random, uint8_t *bytes, size_t size)
{
	unsigned kind = random_below(random, 8);

	for (size_t i = 0; i < size; i += 8) {
		uint64_t word = random_word(random, kind);

		memcpy(bytes + i, &word, size - i < 8 ? size - i : 8);
	}
}

/* ---- state ---- */

static void fill_x87(struct random *r, uint8_t *area)
{
	uint16_t control = 0x037f, status;
	uint64_t zero = 0;

	if (random_once_in(r, 4))
		control = (uint16_t)(0x007f | random_below(r, 16) << 8);
	if (random_once_in(r, 8))
		control = (uint16_t)(control & ~(1u << random_below(r, 6)));
	status = (uint16_t)(random_below(r, 8) << 11 |
		(random_below(r, 16) & 7) << 8 | random_below(r, 2) << 14);
	if (random_once_in(r, 16))
		status |= 1u << random_below(r, 6);
	/* ES and B follow from flags and masks */
	if (status & ~control & 0x3f)
		status |= 0x8080;
	memcpy(area, &control, 2);
	memcpy(area + 2, &status, 2);
	area[FTW] = random_once_in(r, 2) ? 0xff : (uint8_t)random_next(r);
	area[5] = 0;
	memset(area + 6, 0, 2);
	memcpy(area + 8, &zero, 8);
	memcpy(area + 16, &zero, 8);
	for (unsigned i = 0; i < 8; i++) {
		uint64_t mantissa = random_next(r) | UINT64_C(1) << 63;
		uint16_t exponent =
			(uint16_t)(16383 - 20 + random_below(r, 40));

		if (random_once_in(r, 8)) {
			mantissa = random_next(r);
			exponent = random_once_in(r, 2) ? 0x7fff : 0;
		}
		exponent |= (uint16_t)(random_below(r, 2) << 15);
		memset(area + ST + i * 16, 0, 16);
		memcpy(area + ST + i * 16, &mantissa, 8);
		memcpy(area + ST + i * 16 + 8, &exponent, 2);
	}
}

static void fill_xstate(
	struct random *r, const struct arch_xstate *base, struct arch_xstate *x)
{
	uint64_t bv = xstate_bv(base) | xstate_thunk_mask();
	uint32_t mxcsr = 0x1f80;

	memcpy(x->area, base->area, base->size);
	x->size = base->size;
	memcpy(x->area + BV, &bv, sizeof(bv));
	fill_x87(r, x->area);
	if (random_once_in(r, 4))
		mxcsr = 0x1f80 ^ (random_below(r, 4) << 13 |
				(random_next(r) & 0x8040));
	if (random_once_in(r, 8))
		mxcsr &= ~(1u << (7 + random_below(r, 6)));
	mxcsr |= random_once_in(r, 4) ? random_below(r, 64) : 0;
	memcpy(x->area + MXCSR, &mxcsr, 4);
	for (unsigned i = 1; i < 8; i++)
		for (unsigned at = 0; at < xstate_size(i); at += 64)
			world_fill_bytes(r, x->area + xstate_offset(i) + at,
				64 < xstate_size(i) - at ?
					64 :
					xstate_size(i) - at);
	for (unsigned i = 0; i < 8; i++)
		if (xstate_size(5) && random_once_in(r, 3))
			xstate_set_mask(x, i,
				random_once_in(r, 2) ? 0 : ~UINT64_C(0));
}

static uint64_t random_gpr(struct random *r)
{
	static const uint64_t special[] = { 0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff,
		0x8000, 0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX,
		UINT64_C(1) << 63, ~UINT64_C(0) };

	return random_once_in(r, 4) ? special[random_below(r, 14)] :
		random_once_in(r, 3) ? random_next(r) >> random_below(r, 64) :
				       random_next(r);
}

void world_fill(struct random *random, const struct arch_xstate *base,
	struct state *state)
{
	struct arch_regs *regs = &state->regs;

	for (unsigned i = 0; i < ARCH_GPR_MAX; i++)
		regs->gpr[i] = random_gpr(random);
	regs->gpr[ARCH_RSP] = DATA_ADDRESS + DATA_SIZE / 2;
	regs->rip = CODE_ADDRESS;
	regs->rflags = ARCH_RFLAGS_FIXED | ARCH_RFLAGS_IF |
		(random_next(random) &
			(ARCH_RFLAGS_CF | ARCH_RFLAGS_PF | ARCH_RFLAGS_AF |
				ARCH_RFLAGS_ZF | ARCH_RFLAGS_SF |
				ARCH_RFLAGS_OF | ARCH_RFLAGS_DF));
	regs->fs_base = random_once_in(random, 2) ? 0 :
						     random_below(random, 1 << 30);
	regs->gs_base = random_once_in(random, 2) ? 0x7000 :
						     random_below(random, 1 << 30);
	fill_xstate(random, base, &state->xstate);
}

/* ---- addresses ---- */

static uint64_t segment_base(
	const struct insn_operand *o, const struct arch_regs *regs)
{
	return o->segment == INSN_SEGMENT_FS ? regs->fs_base :
		o->segment == INSN_SEGMENT_GS ? regs->gs_base :
						0;
}

static void aim_operand(struct random *r, const struct insn *insn,
	const struct insn_operand *o, uint64_t target, struct arch_regs *regs)
{
	uint64_t rest = target - segment_base(o, regs) -
		(uint64_t)o->displacement;
	uint64_t *index = o->index >= 0 && !o->vsib ? &regs->gpr[o->index] :
						      NULL;
	uint64_t *base = o->base >= 0 ? &regs->gpr[o->base] : NULL;
	uint64_t high = insn->address32 ? random_next(r) << 32 : 0;

	if (insn->address32)
		rest = (uint32_t)rest;
	if (base && index && base != index) {
		if (insn->address32)
			*index = (uint32_t)*index | high;
		rest -= *index * o->scale;
		if (insn->address32)
			rest = (uint32_t)rest;
		*base = rest | high;
	} else if (base && index) {
		*base = (rest / (o->scale + 1u)) | high;
	} else if (base) {
		*base = rest | high;
	} else if (index) {
		*index = (rest / o->scale) | high;
	}
}

/* Elements around the target, most of them different. */
static void aim_lanes(
	struct random *r, const struct insn *insn, struct arch_xstate *x)
{
	const struct insn_operand *o = &insn->operands[0];
	unsigned bytes = insn->internal.index_bytes;
	uint8_t vector[64];
	int span = (int)(4096 / o->scale);

	xstate_get_vector(x, (unsigned)o->index, vector);
	for (unsigned i = 0; i < 64 / bytes; i++) {
		int64_t index =
			(int64_t)random_below(r, (unsigned)span) - span / 2;

		if (random_once_in(r, 60))
			index = (int64_t)random_next(r);
		memcpy(vector + i * bytes, &index, bytes);
	}
	xstate_set_vector(x, (unsigned)o->index, vector, 64);
}

static void aim_implied(struct random *r, const struct insn *insn,
	uint64_t second, struct arch_regs *regs)
{
	switch (insn->internal.form) {
	case FORM_BIT:
		regs->gpr[insn->internal.reg] =
			(uint64_t)(int64_t)(int32_t)(random_below(r, 40000) -
				20000);
		break;
	case FORM_MOVS:
	case FORM_CMPS:
	case FORM_STOS:
	case FORM_LODS:
	case FORM_SCAS:
		regs->gpr[ARCH_RCX] = random_below(r, 4) |
			(insn->address32 ? random_next(r) << 32 : 0);
		break;
	case FORM_LEAVE:
	case FORM_ENTER:
		regs->gpr[ARCH_RBP] = second;
		break;
	default:
		break;
	}
}

void world_aim(struct random *random, const struct insn *insn, uint64_t target,
	uint64_t second, struct state *state)
{
	struct arch_regs *regs = &state->regs;
	unsigned form = insn->internal.form;

	aim_implied(random, insn, second, regs);
	for (unsigned i = insn->operand_count; i-- > 0;)
		aim_operand(random, insn, &insn->operands[i],
			i ? second : target, regs);
	if (form == FORM_LEAVE || form == FORM_ENTER)
		regs->gpr[ARCH_RBP] = second;
	if (insn->operand_count && insn->operands[0].vsib)
		aim_lanes(random, insn, &state->xstate);
	if (form == FORM_XLAT)
		regs->gpr[ARCH_RBX] -= regs->gpr[ARCH_RAX] & 0xff;
}

/* ---- comparing ---- */

static bool part_differs(const char *what, unsigned number, const uint8_t *a,
	const uint8_t *b, size_t size, bool print)
{
	if (!memcmp(a, b, size))
		return false;
	if (!print)
		return true;
	printf("    %s%u:", what, number);
	for (int side = 0; side < 2; side++) {
		printf(side ? "\n       custos " : "\n       cpu    ");
		for (size_t i = 0; i < size; i++)
			printf("%02x", (side ? b : a)[i]);
	}
	putchar('\n');
	return true;
}

static bool x87_differs(
	const struct arch_xstate *a, const struct arch_xstate *b, bool print)
{
	static const uint8_t init[24] = { 0x7f, 0x03 };
	const uint8_t *pa = xstate_bv(a) & XSTATE_X87 ? a->area : init;
	const uint8_t *pb = xstate_bv(b) & XSTATE_X87 ? b->area : init;
	bool differs = part_differs("x87 control ", 0, pa, pb, 24, print);

	if (!(xstate_bv(a) & xstate_bv(b) & XSTATE_X87))
		return differs;
	for (unsigned i = 0; i < 8; i++)
		differs |= part_differs("st", i, a->area + ST + i * 16,
			b->area + ST + i * 16, 10, print);
	return differs;
}

/* With SSE in its initial state the kernel's image still shows the MXCSR of
 * before: XSAVES does not write it then. */
static uint32_t mxcsr_of(const struct arch_xstate *x)
{
	uint32_t mxcsr;

	memcpy(&mxcsr, x->area + MXCSR, sizeof(mxcsr));
	return xstate_bv(x) & XSTATE_SSE ? mxcsr : 0x1f80;
}

bool world_xstate_differs(const struct arch_xstate *a,
	const struct arch_xstate *b, bool print)
{
	bool differs = x87_differs(a, b, print);
	uint32_t mxcsr_a, mxcsr_b;

	mxcsr_a = mxcsr_of(a);
	mxcsr_b = mxcsr_of(b);
	differs |= part_differs("mxcsr ", 0, (uint8_t *)&mxcsr_a,
		(uint8_t *)&mxcsr_b, 4, print);
	for (unsigned i = 0; i < 32; i++) {
		uint8_t va[64], vb[64];

		xstate_get_vector(a, i, va);
		xstate_get_vector(b, i, vb);
		differs |= part_differs("zmm", i, va, vb, 64, print);
	}
	for (unsigned i = 0; i < 8; i++) {
		uint64_t ka = xstate_get_mask(a, i), kb = xstate_get_mask(b, i);

		differs |= part_differs("k", i, (uint8_t *)&ka, (uint8_t *)&kb,
			8, print);
	}
	return differs;
}
