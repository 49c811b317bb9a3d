/* SPDX-License-Identifier: MIT */
/*
 * Every step follows one link: the capability's window is applied to the
 * address, its rights to the way's. What a level can show of its node is kept
 * as distances from the address, which no window can make wrap around.
 */
#include "walk.h"

#include "machine.h"

/* Of an address: what can be seen at once on both sides of it. */
struct view {
	uint64_t below, above;
};

static void fail(struct walk *out, enum custos_fault_code fault)
{
	out->end = WALK_FAULT;
	out->fault = fault;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Let the link's window be looked through; false: not at this address. */
static bool look_through(
	const struct cap *link, uint64_t *address, struct view *view)
{
	uint64_t length = (uint64_t)link->pages * PAGE_SIZE;

	if (length) {
		if (*address >= length)
			return false;
		view->above = smaller(view->above, length - 1 - *address);
	}
	if (link->type != CUSTOS_CAP_ENTRY && link->type != CUSTOS_CAP_FIXED)
		*address += link->payload;
	return true;
}

static void end_in_page(const struct cap *link, uint64_t address,
	enum walk_end end, struct walk *out)
{
	if (address >= PAGE_SIZE) {
		fail(out, CUSTOS_FAULT_INVALID_ADDRESS);
		return;
	}
	out->end = end;
	out->gpa = machine_gpa(link->object) + address;
}

static void end_in_fixed(
	const struct cap *link, uint64_t address, struct walk *out)
{
	if (address >= (uint64_t)link->pages * PAGE_SIZE) {
		fail(out, CUSTOS_FAULT_INVALID_ADDRESS);
		return;
	}
	out->end = WALK_FIXED;
	out->gpa = link->payload + address;
}

static void end_at(const struct cap *link, uint64_t address, struct walk *out)
{
	out->offset = address;
	switch (link->type) {
	case CUSTOS_CAP_PAGE:
		end_in_page(link, address, WALK_PAGE, out);
		break;
	case CUSTOS_CAP_CAPPAGE:
		end_in_page(link, address, WALK_CAPPAGE, out);
		break;
	case CUSTOS_CAP_FIXED:
		end_in_fixed(link, address, out);
		break;
	case CUSTOS_CAP_ENTRY:
		out->end = WALK_ENTRY;
		break;
	case CUSTOS_CAP_NULL:
		fail(out, CUSTOS_FAULT_INVALID_ADDRESS);
		break;
	default:
		fail(out, CUSTOS_FAULT_MALFORMED_SPACE);
	}
}

/* Into the node of the link; the next link, or NULL when the way ends. */
static const struct cap *enter(const struct cap *link, uint64_t *address,
	struct view *view, struct walk *out)
{
	struct gpt *gpt = link->object;
	struct walk_level *level = &out->levels[out->count];
	uint64_t slot = *address >> gpt->l2v, mask, in_slot;

	if (slot >= CUSTOS_GPT_SLOTS || out->count == CUSTOS_WALK_NODES) {
		fail(out, slot >= CUSTOS_GPT_SLOTS
				  ? CUSTOS_FAULT_INVALID_ADDRESS
				  : CUSTOS_FAULT_TRAVERSE_LIMIT);
		return NULL;
	}
	mask = (UINT64_C(1) << gpt->l2v) - 1;
	in_slot = *address & mask;
	level->gpt = gpt;
	level->offset = *address;
	level->rights = out->rights;
	level->first = *address - smaller(view->below, *address);
	level->last = *address +
		      smaller(view->above, gpt_span(gpt) - 1 - *address);
	out->count++;
	view->below = smaller(view->below, in_slot);
	view->above = smaller(view->above, mask - in_slot);
	*address = in_slot;
	return &gpt->slots[slot];
}

void walk(const struct cap *root, uint64_t va, struct walk *out)
{
	const struct cap *link = root;
	struct view view = {.below = va, .above = UINT64_MAX - va};

	out->count = 0;
	out->rights = CUSTOS_RIGHT_ALL;
	out->fault = 0;
	do {
		out->cap = *link;
		if (!cap_is_live(link)) {
			fail(out, CUSTOS_FAULT_INVALID_ADDRESS);
			return;
		}
		out->rights &= link->rights;
		if (!look_through(link, &va, &view)) {
			fail(out, CUSTOS_FAULT_INVALID_ADDRESS);
			return;
		}
		if (link->type != CUSTOS_CAP_GPT) {
			end_at(link, va, out);
			return;
		}
		link = enter(link, &va, &view, out);
	} while (link);
}
