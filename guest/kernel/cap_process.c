/* SPDX-License-Identifier: MIT */
/* Process: its holder may look at it, change it, stop, end and wait for it. */
#include "buffer.h"
#include "call.h"
#include "copy.h"
#include "cpu.h"
#include "machine.h"
#include "process.h"
#include "sched.h"
#include "space.h"
#include "table.h"

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
	int64_t error;

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

int64_t process_call_faults(const struct call *call)
{
	const struct process *process = call->cap->object;

	return (int64_t)process->page_faults;
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

/* ---- registers ---- */

static bool is_stopped(const struct process *process)
{
	return process->state != PROCESS_RUNNING &&
	       process->state != PROCESS_READY &&
	       process->state != PROCESS_ENDED;
}

int64_t process_call_get_regs(const struct call *call)
{
	const struct process *process = call->cap->object;
	struct custos_regs regs;

	if (!is_stopped(process))
		return -CUSTOS_E_BUSY;
	machine_copy(regs.gpr, process->frame.gpr, sizeof(regs.gpr));
	regs.gpr[GPR_RSP] = process->frame.rsp;
	regs.rip = process->frame.rip;
	regs.rflags = process->frame.rflags;
	regs.fs_base = process->fs_base;
	return copy_to_process(call->caller, call->args[0], &regs,
		sizeof(regs), CUSTOS_COPY_SYSCALL_STORE);
}

int64_t process_call_set_regs(const struct call *call)
{
	struct process *process = call->cap->object;
	struct custos_regs regs;
	int64_t error;

	if (!is_stopped(process))
		return -CUSTOS_E_BUSY;
	error = copy_from_process(call->caller, &regs, call->args[0],
		sizeof(regs), CUSTOS_COPY_SYSCALL_LOAD);
	if (error)
		return error;
	if (regs.fs_base >= CUSTOS_USER_END)
		return -CUSTOS_E_REQUEST;
	/* commit */
	machine_copy(process->frame.gpr, regs.gpr, sizeof(regs.gpr));
	process->frame.rsp = regs.gpr[GPR_RSP];
	process->frame.rip = regs.rip;
	process->frame.rflags = (regs.rflags & RFLAGS_USER) | RFLAGS_FIXED |
				RFLAGS_IF;
	process->fs_base = regs.fs_base;
	process->has_reply = false;
	keep_registers_set(process);
	return 0;
}

/* ---- its own capabilities ---- */

static struct cap *own(struct process *process, uint64_t which)
{
	switch (which) {
	case CUSTOS_PROCESS_SPACE:
		return &process->space;
	case CUSTOS_PROCESS_CAPS:
		return &process->caps;
	case CUSTOS_PROCESS_KEEPER:
		return &process->keeper;
	case CUSTOS_PROCESS_BANK:
		return &process->bank;
	case CUSTOS_PROCESS_SCHEDULE:
		return &process->schedule;
	default:
		return NULL;
	}
}

static bool fits(uint64_t which, const struct cap *cap)
{
	switch (which) {
	case CUSTOS_PROCESS_SPACE:
		return cap_is_memory(cap);
	case CUSTOS_PROCESS_CAPS:
		return cap->type == CUSTOS_CAP_CAPPAGE &&
		       (cap->rights & CUSTOS_RIGHT_WRITE);
	case CUSTOS_PROCESS_KEEPER:
		return cap->type == CUSTOS_CAP_ENTRY;
	case CUSTOS_PROCESS_BANK:
		return cap->type == CUSTOS_CAP_BANK &&
		       (cap->rights & CUSTOS_RIGHT_WRITE);
	default:
		return cap->type == CUSTOS_CAP_SCHEDULE;
	}
}

int64_t process_call_get_cap(const struct call *call)
{
	const struct cap *from = own(call->cap->object, call->args[0]);
	struct cap *to = cap_find_empty(call->caller, call->args[1]);

	if (!from || !to)
		return -CUSTOS_E_REQUEST;
	/* commit */
	if (cap_is_live(from))
		cap_copy(to, from, CUSTOS_RIGHT_ALL);
	return 0;
}

static void replaced(struct process *process, uint64_t which)
{
	if (which == CUSTOS_PROCESS_SPACE)
		space_forget(process);
	if (which == CUSTOS_PROCESS_SCHEDULE)
		process_apply_schedule(process);
}

int64_t process_call_set_cap(const struct call *call)
{
	struct process *process = call->cap->object;
	struct cap *to = own(process, call->args[0]), cap = {0};
	const struct cap *from;

	if (!to || process->state == PROCESS_ENDED)
		return -CUSTOS_E_REQUEST;
	if (call->args[1]) {
		from = cap_find(call->caller, call->args[1]);
		if (!from)
			return -CUSTOS_E_INVALID_CAP;
		if (!fits(call->args[0], from))
			return -CUSTOS_E_REQUEST;
		cap = *from;
	}
	/* commit */
	*to = cap;
	replaced(process, call->args[0]);
	return 0;
}

/* ---- running or not ---- */

static int64_t cancel(struct process *process)
{
	switch (process->state) {
	case PROCESS_SLEEPING:
	case PROCESS_WAITING:
	case PROCESS_SENDING:
	case PROCESS_RECEIVING:
	case PROCESS_ACTIVATION:
		keep_forget(process);
		sched_wake(process, -CUSTOS_E_CANCELLED);
		return 0;
	case PROCESS_ASKING:
	case PROCESS_LOCKED:
		keep_cancel(process);
		return 0;
	default:
		return 0;
	}
}

int64_t process_call_resume(const struct call *call)
{
	struct process *process = call->cap->object;
	bool cancels = call->args[0] != 0;

	if (process->state == PROCESS_ENDED || is_caller(call))
		return -CUSTOS_E_BUSY;
	/* commit */
	process->suspended = false;
	process_order(call->caller, process, CUSTOS_ORDER_ONE);
	if (process->state == PROCESS_NEW ||
		process->state == PROCESS_SUSPENDED ||
		process->state == PROCESS_FAULTED)
		process_go(process);
	return cancels ? cancel(process) : 0;
}

int64_t process_call_suspend(const struct call *call)
{
	struct process *process = call->cap->object;

	if (process->state == PROCESS_ENDED)
		return -CUSTOS_E_BUSY;
	/* commit */
	process->suspended = true;
	sched_move(process);
	return 0;
}

int64_t process_call_pending(const struct call *call)
{
	const struct process *process = call->cap->object;
	const struct keep *keep = &process->keep;
	int64_t error;

	if (process->state != PROCESS_FAULTED && process->state != PROCESS_ASKING)
		return -CUSTOS_E_BUSY;
	if (process->state == PROCESS_ASKING &&
		(keep->question == KEEP_CALL || keep->question == KEEP_FORWARD))
		return -CUSTOS_E_BUSY;
	error = copy_to_process(call->caller, call->args[0], &keep->access,
		sizeof(keep->access), CUSTOS_COPY_SYSCALL_STORE);
	return error ? error : keep->access.fault;
}

/* ---- activations ---- */

int64_t process_call_next_activation(const struct call *call)
{
	struct process *process = call->caller;
	struct custos_activation activation;
	int64_t error;

	if (!is_caller(call) || (call->args[1] & ~(uint64_t)CUSTOS_NO_WAIT))
		return -CUSTOS_E_REQUEST;
	if (!buffer_peek_news(process, &activation)) {
		if (call->args[1] & CUSTOS_NO_WAIT)
			return -CUSTOS_E_WOULD_BLOCK;
		/* commit */
		sched_block(process, PROCESS_ACTIVATION, NULL);
		return CALL_NO_RESULT;
	}
	error = copy_to_process(process, call->args[0], &activation,
		sizeof(activation), CUSTOS_COPY_SYSCALL_STORE);
	if (error)
		return error;
	/* commit */
	buffer_take_news(process);
	return 0;
}
