/* SPDX-License-Identifier: MIT */
/*
 * Questions about one byte or a few: chunks are visited from the last to the
 * first, and of those only the ones decoded whose filter does not rule them
 * out. What is kept in memory does not grow with the trace.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/checked.h"
#include "trace/trace_filter.h"
#include "trace/trace_memory.h"
#include "trace/trace_reader_impl.h"

/* Bytes [offset, offset + len) of a range as one process has it. */
struct area {
	uint32_t range;
	uint64_t process; /* 0: any */
	uint64_t offset, len;
	uint64_t seq;
};

/* ---- what a record does to it ---- */

struct piece {
	uint64_t offset, len; /* in the range */
	uint32_t at; /* in the record's bytes */
};

static uint64_t range_address(const struct trace_reader *r, uint32_t id)
{
	const struct trace_meta *meta = &r->meta;

	for (uint32_t i = 0; i < meta->range_count; i++)
		if (meta->ranges[i].id == id)
			return meta->ranges[i].address;
	return 0;
}

/* Piece n of what an access touches of its range. */
static bool access_piece(const struct trace_reader *r, const struct access *a,
	uint32_t n, struct piece *out)
{
	if (!a->lane_count) {
		*out = (struct piece){ a->offset, a->kept_count,
			a->kept_first };
		return n == 0;
	}
	if (n >= a->lane_count)
		return false;
	*out = (struct piece){
		a->lanes[n].address - range_address(r, a->range),
		a->lanes[n].size,
		a->lanes[n].offset,
	};
	return true;
}

static bool overlaps(const struct piece *piece, const struct area *area)
{
	uint64_t end;

	return piece->len && checked_add(piece->offset, piece->len - 1, &end) &&
		piece->offset <= area->offset + (area->len - 1) &&
		area->offset <= end;
}

/* A store into the range by who counts, that was performed. */
static bool is_store(const struct trace_record *r, const struct area *area)
{
	const struct access *a = &r->access;

	return r->kind == TRACE_ACCESS && access_writes(a->kind) &&
		r->final_bytes && a->range == area->range &&
		r->seq <= area->seq &&
		(!area->process || a->process == area->process);
}

static bool stores(const struct trace_reader *reader,
	const struct trace_record *r, const struct area *area)
{
	struct piece piece;

	/* What is absorbed, or undone, leaves no mark. */
	if (!is_store(r, area) || r->outcome == OUTCOME_ABSORB ||
		r->outcome == OUTCOME_ROLLBACK)
		return false;
	for (uint32_t n = 0; access_piece(reader, &r->access, n, &piece); n++)
		if (overlaps(&piece, area))
			return true;
	return false;
}

/* ---- chunks ---- */

/* Can chunk i hold anything about the area, by its header? */
static bool is_candidate(
	const struct trace_reader *r, size_t i, const struct area *area)
{
	const struct trace_known *known = &r->chunks[i];
	const struct trace_chunk *c = &known->chunk;

	if (c->type != TRACE_CHUNK_RECORDS || known->damaged ||
		!(c->flags & TRACE_CHUNK_STORES))
		return false;
	return c->seq_first <= area->seq || c->flags & TRACE_CHUNK_BINDS;
}

/* Its filter into r->filter; false: it has none. */
static bool load_filter(struct trace_reader *r, size_t i)
{
	uint32_t filter = r->chunks[i].filter;

	return filter && !trace_reader_load(r, filter, &r->filter);
}

/* Can chunk i store to the area? */
static bool may_store(
	struct trace_reader *r, size_t i, const struct area *area)
{
	return is_candidate(r, i, area) &&
		r->chunks[i].chunk.seq_first <= area->seq &&
		(!load_filter(r, i) ||
			trace_filter_stored(r->filter.data, r->filter.len,
				area->range, area->offset, area->len));
}

/* The record with this number in chunk i, counted from 1. */
static int reach(struct trace_reader *r, size_t i, uint64_t number,
	struct trace_record *out)
{
	int ret = trace_cursor_begin(r, &r->query, i);

	while (!ret && number--) {
		ret = trace_cursor_next(r, &r->query, out);
		if (ret != 1)
			return ret ? ret : -EBADMSG;
		ret = 0;
	}
	return ret ? ret : 1;
}

static int last_in(struct trace_reader *r, size_t i, const struct area *area,
	struct trace_record *out)
{
	uint64_t number = 0, last = 0;
	int ret = trace_cursor_begin(r, &r->query, i);

	if (ret)
		return ret;
	while ((ret = trace_cursor_next(r, &r->query, out)) == 1) {
		number++;
		if (stores(r, out, area))
			last = number;
	}
	if (!last)
		return ret;
	return reach(r, i, last, out);
}

int trace_reader_last_store(struct trace_reader *r, uint32_t range,
	uint64_t offset, uint64_t process, uint64_t seq,
	struct trace_record *out, struct error *err)
{
	const struct area area = { range, process, offset, 1, seq };

	for (size_t i = r->chunk_count; i-- > 0;) {
		int ret;

		if (!may_store(r, i, &area))
			continue;
		ret = last_in(r, i, &area, out);
		if (ret == 1)
			return 1;
		if (ret && ret != -EBADMSG)
			return error_set_errno(
				err, ret, "cannot read %s", r->path);
	}
	return 0;
}

/* ---- memory ---- */

enum byte_state { BYTE_UNKNOWN, BYTE_NOW, BYTE_KNOWN };

struct picture {
	struct area area; /* what is unknown lies in it */
	uint64_t start, len; /* all that was asked for */
	uint8_t *bytes;
	uint8_t *states; /* enum byte_state */
	uint64_t unknown;
};

/* Earlier bytes: what is known from later ones stays. */
static void paint(struct picture *p, const struct piece *piece,
	const uint8_t *bytes)
{
	uint64_t from = piece->offset > p->start ? piece->offset : p->start;
	uint64_t end = piece->offset + piece->len;
	uint64_t to = end < p->start + p->len ? end : p->start + p->len;

	for (uint64_t at = from; at < to; at++) {
		uint8_t *state = &p->states[at - p->start];

		if (*state == BYTE_KNOWN)
			continue;
		p->unknown -= *state == BYTE_UNKNOWN;
		*state = BYTE_NOW;
		p->bytes[at - p->start] =
			bytes[piece->at + (at - piece->offset)];
	}
}

static void paint_record(
	struct trace_reader *r, struct picture *p, const struct trace_record *t)
{
	struct piece piece;

	if (t->kind == TRACE_BIND && t->bytes && t->seq <= p->area.seq &&
		t->range == p->area.range &&
		(!p->area.process || t->process == p->area.process)) {
		piece = (struct piece){ t->offset, t->size, 0 };
		if (overlaps(&piece, &p->area))
			paint(p, &piece, t->bytes);
		return;
	}
	if (!is_store(t, &p->area))
		return;
	for (uint32_t n = 0; access_piece(r, &t->access, n, &piece); n++)
		if (overlaps(&piece, &p->area))
			paint(p, &piece, t->final_bytes);
}

/* What this chunk showed is known to all before it. */
static void settle(struct picture *p)
{
	uint64_t first = UINT64_MAX, last = 0;

	for (uint64_t i = 0; i < p->len; i++) {
		if (p->states[i] == BYTE_NOW)
			p->states[i] = BYTE_KNOWN;
		if (p->states[i] != BYTE_UNKNOWN)
			continue;
		first = first == UINT64_MAX ? i : first;
		last = i;
	}
	if (first == UINT64_MAX)
		return;
	p->area.offset = p->start + first;
	p->area.len = last - first + 1;
}

static int paint_chunk(struct trace_reader *r, struct picture *p, size_t i)
{
	struct trace_record record;
	int ret = trace_cursor_begin(r, &r->query, i);

	if (ret)
		return ret;
	while ((ret = trace_cursor_next(r, &r->query, &record)) == 1)
		paint_record(r, p, &record);
	settle(p);
	return ret;
}

static void paint_page(void *ctx, const struct trace_memory_piece *page)
{
	struct picture *p = ctx;
	const struct piece piece = { page->offset, page->len, 0 };

	if (page->range == p->area.range &&
		page->process == (p->area.process ? p->area.process :
						    TRACE_MEMORY_ANY) &&
		overlaps(&piece, &p->area))
		paint(p, &piece, page->bytes);
}

/* A checkpoint tells everything before it; true: it did. */
static bool paint_checkpoint(
	struct trace_reader *r, struct picture *p, size_t i)
{
	const struct trace_known *known = &r->chunks[i];
	struct pack_in in;

	if (known->chunk.type != TRACE_CHUNK_MEMORY || known->damaged ||
		known->chunk.seq_last > p->area.seq ||
		trace_reader_load(r, i, &r->query.payload))
		return false;
	r->query.loaded = false;
	in = (struct pack_in){ r->query.payload.data,
		r->query.payload.data + r->query.payload.len, false };
	if (!trace_memory_unpack(&in, paint_page, p)) {
		trace_reader_note_chunk(r, i, "does not decode");
		return false;
	}
	settle(p);
	return true;
}

/* Can chunk i tell any byte that is unknown? */
static bool may_paint(struct trace_reader *r, size_t i, const struct picture *p)
{
	const struct area *area = &p->area;
	uint64_t at = area->offset;

	if (!is_candidate(r, i, area))
		return false;
	if (!load_filter(r, i) ||
		(r->chunks[i].chunk.flags & TRACE_CHUNK_BINDS &&
			trace_filter_bound(r->filter.data, r->filter.len,
				area->range, area->offset, area->len)))
		return true;
	while (at - area->offset < area->len) {
		uint64_t next = (at | 7) + 1;

		if (p->states[at - p->start] == BYTE_UNKNOWN) {
			if (trace_filter_stored(r->filter.data, r->filter.len,
				    area->range, at, 1))
				return true;
			at = next;
		} else {
			at++;
		}
		if (!at)
			break; /* the end of all offsets */
	}
	return false;
}

static int paint_all(struct trace_reader *r, struct picture *p)
{
	for (size_t i = r->chunk_count; i-- > 0 && p->unknown;) {
		int ret;

		if (paint_checkpoint(r, p, i))
			return 0;
		if (!may_paint(r, i, p))
			continue;
		ret = paint_chunk(r, p, i);
		if (ret && ret != -EBADMSG)
			return ret;
	}
	return 0;
}

int trace_reader_memory(struct trace_reader *r, uint32_t range,
	uint64_t process, uint64_t seq, uint64_t offset, uint64_t len,
	uint8_t *bytes, bool *known, struct error *err)
{
	struct picture p = {
		.area = { range, process, offset, len, seq },
		.start = offset,
		.len = len,
		.bytes = bytes,
		.unknown = len,
	};
	uint64_t end;
	int ret;

	if (!len)
		return 0;
	if (!checked_add(offset, len, &end))
		return error_set(err, -EINVAL, "no range is that long");
	p.states = calloc(len, 1);
	if (!p.states)
		return error_set(err, -ENOMEM, "out of memory");
	ret = paint_all(r, &p);
	for (uint64_t i = 0; i < len; i++)
		known[i] = p.states[i] != BYTE_UNKNOWN;
	free(p.states);
	return ret ? error_set_errno(err, ret, "cannot read %s", r->path) : 0;
}
