/* SPDX-License-Identifier: MIT */
/*
 * The 4-level page walk of 64-bit mode (SDM vol. 3, 4.5), through a callback
 * that reads the tables: the tables belong to a guest and are hostile.
 * Supervisor tricks (SMEP, SMAP, protection keys) are not modelled: the walk
 * is for user accesses and for reading memory on a debugger's behalf.
 */
#ifndef CUSTOS_ARCH_PAGING_H
#define CUSTOS_ARCH_PAGING_H

#include <stdbool.h>
#include <stdint.h>

#include <custos/arch.h>

#define ARCH_PTE_PRESENT (UINT64_C(1) << 0)
#define ARCH_PTE_WRITE (UINT64_C(1) << 1)
#define ARCH_PTE_USER (UINT64_C(1) << 2)
#define ARCH_PTE_ACCESSED (UINT64_C(1) << 5)
#define ARCH_PTE_DIRTY (UINT64_C(1) << 6)
#define ARCH_PTE_LARGE (UINT64_C(1) << 7)
#define ARCH_PTE_GLOBAL (UINT64_C(1) << 8)
#define ARCH_PTE_NX (UINT64_C(1) << 63)
#define ARCH_PTE_ADDRESS UINT64_C(0x000ffffffffff000)

#define ARCH_PAGING_LEVELS 4

/*
 * Reads the 8-byte entry at guest-physical address gpa (8-byte aligned) into
 * *out. Returns false when there is no memory there.
 */
typedef bool (*paging_read_fn)(void *ctx, uint64_t gpa, uint64_t *out);

struct paging_path {
	/* Entry and where it was read, for levels 4 (index 0) down to the
	 * leaf (index depth - 1). */
	uint64_t entry[ARCH_PAGING_LEVELS];
	uint64_t entry_gpa[ARCH_PAGING_LEVELS];
	int depth;
	uint64_t page_size; /* of the leaf: 4 KiB, 2 MiB or 1 GiB */
	uint64_t gpa; /* the translated address, offset included */
	bool writable, user, executable; /* ANDed along the path */
};

/* Is va canonical, i.e. does bit 47 fill the bits above it? */
static inline bool paging_is_canonical(uint64_t va)
{
	return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

/*
 * Translate va under the root in cr3. On success returns true and fills
 * *path. Returns false when an entry is not present, cannot be read or has a
 * page-size bit where none may be; then path->depth entries were read, the
 * last of them the one that stopped the walk (0 when not canonical).
 * Never writes: accessed and dirty bits stay as they are.
 */
bool paging_walk(uint64_t cr3, uint64_t va, paging_read_fn read, void *ctx,
	struct paging_path *path);

#endif
