/* SPDX-License-Identifier: MIT */
/*
 * Keepers in shared objects: include/custos/keeper.h is what they see. A
 * plugin runs inside custos; when it crashes, custos says which plugin, in
 * which callback and at which access, and ends with exit code 125.
 */
#ifndef CUSTOS_KEEPER_PLUGIN_H
#define CUSTOS_KEEPER_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "image/image.h"
#include "keeper/keeper.h"
#include "trace/sink.h"

#define PLUGIN_CRASHED_CODE 125

/* What a plugin may use of its surroundings; lives longer than it. Each
 * function may be NULL, and then does nothing. */
struct plugin_host {
	const struct trace_names *names;
	/* A line with its newline: what it prints, and a bug it found. */
	void (*log)(void *ctx, const char *text, size_t len);
	void (*finding)(void *ctx, const char *plugin, const char *text);
	size_t (*read)(void *ctx, uint64_t process, uint64_t va, void *bytes,
		size_t len);
	size_t (*write)(void *ctx, uint64_t process, uint64_t va,
		const void *bytes, size_t len);
	size_t (*stack)(void *ctx, uint64_t *out_ips, size_t max);
	/* As session_resume(). */
	int (*resume)(void *ctx, uint64_t seq, const struct verdict *verdict,
		const uint8_t *value, size_t size);
	void *ctx;
};

/*
 * Load path and open it with argument. A path without a slash is looked for
 * in the working directory, then where custos's plugins are installed. From
 * the first call on, fatal signals raised by plugins are reported.
 * -ENOENT, -ENOEXEC (no plugin, or one for another custos), -EINVAL (it
 * refused its argument), each with a sentence.
 */
int plugin_open(const char *path, const char *argument,
	const struct plugin_host *host, struct keeper **out,
	struct error *err);

/* The ranges it asked for, in order; range_set_add() takes them. */
size_t plugin_range_count(const struct keeper *plugin);
const char *plugin_range(const struct keeper *plugin, size_t index);

#endif
