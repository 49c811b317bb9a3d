/* SPDX-License-Identifier: MIT */
/* Module: a program; its holder may start processes of it. */
#include "call.h"
#include "copy.h"
#include "cpu.h"
#include "process.h"

static int load_spawn(const struct call *call, struct custos_spawn *spawn)
{
	int error = copy_from_process(call->caller, spawn, call->args[0],
		sizeof(*spawn), CUSTOS_COPY_SYSCALL_LOAD);
	unsigned i;

	if (error)
		return error;
	if (spawn->args_size > CUSTOS_ARGS_MAX ||
		spawn->args_count > spawn->args_size ||
		spawn->cap_count > CUSTOS_SPAWN_CAPS)
		return -CUSTOS_E_REQUEST;
	if (spawn->cpu != CUSTOS_ANY_CPU && spawn->cpu >= boot_info->cpu_count)
		return -CUSTOS_E_REQUEST;
	if (!cap_find_empty(call->caller, spawn->slot))
		return -CUSTOS_E_REQUEST;
	for (i = 0; i < spawn->cap_count; i++)
		if (!cap_find(call->caller, spawn->caps[i].slot))
			return -CUSTOS_E_INVALID_CAP;
	return 0;
}

static int give_args(const struct call *call, const struct custos_spawn *spawn,
	struct process *child)
{
	struct custos_start_info *info = process_start_info(child);
	char *args = process_start_args(child);
	int error = copy_from_process(call->caller, args, spawn->args,
		spawn->args_size, CUSTOS_COPY_SYSCALL_LOAD);

	if (error)
		return error;
	if (spawn->args_size)
		args[spawn->args_size - 1] = '\0';
	info->args_size = spawn->args_size;
	info->args_count = spawn->args_count;
	return 0;
}

static int give_caps(const struct call *call, const struct custos_spawn *spawn,
	struct process *child)
{
	int error = 0;
	unsigned i;

	for (i = 0; i < spawn->cap_count && !error; i++)
		error = process_give(child, spawn->caps[i].name,
			cap_find(call->caller, spawn->caps[i].slot),
			spawn->caps[i].rights);
	return error;
}

int64_t module_call_spawn(const struct call *call)
{
	struct custos_spawn *spawn = cpu_this()->scratch;
	unsigned module = (unsigned)call->cap->payload;
	struct process *child;
	int error = load_spawn(call, spawn);

	if (error)
		return error;
	child = process_create(module, spawn->cpu);
	if (!child)
		return -CUSTOS_E_LIMIT;
	error = give_args(call, spawn, child);
	if (!error)
		error = give_caps(call, spawn, child);
	if (error) {
		process_discard(child);
		return error;
	}
	/* commit */
	cap_set(cap_find_empty(call->caller, spawn->slot), CUSTOS_CAP_PROCESS,
		CUSTOS_RIGHT_WAIT | CUSTOS_RIGHT_CONTROL, child, 0);
	process_start(child, module);
	process_order(call->caller, child, CUSTOS_ORDER_ONE);
	process_put(child); /* the capability has its own reference */
	return 0;
}
