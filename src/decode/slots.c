/* SPDX-License-Identifier: MIT */
/*
 * Executable copies of displaced instructions, kept by their bytes. A slot
 * holds the instruction, padded, and `jmp [rip + 0]' to a thunk's end with its
 * target right behind. Writable and executable at once: a second mapping for
 * the writes would need a serializing instruction after each, and in a virtual
 * machine that is an exit. Only rewrite.c's output is ever written here.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "decode/exec_impl.h"

#define CODE_BYTES 16 /* jmp starts right behind the instruction */
#define JUMP_TARGET 24 /* aligned: the jump reads it with AC set */

void thunk_exit(void);
void thunk_exit_xstate(void);

int slots_init(struct slots *slots)
{
	void *memory = mmap(NULL, SLOT_COUNT * SLOT_BYTES,
		PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	slots->memory = memory == MAP_FAILED ? NULL : memory;
	return slots->memory ? 0 : -errno;
}

void slots_fini(struct slots *slots)
{
	if (slots->memory)
		munmap(slots->memory, SLOT_COUNT * SLOT_BYTES);
}

static void fill(uint8_t *slot, const struct insn *insn)
{
	void (*target)(void) =
		insn->needs_xstate ? thunk_exit_xstate : thunk_exit;
	uint8_t len = insn->internal.code_len;
	uint8_t image[SLOT_BYTES];
	int32_t distance = JUMP_TARGET - (len + 6);

	memset(image, 0xcc, sizeof(image));
	memcpy(image, insn->internal.code, len);
	image[len] = 0xff;
	image[len + 1] = 0x25;
	memcpy(image + len + 2, &distance, sizeof(distance));
	memcpy(image + JUMP_TARGET, &target, sizeof(target));
	memcpy(slot, image, sizeof(image));
}

static bool holds(const uint8_t *slot, const struct insn *insn)
{
	uint8_t len = insn->internal.code_len;

	/* The jump behind it tells whether it ends there. */
	return slot[len] == 0xff && slot[len + 1] == 0x25 &&
		!memcmp(slot, insn->internal.code, len) &&
		slot[len + 2] == (uint8_t)(JUMP_TARGET - (len + 6));
}

const void *slots_get(struct slots *slots, const struct insn *insn)
{
	uint8_t *slot = slots->memory +
		insn->internal.hash % SLOT_COUNT * SLOT_BYTES;

	if (!holds(slot, insn))
		fill(slot, insn);
	return slot;
}
