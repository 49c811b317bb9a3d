/* SPDX-License-Identifier: MIT */
/*
 * Instructions that the CPU itself executes, on scratch: one memory operand,
 * possibly masked; bit tests whose register moves the address; maskmov.
 */
#include <string.h>

#include "base/invariant.h"
#include "decode/exec_impl.h"

/* ---- masks ---- */

static uint64_t k_lanes(const struct exec *exec)
{
	unsigned lanes = exec->insn->internal.mask_lanes;
	uint64_t k = xstate_get_mask(
		exec->xstate, exec->insn->internal.mask_reg);

	return lanes >= 64 ? k : k & ((UINT64_C(1) << lanes) - 1);
}

/* Element i stands for lanes i, i + elements, ...: any of them reads it. */
static uint64_t fold_lanes(const struct exec *exec, uint64_t lanes)
{
	unsigned elements = exec->insn->operands[0].size /
		exec->insn->internal.granule;
	uint64_t folded = 0;

	for (unsigned i = 0; i < exec->insn->internal.mask_lanes; i++)
		if (lanes >> i & 1)
			folded |= UINT64_C(1) << (i % elements);
	return folded;
}

static uint64_t first_lanes(uint64_t lanes)
{
	int count = __builtin_popcountll(lanes);

	return count >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1;
}

static void mask_vector(const struct exec *exec, uint8_t out[64])
{
	unsigned reg = exec->insn->internal.mask_reg;

	if (exec->insn->operands[0].size == 8 &&
		exec->insn->internal.granule == 1) { /* maskmovq */
		uint64_t mm = xstate_get_mmx(exec->xstate, reg & 7);

		memcpy(out, &mm, sizeof(mm));
		return;
	}
	xstate_get_vector(exec->xstate, reg, out);
}

static uint64_t vector_lanes(const struct exec *exec)
{
	unsigned granule = exec->insn->internal.granule;
	uint64_t lanes = 0;
	uint8_t vector[64];

	mask_vector(exec, vector);
	for (unsigned i = 0; i < exec->insn->internal.mask_lanes; i++)
		if (vector[i * granule + granule - 1] & 0x80)
			lanes |= UINT64_C(1) << i;
	return lanes;
}

static uint64_t selected_elements(const struct exec *exec)
{
	switch (exec->insn->internal.mask_source) {
	case MASK_K:
		return k_lanes(exec);
	case MASK_K_ANY:
		return fold_lanes(exec, k_lanes(exec));
	case MASK_K_COUNT:
		return first_lanes(k_lanes(exec));
	default:
		return vector_lanes(exec);
	}
}

static uint64_t selected_bytes(const struct exec *exec)
{
	unsigned granule = exec->insn->internal.granule;
	uint64_t elements = selected_elements(exec), bytes = 0;
	uint64_t element = (UINT64_C(1) << granule) - 1;

	for (unsigned i = 0; i * granule < exec->insn->operands[0].size; i++)
		if (elements >> i & 1)
			bytes |= element << (i * granule);
	return bytes;
}

/* One access from the first selected byte to the last; none at all is fine. */
static enum exec_status plan_masked(struct exec *exec, uint64_t address)
{
	const struct insn_operand *o = &exec->insn->operands[0];
	uint64_t bytes = selected_bytes(exec);
	unsigned first, last;
	enum exec_status status;

	exec->offset = 0;
	if (o->alignment > 1 && (address & (o->alignment - 1u)))
		return exec_raise(exec, ARCH_VECTOR_GP);
	if (!bytes)
		return EXEC_OK;
	first = (unsigned)__builtin_ctzll(bytes);
	last = 63 - (unsigned)__builtin_clzll(bytes);
	status = exec_add_unaligned(
		exec, 0, o->kind, address + first, last - first + 1);
	if (status != EXEC_OK)
		return status;
	exec->offset = first;
	exec->accesses[0].byte_mask = bytes >> first;
	return EXEC_OK;
}

/* ---- plain ---- */

static enum exec_status plan_at(struct exec *exec, uint64_t address)
{
	const struct insn_operand *o = &exec->insn->operands[0];

	exec->operand_address = address;
	exec->offset = 0;
	if (exec->insn->internal.mask_source != MASK_NONE)
		return plan_masked(exec, address);
	return exec_add(exec, 0, o->kind, address, o->size);
}

static enum exec_status plan_plain(struct exec *exec)
{
	const struct insn_operand *o = &exec->insn->operands[0];

	return plan_at(exec,
		exec_effective(exec, o) + exec_segment_base(exec, o));
}

static enum exec_status run_with(struct exec *exec, const uint8_t *old)
{
	uint8_t *place = exec_place(exec, exec->operand_address);
	struct exec_access *access = exec->accesses;
	enum exec_status status;

	if (exec->insn->internal.mask_source != MASK_NONE)
		memset(place, 0, exec->insn->operands[0].size);
	if (exec->count)
		memcpy(place + exec->offset, old, access->size);
	status = exec_thunk(exec, place);
	if (status == EXEC_OK && exec->count && access_writes(access->kind))
		memcpy(access->new_bytes, place + exec->offset, access->size);
	return status;
}

static bool is_filled(const uint8_t *bytes, uint8_t fill, size_t size)
{
	while (size && bytes[size - 1] == fill)
		size--;
	return !size;
}

/*
 * An x87 store with an unmasked exception completes without storing, and only
 * the next x87 instruction faults. Seen by the scratch that stays as it was,
 * whatever it was.
 */
static enum exec_status run_x87_store(struct exec *exec)
{
	struct exec_access *access = exec->accesses;
	uint8_t fill[128];
	enum exec_status status;

	invariant(access->size <= sizeof(fill));
	for (unsigned pass = 0; pass < 2; pass++) {
		memset(fill, pass ? 0x5a : 0xa5, sizeof(fill));
		status = run_with(exec, fill);
		if (status != EXEC_OK ||
			!is_filled(access->new_bytes, fill[0], access->size))
			return status;
	}
	access->byte_mask = 0;
	memcpy(access->new_bytes, access->old_bytes, access->size);
	return EXEC_OK;
}

static enum exec_status run_plain(struct exec *exec)
{
	if (exec->insn->internal.x87 && exec->count &&
		exec->accesses[0].kind == ACCESS_STORE)
		return run_x87_store(exec);
	return run_with(exec, exec->accesses[0].old_bytes);
}

const struct form_ops form_plain = { plan_plain, run_plain };

/* ---- bt m, r: the offset reaches anywhere ---- */

static int64_t bit_offset(const struct exec *exec)
{
	uint64_t value = exec->regs->gpr[exec->insn->internal.reg];

	switch (exec->insn->internal.width) {
	case 2:
		return (int16_t)value;
	case 4:
		return (int32_t)value;
	default:
		return (int64_t)value;
	}
}

static enum exec_status plan_bit(struct exec *exec)
{
	const struct insn_operand *o = &exec->insn->operands[0];
	int64_t bits = exec->insn->internal.width * 8;
	int64_t offset = bit_offset(exec);
	int64_t unit = (offset - (offset & (bits - 1))) / bits;
	uint64_t address = exec_effective(exec, o) +
		(uint64_t)unit * exec->insn->internal.width;

	if (exec->insn->address32)
		address = (uint32_t)address;
	return plan_at(exec, address + exec_segment_base(exec, o));
}

static enum exec_status run_bit(struct exec *exec)
{
	const struct arch_regs *regs = exec->regs;
	struct arch_regs reduced = *regs;
	unsigned reg = exec->insn->internal.reg;
	enum exec_status status;

	reduced.gpr[reg] &= exec->insn->internal.width * 8u - 1;
	exec->regs = &reduced;
	status = run_plain(exec);
	exec->regs = regs;
	memcpy(exec->out.gpr, regs->gpr, sizeof(regs->gpr));
	return status;
}

const struct form_ops form_bit = { plan_bit, run_bit };

/* ---- maskmov: [rdi], with a segment, masked by a vector ---- */

const struct form_ops form_maskmov = { plan_plain, run_plain };
