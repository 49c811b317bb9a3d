/* SPDX-License-Identifier: MIT */
/*
 * Free frames are in one list, linked through their infos, not through the
 * frames: nothing is read or written there that nobody asked for. Above `fresh`
 * are those never used, which are zeros already; that matters: clearing one
 * takes as long as some hundred instructions.
 *
 * Runs are needed for one kind of object only, so all have the same length, and
 * begin at multiples of it: frames are counted in groups of that length, and
 * a group whose frames are all free is in a second list. Finding a run is then
 * taking the first of these; nothing is ever searched for.
 */
#include "frame.h"

#include "machine.h"
#include "panic.h"

/* infos[0] is the head of the free list. */
struct frame_map frame_map;

static struct {
	uint64_t all, kernel, free;
	uint64_t generation;	   /* the next */
	uint32_t count;		   /* of managed frames */
	uint32_t fresh;		   /* number of the first never used */
	uint32_t run;		   /* frames in a group */
	uint32_t whole;		   /* first frame of a free group; 0: none */
	uint8_t *group_free;	   /* by group: free frames, no fresh ones */
} pool;

static uint64_t round_up(uint64_t bytes)
{
	return (bytes + PAGE_MASK) & ~PAGE_MASK;
}

static struct frame_info *info_at(uint32_t number)
{
	return &frame_map.infos[number];
}

/* Its fields are used for the list of whole groups while the frame is free. */
static struct frame_info *group_info(uint32_t group)
{
	return info_at(group * pool.run + 1);
}

void frame_init(uint64_t base, uint64_t size, unsigned run_frames)
{
	uint64_t frames = size / PAGE_SIZE, table;

	table = round_up((frames + 1) * sizeof(struct frame_info)) +
		round_up(frames / run_frames + 1);
	invariant(frames < UINT32_MAX && table < size);
	frame_map.infos = machine_direct(base);
	pool.group_free = machine_direct(
		base + round_up((frames + 1) * sizeof(struct frame_info)));
	frame_map.base = base + table;
	frame_map.end = base + frames * PAGE_SIZE;
	frame_map.first = machine_direct(frame_map.base);
	pool.count = (uint32_t)((frame_map.end - frame_map.base) / PAGE_SIZE);
	pool.all = frames;
	pool.kernel = table / PAGE_SIZE;
	pool.free = pool.count;
	pool.generation = 1;
	pool.fresh = 1;
	pool.run = run_frames;
	pool.whole = 0;
}

uint64_t frame_new_generation(void)
{
	return pool.generation++;
}

static void link_whole(uint32_t group)
{
	struct frame_info *info = group_info(group);

	info->producer = pool.whole;
	info->producer_next = 0; /* the one before */
	if (pool.whole)
		info_at(pool.whole)->producer_next = group * pool.run + 1;
	pool.whole = group * pool.run + 1;
}

static void unlink_whole(uint32_t group)
{
	const struct frame_info *info = group_info(group);

	if (info->producer_next)
		info_at(info->producer_next)->producer = info->producer;
	else
		pool.whole = info->producer;
	if (info->producer)
		info_at(info->producer)->producer_next = info->producer_next;
}

static void insert_free(uint32_t number)
{
	struct frame_info *info = info_at(number), *head = info_at(0);
	uint32_t group = (number - 1) / pool.run;

	info->type = FRAME_FREE;
	info->bank = NULL;
	info->prev = 0;
	info->next = head->next;
	info_at(head->next)->prev = number;
	head->next = number;
	if (++pool.group_free[group] == pool.run)
		link_whole(group);
}

static void remove_free(uint32_t number)
{
	const struct frame_info *info = info_at(number);
	uint32_t group = (number - 1) / pool.run;

	if (pool.group_free[group]-- == pool.run)
		unlink_whole(group);
	info_at(info->prev)->next = info->next;
	info_at(info->next)->prev = info->prev;
}

/* Let the next group of never used frames be among the free ones. */
static bool open_group(void)
{
	uint32_t i, left = pool.count + 1 - pool.fresh;

	if (!left)
		return false;
	if (left > pool.run)
		left = pool.run;
	for (i = left; i-- > 0;)
		insert_free(pool.fresh + i);
	pool.fresh += left;
	return true;
}

/* Never used: it has no generation yet. */
static void begin(uint32_t number, enum frame_type type, bool zeros)
{
	struct frame_info *info = info_at(number);
	bool dirty = info->generation != 0;

	*info = (struct frame_info){.generation = frame_new_generation(),
		.type = (uint8_t)type};
	if (dirty && zeros)
		machine_zero(machine_direct(frame_gpa(number)), PAGE_SIZE);
}

uint64_t frame_take(enum frame_type type, bool zeros)
{
	uint32_t number;

	if (!info_at(0)->next && !open_group())
		return 0;
	number = info_at(0)->next;
	remove_free(number);
	begin(number, type, zeros);
	pool.free--;
	if (type == FRAME_KERNEL)
		pool.kernel++;
	return frame_gpa(number);
}

uint64_t frame_run_take(enum frame_type type)
{
	uint32_t i, first;

	if (!pool.whole)
		open_group();
	first = pool.whole;
	if (!first)
		return 0;
	for (i = 0; i < pool.run; i++) {
		remove_free(first + i);
		begin(first + i, i ? FRAME_REST : type, true);
	}
	pool.free -= pool.run;
	return frame_gpa(first);
}

static void give(uint32_t number)
{
	struct frame_info *info = info_at(number);

	invariant(info->type != FRAME_FREE && info->type != FRAME_KERNEL);
	info->generation = frame_new_generation();
	insert_free(number);
	pool.free++;
}

void frame_give(uint64_t gpa)
{
	give(frame_number(gpa));
}

void frame_run_give(uint64_t gpa)
{
	uint32_t i, first = frame_number(gpa);

	for (i = pool.run; i-- > 0;)
		give(first + i);
}

unsigned frame_run_length(void)
{
	return pool.run;
}

uint64_t frame_count_free(void)
{
	return pool.free;
}

uint64_t frame_count_kernel(void)
{
	return pool.kernel;
}

uint64_t frame_count_all(void)
{
	return pool.all;
}
