/* SPDX-License-Identifier: MIT */
/*
 * Memory the kernel touches on a program's behalf: the first process prints
 * and sends `source`, the second receives it into `destination`. Keep one of
 * them to see the kernel's copies.
 */
#include <custos/guest.h>

#define SIZE 12

char source[PAGE_SIZE] PAGE_ALIGNED = "hello there\n";
char destination[PAGE_SIZE] PAGE_ALIGNED;

static int receive(void)
{
	struct custos_message message = {
		.string = (uint64_t)destination, .string_size = SIZE};
	int64_t result = message_receive(cap_find("mailbox"), &message);

	if (result) {
		printf("receive: %s\n", error_name(result));
		return 1;
	}
	printf("received %u bytes: %.*s", message.string_size, SIZE,
		destination);
	return 0;
}

int main(int argc, char **argv)
{
	const char *const child_argv[] = {"receiver", "receive", NULL};
	struct custos_message message = {
		.string = (uint64_t)source, .string_size = SIZE};
	struct custos_spawn_cap mailbox = {"mailbox", 0, CUSTOS_RIGHT_RECEIVE};
	int64_t result, child;

	if (argc > 1 && !strcmp(argv[1], "receive"))
		return receive();
	mailbox.slot = (uint32_t)endpoint_create();
	child = spawn("program", child_argv, CUSTOS_ANY_CPU, &mailbox, 1);
	assert(child > 0);
	result = custos_console_write(
		cap_find("console"), (uint64_t)source, SIZE);
	printf("write: %s\n", error_name(result));
	result = message_send(mailbox.slot, &message);
	printf("send: %s\n", error_name(result));
	if (result)
		custos_process_kill((uint32_t)child, 0);
	return (int)wait_exit((uint32_t)child);
}
