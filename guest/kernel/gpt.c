/* SPDX-License-Identifier: MIT */
/*
 * Mapping a range sets as few slots as it can. Where a slot must hold two
 * things a node is put between, no larger than both need, at whatever address
 * in the slot they are; what was there is cut into windows. What MAP puts into
 * a slot cannot be looked into from there, so it is cut and never changed;
 * nodes that MAP made, and whoever set nodes by hand, is gone into instead.
 */
#include "gpt.h"

#include "bank.h"
#include "call.h"
#include "endpoint.h"
#include "frame.h"
#include "object.h"
#include "panic.h"
#include "table.h"

#define LOG_SLOTS CUSTOS_GPT_L2V_STEP
#define ENTRY_SPAN (UINT64_C(1) << (CUSTOS_GPT_L2V_MAX + LOG_SLOTS))
#define OWN_RIGHTS (CUSTOS_RIGHT_WRITE | CUSTOS_RIGHT_INSPECT)
#define WORK 64 /* slots changed at one kernel entry */

static const struct cap null_cap;

uint64_t gpt_span(const struct gpt *gpt)
{
	return UINT64_C(1) << (gpt->l2v + LOG_SLOTS);
}

struct bank *gpt_bank(struct gpt *gpt)
{
	if (gpt->bank.type == CUSTOS_CAP_BANK && cap_is_live(&gpt->bank))
		return gpt->bank.object;
	return frame_info(machine_gpa(gpt))->bank;
}

void gpt_begin(uint64_t gpa)
{
	struct gpt *gpt = machine_direct(gpa);

	gpt->l2v = CUSTOS_GPT_L2V_MIN;
}

/* So that a node can say where it leaves a hole. The oldest gives way. */
static void add_parent(struct gpt *gpt, unsigned slot, struct gpt *child)
{
	struct frame_info *info = frame_info(machine_gpa(child));
	uint32_t number = frame_number(machine_gpa(gpt));
	struct frame_mapper *mapper = info->mappers;
	unsigned i;

	for (i = 0; i < FRAME_MAPPERS; i++, mapper++)
		if (!mapper->table ||
			(mapper->table == number && mapper->index == slot))
			break;
	if (i == FRAME_MAPPERS)
		mapper = &info->mappers[info->mapper_next++ % FRAME_MAPPERS];
	mapper->table = number;
	mapper->index = slot;
}

void gpt_put(struct gpt *gpt, unsigned slot, const struct cap *cap)
{
	gpt->slots[slot] = *cap;
	if (cap->type == CUSTOS_CAP_GPT && cap_is_live(cap))
		add_parent(gpt, slot, cap->object);
}

void gpt_set(struct gpt *gpt, unsigned slot, const struct cap *cap)
{
	uint64_t from = (uint64_t)slot << gpt->l2v;

	gpt_put(gpt, slot, cap);
	table_changed();
	if (gpt->used)
		table_unmap_node(
			gpt, from, from + (UINT64_C(1) << gpt->l2v));
}

/* ---- windows ---- */

static bool has_offset(const struct cap *cap)
{
	return cap->type != CUSTOS_CAP_ENTRY && cap->type != CUSTOS_CAP_FIXED;
}

/* Of a capability without a window. */
static uint64_t natural_span(const struct cap *cap)
{
	switch (cap->type) {
	case CUSTOS_CAP_GPT:
		return gpt_span(cap->object);
	case CUSTOS_CAP_ENTRY:
		return ENTRY_SPAN;
	case CUSTOS_CAP_FIXED:
		return (uint64_t)cap->pages * PAGE_SIZE;
	default:
		return PAGE_SIZE;
	}
}

/* What is left of it behind its offset, which may be negative. */
static uint64_t natural_rest(const struct cap *cap)
{
	uint64_t span = natural_span(cap);

	return has_offset(cap) ? span - cap->payload : span;
}

uint64_t memory_length(const struct cap *cap)
{
	return cap->pages ? (uint64_t)cap->pages * PAGE_SIZE
			  : natural_rest(cap);
}

/* Can the part [offset, offset + length) be seen through from? In front of its
 * begin only where nothing of the object is. */
static bool is_part(const struct cap *from, uint64_t offset, uint64_t length)
{
	uint64_t all = memory_length(from);

	if (offset < all)
		return length <= all - offset &&
		       (!offset || from->type != CUSTOS_CAP_ENTRY);
	return (int64_t)offset < 0 && -offset <= ENTRY_SPAN &&
	       has_offset(from) && (int64_t)from->payload <= 0 &&
	       length <= all - offset;
}

bool memory_window(const struct cap *from, uint64_t offset, uint64_t length,
	unsigned rights, struct cap *out)
{
	struct cap part = *from;

	if (!length || ((offset | length) & PAGE_MASK) ||
		!is_part(from, offset, length))
		return false;
	/* Whether memory may call is CALL's to say; an entry without SEND
	 * would be none. */
	if (from->type == CUSTOS_CAP_ENTRY)
		rights |= CUSTOS_RIGHT_SEND;
	else
		part.payload += offset;
	part.rights &= (uint16_t)rights;
	part.pages = (uint32_t)(length / PAGE_SIZE);
	if (from->type != CUSTOS_CAP_FIXED && !from->pages &&
		length >= natural_rest(&part))
		part.pages = 0;
	else if (length / PAGE_SIZE > UINT32_MAX)
		return false;
	*out = part;
	return true;
}

/* ---- cutting ---- */

/* A range of addresses, counted from where the slot or node begins. */
struct range {
	uint64_t from, to;
};

/* What of a slot of so many bytes the capability takes. */
static struct range extent(const struct cap *cap, uint64_t slot_span)
{
	struct range range = {0, slot_span};

	if (!cap_is_memory(cap))
		return range;
	if (has_offset(cap) && (int64_t)cap->payload < 0)
		range.from = -cap->payload;
	range.to = memory_length(cap);
	if (range.to > slot_span)
		range.to = slot_span;
	if (range.from > range.to)
		range.from = range.to;
	return range;
}

struct gpt *gpt_make(struct bank *bank, unsigned l2v)
{
	uint64_t gpa = bank_alloc(bank, FRAME_GPT);
	struct gpt *gpt;

	if (!gpa)
		return NULL;
	gpt_begin(gpa);
	gpt = machine_direct(gpa);
	gpt->l2v = (uint8_t)l2v;
	return gpt;
}

static void free_node(struct gpt *gpt)
{
	while (!object_destroy(machine_gpa(gpt)))
		continue;
}

/* Let the slots of the node, which begins at base of what cap is in, hold what
 * cap shows there. */
static bool cut(const struct cap *cap, struct gpt *node, uint64_t base)
{
	uint64_t step = UINT64_C(1) << node->l2v, at;
	struct range all = extent(cap, UINT64_MAX >> 1);
	struct cap part;
	unsigned i;

	for (i = 0; i < CUSTOS_GPT_SLOTS; i++) {
		uint64_t end = base + (i + 1) * step;

		at = base + i * step;
		if (all.to <= at || all.from >= end)
			continue;
		if (end > all.to)
			end = all.to;
		if (!memory_window(
			    cap, at, end - at, CUSTOS_RIGHT_ALL, &part))
			return false;
		gpt_put(node, i, &part);
	}
	return true;
}

/* Put a node between the slot and what it holds, from base of the slot on. */
static int insert_node(struct gpt *gpt, unsigned slot, struct bank *bank,
	unsigned l2v, uint64_t base, struct gpt **out)
{
	const struct cap *old = &gpt->slots[slot];
	struct gpt *node = gpt_make(bank, l2v);
	struct cap link;

	if (!node)
		return -CUSTOS_E_LIMIT;
	if (cap_is_live(old) && !cut(old, node, base)) {
		free_node(node);
		return -CUSTOS_E_REQUEST;
	}
	link = cap_make(CUSTOS_CAP_GPT, CUSTOS_RIGHTS_MEMORY, node, -base);
	gpt_set(gpt, slot, &link);
	*out = node;
	return 0;
}

int gpt_split(struct gpt *gpt, unsigned slot)
{
	struct gpt *node;
	int error;

	if (gpt->l2v == CUSTOS_GPT_L2V_MIN ||
		(cap_is_live(&gpt->slots[slot]) &&
			!cap_is_memory(&gpt->slots[slot])))
		return -CUSTOS_E_REQUEST;
	error = insert_node(gpt, slot, gpt_bank(gpt), gpt->l2v - LOG_SLOTS, 0,
		&node);
	table_flush();
	return error;
}

/* ---- map ---- */

struct mapping {
	struct bank *bank;
	const struct cap *memory; /* NULL: unmap */
	uint64_t offset;	  /* in memory, of address va */
	uint64_t va;
	unsigned rights;
	unsigned work;
};

/* A node that is in no other place and nobody else has: MAP made it. */
static struct gpt *inner_node(const struct cap *link)
{
	struct gpt *gpt = link->object;

	if (link->type != CUSTOS_CAP_GPT || !cap_is_live(link) || !gpt->inner)
		return NULL;
	return gpt;
}

static unsigned find_inner(const struct gpt *gpt)
{
	unsigned i;

	for (i = 0; i < CUSTOS_GPT_SLOTS; i++)
		if (gpt->slots[i].type && inner_node(&gpt->slots[i]))
			break;
	return i;
}

/* Free the inner nodes from this slot on, the lowest first. */
static void drop_inner(struct mapping *map, struct gpt *gpt, unsigned slot)
{
	while (inner_node(&gpt->slots[slot]) && map->work < WORK) {
		struct gpt *parent = gpt, *node;
		unsigned i = slot, below;

		for (;;) {
			node = inner_node(&parent->slots[i]);
			below = find_inner(node);
			if (below == CUSTOS_GPT_SLOTS)
				break;
			parent = node;
			i = below;
		}
		gpt_set(parent, i, &null_cap);
		free_node(node);
		map->work += 4;
	}
}

/* The node of the link if a range of the slot is the node's to change. */
static struct gpt *own_node(const struct cap *link, const struct range *range)
{
	struct range all;

	if (link->type != CUSTOS_CAP_GPT || !cap_is_live(link) ||
		(link->rights & OWN_RIGHTS) != OWN_RIGHTS || link->pages ||
		(int64_t)link->payload > 0)
		return NULL;
	all = extent(link, UINT64_MAX >> 1);
	if (range->from < all.from || range->to > all.to)
		return NULL;
	return link->object;
}

/* The capability that alone in the slot does it; false: none does. at: address
 * in the node invoked of range->from. */
static bool find_window(const struct mapping *map, uint64_t at,
	const struct range *range, struct cap *out)
{
	uint64_t offset;

	if (!map->memory) {
		*out = null_cap;
		return true;
	}
	offset = map->offset + (at - map->va);
	if (range->from && offset)
		return false;
	return memory_window(map->memory, offset - range->from, range->to,
		map->rights, out);
}

static bool covers(const struct range *range, const struct cap *old,
	uint64_t slot_span)
{
	struct range all = extent(old, slot_span);

	return !cap_is_live(old) ||
	       (range->from <= all.from && range->to >= all.to);
}

/* The smallest node for both the range and what the slot holds. */
static int split_for(struct mapping *map, struct gpt *gpt, unsigned slot,
	const struct range *range)
{
	const struct cap *old = &gpt->slots[slot];
	struct range both = *range;
	unsigned l2v = CUSTOS_GPT_L2V_MIN;
	struct gpt *node;
	int error;

	if (cap_is_live(old)) {
		struct range all = extent(old, UINT64_C(1) << gpt->l2v);

		if (!cap_is_memory(old))
			return -CUSTOS_E_REQUEST;
		if (all.from < both.from)
			both.from = all.from;
		if (all.to > both.to)
			both.to = all.to;
	}
	while (both.from >> (l2v + LOG_SLOTS) !=
		(both.to - 1) >> (l2v + LOG_SLOTS))
		l2v += LOG_SLOTS;
	/* An entry, which has no parts, in the way of smaller slots. */
	if (l2v >= gpt->l2v)
		return -CUSTOS_E_REQUEST;
	error = insert_node(gpt, slot, map->bank, l2v,
		both.from >> (l2v + LOG_SLOTS) << (l2v + LOG_SLOTS), &node);
	if (!error)
		node->inner = true;
	map->work += 16;
	return error;
}

/* A place in the tree: node, and the address in the invoked node of its 0. */
struct place {
	struct gpt *gpt;
	uint64_t base;
};

/*
 * One slot from address at on, [at, end) at most. Sets *place to a node to go on
 * in when it is not the slot that is changed, else adds to *at.
 */
static int map_slot(struct mapping *map, struct place *place, uint64_t *at,
	uint64_t end)
{
	struct gpt *gpt = place->gpt, *below;
	uint64_t span = UINT64_C(1) << gpt->l2v;
	unsigned slot = (unsigned)((*at - place->base) >> gpt->l2v);
	uint64_t base = place->base + slot * span;
	struct range range = {*at - base, span};
	const struct cap *old = &gpt->slots[slot];
	struct cap cap;

	if (end - base < span)
		range.to = end - base;
	if (!map->memory && !old->type) {
		*at = base + range.to;
		return 0;
	}
	below = own_node(old, &range);
	if (!(covers(&range, old, span) &&
		    find_window(map, *at, &range, &cap))) {
		if (!below)
			return split_for(map, gpt, slot, &range);
		place->gpt = below;
		place->base = base - old->payload;
		return 0;
	}
	if (inner_node(old)) {
		drop_inner(map, gpt, slot);
		return 0;
	}
	if (!cap_is_same(&cap, old)) {
		gpt_set(gpt, slot, &cap);
		map->work++;
	}
	*at = base + range.to;
	return 0;
}

bool gpt_free_below(struct gpt *gpt, unsigned slot)
{
	struct mapping map = {.work = 0};

	drop_inner(&map, gpt, slot);
	return !inner_node(&gpt->slots[slot]);
}

/* ---- holes ---- */

/* Where the link of the mapper shows the range of the node, in the node it is
 * in; NULL: it does not lead to the node any more. */
static struct gpt *range_above(const struct frame_mapper *mapper,
	const struct gpt *node, struct range *range)
{
	uint64_t gpa = mapper->table ? frame_gpa(mapper->table) : 0, base;
	struct gpt *above;
	const struct cap *link;
	struct range all;

	if (!gpa || frame_info(gpa)->type != FRAME_GPT)
		return NULL;
	above = machine_direct(gpa);
	link = &above->slots[mapper->index];
	if (link->type != CUSTOS_CAP_GPT || link->object != node)
		return NULL;
	all = extent(link, UINT64_C(1) << above->l2v);
	base = (uint64_t)mapper->index << above->l2v;
	range->from = range->from - link->payload;
	range->to = range->to - link->payload;
	if ((int64_t)range->from < (int64_t)all.from)
		range->from = all.from;
	if ((int64_t)range->to > (int64_t)all.to)
		range->to = all.to;
	if ((int64_t)range->from >= (int64_t)range->to)
		return NULL;
	range->from += base;
	range->to += base;
	return above;
}

/* The same through the first link known that shows any of it. */
static struct gpt *climb(const struct gpt *node, struct range *range)
{
	const struct frame_info *info = frame_info(machine_gpa(node));
	unsigned i;

	for (i = 0; i < FRAME_MAPPERS; i++) {
		struct range there = *range;
		struct gpt *above =
			range_above(&info->mappers[i], node, &there);

		if (above) {
			*range = there;
			return above;
		}
	}
	return NULL;
}

/* The node goes: for each link to it the nearest keeper above is told. */
static void tell_hole(const struct gpt *node)
{
	const struct frame_info *info = frame_info(machine_gpa(node));
	unsigned i, depth;

	for (i = 0; i < FRAME_MAPPERS; i++) {
		struct range range = {0, gpt_span(node)};
		struct gpt *above =
			range_above(&info->mappers[i], node, &range);

		for (depth = 0; above && depth < CUSTOS_WALK_NODES &&
				!endpoint_can_answer(&above->keeper);
			depth++)
			above = climb(above, &range);
		if (above && endpoint_can_answer(&above->keeper))
			endpoint_post(&above->keeper, CUSTOS_MESSAGE_HOLE,
				range.from, range.to - range.from);
	}
}

/* Translations go first: from now on no walk comes through here. */
bool gpt_end(uint64_t gpa)
{
	struct gpt *gpt = machine_direct(gpa);
	unsigned i = find_inner(gpt);

	table_unmap_node(gpt, 0, gpt_span(gpt));
	if (i < CUSTOS_GPT_SLOTS) {
		gpt_free_below(gpt, i);
		return false;
	}
	if (!table_end_produced(&gpt->tables))
		return false;
	tell_hole(gpt);
	return true;
}

static bool is_empty(const struct gpt *gpt)
{
	unsigned i;

	for (i = 0; i < CUSTOS_GPT_SLOTS; i++)
		if (gpt->slots[i].type)
			return false;
	return true;
}

/* Free the inner node that the way to the address ends in, if it is empty. */
static bool shrink(struct gpt *gpt, uint64_t at)
{
	struct gpt *parent = NULL, *below = gpt;
	unsigned slot = 0, depth;

	for (depth = 0; below && depth < CUSTOS_WALK_NODES; depth++) {
		unsigned i = (unsigned)(at >> gpt->l2v);
		const struct cap *link = &gpt->slots[i];
		struct range here = {at & ((UINT64_C(1) << gpt->l2v) - 1), 0};

		here.to = here.from + 1;
		below = own_node(link, &here);
		if (!below)
			break;
		parent = gpt;
		slot = i;
		gpt = below;
		at = here.from + link->payload;
	}
	if (!parent || !gpt->inner || !is_empty(gpt))
		return false;
	gpt_set(parent, slot, &null_cap);
	free_node(gpt);
	return true;
}

static int64_t map_range(struct gpt *gpt, struct mapping *map, uint64_t end)
{
	const struct place top = {gpt, 0};
	struct place place = top;
	uint64_t at = map->va, before;
	unsigned depth = 0;
	int error = 0;

	while (at < end && !error) {
		if (map->work >= WORK)
			return CALL_RESTART;
		before = at;
		error = map_slot(map, &place, &at, end);
		depth = at == before ? depth + 1 : 0;
		if (depth == 2 * CUSTOS_WALK_NODES)
			return -CUSTOS_E_REQUEST; /* going round */
		if (at - place.base >= gpt_span(place.gpt))
			place = top;
	}
	return error;
}

static bool is_range_of(const struct gpt *gpt, uint64_t va, uint64_t length)
{
	uint64_t span = gpt_span(gpt);

	return length && !((va | length) & PAGE_MASK) && va < span &&
	       length <= span - va;
}

/* An entry has no parts: one slot must hold all of it. */
static bool fits(const struct gpt *gpt, const struct cap *memory, uint64_t va,
	uint64_t length)
{
	unsigned l2v = CUSTOS_GPT_L2V_MIN;

	if (memory->type != CUSTOS_CAP_ENTRY)
		return true;
	while (l2v < gpt->l2v && UINT64_C(1) << l2v < length)
		l2v += CUSTOS_GPT_L2V_STEP;
	return !(va & ((UINT64_C(1) << l2v) - 1)) &&
	       length <= UINT64_C(1) << l2v;
}

int64_t gpt_map(struct gpt *gpt, uint64_t va, const struct cap *memory,
	uint64_t offset, uint64_t length, unsigned rights)
{
	struct mapping map = {.bank = gpt_bank(gpt),
		.memory = memory,
		.offset = offset,
		.va = va,
		.rights = rights & ~(CUSTOS_RIGHT_INSPECT |
					   CUSTOS_RIGHT_CONTROL)};
	struct cap part;
	int64_t result;

	if (!is_range_of(gpt, va, length) || !fits(gpt, memory, va, length) ||
		(int64_t)offset < 0 ||
		!memory_window(memory, offset, length, rights, &part))
		return -CUSTOS_E_REQUEST;
	result = map_range(gpt, &map, va + length);
	table_flush();
	return result;
}

int64_t gpt_unmap(struct gpt *gpt, uint64_t va, uint64_t length)
{
	struct mapping map = {.bank = gpt_bank(gpt), .va = va};
	int64_t result;

	if (!is_range_of(gpt, va, length))
		return -CUSTOS_E_REQUEST;
	result = map_range(gpt, &map, va + length);
	while (!result && shrink(gpt, va))
		continue;
	while (!result && shrink(gpt, va + length - PAGE_SIZE))
		continue;
	table_flush();
	return result;
}
