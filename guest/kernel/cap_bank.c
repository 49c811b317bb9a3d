/* SPDX-License-Identifier: MIT */
/* Bank: makes the objects that need frames. */
#include "call.h"
#include "endpoint.h"
#include "frame.h"
#include "machine.h"
#include "memory.h"

int64_t bank_call_create_memory(const struct call *call)
{
	struct cap *to = cap_find_empty(call->caller, call->args[0]);
	uint64_t length = call->args[1];
	struct memory *memory;

	if (!to || !length || length & PAGE_MASK)
		return -CUSTOS_E_REQUEST;
	memory = memory_create(length);
	if (!memory)
		return -CUSTOS_E_LIMIT;
	/* commit */
	cap_set(to, CUSTOS_CAP_MEMORY,
		CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE | CUSTOS_RIGHT_EXEC,
		memory, 0);
	memory_put(memory); /* the capability has its own reference */
	return 0;
}

int64_t bank_call_create_endpoint(const struct call *call)
{
	struct cap *to = cap_find_empty(call->caller, call->args[0]);
	struct endpoint *endpoint;

	if (!to)
		return -CUSTOS_E_REQUEST;
	endpoint = endpoint_create();
	if (!endpoint)
		return -CUSTOS_E_LIMIT;
	/* commit */
	cap_set(to, CUSTOS_CAP_ENDPOINT,
		CUSTOS_RIGHT_SEND | CUSTOS_RIGHT_RECEIVE, endpoint, 0);
	return 0;
}

int64_t bank_call_count_free(const struct call *call)
{
	(void)call;
	return (int64_t)frame_count_free();
}
