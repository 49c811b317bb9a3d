/* SPDX-License-Identifier: MIT */
/* Checks arguments where a mistake would be ours, and calls the backend. */
#include "target/target.h"

#include "base/invariant.h"
#include "target/target_impl.h"

void target_destroy(struct target *target)
{
	if (target)
		target->ops->destroy(target);
}

const char *target_kind(const struct target *target)
{
	return target->ops->kind;
}

int target_run(struct target *target, const struct target_handler *handler,
	struct target_result *out_result, struct error *err)
{
	invariant(handler->access && handler->copy && handler->spaces_changed);
	invariant(handler->process_start && handler->process_exit);
	invariant(handler->report);
	return target->ops->run(target, handler, out_result, err);
}

void target_stop(struct target *target)
{
	target->ops->stop(target);
}

const struct target_process *target_process_of(
	struct target *target, space_t space)
{
	return target->ops->process_of(target, space);
}

int target_close_page(struct target *target, frame_t frame, struct error *err)
{
	return target->ops->close_page(target, frame, err);
}

int target_open_page(struct target *target, frame_t frame, struct error *err)
{
	return target->ops->open_page(target, frame, err);
}

bool target_device(struct target *target, const char *name, frame_t *out_first,
	uint64_t *out_count)
{
	return target->ops->device &&
		target->ops->device(target, name, out_first, out_count);
}

bool target_translate(struct target *target, space_t space, uint64_t va,
	enum access_kind kind, struct target_page *page,
	struct arch_fault *fault)
{
	return target->ops->translate(target, space, va, kind, page, fault);
}

bool target_find_page(struct target *target, space_t space, uint64_t va,
	struct target_page *page)
{
	return target->ops->find_page(target, space, va, page);
}

void target_watch_spaces(struct target *target, bool watch, bool asks)
{
	if (target->ops->watch_spaces)
		target->ops->watch_spaces(target, watch, asks);
}

size_t target_read(struct target *target, space_t space, uint64_t va,
	void *bytes, size_t len)
{
	return target->ops->read(target, space, va, bytes, len);
}

size_t target_write(struct target *target, space_t space, uint64_t va,
	const void *bytes, size_t len)
{
	return target->ops->write(target, space, va, bytes, len);
}

bool target_next_page(struct target *target, space_t space, uint64_t va,
	uint64_t *out_va, const uint8_t **out_bytes)
{
	return target->ops->next_page &&
		target->ops->next_page(target, space, va, out_va, out_bytes);
}

unsigned target_thread_index(const struct target_thread *thread)
{
	return thread->index;
}

struct target *target_thread_target(const struct target_thread *thread)
{
	return thread->target;
}

const struct target_process *target_thread_process(struct target_thread *thread)
{
	return thread->target->ops->thread_process(thread);
}

space_t target_thread_space(struct target_thread *thread)
{
	return thread->target->ops->thread_space(thread);
}

bool target_thread_is_user(struct target_thread *thread)
{
	return thread->target->ops->thread_is_user(thread);
}

const struct arch_regs *target_thread_regs(struct target_thread *thread)
{
	return thread->target->ops->thread_regs(thread);
}

void target_thread_set_regs(
	struct target_thread *thread, const struct arch_regs *regs)
{
	thread->target->ops->thread_set_regs(thread, regs);
}

int target_thread_get_xstate(struct target_thread *thread,
	struct arch_xstate *xstate, struct error *err)
{
	return thread->target->ops->thread_get_xstate(thread, xstate, err);
}

int target_thread_set_xstate(struct target_thread *thread,
	const struct arch_xstate *xstate, struct error *err)
{
	return thread->target->ops->thread_set_xstate(thread, xstate, err);
}

void target_thread_fault(
	struct target_thread *thread, const struct arch_fault *fault)
{
	thread->target->ops->thread_fault(thread, fault);
}

enum target_step target_thread_step(struct target_thread *thread,
	const uint64_t *open_va, size_t count, struct arch_fault *fault,
	struct error *err)
{
	return thread->target->ops->thread_step(
		thread, open_va, count, fault, err);
}
