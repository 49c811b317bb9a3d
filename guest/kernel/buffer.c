/* SPDX-License-Identifier: MIT */
/* Lines of buffers, delivery, and the news of it. */
#include "buffer.h"

#include "object.h"
#include "process.h"
#include "sched.h"

/* Partners told at a time. */
#define PIECE 64

void buffer_begin(uint64_t gpa)
{
	struct buffer *buffer = machine_direct(gpa);
	unsigned i;

	list_init(&buffer->line);
	list_init(&buffer->link);
	for (i = 0; i < BUFFER_NEWS; i++) {
		list_init(&buffer->news[i].link);
		buffer->news[i].kind = CUSTOS_ACTIVATION_SENT + i;
		buffer->news[i].buffer = buffer;
	}
}

/* ---- news ---- */

/* Nobody is told of a buffer without a thread. */
static void tell(struct buffer *buffer, uint32_t kind)
{
	struct buffer_news *news =
		&buffer->news[kind - CUSTOS_ACTIVATION_SENT];
	struct process *thread = buffer->thread.object;

	if (!cap_is_live(&buffer->thread) || thread->state == PROCESS_ENDED)
		return;
	if (!news->count++)
		list_insert(&thread->activations, &news->link);
	if (thread->state == PROCESS_ACTIVATION)
		sched_restart(thread);
}

static struct buffer_news *oldest(const struct process *process)
{
	if (list_is_empty(&process->activations))
		return NULL;
	return LIST_ENTRY(process->activations.next, struct buffer_news, link);
}

bool buffer_peek_news(
	const struct process *process, struct custos_activation *out)
{
	const struct buffer_news *news = oldest(process);
	const struct buffer *buffer;

	if (!news)
		return false;
	buffer = news->buffer;
	*out = (struct custos_activation){
		.kind = news->kind, .id = buffer->id};
	if (news->kind == CUSTOS_ACTIVATION_RECEIVED) {
		out->cap_count = buffer->cap_count;
		out->payload = buffer->words[0];
	}
	return true;
}

void buffer_take_news(struct process *process)
{
	struct buffer_news *news = oldest(process);

	if (!--news->count)
		list_remove(&news->link);
}

static void forget_news(struct buffer *buffer)
{
	unsigned i;

	for (i = 0; i < BUFFER_NEWS; i++) {
		list_remove(&buffer->news[i].link);
		buffer->news[i].count = 0;
	}
}

void buffer_set_thread(struct buffer *buffer, const struct cap *thread)
{
	forget_news(buffer);
	buffer->thread = thread ? *thread : (struct cap){0};
}

void buffer_forget_thread(struct process *process)
{
	struct buffer_news *news;

	while ((news = oldest(process))) {
		list_remove(&news->link);
		news->count = 0;
	}
}

/* ---- delivery ---- */

static void deliver(struct buffer *source, struct buffer *target)
{
	unsigned i;

	machine_copy(target->words, source->words, sizeof(target->words));
	machine_copy(target->string, source->string, source->string_size);
	for (i = 0; i < CUSTOS_MESSAGE_CAPS; i++)
		target->caps[i] = source->caps[i];
	target->string_size = source->string_size;
	target->cap_count = source->cap_count;
	target->is_loaded = target->is_blocked = true;
	tell(source, CUSTOS_ACTIVATION_SENT);
	tell(target, CUSTOS_ACTIVATION_RECEIVED);
}

static void leave_line(struct buffer *source)
{
	list_remove(&source->link);
	source->target = NULL;
}

int64_t buffer_enqueue(
	struct buffer *source, struct buffer *target, bool waits)
{
	if (source == target || !source->is_loaded)
		return -CUSTOS_E_REQUEST;
	if (source->target)
		return -CUSTOS_E_BUSY;
	if (target->is_blocked && !waits)
		return -CUSTOS_E_WOULD_BLOCK;
	/* commit */
	if (target->is_blocked) {
		list_insert(&target->line, &source->link);
		source->target = target;
	} else {
		deliver(source, target);
	}
	return 0;
}

static struct buffer *first(const struct buffer *target)
{
	if (list_is_empty(&target->line))
		return NULL;
	return LIST_ENTRY(target->line.next, struct buffer, link);
}

void buffer_unblock(struct buffer *target)
{
	struct buffer *source = first(target);

	target->is_blocked = false;
	if (!source)
		return;
	leave_line(source);
	deliver(source, target);
}

/* ---- ends ---- */

void buffer_cancel(struct buffer *source)
{
	struct buffer *target = source->target;

	if (!target)
		return;
	leave_line(source);
	tell(source, CUSTOS_ACTIVATION_CANCELLED);
	tell(target, CUSTOS_ACTIVATION_CANCELLED);
}

bool buffer_end(uint64_t gpa)
{
	struct buffer *buffer = machine_direct(gpa), *source;
	unsigned budget = PIECE;

	if (buffer->target) {
		tell(buffer->target, CUSTOS_ACTIVATION_GONE);
		leave_line(buffer);
	}
	forget_news(buffer);
	while ((source = first(buffer))) {
		if (!budget--)
			return false;
		leave_line(source);
		tell(source, CUSTOS_ACTIVATION_GONE);
	}
	return true;
}
