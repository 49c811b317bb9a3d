/* SPDX-License-Identifier: MIT */
#include "call.h"

int64_t resume_call_done(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t resume_call_value(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t resume_call_retry(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t resume_call_pass(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t resume_call_fault(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t resume_call_step(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t resume_call_grant(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t resume_call_continue(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t resume_call_rollback(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t resume_call_reply(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

int64_t resume_call_cap(const struct call *call)
{
	(void)call;
	return -CUSTOS_E_UNKNOWN_REQUEST;
}

