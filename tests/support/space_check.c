/* SPDX-License-Identifier: MIT */
#include "tests/support/space_check.h"

#include "guest/kernel/frame.h"
#include "guest/kernel/gpt.h"
#include "guest/kernel/page.h"
#include "guest/kernel/process.h"
#include "guest/kernel/table.h"
#include "tests/support/kernel_machine.h"
#include "tests/support/tests.h"

#define NODES_MAX 64 /* a table shared with a shorter way may show more */

/* A window's own words: addresses [0, length) of it are at payload of what it
 * is of. */
static bool through_window(const struct cap *cap, uint64_t *at)
{
	if (cap->pages && *at / PAGE_SIZE >= cap->pages)
		return false;
	if (cap->type != CUSTOS_CAP_ENTRY)
		*at += cap->payload;
	return true;
}

unsigned space_model(
	const struct process *process, uint64_t va, uint64_t *out_gpa)
{
	const struct cap *cap = &process->space;
	unsigned rights = CUSTOS_RIGHTS_MEMORY, nodes;

	for (nodes = 0; nodes <= NODES_MAX; nodes++) {
		const struct gpt *gpt = cap->object;

		if (!cap_is_live(cap) || !through_window(cap, &va))
			return 0;
		rights &= cap->rights;
		if (cap->type == CUSTOS_CAP_FIXED) {
			*out_gpa = va & ~PAGE_MASK;
			return rights;
		}
		if (cap->type == CUSTOS_CAP_PAGE && va < PAGE_SIZE) {
			*out_gpa = machine_gpa(cap->object);
			return rights;
		}
		if (cap->type != CUSTOS_CAP_GPT || va >> gpt->l2v >= 64)
			return 0;
		cap = &gpt->slots[va >> gpt->l2v];
		va &= (UINT64_C(1) << gpt->l2v) - 1;
	}
	return 0;
}

static void check_leaf(
	const struct process *process, uint64_t va, uint64_t entry)
{
	uint64_t gpa = 0;
	unsigned rights = space_model(process, va, &gpa);

	must(entry & PTE_USER);
	must(rights & CUSTOS_RIGHT_READ);
	must((entry & PTE_ADDRESS) == gpa);
	if (frame_is_managed(gpa)) {
		must(frame_info(gpa)->type == FRAME_PAGE);
		rights &= ~page_kept(gpa);
		must(!keep_page_is_locked(gpa));
	}
	must(rights & CUSTOS_RIGHT_READ);
	if (entry & PTE_WRITE)
		must(rights & CUSTOS_RIGHT_WRITE);
	if (!(entry & PTE_NO_EXECUTE))
		must(rights & CUSTOS_RIGHT_EXEC);
}

/* Never deeper than 4. */
static unsigned check_table(const struct process *process, uint64_t table,
	unsigned level, uint64_t va)
{
	const uint64_t *entries = machine_direct(table);
	unsigned end = level == TABLE_TOP ? 256 : 512, count = 0;

	must(frame_info(table)->level == level);
	must(level == TABLE_TOP || frame_info(table)->type == FRAME_TABLE);
	for (unsigned i = 0; i < end; i++) {
		uint64_t at = va + ((uint64_t)i << table_shift(level));

		if (!entries[i])
			continue;
		must(entries[i] & PTE_PRESENT);
		if (level == 1) {
			check_leaf(process, at, entries[i]);
			count++;
		} else {
			count += check_table(process, entries[i] & PTE_ADDRESS,
				level - 1, at);
		}
	}
	return count;
}

unsigned space_check(const struct process *process)
{
	return check_table(process, process->cr3, TABLE_TOP, 0);
}

unsigned space_check_all(void)
{
	uint64_t gpa = CUSTOS_RAM_BASE;
	unsigned count = 0;

	for (; gpa < CUSTOS_RAM_BASE + kernel_machine.ram_size;
		gpa += PAGE_SIZE)
		if (frame_is_managed(gpa) &&
			frame_info(gpa)->type == FRAME_PROCESS)
			count += space_check(machine_direct(gpa));
	return count;
}
