/* SPDX-License-Identifier: MIT */
/* Count in shared memory, then say that it is done. */
#include <custos/guest.h>

#include "shared.h"

int main(int argc, char **argv)
{
	uint64_t rounds = argc > 1 ? parse_number(argv[1]) : 1;
	struct custos_message message = {0};
	int64_t result;

	for (uint64_t i = 0; i < rounds; i++)
		WRITER_VA->count++;
	printf("writer: counted to %lu\n", WRITER_VA->count);
	flush();
	message.words[0] = rounds;
	result = message_send(cap_find("ready"), &message);
	assert(!result);
	return 0;
}
