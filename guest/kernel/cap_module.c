/* SPDX-License-Identifier: MIT */
/* Module: a program; its holder may start processes of it. */
#include "bank.h"
#include "call.h"
#include "copy.h"
#include "cpu.h"
#include "keep.h"
#include "process.h"

#define FLAGS (CUSTOS_SPAWN_NEW | CUSTOS_SPAWN_STAYS)

static int64_t check_spawn(
	const struct call *call, const struct custos_spawn *spawn)
{
	unsigned i;

	if (spawn->args_size > CUSTOS_ARGS_MAX ||
		spawn->args_count > spawn->args_size ||
		spawn->cap_count > CUSTOS_SPAWN_CAPS || spawn->flags & ~FLAGS)
		return -CUSTOS_E_REQUEST;
	if (spawn->cpu != CUSTOS_ANY_CPU && spawn->cpu >= boot_info->cpu_count)
		return -CUSTOS_E_REQUEST;
	if (!cap_find_empty(call->caller, spawn->slot))
		return -CUSTOS_E_REQUEST;
	if (!cap_find_typed(call->caller, spawn->bank, CUSTOS_CAP_BANK,
		    CUSTOS_RIGHT_WRITE))
		return -CUSTOS_E_INVALID_CAP;
	for (i = 0; i < spawn->cap_count; i++)
		if (!cap_find(call->caller, spawn->caps[i].slot))
			return -CUSTOS_E_INVALID_CAP;
	return 0;
}

/* Before anything is made: asking a keeper for them makes the call again. */
static int64_t read_args(const struct call *call,
	const struct custos_spawn *spawn, char *args)
{
	int64_t error = copy_from_process(call->caller, args, spawn->args,
		spawn->args_size, CUSTOS_COPY_SYSCALL_LOAD);

	if (!error && spawn->args_size)
		args[spawn->args_size - 1] = '\0';
	return error;
}

static void give_args(const struct custos_spawn *spawn, const char *args,
	struct process *child)
{
	struct custos_start_info *info = process_start_info(child);

	machine_copy(process_start_args(child), args, spawn->args_size);
	info->args_size = spawn->args_size;
	info->args_count = spawn->args_count;
}

static void give_caps(const struct call *call, const struct custos_spawn *spawn,
	struct process *child)
{
	unsigned i;

	/* There is room for so many. */
	for (i = 0; i < spawn->cap_count; i++)
		process_give(child, spawn->caps[i].name,
			cap_find(call->caller, spawn->caps[i].slot),
			spawn->caps[i].rights);
}

/* NULL: refused. */
static struct process *make_child(const struct call *call,
	const struct custos_spawn *spawn, unsigned module)
{
	const struct cap *bank = cap_find(call->caller, spawn->bank);
	struct process *child = process_create(bank->object);

	if (!child)
		return NULL;
	if (process_load(child, bank->object, module, spawn->cpu)) {
		process_unload(child);
		return NULL;
	}
	return child;
}

int64_t module_call_spawn(const struct call *call)
{
	unsigned module = (unsigned)call->cap->payload;
	char *args = cpu_this()->scratch;
	struct custos_spawn spawn;
	struct process *child;
	int64_t error;

	error = copy_from_process(call->caller, &spawn, call->args[0],
		sizeof(spawn), CUSTOS_COPY_SYSCALL_LOAD);
	if (!error)
		error = check_spawn(call, &spawn);
	if (!error)
		error = read_args(call, &spawn, args);
	if (error)
		return error;
	child = make_child(call, &spawn, module);
	if (!child)
		return keep_exhausted(call->caller, CUSTOS_CAP_PROCESS, 0);
	/* commit */
	give_args(&spawn, args, child);
	give_caps(call, &spawn, child);
	child->stays = spawn.flags & CUSTOS_SPAWN_STAYS;
	*cap_find_empty(call->caller, spawn.slot) =
		cap_make(CUSTOS_CAP_PROCESS, CUSTOS_RIGHT_ALL, child, 0);
	process_tell(child, module);
	process_order(call->caller, child, CUSTOS_ORDER_ONE);
	if (!(spawn.flags & CUSTOS_SPAWN_NEW))
		process_go(child);
	return 0;
}
