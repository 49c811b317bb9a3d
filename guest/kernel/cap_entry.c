/* SPDX-License-Identifier: MIT */
/*
 * Calls invoked on an entry that are none of an endpoint's: whoever receives
 * there plays the object. Reads and writes of a page come as accesses, like
 * those of instructions to a position that holds the entry.
 */
#include "call.h"
#include "copy.h"
#include "endpoint.h"
#include "keep.h"
#include "process.h"

#define PIECE 64

static int64_t read_write(const struct call *call, bool store)
{
	struct process *caller = call->caller;
	uint64_t offset = call->args[0], va = call->args[1];
	uint64_t size = call->args[2], piece;
	uint8_t bytes[PIECE];
	int64_t error = 0;

	if (offset > PAGE_SIZE || size > PAGE_SIZE - offset)
		return -CUSTOS_E_REQUEST;
	for (; size && !error; size -= piece, offset += piece, va += piece) {
		piece = size < PIECE ? size : PIECE;
		if (store)
			error = copy_from_process(caller, bytes, va, piece,
				CUSTOS_COPY_SYSCALL_LOAD);
		if (!error)
			error = keep_read(caller, call->cap, NULL, offset,
				bytes, piece, store);
		if (!error && !store)
			error = copy_to_process(caller, va, bytes, piece,
				CUSTOS_COPY_SYSCALL_STORE);
	}
	return error;
}

int64_t entry_forward(const struct call *call, unsigned op)
{
	struct process *caller = call->caller;
	struct keep *keep = &caller->keep;
	unsigned i;

	if (op == CUSTOS_OP_PAGE_READ || op == CUSTOS_OP_PAGE_WRITE)
		return read_write(call, op == CUSTOS_OP_PAGE_WRITE);
	if (!endpoint_can_answer(call->cap))
		return -CUSTOS_E_PARTNER_GONE;
	if (lock_is_loop(caller,
		    ((struct endpoint *)call->cap->object)->recipient))
		return -CUSTOS_E_PARTNER_GONE;
	/* commit */
	keep->words[0] = op;
	for (i = 0; i < CALL_ARGS; i++)
		keep->words[1 + i] = call->args[i];
	keep_put(caller, call->cap, KEEP_FORWARD);
	return CALL_NO_RESULT;
}
