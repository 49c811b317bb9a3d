/* SPDX-License-Identifier: MIT */
#include "vmm/ram.h"

#include <errno.h>
#include <string.h>

#include "abi/custos_abi.h"
#include "tests/support/tests.h"

#define SIZE (UINT64_C(4) << 20)
#define END (CUSTOS_RAM_BASE + SIZE)

static struct ram ram;

static int setup(void **state)
{
	struct error err;

	(void)state;
	return vmm_ram_init(&ram, SIZE, &err);
}

static int teardown(void **state)
{
	(void)state;
	vmm_ram_fini(&ram);
	return 0;
}

static void gpa_range_accepts_ram_only(void **state)
{
	(void)state;
	assert_ptr_equal(vmm_gpa_range(&ram, CUSTOS_RAM_BASE, 1), ram.bytes);
	assert_ptr_equal(
		vmm_gpa_range(&ram, CUSTOS_RAM_BASE, SIZE), ram.bytes);
	assert_ptr_equal(vmm_gpa_range(&ram, END - 1, 1), ram.bytes + SIZE - 1);
	assert_non_null(vmm_gpa_range(&ram, END, 0));
	assert_null(vmm_gpa_range(&ram, END, 1));
	assert_null(vmm_gpa_range(&ram, END - 1, 2));
	assert_null(vmm_gpa_range(&ram, CUSTOS_RAM_BASE, SIZE + 1));
	assert_null(vmm_gpa_range(&ram, CUSTOS_RAM_BASE - 1, 1));
	assert_null(vmm_gpa_range(&ram, 0, 1));
	assert_null(vmm_gpa_range(&ram, CUSTOS_ALIAS_BASE, 1));
}

static void gpa_range_rejects_wraparound(void **state)
{
	(void)state;
	assert_null(vmm_gpa_range(&ram, UINT64_MAX, 1));
	assert_null(vmm_gpa_range(&ram, UINT64_MAX, 2));
	assert_null(vmm_gpa_range(&ram, CUSTOS_RAM_BASE, UINT64_MAX));
	assert_null(vmm_gpa_range(
		&ram, CUSTOS_RAM_BASE + 4096, UINT64_MAX - 4094));
	assert_null(vmm_gpa_range(&ram, END - 1, UINT64_MAX));
}

static uint64_t random_state = 88172645463325252u;

/* xorshift64 */
static uint64_t random_word(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Numbers near the places where mistakes are. */
static uint64_t random_edge(void)
{
	static const uint64_t edges[] = { 0, CUSTOS_RAM_BASE, END,
		CUSTOS_ALIAS_BASE, UINT64_MAX, UINT64_C(1) << 63, SIZE };
	uint64_t base =
		edges[random_word() % (sizeof(edges) / sizeof(edges[0]))];

	return base + (uint64_t)(int64_t)(int8_t)random_word();
}

static void gpa_range_agrees_with_wide_arithmetic(void **state)
{
	(void)state;
	for (int i = 0; i < 200000; i++) {
		uint64_t gpa = random_edge(), len = random_edge();
		unsigned __int128 end = (unsigned __int128)gpa + len;
		bool inside = gpa >= CUSTOS_RAM_BASE && end <= END;
		uint8_t *at = vmm_gpa_range(&ram, gpa, len);

		assert_int_equal(at != NULL, inside);
		if (at)
			assert_ptr_equal(
				at, ram.bytes + (gpa - CUSTOS_RAM_BASE));
	}
}

static void word_reads_need_ram_and_alignment(void **state)
{
	uint64_t value = 1;

	(void)state;
	assert_true(vmm_ram_read_word(&ram, END - 8, &value));
	assert_int_equal(value, 0);
	assert_false(vmm_ram_read_word(&ram, END - 4, &value));
	assert_false(vmm_ram_read_word(&ram, CUSTOS_RAM_BASE + 4, &value));
	assert_false(vmm_ram_read_word(&ram, UINT64_MAX - 7, &value));
}

static void closing_is_idempotent_and_marks_the_kept_map(void **state)
{
	uint64_t gpa = CUSTOS_RAM_BASE + 9 * 4096;
	struct error err;

	(void)state;
	ram.kept_map = (void *)ram.bytes;
	assert_false(vmm_ram_is_closed(&ram, gpa));
	assert_int_equal(vmm_ram_close(&ram, gpa + 7, &err), 0);
	assert_int_equal(vmm_ram_close(&ram, gpa, &err), 0);
	assert_int_equal(ram.closed_count, 1);
	assert_true(vmm_ram_is_closed(&ram, gpa + 4095));
	assert_false(vmm_ram_is_closed(&ram, gpa + 4096));
	assert_int_equal(ram.bytes[1], 1 << 1);
	/* B is open all the time. */
	memset(ram.bytes + 9 * 4096, 5, 4096);
	assert_int_equal(vmm_ram_open(&ram, gpa, &err), 0);
	assert_int_equal(vmm_ram_open(&ram, gpa, &err), 0);
	assert_int_equal(ram.closed_count, 0);
	assert_int_equal(ram.bytes[1], 0);
	assert_int_equal(ram.guest[9 * 4096], 5);
	assert_false(vmm_ram_is_closed(&ram, 0));
}

static void sizes_out_of_range_are_refused(void **state)
{
	struct error err = { 0 };
	struct ram other;

	(void)state;
	assert_int_equal(vmm_ram_init(&other, 0, &err), -EINVAL);
	vmm_ram_fini(&other);
	assert_int_equal(
		vmm_ram_init(&other, CUSTOS_RAM_MAX + 1, &err), -EINVAL);
	vmm_ram_fini(&other);
	assert_int_equal(vmm_ram_init(&other, UINT64_MAX, &err), -EINVAL);
	vmm_ram_fini(&other);
	assert_int_equal(vmm_ram_init(&other, 1024, &err), 0);
	assert_int_equal(other.size, 2 << 20);
	vmm_ram_fini(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gpa_range_accepts_ram_only),
		cmocka_unit_test(gpa_range_rejects_wraparound),
		cmocka_unit_test(gpa_range_agrees_with_wide_arithmetic),
		cmocka_unit_test(word_reads_need_ram_and_alignment),
		cmocka_unit_test(closing_is_idempotent_and_marks_the_kept_map),
		cmocka_unit_test(sizes_out_of_range_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
