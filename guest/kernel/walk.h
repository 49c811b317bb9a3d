/* SPDX-License-Identifier: MIT */
/*
 * From the root of a space down to what an address names. Never recurses, never
 * takes more than CUSTOS_WALK_NODES nodes, changes nothing. Caller holds the
 * big lock.
 */
#ifndef CUSTOS_KERNEL_WALK_H
#define CUSTOS_KERNEL_WALK_H

#include "cap.h"
#include "gpt.h"

enum walk_end {
	WALK_PAGE,  /* data page of a bank; gpa */
	WALK_FIXED, /* a page of no bank; gpa */
	WALK_CAPPAGE,
	WALK_ENTRY, /* cap is the entry, offset counts from where it begins */
	WALK_FAULT  /* nothing; fault says why: CUSTOS_FAULT_* */
};

/* A node on the way. */
struct walk_level {
	struct gpt *gpt;
	uint64_t offset; /* of the address, in the node */
	const struct cap *link; /* the capability that led to the node */
	unsigned rights; /* what the links above and to the node leave over */
};

struct walk {
	enum walk_end end;
	enum custos_fault_code fault;
	struct cap cap;	 /* what the last link held */
	uint64_t gpa;	 /* page, fixed: exact to the byte */
	uint64_t offset; /* in the page, cappage or entry */
	unsigned rights; /* of the whole way, the last link included */
	unsigned count;
	struct walk_level levels[CUSTOS_WALK_NODES];
};

void walk(const struct cap *root, uint64_t va, struct walk *out);

/* How much of a level's node a way shows, on both sides of the address. */
struct walk_view {
	uint64_t below, above;
};

/* Of every level, for the address va the way was found with. */
void walk_views(const struct walk *way, uint64_t va, struct walk_view *views);

#endif
