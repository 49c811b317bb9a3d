/* SPDX-License-Identifier: MIT */
/*
 * The map is an open-addressing hash table of page pointers. Pages are added
 * seldom and looked up at every stop, so lookups take no lock: a table is
 * never changed in a way a reader could mistake (a slot goes from NULL to its
 * page, once), a full table is replaced by a larger copy, and old tables stay
 * allocated until the end (their sizes add up to less than the last one's).
 */
#include "keeper/kept_page.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/invariant.h"

struct waiter {
	struct waiter *next;
	pthread_cond_t granted_cond;
	bool granted;
};

struct kept_page {
	frame_t frame;

	/* guarded by mutex: the FIFO lock itself */
	pthread_mutex_t mutex;
	bool held;
	struct waiter *head, *tail;
	uint64_t arrived, served; /* the n-th to come is the n-th to have it */
	_Atomic uint64_t waits; /* read without the mutex */

	/* guarded by the FIFO lock */
	struct kept_piece *pieces;
	size_t count, capacity;
	bool open;
};

struct table {
	struct table *older;
	size_t mask; /* slots - 1, slots a power of two */
	_Atomic(struct kept_page *) slots[];
};

struct kept_map {
	_Atomic(struct table *) table;
	pthread_mutex_t mutex; /* held to add a page; guards used */
	size_t used;
};

#define TABLE_SLOTS_FIRST 64

static struct table *table_create(size_t slots, struct table *older)
{
	struct table *table;

	table = calloc(1, sizeof(*table) + slots * sizeof(table->slots[0]));
	if (!table)
		return NULL;
	table->mask = slots - 1;
	table->older = older;
	return table;
}

static size_t hash(frame_t frame)
{
	/* Fibonacci hashing: neighbouring frames spread over the table. */
	return (size_t)((frame * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

static struct kept_page *table_find(const struct table *table, frame_t frame)
{
	for (size_t i = hash(frame);; i++) {
		struct kept_page *page = atomic_load_explicit(
			&table->slots[i & table->mask], memory_order_acquire);

		if (!page || page->frame == frame)
			return page;
	}
}

static void table_add(struct table *table, struct kept_page *page)
{
	size_t i = hash(page->frame);

	while (atomic_load_explicit(
		&table->slots[i & table->mask], memory_order_relaxed))
		i++;
	atomic_store_explicit(
		&table->slots[i & table->mask], page, memory_order_release);
}

struct kept_map *kept_map_create(void)
{
	struct kept_map *map = calloc(1, sizeof(*map));
	struct table *table = table_create(TABLE_SLOTS_FIRST, NULL);

	if (!map || !table) {
		free(map);
		free(table);
		return NULL;
	}
	pthread_mutex_init(&map->mutex, NULL);
	atomic_init(&map->table, table);
	return map;
}

static void page_destroy(void *ctx, struct kept_page *page)
{
	(void)ctx;
	invariant(!page->held && !page->head);
	for (size_t i = 0; i < page->count; i++)
		free(page->pieces[i].shadow);
	free(page->pieces);
	pthread_mutex_destroy(&page->mutex);
	free(page);
}

void kept_map_destroy(struct kept_map *map)
{
	struct table *table, *older;

	if (!map)
		return;
	kept_map_each(map, page_destroy, NULL);
	for (table = atomic_load(&map->table); table; table = older) {
		older = table->older;
		free(table);
	}
	pthread_mutex_destroy(&map->mutex);
	free(map);
}

struct kept_page *kept_map_find(const struct kept_map *map, frame_t frame)
{
	return table_find(
		atomic_load_explicit(&map->table, memory_order_acquire), frame);
}

/* With map->mutex held: make room for one more page. */
static int map_reserve(struct kept_map *map)
{
	struct table *old = atomic_load(&map->table), *table;

	if ((map->used + 1) * 2 <= old->mask + 1)
		return 0;
	table = table_create((old->mask + 1) * 2, old);
	if (!table)
		return -ENOMEM;
	for (size_t i = 0; i <= old->mask; i++) {
		struct kept_page *page = atomic_load(&old->slots[i]);

		if (page)
			table_add(table, page);
	}
	atomic_store_explicit(&map->table, table, memory_order_release);
	return 0;
}

/* With map->mutex held. */
static struct kept_page *map_add(struct kept_map *map, frame_t frame)
{
	struct kept_page *page;

	if (map_reserve(map))
		return NULL;
	page = calloc(1, sizeof(*page));
	if (!page)
		return NULL;
	page->frame = frame;
	pthread_mutex_init(&page->mutex, NULL);
	table_add(atomic_load(&map->table), page);
	map->used++;
	return page;
}

struct kept_page *kept_map_get(struct kept_map *map, frame_t frame)
{
	struct kept_page *page;

	pthread_mutex_lock(&map->mutex);
	page = kept_map_find(map, frame);
	if (!page)
		page = map_add(map, frame);
	pthread_mutex_unlock(&map->mutex);
	return page;
}

void kept_map_each(struct kept_map *map,
	void (*visit)(void *ctx, struct kept_page *page), void *ctx)
{
	struct table *table = atomic_load(&map->table);

	for (size_t i = 0; i <= table->mask; i++) {
		struct kept_page *page = atomic_load(&table->slots[i]);

		if (page)
			visit(ctx, page);
	}
}

frame_t kept_page_frame(const struct kept_page *page)
{
	return page->frame;
}

void kept_page_lock(struct kept_page *page)
{
	struct waiter self = { 0 };
	uint64_t ticket;

	pthread_mutex_lock(&page->mutex);
	ticket = page->arrived++;
	if (!page->held) {
		page->held = true;
		invariant(ticket == page->served);
		page->served++;
		pthread_mutex_unlock(&page->mutex);
		return;
	}
	page->waits++;
	pthread_cond_init(&self.granted_cond, NULL);
	if (page->tail)
		page->tail->next = &self;
	else
		page->head = &self;
	page->tail = &self;
	while (!self.granted)
		pthread_cond_wait(&self.granted_cond, &page->mutex);
	invariant(ticket == page->served);
	page->served++;
	pthread_mutex_unlock(&page->mutex);
	pthread_cond_destroy(&self.granted_cond);
}

void kept_page_unlock(struct kept_page *page)
{
	struct waiter *next;

	pthread_mutex_lock(&page->mutex);
	invariant(page->held);
	next = page->head;
	if (next) {
		/* Handed over, not freed: nobody can come in between. */
		page->head = next->next;
		if (!page->head)
			page->tail = NULL;
		next->granted = true;
		pthread_cond_signal(&next->granted_cond);
	} else {
		page->held = false;
	}
	pthread_mutex_unlock(&page->mutex);
}

bool kept_page_trylock(struct kept_page *page)
{
	bool free;

	pthread_mutex_lock(&page->mutex);
	free = !page->held;
	page->held = true;
	page->arrived += free;
	page->served += free;
	pthread_mutex_unlock(&page->mutex);
	return free;
}

uint64_t kept_page_waits(const struct kept_page *page)
{
	return page->waits;
}

bool kept_page_is_open(const struct kept_page *page)
{
	return page->open;
}

void kept_page_set_open(struct kept_page *page, bool open)
{
	page->open = open;
}

size_t kept_page_count(const struct kept_page *page)
{
	return page->count;
}

const struct kept_piece *kept_page_piece(
	const struct kept_page *page, size_t index)
{
	invariant(index < page->count);
	return &page->pieces[index];
}

size_t kept_page_lower(const struct kept_page *page, uint32_t first)
{
	size_t low = 0, high = page->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (page->pieces[mid].first + page->pieces[mid].count > first)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static int reserve_piece(struct kept_page *page)
{
	size_t capacity = page->capacity ? page->capacity * 2 : 4;
	struct kept_piece *pieces;

	if (page->count < page->capacity)
		return 0;
	pieces = realloc(page->pieces, capacity * sizeof(*pieces));
	if (!pieces)
		return -ENOMEM;
	page->pieces = pieces;
	page->capacity = capacity;
	return 0;
}

int kept_page_bind(struct kept_page *page, const struct kept_piece *piece,
	const uint8_t *bytes, const struct range **out_other)
{
	size_t at = kept_page_lower(page, piece->first);
	struct kept_piece added = *piece;

	invariant(piece->count &&
		piece->first + piece->count <= ARCH_PAGE_SIZE);
	if (at < page->count &&
		page->pieces[at].first < piece->first + piece->count) {
		struct kept_piece *there = &page->pieces[at];

		if (there->range == piece->range &&
			there->first == piece->first &&
			there->count == piece->count &&
			there->offset == piece->offset) {
			there->refs++;
			return 0;
		}
		*out_other = there->range;
		return -EEXIST;
	}
	if (reserve_piece(page))
		return -ENOMEM;
	added.refs = 1;
	added.shadow = NULL;
	if (bytes) {
		added.shadow = malloc(piece->count);
		if (!added.shadow)
			return -ENOMEM;
		memcpy(added.shadow, bytes + piece->first, piece->count);
	}
	/* commit */
	memmove(&page->pieces[at + 1], &page->pieces[at],
		(page->count - at) * sizeof(added));
	page->pieces[at] = added;
	page->count++;
	return 0;
}

bool kept_page_unbind(
	struct kept_page *page, const struct range *range, uint32_t first)
{
	size_t at = kept_page_lower(page, first);

	invariant(at < page->count && page->pieces[at].first == first &&
		page->pieces[at].range == range);
	if (--page->pieces[at].refs)
		return false;
	free(page->pieces[at].shadow);
	page->count--;
	memmove(&page->pieces[at], &page->pieces[at + 1],
		(page->count - at) * sizeof(page->pieces[0]));
	return page->count == 0;
}

void kept_page_stored(struct kept_page *page, uint32_t first, uint32_t count,
	const uint8_t *bytes)
{
	uint32_t end = first + count;

	for (size_t i = kept_page_lower(page, first); i < page->count; i++) {
		struct kept_piece *piece = &page->pieces[i];
		uint32_t from = piece->first > first ? piece->first : first;
		uint32_t to = piece->first + piece->count;

		if (piece->first >= end)
			break;
		to = to < end ? to : end;
		if (piece->shadow)
			memcpy(piece->shadow + (from - piece->first),
				bytes + (from - first), to - from);
	}
}

bool kept_page_verify(const struct kept_page *page, const uint8_t *bytes,
	const struct kept_piece **out_piece, uint32_t *out_index)
{
	for (size_t i = 0; i < page->count; i++) {
		const struct kept_piece *piece = &page->pieces[i];
		uint32_t n = 0;

		if (!piece->shadow ||
			!memcmp(piece->shadow, bytes + piece->first,
				piece->count))
			continue;
		while (piece->shadow[n] == bytes[piece->first + n])
			n++;
		*out_piece = piece;
		*out_index = n;
		return false;
	}
	return true;
}
