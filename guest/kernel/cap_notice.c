/* SPDX-License-Identifier: MIT */
/* Notice: bits for an endpoint, from who must not wait. */
#include "call.h"
#include "endpoint.h"

int64_t notice_call_post(const struct call *call)
{
	endpoint_post_notice(call->caller, call->cap->object,
		call->args[0] & call->cap->payload);
	return 0;
}
