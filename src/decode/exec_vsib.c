/* SPDX-License-Identifier: MIT */
/*
 * Gathers and scatters: one access per selected element, in order, done in C
 * on the state's image, so that a fault in the middle leaves exactly the
 * elements before it done.
 */
#include <string.h>

#include "decode/exec_impl.h"

static const struct insn_operand *operand(const struct exec *exec)
{
	return &exec->insn->operands[0];
}

static bool is_selected(const struct exec *exec, unsigned lane)
{
	unsigned bytes = exec->insn->internal.data_bytes;
	unsigned reg = exec->insn->internal.mask_reg;
	uint8_t mask[64];

	if (exec->insn->internal.mask_source == MASK_K)
		return xstate_get_mask(exec->xstate, reg) >> lane & 1;
	xstate_get_vector(exec->xstate, reg, mask);
	return mask[lane * bytes + bytes - 1] & 0x80;
}

static int64_t index_of(const struct exec *exec, unsigned lane)
{
	uint8_t vector[64];
	int64_t wide;
	int32_t narrow;

	xstate_get_vector(
		exec->xstate, (unsigned)operand(exec)->index, vector);
	if (exec->insn->internal.index_bytes == 8) {
		memcpy(&wide, vector + lane * 8, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, vector + lane * 4, sizeof(narrow));
	return narrow;
}

static uint64_t lane_address(const struct exec *exec, unsigned lane)
{
	uint64_t address = exec_effective(exec, operand(exec)) +
		(uint64_t)index_of(exec, lane) * operand(exec)->scale;

	if (exec->insn->address32)
		address = (uint32_t)address;
	return address + exec_segment_base(exec, operand(exec));
}

static enum exec_status run_to_fault(struct exec *exec, unsigned done);

/*
 * A lane that cannot be reached because of its address faults only when its
 * turn comes: the lanes before it are still planned, and the fault is taken
 * by exec_run() after them.
 */
static enum exec_status plan_vsib(struct exec *exec)
{
	exec->fault_lane = operand(exec)->lanes;
	for (unsigned lane = 0; lane < operand(exec)->lanes; lane++) {
		if (!is_selected(exec, lane))
			continue;
		if (exec_add(exec, 0, operand(exec)->kind,
			    lane_address(exec, lane),
			    operand(exec)->size) != EXEC_OK) {
			exec->fault_lane = lane;
			if (!exec->count)
				run_to_fault(exec, 0);
			return exec_defer(exec, EXEC_FAULT);
		}
		exec->accesses[exec->count - 1].lane = (uint8_t)lane;
	}
	return EXEC_OK;
}

/* What is left of a vector mask has all bits of an element alike, whatever
 * they were (SDM vol. 2, VGATHERDPS: the operation begins with that). */
static void clear_vector_mask_below(struct exec *exec, unsigned lane)
{
	unsigned reg = exec->insn->internal.mask_reg;
	unsigned size = exec->insn->internal.vector_bytes;
	unsigned bytes = exec->insn->internal.data_bytes;
	uint8_t mask[64];

	xstate_get_vector(exec->xstate, reg, mask);
	for (unsigned i = 0; i < size / bytes; i++) {
		bool set = mask[i * bytes + bytes - 1] & 0x80;

		memset(mask + i * bytes, set && i >= lane ? 0xff : 0, bytes);
	}
	xstate_set_vector(exec->xstate_out, reg, mask, size);
}

static void clear_mask_below(struct exec *exec, unsigned lane)
{
	unsigned reg = exec->insn->internal.mask_reg;
	uint64_t k;

	if (exec->insn->internal.mask_source != MASK_K) {
		clear_vector_mask_below(exec, lane);
		return;
	}
	k = xstate_get_mask(exec->xstate, reg);
	k &= lane >= 64 ? 0 : ~UINT64_C(0) << lane;
	xstate_set_mask(exec->xstate_out, reg, k);
}

static void clear_mask(struct exec *exec)
{
	static const uint8_t zeros[64];
	unsigned reg = exec->insn->internal.mask_reg;

	if (exec->insn->internal.mask_source == MASK_K)
		xstate_set_mask(exec->xstate_out, reg, 0);
	else
		xstate_set_vector(exec->xstate_out, reg, zeros, sizeof(zeros));
}

static void load_lanes(struct exec *exec, unsigned done, bool complete)
{
	unsigned bytes = exec->insn->internal.data_bytes;
	unsigned used = operand(exec)->lanes * bytes;
	uint8_t vector[64];

	if (!complete && !done)
		return;
	xstate_get_vector(exec->xstate, exec->insn->internal.reg, vector);
	for (unsigned i = 0; i < done; i++)
		memcpy(vector + exec->accesses[i].lane * bytes,
			exec->accesses[i].old_bytes, bytes);
	xstate_set_vector(exec->xstate_out, exec->insn->internal.reg, vector,
		complete ? used : exec->insn->internal.vector_bytes);
}

static void store_lanes(struct exec *exec, unsigned done)
{
	unsigned bytes = exec->insn->internal.data_bytes;
	uint8_t vector[64];

	xstate_get_vector(exec->xstate, exec->insn->internal.reg, vector);
	for (unsigned i = 0; i < done; i++)
		memcpy(exec->accesses[i].new_bytes,
			vector + exec->accesses[i].lane * bytes, bytes);
}

static void move_lanes(struct exec *exec, unsigned done, bool complete)
{
	xstate_copy(exec->xstate_out, exec->xstate);
	if (exec->insn->internal.form == FORM_GATHER)
		load_lanes(exec, done, complete);
	else
		store_lanes(exec, done);
	exec->xstate_changed = true;
}

/* The state at a fault at access number done, or behind the last one. */
static enum exec_status run_to_fault(struct exec *exec, unsigned done)
{
	unsigned stop = exec->fault_lane;

	if (done < exec->count)
		stop = exec->accesses[done].lane;
	exec->out = *exec->regs;
	move_lanes(exec, done, false);
	clear_mask_below(exec, stop);
	return EXEC_OK;
}

static enum exec_status run_vsib(struct exec *exec)
{
	/* The lanes before the fault are done: commit them, the state says
	 * where to go on, and the fault comes next time. */
	if (exec->late_fault)
		return run_to_fault(exec, exec->count);
	move_lanes(exec, exec->count, true);
	clear_mask(exec);
	return EXEC_OK;
}

const struct form_ops form_gather = { plan_vsib, run_vsib, run_to_fault };
const struct form_ops form_scatter = { plan_vsib, run_vsib, run_to_fault };
