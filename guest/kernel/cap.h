/* SPDX-License-Identifier: MIT */
/*
 * Capabilities and the pages that hold them. A process can do what its
 * capabilities allow and nothing else. A capability whose object is gone is
 * Null, wherever it lies: nothing needs to find it. Caller holds the big lock.
 */
#ifndef CUSTOS_KERNEL_CAP_H
#define CUSTOS_KERNEL_CAP_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/custos_calls.h"

struct process;

/*
 * payload: memory (page, cappage, gpt, entry as memory has none): what is added
 * to an address before it is looked up, modulo 2^64; fixed: gpa of the first
 * page; entry: the holder's mark; resume: which answer; notice: the bits;
 * schedule: cpu | slice in ns << 32.
 * pages: memory, fixed: length of the window; 0: all of it.
 */
struct cap {
	uint16_t type;	 /* enum custos_captype */
	uint16_t rights; /* CUSTOS_RIGHT_* */
	uint32_t pages;
	uint64_t payload;
	void *object;	     /* of the type's kind; NULL for plain types */
	uint64_t generation; /* of the object; 0 for plain types */
};

_Static_assert(
	sizeof(struct cap) * CUSTOS_SLOTS == CUSTOS_ABI_PAGE, "one page");

/* Does it still name something? False for null. */
bool cap_is_live(const struct cap *cap);

/* The capability in a slot of the process, of any type but null; NULL: none
 * there, its object is gone, or the process has no capability page. */
struct cap *cap_find(struct process *process, uint64_t slot);

/* The empty slot (or one of a gone object), to be filled; NULL: not empty, or
 * no such slot. */
struct cap *cap_find_empty(struct process *process, uint64_t slot);

/* The capability in slot if it has this type and all these rights, else
 * NULL. */
struct cap *cap_find_typed(struct process *process, uint64_t slot,
	enum custos_captype type, unsigned rights);

/* A capability to an object that has just been made or is known to live;
 * object NULL: of a plain type. */
struct cap cap_make(enum custos_captype type, unsigned rights, void *object,
	uint64_t payload);

/* Fill the slot to with a copy of from that keeps at most rights. */
void cap_copy(struct cap *to, const struct cap *from, unsigned rights);

/* What a weak link gives: cap without WRITE, CONTROL, INSPECT and STRONG. */
void cap_weaken(struct cap *cap);

bool cap_is_memory(const struct cap *cap); /* page cappage gpt fixed entry */
bool cap_is_same(const struct cap *a, const struct cap *b);

const char *cap_type_name(enum custos_captype type);

#endif
