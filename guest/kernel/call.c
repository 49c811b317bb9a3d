/* SPDX-License-Identifier: MIT */
/* Dispatch of kernel calls by the table. */
#include "call.h"

#include "frame.h"
#include "keep.h"
#include "machine.h"
#include "process.h"

#define SYSCALL_SIZE 2 /* bytes of the instruction */

struct call_row {
	const char *name;
	int64_t (*run)(const struct call *call); /* NULL: no such call */
	uint32_t rights;
};

#define CAPTYPE(NAME, name, number, kind, help)
#define CAPCALL(TYPE, type, NAME, name_, number, argc, rights_, help)          \
	[CUSTOS_OP_##TYPE##_##NAME] = {.name = #type "_" #name_,               \
		.run = type##_call_##name_,                                    \
		.rights = (rights_)},

static const struct call_row rows[CUSTOS_OP_MAX] = {
#include "abi/captype.def"
};

const char *call_name(unsigned op)
{
	return op < CUSTOS_OP_MAX ? rows[op].name : NULL;
}

/* An entry is an endpoint that can only be sent to, and stands for whatever
 * its receiver makes of it. */
static int64_t run_entry(const struct call *call, unsigned op)
{
	if (!(call->cap->rights & CUSTOS_RIGHT_SEND))
		return -CUSTOS_E_NO_ACCESS;
	if (op == CUSTOS_OP_ENDPOINT_SEND || op == CUSTOS_OP_ENDPOINT_CALL)
		return rows[op].run(call);
	return entry_forward(call, op);
}

static int64_t run(struct process *process)
{
	const uint64_t *gpr = process->frame.gpr;
	uint64_t op = gpr[GPR_RAX];
	struct call call = {.caller = process};

	if (op >= CUSTOS_OP_MAX || !rows[op].run)
		return -CUSTOS_E_UNKNOWN_REQUEST;
	call.cap = cap_find(process, gpr[GPR_RDI]);
	if (!call.cap)
		return -CUSTOS_E_INVALID_CAP;
	call.args[0] = gpr[GPR_RSI];
	call.args[1] = gpr[GPR_RDX];
	call.args[2] = gpr[GPR_R10];
	call.args[3] = gpr[GPR_R8];
	call.args[4] = gpr[GPR_R9];
	if (call.cap->type == CUSTOS_CAP_ENTRY)
		return run_entry(&call, (unsigned)op);
	if (call.cap->type != op / CUSTOS_OPS_PER_TYPE)
		return -CUSTOS_E_INVALID_CAP;
	if ((call.cap->rights & rows[op].rights) != rows[op].rights)
		return -CUSTOS_E_NO_ACCESS;
	return rows[op].run(&call);
}

/* It called for the end of a bank, which came between two pieces. */
static bool has_ended_bank(struct process *process)
{
	struct cap bank = process->ends;
	uint64_t op = process->frame.gpr[GPR_RAX];

	process->ends = (struct cap){0};
	return !cap_is_live(&bank) && (op == CUSTOS_OP_BANK_DESTROY ||
					      op == CUSTOS_OP_BANK_REMOVE);
}

void call_dispatch(struct process *process)
{
	int64_t result = 0;

	if (!process->ends.type || !has_ended_bank(process))
		result = run(process);
	switch (result) {
	case CALL_NO_RESULT:
		return;
	case CALL_RESTART:
		process->frame.rip -= SYSCALL_SIZE;
		return;
	default:
		process->frame.gpr[GPR_RAX] = (uint64_t)result;
		keep_call_over(process);
	}
}
