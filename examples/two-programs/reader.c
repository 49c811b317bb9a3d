/* SPDX-License-Identifier: MIT */
/* Wait for the writer, then look at what is in shared memory. */
#include <custos/guest.h>

#include "shared.h"

int main(void)
{
	struct custos_message message = {0};
	int64_t result = message_receive(cap_find("ready"), &message);
	char text[sizeof(READER_VA->text)];

	assert(!result);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = READER_VA->text[i];
	printf("reader: \"%s\", %lu of %lu\n", text, READER_VA->count,
		message.words[0]);
	return READER_VA->count == message.words[0] ? 0 : 1;
}
