/* SPDX-License-Identifier: MIT */
/*
 * Where accesses are written as they happen: lines for people, JSON lines for
 * programs. A sink is called with one access at a time (it locks for itself).
 */
#ifndef CUSTOS_TRACE_SINK_H
#define CUSTOS_TRACE_SINK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"
#include "trace/access.h"

/* What sinks cannot know themselves. Each appends to out. Any thread. */
struct trace_names {
	void *ctx;
	/* "main+0x1c" or "0x401234", for an address in a process */
	void (*symbol)(void *ctx, uint64_t process, uint64_t address,
		struct buf *out);
	/* "ring.c:41", or nothing */
	void (*line)(void *ctx, uint64_t process, uint64_t address,
		struct buf *out);
	/* "mov [rbx], eax" */
	void (*text)(void *ctx, const uint8_t *insn, uint8_t len, uint64_t ip,
		struct buf *out);
};

enum trace_sink_format { TRACE_SINK_TEXT, TRACE_SINK_JSON };

struct trace_sink;

/*
 * Write to path, or to fd when path is NULL (fd stays the caller's). names
 * must outlive the sink.
 */
int trace_sink_open(const char *path, int fd, enum trace_sink_format format,
	const struct trace_names *names, struct trace_sink **out,
	struct error *err);

/*
 * One finished access. final_bytes: what the program saw (loads) or what is
 * in memory now (stores), size bytes; NULL when not performed. Returns 0, or
 * the first write error as -errno, again and again: accesses after it are
 * counted as lost, never silently dropped.
 */
int trace_sink_write(struct trace_sink *sink, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes);

/* A line that is not an access: a marker, a script error, a process event.
 * kind is a word for programs ("process_start"), text a line for people. */
int trace_sink_note(
	struct trace_sink *sink, const char *kind, const char *text);

/* Flush and close. Returns 0 or the first error met since opening, with the
 * number of lost accesses told in err. */
int trace_sink_close(struct trace_sink *sink, struct error *err);

#endif
