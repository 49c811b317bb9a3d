/* SPDX-License-Identifier: MIT */
/* Memory: a capability to map a memory object. */
#include "call.h"
#include "memory.h"

void memory_cap_retain(const struct cap *cap)
{
	memory_get(cap->object);
}

void memory_cap_release(const struct cap *cap)
{
	memory_put(cap->object);
}

int64_t memory_call_length(const struct call *call)
{
	return (int64_t)memory_length(call->cap->object);
}
