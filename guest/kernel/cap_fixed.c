/* SPDX-License-Identifier: MIT */
/* Fixed: pages of no bank. */
#include "call.h"
#include "gpt.h"

int64_t fixed_call_length(const struct call *call)
{
	return (int64_t)memory_length(call->cap);
}
