/* SPDX-License-Identifier: MIT */
#include "tests/unit/keeper/builtin_program.h"

#define IP UINT64_C(0x401000)

static struct access load_as(uint64_t process)
{
	struct access access = touch_at(ACCESS_LOAD, COUNTS, 8, 8, IP);

	access.process = process;
	return access;
}

static void one_bit_is_flipped(void **state)
{
	struct keeper *inject = make("inject", "counts:flip=1", NULL);
	struct access access = touch_at(ACCESS_LOAD, COUNTS, 8, 8, IP);
	uint8_t value[64];

	(void)state;
	for (int i = 0; i < 100; i++) {
		int bits = 0;

		assert_int_equal(ask_access(inject, &access, value).kind,
			VERDICT_SERVE);
		for (int b = 0; b < 8; b++)
			bits += __builtin_popcount(value[b]);
		assert_int_equal(bits, 1);
	}
	has_found("inject: 1. flip, load of it+8: 0x0 seen as 0x");
	finish_keeper(inject);
	has_found("inject: counts, seed 1: 100 injected, 100 flip\n");
}

static void only_kept_bytes_are_flipped(void **state)
{
	struct keeper *inject = make("inject", "counts:flip=1", NULL);
	struct access access = touch_at(ACCESS_LOAD, COUNTS, 0, 8, IP);
	uint8_t value[64];

	(void)state;
	access.kept_first = 3;
	access.kept_count = 2;
	for (int i = 0; i < 100; i++) {
		ask_access(inject, &access, value);
		assert_true(value[3] || value[4]);
		value[3] = value[4] = 0;
		assert_memory_equal(value, access.old_bytes, 8);
	}
	finish_keeper(inject);
}

/* Which of the accesses of a process suffer: 64 bits of them. */
static uint64_t pattern(const char *argument, bool others_between)
{
	struct keeper *inject = make("inject", argument, NULL);
	struct access access = load_as(7), other = load_as(8);
	uint64_t hits = 0;
	uint8_t value[64];

	for (int i = 0; i < 64; i++) {
		for (int n = 0; others_between && n < i % 3; n++)
			ask_access(inject, &other, value);
		hits |= (uint64_t)(ask_access(inject, &access, value).kind ==
				VERDICT_SERVE)
			<< i;
	}
	keeper_destroy(inject);
	return hits;
}

static void the_same_seed_is_the_same_run(void **state)
{
	uint64_t first = pattern("counts:seed=5,flip=4", false);
	int hits = __builtin_popcountll(first);

	(void)state;
	assert_true(hits > 4 && hits < 32); /* 16 are expected */
	assert_true(first == pattern("counts:seed=5,flip=4", false));
	assert_true(first == pattern("counts:seed=5,flip=4", true));
	assert_true(first != pattern("counts:seed=6,flip=4", false));
}

static void after_and_max_limit_it(void **state)
{
	(void)state;
	assert_true(pattern("counts:flip=1,after=10", false) ==
		UINT64_MAX << 10);
	assert_true(pattern("counts:flip=1,max=3", false) == 7);
}

static void stale_loads_see_the_value_before(void **state)
{
	struct keeper *inject = make("inject", "counts:stale=1", NULL);
	struct access store = touch_at(ACCESS_STORE, COUNTS, 8, 8, IP);
	struct access load = touch_at(ACCESS_LOAD, COUNTS, 8, 8, IP);
	uint8_t value[64];

	(void)state;
	/* Nothing has changed yet. */
	assert_int_equal(ask_access(inject, &load, value).kind, VERDICT_PASS);
	tell_access(inject, &store);
	load.old_bytes = store.new_bytes;
	assert_int_equal(ask_access(inject, &load, value).kind, VERDICT_SERVE);
	assert_memory_equal(value, store.old_bytes, 8);
	has_found("inject: 1. stale, load of it+8: 0x807060504030201 seen as "
		  "0x0");
	finish_keeper(inject);
}

static void an_absorbed_store_makes_nothing_stale(void **state)
{
	struct keeper *inject = make("inject", "counts:stale=1", NULL);
	struct access store = touch_at(ACCESS_STORE, COUNTS, 8, 8, IP);
	struct access load = touch_at(ACCESS_LOAD, COUNTS, 8, 8, IP);
	uint8_t value[64];

	(void)state;
	keeper_tell(inject, &store, OUTCOME_ABSORB, store.old_bytes);
	load.old_bytes = store.new_bytes;
	assert_int_equal(ask_access(inject, &load, value).kind, VERDICT_PASS);
	finish_keeper(inject);
}

static void torn_loads_see_half_of_it(void **state)
{
	struct keeper *inject = make("inject", "counts:torn=1", NULL);
	struct access store = touch_at(ACCESS_STORE, COUNTS, 8, 8, IP);
	struct access load = touch_at(ACCESS_LOAD, COUNTS, 8, 8, IP);
	bool low = false, high = false;
	uint8_t value[64];

	(void)state;
	tell_access(inject, &store);
	load.old_bytes = store.new_bytes;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(ask_access(inject, &load, value).kind,
			VERDICT_SERVE);
		low = low || (!value[0] && value[7] == 8);
		high = high || (value[0] == 1 && !value[7]);
	}
	assert_true(low && high);
	finish_keeper(inject);
}

static void delays_hold(void **state)
{
	struct keeper *inject = make("inject", "counts:delay=1,ms=7", NULL);
	struct access load = touch_at(ACCESS_STORE, COUNTS, 8, 8, IP);
	struct access copy = touch_at(ACCESS_IPC_SRC, COUNTS, 8, 8, IP);
	uint8_t value[64];
	struct verdict verdict = ask_access(inject, &load, value);

	(void)state;
	assert_int_equal(verdict.kind, VERDICT_HOLD);
	assert_int_equal(verdict.hold_ms, 7);
	has_found("delay, store of it+8 by 7 ms");
	assert_int_equal(ask_access(inject, &copy, value).kind, VERDICT_PASS);
	finish_keeper(inject);
}

static void stores_and_fetches_are_not_flipped(void **state)
{
	struct keeper *inject = make("inject", "counts:flip=1", NULL);
	struct access store = touch_at(ACCESS_STORE, COUNTS, 8, 8, IP);
	struct access fetch = touch_at(ACCESS_FETCH, COUNTS, 8, 8, IP);
	uint8_t value[64];

	(void)state;
	assert_int_equal(ask_access(inject, &store, value).kind, VERDICT_PASS);
	assert_int_equal(ask_access(inject, &fetch, value).kind, VERDICT_PASS);
	finish_keeper(inject);
}

static void wrong_arguments_are_refused(void **state)
{
	(void)state;
	is_refused("inject", "counts", "what? Write RANGE:flip=N");
	is_refused("inject", "counts:seed=3", "what?");
	is_refused("inject", "counts:flop=3", "`flop=3' is not known");
	is_refused("inject", "counts:flip=x", "is not a number");
	is_refused("inject", "counts:flip=-1", "is not a number");
	is_refused("inject", "counts:delay=1,ms=0", "1 to 60000");
	is_refused("inject", "device:uart+4:flip=1", "is a device");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_bit_is_flipped),
		cmocka_unit_test(only_kept_bytes_are_flipped),
		cmocka_unit_test(the_same_seed_is_the_same_run),
		cmocka_unit_test(after_and_max_limit_it),
		cmocka_unit_test(stale_loads_see_the_value_before),
		cmocka_unit_test(an_absorbed_store_makes_nothing_stale),
		cmocka_unit_test(torn_loads_see_half_of_it),
		cmocka_unit_test(delays_hold),
		cmocka_unit_test(stores_and_fetches_are_not_flipped),
		cmocka_unit_test(wrong_arguments_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
