/* SPDX-License-Identifier: MIT */
#include "tests/support/fake_target.h"

#include <custos/decode.h>
#include <errno.h>
#include <string.h>

#include "base/invariant.h"

static struct fake_target *fake_of(struct target *target)
{
	return (struct fake_target *)target;
}

static struct fake_thread *thread_of(struct target_thread *thread)
{
	return (struct fake_thread *)thread;
}

static void fake_destroy(struct target *target)
{
	(void)target;
}

static void answer_all(struct fake_target *fake);

static int fake_run(struct target *target, const struct target_handler *handler,
	struct target_result *out_result, struct error *err)
{
	struct fake_target *fake = fake_of(target);

	(void)err;
	fake->handler = handler;
	handler->process_start(
		handler->ctx, &fake->threads[0].thread, &fake->process);
	answer_all(fake);
	fake->body(fake, fake->body_ctx);
	handler->process_exit(
		handler->ctx, &fake->threads[0].thread, &fake->process, 0);
	*out_result = (struct target_result){
		.end = fake->stopped ? TARGET_STOPPED : TARGET_EXITED,
	};
	return 0;
}

static void fake_stop(struct target *target)
{
	fake_of(target)->stopped = true;
}

static const struct target_process *fake_process_of(
	struct target *target, space_t space)
{
	return space == FAKE_SPACE ? &fake_of(target)->process : NULL;
}

static int fake_close(struct target *target, frame_t frame, struct error *err)
{
	(void)err;
	invariant(frame < FAKE_PAGES);
	fake_of(target)->closed[frame] = true;
	return 0;
}

static int fake_open(struct target *target, frame_t frame, struct error *err)
{
	(void)err;
	invariant(frame < FAKE_PAGES);
	fake_of(target)->closed[frame] = false;
	return 0;
}

static bool fake_device(struct target *target, const char *name,
	frame_t *out_first, uint64_t *out_count)
{
	(void)target;
	*out_first = FAKE_PAGES;
	*out_count = 1;
	return !strcmp(name, "dev");
}

static bool fake_translate(struct target *target, space_t space, uint64_t va,
	enum access_kind kind, struct target_page *page,
	struct arch_fault *fault)
{
	struct fake_target *fake = fake_of(target);
	uint64_t index = (va - FAKE_CODE) / 4096;

	invariant(space == FAKE_SPACE);
	if (va / 4096 == FAKE_DEVICE / 4096) {
		*page = (struct target_page){ FAKE_PAGES, NULL, true };
		return true;
	}
	if (index >= FAKE_PAGES || fake->unmapped[index] ||
		fake->hidden[index] || (fake->read_only[index] && access_writes(kind))) {
		*fault = (struct arch_fault){
			.vector = ARCH_VECTOR_PF,
			.error_code = ARCH_PF_USER |
				(access_writes(kind) ? ARCH_PF_WRITE : 0),
			.address = va,
		};
		return false;
	}
	*page = (struct target_page){
		.frame = index,
		.bytes = fake->pages[index],
		.closed = fake->closed[index],
	};
	return true;
}

static bool fake_find_page(struct target *target, space_t space, uint64_t va,
	struct target_page *page)
{
	struct arch_fault fault;

	return fake_translate(target, space, va, ACCESS_LOAD, page, &fault);
}

static void fake_watch_spaces(struct target *target, bool watch, bool asks)
{
	fake_of(target)->watching = watch;
	fake_of(target)->asks = asks;
}

static void answer(struct fake_target *fake, struct target_where *where)
{
	uint64_t index = (where->va - FAKE_CODE) / 4096;

	where->found = index < FAKE_PAGES && !fake->unmapped[index];
	if (where->found)
		where->page = (struct target_page){ index, fake->pages[index],
			fake->closed[index] };
}

/* Two at a time, as a kernel would do with more. */
static void answer_all(struct fake_target *fake)
{
	struct target_thread *thread = &fake->threads[0].thread;
	struct target_where answers[2], questions[2] = { 0 };
	unsigned count = 0;

	do {
		memcpy(answers, questions, sizeof(answers));
		for (unsigned i = 0; i < count; i++)
			answer(fake, &answers[i]);
		count = fake->handler->where(fake->handler->ctx, thread,
			answers, count, questions, 2);
	} while (count);
}

void fake_target_changed(struct fake_target *fake)
{
	fake->handler->spaces_changed(
		fake->handler->ctx, &fake->threads[0].thread);
	answer_all(fake);
}

uint8_t *fake_target_byte(struct fake_target *fake, uint64_t va)
{
	invariant((va - FAKE_CODE) / 4096 < FAKE_PAGES);
	return &fake->pages[(va - FAKE_CODE) / 4096][va % 4096];
}

static size_t fake_read(struct target *target, space_t space, uint64_t va,
	void *bytes, size_t len)
{
	(void)space;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)bytes)[i] =
			*fake_target_byte(fake_of(target), va + i);
	return len;
}

static size_t fake_write(struct target *target, space_t space, uint64_t va,
	const void *bytes, size_t len)
{
	(void)space;
	for (size_t i = 0; i < len; i++)
		*fake_target_byte(fake_of(target), va + i) =
			((const uint8_t *)bytes)[i];
	return len;
}

static const struct target_process *fake_thread_process(
	struct target_thread *thread)
{
	struct fake_target *fake = fake_of(thread->target);

	return thread->index ? &fake->other_process : &fake->process;
}

static space_t fake_thread_space(struct target_thread *thread)
{
	(void)thread;
	return FAKE_SPACE;
}

static bool fake_thread_is_user(struct target_thread *thread)
{
	(void)thread;
	return true;
}

static const struct arch_regs *fake_thread_regs(struct target_thread *thread)
{
	return &thread_of(thread)->regs;
}

static void fake_thread_set_regs(
	struct target_thread *thread, const struct arch_regs *regs)
{
	thread_of(thread)->regs = *regs;
}

static int fake_get_xstate(struct target_thread *thread,
	struct arch_xstate *xstate, struct error *err)
{
	(void)err;
	*xstate = thread_of(thread)->xstate;
	return 0;
}

static int fake_set_xstate(struct target_thread *thread,
	const struct arch_xstate *xstate, struct error *err)
{
	(void)err;
	thread_of(thread)->xstate = *xstate;
	return 0;
}

static void fake_thread_fault(
	struct target_thread *thread, const struct arch_fault *fault)
{
	thread_of(thread)->faulted = true;
	thread_of(thread)->fault = *fault;
}

/* Move the bytes of one access between memory and the executor. */
static void transfer(struct fake_target *fake, struct exec_access *a, bool in)
{
	for (uint32_t i = 0; i < a->size; i++) {
		uint8_t *byte = fake_target_byte(fake, a->address + i);

		if (in)
			a->old_bytes[i] = *byte;
		else if (access_writes(a->kind))
			*byte = a->new_bytes[i];
	}
}

/* The closed page of an access that is not among those opened, if any. */
static bool closed_for(struct fake_target *fake, const struct exec_access *a,
	const uint64_t *open_va, size_t count, struct arch_fault *fault)
{
	for (uint64_t va = a->address; va < a->address + a->size; va++) {
		bool open = !fake->closed[(va - FAKE_CODE) / 4096];

		for (size_t i = 0; i < count; i++)
			open |= open_va[i] / 4096 == va / 4096;
		if (open)
			continue;
		*fault = (struct arch_fault){
			.vector = ARCH_VECTOR_PF,
			.address = va,
		};
		return true;
	}
	return false;
}

static enum target_step fake_step_with(struct exec *exec,
	struct fake_target *fake, struct fake_thread *t,
	const uint64_t *open_va, size_t count, struct arch_fault *fault)
{
	struct insn insn;

	if (decode_insn(fake_target_byte(fake, t->regs.rip), ARCH_INSN_MAX,
		    &insn) ||
		exec_plan(exec, &insn, &t->regs, &t->xstate) != EXEC_OK)
		return TARGET_STEP_CANNOT;
	for (unsigned i = 0; i < exec_count(exec); i++) {
		if (closed_for(fake, exec_access(exec, i), open_va, count,
			    fault))
			return TARGET_STEP_FAULT;
		transfer(fake, exec_access(exec, i), true);
	}
	if (exec_run(exec) != EXEC_OK)
		return TARGET_STEP_CANNOT;
	for (unsigned i = 0; i < exec_count(exec); i++)
		transfer(fake, exec_access(exec, i), false);
	t->regs = *exec_regs(exec);
	if (exec_xstate(exec))
		t->xstate = *exec_xstate(exec);
	t->steps++;
	return TARGET_STEP_DONE;
}

static enum target_step fake_step(struct target_thread *thread,
	const uint64_t *open_va, size_t count, struct arch_fault *fault,
	struct error *err)
{
	struct exec *exec = exec_create();
	enum target_step result;

	invariant(exec);
	result = fake_step_with(exec, fake_of(thread->target),
		thread_of(thread), open_va, count, fault);
	exec_destroy(exec);
	if (result == TARGET_STEP_CANNOT)
		error_set(err, -ENOSYS, "the fake CPU cannot step it");
	return result;
}

static const struct target_ops fake_ops = {
	.kind = "fake",
	.destroy = fake_destroy,
	.run = fake_run,
	.stop = fake_stop,
	.process_of = fake_process_of,
	.close_page = fake_close,
	.open_page = fake_open,
	.device = fake_device,
	.translate = fake_translate,
	.find_page = fake_find_page,
	.watch_spaces = fake_watch_spaces,
	.read = fake_read,
	.write = fake_write,
	.thread_process = fake_thread_process,
	.thread_space = fake_thread_space,
	.thread_is_user = fake_thread_is_user,
	.thread_regs = fake_thread_regs,
	.thread_set_regs = fake_thread_set_regs,
	.thread_get_xstate = fake_get_xstate,
	.thread_set_xstate = fake_set_xstate,
	.thread_fault = fake_thread_fault,
	.thread_step = fake_step,
};

void fake_target_init(struct fake_target *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->target.ops = &fake_ops;
	for (unsigned i = FAKE_MAPPED; i < FAKE_PAGES; i++)
		fake->unmapped[i] = true;
	fake->process = (struct target_process){
		.id = 1,
		.name = "fake",
		.space = FAKE_SPACE,
	};
	fake->other_process = fake->process;
	fake->other_process.id = 2;
	for (unsigned i = 0; i < 2; i++) {
		struct fake_thread *t = &fake->threads[i];

		t->thread = (struct target_thread){ &fake->target, i };
		t->regs.rip = FAKE_CODE + 256 * i;
		t->regs.rflags = ARCH_RFLAGS_FIXED;
		t->xstate.size = 4096;
	}
}

enum target_resume fake_target_run_insn(
	struct fake_target *fake, unsigned cpu, const void *code, size_t len)
{
	struct fake_thread *t = &fake->threads[cpu];

	memcpy(fake_target_byte(fake, t->regs.rip), code, len);
	t->faulted = false;
	return fake->handler->access(fake->handler->ctx, &t->thread);
}
