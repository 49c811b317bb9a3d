/* SPDX-License-Identifier: MIT */
/*
 * Endpoints: senders and receivers meet, the message goes straight from one
 * to the other. Whoever comes first waits, in order of arrival, in the
 * endpoint's queues, which are linked through the processes. Caller holds the
 * big lock.
 */
#ifndef CUSTOS_KERNEL_ENDPOINT_H
#define CUSTOS_KERNEL_ENDPOINT_H

struct endpoint;

/* Without any capability yet; NULL when frames run out. Gone with the last
 * capability. */
struct endpoint *endpoint_create(void);

#endif
