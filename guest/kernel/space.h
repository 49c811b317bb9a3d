/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: the page tables of the lower half. The upper half is the
 * kernel's and the same in all. Caller holds the big lock.
 */
#ifndef CUSTOS_KERNEL_SPACE_H
#define CUSTOS_KERNEL_SPACE_H

#include <stdbool.h>
#include <stdint.h>

struct memory;

struct space {
	uint64_t cr3;	      /* 0: none */
	void *owner;	      /* of the frames used for tables */
	uint64_t near;	      /* start of the 2 MiB looked at last */
	uint64_t *near_table; /* their leaf table; NULL: nothing looked at */
};

/* Who a mapped frame belongs to. */
enum space_page {
	SPACE_PAGE_OWN,	     /* the space: freed when unmapped */
	SPACE_PAGE_MEMORY,   /* a memory object: told when unmapped */
	SPACE_PAGE_BORROWED, /* nobody who counts: a program's file bytes */
};

/* Remember the kernel's half, from the page tables now loaded. */
void space_init_kernel(void);
uint64_t space_kernel_cr3(void);

/* -CUSTOS_E_LIMIT when frames run out. */
int space_init(struct space *space, void *owner);

/* Free every table and own page, let go of memory objects. The space must not
 * be loaded on any CPU. */
void space_fini(struct space *space);

/* Whether [va, va + length) is a nonempty range of whole user pages. */
bool space_is_range(uint64_t va, uint64_t length);

/* Make sure that [va, va + length) has its tables. */
int space_prepare(struct space *space, uint64_t va, uint64_t length);

/*
 * Map one page at a prepared va where nothing is mapped yet, with
 * CUSTOS_RIGHT_* rights. Needs no flush.
 */
void space_set(struct space *space, uint64_t va, uint64_t gpa,
	enum space_page page, unsigned rights);

/*
 * Replace what is mapped at [va, va + length), prepared, by memory from
 * offset on; memory == NULL: by nothing. Flushes, tells the monitor, lets
 * the replaced pages go.
 */
void space_replace(struct space *space, uint64_t va, uint64_t length,
	struct memory *memory, uint64_t offset, unsigned rights);

/* The frame behind va if a process may read (or write) there, else false.
 * *out_gpa is exact to the byte. */
bool space_resolve(
	struct space *space, uint64_t va, bool write, uint64_t *out_gpa);

#endif
