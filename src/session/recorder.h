/* SPDX-License-Identifier: MIT */
/* Whoever records a run: told of everything that a trace holds, as it
 * happens. */
#ifndef CUSTOS_SESSION_RECORDER_H
#define CUSTOS_SESSION_RECORDER_H

#include "keeper/keeper.h"
#include "keeper/range.h"
#include "target/target.h"
#include "trace/access.h"

/*
 * Any thread, several at once; the pages concerned are locked, so that for
 * each byte the calls come in the order of what happened. May wait, may not
 * call the session but for session_regs() and session_stack().
 */
struct session_recorder {
	void *ctx;
	/* An access is over; final_bytes as for sinks. */
	void (*access)(void *ctx, const struct access *access,
		enum outcome outcome, const uint8_t *final_bytes);
	/* Before anything is bound in it, and after all of it is unbound. */
	void (*process_start)(
		void *ctx, const struct target_process *process);
	void (*process_exit)(void *ctx, const struct target_process *process,
		int64_t code);
	/* The process's own word. */
	void (*mark)(void *ctx, const struct target_process *process,
		const char *text);
	/*
	 * Bytes [offset, offset + size) of range are these now (NULL: a
	 * device), those of this frame: bound, or changed by no access.
	 * process: 0 for devices.
	 */
	void (*bind)(void *ctx, uint64_t process, const struct range *range,
		uint64_t offset, uint32_t size, const uint8_t *bytes,
		frame_t frame);
	void (*unbind)(void *ctx, uint64_t process, const struct range *range,
		uint64_t offset, uint32_t size);
	/*
	 * What the run cannot be repeated without, beside all that; each may
	 * be NULL. A keeper (or somebody who resumed what one held) answered
	 * other than pass; for stepped(): other than continue. The access
	 * itself is told afterwards, when it is over.
	 */
	void (*answered)(void *ctx, const struct access *access, bool stepped,
		const struct verdict *verdict);
	/* All that process `before' has done happened before anything that
	 * process `after' will do. */
	void (*ordered)(void *ctx, uint64_t before, uint64_t after);
	/* Memory of a process was changed by no access. seq: by a keeper
	 * asked about this one; 0: by another, or behind one. */
	void (*written)(void *ctx, uint64_t seq, uint64_t process, uint64_t va,
		const uint8_t *bytes, size_t len);
	/* A range that was not there at the start, before it is bound. */
	void (*kept)(void *ctx, const struct range *range);
	void (*released)(void *ctx, const struct range *range);
	void (*revoked)(void *ctx, const struct range *range);
};

#endif
