/* SPDX-License-Identifier: MIT */
/*
 * F11: every frame has one owner: what the banks have used and what is free
 * make up all there is after every operation, whatever is made or ended; the
 * bank says what it owns. (Objects of every type; 10^6 operations of the same
 * kind run on the host in the kernel's unit tests.)
 */
#include "tests/spec/spec.h"

#define BANKS 5
#define OBJECTS 40

struct object {
	uint32_t slot; /* 0: none */
	unsigned bank;
};

static uint32_t banks[BANKS]; /* 0: none */
static unsigned parent[BANKS];
static struct object objects[OBJECTS];
static uint64_t seed = 7;
static int64_t all;

static uint64_t chance(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % below;
}

static int64_t own(uint32_t bank)
{
	return custos_bank_usage(bank, CUSTOS_USAGE_OWN);
}

/* All: own of this program's bank and of those it made, and what is free. */
static void check_sum(void)
{
	uint32_t top = spec_bank();
	int64_t sum = own(top);

	for (unsigned i = 0; i < BANKS; i++)
		if (banks[i])
			sum += own(banks[i]);
	EXPECT(custos_bank_usage(top, CUSTOS_USAGE_ALL), sum);
	EXPECT(all, sum + custos_bank_usage(top, CUSTOS_USAGE_MACHINE));
}

static bool is_below(unsigned bank, unsigned top)
{
	for (; bank != BANKS; bank = parent[bank])
		if (bank == top)
			return true;
	return false;
}

static void drop(uint32_t *slot)
{
	cap_slot_free(*slot);
	*slot = 0;
}

/* The tree below i is gone (or i alone, and its children are the parent's). */
static void bank_over(unsigned i, bool remove)
{
	for (unsigned k = 0; k < OBJECTS; k++) {
		if (!objects[k].slot)
			continue;
		if (remove && objects[k].bank == i) {
			objects[k].bank = parent[i];
			continue;
		}
		if (remove || !is_below(objects[k].bank, i))
			continue;
		EXPECT(CUSTOS_CAP_NULL, cap_type(objects[k].slot));
		drop(&objects[k].slot);
	}
	for (unsigned k = 0; k < BANKS; k++) {
		if (k == i || !banks[k])
			continue;
		if (remove && parent[k] == i) {
			parent[k] = parent[i];
		} else if (!remove && is_below(k, i)) {
			EXPECT(CUSTOS_CAP_NULL, cap_type(banks[k]));
			cap_slot_free(banks[k]);
			banks[k] = 0x80000000; /* below: needs parents still */
		}
	}
	for (unsigned k = 0; k < BANKS; k++)
		if (banks[k] == 0x80000000)
			banks[k] = 0;
	EXPECT(CUSTOS_CAP_NULL, cap_type(banks[i]));
	drop(&banks[i]);
}

static void bank_operation(void)
{
	unsigned i = (unsigned)chance(BANKS);

	if (!banks[i]) {
		unsigned up = (unsigned)chance(BANKS);
		uint32_t slot = cap_slot_alloc();

		if (!banks[up])
			up = BANKS;
		parent[i] = up;
		EXPECT(0, custos_bank_create_child(
				  up == BANKS ? spec_bank() : banks[up], slot,
				  chance(3) ? 0 : 200));
		banks[i] = slot;
	} else if (chance(2)) {
		EXPECT(0, custos_bank_destroy(banks[i]));
		bank_over(i, false);
	} else {
		EXPECT(0, custos_bank_remove(banks[i]));
		bank_over(i, true);
	}
}

static void make(struct object *object)
{
	static const uint8_t types[] = {CUSTOS_CAP_PAGE, CUSTOS_CAP_CAPPAGE,
		CUSTOS_CAP_GPT, CUSTOS_CAP_ENDPOINT, CUSTOS_CAP_PROCESS,
		CUSTOS_CAP_BUFFER};
	unsigned i = (unsigned)chance(BANKS);
	uint32_t slot;

	if (!banks[i])
		return;
	slot = cap_slot_alloc();
	if (custos_bank_alloc(banks[i], types[chance(sizeof(types))], slot)) {
		cap_slot_free(slot);
		return;
	}
	*object = (struct object){slot, i};
	for (unsigned k = 0; k < BANKS; k++)
		if (banks[k])
			EXPECT(k == i, custos_bank_owner(banks[k], slot));
}

static void end(struct object *object)
{
	unsigned other = (unsigned)chance(BANKS);

	if (banks[other] && other != object->bank)
		EXPECT(-CUSTOS_E_REQUEST,
			custos_bank_free(banks[other], object->slot));
	if (object->bank == BANKS)
		EXPECT(0, custos_bank_free(spec_bank(), object->slot));
	else
		EXPECT(0, custos_bank_free(banks[object->bank], object->slot));
	EXPECT(CUSTOS_CAP_NULL, cap_type(object->slot));
	drop(&object->slot);
}

/* Nodes hold pages and each other, in any way. */
static void link(void)
{
	uint32_t node = 0, what = 0;

	for (unsigned tries = 0; tries < 8; tries++) {
		uint32_t slot = objects[chance(OBJECTS)].slot;

		if (slot && cap_type(slot) == CUSTOS_CAP_GPT)
			node = slot;
		else if (slot && cap_type(slot) == CUSTOS_CAP_PAGE)
			what = slot;
	}
	if (node && what)
		EXPECT(0, custos_gpt_set_slot(node, chance(64), what));
}

static void operate(void)
{
	struct object *object = &objects[chance(OBJECTS)];

	switch (chance(8)) {
	case 0:
		bank_operation();
		break;
	case 1:
	case 2:
		link();
		break;
	default:
		if (object->slot)
			end(object);
		else
			make(object);
	}
}

const struct spec_role spec_roles[] = {{NULL, NULL}};

void spec_test(uint64_t scale)
{
	int64_t before;

	spec_size("%lu operations on %u banks", scale, BANKS);
	all = custos_bank_usage(spec_bank(), CUSTOS_USAGE_ALL) +
	      custos_bank_usage(spec_bank(), CUSTOS_USAGE_MACHINE);
	before = custos_bank_usage(spec_bank(), CUSTOS_USAGE_ALL);
	for (uint64_t i = 0; i < scale && !spec_failures(); i++) {
		operate();
		check_sum();
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		if (objects[i].slot)
			end(&objects[i]);
	for (unsigned i = 0; i < BANKS; i++)
		if (banks[i]) {
			EXPECT(0, custos_bank_destroy(banks[i]));
			bank_over(i, false);
		}
	EXPECT(before, custos_bank_usage(spec_bank(), CUSTOS_USAGE_ALL));
}
