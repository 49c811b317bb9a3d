/* SPDX-License-Identifier: MIT */
#include "buffer.h"

#include "object.h"
#include "process.h"

void buffer_begin(uint64_t gpa)
{
	struct buffer *buffer = machine_direct(gpa);

	list_init(&buffer->line);
	list_init(&buffer->link);
}

bool buffer_end(uint64_t gpa)
{
	(void)gpa;
	return true;
}

bool buffer_peek_news(
	const struct process *process, struct custos_activation *out)
{
	(void)process;
	(void)out;
	return false;
}

void buffer_take_news(struct process *process)
{
	(void)process;
}

void buffer_forget_thread(struct process *process)
{
	(void)process;
}
