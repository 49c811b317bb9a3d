/* SPDX-License-Identifier: MIT */
/* race and lockcheck: what they accuse, and what they must not. */
#include "keeper/builtin_clock.h"
#include "tests/unit/keeper/builtin_support.h"

enum { DATA, WORD }; /* ranges of race */
enum { LOCK, GUARDED }; /* ranges of lockcheck */

static struct keeper *race(void)
{
	return made("race", "data,sync=word");
}

static void store_by(struct keeper *k, uint64_t process, uint64_t offset)
{
	tell(k, (struct made_up){ .kind = ACCESS_STORE, .process = process,
			.ip = 0x100 * process, .range = DATA,
			.offset = offset, .new_value = 1 });
}

static void load_by(struct keeper *k, uint64_t process, uint64_t offset)
{
	tell(k, (struct made_up){ .kind = ACCESS_LOAD, .process = process,
			.ip = 0x100 * process + 1, .range = DATA,
			.offset = offset });
}

static void exchange(struct keeper *k, uint32_t range, uint64_t process,
	uint64_t old_value, uint64_t new_value)
{
	tell(k, (struct made_up){ .kind = ACCESS_RMW, .process = process,
			.ip = 0x100 * process + 2, .range = range,
			.atomic = true, .old_value = old_value,
			.new_value = new_value });
}

static void store_word(struct keeper *k, uint32_t range, uint64_t process,
	uint64_t old_value, uint64_t new_value)
{
	tell(k, (struct made_up){ .kind = ACCESS_STORE, .process = process,
			.ip = 0x100 * process + 3, .range = range,
			.old_value = old_value, .new_value = new_value });
}

static void finish(struct keeper *k, unsigned findings)
{
	struct error err;

	if (found_count != findings)
		fail_msg("%u findings, not %u:\n%s", found_count, findings,
			found);
	keeper_finish(k, &err);
	keeper_destroy(k);
}

static void two_stores_race(void **state)
{
	struct keeper *k = race();

	(void)state;
	store_by(k, 1, 0);
	store_by(k, 2, 4); /* overlaps by four bytes */
	assert_non_null(strstr(found, "race: range+4: store by test#2 at "
				      "0x200 is not ordered with store by "
				      "test#1 at 0x100\n"));
	assert_non_null(strstr(found, "  store of 8 bytes by test#1 on"));
	store_by(k, 1, 0); /* the same pair again */
	finish(k, 1);
}

static void a_load_races_with_stores_before_and_after(void **state)
{
	struct keeper *k = race();

	(void)state;
	store_by(k, 1, 0);
	load_by(k, 2, 0);
	load_by(k, 2, 8);
	store_by(k, 3, 8);
	finish(k, 2);
}

static void loads_and_neighbours_do_not_race(void **state)
{
	struct keeper *k = race();

	(void)state;
	for (uint64_t process = 1; process < 9; process++)
		load_by(k, process, 0);
	store_by(k, 1, 8);
	store_by(k, 2, 16);
	finish(k, 0);
}

static void atomics_do_not_race_with_each_other(void **state)
{
	struct keeper *k = race();

	(void)state;
	exchange(k, DATA, 1, 0, 1);
	exchange(k, DATA, 2, 1, 2);
	finish(k, 0);
}

static void a_lock_word_orders(void **state)
{
	struct keeper *k = race();

	(void)state;
	for (uint64_t i = 0; i < 8; i++) {
		exchange(k, WORD, 1 + i % 2, 0, 1);
		load_by(k, 1 + i % 2, 0);
		store_by(k, 1 + i % 2, 0);
		store_word(k, WORD, 1 + i % 2, 1, 0);
	}
	finish(k, 0);
}

static void what_is_behind_the_release_is_not_ordered(void **state)
{
	struct keeper *k = race();

	(void)state;
	store_word(k, WORD, 1, 0, 1);
	store_by(k, 1, 0);
	tell(k, (struct made_up){ .kind = ACCESS_LOAD, .process = 2,
			.range = WORD, .old_value = 1 });
	load_by(k, 2, 0);
	finish(k, 1);
}

static void a_failed_exchange_releases_nothing(void **state)
{
	struct keeper *k = race();

	(void)state;
	store_by(k, 1, 0);
	exchange(k, WORD, 1, 1, 1); /* spins at a third one's lock */
	exchange(k, WORD, 2, 0, 1);
	store_by(k, 2, 0);
	finish(k, 1);
}

static void the_kernels_order_is_transitive(void **state)
{
	struct keeper *k = race();

	(void)state;
	store_by(k, 1, 0);
	keeper_tell_ordered(k, 1, 2);
	keeper_tell_ordered(k, 2, 3);
	store_by(k, 3, 0);
	store_by(k, 1, 8); /* later than the message */
	store_by(k, 3, 8);
	assert_non_null(strstr(found, "range+8"));
	finish(k, 1);
}

static void what_was_not_performed_does_not_count(void **state)
{
	const struct made_up m = { .kind = ACCESS_STORE, .process = 2 };
	struct access access = access_of(&m);
	struct keeper *k = race();

	(void)state;
	store_by(k, 1, 0);
	keeper_tell(k, &access, OUTCOME_DENY, NULL);
	finish(k, 0);
}

static void too_many_processes_accuse_nobody(void **state)
{
	struct keeper *k = race();

	(void)state;
	for (uint64_t i = 1; i <= BUILTIN_CLOCK_PROCESSES + 2; i++)
		load_by(k, i, 0);
	store_by(k, 1, 8);
	store_by(k, 2, 8);
	finish(k, 0);
	assert_non_null(strstr(found, "too many processes"));
}

static void wrong_arguments_are_refused(void **state)
{
	(void)state;
	must_refuse("race", "");
	must_refuse("race", "sync=word");
	must_refuse("race", "1,2,3,4,5,6,7,8,9");
	must_refuse("lockcheck", "lock");
	must_refuse("lockcheck", "lock:");
	must_refuse("lockcheck", "l:1,2,3,4,5,6,7,8");
}

/* ---- lockcheck ---- */

static struct keeper *lockcheck(void)
{
	return made("lockcheck", "lock:data");
}

static void touch(struct keeper *k, uint64_t process)
{
	tell(k, (struct made_up){ .kind = ACCESS_LOAD, .process = process,
			.ip = 0x100 * process, .range = GUARDED });
}

static void touch_locked(struct keeper *k, uint64_t process)
{
	exchange(k, LOCK, process, 0, 1);
	touch(k, process);
	store_word(k, LOCK, process, 1, 0);
}

static void holders_are_not_accused(void **state)
{
	struct keeper *k = lockcheck();

	(void)state;
	store_word(k, LOCK, 1, 0, 0);
	touch(k, 1); /* nobody else is there yet */
	keeper_tell_ordered(k, 1, 2);
	keeper_tell_ordered(k, 1, 3);
	touch_locked(k, 2);
	touch_locked(k, 3);
	touch_locked(k, 2);
	keeper_tell_ordered(k, 2, 1);
	keeper_tell_ordered(k, 3, 1);
	touch(k, 1); /* the others have ended */
	finish(k, 0);
}

static void an_access_without_the_lock_is_told(void **state)
{
	struct keeper *k = lockcheck();

	(void)state;
	touch_locked(k, 1);
	exchange(k, LOCK, 1, 0, 1);
	touch(k, 2);
	assert_non_null(strstr(found, "lockcheck: range: load by test#2 at "
				      "0x200 without holding `lock', held by "
				      "test#1\n"));
	touch(k, 2);
	finish(k, 1);
	assert_non_null(strstr(found, "2 times, at 1 instruction"));
}

static void one_that_came_first_is_told_later(void **state)
{
	struct keeper *k = lockcheck();

	(void)state;
	touch(k, 1);
	touch_locked(k, 2);
	assert_non_null(strstr(found, "load by test#1"));
	finish(k, 1);
}

static void wrong_ways_with_the_lock_are_told(void **state)
{
	struct keeper *k = lockcheck();

	(void)state;
	store_word(k, LOCK, 1, 0, 1);
	assert_non_null(strstr(found, "without an atomic instruction"));
	store_word(k, LOCK, 2, 1, 0);
	assert_non_null(strstr(found, "released without being held"));
	finish(k, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_stores_race),
		cmocka_unit_test(a_load_races_with_stores_before_and_after),
		cmocka_unit_test(loads_and_neighbours_do_not_race),
		cmocka_unit_test(atomics_do_not_race_with_each_other),
		cmocka_unit_test(a_lock_word_orders),
		cmocka_unit_test(what_is_behind_the_release_is_not_ordered),
		cmocka_unit_test(a_failed_exchange_releases_nothing),
		cmocka_unit_test(the_kernels_order_is_transitive),
		cmocka_unit_test(what_was_not_performed_does_not_count),
		cmocka_unit_test(too_many_processes_accuse_nobody),
		cmocka_unit_test(wrong_arguments_are_refused),
		cmocka_unit_test(holders_are_not_accused),
		cmocka_unit_test(an_access_without_the_lock_is_told),
		cmocka_unit_test(one_that_came_first_is_told_later),
		cmocka_unit_test(wrong_ways_with_the_lock_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
