/* SPDX-License-Identifier: MIT */
#include "call.h"

int64_t buffer_call_load(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t buffer_call_take(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t buffer_call_enqueue(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t buffer_call_unblock(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t buffer_call_cancel(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t buffer_call_set_thread(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t buffer_call_set_id(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t buffer_call_state(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

