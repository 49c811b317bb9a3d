/* SPDX-License-Identifier: MIT */
/* Process: its holder may end it and wait for its end. */
#include "call.h"
#include "copy.h"
#include "cpu.h"
#include "machine.h"
#include "process.h"
#include "sched.h"

void process_cap_retain(const struct cap *cap)
{
	process_get(cap->object);
}

void process_cap_release(const struct cap *cap)
{
	process_put(cap->object);
}

static bool is_caller(const struct call *call)
{
	return call->cap->object == call->caller;
}

int64_t process_call_exit(const struct call *call)
{
	if (!is_caller(call))
		return -CUSTOS_E_REQUEST;
	/* commit */
	process_end(call->caller, (int64_t)call->args[0]);
	return CALL_NO_RESULT;
}

int64_t process_call_yield(const struct call *call)
{
	if (!is_caller(call))
		return -CUSTOS_E_REQUEST;
	sched_make_way(cpu_this());
	return 0;
}

int64_t process_call_set_fs_base(const struct call *call)
{
	uint64_t address = call->args[0];

	if (!is_caller(call) || address >= CUSTOS_USER_END)
		return -CUSTOS_E_REQUEST;
	/* commit */
	call->caller->fs_base = address;
	cpu_this()->fs_base = address;
	machine_set_fs_base(address);
	return 0;
}

int64_t process_call_kill(const struct call *call)
{
	struct process *process = call->cap->object;
	bool own = is_caller(call);

	/* Whoever waits for its end may know that we wanted it. */
	if (!own)
		process_order(call->caller, process, CUSTOS_ORDER_ONE);
	process_kill(process, (int64_t)call->args[0]);
	return own ? CALL_NO_RESULT : 0;
}

int64_t process_call_mark(const struct call *call)
{
	uint64_t va = call->args[0], length = call->args[1];
	void *text = cpu_this()->scratch;
	int error;

	if (!is_caller(call) || length > CUSTOS_MARK_MAX)
		return -CUSTOS_E_REQUEST;
	error = copy_from_process(
		call->caller, text, va, length, CUSTOS_COPY_SYSCALL_LOAD);
	if (error)
		return error;
	/* commit */
	machine_hypercall(CUSTOS_CALL_MARK, call->caller->id,
		machine_gpa(text), length, 0, 0);
	return 0;
}

int64_t process_call_state(const struct call *call)
{
	const struct process *process = call->cap->object;

	return process->state;
}

int64_t process_call_wait(const struct call *call)
{
	struct process *process = call->cap->object;

	if (process->state == PROCESS_ENDED) {
		process_order(process, call->caller, CUSTOS_ORDER_ONE);
		return process->exit_code;
	}
	if (is_caller(call))
		return -CUSTOS_E_REQUEST;
	/* commit */
	sched_block(call->caller, PROCESS_WAITING, &process->waiters);
	return CALL_NO_RESULT;
}
