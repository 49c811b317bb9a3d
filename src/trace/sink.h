/* SPDX-License-Identifier: MIT */
/*
 * Where accesses are written as they happen: lines for people, JSON lines for
 * programs. A sink locks for itself: every function may run on any thread.
 * Both formats are described in docs/KEEPERS.md, section "Output".
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
	/* "ctx.lock.owner": the variable, member or element of size bytes at
	 * an address, or nothing */
	void (*data)(void *ctx, uint64_t process, uint64_t address,
		uint64_t size, struct buf *out);
	/* "take < step": functions inlined at an address, innermost first, or
	 * nothing */
	void (*inlined)(void *ctx, uint64_t process, uint64_t address,
		struct buf *out);
};

enum trace_sink_format { TRACE_SINK_TEXT, TRACE_SINK_JSON };

struct trace_sink;

/*
 * Write to path, or to fd when path is NULL (fd stays the caller's). names
 * must outlive the sink; it and each of its functions may be NULL. They are
 * called with the sink's lock held, once per instruction, and may not call the
 * sink. No write raises SIGPIPE: a closed pipe is -EPIPE.
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

/* Complete lines in the sink's own format, as they are: a summary. */
int trace_sink_lines(struct trace_sink *sink, const char *text, size_t len);

/* Write out what is buffered, e.g. before something else is written to the
 * same terminal. Otherwise lines wait at most 100 ms (a terminal gets each at
 * once). Returns as trace_sink_write(). */
int trace_sink_flush(struct trace_sink *sink);

/* Flush and close. Returns 0 or the first error met since opening, with the
 * number of lost lines told in err. */
int trace_sink_close(struct trace_sink *sink, struct error *err);

/* The line TRACE_SINK_TEXT writes for an access, without its newline. names
 * and final_bytes may be NULL. */
void trace_access_text(const struct access *access, enum outcome outcome,
	const uint8_t *final_bytes, const struct trace_names *names,
	struct buf *out);

/* text without anything that could move a terminal's cursor: control bytes
 * become \xNN. For names that come from guests and files. */
void trace_add_clean(struct buf *out, const char *text, size_t len);

#endif
