/* SPDX-License-Identifier: MIT */
/* Table: a mapping table, as its bank sees it. */
#include "call.h"
#include "frame.h"
#include "machine.h"
#include "table.h"

int64_t table_call_info(const struct call *call)
{
	const uint64_t *entries = call->cap->object;
	int64_t used = 0;
	unsigned i = machine_table_next(entries, 0);

	for (; i < TABLE_ENTRIES; i = machine_table_next(entries, i + 1))
		used++;
	return frame_info(machine_gpa(entries))->level | used << 8;
}
