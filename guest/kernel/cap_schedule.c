/* SPDX-License-Identifier: MIT */
/* Schedule: on which CPU, and for how long at a time. */
#include "call.h"
#include "cpu.h"
#include "process.h"

#define SLICE_MAX UINT64_C(0xffffffff)

/* A schedule of one CPU is no right to use another, and of short slices none to
 * take longer ones. */
int64_t schedule_call_make(const struct call *call)
{
	struct cap *to = cap_find_empty(call->caller, call->args[0]);
	uint64_t cpu = call->args[1], slice = call->args[2];
	uint32_t own_cpu = SCHEDULE_CPU(call->cap->payload);
	uint64_t own_slice = SCHEDULE_SLICE(call->cap->payload);

	if (!to || slice > SLICE_MAX)
		return -CUSTOS_E_REQUEST;
	if (cpu != CUSTOS_ANY_CPU && cpu >= boot_info->cpu_count)
		return -CUSTOS_E_REQUEST;
	if (own_cpu != CUSTOS_ANY_CPU && cpu != own_cpu)
		return -CUSTOS_E_NO_ACCESS;
	if (own_slice && (!slice || slice > own_slice))
		slice = own_slice;
	/* commit */
	*to = cap_make(CUSTOS_CAP_SCHEDULE, call->cap->rights, NULL,
		SCHEDULE_PAYLOAD(cpu, slice));
	return 0;
}
