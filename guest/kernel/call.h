/* SPDX-License-Identifier: MIT */
/*
 * Kernel calls. One function per row of abi/captype.def, in the file of its
 * type, cap_<type>.c; all checks come before the first change. Caller holds
 * the big lock.
 */
#ifndef CUSTOS_KERNEL_CALL_H
#define CUSTOS_KERNEL_CALL_H

#include <stdint.h>

#include "abi/custos_calls.h"
#include "cap.h"

struct process;

#define CALL_ARGS 5

struct call {
	struct process *caller;
	const struct cap *cap; /* of the right type, with the needed rights */
	uint64_t args[CALL_ARGS];
};

/* Instead of a result: the caller has been blocked, has ended, or had its
 * result written by somebody else. */
#define CALL_NO_RESULT INT64_MIN
/* Instead of a result: the call is made again, from the start, when the caller
 * next runs. Nothing was committed that would be in its way. */
#define CALL_RESTART (INT64_MIN + 1)

/* Do what the registers of the process, which is current, ask for. */
void call_dispatch(struct process *process);

/* A call, not one of an endpoint's, invoked on an entry: becomes a message
 * with a resume capability, or pieces of access to a page. In cap_entry.c. */
int64_t entry_forward(const struct call *call, unsigned op);

/* "console_write", or NULL. */
const char *call_name(unsigned op);

#define CAPTYPE(NAME, name, number, kind, help)
#define CAPCALL(TYPE, type, NAME, name, number, argc, rights, help)            \
	int64_t type##_call_##name(const struct call *call);
#include "abi/captype.def"

#endif
