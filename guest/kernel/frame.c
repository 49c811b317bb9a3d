/* SPDX-License-Identifier: MIT */
/*
 * Frames come from a stack of freed ones, then from the never used rest above
 * `fresh`. Links of free frames are kept in the owner table, not in the frames:
 * nothing is read or written there that nobody asked for. Runs are needed for
 * one kind of object only, so freed runs are kept whole and used again as
 * such; they are broken up when nothing else is left. The way back, looking
 * for free neighbours, is slow and rare. Fresh frames are zeros already, which
 * matters: filling one takes as long as some hundred instructions.
 */
#include "frame.h"

#include "machine.h"
#include "panic.h"

union frame_info {
	void *owner;	    /* in use: never odd */
	uint64_t next_free; /* free: gpa of the next free frame, or 0, plus 1 */
};

#define FREE_MARK UINT64_C(1)

static struct {
	uint64_t base, fresh, end;    /* gpa */
	uint64_t free_list, run_list; /* gpa of the first, or 0 */
	uint64_t free_count;
	unsigned run_frames;
	union frame_info *info; /* by frame number from base */
} pool;

static union frame_info *info_of(uint64_t gpa)
{
	invariant(frame_is_managed(gpa));
	return &pool.info[(gpa - pool.base) / PAGE_SIZE];
}

void frame_init(uint64_t base, uint64_t size, unsigned run_frames)
{
	uint64_t frames = size / PAGE_SIZE;
	uint64_t table = frames * sizeof(union frame_info);

	table = (table + PAGE_MASK) & ~PAGE_MASK;
	invariant(table < size);
	pool.info = machine_direct(base);
	pool.base = pool.fresh = base + table;
	pool.end = base + frames * PAGE_SIZE;
	pool.free_list = pool.run_list = 0;
	pool.free_count = (pool.end - pool.base) / PAGE_SIZE;
	pool.run_frames = run_frames;
}

bool frame_is_managed(uint64_t gpa)
{
	return gpa >= pool.base && gpa < pool.end;
}

static uint64_t take_fresh(unsigned frames)
{
	uint64_t gpa = pool.fresh;

	if (frames > (pool.end - gpa) / PAGE_SIZE)
		return 0;
	pool.fresh += frames * PAGE_SIZE;
	return gpa;
}

static uint64_t take_run(void)
{
	uint64_t gpa = pool.run_list;

	if (gpa)
		pool.run_list = info_of(gpa)->next_free - FREE_MARK;
	return gpa;
}

static void push_free(uint64_t gpa)
{
	info_of(gpa)->next_free = pool.free_list + FREE_MARK;
	pool.free_list = gpa;
}

static uint64_t pop_free(void)
{
	uint64_t gpa = pool.free_list;

	if (gpa)
		pool.free_list = info_of(gpa)->next_free - FREE_MARK;
	return gpa;
}

static void break_up_run(void)
{
	uint64_t gpa = take_run();
	unsigned i;

	for (i = 0; gpa && i < pool.run_frames; i++)
		push_free(gpa + i * PAGE_SIZE);
}

/* A frame and whether it needs clearing. */
static uint64_t take(void *owner, bool *out_dirty)
{
	uint64_t gpa = pop_free();

	*out_dirty = gpa != 0;
	if (!gpa)
		gpa = take_fresh(1);
	if (!gpa) {
		break_up_run();
		gpa = pop_free();
		*out_dirty = true;
	}
	if (!gpa)
		return 0;
	pool.free_count--;
	info_of(gpa)->owner = owner;
	return gpa;
}

uint64_t frame_alloc_dirty(void *owner)
{
	bool dirty;

	return take(owner, &dirty);
}

uint64_t frame_alloc(void *owner)
{
	bool dirty;
	uint64_t gpa = take(owner, &dirty);

	if (gpa && dirty)
		machine_zero(machine_direct(gpa), PAGE_SIZE);
	return gpa;
}

void frame_free(uint64_t gpa)
{
	push_free(gpa);
	pool.free_count++;
}

/* The last of run_frames free frames in a row, or 0. */
static uint64_t find_free_row(void)
{
	uint64_t gpa;
	unsigned row = 0;

	for (gpa = pool.base; gpa < pool.fresh; gpa += PAGE_SIZE) {
		row = info_of(gpa)->next_free & FREE_MARK ? row + 1 : 0;
		if (row == pool.run_frames)
			return gpa;
	}
	return 0;
}

/* Take a row out of the free list. Only when there are no freed runs: their
 * frames look free too. */
static uint64_t gather_run(void)
{
	uint64_t last = find_free_row(), first, gpa, rest = pool.free_list;

	if (!last)
		return 0;
	first = last - (pool.run_frames - 1) * PAGE_SIZE;
	pool.free_list = 0;
	while ((gpa = rest)) {
		rest = info_of(gpa)->next_free - FREE_MARK;
		if (gpa < first || gpa > last)
			push_free(gpa);
	}
	return first;
}

static uint64_t take_dirty_run(void)
{
	uint64_t gpa = take_run();

	if (!gpa)
		gpa = gather_run();
	if (gpa)
		machine_zero(machine_direct(gpa), pool.run_frames * PAGE_SIZE);
	return gpa;
}

uint64_t frame_run_alloc(void *owner)
{
	uint64_t gpa = pool.run_list ? 0 : take_fresh(pool.run_frames);
	unsigned i;

	if (!gpa)
		gpa = take_dirty_run();
	if (!gpa)
		return 0;
	for (i = 0; i < pool.run_frames; i++)
		info_of(gpa + i * PAGE_SIZE)->owner = owner;
	pool.free_count -= pool.run_frames;
	return gpa;
}

void frame_run_free(uint64_t gpa)
{
	info_of(gpa)->next_free = pool.run_list + FREE_MARK;
	pool.run_list = gpa;
	pool.free_count += pool.run_frames;
}

void *frame_owner(uint64_t gpa)
{
	return info_of(gpa)->owner;
}

void frame_set_owner(uint64_t gpa, void *owner)
{
	info_of(gpa)->owner = owner;
}

uint64_t frame_count_free(void)
{
	return pool.free_count;
}
