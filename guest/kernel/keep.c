/* SPDX-License-Identifier: MIT */
#include "call.h"
#include "keep.h"
#include "process.h"

void keep_init(struct process *process)
{
	process->keep.nonce = 1;
}

void keep_fault(struct process *process, uint64_t va, uint64_t error_code)
{
	struct walk way;

	(void)error_code;
	walk(&process->space, va, &way);
	if ((way.end != WALK_PAGE && way.end != WALK_FIXED) ||
		space_fill(process, va, &way, way.gpa & ~PAGE_MASK, way.rights))
		process_end_faulted(process, 14);
}

void keep_go_on(struct process *process)
{
	process->keep.goes_on = false;
}

int64_t keep_copy(struct process *process, uint64_t va, void *bytes,
	uint64_t size, unsigned kind)
{
	(void)process;
	(void)va;
	(void)bytes;
	(void)size;
	(void)kind;
	return -CUSTOS_E_FAULT;
}

int64_t keep_cap(struct process *process, const struct cap *root, uint64_t va,
	const struct cap *store, struct cap *out)
{
	(void)root;
	(void)process;
	(void)va;
	(void)store;
	(void)out;
	return -CUSTOS_E_FAULT;
}

void keep_call_over(struct process *process)
{
	(void)process;
}

int64_t keep_exhausted(
	struct process *process, enum custos_captype type, uint64_t va)
{
	(void)process;
	(void)type;
	(void)va;
	return -CUSTOS_E_LIMIT;
}

bool keep_page_is_locked(uint64_t gpa)
{
	struct keep_place place = {.object = machine_direct(gpa & ~PAGE_MASK)};

	return lock_find(&place) != NULL;
}

void keep_registers_set(struct process *process)
{
	process->keep.goes_on = false;
}

void keep_cancel(struct process *process)
{
	(void)process;
}

void keep_forget(struct process *process)
{
	process->keep.nonce++;
	lock_release_all(process);
}

void keep_end(struct process *process)
{
	keep_forget(process);
}

void keep_tell_fault(struct process *process, enum custos_fault_code code,
	uint64_t vector)
{
	(void)code;
	process_end_faulted(process, vector);
}
