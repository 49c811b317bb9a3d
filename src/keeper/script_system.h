/* SPDX-License-Identifier: MIT */
/* System descriptions, written in Lua: custos-system(5). */
#ifndef CUSTOS_KEEPER_SCRIPT_SYSTEM_H
#define CUSTOS_KEEPER_SCRIPT_SYSTEM_H

#include "base/error.h"
#include "system/system.h"

struct script_system_options {
	const char *const *args; /* the global arg: [0] the path */
	size_t arg_count;
	unsigned budget_ms; /* as script_options; 0: the default */
	/* What the description prints; NULL: stdout. */
	void (*print)(void *ctx, const char *text, size_t len);
	void *ctx;
};

/*
 * Run the description at path in a sandbox, and collect what it says. The
 * result's names are not resolved yet. -EINVAL with file:line: message.
 */
int script_system_read(const char *path,
	const struct script_system_options *options, struct system **out,
	struct error *err);

#endif
