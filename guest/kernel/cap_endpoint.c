/* SPDX-License-Identifier: MIT */
/* Endpoint: what is not about messages. Those are in endpoint.c. */
#include "call.h"
#include "endpoint.h"
#include "process.h"

int64_t endpoint_call_make_entry(const struct call *call)
{
	struct cap *to = cap_find_empty(call->caller, call->args[0]);

	if (!to)
		return -CUSTOS_E_REQUEST;
	/* commit */
	*to = cap_make(CUSTOS_CAP_ENTRY,
		CUSTOS_RIGHT_SEND | CUSTOS_RIGHTS_MEMORY, call->cap->object,
		call->args[1]);
	return 0;
}

int64_t endpoint_call_make_notice(const struct call *call)
{
	struct cap *to = cap_find_empty(call->caller, call->args[0]);

	if (!to)
		return -CUSTOS_E_REQUEST;
	/* commit */
	*to = cap_make(CUSTOS_CAP_NOTICE, CUSTOS_RIGHT_SEND, call->cap->object,
		call->args[1]);
	return 0;
}

int64_t endpoint_call_set_recipient(const struct call *call)
{
	const struct cap *cap = NULL;

	if (call->args[0]) {
		cap = cap_find_typed(
			call->caller, call->args[0], CUSTOS_CAP_PROCESS, 0);
		if (!cap)
			return -CUSTOS_E_INVALID_CAP;
	}
	/* commit */
	endpoint_set_recipient(call->cap->object, cap ? cap->object : NULL);
	return 0;
}
