/* SPDX-License-Identifier: MIT */
/*
 * The trace file's alphabet: bytes, varints (LEB128: seven bits a byte, lowest
 * first), zigzag varints for signed differences, strings (varint length, then
 * bytes). Writing remembers being out of memory, reading remembers running
 * off the end: both are looked at once, at the end.
 */
#ifndef CUSTOS_TRACE_TRACE_PACK_H
#define CUSTOS_TRACE_TRACE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VARINT_MAX 10 /* bytes */

struct pack_out {
	uint8_t *data;
	size_t len, capacity;
	bool failed;
};

struct pack_in {
	const uint8_t *at, *end;
	bool failed;
};

/* Room for more bytes; false and failed when there is none. */
bool trace_pack_grow(struct pack_out *out, size_t more);
void trace_pack_fini(struct pack_out *out);

static inline bool pack_room(struct pack_out *out, size_t more)
{
	return __builtin_expect(out->capacity - out->len >= more, 1) ||
		trace_pack_grow(out, more);
}

static inline void pack_byte(struct pack_out *out, uint8_t value)
{
	if (pack_room(out, 1))
		out->data[out->len++] = value;
}

static inline void pack_bytes(
	struct pack_out *out, const void *bytes, size_t len)
{
	if (len && pack_room(out, len)) {
		memcpy(out->data + out->len, bytes, len);
		out->len += len;
	}
}

static inline void pack_varint(struct pack_out *out, uint64_t value)
{
	uint8_t *at;

	if (!pack_room(out, VARINT_MAX))
		return;
	at = out->data + out->len;
	while (value >= 0x80) {
		*at++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*at++ = (uint8_t)value;
	out->len = (size_t)(at - out->data);
}

static inline uint64_t zigzag(int64_t value)
{
	return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline int64_t unzigzag(uint64_t value)
{
	return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

/* A difference of two unsigned numbers, which may wrap. */
static inline void pack_delta(struct pack_out *out, uint64_t delta)
{
	pack_varint(out, zigzag((int64_t)delta));
}

static inline void pack_string(struct pack_out *out, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	pack_varint(out, len);
	pack_bytes(out, text, len);
}

static inline void pack_u32(struct pack_out *out, uint32_t value)
{
	pack_bytes(out, &value, sizeof(value));
}

static inline void pack_u64(struct pack_out *out, uint64_t value)
{
	pack_bytes(out, &value, sizeof(value));
}

static inline uint8_t unpack_byte(struct pack_in *in)
{
	if (in->at == in->end) {
		in->failed = true;
		return 0;
	}
	return *in->at++;
}

/* len bytes, where they lie; NULL when there are not so many. */
static inline const uint8_t *unpack_bytes(struct pack_in *in, uint64_t len)
{
	const uint8_t *bytes = in->at;

	if (len > (uint64_t)(in->end - in->at)) {
		in->failed = true;
		return NULL;
	}
	in->at += len;
	return bytes;
}

static inline uint64_t unpack_varint(struct pack_in *in)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t byte = unpack_byte(in);

		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	in->failed = true;
	return 0;
}

/* A varint of at most max; failed and 0 beyond. */
static inline uint64_t unpack_bounded(struct pack_in *in, uint64_t max)
{
	uint64_t value = unpack_varint(in);

	if (value <= max)
		return value;
	in->failed = true;
	return 0;
}

static inline uint64_t unpack_delta(struct pack_in *in)
{
	return (uint64_t)unzigzag(unpack_varint(in));
}

static inline uint32_t unpack_u32(struct pack_in *in)
{
	const uint8_t *bytes = unpack_bytes(in, 4);
	uint32_t value = 0;

	if (bytes)
		memcpy(&value, bytes, 4);
	return value;
}

static inline uint64_t unpack_u64(struct pack_in *in)
{
	const uint8_t *bytes = unpack_bytes(in, 8);
	uint64_t value = 0;

	if (bytes)
		memcpy(&value, bytes, 8);
	return value;
}

/* malloc()ed, with a NUL behind; NULL when failed. */
char *trace_unpack_string(struct pack_in *in);

#endif
