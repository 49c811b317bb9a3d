/* SPDX-License-Identifier: MIT */
/*
 * The only file that knows Capstone. It speaks to people (disassembly text) and
 * gives a second opinion on lengths; its operand facts are not used: it calls
 * most vector stores reads.
 *
 * One handle behind a lock: decoding through it happens once per distinct
 * instruction or per printed line, never on the hot path.
 */
#include "decode/decode_impl.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <capstone/capstone.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static csh handle; /* 0: not opened yet */
static cs_insn *scratch;

/* Call with the lock held. */
static bool is_open(void)
{
	if (handle)
		return true;
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK) {
		handle = 0;
		return false;
	}
	scratch = cs_malloc(handle);
	if (scratch)
		return true;
	cs_close(&handle);
	handle = 0;
	return false;
}

/* Call with the lock held. */
static bool disassemble(const uint8_t *bytes, size_t len, uint64_t rip)
{
	return is_open() &&
		cs_disasm_iter(handle, &bytes, &len, &rip, scratch);
}

size_t capstone_length(const uint8_t *bytes, size_t len)
{
	size_t length;

	pthread_mutex_lock(&lock);
	length = disassemble(bytes, len, 0) ? scratch->size : 0;
	pthread_mutex_unlock(&lock);
	return length;
}

bool capstone_text(const uint8_t *bytes, size_t len, uint64_t rip, char *text,
	size_t capacity)
{
	bool done;

	pthread_mutex_lock(&lock);
	done = disassemble(bytes, len, rip) && scratch->size == len;
	if (done)
		snprintf(text, capacity, "%s%s%s", scratch->mnemonic,
			scratch->op_str[0] ? " " : "", scratch->op_str);
	pthread_mutex_unlock(&lock);
	return done;
}
