/* SPDX-License-Identifier: MIT */
/*
 * Nodes: windows, MAP and UNMAP against a plain array of what should be where,
 * SPLIT, trees of pages made in pieces, holes.
 */
#include "guest/kernel/gpt.h"

#include <stdlib.h>
#include <string.h>

#include "guest/kernel/bank.h"
#include "guest/kernel/call.h"
#include "guest/kernel/object.h"
#include "guest/kernel/process.h"
#include "tests/support/kernel_machine.h"
#include "tests/support/space_check.h"
#include "tests/support/tests.h"

#define AREA 6000 /* pages that are mapped and unmapped */
#define MEMORIES 6
#define MAPPINGS 4000

static struct process *process;
static uint64_t seed;

static int setup(void **state)
{
	(void)state;
	kernel_setup();
	process = process_create(bank_root());
	assert_non_null(process);
	return 0;
}

static uint32_t any(uint32_t limit)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % limit;
}

static struct gpt *make_node(struct bank *bank, unsigned l2v)
{
	uint64_t gpa = bank_alloc(bank, FRAME_GPT);
	struct gpt *gpt;

	assert_true(gpa);
	gpt_begin(gpa);
	gpt = machine_direct(gpa);
	gpt->l2v = (uint8_t)l2v;
	return gpt;
}

static struct cap link_to(struct gpt *gpt)
{
	return cap_make(CUSTOS_CAP_GPT, CUSTOS_RIGHTS_MEMORY, gpt, 0);
}

static struct cap make_memory(struct bank *bank, uint64_t pages)
{
	struct cap memory = {0};
	int64_t result;

	do
		result = memory_create(
			process, bank, pages * PAGE_SIZE, &memory);
	while (result == CALL_RESTART);
	assert_int_equal(result, 0);
	assert_int_equal(memory_length(&memory), pages * PAGE_SIZE);
	return memory;
}

static struct cap make_page(void)
{
	uint64_t gpa = bank_alloc(bank_root(), FRAME_PAGE);

	assert_true(gpa);
	return cap_make(CUSTOS_CAP_PAGE, CUSTOS_RIGHTS_MEMORY,
		machine_direct(gpa), 0);
}

/* The frame at an offset of memory. */
static uint64_t frame_at(const struct cap *memory, uint64_t offset)
{
	struct process there = {.space = *memory};
	uint64_t gpa = 0;

	return space_model(&there, offset, &gpa) ? gpa : 0;
}

/* ---- windows ---- */

static void windows_show_their_part(void **state)
{
	struct cap memory = make_memory(bank_root(), 100), part, inner;

	(void)state;
	assert_true(memory_window(&memory, 10 * PAGE_SIZE, 20 * PAGE_SIZE,
		CUSTOS_RIGHT_ALL, &part));
	assert_int_equal(memory_length(&part), 20 * PAGE_SIZE);
	assert_int_equal(frame_at(&part, 0), frame_at(&memory, 10 * PAGE_SIZE));
	assert_int_equal(frame_at(&part, 19 * PAGE_SIZE),
		frame_at(&memory, 29 * PAGE_SIZE));
	assert_int_equal(frame_at(&part, 20 * PAGE_SIZE), 0);
	assert_int_equal(frame_at(&part, -PAGE_SIZE), 0);
	assert_true(memory_window(&part, 5 * PAGE_SIZE, 15 * PAGE_SIZE,
		CUSTOS_RIGHT_READ, &inner));
	assert_int_equal(inner.rights, CUSTOS_RIGHT_READ);
	assert_int_equal(
		frame_at(&inner, 0), frame_at(&memory, 15 * PAGE_SIZE));
	assert_int_equal(frame_at(&inner, 15 * PAGE_SIZE), 0);
	/* Never more than the one before. */
	assert_false(memory_window(&part, 0, 21 * PAGE_SIZE, 0, &inner));
	assert_false(memory_window(&part, 20 * PAGE_SIZE, PAGE_SIZE, 0, &inner));
	assert_false(memory_window(&part, -PAGE_SIZE, PAGE_SIZE, 0, &inner));
	assert_false(memory_window(&part, 1, PAGE_SIZE, 0, &inner));
	assert_false(memory_window(&part, 0, 0, 0, &inner));
	assert_false(memory_window(&memory, 100 * PAGE_SIZE, PAGE_SIZE, 0, &inner));
}

static void a_guard_shows_nothing_in_front(void **state)
{
	struct cap memory = make_memory(bank_root(), 3), guard, inner;

	(void)state;
	assert_true(memory_window(&memory, -(5 * PAGE_SIZE), 8 * PAGE_SIZE,
		CUSTOS_RIGHT_ALL, &guard));
	assert_int_equal(memory_length(&guard), 8 * PAGE_SIZE);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(frame_at(&guard, i * PAGE_SIZE), 0);
	for (unsigned i = 5; i < 8; i++)
		assert_int_equal(frame_at(&guard, i * PAGE_SIZE),
			frame_at(&memory, (i - 5) * PAGE_SIZE));
	assert_false(memory_window(&memory, -(5 * PAGE_SIZE), 9 * PAGE_SIZE,
		CUSTOS_RIGHT_ALL, &inner));
	assert_true(memory_window(&guard, 6 * PAGE_SIZE, PAGE_SIZE,
		CUSTOS_RIGHT_ALL, &inner));
	assert_int_equal(frame_at(&inner, 0), frame_at(&memory, PAGE_SIZE));
}

/* ---- map ---- */

static uint64_t wanted[AREA]; /* frame of each page, 0: nothing */

static void check_area(uint64_t base)
{
	for (unsigned i = 0; i < AREA; i++) {
		uint64_t gpa = 0;

		if (!space_model(process, base + i * PAGE_SIZE, &gpa))
			gpa = 0;
		assert_int_equal(gpa, wanted[i]);
	}
}

static unsigned restarts;

static void map(struct gpt *root, uint64_t base, const struct cap *memory,
	uint64_t offset, unsigned at, unsigned count)
{
	int64_t result;

	do {
		uint64_t va = base + at * PAGE_SIZE;

		result = memory ? gpt_map(root, va, memory, offset * PAGE_SIZE,
					  count * PAGE_SIZE, CUSTOS_RIGHT_ALL)
				: gpt_unmap(root, va, count * PAGE_SIZE);
		restarts += result == CALL_RESTART;
	} while (result == CALL_RESTART);
	assert_int_equal(result, 0);
	for (unsigned i = 0; i < count; i++)
		wanted[at + i] =
			memory ? frame_at(memory, (offset + i) * PAGE_SIZE) : 0;
}

static void maps_are_where_they_should_be(uint64_t base)
{
	static const unsigned lengths[MEMORIES] = {1, 1, 5, 64, 100, 300};
	struct gpt *root = make_node(bank_root(), CUSTOS_GPT_L2V_MAX);
	struct cap memories[MEMORIES];
	uint64_t used;

	for (unsigned i = 0; i < MEMORIES; i++)
		memories[i] = make_memory(bank_root(), lengths[i]);
	memset(wanted, 0, sizeof(wanted));
	process->space = link_to(root);
	used = bank_root()->own;
	for (unsigned i = 0; i < MAPPINGS; i++) {
		unsigned k = any(MEMORIES);
		unsigned offset = any(2) ? 0 : any(lengths[k]);
		unsigned count = 1 + any(lengths[k] - offset);
		unsigned at = any(AREA - 600) / (any(2) ? 1 : 64) * 1;

		if (any(3))
			map(root, base, &memories[k], offset, at, count);
		else
			map(root, base, NULL, 0, at, 1 + any(600));
		if (i % 16 == 0)
			check_area(base);
	}
	check_area(base);
	/* What was made for it is gone with it. */
	map(root, base, NULL, 0, 0, AREA);
	check_area(base);
	assert_int_equal(bank_root()->own, used);
}

static void map_low(void **state)
{
	(void)state;
	seed = 1;
	maps_are_where_they_should_be(0);
}

static void map_across_big_slots(void **state)
{
	(void)state;
	seed = 2;
	maps_are_where_they_should_be(
		(UINT64_C(1) << 42) - (AREA / 2) * PAGE_SIZE);
	assert_true(restarts > 0);
}

static void map_high(void **state)
{
	(void)state;
	seed = 3;
	maps_are_where_they_should_be(UINT64_C(0x7fff12345000));
}

/* What MAP puts somewhere is not changed by what is mapped over it. */
static void what_is_mapped_is_only_cut(void **state)
{
	struct gpt *root = make_node(bank_root(), CUSTOS_GPT_L2V_MAX);
	struct cap memory = make_memory(bank_root(), 100), page = make_page();
	uint64_t before[100];

	(void)state;
	process->space = link_to(root);
	for (unsigned i = 0; i < 100; i++)
		before[i] = frame_at(&memory, i * PAGE_SIZE);
	map(root, 0, &memory, 0, 0, 100);
	map(root, 0, &page, 0, 30, 1);
	map(root, 0, NULL, 0, 40, 10);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(
			frame_at(&memory, i * PAGE_SIZE), before[i]);
	assert_int_equal(frame_at(&process->space, 30 * PAGE_SIZE),
		machine_gpa(page.object));
	assert_int_equal(frame_at(&process->space, 40 * PAGE_SIZE), 0);
	assert_int_equal(frame_at(&process->space, 50 * PAGE_SIZE), before[50]);
}

static void map_refuses_nonsense(void **state)
{
	struct gpt *root = make_node(bank_root(), 12);
	struct cap memory = make_memory(bank_root(), 10);

	(void)state;
	assert_int_equal(gpt_map(root, 1, &memory, 0, PAGE_SIZE, 0),
		-CUSTOS_E_REQUEST);
	assert_int_equal(gpt_map(root, 64 * PAGE_SIZE, &memory, 0, PAGE_SIZE, 0),
		-CUSTOS_E_REQUEST);
	assert_int_equal(gpt_map(root, 60 * PAGE_SIZE, &memory, 0,
				 5 * PAGE_SIZE, 0),
		-CUSTOS_E_REQUEST);
	assert_int_equal(gpt_map(root, 0, &memory, PAGE_SIZE, 10 * PAGE_SIZE, 0),
		-CUSTOS_E_REQUEST);
	assert_int_equal(gpt_map(root, 0, &memory, -PAGE_SIZE, PAGE_SIZE, 0),
		-CUSTOS_E_REQUEST);
	assert_int_equal(gpt_map(root, -PAGE_SIZE, &memory, 0, PAGE_SIZE, 0),
		-CUSTOS_E_REQUEST);
	assert_int_equal(gpt_unmap(root, 0, 0), -CUSTOS_E_REQUEST);
}

static void map_into_a_cycle_ends(void **state)
{
	struct gpt *a = make_node(bank_root(), 18);
	struct gpt *b = make_node(bank_root(), 18);
	struct cap page = make_page(), link = link_to(b);

	(void)state;
	gpt_set(a, 0, &link);
	link = link_to(a);
	gpt_set(b, 0, &link);
	gpt_set(b, 1, &link);
	assert_int_equal(gpt_map(a, PAGE_SIZE, &page, 0, PAGE_SIZE, 0),
		-CUSTOS_E_REQUEST);
	gpt_set(a, 0, &(struct cap){0});
	link = link_to(a);
	gpt_set(a, 0, &link);
	assert_int_equal(gpt_unmap(a, PAGE_SIZE, PAGE_SIZE), -CUSTOS_E_REQUEST);
}

/* ---- split ---- */

static void split_keeps_what_is_there(void **state)
{
	struct gpt *root = make_node(bank_root(), 24);
	struct cap memory = make_memory(bank_root(), 300), part;
	uint64_t before[300];

	(void)state;
	process->space = link_to(root);
	assert_true(memory_window(&memory, 7 * PAGE_SIZE, 290 * PAGE_SIZE,
		CUSTOS_RIGHT_ALL, &part));
	gpt_set(root, 2, &part);
	for (unsigned i = 0; i < 300; i++)
		before[i] = frame_at(&process->space,
			(UINT64_C(2) << 24) + i * PAGE_SIZE);
	assert_int_equal(gpt_split(root, 2), 0);
	assert_int_equal(gpt_split(root->slots[2].object, 0), 0);
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(before[i],
			frame_at(&process->space,
				(UINT64_C(2) << 24) + i * PAGE_SIZE));
	assert_int_equal(frame_info(machine_gpa(root->slots[2].object))->bank,
		bank_root());
}

static void a_refused_split_changes_nothing(void **state)
{
	struct bank *bank;
	struct gpt *root, *low;
	struct cap memory = make_memory(bank_root(), 100), before;

	(void)state;
	assert_int_equal(bank_create_child(bank_root(), 3, &bank), 0);
	root = make_node(bank, 24);
	low = make_node(bank, 12);
	gpt_set(root, 1, &memory);
	before = root->slots[1];
	assert_int_equal(gpt_split(root, 1), -CUSTOS_E_LIMIT);
	assert_ptr_equal(bank_refusal(), bank);
	assert_memory_equal(&before, &root->slots[1], sizeof(before));
	assert_int_equal(gpt_split(low, 1), -CUSTOS_E_REQUEST);
	assert_int_equal(bank->own, 3);
}

/* ---- memory ---- */

static void memory_is_made_in_pieces(void **state)
{
	struct bank *bank;
	struct cap memory;
	unsigned pieces = 1;

	(void)state;
	assert_int_equal(bank_create_child(bank_root(), 0, &bank), 0);
	while (memory_create(process, bank, 1000 * PAGE_SIZE, &memory) ==
		CALL_RESTART)
		pieces++;
	assert_int_equal(pieces, 16);
	assert_int_equal(bank->own, 1 + 1000 + 16 + 1);
	for (unsigned i = 0; i < 1000; i++)
		assert_true(frame_at(&memory, i * PAGE_SIZE));
	assert_int_equal(frame_at(&memory, 1000 * PAGE_SIZE), 0);
	while (!memory_free(&memory, 64))
		continue;
	assert_int_equal(bank->own, 1);
}

static void refused_memory_leaves_nothing(void **state)
{
	struct bank *bank;
	struct cap memory;
	int64_t result;

	(void)state;
	assert_int_equal(bank_create_child(bank_root(), 1018, &bank), 0);
	assert_int_equal(memory_create(process, bank, 1001 * PAGE_SIZE, &memory),
		-CUSTOS_E_LIMIT);
	assert_ptr_equal(bank_refusal(), bank);
	assert_int_equal(bank->own, 1);
	/* Refused on the way. */
	assert_int_equal(memory_create(process, bank, 1000 * PAGE_SIZE, &memory),
		CALL_RESTART);
	assert_true(bank_alloc(bank, FRAME_PAGE));
	do
		result = memory_create(process, bank, 1000 * PAGE_SIZE, &memory);
	while (result == CALL_RESTART);
	assert_int_equal(result, -CUSTOS_E_LIMIT);
	assert_int_equal(bank->own, 2);
	/* Another length: what was begun is given back first. */
	assert_int_equal(memory_create(process, bank, 900 * PAGE_SIZE, &memory),
		CALL_RESTART);
	make_memory(bank, 2);
	assert_int_equal(bank->own, 2 + 3);
	assert_int_equal(memory_create(process, bank, 1, &memory),
		-CUSTOS_E_REQUEST);
	assert_int_equal(memory_create(process, bank, -PAGE_SIZE, &memory),
		-CUSTOS_E_REQUEST);
	assert_int_equal(
		memory_create(process, bank, UINT64_C(1) << 48, &memory),
		-CUSTOS_E_LIMIT);
}

/* Which has no parts: of smaller slots none can hold it. */
static void an_entry_is_not_cut(void **state)
{
	struct gpt *small = make_node(bank_root(), 12);
	struct gpt *large = make_node(bank_root(), 18);
	uint64_t endpoint = bank_alloc(bank_root(), FRAME_ENDPOINT);
	struct cap entry;

	(void)state;
	endpoint_begin(endpoint);
	entry = cap_make(CUSTOS_CAP_ENTRY, CUSTOS_RIGHT_SEND,
		machine_direct(endpoint), 1);
	assert_int_equal(gpt_map(small, 0, &entry, 0, 3 * PAGE_SIZE,
				 CUSTOS_RIGHTS_MEMORY),
		-CUSTOS_E_REQUEST);
	assert_int_equal(small->slots[0].type, CUSTOS_CAP_NULL);
	assert_int_equal(gpt_map(large, 0, &entry, 0, 3 * PAGE_SIZE,
				 CUSTOS_RIGHTS_MEMORY),
		0);
	large->slots[0] = link_to(small);
	assert_int_equal(gpt_map(large, 0, &entry, 0, 3 * PAGE_SIZE,
				 CUSTOS_RIGHTS_MEMORY),
		-CUSTOS_E_REQUEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KERNEL_TEST_AFTER(setup, windows_show_their_part),
		KERNEL_TEST_AFTER(setup, a_guard_shows_nothing_in_front),
		KERNEL_TEST_AFTER(setup, map_low),
		KERNEL_TEST_AFTER(setup, an_entry_is_not_cut),
		KERNEL_TEST_AFTER(setup, map_across_big_slots),
		KERNEL_TEST_AFTER(setup, map_high),
		KERNEL_TEST_AFTER(setup, what_is_mapped_is_only_cut),
		KERNEL_TEST_AFTER(setup, map_refuses_nonsense),
		KERNEL_TEST_AFTER(setup, map_into_a_cycle_ends),
		KERNEL_TEST_AFTER(setup, split_keeps_what_is_there),
		KERNEL_TEST_AFTER(setup, a_refused_split_changes_nothing),
		KERNEL_TEST_AFTER(setup, memory_is_made_in_pieces),
		KERNEL_TEST_AFTER(setup, refused_memory_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
