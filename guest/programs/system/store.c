/* SPDX-License-Identifier: MIT */
/* Pages of capabilities from the process's own bank, made as they are needed.
 * Slot 0 of each is always empty. */
#include "store.h"

#include <custos/guest.h>

#include "abi/custos_system.h"

#define PER_PAGE (CUSTOS_SLOTS - 1)

static uint32_t pages[CUSTOS_SYSTEM_OBJECTS_MAX / PER_PAGE + 1];

int64_t store_put(uint32_t object, uint32_t slot)
{
	uint32_t *page = &pages[object / PER_PAGE];
	int64_t made;

	if (!*page) {
		made = object_create(cap_find("bank"), CUSTOS_CAP_CAPPAGE);
		if (made < 0)
			return made;
		*page = (uint32_t)made;
	}
	return custos_cappage_put(*page, object % PER_PAGE + 1, slot);
}

int64_t store_get(uint32_t object)
{
	uint32_t page = pages[object / PER_PAGE], slot;
	int64_t result;

	if (!page)
		return -CUSTOS_E_INVALID_CAP;
	slot = cap_slot_alloc();
	result = custos_cappage_get(page, object % PER_PAGE + 1, slot);
	if (!result)
		return slot;
	cap_slot_free(slot);
	return result;
}
