/* SPDX-License-Identifier: MIT */
/* Whoever records a run: told of everything that a trace holds, as it
 * happens. */
#ifndef CUSTOS_SESSION_RECORDER_H
#define CUSTOS_SESSION_RECORDER_H

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
	 * device): bound, or changed by no access. process: 0 for devices.
	 */
	void (*bind)(void *ctx, uint64_t process, const struct range *range,
		uint64_t offset, uint32_t size, const uint8_t *bytes);
	void (*unbind)(void *ctx, uint64_t process, const struct range *range,
		uint64_t offset, uint32_t size);
};

#endif
