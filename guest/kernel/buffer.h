/* SPDX-License-Identifier: MIT */
/*
 * Message buffers: messages that are objects. A buffer waits in the line of
 * the buffer it is to be delivered to by a link of its own; the news of it wait
 * for their process by links of the buffers, too. Caller holds the big lock.
 */
#ifndef CUSTOS_KERNEL_BUFFER_H
#define CUSTOS_KERNEL_BUFFER_H

#include "cap.h"
#include "list.h"
#include "machine.h"

struct buffer;
struct process;

#define BUFFER_NEWS 4 /* CUSTOS_ACTIVATION_SENT.. */

/* So many activations of one kind for the buffer's thread. */
struct buffer_news {
	struct list link; /* in the thread's activations, or alone */
	struct buffer *buffer; /* it is news of */
	uint32_t kind;
	uint32_t count;
};

struct buffer {
	struct list line;     /* buffers to be delivered here, in order */
	struct list link;     /* in the line of.. */
	struct buffer *target; /* ..this one; NULL: in none */
	bool is_blocked, is_loaded;
	uint64_t id;
	struct cap thread; /* process, or null */
	struct buffer_news news[BUFFER_NEWS];
	uint64_t words[CUSTOS_MESSAGE_WORDS];
	uint32_t string_size, cap_count;
	struct cap caps[CUSTOS_MESSAGE_CAPS];
	uint8_t string[CUSTOS_BUFFER_STRING];
};

_Static_assert(sizeof(struct buffer) <= PAGE_SIZE, "one frame");

/* Both hold messages or can; checks, too. */
int64_t buffer_enqueue(
	struct buffer *source, struct buffer *target, bool waits);
void buffer_unblock(struct buffer *target);
void buffer_cancel(struct buffer *source);

/* Who is told from now on; what was not told yet is nobody's. */
void buffer_set_thread(struct buffer *buffer, const struct cap *thread);

/* The oldest news for the process; false: none. */
bool buffer_peek_news(
	const struct process *process, struct custos_activation *out);
/* It knows the oldest. */
void buffer_take_news(struct process *process);

/* The process ends: its news are nobody's. */
void buffer_forget_thread(struct process *process);

#endif
