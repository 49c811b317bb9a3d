/* SPDX-License-Identifier: MIT */
/*
 * Instructions that the CPU itself executes, on scratch: one memory operand,
 * possibly masked; bit tests whose register moves the address; maskmov.
 */
#include <string.h>

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

	if (!bytes)
		return EXEC_OK;
	if (o->alignment > 1 && (address & (o->alignment - 1u)))
		return exec_raise(exec, ARCH_VECTOR_GP);
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

/* Once, on scratch filled with a byte, for what it does to the state. */
static enum exec_status try_run(struct exec *exec, uint8_t fill)
{
	uint8_t *place = exec_place(exec, 0);

	memset(place, fill, exec->insn->operands[0].size);
	return exec_thunk(exec, place);
}

static bool is_filled(const struct exec *exec, uint8_t fill)
{
	const uint8_t *bytes = exec->scratch;
	size_t size = exec->insn->operands[0].size;

	while (size && bytes[size - 1] == fill)
		size--;
	return !size;
}

static bool can_except_first(const struct exec *exec)
{
	const struct insn *insn = exec->insn;
	bool is_store = insn->operands[0].kind == ACCESS_STORE;

	if (insn->internal.converts)
		return is_store;
	if (insn->internal.mmx)
		return xstate_has_x87_error(exec->xstate);
	return insn->internal.x87 &&
		(xstate_has_x87_error(exec->xstate) ||
			(is_store && xstate_unmasks_x87(exec->xstate)));
}

/*
 * Floating-point exceptions that come before memory is looked at: one pending
 * in the x87, and those of computing what is to be stored. An x87 store that
 * meets an unmasked one completes without storing, and only the next x87
 * instruction faults: it is known by scratch that stays as it was, whatever it
 * was. Then *stores is false.
 */
static enum exec_status try_exceptions(struct exec *exec, bool *stores)
{
	enum exec_status status = try_run(exec, 0xa5);

	if (status == EXEC_OK && exec->insn->internal.x87 &&
		exec->insn->operands[0].kind == ACCESS_STORE &&
		is_filled(exec, 0xa5)) {
		status = try_run(exec, 0x5a);
		*stores = !is_filled(exec, 0x5a);
	}
	if (status == EXEC_OK)
		exec->xstate_changed = false;
	exec->out = *exec->regs;
	return status;
}

/*
 * What a store has done to the state when its page fault comes: converted, with
 * the exceptions noted in MXCSR; or set the x87 top of stack, as every MMX
 * instruction does.
 */
static enum exec_status run_plain_to_fault(struct exec *exec, unsigned done)
{
	const struct insn *insn = exec->insn;
	enum exec_status status = EXEC_OK;

	(void)done;
	if (insn->operands[0].kind != ACCESS_STORE)
		return EXEC_OK;
	if (insn->internal.converts) {
		status = try_run(exec, 0);
		exec->out = *exec->regs;
	} else if (insn->internal.mmx) {
		xstate_copy(exec->xstate_out, exec->xstate);
		xstate_clear_top(exec->xstate_out);
		exec->xstate_changed = true;
	}
	return status;
}

static enum exec_status plan_plain(struct exec *exec)
{
	const struct insn_operand *o = &exec->insn->operands[0];
	enum exec_status status = EXEC_OK;
	bool stores = true;

	exec->operand_address =
		exec_effective(exec, o) + exec_segment_base(exec, o);
	if (exec->insn->needs_xstate && can_except_first(exec))
		status = try_exceptions(exec, &stores);
	if (status != EXEC_OK || !stores)
		return status;
	status = plan_at(exec, exec->operand_address);
	if (status == EXEC_FAULT)
		run_plain_to_fault(exec, 0);
	return status;
}

static enum exec_status run_plain(struct exec *exec)
{
	uint8_t *place = exec_place(exec, exec->operand_address);
	struct exec_access *access = exec->accesses;
	bool moves = exec->count && !access->probe;
	enum exec_status status;

	if (!moves || access->size != exec->insn->operands[0].size)
		memset(place, 0, exec->insn->operands[0].size);
	if (moves)
		memcpy(place + exec->offset, access->old_bytes, access->size);
	status = exec_thunk(exec, place);
	if (status == EXEC_OK && moves && access_writes(access->kind))
		memcpy(access->new_bytes, place + exec->offset, access->size);
	return status;
}

const struct form_ops form_plain = { .plan = plan_plain,
	.run = run_plain,
	.run_to_fault = run_plain_to_fault };

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

const struct form_ops form_bit = { .plan = plan_bit, .run = run_bit };

/* ---- maskmov: [rdi], with a segment, masked by a vector ---- */

static enum exec_status run_maskmov_to_fault(
	struct exec *exec, unsigned done)
{
	enum exec_status status = run_plain_to_fault(exec, done);

	if (exec->xstate_changed)
		xstate_fill_tags(exec->xstate_out);
	return status;
}

/*
 * Only selected bytes are written, but the whole operand must be writable. The
 * MMX form is in MMX state before it finds out that it is not.
 */
static enum exec_status plan_maskmov(struct exec *exec)
{
	const struct insn_operand *o = &exec->insn->operands[0];
	enum exec_status status;

	status = plan_plain(exec);
	if (status == EXEC_OK)
		status = exec_add_unaligned(exec, 0, ACCESS_STORE,
			exec->operand_address, o->size);
	if (status == EXEC_FAULT && exec->fault.vector != ARCH_VECTOR_MF)
		run_maskmov_to_fault(exec, 0);
	if (status != EXEC_OK)
		return status;
	exec->accesses[exec->count - 1].probe = true;
	exec->accesses[exec->count - 1].byte_mask = 0;
	return EXEC_OK;
}

const struct form_ops form_maskmov = { .plan = plan_maskmov,
	.run = run_plain,
	.run_to_fault = run_maskmov_to_fault };
