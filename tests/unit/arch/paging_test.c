/* SPDX-License-Identifier: MIT */
#include "arch/paging.h"

#include <string.h>

#include "tests/support/tests.h"

#define TABLES 8

/* A tiny physical memory of page tables, at 0, 0x1000, ... */
static uint64_t memory[TABLES][512];

static bool read_entry(void *ctx, uint64_t gpa, uint64_t *out)
{
	(void)ctx;
	if (gpa / 4096 >= TABLES)
		return false;
	*out = memory[gpa / 4096][gpa % 4096 / 8];
	return true;
}

static void reset(void)
{
	memset(memory, 0, sizeof(memory));
	memory[1][1] = 0x2000 | 7; /* va 0x8000000000.. */
	memory[2][2] = 0x3000 | 7;
	memory[3][3] = 0x4000 | 7;
	memory[4][4] = 0x123456000 | 5 | ARCH_PTE_NX;
	memory[3][5] = 0x40000000 | ARCH_PTE_LARGE | 7;
	memory[2][6] = 0x80000000 | ARCH_PTE_LARGE | 3;
}

#define VA(a, b, c, d)                                                         \
	(((uint64_t)(a) << 39) | ((uint64_t)(b) << 30) |                       \
		((uint64_t)(c) << 21) | ((uint64_t)(d) << 12))

static void walks_small_and_large_pages(void **state)
{
	struct paging_path path;

	(void)state;
	reset();
	assert_true(paging_walk(
		0x1000, VA(1, 2, 3, 4) + 0xabc, read_entry, NULL, &path));
	assert_int_equal(path.gpa, 0x123456abc);
	assert_int_equal(path.page_size, 4096);
	assert_int_equal(path.depth, 4);
	assert_int_equal(path.entry_gpa[3], 0x4000 + 4 * 8);
	assert_false(path.writable);
	assert_true(path.user);
	assert_false(path.executable);

	assert_true(paging_walk(
		0x1000, VA(1, 2, 5, 7) + 1, read_entry, NULL, &path));
	assert_int_equal(path.gpa, 0x40000000 + 7 * 4096 + 1);
	assert_int_equal(path.page_size, 2u << 20);
	assert_true(path.writable && path.user && path.executable);

	assert_true(paging_walk(
		0x1000, VA(1, 6, 9, 0), read_entry, NULL, &path));
	assert_int_equal(path.gpa, 0x80000000 + (9u << 21));
	assert_int_equal(path.page_size, 1u << 30);
	assert_false(path.user);
}

static void refuses_what_the_cpu_would_refuse(void **state)
{
	struct paging_path path;

	(void)state;
	reset();
	/* not canonical */
	assert_false(paging_walk(
		0x1000, UINT64_C(1) << 47, read_entry, NULL, &path));
	assert_int_equal(path.depth, 0);
	/* not present at the leaf */
	assert_false(
		paging_walk(0x1000, VA(1, 2, 3, 5), read_entry, NULL, &path));
	assert_int_equal(path.depth, 4);
	/* a root outside memory */
	assert_false(paging_walk(
		0x100000, VA(1, 2, 3, 4), read_entry, NULL, &path));
	/* a page-size bit at the top level */
	memory[1][3] = ARCH_PTE_LARGE | 7;
	assert_false(
		paging_walk(0x1000, VA(3, 0, 0, 0), read_entry, NULL, &path));
	/* a table that is its own child ends after four levels */
	memory[1][9] = 0x1000 | 7;
	assert_true(
		paging_walk(0x1000, VA(9, 9, 9, 9), read_entry, NULL, &path));
	assert_int_equal(path.gpa, 0x1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walks_small_and_large_pages),
		cmocka_unit_test(refuses_what_the_cpu_would_refuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
