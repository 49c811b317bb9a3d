/* SPDX-License-Identifier: MIT */
#include "keeper/kept_page.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/tests.h"

static struct range range_a = { .id = 0, .name = "a" };
static struct range range_b = { .id = 1, .name = "b" };

static void finds_only_pages_that_were_added(void **state)
{
	struct kept_map *map = kept_map_create();

	(void)state;
	for (frame_t f = 0; f < 5000; f += 5)
		assert_non_null(kept_map_get(map, f));
	for (frame_t f = 0; f < 5000; f++) {
		struct kept_page *page = kept_map_find(map, f);

		assert_int_equal(page != NULL, f % 5 == 0);
		if (page) {
			assert_int_equal(kept_page_frame(page), f);
			assert_ptr_equal(page, kept_map_get(map, f));
		}
	}
	kept_map_destroy(map);
}

static void binds_sorted_counts_repeats_and_refuses_overlaps(void **state)
{
	struct kept_map *map = kept_map_create();
	struct kept_page *page = kept_map_get(map, 7);
	struct kept_piece high = { 100, 8, &range_a, 0, 0, NULL };
	struct kept_piece low = { 10, 4, &range_b, 0, 0, NULL };
	struct kept_piece across = { 12, 100, &range_b, 50, 0, NULL };
	const struct range *other = NULL;
	uint8_t bytes[4096] = { 0 };

	(void)state;
	kept_page_lock(page);
	assert_int_equal(kept_page_bind(page, &high, bytes, &other), 0);
	assert_int_equal(kept_page_bind(page, &low, bytes, &other), 0);
	assert_int_equal(kept_page_bind(page, &high, bytes, &other), 0);
	assert_int_equal(kept_page_bind(page, &across, bytes, &other), -EEXIST);
	assert_ptr_equal(other, &range_b);
	assert_int_equal(kept_page_count(page), 2);
	assert_int_equal(kept_page_piece(page, 0)->first, 10);
	assert_int_equal(kept_page_lower(page, 0), 0);
	assert_int_equal(kept_page_lower(page, 13), 0);
	assert_int_equal(kept_page_lower(page, 14), 1);
	assert_int_equal(kept_page_lower(page, 107), 1);
	assert_int_equal(kept_page_lower(page, 108), 2);
	assert_false(kept_page_unbind(page, &range_a, 100));
	assert_false(kept_page_unbind(page, &range_a, 100));
	assert_int_equal(kept_page_count(page), 1);
	assert_true(kept_page_unbind(page, &range_b, 10));
	kept_page_unlock(page);
	kept_map_destroy(map);
}

static void shadow_proves_that_no_store_slipped_past(void **state)
{
	struct kept_map *map = kept_map_create();
	struct kept_page *page = kept_map_get(map, 7);
	struct kept_piece piece = { 100, 8, &range_a, 0, 0, NULL };
	const struct kept_piece *where;
	const struct range *other;
	uint8_t bytes[4096] = { 0 };
	uint32_t index;

	(void)state;
	kept_page_lock(page);
	assert_int_equal(kept_page_bind(page, &piece, bytes, &other), 0);
	/* a store we know of, reaching over the piece's start */
	memset(bytes + 96, 0x55, 8);
	kept_page_stored(page, 96, 8, bytes + 96);
	assert_true(kept_page_verify(page, bytes, &where, &index));
	/* a page-mate's store */
	bytes[99] = 1;
	assert_true(kept_page_verify(page, bytes, &where, &index));
	/* a store nobody told us of */
	bytes[105] = 1;
	assert_false(kept_page_verify(page, bytes, &where, &index));
	assert_int_equal(where->first, 100);
	assert_int_equal(index, 5);
	kept_page_unlock(page);
	kept_map_destroy(map);
}

#define WAITERS 8

static struct kept_page *shared_page;
static atomic_int order_next, started;
static int order[WAITERS];

static void *wait_in_line(void *arg)
{
	atomic_fetch_add(&started, 1);
	kept_page_lock(shared_page);
	order[atomic_fetch_add(&order_next, 1)] = (int)(intptr_t)arg;
	kept_page_unlock(shared_page);
	return NULL;
}

static void waiters_are_served_in_the_order_they_came(void **state)
{
	struct kept_map *map = kept_map_create();
	pthread_t threads[WAITERS];

	(void)state;
	shared_page = kept_map_get(map, 3);
	kept_page_lock(shared_page);
	for (int i = 0; i < WAITERS; i++) {
		pthread_create(
			&threads[i], NULL, wait_in_line, (void *)(intptr_t)i);
		while (kept_page_waits(shared_page) != (uint64_t)i + 1)
			usleep(100);
	}
	kept_page_unlock(shared_page);
	for (int i = 0; i < WAITERS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < WAITERS; i++)
		assert_int_equal(order[i], i);
	kept_map_destroy(map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_only_pages_that_were_added),
		cmocka_unit_test(
			binds_sorted_counts_repeats_and_refuses_overlaps),
		cmocka_unit_test(shadow_proves_that_no_store_slipped_past),
		cmocka_unit_test(waiters_are_served_in_the_order_they_came),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
