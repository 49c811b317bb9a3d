/* SPDX-License-Identifier: MIT */
#include "tests/unit/keeper/builtin_program.h"

static void instructions_are_counted(void **state)
{
	struct keeper *who = make("who", "counter", NULL);

	(void)state;
	tell_touch(who, ACCESS_LOAD, COUNTER, 0, 8, 0x401000);
	tell_touch(who, ACCESS_STORE, COUNTER, 0, 8, 0x401010);
	tell_touch(who, ACCESS_LOAD, COUNTER, 0, 8, 0x401000);
	assert_int_equal(findings, 0);
	finish_keeper(who);
	assert_string_equal(found,
		"who: counter, byte 0 to 7: 2 instructions\n"
		"    load 2 times, access 1 to 3: count.elf#1 at 0x401000\n"
		"    store 1 time, access 2: count.elf#1 at 0x401010\n");
}

static void an_array_filled_in_a_loop_is_one_run(void **state)
{
	struct keeper *who = make("who", "counts", NULL);

	(void)state;
	for (uint64_t i = 0; i < 8; i++)
		tell_touch(who, ACCESS_STORE, COUNTS, i * 8, 8, 0x401000);
	finish_keeper(who);
	assert_string_equal(found,
		"who: counts, byte 0 to 63: 1 instruction\n"
		"    store 8 times, access 1 to 8: count.elf#1 at 0x401000\n");
}

static void runs_are_cut_where_the_instructions_change(void **state)
{
	struct keeper *who = make("who", "counts", NULL);

	(void)state;
	tell_touch(who, ACCESS_STORE, COUNTS, 0, 8, 0x401000);
	tell_touch(who, ACCESS_STORE, COUNTS, 6, 4, 0x401010);
	tell_touch(who, ACCESS_STORE, COUNTS, 20, 1, 0x401010);
	finish_keeper(who);
	assert_string_equal(found,
		"who: counts, byte 0 to 5: 1 instruction\n"
		"    store 1 time, access 1: count.elf#1 at 0x401000\n"
		"who: counts, byte 6 to 7: 2 instructions\n"
		"    store 1 time, access 1: count.elf#1 at 0x401000\n"
		"    store 1 time, access 2: count.elf#1 at 0x401010\n"
		"who: counts, byte 8 to 9: 1 instruction\n"
		"    store 1 time, access 2: count.elf#1 at 0x401010\n"
		"who: counts, byte 20: 1 instruction\n"
		"    store 1 time, access 3: count.elf#1 at 0x401010\n");
}

static void nobody_is_said(void **state)
{
	struct keeper *who = make("who", "counter", NULL);
	struct access undone = touch_at(ACCESS_STORE, COUNTER, 0, 8, 0x401000);

	(void)state;
	keeper_tell(who, &undone, OUTCOME_ROLLBACK, undone.old_bytes);
	finish_keeper(who);
	assert_string_equal(found, "who: counter: nobody\n");
}

/* Every byte's set of instructions, against a table made byte by byte. */
static void runs_say_what_each_byte_saw(void **state)
{
	bool saw[64][4] = { { false } }, said[64][4] = { { false } };
	struct keeper *who = make("who", "counts", NULL);
	uint32_t random = 1;
	const char *at;

	(void)state;
	for (int i = 0; i < 40; i++) {
		uint32_t offset, size, ip;

		random = random * 1664525 + 1013904223;
		offset = random >> 8 & 63;
		ip = random >> 16 & 3;
		size = 1 + (random >> 20 & 7);
		if (offset + size > 64)
			size = 64 - offset;
		for (uint32_t b = offset; b < offset + size; b++)
			saw[b][ip] = true;
		tell_touch(who, ACCESS_LOAD, COUNTS, offset, size,
			0x401000 + ip);
	}
	finish_keeper(who);
	unsigned first = 0, last = 0, ip = 0;

	for (at = found; *at; at = strchr(at, '\n') + 1) {
		if (sscanf(at, "who: counts, byte %u to %u", &first, &last) ==
			2)
			continue;
		if (sscanf(at, "who: counts, byte %u:", &first) == 1) {
			last = first;
			continue;
		}
		at = strstr(at, "at 0x40100");
		ip = (unsigned)(at[10] - '0');
		for (unsigned b = first; b <= last; b++)
			said[b][ip] = true;
	}
	assert_memory_equal(saw, said, sizeof(saw));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(instructions_are_counted),
		cmocka_unit_test(an_array_filled_in_a_loop_is_one_run),
		cmocka_unit_test(runs_are_cut_where_the_instructions_change),
		cmocka_unit_test(nobody_is_said),
		cmocka_unit_test(runs_say_what_each_byte_saw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
