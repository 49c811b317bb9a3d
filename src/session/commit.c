/* SPDX-License-Identifier: MIT */
/*
 * The only places where an emulated instruction's stores reach memory. Others
 * may look at the same frame while we write (an open page of an instruction
 * that also touches a kept one), so what the CPU stores in one piece is stored
 * in one piece: SDM vol. 3, 9.1.1 (aligned 1, 2, 4, 8 bytes).
 */
#include <string.h>

#include "base/invariant.h"
#include "session/session_impl.h"

#define STORE_AS(type, to, from)                                               \
	do {                                                                   \
		type v;                                                        \
		memcpy(&v, from, sizeof(v));                                   \
		__atomic_store_n((type *)(void *)(to), v, __ATOMIC_SEQ_CST);   \
	} while (0)

static void store_one(uint8_t *to, const uint8_t *from, uint32_t count)
{
	bool aligned = ((uintptr_t)to & (count - 1)) == 0;

	if (count == 8 && aligned)
		STORE_AS(uint64_t, to, from);
	else if (count == 4 && aligned)
		STORE_AS(uint32_t, to, from);
	else if (count == 2 && aligned)
		STORE_AS(uint16_t, to, from);
	else
		memcpy(to, from, count);
}

void commit_span(const struct span *span, const uint8_t *bytes, uint64_t mask)
{
	uint8_t *to;

	if (!span->page.bytes)
		return; /* a device: the keeper was the memory */
	to = span->page.bytes + span->first;
	if (mask == UINT64_MAX) {
		store_one(to, bytes, span->count);
		if (span->kept)
			kept_page_stored(
				span->kept, span->first, span->count, bytes);
		return;
	}
	for (uint32_t i = 0; i < span->count; i++) {
		if (!(mask >> i & 1))
			continue;
		to[i] = bytes[i];
		if (span->kept)
			kept_page_stored(
				span->kept, span->first + i, 1, bytes + i);
	}
}

/* In assembly: the operand may be unaligned, which C forbids and the CPU does
 * not (it locks what it must). */
#define EXCHANGE_AS(type, suffix, to, old_bytes, new_bytes, done)              \
	do {                                                                   \
		type o, n;                                                     \
		memcpy(&o, old_bytes, sizeof(o));                              \
		memcpy(&n, new_bytes, sizeof(n));                              \
		__asm__ volatile("lock cmpxchg" suffix " %3, %1"               \
				 : "=@ccz"(done),                              \
				 "+m"(*(uint8_t(*)[sizeof(type)])(to)),        \
				 "+a"(o)                                       \
				 : "q"(n)                                      \
				 : "memory");                                  \
	} while (0)

/* cmpxchg16b, without which no CPU with virtualization comes. */
static bool exchange16(
	uint8_t *to, const uint8_t *old_bytes, const uint8_t *new_bytes)
{
	uint64_t o[2], n[2];
	bool done;

	memcpy(o, old_bytes, 16);
	memcpy(n, new_bytes, 16);
	__asm__ volatile("lock cmpxchg16b %1"
			 : "=@ccz"(done), "+m"(*(uint8_t(*)[16])to),
			 "+a"(o[0]), "+d"(o[1])
			 : "b"(n[0]), "c"(n[1])
			 : "memory");
	return done;
}

static bool exchange(uint8_t *to, const uint8_t *old_bytes,
	const uint8_t *new_bytes, uint32_t count)
{
	bool done = false;

	switch (count) {
	case 1:
		EXCHANGE_AS(uint8_t, "b", to, old_bytes, new_bytes, done);
		break;
	case 2:
		EXCHANGE_AS(uint16_t, "w", to, old_bytes, new_bytes, done);
		break;
	case 4:
		EXCHANGE_AS(uint32_t, "l", to, old_bytes, new_bytes, done);
		break;
	case 8:
		EXCHANGE_AS(uint64_t, "q", to, old_bytes, new_bytes, done);
		break;
	case 16:
		done = exchange16(to, old_bytes, new_bytes);
		break;
	default:
		unreachable_state();
	}
	return done;
}

bool commit_exchange(const struct span *span, const uint8_t *old_bytes,
	const uint8_t *new_bytes)
{
	if (!exchange(span->page.bytes + span->first, old_bytes, new_bytes,
		    span->count))
		return false;
	if (span->kept)
		kept_page_stored(
			span->kept, span->first, span->count, new_bytes);
	return true;
}
