/* SPDX-License-Identifier: MIT */
#include "cli/trace_frames.h"

/* A page of a range as one process has it. */
struct page {
	struct page_key {
		uint64_t process, range, number;
	} key;
	uint64_t frame; /* 0: none, or not known */
};

struct frame {
	uint64_t number; /* key */
	uint32_t users; /* pages that are in it */
	uint32_t life;
};

/* A page of a range, whoever has it. */
struct place {
	struct place_key {
		uint64_t range, number;
	} key;
	uint64_t frame; /* of the first of its users, who are */
	uint32_t users, same; /* so many, so many of them in this frame */
};

void trace_frames_init(struct trace_frames *f)
{
	*f = (struct trace_frames){
		.pages = { .entry_size = sizeof(struct page),
			.key_size = sizeof(struct page_key) },
		.frames = { .entry_size = sizeof(struct frame),
			.key_size = sizeof(uint64_t) },
		.places = { .entry_size = sizeof(struct place),
			.key_size = sizeof(struct place_key) },
	};
}

void trace_frames_fini(struct trace_frames *f)
{
	builtin_map_fini(&f->pages);
	builtin_map_fini(&f->frames);
	builtin_map_fini(&f->places);
}

static uint64_t page_number(const struct trace_range *range, uint64_t offset)
{
	return (range->address + offset) / TRACE_PAGE;
}

static void leave(struct trace_frames *f, struct page *page)
{
	const struct place_key key = { page->key.range, page->key.number };
	struct frame *frame = builtin_map_find(&f->frames, &page->frame);
	struct place *place = builtin_map_find(&f->places, &key);

	if (!page->frame)
		return;
	if (frame && frame->users && !--frame->users)
		frame->life++;
	if (place && place->users) {
		place->users--;
		place->same -= place->same && place->frame == page->frame;
	}
	page->frame = 0;
}

static void enter(struct trace_frames *f, struct page *page, uint64_t number)
{
	const struct place_key key = { page->key.range, page->key.number };
	struct frame *frame = builtin_map_get(&f->frames, &number);
	struct place *place = builtin_map_get(&f->places, &key);

	if (!frame || !place)
		return; /* more than can be followed: not known */
	page->frame = number;
	frame->users++;
	if (!place->users)
		place->frame = number;
	place->users++;
	place->same += place->frame == number;
}

void trace_frames_follow(struct trace_frames *f,
	const struct trace_range *range, const struct trace_record *r)
{
	struct page_key key = { r->process, r->range, 0 };
	uint64_t number = r->kind == TRACE_BIND ? r->frame : 0;
	struct page *page;

	if ((r->kind != TRACE_BIND && r->kind != TRACE_UNBIND) || !range ||
		range->device)
		return;
	key.number = page_number(range, r->offset);
	page = number ? builtin_map_get(&f->pages, &key) :
			builtin_map_find(&f->pages, &key);
	if (!page || page->frame == number)
		return;
	leave(f, page);
	if (number)
		enter(f, page, number);
}

uint64_t trace_frames_find(const struct trace_frames *f, uint64_t process,
	const struct trace_range *range, uint64_t offset, uint32_t *out_life)
{
	const struct page_key key = { process, range->id,
		page_number(range, offset) };
	const struct page *page = builtin_map_find(&f->pages, &key);
	const struct frame *frame;

	if (!page || !page->frame)
		return 0;
	frame = builtin_map_find(&f->frames, &page->frame);
	if (out_life)
		*out_life = frame ? frame->life : 0;
	return page->frame;
}

bool trace_frames_are_copies(const struct trace_frames *f,
	const struct trace_range *range, uint64_t offset)
{
	const struct place_key key = { range->id, page_number(range, offset) };
	const struct place *place = builtin_map_find(&f->places, &key);

	return place && place->same != place->users;
}
