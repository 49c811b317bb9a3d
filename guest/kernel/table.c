/* SPDX-License-Identifier: MIT */
/*
 * Records of what leads where are only ever hints: each is looked at again
 * before it is used, and forgetting to remove one does no harm. So tables end
 * without looking at what they lead to.
 */
#include "table.h"

#include "bank.h"
#include "cpu.h"
#include "frame.h"
#include "object.h"
#include "panic.h"
#include "process.h"
#include "space.h"

#define CACHE_SIZE 2048 /* tables found at once; a power of two */
#define PROBES 8	/* places for a dependent */
#define PIECE 64	/* tables ended at once */

uint64_t table_epoch = 1;
uint64_t table_undone;

/* Frame numbers, by key. */
static uint32_t cache[CACHE_SIZE];

/* Entries undone since the last flush: of one table, from first to last; of
 * several when many. */
static struct {
	bool any, many;
	uint32_t table;
	unsigned first, last;
} undone;

/* What an address leads to, since the monitor was told. */
static bool changed;

static unsigned rotor; /* which dependent gives way next */

static uint64_t *entries_of(uint32_t table)
{
	return machine_direct(frame_gpa(table));
}

static bool is_table(const struct frame_info *info)
{
	return info->type == FRAME_TABLE ||
	       (info->type == FRAME_REST && info->level == TABLE_TOP);
}

/* ---- undoing ---- */

static void note(uint32_t table, unsigned index)
{
	table_undone++;
	if (!undone.any) {
		undone.any = true;
		undone.many = false;
		undone.table = table;
		undone.first = undone.last = index;
	} else if (undone.table != table) {
		undone.many = true;
	} else if (index < undone.first) {
		undone.first = index;
	} else if (index > undone.last) {
		undone.last = index;
	}
}

void table_clear(uint32_t table, unsigned index)
{
	entries_of(table)[index] = 0;
	if (frame_info_at(table)->level > 1)
		table_epoch++;
	note(table, index);
}

static bool leads_to(const struct frame_mapper *mapper, uint64_t gpa)
{
	uint64_t entry;

	if (!mapper->table ||
		!is_table(frame_info_at(mapper->table)))
		return false;
	entry = entries_of(mapper->table)[mapper->index];
	return (entry & PTE_PRESENT) && (entry & PTE_ADDRESS) == gpa;
}

void table_unmap_frame(uint64_t gpa)
{
	struct frame_info *info = frame_info(gpa);
	unsigned i;

	for (i = 0; i < FRAME_MAPPERS; i++) {
		struct frame_mapper *mapper = &info->mappers[i];

		if (leads_to(mapper, gpa))
			table_clear(mapper->table, mapper->index);
		mapper->table = 0;
	}
}

void table_add_mapper(uint64_t gpa, uint32_t table, unsigned index)
{
	struct frame_info *info = frame_info(gpa);
	struct frame_mapper *mapper = info->mappers;
	unsigned i;

	for (i = 0; i < FRAME_MAPPERS; i++, mapper++)
		if (!mapper->table ||
			(mapper->table == table && mapper->index == index))
			goto found;
	for (i = 0, mapper = info->mappers; i < FRAME_MAPPERS; i++, mapper++)
		if (!leads_to(mapper, gpa))
			goto found;
	mapper = &info->mappers[info->mapper_next++ % FRAME_MAPPERS];
	table_clear(mapper->table, mapper->index);
found:
	mapper->table = table;
	mapper->index = index;
}

/* Undo entries of a dependent made for addresses [from, to) of the node. */
static void undo_range(
	const struct gpt_dependent *dependent, uint64_t from, uint64_t to)
{
	const struct frame_info *info =
		frame_info_at(dependent->table);
	const uint64_t *entries = entries_of(dependent->table);
	unsigned shift = table_shift(info->level), i, last;
	int64_t low = (int64_t)(from - dependent->base);
	int64_t high = (int64_t)(to - dependent->base);

	if (low < 0)
		low = 0;
	if (high > INT64_C(1) << (shift + 9))
		high = INT64_C(1) << (shift + 9);
	if (low >= high)
		return;
	last = (unsigned)((high - 1) >> shift);
	i = (unsigned)(low >> shift);
	/* Kernel entries of a top table are above what a space can have. */
	if (info->level == TABLE_TOP && last >= TABLE_ENTRIES / 2)
		last = TABLE_ENTRIES / 2 - 1;
	while ((i = machine_table_next(entries, i)) <= last)
		table_clear(dependent->table, i++);
}

static bool is_current(const struct gpt_dependent *dependent)
{
	const struct frame_info *info =
		frame_info_at(dependent->table);

	return info->generation == dependent->generation && is_table(info);
}

void table_unmap_node(struct gpt *gpt, uint64_t from, uint64_t to)
{
	bool all = from == 0 && to == gpt_span(gpt);
	uint64_t left = gpt->used;

	while (left) {
		unsigned i = (unsigned)__builtin_ctzll(left);
		const struct gpt_dependent *dependent = &gpt->dependents[i];

		left &= left - 1;
		if (!is_current(dependent))
			gpt->used &= ~(UINT64_C(1) << i);
		else
			undo_range(dependent, from, to);
	}
	if (all)
		gpt->used = 0;
}

static void set_dependent(struct gpt *gpt, unsigned i, uint32_t table,
	uint64_t generation, uint64_t base)
{
	gpt->dependents[i] = (struct gpt_dependent){
		.table = table, .generation = generation, .base = base};
	gpt->used |= UINT64_C(1) << i;
}

void table_add_dependent(struct gpt *gpt, uint32_t table, uint64_t base)
{
	uint64_t generation = frame_info_at(table)->generation;
	unsigned start = table + (unsigned)(base >> 21), i;
	const struct gpt_dependent *dependent;

	/* Nearly always it is there already. */
	dependent = &gpt->dependents[start % GPT_DEPENDENTS];
	if (dependent->table == table && dependent->base == base &&
		dependent->generation == generation &&
		gpt->used >> start % GPT_DEPENDENTS & 1)
		return;
	for (i = 0; i < PROBES; i++) {
		unsigned at = (start + i) % GPT_DEPENDENTS;

		dependent = &gpt->dependents[at];
		if (!(gpt->used >> at & 1) || !is_current(dependent)) {
			set_dependent(gpt, at, table, generation, base);
			return;
		}
		if (dependent->table == table && dependent->base == base)
			return;
	}
	i = (start + rotor++ % PROBES) % GPT_DEPENDENTS;
	undo_range(&gpt->dependents[i], 0, gpt_span(gpt));
	set_dependent(gpt, i, table, generation, base);
}

/* ---- telling ---- */

/* The only entry that leads to the table; NULL: none, or several. */
static const struct frame_mapper *only_mapper(uint32_t table)
{
	uint64_t gpa = frame_gpa(table);
	const struct frame_info *info = frame_info(gpa);
	const struct frame_mapper *only = NULL;
	unsigned i;

	for (i = 0; i < FRAME_MAPPERS; i++) {
		if (!leads_to(&info->mappers[i], gpa))
			continue;
		if (only)
			return NULL;
		only = &info->mappers[i];
	}
	return only;
}

bool table_is_private(uint32_t table, uint64_t *out_cr3, uint64_t *out_va)
{
	uint64_t va = 0;

	for (;;) {
		uint64_t gpa = frame_gpa(table);
		const struct frame_mapper *mapper;

		if (frame_info(gpa)->level == TABLE_TOP) {
			*out_cr3 = gpa;
			*out_va = va;
			return true;
		}
		mapper = only_mapper(table);
		if (!mapper)
			return false;
		table = mapper->table;
		va += (uint64_t)mapper->index
		      << table_shift(frame_info_at(table)->level);
	}
}

static void flush_one(uint64_t cr3, uint64_t va)
{
	unsigned shift = table_shift(frame_info_at(undone.table)->level);
	uint64_t length = (uint64_t)(undone.last - undone.first + 1) << shift;

	va += (uint64_t)undone.first << shift;
	cpu_flush(cr3, va, length / PAGE_SIZE);
}

static void flush(void)
{
	uint64_t cr3, va;

	undone.any = false;
	if (!undone.many && table_is_private(undone.table, &cr3, &va))
		flush_one(cr3, va);
	else
		cpu_flush_all();
}

void table_changed(void)
{
	changed = true;
}

static void answer(uint64_t count)
{
	uint64_t i;

	for (i = 0; i < count; i++) {
		struct custos_where *where = &boot_info->where[i];

		where->gpa = space_where(where->cr3, where->va);
	}
}

void table_tell(void)
{
	int64_t count;

	if (!boot_info->watch ||
		!(changed || boot_info->watch & CUSTOS_WATCH_ASKS))
		return;
	changed = false;
	count = machine_hypercall(CUSTOS_CALL_SPACE_CHANGED, 0, 0, 0, 0, 0);
	while (count > 0 && count <= CUSTOS_WHERE_MAX) {
		answer((uint64_t)count);
		count = machine_hypercall(
			CUSTOS_CALL_WHERE, (uint64_t)count, 0, 0, 0, 0);
	}
}

void table_flush(void)
{
	if (undone.any)
		flush();
	table_tell();
}

/* ---- tables ---- */

static uint32_t *list_of(uint32_t producer)
{
	uint64_t gpa = frame_gpa(producer);

	if (frame_info(gpa)->type == FRAME_GPT)
		return &((struct gpt *)machine_direct(gpa))->tables;
	return &((struct process *)machine_direct(gpa))->tables;
}

static bool has_key(const struct frame_info *info, const struct table_key *key)
{
	return info->type == FRAME_TABLE && info->producer == key->producer &&
	       info->producer_offset == key->offset &&
	       info->level == key->level && info->rights == key->rights;
}

static uint32_t *cached(const struct table_key *key)
{
	uint64_t hash = (key->offset >> table_shift(key->level + 1u)) +
			key->producer * 61u + key->level * 7u + key->rights;

	return &cache[hash % CACHE_SIZE];
}

static uint64_t make(const struct table_key *key, struct bank *bank)
{
	uint64_t gpa = bank_alloc(bank, FRAME_TABLE);
	uint32_t *list = list_of(key->producer);
	struct frame_info *info;

	if (!gpa)
		return 0;
	info = frame_info(gpa);
	info->level = key->level;
	info->rights = key->rights;
	info->producer = key->producer;
	info->producer_offset = key->offset;
	info->producer_next = *list;
	info->attributes = 0;
	if (*list)
		frame_info_at(*list)->attributes = frame_number(gpa);
	*list = frame_number(gpa);
	return gpa;
}

uint64_t table_get(const struct table_key *key, struct bank *bank)
{
	uint32_t *at = cached(key);
	uint64_t gpa;

	if (*at && has_key(frame_info_at(*at), key))
		return frame_gpa(*at);
	gpa = make(key, bank);
	if (gpa)
		*at = frame_number(gpa);
	return gpa;
}

bool table_end(uint64_t gpa)
{
	struct frame_info *info = frame_info(gpa);

	if (!info->producer)
		return true;
	if (info->attributes)
		frame_info_at(info->attributes)->producer_next =
			info->producer_next;
	else
		*list_of(info->producer) = info->producer_next;
	if (info->producer_next)
		frame_info_at(info->producer_next)->attributes =
			info->attributes;
	info->producer = 0;
	table_epoch++;
	table_unmap_frame(gpa);
	return true;
}

bool table_end_produced(uint32_t *list)
{
	uint64_t ended[PIECE];
	unsigned count, i;

	for (count = 0; *list && count < PIECE; count++) {
		ended[count] = frame_gpa(*list);
		table_end(ended[count]);
	}
	table_flush();
	for (i = 0; i < count; i++)
		bank_free(ended[i]);
	return !*list;
}
