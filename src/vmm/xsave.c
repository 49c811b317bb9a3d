/* SPDX-License-Identifier: MIT */
#include "vmm/xsave.h"

#include <string.h>

#define X87 (UINT64_C(1) << 0)
#define SSE (UINT64_C(1) << 1)
#define AVX (UINT64_C(1) << 2)
/* The legacy area (SDM vol. 1, table 10-2) and the header behind it. */
#define FCW_INITIAL 0x037f
#define MXCSR_INITIAL 0x1f80
#define MXCSR_OFFSET 24
#define MXCSR_MASK_OFFSET 28
#define X87_HEAD 24 /* FCW to FDP */
#define X87_STACK 32
#define X87_STACK_SIZE 128
#define XMM_OFFSET 160
#define XMM_SIZE 256
#define HEADER_BV 512
#define HEADER_COMPACTED 520
#define HEADER_RESERVED 528

static uint64_t get_word(const struct arch_xstate *x, size_t offset)
{
	uint64_t value;

	memcpy(&value, x->area + offset, sizeof(value));
	return value;
}

static void put_word(struct arch_xstate *x, size_t offset, uint64_t value)
{
	memcpy(x->area + offset, &value, sizeof(value));
}

/* Bytes of a component, from `from' or, when it has none, initial (zero). */
static void move(struct arch_xstate *to, const struct arch_xstate *from,
	bool present, size_t offset, size_t size)
{
	if (present)
		memcpy(to->area + offset, from->area + offset, size);
	else
		memset(to->area + offset, 0, size);
}

static void move_x87(
	struct arch_xstate *to, const struct arch_xstate *from, bool present)
{
	uint16_t fcw = FCW_INITIAL;

	move(to, from, present, 0, X87_HEAD);
	move(to, from, present, X87_STACK, X87_STACK_SIZE);
	if (!present)
		memcpy(to->area, &fcw, sizeof(fcw));
}

/* Everything in mask but MXCSR. bv: what from has. */
static bool move_components(const struct xsave_layout *layout, uint64_t mask,
	uint64_t bv, struct arch_xstate *to, const struct arch_xstate *from)
{
	if (mask & X87)
		move_x87(to, from, bv & X87);
	if (mask & SSE)
		move(to, from, bv & SSE, XMM_OFFSET, XMM_SIZE);
	for (int i = 2; i < XSAVE_COMPONENTS; i++) {
		uint32_t offset = layout->component[i].offset;
		uint32_t size = layout->component[i].size;

		if (!(mask >> i & 1) || !size)
			continue;
		if (offset > ARCH_XSTATE_CAPACITY ||
			size > ARCH_XSTATE_CAPACITY - offset)
			return false;
		move(to, from, bv >> i & 1, offset, size);
	}
	return true;
}

bool vmm_xsave_merge(const struct xsave_layout *layout, uint64_t mask,
	const struct arch_xstate *state, struct arch_xstate *memory)
{
	uint64_t bv = get_word(state, HEADER_BV);

	if (!move_components(layout, mask, bv, memory, state))
		return false;
	if (mask & (SSE | AVX))
		memcpy(memory->area + MXCSR_OFFSET, state->area + MXCSR_OFFSET,
			8);
	put_word(memory, HEADER_BV,
		(get_word(memory, HEADER_BV) & ~mask) | (bv & mask));
	return true;
}

static bool is_header_valid(
	const struct xsave_layout *layout, const struct arch_xstate *memory)
{
	uint64_t bv = get_word(memory, HEADER_BV);

	if (get_word(memory, HEADER_COMPACTED) ||
		get_word(memory, HEADER_RESERVED) || bv >> XSAVE_COMPONENTS)
		return false;
	for (int i = 2; i < XSAVE_COMPONENTS; i++)
		if ((bv >> i & 1) && !layout->component[i].size)
			return false;
	return true;
}

/* MXCSR comes from memory whenever SSE or AVX are asked for, present or not;
 * its reserved bits must be zero. */
static bool load_mxcsr(
	const struct arch_xstate *memory, struct arch_xstate *state)
{
	uint32_t value, allowed;

	memcpy(&value, memory->area + MXCSR_OFFSET, sizeof(value));
	memcpy(&allowed, state->area + MXCSR_MASK_OFFSET, sizeof(allowed));
	if (value & ~(allowed ? allowed : 0xffbf))
		return false;
	memcpy(state->area + MXCSR_OFFSET, &value, sizeof(value));
	return true;
}

bool vmm_xrstor_merge(const struct xsave_layout *layout, uint64_t mask,
	const struct arch_xstate *memory, struct arch_xstate *state)
{
	uint64_t bv = get_word(memory, HEADER_BV);
	uint64_t old = get_word(state, HEADER_BV);

	if (!is_header_valid(layout, memory) ||
		((mask & (SSE | AVX)) && !load_mxcsr(memory, state)))
		return false;
	/* What the state lacks is initial; it gets a place of its own, so
	 * that all of the state is written out in full. */
	if (!(old & SSE))
		memset(state->area + XMM_OFFSET, 0, XMM_SIZE);
	if (!move_components(layout, mask, bv, state, memory))
		return false;
	/* With SSE's bit set MXCSR is taken from the area for certain. */
	put_word(state, HEADER_BV, (old & ~mask) | (bv & mask) | SSE);
	return true;
}
