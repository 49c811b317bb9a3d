/* SPDX-License-Identifier: MIT */
/*
 * Replies are composed in one buffer, again and again. For an unknown request
 * nobody sets the length, so the reply has that of the one before: it works
 * by chance, until a secret leaks. With `fixed' it is set.
 */
#include <custos/guest.h>

struct reply {
	uint32_t status;
	uint32_t length;
	uint64_t value;
};

volatile struct reply reply;
volatile uint32_t replies; /* counts up with each new one: the mark */

__attribute__((noinline)) static void compose(uint32_t request, bool fixed)
{
	replies++;
	if (request < 3) {
		reply.status = 0;
		reply.length = 8;
		reply.value = request * 100;
		return;
	}
	reply.status = 1;
	if (fixed)
		reply.length = 0;
}

__attribute__((noinline)) static uint32_t send(void)
{
	uint32_t length = reply.length; /* of which reply? */

	if (reply.status == 0)
		printf("value %lu\n", reply.value);
	else
		printf("unknown, with %u bytes\n", length);
	return length;
}

int main(int argc, char **argv)
{
	bool fixed = argc > 1 && !strcmp(argv[1], "fixed");
	uint32_t request, sent = 0;

	for (request = 1; request <= 4; request++) {
		compose(request, fixed);
		sent += send();
	}
	printf("%u bytes sent\n", sent);
	return 0;
}
