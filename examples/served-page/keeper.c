/* SPDX-License-Identifier: MIT */
/* The memory: a load of word n gives n * n, a store is printed and done. */
#include <custos/guest.h>

static void answer(const struct custos_access *access, uint32_t resume)
{
	uint64_t n = access->offset / 4, value = n * n;

	if (access->kind == CUSTOS_ACCESS_STORE) {
		memcpy(&value, access->value, sizeof(value));
		printf("keeper: %u bytes stored to word %lu: %lu\n",
			access->size, n, value & UINT32_MAX);
		flush();
		custos_resume_done(resume);
	} else if (access->size <= sizeof(value)) {
		custos_resume_value(resume, (uint64_t)&value, access->size);
	} else {
		custos_resume_fault(resume, access->fault);
	}
}

int main(void)
{
	struct custos_access access;
	uint32_t resume = cap_slot_alloc();

	for (;;) {
		struct custos_message message = {
			.string = (uint64_t)&access,
			.string_size = sizeof(access),
			.cap_count = 1,
			.caps = {resume},
		};

		if (message_receive(cap_find("questions"), &message))
			return 1;
		if (message.words[0] == CUSTOS_MESSAGE_ACCESS)
			answer(&access, resume);
		custos_cappage_drop(cap_find("caps"), resume);
	}
}
