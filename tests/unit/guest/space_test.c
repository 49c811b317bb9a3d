/* SPDX-License-Identifier: MIT */
/*
 * Spaces: nodes changed in every way there is, and after every change what the
 * hardware's tables and its TLB allow is what a walk of the nodes says.
 */
#include "guest/kernel/space.h"

#include <stdlib.h>
#include <string.h>

#include "guest/kernel/bank.h"
#include "guest/kernel/call.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/gpt.h"
#include "guest/kernel/object.h"
#include "guest/kernel/process.h"
#include "guest/kernel/table.h"
#include "tests/support/kernel_machine.h"
#include "tests/support/space_check.h"
#include "tests/support/tests.h"

#define EPISODES 60
#define STEPS 3000
#define PROCESSES 3
#define BANKS 3
#define THINGS 48
#define TLB_SIZE 64

static uint64_t seed;

/* ---- a TLB ---- */

static struct {
	uint64_t va, gpa;
	unsigned rights;
	bool valid;
} tlb[TLB_SIZE];

static void flush(uint64_t va)
{
	for (unsigned i = 0; i < TLB_SIZE; i++)
		if (va == UINT64_MAX || tlb[i].va == (va & ~PAGE_MASK))
			tlb[i].valid = false;
}

/* The CPU uses va of the process whose space is loaded. */
static void load_tlb(uint64_t va)
{
	uint64_t entry = cpu_get(0)->cr3;
	unsigned i = (unsigned)(va >> 12) % TLB_SIZE;

	for (unsigned level = TABLE_TOP; level > 0; level--) {
		const uint64_t *table = machine_direct(entry & PTE_ADDRESS);

		entry = table[va >> table_shift(level) & 511];
		if (!entry)
			return;
	}
	tlb[i].va = va & ~PAGE_MASK;
	tlb[i].gpa = entry & PTE_ADDRESS;
	tlb[i].rights = entry & PTE_WRITE ? CUSTOS_RIGHT_WRITE : 0;
	tlb[i].valid = true;
}

static void check_tlb(const struct process *process)
{
	for (unsigned i = 0; i < TLB_SIZE; i++) {
		uint64_t gpa = 0;
		unsigned rights;

		if (!tlb[i].valid)
			continue;
		rights = space_model(process, tlb[i].va, &gpa);
		assert_true(rights & CUSTOS_RIGHT_READ);
		assert_int_equal(gpa, tlb[i].gpa);
		assert_false(tlb[i].rights & ~rights);
	}
}

static void load_space(const struct process *process)
{
	cpu_get(0)->cr3 = process->cr3;
	machine_set_cr3(process->cr3);
}

/* ---- a world ---- */

static struct {
	struct process *processes[PROCESSES];
	struct bank *banks[BANKS];
	struct cap things[THINGS]; /* nodes, pages and windows of them */
	struct process *loaded;
} world;

static int setup(void **state)
{
	(void)state;
	kernel_setup();
	kernel_machine.flush = flush;
	flush(UINT64_MAX);
	memset(&world, 0, sizeof(world));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kernel_teardown();
	if (seed)
		print_message("# the seed was %#lx\n", (unsigned long)seed);
	return 0;
}

static uint32_t any(uint32_t limit)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % limit;
}

static struct cap make(struct bank *bank, enum custos_captype type)
{
	static const enum frame_type frames[CUSTOS_CAP_MAX] = {
		[CUSTOS_CAP_GPT] = FRAME_GPT,
		[CUSTOS_CAP_PAGE] = FRAME_PAGE,
		[CUSTOS_CAP_CAPPAGE] = FRAME_CAPPAGE,
		[CUSTOS_CAP_ENDPOINT] = FRAME_ENDPOINT};
	uint64_t gpa = bank_alloc(bank, frames[type]);

	if (!gpa)
		return (struct cap){0};
	if (type == CUSTOS_CAP_GPT)
		gpt_begin(gpa);
	if (type == CUSTOS_CAP_ENDPOINT)
		endpoint_begin(gpa);
	return cap_make(type, CUSTOS_RIGHTS_MEMORY, machine_direct(gpa), 0);
}


static struct cap link_to(struct gpt *gpt, unsigned rights)
{
	return cap_make(CUSTOS_CAP_GPT, rights, gpt, 0);
}

static struct process *make_process(struct bank *bank, const struct cap *space)
{
	struct process *process = process_create(bank);

	assert_non_null(process);
	process->space = *space;
	process->told = true;
	return process;
}

static unsigned any_l2v(void)
{
	static const unsigned char l2v[] = {12, 12, 12, 18, 18, 24, 36, 42};

	return l2v[any(sizeof(l2v))];
}

static unsigned any_slot(void)
{
	return any(4) ? any(3) : any(64);
}

static unsigned any_rights(void)
{
	unsigned rights = CUSTOS_RIGHTS_MEMORY;

	if (!any(6))
		rights &= ~CUSTOS_RIGHT_WRITE;
	if (!any(8))
		rights &= ~CUSTOS_RIGHT_EXEC;
	if (!any(24))
		rights &= ~CUSTOS_RIGHT_READ;
	return rights;
}

static struct cap *any_thing(void)
{
	return &world.things[any(THINGS)];
}

static struct gpt *any_node(void)
{
	for (unsigned i = 0; i < 64; i++) {
		struct cap *thing = any_thing();

		if (thing->type == CUSTOS_CAP_GPT && cap_is_live(thing))
			return thing->object;
	}
	return NULL;
}

static struct process *any_process(void)
{
	return world.processes[any(PROCESSES)];
}

static void begin(void)
{
	struct cap null = {0};

	for (unsigned i = 0; i < BANKS; i++)
		assert_int_equal(bank_create_child(bank_root(), 0,
					 &world.banks[i]),
			0);
	for (unsigned i = 0; i < PROCESSES; i++)
		world.processes[i] = make_process(bank_root(), &null);
	world.loaded = world.processes[0];
	load_space(world.loaded);
}

/* ---- what is done at random ---- */

static void do_make(void)
{
	struct cap *thing = any_thing();
	struct bank *bank = world.banks[any(BANKS)];

	if (cap_is_live(thing) && any(8))
		return;
	if (any(16) == 0) {
		*thing = cap_make(CUSTOS_CAP_FIXED, CUSTOS_RIGHTS_MEMORY, NULL,
			CUSTOS_DEVICE_BASE + any(16) * PAGE_SIZE);
		thing->pages = 1 + any(8);
		return;
	}
	*thing = make(bank, any(4) ? CUSTOS_CAP_PAGE : CUSTOS_CAP_GPT);
	if (thing->type == CUSTOS_CAP_GPT)
		((struct gpt *)thing->object)->l2v = (uint8_t)any_l2v();
}

/* Most often what makes sense in a slot of so many bytes. */
static struct cap thing_for(unsigned l2v)
{
	struct cap cap = {0};

	for (unsigned i = 0; i < 16; i++) {
		const struct gpt *gpt;

		cap = *any_thing();
		if (!any(8) || !cap_is_live(&cap))
			break;
		gpt = cap.object;
		if (l2v == CUSTOS_GPT_L2V_MIN ? cap.type == CUSTOS_CAP_PAGE
					      : cap.type == CUSTOS_CAP_GPT &&
							gpt->l2v < l2v)
			break;
	}
	return cap;
}

static struct cap any_window(unsigned l2v)
{
	struct cap cap = thing_for(l2v);
	uint64_t offset, length;

	if (!cap_is_live(&cap) || !cap_is_memory(&cap))
		return (struct cap){0};
	cap.rights &= (uint16_t)any_rights();
	if (any(3))
		return cap;
	length = memory_length(&cap);
	offset = any(3) * PAGE_SIZE * (any(2) ? 1 : any(512));
	if (any(3) == 0)
		offset = -offset;
	memory_window(&cap, offset,
		any(2) ? length - offset : (1 + any(80)) * PAGE_SIZE,
		any_rights(), &cap);
	return cap;
}

static void do_set(void)
{
	struct gpt *gpt = any_node();
	struct cap cap = any_window(gpt ? gpt->l2v : CUSTOS_GPT_L2V_MIN);
	unsigned slot = any_slot();

	if (!gpt || !gpt_free_below(gpt, slot))
		return;
	gpt_set(gpt, slot, &cap);
	table_flush();
}

static void do_root(void)
{
	struct process *process = any_process();
	struct gpt *gpt = any_node();

	if (cap_is_live(&process->space) && any(30))
		return;
	process->space = !gpt || !any(8)
				 ? any_window(CUSTOS_GPT_L2V_MAX)
				 : link_to(gpt, CUSTOS_RIGHTS_MEMORY);
	space_forget(process);
}

static struct call call_on(struct cap *cap, uint64_t a, uint64_t b)
{
	return (struct call){.caller = world.processes[0],
		.cap = cap,
		.args = {a, b}};
}

static void do_l2v(void)
{
	struct gpt *gpt = any_node();
	struct cap cap = {0};
	struct call call = call_on(&cap, any_l2v(), 0);

	if (!gpt || any(6))
		return;
	cap = link_to(gpt, CUSTOS_RIGHTS_MEMORY);
	while (gpt_call_set_l2v(&call) == CALL_RESTART)
		continue;
}

static void do_split(void)
{
	struct gpt *gpt = any_node();

	if (gpt)
		gpt_split(gpt, any_slot());
}

static void do_map(void)
{
	struct gpt *gpt = any_node();
	struct cap memory = any_window(CUSTOS_GPT_L2V_MAX);
	uint64_t va = (uint64_t)any(600) * PAGE_SIZE;
	uint64_t length = (uint64_t)(1 + any(200)) * PAGE_SIZE;
	int64_t result;

	if (!gpt)
		return;
	do {
		if (memory.type && any(3))
			result = gpt_map(gpt, va, &memory,
				any(3) * PAGE_SIZE, length, any_rights());
		else
			result = gpt_unmap(gpt, va, length);
		if (memory.type && length > memory_length(&memory))
			length = memory_length(&memory);
	} while (result == CALL_RESTART);
}

static void do_destroy(void)
{
	struct cap *thing = any_thing();

	if (!thing->object || !cap_is_live(thing) || any(6))
		return;
	while (!object_destroy(machine_gpa(thing->object)))
		continue;
	thing->type = 0;
}

static void do_end_table(void)
{
	uint32_t table = world.banks[any(BANKS)]->first[BANK_TABLES];

	if (table && !any(4))
		assert_true(object_destroy(frame_gpa(table)));
}

static void do_end_bank(void)
{
	unsigned i = any(BANKS);

	if (any(200))
		return;
	bank_end(world.banks[i], false);
	while (!bank_end_piece())
		continue;
	assert_int_equal(
		bank_create_child(bank_root(), 0, &world.banks[i]), 0);
}

static void do_set_bank(void)
{
	struct gpt *gpt = any_node();

	if (!gpt || !table_end_produced(&gpt->tables))
		return;
	gpt->bank = cap_make(
		CUSTOS_CAP_BANK, CUSTOS_RIGHT_ALL, world.banks[any(BANKS)], 0);
}

/* An address where the process probably has something. */
static uint64_t any_address(const struct process *process)
{
	const struct cap *cap = &process->space;
	uint64_t va = any(4) ? 0 : any(4) * PAGE_SIZE;

	for (unsigned depth = 0; depth < 8; depth++) {
		const struct gpt *gpt = cap->object;
		unsigned slot = 0;

		if (!cap_is_live(cap) || !cap_is_memory(cap))
			break;
		if (cap->type != CUSTOS_CAP_FIXED &&
			cap->type != CUSTOS_CAP_ENTRY)
			va -= cap->payload;
		if (cap->type != CUSTOS_CAP_GPT)
			break;
		for (unsigned i = 0; i < 64; i++) {
			slot = any_slot();
			if (gpt->slots[slot].type)
				break;
		}
		va += (uint64_t)slot << gpt->l2v;
		cap = &gpt->slots[slot];
	}
	return any(16) ? va : va + any(80) * PAGE_SIZE;
}

static uint64_t touches;

static void do_touch(void)
{
	struct process *process = any(2) ? world.loaded : any_process();
	uint64_t va = any_address(process), gpa = 0, real = 0;
	bool write = any(2);
	unsigned rights;
	int result;

	if (va >= CUSTOS_USER_END)
		return;
	rights = space_model(process, va, &real);
	result = space_resolve(process, va, write, &gpa);
	if (result == 0) {
		touches++;
		assert_int_equal(gpa & ~PAGE_MASK, real);
		assert_true(rights &
			    (write ? CUSTOS_RIGHT_WRITE : CUSTOS_RIGHT_READ));
	}
	if (process == world.loaded)
		load_tlb(va);
}

static void do_populate(void)
{
	struct process *process = any_process();
	uint64_t va = any_address(process) & ~PAGE_MASK;

	if (va < CUSTOS_USER_END - 256 * PAGE_SIZE)
		space_populate(process, va, (1 + any(200)) * PAGE_SIZE);
}

static void do_load(void)
{
	world.loaded = any_process();
	load_space(world.loaded);
}

static void (*const deeds[])(void) = {do_make, do_make, do_set, do_set, do_set,
	do_root, do_l2v, do_split, do_map, do_map, do_destroy, do_end_table,
	do_end_bank, do_set_bank, do_touch, do_touch, do_touch, do_touch,
	do_touch, do_touch, do_touch, do_touch, do_touch, do_touch, do_touch,
	do_touch, do_populate, do_load};

static void check_world(void)
{
	table_flush();
	for (unsigned i = 0; i < PROCESSES; i++)
		space_check(world.processes[i]);
	check_tlb(world.loaded);
}

static void tables_never_show_more_than_nodes(void **state)
{
	for (unsigned episode = 1; episode <= EPISODES; episode++) {
		setup(state);
		seed = episode * UINT64_C(0x9e3779b97f4a7c15);
		begin();
		for (unsigned step = 0; step < STEPS; step++) {
			deeds[any(sizeof(deeds) / sizeof(deeds[0]))]();
			check_world();
		}
		if (episode < EPISODES)
			kernel_teardown();
	}
	assert_true(touches > EPISODES * STEPS / 100);
	seed = 0;
}

/* ---- what is shared, and who pays ---- */

#define AT UINT64_C(0x40000000)
#define BIG (CUSTOS_GPT_L2V_MIN + CUSTOS_GPT_L2V_STEP)

static struct gpt *make_node(struct bank *bank, unsigned l2v)
{
	struct cap cap = make(bank, CUSTOS_CAP_GPT);
	struct gpt *gpt = cap.object;

	assert_non_null(gpt);
	gpt->l2v = (uint8_t)l2v;
	return gpt;
}

/* A node of 16 MiB with one page in each of its first so many slots. */
static struct gpt *make_region(struct bank *bank, unsigned pages)
{
	struct gpt *gpt = make_node(bank, BIG);

	for (unsigned i = 0; i < pages; i++) {
		struct cap page = make(bank, CUSTOS_CAP_PAGE);

		gpt_put(gpt, i, &page);
	}
	return gpt;
}

/* A process with that at AT, and a bank and a root of its own. */
static struct process *make_sharer(
	struct bank *bank, struct gpt *region, unsigned rights)
{
	struct gpt *root = make_node(bank, CUSTOS_GPT_L2V_MAX);
	struct cap link = link_to(region, CUSTOS_RIGHTS_MEMORY);
	struct cap space = link_to(root, CUSTOS_RIGHTS_MEMORY);

	assert_int_equal(gpt_map(root, AT, &link, 0, gpt_span(region), rights),
		0);
	return make_process(bank, &space);
}

static bool touch(struct process *process, uint64_t va, bool write)
{
	uint64_t gpa;
	int result = space_resolve(process, va, write, &gpa);

	space_check(process);
	return result == 0;
}

static uint64_t slot_at(unsigned i)
{
	return AT + ((uint64_t)i << BIG);
}

static void begin_banks(void **state)
{
	setup(state);
	for (unsigned i = 0; i < BANKS; i++)
		assert_int_equal(bank_create_child(bank_root(), 0,
					 &world.banks[i]),
			0);
}

/* The leaf table of va; 0: none. */
static uint64_t leaf_table(const struct process *process, uint64_t va)
{
	uint64_t entry = process->cr3;

	for (unsigned level = TABLE_TOP; level > 1 && entry; level--) {
		const uint64_t *table = machine_direct(entry & PTE_ADDRESS);

		entry = table[va >> table_shift(level) & 511];
	}
	return entry & PTE_ADDRESS;
}

static bool is_present(const struct process *process, uint64_t va)
{
	uint64_t table = leaf_table(process, va);
	const uint64_t *entries = table ? machine_direct(table) : NULL;

	return table && entries[va >> 12 & 511];
}

static void who_made_a_region_pays_for_its_tables(void **state)
{
	struct gpt *region;
	struct process *a, *b;
	uint64_t used;

	begin_banks(state);
	region = make_region(world.banks[0], 16);
	a = make_sharer(world.banks[1], region, CUSTOS_RIGHT_ALL);
	b = make_sharer(world.banks[2], region, CUSTOS_RIGHT_ALL);
	assert_true(touch(a, slot_at(0), true));
	assert_true(touch(a, slot_at(1), true));
	assert_int_equal(world.banks[0]->tables, 1);
	used = world.banks[2]->own;
	assert_true(touch(b, slot_at(0), true));
	/* The other's translations are there at once. */
	assert_true(is_present(b, slot_at(1)));
	assert_int_equal(leaf_table(a, AT), leaf_table(b, AT));
	assert_int_equal(world.banks[0]->tables, 1);
	assert_int_equal(world.banks[2]->own - used, world.banks[2]->tables);
	assert_int_equal(world.banks[2]->tables, 2);
	teardown(state);
}

static void a_link_to_read_has_tables_of_its_own(void **state)
{
	struct gpt *region;
	struct process *a, *b;

	begin_banks(state);
	region = make_region(world.banks[0], 4);
	a = make_sharer(world.banks[1], region, CUSTOS_RIGHT_ALL);
	b = make_sharer(world.banks[2], region,
		CUSTOS_RIGHT_ALL & ~CUSTOS_RIGHT_WRITE);
	assert_true(touch(a, slot_at(0), true));
	assert_true(touch(b, slot_at(0), false));
	assert_false(touch(b, slot_at(0), true));
	assert_int_not_equal(leaf_table(a, AT), leaf_table(b, AT));
	teardown(state);
}

static void a_table_taken_back_comes_again(void **state)
{
	struct process *a, *b;
	struct gpt *region;
	uint64_t table;

	begin_banks(state);
	region = make_region(world.banks[0], 4);
	a = make_sharer(world.banks[1], region, CUSTOS_RIGHT_ALL);
	b = make_sharer(world.banks[2], region, CUSTOS_RIGHT_ALL);
	assert_true(touch(a, AT, true) && touch(b, AT, true));
	table = leaf_table(a, AT);
	assert_true(object_destroy(table));
	assert_int_equal(world.banks[0]->tables, 0);
	assert_int_equal(leaf_table(a, AT), 0);
	assert_int_equal(leaf_table(b, AT), 0);
	assert_true(touch(b, AT, true));
	assert_int_equal(world.banks[0]->tables, 1);
	assert_false(is_present(a, AT));
	assert_true(touch(a, AT, true));
	teardown(state);
}

static void another_bank_pays_from_then_on(void **state)
{
	struct process *a;
	struct gpt *region;
	struct cap bank, cap;
	struct call call;

	begin_banks(state);
	region = make_region(world.banks[0], 4);
	a = make_sharer(world.banks[1], region, CUSTOS_RIGHT_ALL);
	world.processes[0] = a;
	a->caps = make(world.banks[1], CUSTOS_CAP_CAPPAGE);
	a->caps.rights = CUSTOS_RIGHT_ALL;
	bank = cap_make(
		CUSTOS_CAP_BANK, CUSTOS_RIGHT_ALL, world.banks[2], 0);
	*cap_find_empty(a, 1) = bank;
	cap = link_to(region, CUSTOS_RIGHTS_MEMORY);
	call = call_on(&cap, 1, 0);
	assert_true(touch(a, AT, true));
	assert_int_equal(world.banks[0]->tables, 1);
	assert_int_equal(gpt_call_set_bank(&call), 0);
	assert_int_equal(world.banks[0]->tables, 0);
	assert_true(touch(a, AT, true));
	assert_int_equal(world.banks[0]->tables, 0);
	assert_int_equal(world.banks[2]->tables, 1);
	teardown(state);
}

static void a_bank_without_room_makes_no_table(void **state)
{
	struct process *a;
	struct gpt *region;
	uint64_t gpa;

	begin_banks(state);
	region = make_region(world.banks[0], 4);
	a = make_sharer(world.banks[1], region, CUSTOS_RIGHT_ALL);
	world.banks[0]->limit = world.banks[0]->all;
	assert_int_equal(space_resolve(a, AT, true, &gpa), -CUSTOS_E_LIMIT);
	assert_ptr_equal(bank_refusal(), world.banks[0]);
	assert_int_equal(leaf_table(a, AT), 0);
	world.banks[0]->limit++;
	assert_true(touch(a, AT, true));
	teardown(state);
}

/* As many translations of a frame as are known, and any of them by a fault. */
static void more_aliases_than_are_known(void **state)
{
	struct cap page, space;
	struct process *a;
	struct gpt *root;
	unsigned present = 0;

	begin_banks(state);
	page = make(world.banks[0], CUSTOS_CAP_PAGE);
	root = make_node(world.banks[0], 12);
	space = link_to(root, CUSTOS_RIGHTS_MEMORY);
	a = make_process(world.banks[1], &space);
	for (unsigned i = 0; i < FRAME_MAPPERS + 8; i++)
		gpt_put(root, i, &page);
	for (unsigned i = 0; i < FRAME_MAPPERS + 8; i++)
		assert_true(touch(a, i * PAGE_SIZE, true));
	for (unsigned i = 0; i < FRAME_MAPPERS + 8; i++)
		present += is_present(a, i * PAGE_SIZE);
	assert_int_equal(present, FRAME_MAPPERS);
	assert_true(object_destroy(machine_gpa(page.object)));
	assert_int_equal(space_check(a), 0);
	teardown(state);
}

/* More tables are made through a node than it can name. */
static void more_dependents_than_are_known(void **state)
{
	struct gpt *root, *low;
	struct cap space, link, page;
	struct process *a;
	unsigned present;

	begin_banks(state);
	page = make(world.banks[0], CUSTOS_CAP_PAGE);
	low = make_node(world.banks[0], 12);
	root = make_node(world.banks[0], 24);
	space = link_to(root, CUSTOS_RIGHTS_MEMORY);
	a = make_process(world.banks[1], &space);
	for (unsigned i = 0; i < 64; i++) {
		struct gpt *middle = make_node(world.banks[0], 18);

		page = make(world.banks[0], CUSTOS_CAP_PAGE);
		gpt_put(low, i, &page);
		link = link_to(low, CUSTOS_RIGHTS_MEMORY);
		gpt_put(middle, 0, &link);
		gpt_put(middle, 32, &link);
		link = link_to(middle, CUSTOS_RIGHTS_MEMORY);
		gpt_put(root, i, &link);
	}
	for (unsigned i = 0; i < 64; i++) {
		uint64_t va = ((uint64_t)i << 24) + i * PAGE_SIZE;

		assert_true(touch(a, va, true));
		assert_true(touch(a, va + (UINT64_C(32) << 18), true));
	}
	present = space_check(a);
	assert_in_range(present, 32, GPT_DEPENDENTS);
	while (!object_destroy(machine_gpa(low)))
		continue;
	assert_int_equal(space_check(a), 0);
	teardown(state);
}

/* A page from a keeper that others who share the table do not ask. */
static void grants_stay_below_their_keeper(void **state)
{
	struct gpt *region, *root;
	struct cap endpoint, inner, outer;
	struct process *a;
	struct walk way;

	begin_banks(state);
	region = make_region(world.banks[0], 1);
	a = make_sharer(world.banks[1], region, CUSTOS_RIGHT_ALL);
	endpoint = make(world.banks[0], CUSTOS_CAP_ENDPOINT);
	inner = cap_make(
		CUSTOS_CAP_ENTRY, CUSTOS_RIGHT_SEND, endpoint.object, 1);
	outer = inner;
	outer.payload = 2;
	root = a->space.object;
	region->keeper = inner;
	root->keeper = outer;
	for (unsigned i = 0; i < 2; i++) {
		walk(&a->space, slot_at(1), &way);
		assert_int_equal(way.end, WALK_FAULT);
		assert_true(space_can_grant(a, slot_at(1), &way, &inner));
		assert_false(space_can_grant(a, slot_at(1), &way, &outer));
		assert_true(touch(a, AT, true)); /* now there is a table */
	}
	/* Where nothing is shared below the root it is the root's own. */
	walk(&a->space, AT * 4, &way);
	assert_true(space_can_grant(a, AT * 4, &way, &outer));
	teardown(state);
}

static unsigned told_count, answered;
static uint64_t asked_cr3, led_to;

static int64_t ask_once(enum custos_call call, uint64_t a, uint64_t b,
	uint64_t c, uint64_t d, uint64_t e)
{
	(void)b;
	(void)c;
	(void)d;
	(void)e;
	if (call == CUSTOS_CALL_WHERE) {
		assert_int_equal(a, 1);
		answered++;
		led_to = boot_info->where[0].gpa;
		return 0;
	}
	if (call != CUSTOS_CALL_SPACE_CHANGED)
		return 0;
	told_count++;
	boot_info->where[0] = (struct custos_where){asked_cr3, AT, 1};
	return 1;
}

/* Where the address leads, not whether it is mapped, is what is told of. */
static void the_monitor_is_told_what_changes(void **state)
{
	struct gpt *region;
	struct process *a;
	struct cap null = {0};
	uint64_t page;

	begin_banks(state);
	region = make_region(world.banks[0], 4);
	page = machine_gpa(region->slots[0].object);
	a = make_sharer(world.banks[1], region, CUSTOS_RIGHT_ALL);
	asked_cr3 = a->cr3;
	kernel_machine.hypercall = ask_once;
	told_count = answered = 0;
	table_flush();
	assert_int_equal(told_count, 0); /* nobody wants to know */
	boot_info->watch = CUSTOS_WATCH_CHANGES;
	table_flush();
	assert_int_equal(told_count, 1);
	assert_int_equal(led_to, page); /* not mapped, and there */
	table_flush();
	assert_true(touch(a, AT, true));
	table_unmap_frame(page);
	table_flush();
	assert_int_equal(told_count, 1);
	gpt_set(region, 0, &null);
	table_flush();
	assert_int_equal(told_count, 2);
	assert_int_equal(led_to, 0);
	boot_info->watch = CUSTOS_WATCH_CHANGES | CUSTOS_WATCH_ASKS;
	table_flush();
	assert_int_equal(told_count, 3);
	assert_int_equal(answered, 3);
	teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			tables_never_show_more_than_nodes, teardown),
		cmocka_unit_test(who_made_a_region_pays_for_its_tables),
		cmocka_unit_test(a_link_to_read_has_tables_of_its_own),
		cmocka_unit_test(a_table_taken_back_comes_again),
		cmocka_unit_test(another_bank_pays_from_then_on),
		cmocka_unit_test(a_bank_without_room_makes_no_table),
		cmocka_unit_test(more_aliases_than_are_known),
		cmocka_unit_test(more_dependents_than_are_known),
		cmocka_unit_test(grants_stay_below_their_keeper),
		cmocka_unit_test(the_monitor_is_told_what_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
