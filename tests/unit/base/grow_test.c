/* SPDX-License-Identifier: MIT */
#include "base/grow.h"

#include "tests/support/tests.h"

static void elements_stay_and_new_ones_are_zero(void **state)
{
	uint32_t *numbers = NULL;
	size_t room = 0;

	(void)state;
	for (size_t i = 0; i < 1000; i++) {
		assert_true(GROW(numbers, room, i + 1));
		assert_in_range(room, i + 1, 2048);
		assert_int_equal(numbers[i], 0);
		numbers[i] = (uint32_t)i + 7;
	}
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(numbers[i], i + 7);
	for (size_t i = 1000; i < room; i++)
		assert_int_equal(numbers[i], 0);
	free(numbers);
}

static void what_cannot_be_had_changes_nothing(void **state)
{
	uint64_t *numbers = NULL;
	size_t room = 0;

	(void)state;
	assert_true(GROW(numbers, room, 3));
	numbers[2] = 9;
	assert_false(GROW(numbers, room, SIZE_MAX));
	assert_false(GROW(numbers, room, SIZE_MAX / 2 + 2));
	assert_int_equal(numbers[2], 9);
	assert_true(GROW(numbers, room, 3));
	free(numbers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_stay_and_new_ones_are_zero),
		cmocka_unit_test(what_cannot_be_had_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
