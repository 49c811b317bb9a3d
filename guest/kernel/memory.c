/* SPDX-License-Identifier: MIT */
/*
 * The object is one frame: a count and the addresses of its first pages; those
 * of the others are in index frames.
 */
#include "memory.h"

#include "frame.h"
#include "machine.h"
#include "panic.h"

#define DIRECT 440
#define INDEXES 64
#define PER_INDEX (PAGE_SIZE / sizeof(uint64_t))
#define PAGES_MAX (DIRECT + INDEXES * PER_INDEX)

struct memory {
	uint64_t references; /* capabilities and mapped pages */
	uint64_t pages;
	uint64_t device;	 /* gpa of the first page, 0: has frames */
	uint64_t direct[DIRECT]; /* gpa */
	uint64_t index[INDEXES]; /* gpa of frames of gpa */
};

_Static_assert(sizeof(struct memory) <= PAGE_SIZE, "one frame");

static struct memory *create(uint64_t pages, uint64_t device)
{
	uint64_t gpa = frame_alloc(NULL);
	struct memory *memory;

	if (!gpa)
		return NULL;
	memory = machine_direct(gpa);
	frame_set_owner(gpa, memory);
	memory->references = 1;
	memory->pages = pages;
	memory->device = device;
	return memory;
}

/* Where the address of page number i is kept; NULL: no index frame yet. */
static uint64_t *slot_of(const struct memory *memory, uint64_t i)
{
	uint64_t index;

	if (i < DIRECT)
		return (uint64_t *)&memory->direct[i];
	index = memory->index[(i - DIRECT) / PER_INDEX];
	if (!index)
		return NULL;
	return (uint64_t *)machine_direct(index) + (i - DIRECT) % PER_INDEX;
}

static bool fill(struct memory *memory)
{
	uint64_t i;

	for (i = 0; i < memory->pages; i++) {
		if (i >= DIRECT && (i - DIRECT) % PER_INDEX == 0) {
			uint64_t *index =
				&memory->index[(i - DIRECT) / PER_INDEX];

			*index = frame_alloc(memory);
			if (!*index)
				return false;
		}
		*slot_of(memory, i) = frame_alloc(memory);
		if (!*slot_of(memory, i))
			return false;
	}
	return true;
}

struct memory *memory_create(uint64_t length)
{
	struct memory *memory;

	if (length / PAGE_SIZE > PAGES_MAX ||
		length / PAGE_SIZE > frame_count_free())
		return NULL;
	memory = create(length / PAGE_SIZE, 0);
	if (memory && !fill(memory)) {
		memory_put(memory);
		return NULL;
	}
	return memory;
}

struct memory *memory_create_device(uint64_t gpa, uint64_t length)
{
	return create(length / PAGE_SIZE, gpa);
}

/* Also of one whose filling stopped halfway: what is missing is 0. */
static void destroy(struct memory *memory)
{
	uint64_t i;

	for (i = 0; i < memory->pages; i++) {
		const uint64_t *slot = slot_of(memory, i);

		if (!slot || !*slot)
			break;
		frame_free(*slot);
	}
	for (i = 0; i < INDEXES && memory->index[i]; i++)
		frame_free(memory->index[i]);
	frame_free(machine_gpa(memory));
}

void memory_get(struct memory *memory)
{
	memory->references++;
}

void memory_put(struct memory *memory)
{
	invariant(memory->references);
	if (--memory->references == 0)
		destroy(memory);
}

uint64_t memory_length(const struct memory *memory)
{
	return memory->pages * PAGE_SIZE;
}

bool memory_is_device(const struct memory *memory)
{
	return memory->device != 0;
}

uint64_t memory_gpa(const struct memory *memory, uint64_t offset)
{
	invariant(offset / PAGE_SIZE < memory->pages);
	if (memory->device)
		return memory->device + offset;
	return *slot_of(memory, offset / PAGE_SIZE) + offset % PAGE_SIZE;
}

void memory_mapped(struct memory *memory)
{
	if (!memory->device)
		memory->references++;
}

void memory_unmapped(uint64_t gpa)
{
	memory_put(frame_owner(gpa));
}
