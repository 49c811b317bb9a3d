/* SPDX-License-Identifier: MIT */
/* Resume: the answers of a keeper, one for each question. */
#include "call.h"
#include "copy.h"
#include "endpoint.h"
#include "keep.h"
#include "process.h"

#define VALUE_MAX 64

/* The answered has seen all the answerer did before. */
static int64_t order(const struct call *call)
{
	process_order(call->caller, call->cap->object, CUSTOS_ORDER_ONE);
	return 0;
}

static int64_t check(const struct call *call)
{
	return keep_is_open(call) ? order(call) : -CUSTOS_E_STALE;
}

int64_t resume_call_done(const struct call *call)
{
	int64_t error = check(call);

	return error ? error : keep_reply_done(call->cap->object);
}

int64_t resume_call_value(const struct call *call)
{
	uint64_t size = call->args[1];
	uint8_t bytes[VALUE_MAX];
	int64_t error;

	if (!keep_is_open(call))
		return -CUSTOS_E_STALE;
	if (!size || size > VALUE_MAX)
		return -CUSTOS_E_REQUEST;
	error = copy_from_process(call->caller, bytes, call->args[0], size,
		CUSTOS_COPY_SYSCALL_LOAD);
	if (error)
		return error;
	order(call);
	return keep_reply_value(call->cap->object, bytes, size);
}

int64_t resume_call_retry(const struct call *call)
{
	int64_t error = check(call);

	return error ? error : keep_reply_retry(call->cap->object);
}

int64_t resume_call_pass(const struct call *call)
{
	int64_t error = check(call);

	return error ? error : keep_reply_pass(call->cap->object);
}

int64_t resume_call_fault(const struct call *call)
{
	int64_t error = check(call);

	return error ? error
		     : keep_reply_fault(call->cap->object, call->args[0]);
}

/* Rights of a page, as an argument. */
static unsigned rights_of(uint64_t argument)
{
	return argument > UINT32_MAX ? 0 : (unsigned)argument;
}

/* check() for an answer with a capability, which the first argument names. */
static int64_t check_with(const struct call *call, const struct cap **out)
{
	int64_t error = check(call);

	*out = cap_find(call->caller, call->args[0]);
	if (!error && !*out)
		error = -CUSTOS_E_INVALID_CAP;
	return error;
}

int64_t resume_call_step(const struct call *call)
{
	const struct cap *page;
	int64_t error = check_with(call, &page);

	return error ? error
		     : keep_reply_step(call->cap->object, page,
			       rights_of(call->args[1]));
}

int64_t resume_call_grant(const struct call *call)
{
	const struct cap *page;
	int64_t error = check_with(call, &page);

	return error ? error
		     : keep_reply_grant(call->cap->object, page,
			       rights_of(call->args[1]), call->args[2] != 0);
}

int64_t resume_call_continue(const struct call *call)
{
	int64_t error = check(call);

	return error ? error : keep_reply_continue(call->cap->object);
}

int64_t resume_call_rollback(const struct call *call)
{
	int64_t error = check(call);

	return error ? error : keep_reply_rollback(call->cap->object);
}

int64_t resume_call_cap(const struct call *call)
{
	const struct cap *cap;
	int64_t error = check_with(call, &cap);

	return error ? error : keep_reply_cap(call->cap->object, cap);
}

int64_t resume_call_reply(const struct call *call)
{
	struct process *process = call->cap->object;

	if (!keep_is_open(call))
		return -CUSTOS_E_STALE;
	if (process->keep.question != KEEP_CALL &&
		process->keep.question != KEEP_FORWARD)
		return -CUSTOS_E_REQUEST;
	return endpoint_reply(call->caller, process, call->args[0]);
}
