/* SPDX-License-Identifier: MIT */
#include "call.h"

int64_t notice_call_post(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

