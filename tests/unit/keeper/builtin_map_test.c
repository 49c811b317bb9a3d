/* SPDX-License-Identifier: MIT */
#include "keeper/builtin_map.h"

#include "tests/support/tests.h"

struct entry {
	uint64_t key, value;
};

static void entries_are_found_in_their_order(void **state)
{
	struct builtin_map map = {
		.entry_size = sizeof(struct entry),
		.key_size = sizeof(uint64_t),
	};

	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t key = i * 4096;
		struct entry *e;

		assert_null(builtin_map_find(&map, &key));
		e = builtin_map_get(&map, &key);
		assert_int_equal(e->value, 0);
		e->value = i;
	}
	assert_int_equal(map.count, 1000);
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t key = i * 4096;
		struct entry *e = builtin_map_get(&map, &key);

		assert_int_equal(e->value, i);
		assert_ptr_equal(e, builtin_map_at(&map, i));
	}
	builtin_map_fini(&map);
}

static void it_is_bounded(void **state)
{
	struct builtin_map map = {
		.entry_size = sizeof(struct entry),
		.key_size = sizeof(uint64_t),
	};
	uint64_t key = 0;

	(void)state;
	for (; key < BUILTIN_MAP_MAX; key++)
		assert_non_null(builtin_map_get(&map, &key));
	assert_null(builtin_map_get(&map, &key));
	assert_int_equal(map.dropped, 1);
	key = 5;
	assert_non_null(builtin_map_get(&map, &key));
	builtin_map_fini(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_found_in_their_order),
		cmocka_unit_test(it_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
