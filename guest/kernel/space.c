/* SPDX-License-Identifier: MIT */
/*
 * Making translations. Making one may undo others, which may be the very tables
 * it needs: then it is made again, a few times at most; a process that still
 * misses it faults again.
 */
#include "space.h"

#include "bank.h"
#include "cpu.h"
#include "frame.h"
#include "keep.h"
#include "machine.h"
#include "page.h"
#include "panic.h"
#include "process.h"
#include "table.h"

#define USER_ENTRIES 256		       /* of the top table */
#define SPAN (UINT64_C(1) << table_shift(2)) /* what a leaf table covers */
#define ATTEMPTS 4
#define RIGHTS_RWX                                                             \
	(CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE | CUSTOS_RIGHT_EXEC)

static uint64_t kernel_cr3;

void space_init_kernel(void)
{
	kernel_cr3 = machine_cr3();
}

uint64_t space_kernel_cr3(void)
{
	return kernel_cr3;
}

static uint64_t *table_at(uint64_t entry)
{
	return machine_direct(entry & PTE_ADDRESS);
}

void space_init(struct process *process)
{
	uint64_t top = machine_gpa(process) + PROCESS_TOP * PAGE_SIZE;

	machine_copy(table_at(top) + USER_ENTRIES,
		table_at(kernel_cr3) + USER_ENTRIES,
		(TABLE_ENTRIES - USER_ENTRIES) * sizeof(uint64_t));
	frame_info(top)->level = TABLE_TOP;
	process->cr3 = top;
	process->near_table = NULL;
}

void space_forget(struct process *process)
{
	const uint64_t *top = table_at(process->cr3);
	unsigned i = machine_table_next(top, 0);

	table_changed();
	process->near_table = NULL;
	for (; i < USER_ENTRIES; i = machine_table_next(top, i + 1))
		table_clear(frame_number(process->cr3), i);
	while (!table_end_produced(&process->tables))
		continue;
	table_flush();
}

static unsigned index_in(unsigned level, uint64_t va)
{
	return va >> table_shift(level) & (TABLE_ENTRIES - 1);
}

static void remember(struct process *process, uint64_t va, uint64_t *table)
{
	process->near = va & ~(SPAN - 1);
	process->near_table = table;
	process->near_epoch = table_epoch;
}

/* The leaf table for va; NULL when there is none. */
static uint64_t *leaf_find(struct process *process, uint64_t va)
{
	uint64_t entry = process->cr3;
	unsigned level;

	if (process->near_table && va - process->near < SPAN &&
		process->near_epoch == table_epoch)
		return process->near_table;
	for (level = TABLE_TOP; level > 1; level--) {
		entry = table_at(entry)[index_in(level, va)];
		if (!(entry & PTE_PRESENT))
			return NULL;
	}
	remember(process, va, table_at(entry));
	return process->near_table;
}

uint64_t space_where(uint64_t cr3, uint64_t va)
{
	struct process *process =
		machine_direct(cr3 - PROCESS_TOP * PAGE_SIZE);
	const uint64_t *table = leaf_find(process, va);
	uint64_t entry = table ? table[index_in(1, va)] : 0;
	struct walk way;

	if (entry & PTE_PRESENT)
		return entry & PTE_ADDRESS;
	walk(&process->space, va, &way);
	if (way.end != WALK_PAGE && way.end != WALK_FIXED)
		return 0;
	return way.gpa & ~PAGE_MASK;
}

/* ---- making tables ---- */

/* Is the level on the way the table's producer, if va is at `in` of it? */
static bool is_producer(const struct frame_info *table,
	const struct walk_level *level, uint64_t in)
{
	return table->producer_offset == level->offset - in &&
	       table->producer == frame_number_of(level->gpt);
}

/*
 * Entries of the table for va are made through the nodes of the way, from its
 * first `count` levels the last ones down to the table's producer.
 */
static void add_dependents(
	uint64_t table, uint64_t va, const struct walk *way, unsigned count)
{
	const struct frame_info *info = frame_info(table);
	uint64_t in = va & ((UINT64_C(1) << table_shift(info->level + 1u)) - 1);
	uint32_t number = frame_number(table);

	while (count-- > 0) {
		const struct walk_level *level = &way->levels[count];

		table_add_dependent(level->gpt, number, level->offset - in);
		if (info->producer && is_producer(info, level, in))
			break;
	}
}

/* The deepest level that shows all a table of that level for va spans; its
 * index plus 1, 0: none but the process. */
static unsigned find_producer(
	const struct walk *way, unsigned table_level, uint64_t va)
{
	uint64_t span = UINT64_C(1) << table_shift(table_level + 1);
	uint64_t below = va & (span - 1), above = span - 1 - below;
	struct walk_view views[CUSTOS_WALK_NODES];
	unsigned i;

	if (boot_info->flags & CUSTOS_BOOT_NO_SHARING)
		return 0;
	walk_views(way, va, views);
	for (i = way->count; i > 0; i--)
		if (views[i - 1].below >= below && views[i - 1].above >= above)
			break;
	return i;
}

static struct bank *process_bank(struct process *process)
{
	if (process->bank.type == CUSTOS_CAP_BANK && cap_is_live(&process->bank))
		return process->bank.object;
	return frame_info(machine_gpa(process))->bank;
}

/* A table of that level for va; producer as found for it. */
static uint64_t find_table(struct process *process, unsigned table_level,
	uint64_t va, const struct walk *way, unsigned producer)
{
	uint64_t in = va & ((UINT64_C(1) << table_shift(table_level + 1)) - 1);
	struct table_key key = {.level = (uint8_t)table_level};
	const struct walk_level *level;

	if (!producer) {
		key.producer = frame_number_of(process);
		key.offset = va - in;
		key.rights = RIGHTS_RWX;
		return table_get(&key, process_bank(process));
	}
	level = &way->levels[producer - 1];
	key.producer = frame_number_of(level->gpt);
	key.offset = level->offset - in;
	key.rights = (uint8_t)(level->rights &
			       (RIGHTS_RWX | CUSTOS_RIGHT_CALL));
	return table_get(&key, gpt_bank(level->gpt));
}

/* Let the entry of the table for va lead to another table. */
static uint64_t link_table(struct process *process, uint64_t table,
	unsigned level, uint64_t va, const struct walk *way)
{
	unsigned index = index_in(level, va);
	unsigned producer = find_producer(way, level - 1, va);
	const struct frame_info *info = frame_info(table);
	uint64_t in = va & ((UINT64_C(1) << table_shift(level + 1)) - 1);
	uint64_t below = find_table(process, level - 1, va, way, producer);

	if (!below)
		return 0;
	if (producer && !(info->producer &&
				is_producer(info, &way->levels[producer - 1],
					in)))
		add_dependents(table, va, way, producer - 1);
	table_add_mapper(below, frame_number(table), index);
	table_at(table)[index] = below | PTE_TABLE;
	return below;
}

/* The leaf table for va, made with all above; NULL: refused. */
static uint64_t *leaf_make(
	struct process *process, uint64_t va, const struct walk *way)
{
	uint64_t table = process->cr3, entry;
	unsigned level;

	for (level = TABLE_TOP; level > 1; level--) {
		entry = table_at(table)[index_in(level, va)];
		if (!(entry & PTE_PRESENT))
			entry = link_table(process, table, level, va, way);
		if (!entry)
			return NULL;
		table = entry & PTE_ADDRESS;
	}
	remember(process, va, table_at(table));
	return process->near_table;
}

/* ---- making translations ---- */

static uint64_t leaf_value(uint64_t gpa, unsigned rights)
{
	uint64_t value = (gpa & ~PAGE_MASK) | PTE_PRESENT | PTE_USER;

	if (rights & CUSTOS_RIGHT_WRITE)
		value |= PTE_WRITE;
	if (!(rights & CUSTOS_RIGHT_EXEC))
		value |= PTE_NO_EXECUTE;
	return value;
}

static void set_leaf(
	uint64_t *table, uint64_t va, uint64_t gpa, unsigned rights)
{
	unsigned index = index_in(1, va);
	uint64_t value = leaf_value(gpa, rights), old = table[index];

	if (old == value)
		return;
	if (old)
		table_clear(frame_number_of(table), index);
	if (frame_is_managed(gpa))
		table_add_mapper(gpa & ~PAGE_MASK,
			frame_number_of(table), index);
	table[index] = value;
}

int space_fill(struct process *process, uint64_t va, const struct walk *way,
	uint64_t gpa, unsigned rights)
{
	unsigned attempt;

	if ((gpa ^ way->gpa) & ~PAGE_MASK)
		table_changed(); /* a keeper granted another page */
	for (attempt = 0; attempt < ATTEMPTS; attempt++) {
		uint64_t undone = table_undone;
		uint64_t *table = leaf_find(process, va);

		if (!table)
			table = leaf_make(process, va, way);
		if (!table)
			return -CUSTOS_E_LIMIT;
		add_dependents(machine_gpa(table), va, way, way->count);
		set_leaf(table, va, gpa, rights);
		if (undone == table_undone)
			break;
	}
	table_flush();
	return 0;
}

/* What of the rights a translation to the page of a bank may allow. */
static unsigned page_rights(uint64_t gpa, unsigned rights)
{
	if (frame_info(gpa)->attributes)
		rights &= ~page_kept(gpa);
	if (!(rights & CUSTOS_RIGHT_READ) || keep_page_is_locked(gpa))
		return 0;
	return rights;
}

unsigned space_rights(const struct walk *way)
{
	unsigned rights = way->rights & RIGHTS_RWX;

	if (way->end == WALK_PAGE)
		return page_rights(way->gpa & ~PAGE_MASK, rights);
	if (way->end != WALK_FIXED || !(rights & CUSTOS_RIGHT_READ))
		return 0;
	return rights;
}

/* The level of the way that the leaf table for va is or would be derived from;
 * its index plus 1, 0: it is the process's own. */
static unsigned leaf_producer(
	struct process *process, uint64_t va, const struct walk *way)
{
	const uint64_t *table = leaf_find(process, va);
	const struct frame_info *info;
	unsigned i = way->count;

	if (!table)
		return find_producer(way, 1, va);
	info = frame_info(machine_gpa(table));
	while (i > 0 && !is_producer(info, &way->levels[i - 1], va & (SPAN - 1)))
		i--;
	return i;
}

/* All who share a table have in common the keepers of its producer and below. */
bool space_can_grant(struct process *process, uint64_t va,
	const struct walk *way, const struct cap *entry)
{
	unsigned i = leaf_producer(process, va, way);

	if (!i || (way->end == WALK_ENTRY && cap_is_same(entry, &way->cap)))
		return true;
	if (way->end == WALK_PAGE && page_kept(way->gpa) &&
		cap_is_same(entry, page_keeper(way->gpa)))
		return true;
	for (i--; i < way->count; i++)
		if (cap_is_same(entry, &way->levels[i].gpt->keeper))
			return true;
	return false;
}

int space_resolve(struct process *process, uint64_t va, bool write,
	uint64_t *out_gpa)
{
	const uint64_t need = PTE_PRESENT | PTE_USER | (write ? PTE_WRITE : 0);
	const unsigned right = write ? CUSTOS_RIGHT_WRITE : CUSTOS_RIGHT_READ;
	const uint64_t *table;
	struct walk way;
	unsigned rights;
	int error;

	if (va >= CUSTOS_USER_END)
		return 1;
	table = leaf_find(process, va);
	if (table) {
		uint64_t entry = table[index_in(1, va)];

		if ((entry & need) == need) {
			*out_gpa = (entry & PTE_ADDRESS) | (va & PAGE_MASK);
			return 0;
		}
	}
	walk(&process->space, va, &way);
	rights = space_rights(&way);
	if (!(rights & right))
		return 1;
	error = space_fill(process, va, &way, way.gpa, rights);
	if (!error)
		*out_gpa = way.gpa;
	return error;
}

/* ---- many at once ---- */

/* What a slot of a node of pages holds, for whom the way to the node leaves
 * `rights`; 0: nothing that can be mapped unasked. */
static uint64_t slot_value(const struct cap *cap, unsigned rights)
{
	uint64_t gpa = cap->payload;

	rights &= cap->rights & RIGHTS_RWX;
	if (cap->type == CUSTOS_CAP_PAGE && !cap->payload && cap_is_live(cap)) {
		gpa = machine_gpa(cap->object);
		rights = page_rights(gpa, rights);
	} else if (cap->type != CUSTOS_CAP_FIXED ||
		   !(rights & CUSTOS_RIGHT_READ)) {
		return 0;
	}
	return rights ? leaf_value(gpa, rights) : 0;
}

/* The slots behind the one of va that the same node and the same table have,
 * up to end. Returns where to go on. */
static uint64_t populate_node(struct process *process, uint64_t va,
	uint64_t end, const struct walk *way)
{
	const struct walk_level *level = &way->levels[way->count - 1];
	const struct gpt *gpt = level->gpt;
	uint64_t *table = leaf_find(process, va);
	struct walk_view views[CUSTOS_WALK_NODES];
	uint64_t last;
	uint32_t number;
	unsigned slot, index;

	if (!table || gpt->l2v != CUSTOS_GPT_L2V_MIN)
		return va + PAGE_SIZE;
	walk_views(way, va, views);
	last = level->offset + views[way->count - 1].above;
	number = frame_number_of(table);
	slot = (unsigned)(level->offset / PAGE_SIZE) + 1;
	index = index_in(1, va) + 1;
	for (va += PAGE_SIZE; va < end && slot < CUSTOS_GPT_SLOTS &&
			      index < TABLE_ENTRIES &&
			      (uint64_t)slot * PAGE_SIZE <= last;
		va += PAGE_SIZE, slot++, index++) {
		const struct cap *cap = &gpt->slots[slot];
		uint64_t value;

		if (table[index] || !cap->type)
			continue;
		value = slot_value(cap, level->rights);
		if (!value)
			continue;
		if (cap->type == CUSTOS_CAP_PAGE)
			table_add_mapper(value & PTE_ADDRESS, number, index);
		table[index] = value;
	}
	return va;
}

void space_populate(struct process *process, uint64_t va, uint64_t length)
{
	uint64_t end = va + length;
	struct walk way;

	while (va < end) {
		unsigned rights;

		walk(&process->space, va, &way);
		rights = space_rights(&way);
		if (rights && space_fill(process, va, &way, way.gpa, rights))
			return;
		if (rights && way.count)
			va = populate_node(process, va, end, &way);
		else
			va += PAGE_SIZE;
	}
	table_flush();
}
