/* SPDX-License-Identifier: MIT */
/*
 * Who meets whom, and what is handed over. A message is read out of the sender
 * when it calls send, its string and capabilities when a receiver is there.
 * What fails is charged to the side whose memory or slots failed; the other
 * side goes on waiting. A keeper has to be asked about the memory of either
 * side: that side makes its call again, and asks in it.
 */
#include "endpoint.h"

#include "call.h"
#include "copy.h"
#include "cpu.h"
#include "object.h"
#include "process.h"
#include "sched.h"

/* Senders whose waits are ended at a time. */
#define PIECE 64

/* A message on its way. */
struct parcel {
	struct custos_message message;
	const void *string;
	struct cap caps[CUSTOS_MESSAGE_CAPS];
	bool is_kernels; /* too little room is the receiver's fault */
};

void endpoint_begin(uint64_t gpa)
{
	struct endpoint *endpoint = machine_direct(gpa);

	list_init(&endpoint->senders);
	list_init(&endpoint->receivers);
	list_init(&endpoint->asking);
	list_init(&endpoint->owned);
}

static struct process *first(const struct list *queue)
{
	if (list_is_empty(queue))
		return NULL;
	return LIST_ENTRY(queue->next, struct process, link);
}

bool endpoint_can_answer(const struct cap *entry)
{
	const struct endpoint *endpoint = entry->object;

	if (entry->type != CUSTOS_CAP_ENTRY &&
		entry->type != CUSTOS_CAP_ENDPOINT)
		return false;
	return (entry->rights & CUSTOS_RIGHT_SEND) && cap_is_live(entry) &&
	       !endpoint->dead;
}

/* ---- handing over ---- */

static bool slots_are_empty(
	struct process *to, const struct custos_message *room, unsigned count)
{
	unsigned i, j;

	for (i = 0; i < count; i++) {
		if (!cap_find_empty(to, room->caps[i]))
			return false;
		for (j = 0; j < i; j++)
			if (room->caps[i] == room->caps[j])
				return false;
	}
	return true;
}

/* room says where, and was read from va. */
static int64_t hand_over(struct process *to, const struct custos_message *room,
	uint64_t va, const struct parcel *parcel)
{
	struct custos_message message = parcel->message;
	unsigned i;
	int64_t error;

	if (!slots_are_empty(to, room, message.cap_count))
		return -CUSTOS_E_REQUEST;
	error = copy_to_process(to, room->string, parcel->string,
		message.string_size, CUSTOS_COPY_IPC_DST);
	if (error)
		return error;
	message.string = room->string;
	for (i = 0; i < CUSTOS_MESSAGE_CAPS; i++)
		message.caps[i] = room->caps[i];
	message.reserved = 0;
	error = copy_to_process(
		to, va, &message, sizeof(message), CUSTOS_COPY_IPC_DST);
	if (error)
		return error;
	/* commit */
	for (i = 0; i < message.cap_count; i++)
		*cap_find_empty(to, room->caps[i]) = parcel->caps[i];
	return 0;
}

static bool has_room(
	const struct custos_message *room, const struct parcel *parcel)
{
	return parcel->message.cap_count <= room->cap_count &&
	       parcel->message.string_size <= room->string_size;
}

static int64_t find_caps(
	struct process *sender, struct parcel *parcel, unsigned at)
{
	const struct custos_message *message = &sender->message;
	unsigned i;

	for (i = 0; i < message->cap_count; i++) {
		const struct cap *cap = cap_find(sender, message->caps[i]);

		if (!cap)
			return -CUSTOS_E_INVALID_CAP;
		parcel->caps[at + i] = *cap;
	}
	return 0;
}

/* What a process sends itself; its string is not read yet. */
static int64_t pack_own(struct process *sender, struct parcel *parcel)
{
	struct custos_message *message = &parcel->message;
	bool calls = sender->keep.question == KEEP_CALL;

	parcel->is_kernels = false;
	*message = sender->message;
	message->flags = calls ? CUSTOS_MESSAGE_RESUME : 0;
	message->cap_count += calls;
	return find_caps(sender, parcel, calls);
}

static int64_t pack(struct process *sender, struct parcel *parcel)
{
	int64_t error = 0;

	if (sender->keep.question == KEEP_NOTHING ||
		sender->keep.question == KEEP_CALL) {
		error = pack_own(sender, parcel);
	} else {
		parcel->is_kernels = true;
		keep_describe(sender, &parcel->message, &parcel->string);
	}
	if (sender->keep.question == KEEP_CAP)
		parcel->caps[1] = sender->keep.cap;
	if (parcel->message.flags & CUSTOS_MESSAGE_RESUME)
		parcel->caps[0] = cap_make(CUSTOS_CAP_RESUME,
			CUSTOS_RIGHT_SEND, sender, sender->keep.nonce);
	return error;
}

static int64_t read_string(struct process *sender, struct parcel *parcel)
{
	void *scratch = cpu_this()->scratch;

	parcel->string = scratch;
	return copy_from_process(sender, scratch, sender->message.string,
		sender->message.string_size, CUSTOS_COPY_IPC_SRC);
}

/* 0, or an error and whose it is; then nothing but bytes in the receiver's
 * buffer has changed. */
static int64_t deliver(
	struct process *sender, struct process *receiver, bool *out_receivers)
{
	struct parcel parcel;
	int64_t error = pack(sender, &parcel);

	*out_receivers = parcel.is_kernels;
	if (error)
		return error;
	if (!has_room(&receiver->message, &parcel))
		return -CUSTOS_E_TRUNCATED;
	/* Neither goes on before the other has come here. */
	process_order(sender, receiver,
		parcel.message.flags & CUSTOS_MESSAGE_RESUME
			? CUSTOS_ORDER_ONE
			: CUSTOS_ORDER_BOTH);
	if (!parcel.is_kernels)
		error = read_string(sender, &parcel);
	if (error)
		return error;
	*out_receivers = true;
	return hand_over(
		receiver, &receiver->message, receiver->message_va, &parcel);
}

/* ---- meeting ---- */

static void end_wait(struct process *process, int64_t error)
{
	if (error == CALL_RESTART)
		sched_restart(process);
	else
		sched_wake(process, error);
}

/* The first waiting receiver that can take it gets the message; NULL: none
 * there. An error of the sender's comes back in *out_error. */
static struct process *find_receiver(
	struct endpoint *endpoint, struct process *sender, int64_t *out_error)
{
	struct process *receiver;
	bool receivers;

	*out_error = 0;
	while ((receiver = first(&endpoint->receivers))) {
		int64_t error = deliver(sender, receiver, &receivers);

		if (error && !receivers) {
			*out_error = error;
			return NULL;
		}
		end_wait(receiver, error);
		if (!error)
			return receiver;
	}
	return NULL;
}

/* Put a process, current or in no list, in a line (NULL: none). */
static void wait(struct process *process, enum process_state state,
	struct list *queue)
{
	if (cpu_this()->current == process) {
		sched_block(process, state, queue);
		return;
	}
	process->state = state;
	list_remove(&process->link);
	list_insert(queue, &process->link);
}

/* The receiver has the message and shall answer it. */
static void wait_for_answer(struct endpoint *endpoint, struct process *process,
	struct process *receiver)
{
	wait(process, PROCESS_ASKING, &endpoint->asking);
	list_remove(&process->keep.owed);
	list_insert(&receiver->owes, &process->keep.owed);
	process->keep.answerer = receiver;
}

void endpoint_ask(struct process *process, const struct cap *entry)
{
	struct endpoint *endpoint = entry->object;
	int64_t error;
	struct process *receiver = find_receiver(endpoint, process, &error);

	if (receiver)
		wait_for_answer(endpoint, process, receiver);
	else
		wait(process, PROCESS_ASKING, &endpoint->senders);
}

/* ---- sending ---- */

static int64_t load_message(
	struct process *caller, uint64_t va, unsigned kind)
{
	struct custos_message *message = &caller->message;
	int64_t error = copy_from_process(
		caller, message, va, sizeof(*message), kind);

	if (error)
		return error;
	if (message->string_size > CUSTOS_STRING_MAX ||
		message->cap_count > CUSTOS_MESSAGE_CAPS)
		return -CUSTOS_E_REQUEST;
	caller->message_va = va;
	return 0;
}

static int64_t send(const struct call *call, uint64_t flags)
{
	struct endpoint *endpoint = call->cap->object;
	struct process *sender = call->caller, *receiver;
	bool calls = sender->keep.question == KEEP_CALL;
	int64_t error;

	sender->message.payload = call->cap->payload;
	if (endpoint->dead)
		return -CUSTOS_E_PARTNER_GONE;
	receiver = find_receiver(endpoint, sender, &error);
	if (error || (receiver && !calls))
		return error;
	if (receiver) {
		wait_for_answer(endpoint, sender, receiver);
		return CALL_NO_RESULT;
	}
	if (flags & CUSTOS_NO_WAIT)
		return -CUSTOS_E_WOULD_BLOCK;
	/* What keepers must be asked for is here when a receiver comes. */
	error = copy_prepare(sender, sender->message.string,
		sender->message.string_size, CUSTOS_COPY_IPC_SRC);
	if (error)
		return error;
	/* commit */
	sched_block(sender, PROCESS_SENDING, &endpoint->senders);
	return CALL_NO_RESULT;
}

int64_t endpoint_call_send(const struct call *call)
{
	int64_t error;

	if (call->args[1] & ~(uint64_t)CUSTOS_NO_WAIT)
		return -CUSTOS_E_REQUEST;
	error = load_message(call->caller, call->args[0], CUSTOS_COPY_IPC_SRC);
	return error ? error : send(call, call->args[1]);
}

static int64_t put_reply(struct process *process)
{
	struct custos_message room;
	struct parcel parcel = {.message = process->message,
		.string = process_reply(process)};
	unsigned i;
	int64_t error = copy_from_process(process, &room, process->reply_va,
		sizeof(room), CUSTOS_COPY_SYSCALL_LOAD);

	if (!error && !has_room(&room, &parcel))
		error = -CUSTOS_E_TRUNCATED;
	for (i = 0; i < CUSTOS_MESSAGE_CAPS; i++)
		parcel.caps[i] = process->reply_caps[i];
	if (!error)
		error = hand_over(process, &room, process->reply_va, &parcel);
	if (error != CALL_RESTART)
		process->has_reply = false;
	return error;
}

int64_t endpoint_call_call(const struct call *call)
{
	struct process *caller = call->caller;
	struct keep *keep = &caller->keep;
	int64_t error;

	if (caller->has_reply)
		return put_reply(caller);
	if (call->args[2] & ~(uint64_t)CUSTOS_NO_WAIT)
		return -CUSTOS_E_REQUEST;
	error = load_message(caller, call->args[0], CUSTOS_COPY_IPC_SRC);
	if (error)
		return error;
	if (caller->message.cap_count >= CUSTOS_MESSAGE_CAPS)
		return -CUSTOS_E_REQUEST;
	if (lock_is_loop(caller, ((struct endpoint *)call->cap->object)
				    ->recipient))
		return -CUSTOS_E_PARTNER_GONE;
	caller->reply_va = call->args[1];
	keep->question = KEEP_CALL;
	keep->used = true;
	keep->nonce++;
	keep->asked = *call->cap;
	return send(call, call->args[2]);
}

/* ---- receiving ---- */

/* What the kernel says without a process that waits for an answer. */
static void describe_post(
	const struct endpoint_post *post, struct parcel *parcel)
{
	struct custos_stepped *stepped = cpu_this()->scratch;
	struct custos_message *message = &parcel->message;

	machine_zero(message, sizeof(*message));
	message->words[0] = post->what;
	message->payload = post->payload;
	message->flags = CUSTOS_MESSAGE_KERNEL;
	parcel->string = stepped;
	if (post->what != CUSTOS_MESSAGE_STEPPED) {
		message->words[1] = post->a;
		message->words[2] = post->b;
		return;
	}
	machine_zero(stepped, sizeof(*stepped));
	stepped->seq = post->a;
	stepped->ip = stepped->next_ip = post->b;
	stepped->fault = CUSTOS_FAULT_GONE;
	message->string_size = sizeof(*stepped);
}

static int64_t deliver_post(struct endpoint *endpoint, struct process *receiver)
{
	struct endpoint_post notice = {.what = CUSTOS_MESSAGE_NOTICE,
		.a = endpoint->posted};
	const struct endpoint_post *post = endpoint->posted
		? &notice
		: &endpoint->posts[endpoint->first];
	struct parcel parcel;
	int64_t error;

	describe_post(post, &parcel);
	if (!has_room(&receiver->message, &parcel))
		return -CUSTOS_E_TRUNCATED;
	error = hand_over(
		receiver, &receiver->message, receiver->message_va, &parcel);
	if (error)
		return error;
	/* commit */
	if (post == &notice) {
		endpoint->posted = 0;
	} else {
		endpoint->first = (endpoint->first + 1) % ENDPOINT_POSTS;
		endpoint->count--;
	}
	return 0;
}

static bool has_posts(const struct endpoint *endpoint)
{
	return endpoint->posted || endpoint->count;
}

/* Something has been posted. */
static void deliver_posts(struct endpoint *endpoint)
{
	struct process *receiver;

	while (has_posts(endpoint) && (receiver = first(&endpoint->receivers)))
		end_wait(receiver, deliver_post(endpoint, receiver));
}

/* A sender whose message has been received. */
static void received(struct endpoint *endpoint, struct process *sender,
	struct process *receiver)
{
	if (sender->keep.question == KEEP_NOTHING)
		sched_wake(sender, 0);
	else
		wait_for_answer(endpoint, sender, receiver);
}

static int64_t receive(struct endpoint *endpoint, struct process *receiver)
{
	struct process *sender;
	bool receivers;

	while ((sender = first(&endpoint->senders))) {
		int64_t error = deliver(sender, receiver, &receivers);

		if (error && receivers)
			return error;
		if (!error) {
			received(endpoint, sender, receiver);
			return 0;
		}
		end_wait(sender, error);
	}
	return -CUSTOS_E_WOULD_BLOCK;
}

int64_t endpoint_call_receive(const struct call *call)
{
	struct endpoint *endpoint = call->cap->object;
	struct process *receiver = call->caller;
	int64_t error;

	if (call->args[1] & ~(uint64_t)CUSTOS_NO_WAIT)
		return -CUSTOS_E_REQUEST;
	if (endpoint->dead)
		return -CUSTOS_E_PARTNER_GONE;
	if (endpoint->recipient && endpoint->recipient != receiver)
		return -CUSTOS_E_NO_ACCESS;
	error = load_message(
		receiver, call->args[0], CUSTOS_COPY_SYSCALL_LOAD);
	if (error)
		return error;
	if (has_posts(endpoint))
		return deliver_post(endpoint, receiver);
	error = receive(endpoint, receiver);
	if (error != -CUSTOS_E_WOULD_BLOCK ||
		(call->args[1] & CUSTOS_NO_WAIT))
		return error;
	/* commit */
	sched_block(receiver, PROCESS_RECEIVING, &endpoint->receivers);
	return CALL_NO_RESULT;
}

/* ---- replies to calls ---- */

/* It must make its call again to ask about its own memory: the reply waits for
 * that in the process. */
static void keep_reply(struct process *process, const struct parcel *parcel)
{
	unsigned i;

	process->message = parcel->message;
	for (i = 0; i < CUSTOS_MESSAGE_CAPS; i++)
		process->reply_caps[i] = parcel->caps[i];
	machine_copy(process_reply(process), parcel->string,
		parcel->message.string_size);
	process->has_reply = true;
	sched_restart(process);
}

static int64_t put_call_reply(
	struct process *process, const struct parcel *parcel)
{
	struct custos_message room;
	int64_t error = copy_from_process(process, &room, process->reply_va,
		sizeof(room), CUSTOS_COPY_SYSCALL_LOAD);

	if (error)
		return error;
	if (!has_room(&room, parcel))
		return -CUSTOS_E_TRUNCATED;
	return hand_over(process, &room, process->reply_va, parcel);
}

/* A forwarded call has no message for its reply: words[0] is its result, and
 * the n-th capability goes to the slot words[1 + n] names, which must be an
 * argument of the call. */
static int64_t put_forward_reply(
	struct process *process, const struct parcel *parcel)
{
	const struct custos_message *message = &parcel->message;
	const struct keep *keep = &process->keep;
	struct custos_message room = {0};
	unsigned i, j;

	for (i = 0; i < message->cap_count; i++) {
		for (j = 0; j < CALL_ARGS; j++)
			if (keep->words[1 + j] == message->words[1 + i])
				break;
		if (j == CALL_ARGS)
			return -CUSTOS_E_REQUEST;
		room.caps[i] = (uint32_t)message->words[1 + i];
	}
	if (!slots_are_empty(process, &room, message->cap_count))
		return -CUSTOS_E_REQUEST;
	/* commit */
	for (i = 0; i < message->cap_count; i++)
		*cap_find_empty(process, room.caps[i]) = parcel->caps[i];
	return (int64_t)message->words[0];
}

int64_t endpoint_reply(
	struct process *by, struct process *process, uint64_t message_va)
{
	struct parcel parcel = {.is_kernels = false};
	bool forwarded = process->keep.question == KEEP_FORWARD;
	int64_t error = load_message(by, message_va, CUSTOS_COPY_IPC_SRC);

	if (error)
		return error;
	parcel.message = by->message;
	parcel.message.flags = 0;
	parcel.message.payload = 0;
	error = find_caps(by, &parcel, 0);
	if (!error && !forwarded)
		error = read_string(by, &parcel);
	if (error)
		return error;
	process_order(by, process, CUSTOS_ORDER_ONE);
	error = forwarded ? put_forward_reply(process, &parcel)
			  : put_call_reply(process, &parcel);
	/* commit */
	keep_take_answer(process);
	/* A forwarded call's result can be any number. */
	if (!forwarded && error == CALL_RESTART)
		keep_reply(process, &parcel);
	else
		sched_wake(process, error);
	return 0;
}

/* ---- ends ---- */

/* Nobody will receive or answer there any more. */
static bool end_waits(struct list *queue, unsigned *budget)
{
	struct process *process;

	while ((process = first(queue))) {
		if (!(*budget)--)
			return false;
		switch (process->keep.question) {
		case KEEP_NOTHING:
		case KEEP_CALL:
		case KEEP_FORWARD:
			keep_forget(process);
			sched_wake(process, -CUSTOS_E_PARTNER_GONE);
			break;
		default:
			list_remove(&process->link);
			keep_endpoint_gone(process);
		}
	}
	return true;
}

static bool end_partners(struct endpoint *endpoint, unsigned budget)
{
	struct process *receiver;

	endpoint->dead = true;
	endpoint->recipient = NULL; /* its frame will be somebody else's */
	while ((receiver = first(&endpoint->receivers))) {
		if (!budget--)
			return false;
		sched_wake(receiver, -CUSTOS_E_PARTNER_GONE);
	}
	return end_waits(&endpoint->senders, &budget) &&
	       end_waits(&endpoint->asking, &budget);
}

bool endpoint_end(uint64_t gpa)
{
	struct endpoint *endpoint = machine_direct(gpa);

	if (!end_partners(endpoint, PIECE))
		return false;
	list_remove(&endpoint->owned);
	return true;
}

void endpoint_end_recipient(struct process *process)
{
	while (!list_is_empty(&process->endpoints)) {
		struct endpoint *endpoint = LIST_ENTRY(
			process->endpoints.next, struct endpoint, owned);

		list_remove(&endpoint->owned);
		end_partners(endpoint, UINT32_MAX);
	}
	while (!list_is_empty(&process->owes)) {
		struct process *asking = LIST_ENTRY(
			process->owes.next, struct process, keep.owed);
		struct list only;
		unsigned budget = 1;

		/* That one alone. */
		list_remove(&asking->link);
		list_init(&only);
		list_insert(&only, &asking->link);
		list_remove(&asking->keep.owed);
		end_waits(&only, &budget);
	}
}

/* ---- the endpoint's other calls ---- */

void endpoint_post(
	const struct cap *entry, uint32_t what, uint64_t a, uint64_t b)
{
	struct endpoint *endpoint = entry->object;
	uint32_t at;

	if (!endpoint_can_answer(entry))
		return;
	if (endpoint->count == ENDPOINT_POSTS) {
		at = (endpoint->first + ENDPOINT_POSTS - 1) % ENDPOINT_POSTS;
		if (what == CUSTOS_MESSAGE_HOLE) {
			a = 0;
			b = UINT64_MAX;
		}
	} else {
		at = (endpoint->first + endpoint->count) % ENDPOINT_POSTS;
		endpoint->count++;
	}
	endpoint->posts[at] = (struct endpoint_post){
		.what = what, .payload = entry->payload, .a = a, .b = b};
	deliver_posts(endpoint);
}

void endpoint_post_notice(
	struct process *by, struct endpoint *endpoint, uint64_t bits)
{
	const struct process *receiver = endpoint->recipient;

	/* When they come there is nobody to say whose they were. */
	if (!receiver)
		receiver = first(&endpoint->receivers);
	if (receiver && receiver != by)
		process_order(by, receiver, CUSTOS_ORDER_ONE);
	endpoint->posted |= bits;
	if (endpoint->posted)
		deliver_posts(endpoint);
}

/* Receivers other than the new recipient have no business there. */
void endpoint_set_recipient(
	struct endpoint *endpoint, struct process *recipient)
{
	struct list *at = endpoint->receivers.next, *next;

	list_remove(&endpoint->owned);
	endpoint->recipient = recipient;
	endpoint->dead = recipient && recipient->state == PROCESS_ENDED;
	if (!recipient)
		return;
	if (endpoint->dead) {
		end_partners(endpoint, UINT32_MAX);
		return;
	}
	list_insert(&recipient->endpoints, &endpoint->owned);
	for (; at != &endpoint->receivers; at = next) {
		struct process *process = LIST_ENTRY(at, struct process, link);

		next = at->next;
		if (process != recipient)
			sched_wake(process, -CUSTOS_E_NO_ACCESS);
	}
}
