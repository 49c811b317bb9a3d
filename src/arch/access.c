/* SPDX-License-Identifier: MIT */
#include <custos/arch.h>

#include "base/invariant.h"

static const char *const kind_names[] = {
	[ACCESS_LOAD] = "load",
	[ACCESS_STORE] = "store",
	[ACCESS_RMW] = "rmw",
	[ACCESS_FETCH] = "fetch",
	[ACCESS_IPC_SRC] = "ipc_src",
	[ACCESS_IPC_DST] = "ipc_dst",
	[ACCESS_SYSCALL_LOAD] = "syscall_load",
	[ACCESS_SYSCALL_STORE] = "syscall_store",
};

_Static_assert(sizeof(kind_names) / sizeof(kind_names[0]) == ACCESS_KIND_MAX,
	"a name for every kind");

const char *access_kind_name(enum access_kind kind)
{
	invariant(kind < ACCESS_KIND_MAX);
	return kind_names[kind];
}
