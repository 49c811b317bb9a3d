/* SPDX-License-Identifier: MIT */
/*
 * Every step follows one link: the capability's window is applied to the
 * address, its rights to the way's. What a level can show of its node is kept
 * as distances from the address, which no window can make wrap around, and
 * only found for who asks: most walks are for one page.
 */
#include "walk.h"

#include "frame.h"
#include "machine.h"

static void fail(struct walk *out, enum custos_fault_code fault)
{
	out->end = WALK_FAULT;
	out->fault = fault;
}

static void end_in_page(const struct cap *link, uint64_t address,
	enum walk_end end, struct walk *out)
{
	address += link->payload;
	out->offset = address;
	if (address >= PAGE_SIZE) {
		fail(out, CUSTOS_FAULT_INVALID_ADDRESS);
		return;
	}
	out->end = end;
	out->gpa = machine_gpa(link->object) + address;
}

/* The address is inside the link's window. */
static void end_at(const struct cap *link, uint64_t address, struct walk *out)
{
	out->cap = *link;
	out->offset = address;
	switch (link->type) {
	case CUSTOS_CAP_PAGE:
		end_in_page(link, address, WALK_PAGE, out);
		break;
	case CUSTOS_CAP_CAPPAGE:
		end_in_page(link, address, WALK_CAPPAGE, out);
		break;
	case CUSTOS_CAP_FIXED:
		out->end = WALK_FIXED;
		out->gpa = link->payload + address;
		break;
	case CUSTOS_CAP_ENTRY:
		out->end = WALK_ENTRY;
		break;
	default:
		fail(out, CUSTOS_FAULT_MALFORMED_SPACE);
	}
}

void walk(const struct cap *root, uint64_t va, struct walk *out)
{
	const struct cap *link = root;
	struct walk_level *level = out->levels;
	enum custos_fault_code fault = CUSTOS_FAULT_INVALID_ADDRESS;
	unsigned rights = CUSTOS_RIGHT_ALL;
	struct gpt *gpt;

	out->fault = 0;
	for (;;) {
		if (!link->type || (link->pages && va >> 12 >= link->pages) ||
			(link->object &&
				!frame_is_live(link->object, link->generation)))
			break;
		rights &= link->rights;
		if (link->type != CUSTOS_CAP_GPT) {
			out->count = (unsigned)(level - out->levels);
			out->rights = rights;
			end_at(link, va, out);
			return;
		}
		gpt = link->object;
		va += link->payload;
		if (va >> gpt->l2v >= CUSTOS_GPT_SLOTS)
			break;
		if (level == out->levels + CUSTOS_WALK_NODES) {
			fault = CUSTOS_FAULT_TRAVERSE_LIMIT;
			break;
		}
		level->gpt = gpt;
		level->offset = va;
		level->rights = rights;
		level->link = link;
		level++;
		link = &gpt->slots[va >> gpt->l2v];
		va &= (UINT64_C(1) << gpt->l2v) - 1;
	}
	out->count = (unsigned)(level - out->levels);
	out->rights = rights;
	out->cap = *link;
	fail(out, fault);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void walk_views(const struct walk *way, uint64_t va, struct walk_view *views)
{
	struct walk_view view = {.below = va, .above = UINT64_MAX - va};
	unsigned i;

	for (i = 0; i < way->count; i++) {
		const struct walk_level *level = &way->levels[i];
		uint64_t length = (uint64_t)level->link->pages * PAGE_SIZE;
		uint64_t mask = (UINT64_C(1) << level->gpt->l2v) - 1;

		if (length)
			view.above = smaller(view.above, length - 1 - va);
		views[i].below = smaller(view.below, level->offset);
		views[i].above = smaller(view.above,
			gpt_span(level->gpt) - 1 - level->offset);
		va = level->offset & mask;
		view.below = smaller(view.below, va);
		view.above = smaller(view.above, mask - va);
	}
}
