/* SPDX-License-Identifier: MIT */
/*
 * Where kept bytes are at this moment: for every frame that holds some, the
 * pieces of ranges in it, a FIFO lock that only one accessor holds at a time,
 * and a shadow of the kept bytes that proves at the end that no store slipped
 * past.
 *
 * A page, once created, lives as long as its map, even when its last piece is
 * gone: threads may be waiting for its lock.
 */
#ifndef CUSTOS_KEEPER_KEPT_PAGE_H
#define CUSTOS_KEEPER_KEPT_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keeper/range.h"
#include "target/target.h"

struct kept_map;
struct kept_page;

/* Bytes [first, first + count) of the page are bytes [offset, offset + count)
 * of range. Pieces of a page are sorted by first and do not overlap. */
struct kept_piece {
	uint32_t first, count;
	struct range *range;
	uint64_t offset;
	unsigned refs; /* bindings: processes that map it as this range */
	uint8_t *shadow; /* what the bytes must be; NULL on a device page */
};

struct kept_map *kept_map_create(void); /* NULL: out of memory */
void kept_map_destroy(struct kept_map *map); /* no thread uses it any more */

/* The page of frame, or NULL when it never held a kept byte. Lock-free. */
struct kept_page *kept_map_find(const struct kept_map *map, frame_t frame);

/* The same, created when missing. NULL: out of memory. */
struct kept_page *kept_map_get(struct kept_map *map, frame_t frame);

/* Call visit for every page of the map, in no order. No page may be locked by
 * the caller; none is created meanwhile. */
void kept_map_each(struct kept_map *map,
	void (*visit)(void *ctx, struct kept_page *page), void *ctx);

frame_t kept_page_frame(const struct kept_page *page);

/*
 * The page's lock: whoever decides about an access to it, or changes its
 * pieces, holds it. Waiters are served in the order they came. Take several in
 * ascending order of frame numbers. Not recursive.
 */
void kept_page_lock(struct kept_page *page);
void kept_page_unlock(struct kept_page *page);

/* Take the lock if nobody has it; for a page out of order. */
bool kept_page_trylock(struct kept_page *page);

/* How often somebody had to wait for it. */
uint64_t kept_page_waits(const struct kept_page *page);

/* ---- with the lock held ---- */

/* Has everybody been granted the page, so that it is not closed? */
bool kept_page_is_open(const struct kept_page *page);
void kept_page_set_open(struct kept_page *page, bool open);

/*
 * Bind a piece. bytes are the frame's (NULL for a device page) and become the
 * shadow. The same piece of the same range bound again is counted. -EEXIST
 * when bytes of another range, or other bytes of this one, are in the way
 * (*out_other says which range has them); -ENOMEM.
 */
int kept_page_bind(struct kept_page *page, const struct kept_piece *piece,
	const uint8_t *bytes, const struct range **out_other);

/* Take one binding back. Returns true when the page has no piece left. */
bool kept_page_unbind(
	struct kept_page *page, const struct range *range, uint32_t first);

size_t kept_page_count(const struct kept_page *page);
const struct kept_piece *kept_page_piece(
	const struct kept_page *page, size_t index);

/* Index of the first piece that ends behind offset first; count of pieces
 * when there is none. O(log n). */
size_t kept_page_lower(const struct kept_page *page, uint32_t first);

/* Note that bytes [first, first + count) of the page were stored with our
 * knowledge: kept ones among them are copied to the shadow. */
void kept_page_stored(struct kept_page *page, uint32_t first, uint32_t count,
	const uint8_t *bytes);

/*
 * Compare a frame's kept bytes with the shadow. Returns true when they are
 * equal; else the piece and the index in it of the first byte that differs.
 */
bool kept_page_verify(const struct kept_page *page, const uint8_t *bytes,
	const struct kept_piece **out_piece, uint32_t *out_index);

#endif
