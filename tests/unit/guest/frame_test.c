/* SPDX-License-Identifier: MIT */
/* The kernel's frame allocator. */
#include "guest/kernel/frame.h"

#include <stdlib.h>
#include <string.h>

#include "guest/kernel/machine.h"
#include "guest/kernel/process.h"
#include "tests/support/kernel_machine.h"
#include "tests/support/tests.h"

#define HELD_MAX 4096
#define STEPS 20000

struct held {
	uint64_t gpa;
	unsigned frames;
};

static int setup(void **state)
{
	(void)state;
	kernel_setup();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kernel_teardown();
	return 0;
}

/* All zeros, then filled, so that giving it twice would be seen. */
static void claim(uint64_t gpa, unsigned frames)
{
	uint8_t *bytes = machine_direct(gpa);

	for (size_t i = 0; i < frames * PAGE_SIZE; i += 64)
		assert_int_equal(bytes[i], 0);
	memset(bytes, 0xee, frames * PAGE_SIZE);
}

static bool take(struct held *out, bool run)
{
	uint64_t before = frame_count_free();

	out->frames = run ? process_frames() : 1;
	out->gpa = run ? frame_run_alloc(out) : frame_alloc(out);
	if (!out->gpa) {
		assert_true(run || before == 0);
		return false;
	}
	assert_int_equal(frame_count_free(), before - out->frames);
	claim(out->gpa, out->frames);
	return true;
}

static void give_back(const struct held *held)
{
	if (held->frames == 1)
		frame_free(held->gpa);
	else
		frame_run_free(held->gpa);
}

static void every_frame_is_given_once(void **state)
{
	static struct held held[HELD_MAX];
	uint64_t all = frame_count_free();
	unsigned count = 0, seed = 1;

	(void)state;
	for (unsigned step = 0; step < STEPS; step++) {
		/* Phases of growing and of shrinking. */
		bool grow = rand_r(&seed) % 8 < (step / 2500 % 2 ? 2 : 6);

		if (grow && count < HELD_MAX) {
			count += take(&held[count], rand_r(&seed) % 4 == 0);
		} else if (count) {
			unsigned i = (unsigned)rand_r(&seed) % count;

			give_back(&held[i]);
			held[i] = held[--count];
		}
	}
	while (count)
		give_back(&held[--count]);
	assert_int_equal(frame_count_free(), all);
}

static void runs_come_back_after_exhaustion(void **state)
{
	static struct held held[HELD_MAX];
	uint64_t all = frame_count_free();
	unsigned count = 0;
	struct held run;

	(void)state;
	assert_true(take(&run, true));
	give_back(&run); /* will be broken up */
	while (take(&held[count], false))
		count++;
	assert_int_equal(frame_count_free(), 0);
	assert_false(take(&run, true));
	while (count)
		give_back(&held[--count]);
	assert_true(take(&run, true));
	give_back(&run);
	assert_int_equal(frame_count_free(), all);
}

static void owners_are_remembered(void **state)
{
	uint64_t a = frame_alloc(&a), b = frame_alloc(&b);

	(void)state;
	assert_ptr_equal(frame_owner(a), &a);
	frame_set_owner(a, &b);
	assert_ptr_equal(frame_owner(a), &b);
	assert_ptr_equal(frame_owner(b), &b);
	assert_true(frame_is_managed(a));
	assert_false(frame_is_managed(CUSTOS_RAM_BASE));
	assert_false(frame_is_managed(CUSTOS_RAM_BASE + KERNEL_RAM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			every_frame_is_given_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			runs_come_back_after_exhaustion, setup, teardown),
		cmocka_unit_test_setup_teardown(
			owners_are_remembered, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
