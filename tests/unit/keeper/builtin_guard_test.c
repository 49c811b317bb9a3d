/* SPDX-License-Identifier: MIT */
#include "tests/unit/keeper/builtin_program.h"

#define PUSH UINT64_C(0x401000)
#define OTHER UINT64_C(0x401080)

static void redzones_are_kept(void **state)
{
	struct builtin_ranges ranges = { .count = 0 };
	struct keeper *guard = make("guard", "counts+0+16,8", &ranges);

	(void)state;
	assert_int_equal(ranges.count, 3);
	assert_string_equal(ranges.text[0], "counts+0+16");
	assert_string_equal(ranges.text[1], "count.elf!0x404018..0x404020");
	assert_string_equal(ranges.text[2], "count.elf!0x404030..0x404038");
	finish_keeper(guard);
	assert_string_equal(found, "");
}

static void redzones_end_with_the_segment(void **state)
{
	struct builtin_ranges ranges = { .count = 0 };
	struct keeper *guard = make("guard", "counts,8192", &ranges);

	(void)state;
	assert_string_equal(ranges.text[1], "count.elf!0x404000..0x404020");
	assert_string_equal(ranges.text[2], "count.elf!0x404060..0x405000");
	finish_keeper(guard);
}

static void padding_is_nobodys(void **state)
{
	struct keeper *guard = make("guard", "counts", NULL);

	(void)state;
	tell_touch(guard, ACCESS_LOAD, COUNTS, 64, 1, PUSH);
	has_found("guard: load (1 byte) right behind `counts', by count.elf#1 "
		  "at 0x401000\n");
	tell_touch(guard, ACCESS_STORE, COUNTS - 5, 0, 4, PUSH + 8);
	has_found("guard: store (4 bytes) 1 before the start of `counts'");
	tell_touch(guard, ACCESS_STORE, COUNTS, 70, 4, PUSH + 16);
	has_found("guard: store (4 bytes) 6 behind the end of `counts'");
	finish_keeper(guard);
	assert_int_equal(findings, 3);
}

static void a_neighbour_has_users_of_its_own(void **state)
{
	struct keeper *guard = make("guard", "counts", NULL);

	(void)state;
	tell_touch(guard, ACCESS_STORE, COUNTS, 0, 8, PUSH);
	tell_touch(guard, ACCESS_STORE, COUNTER, 0, 8, OTHER);
	tell_touch(guard, ACCESS_LOAD, COUNTER, 0, 8, OTHER + 8);
	tell_touch(guard, ACCESS_STORE, COUNTS, 8, 8, PUSH);
	finish_keeper(guard);
	assert_string_equal(found, "");
}

static void a_place_that_means_the_object_does_not_miss_it(void **state)
{
	struct keeper *guard = make("guard", "counts", NULL);

	(void)state;
	tell_touch(guard, ACCESS_STORE, COUNTS, 0, 8, PUSH);
	tell_touch(guard, ACCESS_STORE, COUNTER, 0, 8, PUSH);
	has_found("guard: store (8 bytes) 8 before the start of `counts', in "
		  "counter+0x0, by count.elf#1 at 0x401000\n");
	tell_touch(guard, ACCESS_STORE, COUNTER, 0, 8, PUSH);
	finish_keeper(guard);
	assert_int_equal(findings, 2);
	has_found("guard: counts: 2 accesses out of bounds, from 1 places\n");
}

static void and_not_before_it_hits_it(void **state)
{
	struct keeper *guard = make("guard", "counts", NULL);

	(void)state;
	tell_touch(guard, ACCESS_STORE, COUNTER, 0, 8, PUSH);
	assert_int_equal(findings, 0);
	tell_touch(guard, ACCESS_STORE, COUNTS, 0, 8, PUSH);
	has_found("in counter+0x0");
	finish_keeper(guard);
	assert_int_equal(findings, 1);
}

/* memset() for one caller is not memset() for another. */
static void a_place_is_an_instruction_and_its_callers(void **state)
{
	struct keeper *guard = make("guard", "counts", NULL);

	(void)state;
	caller = 0x401500;
	tell_touch(guard, ACCESS_STORE, COUNTS, 0, 8, PUSH);
	caller = 0x401600;
	tell_touch(guard, ACCESS_STORE, COUNTER, 0, 8, PUSH);
	assert_int_equal(findings, 0);
	caller = 0x401500;
	tell_touch(guard, ACCESS_STORE, COUNTER, 0, 8, PUSH);
	assert_int_equal(findings, 1);
	has_found("    #1 0x4014ff\n");
	finish_keeper(guard);
}

static void straddling_is_out_of_bounds(void **state)
{
	struct keeper *guard = make("guard", "counts+0+16", NULL);
	struct access access = touch_at(ACCESS_STORE, COUNTS, 12, 8, PUSH);

	(void)state;
	access.kept_count = 4; /* in the object */
	tell_access(guard, &access);
	assert_int_equal(findings, 0);
	access.kept_first = 4; /* in the redzone, which is counts, too */
	access.offset = 0;
	tell_access(guard, &access);
	has_found("guard: store (8 bytes) across the end of `counts+0+16', in "
		  "counts+0x10");
	finish_keeper(guard);
}

/* The kernel's copies are all made by one instruction. */
static void copies_have_no_place(void **state)
{
	struct keeper *guard = make("guard", "counts", NULL);

	(void)state;
	tell_touch(guard, ACCESS_SYSCALL_LOAD, COUNTS, 0, 8, PUSH);
	tell_touch(guard, ACCESS_SYSCALL_LOAD, COUNTER, 0, 8, PUSH);
	assert_int_equal(findings, 0);
	tell_touch(guard, ACCESS_SYSCALL_LOAD, COUNTS, 64, 8, PUSH);
	assert_int_equal(findings, 1);
	finish_keeper(guard);
}

static void all_means_all(void **state)
{
	struct keeper *guard = make("guard", "counts,64,all", NULL);

	(void)state;
	tell_touch(guard, ACCESS_LOAD, COUNTER, 0, 8, OTHER);
	assert_int_equal(findings, 1);
	finish_keeper(guard);
}

static void wrong_arguments_are_refused(void **state)
{
	(void)state;
	is_refused("guard", "nothing", "no symbol");
	is_refused("guard", "counts,none", "neither a number");
	is_refused("guard", "counts,0", "1 to 1048576");
	is_refused("guard", "counts,1048577", "1 to 1048576");
	is_refused("guard", "counts,8x", "is not a number");
	is_refused("guard", "device:uart+4", "is a device");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(redzones_are_kept),
		cmocka_unit_test(redzones_end_with_the_segment),
		cmocka_unit_test(padding_is_nobodys),
		cmocka_unit_test(a_neighbour_has_users_of_its_own),
		cmocka_unit_test(a_place_that_means_the_object_does_not_miss_it),
		cmocka_unit_test(and_not_before_it_hits_it),
		cmocka_unit_test(a_place_is_an_instruction_and_its_callers),
		cmocka_unit_test(straddling_is_out_of_bounds),
		cmocka_unit_test(copies_have_no_place),
		cmocka_unit_test(all_means_all),
		cmocka_unit_test(wrong_arguments_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
