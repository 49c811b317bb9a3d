/* SPDX-License-Identifier: MIT */
#include "trace/trace_memory.h"

#include <stdlib.h>

#include "base/checked.h"

#define PAGE 4096u
#define PAGES_MAX 4096 /* 16 MiB of kept bytes */
#define SLOTS 16384 /* power of two */
/* A checkpoint after so many accesses, and this many for each page in it. */
#define EVERY (UINT64_C(1) << 18)
#define EVERY_PAGE UINT64_C(8192)

struct page {
	uint64_t process;
	uint64_t number; /* offset in the range / PAGE */
	uint32_t range;
	uint64_t known[PAGE / 64]; /* bits */
	uint8_t bytes[PAGE];
};

struct trace_memory {
	struct page **pages; /* PAGES_MAX of them */
	uint32_t *slots; /* index + 1 */
	uint32_t count;
	bool given_up;
	uint64_t accesses; /* since the last checkpoint */
	struct page *last[2]; /* found last: of a process, of any */
};

struct trace_memory *trace_memory_create(void)
{
	struct trace_memory *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->pages = calloc(PAGES_MAX, sizeof(struct page *));
	m->slots = calloc(SLOTS, sizeof(*m->slots));
	if (m->pages && m->slots)
		return m;
	trace_memory_destroy(m);
	return NULL;
}

static void give_up(struct trace_memory *m)
{
	for (uint32_t i = 0; i < m->count; i++)
		free(m->pages[i]);
	m->count = 0;
	m->last[0] = m->last[1] = NULL;
	m->given_up = true;
}

void trace_memory_destroy(struct trace_memory *m)
{
	if (!m)
		return;
	give_up(m);
	free(m->pages);
	free(m->slots);
	free(m);
}

static bool is_page(const struct page *page, uint64_t process, uint32_t range,
	uint64_t number)
{
	return page->number == number && page->range == range &&
		page->process == process;
}

static struct page *page_new(struct trace_memory *m, uint64_t process,
	uint32_t range, uint64_t number, uint32_t *slot)
{
	struct page *page = m->count < PAGES_MAX ? calloc(1, sizeof(*page)) :
						   NULL;

	if (!page) {
		give_up(m);
		return NULL;
	}
	page->process = process;
	page->range = range;
	page->number = number;
	m->pages[m->count++] = page;
	*slot = m->count;
	return page;
}

/* Made when it is not there; NULL: given up. */
static struct page *page_get(struct trace_memory *m, uint64_t process,
	uint32_t range, uint64_t number)
{
	uint64_t h = (number + range * UINT64_C(0xd6e8feb86659fd93) +
			     process * UINT64_C(0xc2b2ae3d27d4eb4f)) *
		UINT64_C(0x9e3779b97f4a7c15);
	uint32_t at = (uint32_t)(h >> 50);
	struct page **last = &m->last[process == TRACE_MEMORY_ANY];

	if (*last && is_page(*last, process, range, number))
		return *last;
	while (m->slots[at] &&
		!is_page(m->pages[m->slots[at] - 1], process, range, number))
		at = (at + 1) & (SLOTS - 1);
	if (!m->slots[at] && !page_new(m, process, range, number, &m->slots[at]))
		return NULL;
	*last = m->pages[m->slots[at] - 1];
	return *last;
}

static void set_known(struct page *page, uint32_t at, uint32_t count)
{
	while (count) {
		uint32_t bit = at % 64;
		uint32_t here = count < 64 - bit ? count : 64 - bit;
		uint64_t mask = here == 64 ? UINT64_MAX :
					     (UINT64_C(1) << here) - 1;

		page->known[at / 64] |= mask << bit;
		at += here;
		count -= here;
	}
}

static void put(struct trace_memory *m, uint64_t process, uint32_t range,
	uint64_t offset, uint64_t len, const uint8_t *bytes)
{
	uint64_t end;

	if (!checked_add(offset, len, &end))
		return;
	while (len && !m->given_up) {
		uint32_t at = (uint32_t)(offset % PAGE);
		uint32_t count = len < PAGE - at ? (uint32_t)len : PAGE - at;
		struct page *page =
			page_get(m, process, range, offset / PAGE);

		if (!page)
			return;
		memcpy(page->bytes + at, bytes, count);
		set_known(page, at, count);
		offset += count;
		bytes += count;
		len -= count;
	}
}

/* For questions about this process, and about nobody in particular. */
static void put_both(struct trace_memory *m, uint64_t process, uint32_t range,
	uint64_t offset, uint64_t len, const uint8_t *bytes)
{
	put(m, process, range, offset, len, bytes);
	put(m, TRACE_MEMORY_ANY, range, offset, len, bytes);
}

void trace_memory_add(struct trace_memory *m, const struct trace_record *r)
{
	const struct access *a = &r->access;

	if (m->given_up)
		return;
	if (r->kind == TRACE_BIND && r->bytes)
		put_both(m, r->process, r->range, r->offset, r->size, r->bytes);
	if (r->kind != TRACE_ACCESS)
		return;
	m->accesses++;
	if (!access_writes(a->kind) || !r->final_bytes)
		return;
	if (a->lane_count)
		give_up(m); /* where its lanes lie in the range is not known */
	else
		put_both(m, a->process, a->range, a->offset, a->kept_count,
			r->final_bytes + a->kept_first);
}

bool trace_memory_is_due(const struct trace_memory *m)
{
	return !m->given_up && m->count &&
		m->accesses >= EVERY + m->count * EVERY_PAGE;
}

/* ---- payload: count, then pieces ---- */

static bool is_known(const struct page *page, uint32_t at)
{
	return page->known[at / 64] >> at % 64 & 1;
}

static void pack_page(const struct page *page, struct pack_out *out)
{
	for (uint32_t at = 0, end; at < PAGE; at = end + 1) {
		for (end = at; end < PAGE && is_known(page, end); end++)
			;
		if (end == at)
			continue;
		pack_varint(out, page->process);
		pack_varint(out, page->range);
		pack_varint(out, page->number * PAGE + at);
		pack_varint(out, end - at);
		pack_bytes(out, page->bytes + at, end - at);
	}
}

void trace_memory_pack(struct trace_memory *m, struct pack_out *out)
{
	out->len = 0;
	out->failed = false;
	for (uint32_t i = 0; i < m->count; i++)
		pack_page(m->pages[i], out);
	m->accesses = 0;
}

static bool take_piece(struct pack_in *in, struct trace_memory_piece *out)
{
	out->process = unpack_varint(in);
	out->range = (uint32_t)unpack_bounded(in, UINT32_MAX);
	out->offset = unpack_varint(in);
	out->len = (uint32_t)unpack_bounded(in, UINT32_MAX);
	out->bytes = unpack_bytes(in, out->len);
	return !in->failed && out->len <= UINT64_MAX - out->offset;
}

bool trace_memory_unpack(struct pack_in *in,
	void (*visit)(void *ctx, const struct trace_memory_piece *piece),
	void *ctx)
{
	while (in->at < in->end) {
		struct trace_memory_piece piece;

		if (!take_piece(in, &piece))
			return false;
		visit(ctx, &piece);
	}
	return true;
}
