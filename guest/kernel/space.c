/* SPDX-License-Identifier: MIT */
/*
 * Four-level page tables. Two of a leaf's software bits say who the frame
 * belongs to, so that unmapping needs no other record. A page is freed only
 * after every TLB has forgotten it and the monitor has been told.
 */
#include "space.h"

#include "abi/custos_calls.h"
#include "cpu.h"
#include "frame.h"
#include "machine.h"
#include "memory.h"
#include "panic.h"

#define PTE_PRESENT UINT64_C(0x001)
#define PTE_WRITE UINT64_C(0x002)
#define PTE_USER UINT64_C(0x004)
#define PTE_OWN UINT64_C(0x200)	   /* ours: SPACE_PAGE_OWN */
#define PTE_MEMORY UINT64_C(0x400) /* ours: SPACE_PAGE_MEMORY */
#define PTE_ADDRESS UINT64_C(0x000ffffffffff000)
#define PTE_NO_EXECUTE (UINT64_C(1) << 63)
#define PTE_TABLE (PTE_PRESENT | PTE_WRITE | PTE_USER)

#define TOP_SHIFT 39
#define LEAF_SHIFT 12
#define TABLE_ENTRIES 512
#define USER_ENTRIES 256		 /* of the top table */
#define SPAN (TABLE_ENTRIES * PAGE_SIZE) /* what a leaf table covers */

/* Pages replaced at once: old entries wait on the stack for the flush. */
#define BATCH 64

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

int space_init(struct space *space, void *owner)
{
	space->owner = owner;
	space->near_table = NULL;
	space->cr3 = frame_alloc(owner);
	if (!space->cr3)
		return -CUSTOS_E_LIMIT;
	machine_copy(table_at(space->cr3) + USER_ENTRIES,
		table_at(kernel_cr3) + USER_ENTRIES,
		(TABLE_ENTRIES - USER_ENTRIES) * sizeof(uint64_t));
	return 0;
}

bool space_is_range(uint64_t va, uint64_t length)
{
	return length && !((va | length) & PAGE_MASK) && va >= PAGE_SIZE &&
	       va < CUSTOS_USER_END && length <= CUSTOS_USER_END - va;
}

static uint64_t *leaf_in(uint64_t *table, uint64_t va)
{
	return &table[va >> LEAF_SHIFT & 511];
}

/* Tables stay where they are until the space goes. */
static void remember(struct space *space, uint64_t va, uint64_t *table)
{
	space->near = va & ~(SPAN - 1);
	space->near_table = table;
}

/* The leaf entry for va; NULL when a table is missing. */
static uint64_t *leaf_find(struct space *space, uint64_t va)
{
	uint64_t entry = space->cr3;
	unsigned shift;

	if (space->near_table && va - space->near < SPAN)
		return leaf_in(space->near_table, va);
	for (shift = TOP_SHIFT; shift > LEAF_SHIFT; shift -= 9) {
		entry = table_at(entry)[va >> shift & 511];
		if (!(entry & PTE_PRESENT))
			return NULL;
	}
	remember(space, va, table_at(entry));
	return leaf_in(space->near_table, va);
}

/* The same, making what is missing; NULL when frames run out. */
static uint64_t *leaf_make(struct space *space, uint64_t va)
{
	uint64_t *table = table_at(space->cr3);
	unsigned shift;

	for (shift = TOP_SHIFT; shift > LEAF_SHIFT; shift -= 9) {
		uint64_t *at = &table[va >> shift & 511];

		if (!*at) {
			uint64_t made = frame_alloc(space->owner);

			if (!made)
				return NULL;
			*at = made | PTE_TABLE;
		}
		table = table_at(*at);
	}
	remember(space, va, table);
	return leaf_in(table, va);
}

int space_prepare(struct space *space, uint64_t va, uint64_t length)
{
	uint64_t last = va + length - 1;

	for (va &= ~(SPAN - 1); va <= last; va += SPAN)
		if (!leaf_make(space, va))
			return -CUSTOS_E_LIMIT;
	return 0;
}

static uint64_t leaf_value(uint64_t gpa, enum space_page page, unsigned rights)
{
	uint64_t value = gpa | PTE_PRESENT | PTE_USER;

	if (page == SPACE_PAGE_OWN)
		value |= PTE_OWN;
	if (page == SPACE_PAGE_MEMORY)
		value |= PTE_MEMORY;
	if (rights & CUSTOS_RIGHT_WRITE)
		value |= PTE_WRITE;
	if (!(rights & CUSTOS_RIGHT_EXEC))
		value |= PTE_NO_EXECUTE;
	return value;
}

void space_set(struct space *space, uint64_t va, uint64_t gpa,
	enum space_page page, unsigned rights)
{
	uint64_t *leaf = leaf_find(space, va);

	invariant(leaf && !*leaf);
	*leaf = leaf_value(gpa, page, rights);
}

static void leaf_release(uint64_t value)
{
	if (value & PTE_OWN)
		frame_free(value & PTE_ADDRESS);
	if (value & PTE_MEMORY)
		memory_unmapped(value & PTE_ADDRESS);
}

static uint64_t memory_leaf(
	struct memory *memory, uint64_t offset, unsigned rights)
{
	if (!memory)
		return 0;
	memory_mapped(memory);
	return leaf_value(memory_gpa(memory, offset),
		memory_is_device(memory) ? SPACE_PAGE_BORROWED
					 : SPACE_PAGE_MEMORY,
		rights);
}

/* At most BATCH pages. */
static void replace_batch(struct space *space, uint64_t va, uint64_t length,
	struct memory *memory, uint64_t offset, unsigned rights)
{
	uint64_t old[BATCH], at;
	unsigned count = 0, i;
	bool flush = false;

	for (at = 0; at < length; at += PAGE_SIZE) {
		uint64_t *leaf = leaf_find(space, va + at);

		if (!leaf)
			continue;
		flush |= *leaf != 0;
		old[count++] = *leaf;
		*leaf = memory_leaf(memory, offset + at, rights);
	}
	if (flush)
		cpu_flush(space->cr3, va, length / PAGE_SIZE);
	machine_hypercall(
		CUSTOS_CALL_SPACE_CHANGED, space->cr3, va, length, 0, 0);
	for (i = 0; i < count; i++)
		leaf_release(old[i]);
}

void space_replace(struct space *space, uint64_t va, uint64_t length,
	struct memory *memory, uint64_t offset, unsigned rights)
{
	uint64_t part;

	for (; length; length -= part, va += part, offset += part) {
		bool hole = !leaf_find(space, va);

		part = hole ? SPAN - va % SPAN : BATCH * PAGE_SIZE;
		if (part > length)
			part = length;
		if (!hole)
			replace_batch(space, va, part, memory, offset, rights);
	}
}

bool space_resolve(
	struct space *space, uint64_t va, bool write, uint64_t *out_gpa)
{
	const uint64_t need = PTE_PRESENT | PTE_USER | (write ? PTE_WRITE : 0);
	uint64_t *leaf;

	if (va >= CUSTOS_USER_END)
		return false;
	leaf = leaf_find(space, va);
	if (!leaf || (*leaf & need) != need)
		return false;
	*out_gpa = (*leaf & PTE_ADDRESS) | (va & PAGE_MASK);
	return true;
}

/* A table's level is the shift of the addresses one entry covers. */
static void table_free(uint64_t table, unsigned shift, unsigned end)
{
	const uint64_t *entries = table_at(table);
	unsigned i;

	for (i = machine_table_next(entries, 0); i < end;
		i = machine_table_next(entries, i + 1)) {
		if (shift == LEAF_SHIFT)
			leaf_release(entries[i]);
		else
			table_free(entries[i] & PTE_ADDRESS, shift - 9,
				TABLE_ENTRIES);
	}
	frame_free(table);
}

void space_fini(struct space *space)
{
	if (space->cr3)
		table_free(space->cr3, TOP_SHIFT, USER_ENTRIES);
	space->near_table = NULL;
	space->cr3 = 0;
}
