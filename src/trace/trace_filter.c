/* SPDX-License-Identifier: MIT */
#include "trace/trace_filter.h"

#include <stdlib.h>

#include "base/checked.h"

/*
 * Distinct hashes of what was stored, then the filter made from them. When
 * there are more than fit, the filter says yes to everything.
 */
#define SLOT_BITS 17
#define SLOTS ((size_t)1 << SLOT_BITS)
#define HASHES_MAX (SLOTS / 2)
#define BITS_EACH 12 /* of the filter: one wrong yes in some hundred */
#define PROBES 6
#define BOUND_PAGE 12 /* bits */

struct trace_filter {
	uint64_t *hashes; /* count of them */
	uint32_t *slots; /* index + 1 */
	size_t count;
	bool full;
	/* What was added last, so that a loop costs nothing. */
	uint32_t last_range;
	uint64_t last_granule;
};

/* Of a granule of 8 bytes, or (bound) of a page. */
static uint64_t hash_of(uint32_t range, uint64_t number, bool bound)
{
	uint64_t h = number + range * UINT64_C(0xd6e8feb86659fd93) +
		(bound ? UINT64_C(0xa0761d6478bd642f) : 0);

	h ^= h >> 32;
	h *= UINT64_C(0x9e3779b97f4a7c15);
	h ^= h >> 29;
	h *= UINT64_C(0xbf58476d1ce4e5b9);
	return h ^ h >> 32;
}

struct trace_filter *trace_filter_create(void)
{
	struct trace_filter *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->hashes = calloc(HASHES_MAX, sizeof(*f->hashes));
	f->slots = calloc(SLOTS, sizeof(*f->slots));
	f->last_granule = UINT64_MAX;
	if (f->hashes && f->slots)
		return f;
	trace_filter_destroy(f);
	return NULL;
}

void trace_filter_destroy(struct trace_filter *f)
{
	if (!f)
		return;
	free(f->hashes);
	free(f->slots);
	free(f);
}

void trace_filter_reset(struct trace_filter *f)
{
	if (f->count)
		memset(f->slots, 0, SLOTS * sizeof(*f->slots));
	f->count = 0;
	f->full = false;
	f->last_granule = UINT64_MAX;
}

static void add_hash(struct trace_filter *f, uint64_t hash)
{
	size_t at = hash >> (64 - SLOT_BITS);

	for (; f->slots[at]; at = (at + 1) & (SLOTS - 1))
		if (f->hashes[f->slots[at] - 1] == hash)
			return;
	if (f->count == HASHES_MAX) {
		f->full = true;
		return;
	}
	f->hashes[f->count++] = hash;
	f->slots[at] = (uint32_t)f->count;
}

static void add_span(struct trace_filter *f, uint32_t range, uint64_t offset,
	uint64_t len, unsigned shift)
{
	uint64_t last;

	if (!len || !checked_add(offset, len - 1, &last))
		return;
	for (uint64_t n = offset >> shift; n <= last >> shift; n++)
		add_hash(f, hash_of(range, n, shift == BOUND_PAGE));
}

void trace_filter_add(struct trace_filter *f, const struct trace_record *r)
{
	const struct access *a = &r->access;

	if (r->kind == TRACE_BIND && r->bytes)
		add_span(f, r->range, r->offset, r->size, BOUND_PAGE);
	if (r->kind != TRACE_ACCESS || !access_writes(a->kind) ||
		!r->final_bytes)
		return;
	if (a->lane_count) {
		/* The lanes lie anywhere in the range. */
		f->full = true;
		return;
	}
	if (!a->kept_count)
		return;
	if (a->range == f->last_range && a->offset >> 3 == f->last_granule &&
		(a->offset & 7) + a->kept_count <= 8)
		return;
	add_span(f, a->range, a->offset, a->kept_count, 3);
	f->last_range = a->range;
	f->last_granule = a->offset >> 3;
}

bool trace_filter_is_empty(const struct trace_filter *f)
{
	return !f->count && !f->full;
}

/* ---- the filter as it is in the file ---- */

static void set_bits(uint8_t *block, uint64_t hash)
{
	for (int i = 0; i < PROBES; i++) {
		unsigned bit = hash & (TRACE_FILTER_BLOCK * 8 - 1);

		block[bit / 8] = (uint8_t)(block[bit / 8] | 1u << bit % 8);
		hash >>= 9;
	}
}

static bool has_bits(const uint8_t *block, uint64_t hash)
{
	for (int i = 0; i < PROBES; i++) {
		unsigned bit = hash & (TRACE_FILTER_BLOCK * 8 - 1);

		if (!(block[bit / 8] >> bit % 8 & 1))
			return false;
		hash >>= 9;
	}
	return true;
}

/* The high bits choose the block, the low 54 the bits in it. */
static size_t block_of(uint64_t hash, size_t blocks)
{
	return (size_t)((hash >> 32) * blocks >> 32);
}

void trace_filter_pack(struct trace_filter *f, struct pack_out *out)
{
	size_t blocks = f->count * BITS_EACH / (TRACE_FILTER_BLOCK * 8) + 1;
	size_t size = blocks * TRACE_FILTER_BLOCK;

	out->len = 0;
	out->failed = false;
	if (f->full || !pack_room(out, size))
		return; /* an empty payload says yes */
	memset(out->data, 0, size);
	for (size_t i = 0; i < f->count; i++)
		set_bits(out->data + block_of(f->hashes[i], blocks) *
				TRACE_FILTER_BLOCK,
			f->hashes[i]);
	out->len = size;
}

static bool may_have(const uint8_t *payload, size_t payload_len,
	uint32_t range, uint64_t offset, uint64_t len, unsigned shift)
{
	size_t blocks = payload_len / TRACE_FILTER_BLOCK;
	uint64_t last;

	if (!len)
		return false;
	if (!blocks || !checked_add(offset, len - 1, &last) ||
		(last >> shift) - (offset >> shift) > 4096)
		return true;
	for (uint64_t n = offset >> shift; n <= last >> shift; n++) {
		uint64_t hash = hash_of(range, n, shift == BOUND_PAGE);

		if (has_bits(payload + block_of(hash, blocks) *
					TRACE_FILTER_BLOCK,
			    hash))
			return true;
	}
	return false;
}

bool trace_filter_stored(const uint8_t *payload, size_t payload_len,
	uint32_t range, uint64_t offset, uint64_t len)
{
	return may_have(payload, payload_len, range, offset, len, 3);
}

bool trace_filter_bound(const uint8_t *payload, size_t payload_len,
	uint32_t range, uint64_t offset, uint64_t len)
{
	return may_have(payload, payload_len, range, offset, len, BOUND_PAGE);
}
