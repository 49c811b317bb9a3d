/* SPDX-License-Identifier: MIT */
/*
 * Memory objects: pages that can be mapped into address spaces, by anyone who
 * holds a capability. A device's pages are a memory object without frames.
 * An object lives as long as a capability or a mapping of it does. Caller
 * holds the big lock.
 */
#ifndef CUSTOS_KERNEL_MEMORY_H
#define CUSTOS_KERNEL_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

struct memory;

/* NULL when frames run out or length (whole pages) is too much. The caller
 * holds the first reference. */
struct memory *memory_create(uint64_t length);

/* A device's pages; never destroyed. NULL when frames run out. */
struct memory *memory_create_device(uint64_t gpa, uint64_t length);

void memory_get(struct memory *memory);
void memory_put(struct memory *memory);

uint64_t memory_length(const struct memory *memory);
bool memory_is_device(const struct memory *memory);

/* Where the byte at offset (< length) is. */
uint64_t memory_gpa(const struct memory *memory, uint64_t offset);

/* One page of it has been mapped; the page at gpa has been unmapped. */
void memory_mapped(struct memory *memory);
void memory_unmapped(uint64_t gpa);

#endif
