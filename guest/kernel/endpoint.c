/* SPDX-License-Identifier: MIT */
#include "endpoint.h"

#include "machine.h"
#include "object.h"
#include "process.h"

void endpoint_begin(uint64_t gpa)
{
	struct endpoint *endpoint = machine_direct(gpa);

	list_init(&endpoint->senders);
	list_init(&endpoint->receivers);
	list_init(&endpoint->owned);
}

bool endpoint_end(uint64_t gpa)
{
	(void)gpa;
	return true;
}

bool endpoint_can_answer(const struct cap *entry)
{
	(void)entry;
	return false;
}

void endpoint_end_recipient(struct process *process)
{
	(void)process;
}
