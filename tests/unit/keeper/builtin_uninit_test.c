/* SPDX-License-Identifier: MIT */
#include "tests/unit/keeper/builtin_program.h"

#define IP UINT64_C(0x401000)

static void a_load_before_any_store_is_told_once(void **state)
{
	struct keeper *uninit = make("uninit", "counts", NULL);

	(void)state;
	tell_touch(uninit, ACCESS_LOAD, COUNTS, 8, 8, IP);
	assert_string_equal(found,
		"uninit: load of it+8 (8 bytes) never stored since the start, "
		"by count.elf#1 at 0x401000\n");
	tell_touch(uninit, ACCESS_LOAD, COUNTS, 8, 8, IP);
	assert_int_equal(findings, 1);
	tell_touch(uninit, ACCESS_LOAD, COUNTS, 16, 8, IP);
	assert_int_equal(findings, 2);
	finish_keeper(uninit);
	has_found("uninit: counts: 3 loads of bytes never stored\n");
}

static void stored_bytes_may_be_loaded(void **state)
{
	struct keeper *uninit = make("uninit", "counts", NULL);

	(void)state;
	tell_touch(uninit, ACCESS_STORE, COUNTS, 8, 8, IP);
	tell_touch(uninit, ACCESS_IPC_DST, COUNTS, 16, 8, IP);
	tell_touch(uninit, ACCESS_SYSCALL_STORE, COUNTS, 24, 8, IP);
	tell_touch(uninit, ACCESS_LOAD, COUNTS, 8, 24, IP);
	assert_int_equal(findings, 0);
	tell_touch(uninit, ACCESS_LOAD, COUNTS, 30, 4, IP);
	has_found("uninit: load of it+30 (4 bytes), byte 32 to 33 of it never "
		  "stored");
	finish_keeper(uninit);
}

static void holes_are_runs_of_their_own(void **state)
{
	struct keeper *uninit = make("uninit", "counts", NULL);

	(void)state;
	tell_touch(uninit, ACCESS_STORE, COUNTS, 10, 2, IP);
	tell_touch(uninit, ACCESS_IPC_SRC, COUNTS, 8, 6, IP);
	has_found("byte 8 to 9 of it");
	has_found("byte 12 to 13 of it");
	finish_keeper(uninit);
}

static void an_rmw_loads_first(void **state)
{
	struct keeper *uninit = make("uninit", "counts", NULL);

	(void)state;
	tell_touch(uninit, ACCESS_RMW, COUNTS, 8, 8, IP);
	assert_int_equal(findings, 1);
	tell_touch(uninit, ACCESS_LOAD, COUNTS, 8, 8, IP + 8);
	assert_int_equal(findings, 1);
	finish_keeper(uninit);
}

static void the_file_has_stored_its_bytes(void **state)
{
	struct keeper *uninit = make("uninit", "counts", NULL);

	(void)state;
	tell_touch(uninit, ACCESS_LOAD, COUNTS, 0, 4, IP);
	assert_int_equal(findings, 0);
	tell_touch(uninit, ACCESS_LOAD, COUNTS, 4, 1, IP);
	assert_int_equal(findings, 1);
	finish_keeper(uninit);
}

static void what_was_not_performed_does_not_count(void **state)
{
	struct keeper *uninit = make("uninit", "counts", NULL);
	struct access store = touch_at(ACCESS_STORE, COUNTS, 8, 8, IP);
	struct access load = touch_at(ACCESS_LOAD, COUNTS, 8, 8, IP);

	(void)state;
	keeper_tell(uninit, &store, OUTCOME_ABSORB, store.old_bytes);
	keeper_tell(uninit, &store, OUTCOME_DENY, NULL);
	keeper_tell(uninit, &store, OUTCOME_ROLLBACK, store.old_bytes);
	keeper_tell(uninit, &load, OUTCOME_SERVE, load.old_bytes);
	keeper_tell(uninit, &load, OUTCOME_DENY, NULL);
	assert_int_equal(findings, 0);
	tell_access(uninit, &load);
	assert_int_equal(findings, 1);
	finish_keeper(uninit);
}

static void lanes_touch_what_they_touch(void **state)
{
	static const struct access_lane lanes[] = {
		{ COUNTS + 8, 4, 0 },
		{ COUNTS + 24, 4, 4 },
		{ COUNTER, 4, 8 }, /* outside */
	};
	struct keeper *uninit = make("uninit", "counts", NULL);
	struct access scatter = touch_at(ACCESS_STORE, COUNTS, 8, 12, IP);

	(void)state;
	scatter.lanes = lanes;
	scatter.lane_count = 3;
	tell_access(uninit, &scatter);
	tell_touch(uninit, ACCESS_LOAD, COUNTS, 8, 4, IP);
	tell_touch(uninit, ACCESS_LOAD, COUNTS, 24, 4, IP);
	assert_int_equal(findings, 0);
	tell_touch(uninit, ACCESS_LOAD, COUNTS, 12, 4, IP);
	assert_int_equal(findings, 1);
	finish_keeper(uninit);
}

static void a_store_to_the_mark_starts_anew(void **state)
{
	struct builtin_ranges ranges = { .count = 0 };
	struct keeper *uninit =
		make("uninit", "counts,mark=counter", &ranges);

	(void)state;
	assert_int_equal(ranges.count, 2);
	assert_string_equal(ranges.text[1], "counter");
	tell_touch(uninit, ACCESS_STORE, COUNTS, 8, 8, IP);
	tell_touch(uninit, ACCESS_LOAD, COUNTER, 0, 8, IP);
	tell_touch(uninit, ACCESS_LOAD, COUNTS, 8, 8, IP);
	assert_int_equal(findings, 0);
	tell_touch(uninit, ACCESS_STORE, COUNTER, 0, 8, IP);
	tell_touch(uninit, ACCESS_LOAD, COUNTS, 8, 8, IP);
	has_found("never stored since mark 1, by");
	finish_keeper(uninit);
}

static void a_call_of_the_mark_starts_anew(void **state)
{
	struct builtin_ranges ranges = { .count = 0 };
	struct keeper *uninit = make("uninit", "counts,mark=work", &ranges);

	(void)state;
	assert_string_equal(ranges.text[1], "count.elf!0x401100+1");
	tell_touch(uninit, ACCESS_STORE, COUNTS, 8, 8, IP);
	tell_touch(uninit, ACCESS_FETCH, 0x401100, 0, 1, 0x401100);
	tell_touch(uninit, ACCESS_LOAD, COUNTS, 8, 8, IP);
	has_found("never stored since mark 1, by");
	finish_keeper(uninit);
}

static void wrong_arguments_are_refused(void **state)
{
	(void)state;
	is_refused("uninit", "nothing", "no symbol");
	is_refused("uninit", "counts,marc=work", "is not mark=RANGE");
	is_refused("uninit", "counts,mark=counts+8+4", "in the range itself");
	is_refused("uninit", "counts,mark=work,mark=counter", "more than one");
	is_refused("uninit", "0x10000+0x40000000", "more than 268435456 bytes");
	is_refused("uninit", "device:uart+4", "is a device");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_load_before_any_store_is_told_once),
		cmocka_unit_test(stored_bytes_may_be_loaded),
		cmocka_unit_test(holes_are_runs_of_their_own),
		cmocka_unit_test(an_rmw_loads_first),
		cmocka_unit_test(the_file_has_stored_its_bytes),
		cmocka_unit_test(what_was_not_performed_does_not_count),
		cmocka_unit_test(lanes_touch_what_they_touch),
		cmocka_unit_test(a_store_to_the_mark_starts_anew),
		cmocka_unit_test(a_call_of_the_mark_starts_anew),
		cmocka_unit_test(wrong_arguments_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
