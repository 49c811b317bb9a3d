/* SPDX-License-Identifier: MIT */
/* Console: where programs print. */
#include "call.h"
#include "copy.h"

#define WRITE_MAX UINT64_C(65536) /* per call: the lock is held meanwhile */

int64_t console_call_write(const struct call *call)
{
	uint64_t va = call->args[0], length = call->args[1];
	int64_t error;

	if (length > WRITE_MAX)
		return -CUSTOS_E_REQUEST;
	error = copy_to_console(call->caller, va, length);
	return error ? error : (int64_t)length;
}
