/* SPDX-License-Identifier: MIT */
#include "arch/paging.h"

#include <string.h>

bool paging_walk(uint64_t cr3, uint64_t va, paging_read_fn read, void *ctx,
	struct paging_path *path)
{
	uint64_t table = cr3 & ARCH_PTE_ADDRESS;

	memset(path, 0, sizeof(*path));
	if (!paging_is_canonical(va))
		return false;
	path->writable = path->user = path->executable = true;
	for (int level = ARCH_PAGING_LEVELS; level >= 1; level--) {
		int shift = ARCH_PAGE_SHIFT + 9 * (level - 1);
		int i = path->depth;
		uint64_t entry;

		path->entry_gpa[i] = table + ((va >> shift) & 511) * 8;
		if (!read(ctx, path->entry_gpa[i], &path->entry[i]))
			return false;
		path->depth++;
		entry = path->entry[i];
		if (!(entry & ARCH_PTE_PRESENT))
			return false;
		path->writable &= !!(entry & ARCH_PTE_WRITE);
		path->user &= !!(entry & ARCH_PTE_USER);
		path->executable &= !(entry & ARCH_PTE_NX);
		if (level == 1 || (entry & ARCH_PTE_LARGE)) {
			/* Bit 7 of a PML4 entry is reserved; of a level-1
			 * entry it is the PAT bit. */
			if (level == 4)
				return false;
			path->page_size = UINT64_C(1) << shift;
			path->gpa = (entry & ARCH_PTE_ADDRESS &
					    ~(path->page_size - 1)) |
				(va & (path->page_size - 1));
			return true;
		}
		table = entry & ARCH_PTE_ADDRESS;
	}
	return false;
}
