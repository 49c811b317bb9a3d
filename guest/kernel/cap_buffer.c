/* SPDX-License-Identifier: MIT */
/* Buffer: messages that are objects, and the lines they stand in. */
#include "buffer.h"
#include "call.h"
#include "copy.h"
#include "cpu.h"
#include "process.h"

static int64_t find_caps(struct process *caller,
	const struct custos_message *message, struct cap caps[])
{
	unsigned i;

	for (i = 0; i < message->cap_count; i++) {
		const struct cap *cap = cap_find(caller, message->caps[i]);

		if (!cap)
			return -CUSTOS_E_INVALID_CAP;
		caps[i] = *cap;
	}
	return 0;
}

/* Not while it stands in a line: what is said there has been said. */
int64_t buffer_call_load(const struct call *call)
{
	struct buffer *buffer = call->cap->object;
	struct cap caps[CUSTOS_MESSAGE_CAPS] = {{0}};
	struct custos_message message;
	void *string = cpu_this()->scratch;
	int64_t error;

	if (buffer->target)
		return -CUSTOS_E_BUSY;
	error = copy_from_process(call->caller, &message, call->args[0],
		sizeof(message), CUSTOS_COPY_SYSCALL_LOAD);
	if (!error && (message.string_size > CUSTOS_BUFFER_STRING ||
			      message.cap_count > CUSTOS_MESSAGE_CAPS))
		error = -CUSTOS_E_REQUEST;
	if (!error)
		error = find_caps(call->caller, &message, caps);
	if (!error)
		error = copy_from_process(call->caller, string, message.string,
			message.string_size, CUSTOS_COPY_SYSCALL_LOAD);
	if (error)
		return error;
	/* commit */
	machine_copy(buffer->words, message.words, sizeof(buffer->words));
	machine_copy(buffer->string, string, message.string_size);
	machine_copy(buffer->caps, caps, sizeof(buffer->caps));
	buffer->string_size = message.string_size;
	buffer->cap_count = message.cap_count;
	buffer->is_loaded = true;
	return 0;
}

static bool slots_are_empty(
	struct process *caller, const struct custos_message *message)
{
	unsigned i, j;

	for (i = 0; i < message->cap_count; i++) {
		if (!cap_find_empty(caller, message->caps[i]))
			return false;
		for (j = 0; j < i; j++)
			if (message->caps[i] == message->caps[j])
				return false;
	}
	return true;
}

/* As many of the capabilities as there is room for. */
int64_t buffer_call_take(const struct call *call)
{
	const struct buffer *buffer = call->cap->object;
	struct process *caller = call->caller;
	struct custos_message message;
	unsigned i;
	int64_t error = copy_from_process(caller, &message, call->args[0],
		sizeof(message), CUSTOS_COPY_SYSCALL_LOAD);

	if (error)
		return error;
	if (!buffer->is_loaded)
		return -CUSTOS_E_BUSY;
	if (message.string_size < buffer->string_size)
		return -CUSTOS_E_TRUNCATED;
	if (message.cap_count > buffer->cap_count)
		message.cap_count = buffer->cap_count;
	if (!slots_are_empty(caller, &message))
		return -CUSTOS_E_REQUEST;
	machine_copy(message.words, buffer->words, sizeof(message.words));
	message.string_size = buffer->string_size;
	message.payload = message.flags = 0;
	error = copy_to_process(caller, message.string, buffer->string,
		buffer->string_size, CUSTOS_COPY_SYSCALL_STORE);
	if (!error)
		error = copy_to_process(caller, call->args[0], &message,
			sizeof(message), CUSTOS_COPY_SYSCALL_STORE);
	if (error)
		return error;
	/* commit */
	for (i = 0; i < message.cap_count; i++)
		*cap_find_empty(caller, message.caps[i]) = buffer->caps[i];
	return 0;
}

/* Whoever will be told of the message has seen what came before it. */
static void order(const struct call *call)
{
	const struct buffer *target = call->cap->object;
	const struct process *thread = target->thread.object;

	if (cap_is_live(&target->thread) && thread != call->caller &&
		thread->state != PROCESS_ENDED)
		process_order(call->caller, thread, CUSTOS_ORDER_ONE);
}

int64_t buffer_call_enqueue(const struct call *call)
{
	const struct cap *source = cap_find_typed(call->caller, call->args[0],
		CUSTOS_CAP_BUFFER, CUSTOS_RIGHT_READ);

	if (!source)
		return -CUSTOS_E_INVALID_CAP;
	if (call->args[1] & ~(uint64_t)CUSTOS_NO_WAIT)
		return -CUSTOS_E_REQUEST;
	order(call);
	return buffer_enqueue(source->object, call->cap->object,
		!(call->args[1] & CUSTOS_NO_WAIT));
}

int64_t buffer_call_unblock(const struct call *call)
{
	buffer_unblock(call->cap->object);
	return 0;
}

int64_t buffer_call_cancel(const struct call *call)
{
	buffer_cancel(call->cap->object);
	return 0;
}

int64_t buffer_call_set_thread(const struct call *call)
{
	const struct cap *thread = NULL;

	if (call->args[0]) {
		thread = cap_find_typed(
			call->caller, call->args[0], CUSTOS_CAP_PROCESS, 0);
		if (!thread)
			return -CUSTOS_E_INVALID_CAP;
	}
	/* commit */
	buffer_set_thread(call->cap->object, thread);
	return 0;
}

int64_t buffer_call_set_id(const struct call *call)
{
	struct buffer *buffer = call->cap->object;

	buffer->id = call->args[0];
	return 0;
}

int64_t buffer_call_state(const struct call *call)
{
	const struct buffer *buffer = call->cap->object;

	return (buffer->is_blocked ? CUSTOS_BUFFER_BLOCKED : 0) |
	       (buffer->target ? CUSTOS_BUFFER_WAITS : 0) |
	       (list_is_empty(&buffer->line) ? 0 : CUSTOS_BUFFER_QUEUE);
}
