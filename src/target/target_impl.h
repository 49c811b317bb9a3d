/* SPDX-License-Identifier: MIT */
/* For those who implement a target (vmm, process). Others use target.h. */
#ifndef CUSTOS_TARGET_TARGET_IMPL_H
#define CUSTOS_TARGET_TARGET_IMPL_H

#include "target/target.h"

/* Each does what the function of the same name in target.h says. */
struct target_ops {
	const char *kind;
	void (*destroy)(struct target *target);
	int (*run)(struct target *target, const struct target_handler *handler,
		struct target_result *out_result, struct error *err);
	void (*stop)(struct target *target);
	const struct target_process *(*process_of)(
		struct target *target, space_t space);
	int (*close_page)(
		struct target *target, frame_t frame, struct error *err);
	int (*open_page)(
		struct target *target, frame_t frame, struct error *err);
	/* NULL: no devices */
	bool (*device)(struct target *target, const char *name,
		frame_t *out_first, uint64_t *out_count);
	bool (*translate)(struct target *target, space_t space, uint64_t va,
		enum access_kind kind, struct target_page *page,
		struct arch_fault *fault);
	bool (*find_page)(struct target *target, space_t space, uint64_t va,
		struct target_page *page);
	/* NULL: it always tells */
	void (*watch_spaces)(struct target *target, bool watch, bool asks);
	size_t (*read)(struct target *target, space_t space, uint64_t va,
		void *bytes, size_t len);
	size_t (*write)(struct target *target, space_t space, uint64_t va,
		const void *bytes, size_t len);
	/* NULL: never any */
	bool (*next_page)(struct target *target, space_t space, uint64_t va,
		uint64_t *out_va, const uint8_t **out_bytes);

	const struct target_process *(*thread_process)(
		struct target_thread *thread);
	space_t (*thread_space)(struct target_thread *thread);
	bool (*thread_is_user)(struct target_thread *thread);
	const struct arch_regs *(*thread_regs)(struct target_thread *thread);
	void (*thread_set_regs)(
		struct target_thread *thread, const struct arch_regs *regs);
	int (*thread_get_xstate)(struct target_thread *thread,
		struct arch_xstate *xstate, struct error *err);
	int (*thread_set_xstate)(struct target_thread *thread,
		const struct arch_xstate *xstate, struct error *err);
	void (*thread_fault)(
		struct target_thread *thread, const struct arch_fault *fault);
	enum target_step (*thread_step)(struct target_thread *thread,
		const uint64_t *open_va, size_t count, struct arch_fault *fault,
		struct error *err);
};

/* Embedded as the first member of a backend's own structures. */
struct target {
	const struct target_ops *ops;
};

struct target_thread {
	struct target *target;
	unsigned index;
};

#endif
