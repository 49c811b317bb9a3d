/* SPDX-License-Identifier: MIT */
/*
 * Capabilities and the pages that hold them. A process can do what its
 * capabilities allow and nothing else. Caller holds the big lock.
 */
#ifndef CUSTOS_KERNEL_CAP_H
#define CUSTOS_KERNEL_CAP_H

#include <stdint.h>

#include "abi/custos_calls.h"

struct process;

struct cap {
	uint16_t type;	 /* enum custos_captype */
	uint16_t rights; /* CUSTOS_RIGHT_* */
	uint32_t reserved;
	uint64_t payload;
	void *object; /* of the type's kind; NULL for some types */
	uint64_t reserved2;
};

_Static_assert(
	sizeof(struct cap) * CUSTOS_SLOTS == CUSTOS_ABI_PAGE, "one page");

/* What cap_page_create returns is one frame of CUSTOS_SLOTS empty slots. */
struct cap *cap_page_create(void *owner);
void cap_page_destroy(struct cap *caps); /* releases them all; NULL is fine */

/* The capability in slot, of any type but null; NULL: none there. */
struct cap *cap_find(struct process *process, uint64_t slot);

/* The empty slot, to be filled; NULL: not empty, or no such slot. */
struct cap *cap_find_empty(struct process *process, uint64_t slot);

/* The capability in slot if it has this type and all these rights, else
 * NULL. */
struct cap *cap_find_typed(struct process *process, uint64_t slot,
	enum custos_captype type, unsigned rights);

/* Fill the empty slot to. The object gains a reference. */
void cap_set(struct cap *to, enum custos_captype type, unsigned rights,
	void *object, uint64_t payload);

/* Fill the empty slot to with a copy of from that keeps at most rights. */
void cap_copy(struct cap *to, const struct cap *from, unsigned rights);

/* Make the slot empty. The object loses a reference. */
void cap_drop(struct cap *cap);

const char *cap_type_name(enum custos_captype type);

/*
 * Each counted type's own: told of every capability that comes and goes. cap
 * is complete when retained and still complete when released.
 */
#define CAP_HOOKS_counted(name)                                                \
	void name##_cap_retain(const struct cap *cap);                         \
	void name##_cap_release(const struct cap *cap);
#define CAP_HOOKS_plain(name)
#define CAPTYPE(NAME, name, number, counted, help) CAP_HOOKS_##counted(name)
#define CAPCALL(TYPE, type, NAME, name, number, argc, rights, help)
#include "abi/captype.def"

#endif
