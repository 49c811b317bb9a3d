/* SPDX-License-Identifier: MIT */
/*
 * The xsave family. The CPU does the part of the state that the thunk holds;
 * components that must not be loaded into the monitor (PKRU would take its
 * memory away, AMX tiles need a permission) are moved between the image of
 * the state and the area by hand.
 */
#include <string.h>

#include "decode/exec_impl.h"

#define BV 512 /* XSTATE_BV in an area */
#define COMP_BV 520 /* XCOMP_BV */
#define COMPACTED (UINT64_C(1) << 63)
#define PKRU 9
#define FXSAVE_SIZE 512u

static bool is_fx(const struct exec *exec)
{
	return exec->insn->operands[0].size == FXSAVE_SIZE;
}

static bool is_named(const struct exec *exec, const char *prefix)
{
	return !strncmp(zydis_mnemonic(exec->insn->internal.mnemonic), prefix,
		strlen(prefix));
}

static uint64_t requested(const struct exec *exec)
{
	uint64_t mask = (uint32_t)exec->regs->gpr[ARCH_RAX] |
		exec->regs->gpr[ARCH_RDX] << 32;

	return mask & xstate_enabled();
}

static uint64_t by_hand(const struct exec *exec)
{
	return is_fx(exec) ? 0 : requested(exec) & ~xstate_thunk_mask();
}

/* Without x87, SSE and AVX the legacy region is not touched. */
static unsigned first_byte(const struct exec *exec)
{
	return is_fx(exec) || (requested(exec) &
			(XSTATE_X87 | XSTATE_SSE | XSTATE_AVX)) ?
		0 :
		XSTATE_LEGACY_SIZE;
}

static enum exec_status plan_state(struct exec *exec)
{
	const struct insn_operand *o = &exec->insn->operands[0];
	uint32_t size = o->size;
	enum exec_status status;

	if (!size)
		size = is_named(exec, "xsavec") ?
			xstate_compact_extent(requested(exec)) :
			xstate_extent(requested(exec));
	exec->operand_address =
		exec_effective(exec, o) + exec_segment_base(exec, o);
	exec->offset = first_byte(exec);
	status = exec_add_unaligned(exec, 0, o->kind,
		exec->operand_address + exec->offset, size - exec->offset);
	/* Here, and only here, that comes behind #SS. */
	if (status == EXEC_OK && exec->operand_address % o->alignment)
		return exec_raise(exec, ARCH_VECTOR_GP);
	return status;
}

static uint64_t get64(const uint8_t *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

static void put64(uint8_t *bytes, uint64_t value)
{
	memcpy(bytes, &value, sizeof(value));
}

/* On scratch, with the components that are moved by hand left out. */
static enum exec_status run_clipped(struct exec *exec, uint8_t *place)
{
	const struct arch_regs *regs = exec->regs;
	struct arch_regs clipped = *regs;
	uint64_t mask = requested(exec) & xstate_thunk_mask();
	enum exec_status status;

	memset(place, 0, exec->offset);
	memcpy(place + exec->offset, exec->accesses[0].old_bytes,
		exec->accesses[0].size);
	if (!is_fx(exec)) {
		clipped.gpr[ARCH_RAX] = (uint32_t)mask;
		clipped.gpr[ARCH_RDX] = mask >> 32;
	}
	exec->regs = &clipped;
	status = exec_thunk(exec, place);
	exec->regs = regs;
	memcpy(exec->out.gpr, regs->gpr, sizeof(regs->gpr));
	return status;
}

/* Where a component is in the area at place. */
static unsigned place_of(const struct exec *exec, unsigned component)
{
	unsigned end;

	if (!is_named(exec, "xsavec"))
		return xstate_offset(component);
	end = xstate_compact_extent(
		requested(exec) & ((UINT64_C(1) << component) - 1));
	return xstate_is_aligned(component) ? (end + 63) & ~63u : end;
}

/* The upper half of PKRU's eight bytes is left alone. */
static unsigned written_size(unsigned component)
{
	return component == PKRU ? 4 : xstate_size(component);
}

static void save_by_hand(struct exec *exec, uint8_t *place, unsigned component)
{
	uint64_t bit = UINT64_C(1) << component;
	bool in_use = xstate_bv(exec->xstate) & bit;
	uint8_t *to = place + place_of(exec, component);
	unsigned size = written_size(component);

	put64(place + BV, in_use ? get64(place + BV) | bit :
				   get64(place + BV) & ~bit);
	if (is_named(exec, "xsavec"))
		put64(place + COMP_BV, get64(place + COMP_BV) | bit);
	if (in_use)
		memcpy(to, exec->xstate->area + xstate_offset(component),
			size);
	else if (!is_named(exec, "xsavec") && !is_named(exec, "xsaveopt"))
		memset(to, 0, size); /* those two skip initial state */
}

static enum exec_status run_xsave(struct exec *exec)
{
	uint8_t *place = exec_place(exec, exec->operand_address);
	enum exec_status status = run_clipped(exec, place);

	if (status != EXEC_OK)
		return status;
	for (unsigned i = 0; i < XSTATE_COMPONENTS_MAX; i++)
		if (by_hand(exec) >> i & 1)
			save_by_hand(exec, place, i);
	memcpy(exec->accesses[0].new_bytes, place + exec->offset,
		exec->accesses[0].size);
	exec->xstate_changed = false;
	return EXEC_OK;
}

const struct form_ops form_xsave = { .plan = plan_state, .run = run_xsave };

static void restore_by_hand(
	struct exec *exec, const uint8_t *area, unsigned component)
{
	uint64_t bit = UINT64_C(1) << component;
	struct arch_xstate *out = exec->xstate_out;
	unsigned offset = xstate_offset(component);
	unsigned size = xstate_size(component);

	if (!(get64(area + BV) & bit)) {
		put64(out->area + BV, xstate_bv(out) & ~bit);
		return;
	}
	memcpy(out->area + offset, area + offset, size);
	put64(out->area + BV, xstate_bv(out) | bit);
	if (out->size < offset + size)
		out->size = offset + size;
}

static enum exec_status run_xrstor(struct exec *exec)
{
	/* as if the area began at its first byte */
	const uint8_t *area = exec->accesses[0].old_bytes - exec->offset;
	uint8_t *place = exec_place(exec, exec->operand_address);
	enum exec_status status;

	if (by_hand(exec) && (get64(area + COMP_BV) & COMPACTED))
		return EXEC_CANNOT;
	status = run_clipped(exec, place);
	if (status != EXEC_OK)
		return status;
	for (unsigned i = 0; i < XSTATE_COMPONENTS_MAX; i++)
		if (by_hand(exec) >> i & 1)
			restore_by_hand(exec, area, i);
	exec->xstate_changed = xstate_differs(exec->xstate, exec->xstate_out);
	return EXEC_OK;
}

const struct form_ops form_xrstor = { .plan = plan_state, .run = run_xrstor };
