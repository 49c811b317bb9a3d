/* SPDX-License-Identifier: MIT */
#include "trace/trace_format.h"

#include <errno.h>
#include <xxhash.h>
#include <zstd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the file is little-endian, and so is every machine custos runs on"
#endif

uint64_t trace_hash(const void *bytes, size_t len)
{
	return XXH3_64bits(bytes, len);
}

/* Little-endian fields, one behind the other. */
#define PUT(at, value)                                                         \
	do {                                                                   \
		memcpy(at, &(value), sizeof(value));                           \
		at += sizeof(value);                                           \
	} while (0)
#define GET(at, value)                                                         \
	do {                                                                   \
		memcpy(&(value), at, sizeof(value));                           \
		at += sizeof(value);                                           \
	} while (0)

static void header_pack(const struct trace_chunk *chunk, uint8_t *at)
{
	const uint8_t *start = at;
	uint32_t magic = TRACE_CHUNK_MAGIC;
	uint64_t hash;

	PUT(at, magic);
	PUT(at, chunk->type);
	PUT(at, chunk->codec);
	PUT(at, chunk->flags);
	PUT(at, chunk->stored);
	PUT(at, chunk->raw);
	PUT(at, chunk->records);
	PUT(at, chunk->accesses);
	PUT(at, chunk->seq_first);
	PUT(at, chunk->seq_last);
	PUT(at, chunk->time_first);
	PUT(at, chunk->time_last);
	PUT(at, chunk->hash);
	PUT(at, chunk->number);
	PUT(at, chunk->subject);
	hash = trace_hash(start, TRACE_CHUNK_HEADER - 8);
	PUT(at, hash);
}

bool trace_chunk_unpack(const uint8_t *bytes, struct trace_chunk *out)
{
	const uint8_t *at = bytes;
	uint32_t magic;
	uint64_t hash;

	GET(at, magic);
	if (magic != TRACE_CHUNK_MAGIC)
		return false;
	GET(at, out->type);
	GET(at, out->codec);
	GET(at, out->flags);
	GET(at, out->stored);
	GET(at, out->raw);
	GET(at, out->records);
	GET(at, out->accesses);
	GET(at, out->seq_first);
	GET(at, out->seq_last);
	GET(at, out->time_first);
	GET(at, out->time_last);
	GET(at, out->hash);
	GET(at, out->number);
	GET(at, out->subject);
	GET(at, hash);
	return hash == trace_hash(bytes, TRACE_CHUNK_HEADER - 8) &&
		out->raw <= TRACE_CHUNK_RAW_MAX && out->stored <= out->raw &&
		out->records <= TRACE_CHUNK_RECORDS_MAX &&
		out->accesses <= out->records;
}

/* The payload behind the room for the header; how it is stored is returned. */
static enum trace_chunk_codec payload_pack(struct pack_out *out,
	const struct pack_out *payload, void *compressor, int level,
	uint32_t *out_stored)
{
	size_t bound = ZSTD_compressBound(payload->len), got;

	if (!pack_room(out, bound))
		return TRACE_CODEC_NONE;
	got = level ? ZSTD_compressCCtx(compressor, out->data + out->len, bound,
			      payload->data, payload->len, level) :
		      payload->len;
	if (ZSTD_isError(got) || got >= payload->len) {
		*out_stored = (uint32_t)payload->len;
		pack_bytes(out, payload->data, payload->len);
		return TRACE_CODEC_NONE;
	}
	*out_stored = (uint32_t)got;
	out->len += got;
	return TRACE_CODEC_ZSTD;
}

int trace_chunk_pack(struct pack_out *out, struct trace_chunk *chunk,
	const struct pack_out *payload, void *compressor, int level)
{
	size_t start = out->len;

	if (payload->failed || payload->len > TRACE_CHUNK_RAW_MAX ||
		!pack_room(out, TRACE_CHUNK_HEADER))
		return -ENOMEM;
	out->len += TRACE_CHUNK_HEADER;
	chunk->raw = (uint32_t)payload->len;
	chunk->codec = (uint8_t)payload_pack(
		out, payload, compressor, level, &chunk->stored);
	if (out->failed)
		return -ENOMEM;
	chunk->hash = trace_hash(
		out->data + start + TRACE_CHUNK_HEADER, chunk->stored);
	header_pack(chunk, out->data + start);
	return 0;
}

int trace_chunk_decode(const struct trace_chunk *chunk, const uint8_t *stored,
	void *decompressor, struct pack_out *out)
{
	size_t got;

	out->len = 0;
	if (trace_hash(stored, chunk->stored) != chunk->hash)
		return -EBADMSG;
	if (!pack_room(out, chunk->raw + (size_t)1))
		return -ENOMEM;
	if (chunk->codec == TRACE_CODEC_NONE) {
		if (chunk->raw != chunk->stored)
			return -EBADMSG;
		memcpy(out->data, stored, chunk->raw);
	} else if (chunk->codec == TRACE_CODEC_ZSTD) {
		got = ZSTD_decompressDCtx(decompressor, out->data, chunk->raw,
			stored, chunk->stored);
		if (ZSTD_isError(got) || got != chunk->raw)
			return -EBADMSG;
	} else {
		return -EBADMSG;
	}
	out->len = chunk->raw;
	return 0;
}

void trace_file_header_pack(uint8_t *at)
{
	const uint32_t version = TRACE_FILE_VERSION, none = 0;

	memcpy(at, TRACE_FILE_MAGIC, 8);
	at += 8;
	PUT(at, version);
	PUT(at, none);
}

bool trace_file_header_unpack(const uint8_t *bytes, uint32_t *out_version)
{
	const uint8_t *at = bytes + 8;
	uint32_t none;

	*out_version = 0;
	if (memcmp(bytes, TRACE_FILE_MAGIC, 8))
		return false;
	GET(at, *out_version);
	GET(at, none);
	return *out_version == TRACE_FILE_VERSION && !none;
}

void trace_trailer_pack(uint8_t *at, uint64_t index_offset, uint64_t file_size)
{
	const uint8_t *start = at;
	uint64_t magic = TRACE_TRAILER_MAGIC, hash;

	PUT(at, magic);
	PUT(at, index_offset);
	PUT(at, file_size);
	hash = trace_hash(start, TRACE_TRAILER - 8);
	PUT(at, hash);
}

bool trace_trailer_unpack(const uint8_t *bytes, uint64_t file_size,
	uint64_t *out_index_offset)
{
	const uint8_t *at = bytes;
	uint64_t magic, size, hash;

	GET(at, magic);
	GET(at, *out_index_offset);
	GET(at, size);
	GET(at, hash);
	return magic == TRACE_TRAILER_MAGIC && size == file_size &&
		hash == trace_hash(bytes, TRACE_TRAILER - 8);
}
