/* SPDX-License-Identifier: MIT */
/* Banks: what they count, where they refuse, how they end. */
#include "guest/kernel/bank.h"

#include <stdlib.h>

#include "guest/kernel/machine.h"
#include "guest/kernel/object.h"
#include "tests/support/kernel_machine.h"
#include "tests/support/tests.h"

static struct bank *child_of(struct bank *parent, uint64_t limit)
{
	struct bank *child = NULL;

	assert_int_equal(bank_create_child(parent, limit, &child), 0);
	return child;
}

/* How many pieces it took, and one more if that was one. */
static unsigned end(struct bank *bank, bool remove)
{
	unsigned pieces = 2;

	bank_end(bank, remove);
	while (!bank_end_piece())
		pieces++;
	return pieces;
}

static void every_bank_above_counts(void **state)
{
	struct bank *root = bank_root(), *a = child_of(root, 0);
	struct bank *b = child_of(a, 0);
	uint64_t all = root->all, page = bank_alloc(b, FRAME_PAGE);

	(void)state;
	assert_true(page);
	assert_ptr_equal(frame_info(page)->bank, b);
	assert_int_equal(b->own, 2);
	assert_int_equal(b->all, 2);
	assert_int_equal(a->own, 1);
	assert_int_equal(a->all, 3);
	assert_int_equal(root->all, all + 1);
	bank_move(page, a);
	assert_int_equal(a->own, 2);
	assert_int_equal(a->all, 3);
	assert_int_equal(b->all, 1);
	bank_free(page);
	assert_int_equal(a->all, 2);
	assert_int_equal(root->all, all);
}

static void limits_hold_along_the_chain(void **state)
{
	struct bank *a = child_of(bank_root(), 5), *b = child_of(a, 100);
	uint64_t free = frame_count_free();
	unsigned i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_true(bank_alloc(b, FRAME_PAGE));
	assert_int_equal(bank_alloc(b, FRAME_PAGE), 0);
	assert_ptr_equal(bank_refusal(), a);
	assert_int_equal(frame_count_free(), free - 3);
	a->limit = 0;
	b->limit = 4; /* has as many */
	assert_int_equal(bank_alloc(b, FRAME_TABLE), 0);
	assert_ptr_equal(bank_refusal(), b);
	b->limit = 5;
	assert_true(bank_alloc(b, FRAME_TABLE));
	assert_int_equal(b->tables, 1);
	/* A run counts whole. */
	b->limit = b->all + frame_run_length() - 1;
	assert_int_equal(bank_alloc(b, FRAME_PROCESS), 0);
	b->limit++;
	assert_true(bank_alloc(b, FRAME_PROCESS));
}

static void an_empty_machine_is_no_bank_s_fault(void **state)
{
	struct bank *root = bank_root();

	(void)state;
	while (bank_alloc_dirty(root, FRAME_CAPPAGE))
		continue;
	assert_null(bank_refusal());
	assert_int_equal(frame_count_free(), 0);
	assert_int_equal(root->all + frame_count_kernel(), frame_count_all());
}

static void trees_have_a_depth(void **state)
{
	struct bank *bank = bank_root(), *child;
	unsigned depth = 1;

	(void)state;
	while (bank_create_child(bank, 0, &child) == 0) {
		bank = child;
		depth++;
	}
	assert_int_equal(depth, BANK_DEPTH_MAX);
	assert_null(bank_refusal());
}

static void destroyed_banks_give_everything_back(void **state)
{
	struct bank *top = child_of(bank_root(), 0), *b = child_of(top, 0);
	uint64_t free, gpa, generation, i;
	struct bank *c;

	(void)state;
	free = frame_count_free();
	c = child_of(b, 0);
	for (i = 0; i < 200; i++)
		assert_true(bank_alloc(i % 2 ? b : c, FRAME_PAGE));
	gpa = bank_alloc(c, FRAME_CAPPAGE);
	generation = frame_info(gpa)->generation;
	/* Bounded work in each. */
	assert_true(end(b, false) >= 4);
	assert_int_equal(frame_count_free(), free + 1);
	assert_int_equal(top->all, 1);
	assert_false(frame_is_live(machine_direct(gpa), generation));
}

static void a_bank_that_ends_gives_no_more(void **state)
{
	struct bank *a = child_of(bank_root(), 0), *b = child_of(a, 0), *c;
	unsigned i;

	(void)state;
	for (i = 0; i < 200; i++)
		assert_true(bank_alloc(b, FRAME_PAGE));
	bank_end(a, false);
	assert_false(bank_end_piece());
	assert_int_equal(bank_alloc(a, FRAME_PAGE), 0);
	assert_int_equal(bank_alloc(b, FRAME_PAGE), 0);
	assert_int_equal(bank_create_child(b, 0, &c), -CUSTOS_E_LIMIT);
	while (!bank_end_piece())
		continue;
	assert_int_equal(bank_root()->own, bank_root()->all);
}

static void removed_banks_leave_it_to_the_parent(void **state)
{
	struct bank *a = child_of(bank_root(), 0), *b = child_of(a, 0);
	struct bank *c = child_of(b, 7);
	uint64_t all = a->all, own = a->own, page, i;

	(void)state;
	page = bank_alloc(c, FRAME_PAGE);
	for (i = 0; i < 100; i++)
		assert_true(bank_alloc(b, FRAME_PAGE));
	assert_true(end(b, true) >= 2);
	assert_int_equal(a->own, own + 100);
	assert_int_equal(a->all, all + 101 - 1 /* b itself */);
	assert_ptr_equal(c->parent, a);
	assert_int_equal(c->all, 2);
	assert_ptr_equal(frame_info(page)->bank, c);
}

static void ends_meet(void **state)
{
	struct bank *a = child_of(bank_root(), 0), *b = child_of(a, 0);
	uint64_t free = frame_count_free();
	unsigned i;

	(void)state;
	for (i = 0; i < 100; i++)
		assert_true(bank_alloc(b, FRAME_PAGE));
	/* While its bank is half removed the one above is destroyed. */
	bank_end(b, true);
	bank_end(a, false);
	while (!bank_end_piece())
		continue;
	assert_int_equal(frame_count_free(), free + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KERNEL_TEST(every_bank_above_counts),
		KERNEL_TEST(limits_hold_along_the_chain),
		KERNEL_TEST(an_empty_machine_is_no_bank_s_fault),
		KERNEL_TEST(trees_have_a_depth),
		KERNEL_TEST(destroyed_banks_give_everything_back),
		KERNEL_TEST(a_bank_that_ends_gives_no_more),
		KERNEL_TEST(removed_banks_leave_it_to_the_parent),
		KERNEL_TEST(ends_meet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
