/* SPDX-License-Identifier: MIT */
/* Space: what a process sees at which address. */
#include "call.h"
#include "memory.h"
#include "process.h"
#include "space.h"

/* Of one call: everybody else waits for it. */
#define LENGTH_MAX (UINT64_C(1) << 30)

#define MAP_RIGHTS (CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE | CUSTOS_RIGHT_EXEC)

void space_cap_retain(const struct cap *cap)
{
	process_get(cap->object);
}

void space_cap_release(const struct cap *cap)
{
	process_put(cap->object);
}

/* NULL when the process has ended. */
static struct space *target(const struct call *call)
{
	struct process *process = call->cap->object;

	return process->state == PROCESS_ENDED ? NULL : &process->space;
}

int64_t space_call_map(const struct call *call)
{
	uint64_t va = call->args[0], offset = call->args[2];
	uint64_t length = call->args[3], rights = call->args[4];
	struct space *space = target(call);
	const struct cap *cap;
	struct memory *memory;

	if (!space)
		return -CUSTOS_E_INVALID_CAP;
	if (!space_is_range(va, length) || offset & PAGE_MASK)
		return -CUSTOS_E_REQUEST;
	if (rights & ~(uint64_t)MAP_RIGHTS || !(rights & CUSTOS_RIGHT_READ))
		return -CUSTOS_E_REQUEST;
	cap = cap_find(call->caller, call->args[1]);
	if (!cap || cap->type != CUSTOS_CAP_MEMORY)
		return -CUSTOS_E_INVALID_CAP;
	if ((cap->rights & rights) != rights)
		return -CUSTOS_E_NO_ACCESS;
	memory = cap->object;
	if (offset >= memory_length(memory) ||
		length > memory_length(memory) - offset)
		return -CUSTOS_E_REQUEST;
	if (space_prepare(space, va, length))
		return -CUSTOS_E_LIMIT;
	/* commit */
	space_replace(space, va, length, memory, offset, (unsigned)rights);
	return 0;
}

int64_t space_call_unmap(const struct call *call)
{
	uint64_t va = call->args[0], length = call->args[1];
	struct space *space = target(call);

	if (!space)
		return -CUSTOS_E_INVALID_CAP;
	if (!space_is_range(va, length) || length > LENGTH_MAX)
		return -CUSTOS_E_REQUEST;
	/* commit */
	space_replace(space, va, length, NULL, 0, 0);
	return 0;
}
