/* SPDX-License-Identifier: MIT */
/* Keepers written in Lua 5.4. The language is docs/KEEPERS.md's subject. */
#ifndef CUSTOS_KEEPER_SCRIPT_H
#define CUSTOS_KEEPER_SCRIPT_H

#include "base/error.h"
#include "keeper/keeper.h"
#include "keeper/range.h"

struct script_options {
	bool trusted; /* io, os, load, require, ... are there */
	unsigned budget_ms; /* per callback; 0: the default, 100 */
	size_t memory_max; /* bytes of Lua heap; 0: the default, 256 MiB */
	const struct trace_names *names; /* for a.symbol, a.text, ... */
	/* Prints of the script and notes: where they go. */
	void (*print)(void *ctx, const char *text, size_t len);
	/* Look at or change memory of the process of the present access. */
	size_t (*read)(void *ctx, uint64_t process, uint64_t va, void *bytes,
		size_t len);
	size_t (*write)(void *ctx, uint64_t process, uint64_t va,
		const void *bytes, size_t len);
	void *ctx;
};

/*
 * Load path and run its main chunk, which may call keep(...) to ask for
 * ranges. -EINVAL with file:line: message on a syntax or run-time error.
 */
int script_open(const char *path, const struct script_options *options,
	struct keeper **out, struct error *err);

/* Add the ranges the main chunk asked for with keep(), in order. */
int script_add_ranges(struct keeper *script, struct range_set *set,
	const struct image *const *images, size_t image_count,
	struct error *err);

#endif
