/* SPDX-License-Identifier: MIT */
/* Keepers written in Lua 5.4. The language is docs/KEEPERS.md's subject. */
#ifndef CUSTOS_KEEPER_SCRIPT_H
#define CUSTOS_KEEPER_SCRIPT_H

#include "base/error.h"
#include "keeper/keeper.h"
#include "keeper/range.h"
#include "keeper/stats.h"

struct script_options {
	bool trusted; /* io, os, load, require, ... are there */
	/* CPU time per callback; 0: the default, 100. The main chunk, start()
	 * and finish() get ten times as much. */
	unsigned budget_ms;
	enum verdict_kind fallback; /* of ranges whose keep{} names none */
	size_t memory_max; /* bytes of Lua heap; 0: the default, 256 MiB */
	const struct trace_names *names; /* for a.symbol, a.text, ... */
	/*
	 * What the script prints: whole lines, each call on its own. NULL:
	 * stdout. The callbacks below are called with the keeper's lock held
	 * and may not ask the keeper.
	 */
	void (*print)(void *ctx, const char *text, size_t len);
	/* A word for the trace. NULL: nothing is recorded. */
	void (*mark)(void *ctx, const char *text);
	/* Look at or change memory of the process of the present access,
	 * making no access; return how many bytes, from the start. NULL: the
	 * script gets an error. */
	size_t (*read)(void *ctx, uint64_t process, uint64_t va, void *bytes,
		size_t len);
	size_t (*write)(void *ctx, uint64_t process, uint64_t va,
		const void *bytes, size_t len);
	/*
	 * What keep{}, k:release(), k:revoke() and resume() do while the
	 * target runs, as the functions of the session that are called so.
	 * NULL: the script gets an error.
	 */
	int (*keep)(void *ctx, struct range *range, struct error *err);
	bool (*release)(
		void *ctx, struct range *range, struct keeper *keeper);
	int (*revoke)(void *ctx, struct range *range);
	size_t (*held_size)(void *ctx, uint64_t seq);
	int (*resume)(void *ctx, uint64_t seq, const struct verdict *verdict,
		const uint8_t *value, size_t size);
	void *ctx;
};

/*
 * Load path and run its main chunk, which may call keep(...) to ask for
 * ranges. -EINVAL with file:line: message on a syntax or run-time error.
 */
int script_open(const char *path, const struct script_options *options,
	struct keeper **out, struct error *err);

/*
 * Add the ranges the main chunk asked for with keep(), in order. Once, before
 * the first access; the keeper may be that of other ranges, too, which use the
 * script's global callbacks. Errors as range_set_add(), with file:line.
 * set and images must stay: callbacks may add more.
 */
int script_add_ranges(struct keeper *script, struct range_set *set,
	const struct image *const *images, size_t image_count,
	struct error *err);

/* What finish(summary) is told: both must stay until keeper_finish() has
 * returned, and may be NULL. */
void script_set_summary(struct keeper *script, struct stats *stats,
	const struct stats_numbers *numbers);

#endif
