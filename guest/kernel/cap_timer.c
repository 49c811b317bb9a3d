/* SPDX-License-Identifier: MIT */
/* Timer: the clock, and waiting for it. */
#include "call.h"
#include "sched.h"

int64_t timer_call_now(const struct call *call)
{
	(void)call;
	return (int64_t)sched_now();
}

int64_t timer_call_sleep(const struct call *call)
{
	uint64_t now = sched_now(), wait = call->args[0];

	if (wait > INT64_MAX - now)
		return -CUSTOS_E_REQUEST;
	if (wait == 0)
		return 0;
	/* commit */
	sched_sleep(call->caller, now + wait);
	return CALL_NO_RESULT;
}
