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

struct endpoint {
	struct list senders, receivers; /* processes; one is empty */
	struct list owned; /* link in the recipient's endpoints */
	struct process *recipient; /* NULL: whoever may receive */
	uint64_t generation;
	uint64_t posted; /* notice bits not yet received */
};

/* A live entry (or endpoint with the right to send) whose recipient has not
 * ended. */
bool endpoint_can_answer(const struct cap *entry);

/* The current or a stopped process asks: it is put in line, or a waiting
 * receiver gets its message at once. Its keep says what. */
void endpoint_ask(struct process *process, const struct cap *entry);

#endif
