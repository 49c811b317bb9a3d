/* SPDX-License-Identifier: MIT */
#include "call.h"

int64_t endpoint_call_send(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t endpoint_call_receive(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t endpoint_call_make_entry(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t endpoint_call_call(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t endpoint_call_set_recipient(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t endpoint_call_make_notice(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

