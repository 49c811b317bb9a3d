/* SPDX-License-Identifier: MIT */
/*
 * Endpoint. A message is read out of the sender when it calls send, its string
 * and capabilities when a receiver is there. What fails is charged to the side
 * whose memory or slots failed; the other side goes on waiting.
 */
#include "endpoint.h"

#include "call.h"
#include "copy.h"
#include "cpu.h"
#include "frame.h"
#include "machine.h"
#include "process.h"
#include "sched.h"

struct endpoint {
	uint64_t send_caps, receive_caps; /* with that right */
	uint64_t caps;			  /* all */
	struct list senders, receivers;	  /* processes; one is empty */
};

struct endpoint *endpoint_create(void)
{
	uint64_t gpa = frame_alloc(NULL);
	struct endpoint *endpoint;

	if (!gpa)
		return NULL;
	endpoint = machine_direct(gpa);
	frame_set_owner(gpa, endpoint);
	list_init(&endpoint->senders);
	list_init(&endpoint->receivers);
	return endpoint;
}

void endpoint_cap_retain(const struct cap *cap)
{
	struct endpoint *endpoint = cap->object;

	endpoint->caps++;
	endpoint->send_caps += (cap->rights & CUSTOS_RIGHT_SEND) != 0;
	endpoint->receive_caps += (cap->rights & CUSTOS_RIGHT_RECEIVE) != 0;
}

static struct process *first(const struct list *queue)
{
	if (list_is_empty(queue))
		return NULL;
	return LIST_ENTRY(queue->next, struct process, link);
}

static void wake_all(struct list *queue, int64_t result)
{
	struct process *process;

	while ((process = first(queue)))
		sched_wake(process, result);
}

void endpoint_cap_release(const struct cap *cap)
{
	struct endpoint *endpoint = cap->object;

	endpoint->caps--;
	endpoint->send_caps -= (cap->rights & CUSTOS_RIGHT_SEND) != 0;
	endpoint->receive_caps -= (cap->rights & CUSTOS_RIGHT_RECEIVE) != 0;
	if (endpoint->receive_caps == 0)
		wake_all(&endpoint->senders, -CUSTOS_E_PARTNER_GONE);
	if (endpoint->send_caps == 0)
		wake_all(&endpoint->receivers, -CUSTOS_E_PARTNER_GONE);
	if (endpoint->caps == 0)
		frame_free(machine_gpa(endpoint));
}

/* Whether the sender's capabilities are there and the receiver's slots are
 * free; that can have changed while one of them waited. */
static int check_caps(
	struct process *sender, struct process *receiver, bool *out_receivers)
{
	const struct custos_message *from = &sender->message;
	const struct custos_message *to = &receiver->message;
	unsigned i;

	*out_receivers = false;
	if (from->cap_count > to->cap_count)
		return -CUSTOS_E_TRUNCATED;
	for (i = 0; i < from->cap_count; i++)
		if (!cap_find(sender, from->caps[i]))
			return -CUSTOS_E_INVALID_CAP;
	*out_receivers = true;
	for (i = 0; i < from->cap_count; i++)
		if (!cap_find_empty(receiver, to->caps[i]))
			return -CUSTOS_E_REQUEST;
	return 0;
}

static int copy_string(
	struct process *sender, struct process *receiver, bool *out_receivers)
{
	uint32_t size = sender->message.string_size;
	void *scratch = cpu_this()->scratch;
	int error;

	*out_receivers = false;
	if (size > receiver->message.string_size)
		return -CUSTOS_E_TRUNCATED;
	error = copy_from_process(sender, scratch, sender->message.string, size,
		CUSTOS_COPY_IPC_SRC);
	if (error)
		return error;
	*out_receivers = true;
	return copy_to_process(receiver, receiver->message.string, scratch,
		size, CUSTOS_COPY_IPC_DST);
}

/* Tell the receiver what came. */
static int write_back(struct process *sender, struct process *receiver)
{
	struct custos_message message = sender->message;

	message.string = receiver->message.string;
	message.caps[0] = receiver->message.caps[0];
	message.caps[1] = receiver->message.caps[1];
	return copy_to_process(receiver, receiver->message_va, &message,
		sizeof(message), CUSTOS_COPY_IPC_DST);
}

/* 0, or an error and whose it is; then nothing but bytes in the receiver's
 * buffer has changed. */
static int deliver(
	struct process *sender, struct process *receiver, bool *out_receivers)
{
	int error = check_caps(sender, receiver, out_receivers);
	unsigned i;

	/* Neither goes on before the other has come here. */
	process_order(sender, receiver, CUSTOS_ORDER_BOTH);
	if (!error)
		error = copy_string(sender, receiver, out_receivers);
	if (!error) {
		*out_receivers = true;
		error = write_back(sender, receiver);
	}
	if (error)
		return error;
	/* commit */
	for (i = 0; i < sender->message.cap_count; i++)
		cap_copy(cap_find_empty(receiver, receiver->message.caps[i]),
			cap_find(sender, sender->message.caps[i]),
			CUSTOS_RIGHT_ALL);
	return 0;
}

/* Read and check the message structure of the caller. */
static int load_message(const struct call *call, unsigned kind)
{
	struct process *caller = call->caller;
	struct custos_message *message = &caller->message;
	int error;

	if (call->args[1] & ~(uint64_t)CUSTOS_NO_WAIT)
		return -CUSTOS_E_REQUEST;
	error = copy_from_process(
		caller, message, call->args[0], sizeof(*message), kind);
	if (error)
		return error;
	if (message->string_size > CUSTOS_STRING_MAX ||
		message->cap_count > CUSTOS_MESSAGE_CAPS)
		return -CUSTOS_E_REQUEST;
	if (message->cap_count == 2 && message->caps[0] == message->caps[1] &&
		kind == CUSTOS_COPY_SYSCALL_LOAD)
		return -CUSTOS_E_REQUEST;
	caller->message_va = call->args[0];
	return 0;
}

static int64_t block_or_not(const struct call *call, enum process_state state,
	struct list *queue, uint64_t partners)
{
	if (!partners)
		return -CUSTOS_E_PARTNER_GONE;
	if (call->args[1] & CUSTOS_NO_WAIT)
		return -CUSTOS_E_WOULD_BLOCK;
	/* commit */
	sched_block(call->caller, state, queue);
	return CALL_NO_RESULT;
}

int64_t endpoint_call_send(const struct call *call)
{
	struct endpoint *endpoint = call->cap->object;
	struct process *sender = call->caller, *receiver;
	int error = load_message(call, CUSTOS_COPY_IPC_SRC);
	bool receivers;

	if (error)
		return error;
	sender->message.payload = call->cap->payload;
	while ((receiver = first(&endpoint->receivers))) {
		error = deliver(sender, receiver, &receivers);
		if (error && !receivers)
			return error;
		sched_wake(receiver, error);
		if (!error)
			return 0;
	}
	return block_or_not(call, PROCESS_SENDING, &endpoint->senders,
		endpoint->receive_caps);
}

int64_t endpoint_call_receive(const struct call *call)
{
	struct endpoint *endpoint = call->cap->object;
	struct process *receiver = call->caller, *sender;
	int error = load_message(call, CUSTOS_COPY_SYSCALL_LOAD);
	bool receivers;

	if (error)
		return error;
	while ((sender = first(&endpoint->senders))) {
		error = deliver(sender, receiver, &receivers);
		if (error && receivers)
			return error;
		sched_wake(sender, error);
		if (!error)
			return 0;
	}
	return block_or_not(call, PROCESS_RECEIVING, &endpoint->receivers,
		endpoint->send_caps);
}

int64_t endpoint_call_make_entry(const struct call *call)
{
	struct cap *to = cap_find_empty(call->caller, call->args[0]);

	if (!to)
		return -CUSTOS_E_REQUEST;
	/* commit */
	cap_set(to, CUSTOS_CAP_ENDPOINT, CUSTOS_RIGHT_SEND, call->cap->object,
		call->args[1]);
	return 0;
}
