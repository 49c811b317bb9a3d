/* SPDX-License-Identifier: MIT */
/*
 * Endpoints: senders and receivers meet, the message goes straight from one
 * to the other. Whoever comes first waits, in order of arrival, in the
 * endpoint's queues, which are linked through the processes; processes that ask
 * a keeper are senders too. Caller holds the big lock.
 */
#ifndef CUSTOS_KERNEL_ENDPOINT_H
#define CUSTOS_KERNEL_ENDPOINT_H

#include "cap.h"
#include "list.h"
#include "machine.h"

#define ENDPOINT_POSTS 100

/* A message of the kernel's nobody waits for an answer to. */
struct endpoint_post {
	uint32_t what; /* CUSTOS_MESSAGE_HOLE, STEPPED */
	uint32_t reserved;
	uint64_t payload;
	uint64_t a, b; /* HOLE: offset, length. STEPPED: seq, ip */
};

struct endpoint {
	struct list senders, receivers; /* processes; one is empty */
	struct list asking; /* processes: were received, wait for an answer */
	struct list owned; /* link in the recipient's endpoints */
	struct process *recipient; /* NULL: whoever may receive */
	bool dead; /* its recipient has ended */
	uint32_t first, count; /* of posts, which are a ring */
	uint64_t posted; /* notice bits not yet received */
	struct endpoint_post posts[ENDPOINT_POSTS];
};

_Static_assert(sizeof(struct endpoint) <= PAGE_SIZE, "one frame");

/* A live entry (or endpoint with the right to send) whose recipient has not
 * ended. */
bool endpoint_can_answer(const struct cap *entry);

/* The current process, or one that asks already, asks: it is put in line, or a
 * waiting receiver gets its message at once. Its keep says what. */
void endpoint_ask(struct process *process, const struct cap *entry);

/* A keeper that can answer is told; holes are added up if there is no room. */
void endpoint_post(const struct cap *entry, uint32_t what, uint64_t a,
	uint64_t b);

void endpoint_post_notice(
	struct process *by, struct endpoint *endpoint, uint64_t bits);

/* Nobody else may receive there; NULL: all who hold it may. */
void endpoint_set_recipient(
	struct endpoint *endpoint, struct process *recipient);

/* The process ends: the endpoints only it may receive from are dead, and who
 * waits for an answer of its is told. */
void endpoint_end_recipient(struct process *process);

/* The reply to a call of process, which asks, by the current process. */
int64_t endpoint_reply(struct process *by, struct process *process,
	uint64_t message_va);

#endif
