/* SPDX-License-Identifier: MIT */
/* CapPage: the slots of a process. */
#include "call.h"
#include "process.h"

void cappage_cap_retain(const struct cap *cap)
{
	process_get(cap->object);
}

void cappage_cap_release(const struct cap *cap)
{
	process_put(cap->object);
}

/* The process whose page it is, NULL when it has ended. */
static struct process *target(const struct call *call)
{
	struct process *process = call->cap->object;

	return process->caps ? process : NULL;
}

int64_t cappage_call_copy(const struct call *call)
{
	struct process *process = target(call);
	const struct cap *from;
	struct cap *to;

	if (!process)
		return -CUSTOS_E_INVALID_CAP;
	from = cap_find(process, call->args[0]);
	to = cap_find_empty(process, call->args[1]);
	if (!from)
		return -CUSTOS_E_INVALID_CAP;
	if (!to)
		return -CUSTOS_E_REQUEST;
	/* commit */
	cap_copy(to, from, (unsigned)call->args[2] & CUSTOS_RIGHT_ALL);
	return 0;
}

int64_t cappage_call_drop(const struct call *call)
{
	struct process *process = target(call);
	struct cap *cap;

	if (!process)
		return -CUSTOS_E_INVALID_CAP;
	if (call->args[0] == 0 || call->args[0] >= CUSTOS_SLOTS)
		return -CUSTOS_E_REQUEST;
	cap = cap_find(process, call->args[0]);
	/* commit */
	if (cap)
		cap_drop(cap);
	return 0;
}

int64_t cappage_call_classify(const struct call *call)
{
	struct process *process = target(call);
	const struct cap *cap;

	if (!process)
		return -CUSTOS_E_INVALID_CAP;
	if (call->args[0] >= CUSTOS_SLOTS)
		return -CUSTOS_E_REQUEST;
	cap = cap_find(process, call->args[0]);
	return cap ? cap->type | (int64_t)cap->rights << 16 : CUSTOS_CAP_NULL;
}
