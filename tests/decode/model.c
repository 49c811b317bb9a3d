/* SPDX-License-Identifier: MIT */
#include "tests/decode/model.h"

#include <string.h>

static bool is_mapped(uint64_t address, bool writes)
{
	return address - DATA_ADDRESS < DATA_SIZE ||
		(!writes && address - READONLY_ADDRESS < DATA_SIZE);
}

static uint8_t *byte_at(struct model *model, uint64_t address)
{
	if (address - READONLY_ADDRESS < DATA_SIZE)
		return model->data + (address - READONLY_ADDRESS);
	return model->data + (address - DATA_ADDRESS);
}

static bool is_selected(const struct exec_access *access, unsigned byte)
{
	return byte >= 64 || (access->byte_mask >> byte & 1);
}

/* The first byte that cannot be accessed. */
static bool find_fault(const struct exec_access *access, uint64_t *address)
{
	for (unsigned i = 0; i < access->size; i++)
		if ((is_selected(access, i) || access->probe) &&
			!is_mapped(access->address + i,
				access_writes(access->kind))) {
			*address = access->address + i;
			return true;
		}
	return false;
}

static void load(struct model *model, struct exec_access *access)
{
	for (unsigned i = 0; i < access->size; i++)
		if (is_selected(access, i))
			access->old_bytes[i] =
				*byte_at(model, access->address + i);
}

static void commit(struct model *model, unsigned count, struct outcome *after)
{
	for (unsigned n = 0; n < count; n++) {
		struct exec_access *access = exec_access(model->exec, n);

		for (unsigned i = 0; i < access->size; i++)
			if (access_writes(access->kind) &&
				is_selected(access, i))
				*byte_at(model, access->address + i) =
					access->new_bytes[i];
	}
	after->state.regs = *exec_regs(model->exec);
	if (exec_xstate(model->exec))
		after->state.xstate = *exec_xstate(model->exec);
}

static void fault(struct model *model, struct outcome *after)
{
	after->faulted = true;
	after->fault = *exec_fault(model->exec);
	if (exec_xstate(model->exec))
		after->state.xstate = *exec_xstate(model->exec);
}

static void page_fault(struct model *model, const struct insn *insn,
	unsigned at, uint64_t address, struct outcome *after)
{
	if (exec_run_lanes(model->exec, at) == EXEC_OK)
		commit(model, insn->operands[0].vsib ? at : 0, after);
	after->faulted = true;
	after->fault.vector = ARCH_VECTOR_PF;
	after->fault.address = address;
}

static bool step(struct model *model, const struct insn *insn,
	const struct state *before, struct outcome *after)
{
	struct exec *exec = model->exec;
	uint64_t address;
	enum exec_status status;

	after->faulted = false;
	after->state = *before;
	memset(&after->fault, 0, sizeof(after->fault));
	status = exec_plan(exec, insn, &before->regs, &before->xstate);
	if (status == EXEC_FAULT)
		fault(model, after);
	if (status != EXEC_OK)
		return status == EXEC_FAULT;
	for (unsigned i = 0; i < exec_count(exec); i++) {
		if (find_fault(exec_access(exec, i), &address)) {
			page_fault(model, insn, i, address, after);
			return true;
		}
		load(model, exec_access(exec, i));
	}
	status = exec_run(exec);
	if (status == EXEC_FAULT)
		fault(model, after);
	if (status == EXEC_OK)
		commit(model, exec_count(exec), after);
	return status != EXEC_CANNOT;
}

/* A gather or scatter stops before an element whose address is impossible; the
 * fault comes with the next execution. */
static bool is_between(const struct insn *insn, const struct state *before,
	const struct outcome *after)
{
	return insn->operands[0].vsib && !after->faulted &&
		after->state.regs.rip == before->regs.rip;
}

bool model_step(struct model *model, const struct insn *insn,
	const struct state *before, struct outcome *after)
{
	struct state between;

	if (!step(model, insn, before, after))
		return false;
	if (!is_between(insn, before, after))
		return true;
	between = after->state;
	return step(model, insn, &between, after);
}
