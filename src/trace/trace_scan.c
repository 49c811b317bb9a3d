/* SPDX-License-Identifier: MIT */
/*
 * Where the chunks are. A whole trace says it in its index; of a torn one the
 * headers are read one after the other, and where there is none the next is
 * looked for.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/grow.h"
#include "trace/trace_reader_impl.h"

static int add_chunk(struct trace_reader *r, const struct trace_chunk *chunk)
{
	if (!GROW(r->chunks, r->chunk_room, r->chunk_count + 1))
		return -ENOMEM;
	r->chunks[r->chunk_count++] = (struct trace_known){ .chunk = *chunk };
	return 0;
}

/* ---- by the index ---- */

#define ENTRY (8 + TRACE_CHUNK_HEADER)

static bool take_entry(struct pack_in *in, uint64_t limit, uint64_t *end,
	struct trace_chunk *out)
{
	const uint8_t *header;

	out->offset = unpack_u64(in);
	header = unpack_bytes(in, TRACE_CHUNK_HEADER);
	if (!header || !trace_chunk_unpack(header, out))
		return false;
	if (out->offset < *end ||
		!checked_range(out->offset,
			TRACE_CHUNK_HEADER + (uint64_t)out->stored, limit))
		return false;
	*end = out->offset + TRACE_CHUNK_HEADER + out->stored;
	return true;
}

static int take_index(
	struct trace_reader *r, const struct pack_out *payload, uint64_t limit)
{
	struct pack_in in = { payload->data, payload->data + payload->len,
		false };
	uint64_t end = TRACE_FILE_HEADER;
	int ret = 0;

	while (in.at < in.end && !ret) {
		struct trace_chunk chunk;

		ret = take_entry(&in, limit, &end, &chunk) ?
			add_chunk(r, &chunk) :
			-EBADMSG;
	}
	if (!ret && end != limit)
		ret = -EBADMSG;
	return ret;
}

/* Returns whether the index was there and whole. */
static bool by_index(struct trace_reader *r)
{
	uint8_t bytes[TRACE_TRAILER], header[TRACE_CHUNK_HEADER];
	struct pack_out payload = { 0 };
	struct trace_chunk chunk;
	uint64_t offset, limit = r->size - TRACE_TRAILER;
	int ret;

	if (r->size < TRACE_FILE_HEADER + TRACE_CHUNK_HEADER + TRACE_TRAILER ||
		trace_reader_pread(r, bytes, sizeof(bytes), limit) ||
		!trace_trailer_unpack(bytes, r->size, &offset) ||
		!checked_range(offset, TRACE_CHUNK_HEADER, limit) ||
		trace_reader_pread(r, header, sizeof(header), offset) ||
		!trace_chunk_unpack(header, &chunk))
		return false;
	chunk.offset = offset;
	if (chunk.type != TRACE_CHUNK_INDEX ||
		offset + TRACE_CHUNK_HEADER + chunk.stored != limit ||
		add_chunk(r, &chunk))
		return false;
	ret = trace_reader_load(r, 0, &payload);
	r->chunk_count = 0;
	if (!ret)
		ret = take_index(r, &payload, offset);
	if (!ret)
		ret = add_chunk(r, &chunk);
	trace_pack_fini(&payload);
	return !ret;
}

/* ---- by looking ---- */

#define BLOCK 65536

/* A header at offset whose chunk lies in the file. */
static bool is_chunk(
	struct trace_reader *r, uint64_t offset, struct trace_chunk *out)
{
	uint8_t header[TRACE_CHUNK_HEADER];

	if (trace_reader_pread(r, header, sizeof(header), offset) ||
		!trace_chunk_unpack(header, out))
		return false;
	out->offset = offset;
	return true;
}

/* The next offset from here on that a chunk begins at; the file's size when
 * there is none. */
static uint64_t find_chunk(struct trace_reader *r, uint64_t offset)
{
	static const uint32_t magic = TRACE_CHUNK_MAGIC;
	uint8_t block[BLOCK];
	struct trace_chunk chunk;

	while (offset < r->size) {
		uint64_t left = r->size - offset;
		size_t len = left < BLOCK ? (size_t)left : BLOCK;

		if (len <= TRACE_CHUNK_HEADER ||
			trace_reader_pread(r, block, len, offset))
			return r->size;
		for (size_t i = 0; i + sizeof(magic) <= len; i++)
			if (!memcmp(block + i, &magic, sizeof(magic)) &&
				is_chunk(r, offset + i, &chunk))
				return offset + i;
		offset += len - (sizeof(magic) - 1);
	}
	return r->size;
}

static int look(struct trace_reader *r)
{
	uint64_t offset = TRACE_FILE_HEADER;
	struct trace_chunk chunk;
	int ret = 0;

	while (offset < r->size && !ret) {
		uint64_t next;

		if (is_chunk(r, offset, &chunk)) {
			next = offset + TRACE_CHUNK_HEADER + chunk.stored;
			if (next <= r->size) {
				ret = add_chunk(r, &chunk);
				offset = next;
				continue;
			}
			trace_reader_note(r,
				"chunk %" PRIu32 " is torn: %" PRIu64
				" of its %" PRIu32 " bytes are there",
				chunk.number,
				r->size - offset - TRACE_CHUNK_HEADER,
				chunk.stored);
			next = find_chunk(r, offset + 1);
		} else {
			uint8_t trailer[TRACE_TRAILER];
			uint64_t at;

			if (r->size - offset == TRACE_TRAILER &&
				!trace_reader_pread(r, trailer, TRACE_TRAILER,
					offset) &&
				trace_trailer_unpack(trailer, r->size, &at))
				break;
			next = find_chunk(r, offset + 1);
			trace_reader_note(r,
				"%" PRIu64 " bytes at offset %" PRIu64
				" are no chunk",
				next - offset, offset);
		}
		offset = next;
	}
	return ret;
}

/* ---- what they say together ---- */

static void check_numbers(struct trace_reader *r)
{
	uint32_t want = 0;

	for (size_t i = 0; i < r->chunk_count; i++) {
		const struct trace_chunk *chunk = &r->chunks[i].chunk;

		if (chunk->number > want)
			trace_reader_note(r,
				"chunks %" PRIu32 " to %" PRIu32
				" are missing",
				want, chunk->number - 1);
		else if (chunk->number < want)
			trace_reader_note_chunk(
				r, i, "is there twice, or out of order");
		want = chunk->number + 1;
	}
}

static void check_end(struct trace_reader *r)
{
	uint64_t last = 0;

	for (size_t i = 0; i < r->chunk_count; i++) {
		const struct trace_chunk *chunk = &r->chunks[i].chunk;

		if (chunk->type != TRACE_CHUNK_RECORDS)
			continue;
		if (chunk->seq_last > last)
			last = chunk->seq_last;
		r->has_end |= (chunk->flags & TRACE_CHUNK_END) != 0;
	}
	if (!r->has_end)
		trace_reader_note(r,
			"the end of the run is missing: recording was cut off "
			"after access %" PRIu64,
			last);
	else if (!r->has_index)
		trace_reader_note(r, "the index is missing or damaged");
}

static void count_records(struct trace_reader *r)
{
	uint64_t records = 0;

	for (size_t i = 0; i < r->chunk_count; i++) {
		struct trace_known *known = &r->chunks[i];

		known->before = records;
		if (known->chunk.type == TRACE_CHUNK_RECORDS)
			records += known->chunk.records;
	}
}

/* A records chunk's filter follows it. */
static void find_filters(struct trace_reader *r)
{
	size_t records = SIZE_MAX;

	for (size_t i = 0; i < r->chunk_count; i++) {
		const struct trace_chunk *chunk = &r->chunks[i].chunk;

		if (chunk->type == TRACE_CHUNK_RECORDS)
			records = i;
		else if (chunk->type == TRACE_CHUNK_STORED &&
			records != SIZE_MAX &&
			chunk->subject == r->chunks[records].chunk.number)
			r->chunks[records].filter = (uint32_t)i;
	}
}

int trace_reader_scan(struct trace_reader *r)
{
	int ret = 0;

	r->has_index = by_index(r);
	if (!r->has_index) {
		r->chunk_count = 0;
		ret = look(r);
	}
	if (ret)
		return ret;
	check_numbers(r);
	check_end(r);
	count_records(r);
	find_filters(r);
	return 0;
}
