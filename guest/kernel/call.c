/* SPDX-License-Identifier: MIT */
/* Dispatch of kernel calls by the table. */
#include "call.h"

#include "process.h"

struct call_row {
	const char *name;
	int64_t (*run)(const struct call *call); /* NULL: no such call */
	uint32_t rights;
};

#define CAPTYPE(NAME, name, number, counted, help)
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

static int64_t run(struct process *process)
{
	const uint64_t *gpr = process->frame.gpr;
	uint64_t op = gpr[GPR_RAX];
	struct call call = {.caller = process};

	if (op >= CUSTOS_OP_MAX || !rows[op].run)
		return -CUSTOS_E_UNKNOWN_REQUEST;
	call.cap = cap_find(process, gpr[GPR_RDI]);
	if (!call.cap || call.cap->type != op / CUSTOS_OPS_PER_TYPE)
		return -CUSTOS_E_INVALID_CAP;
	if ((call.cap->rights & rows[op].rights) != rows[op].rights)
		return -CUSTOS_E_NO_ACCESS;
	call.args[0] = gpr[GPR_RSI];
	call.args[1] = gpr[GPR_RDX];
	call.args[2] = gpr[GPR_R10];
	call.args[3] = gpr[GPR_R8];
	call.args[4] = gpr[GPR_R9];
	return rows[op].run(&call);
}

void call_dispatch(struct process *process)
{
	int64_t result = run(process);

	if (result != CALL_NO_RESULT)
		process->frame.gpr[GPR_RAX] = (uint64_t)result;
}
