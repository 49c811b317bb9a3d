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
	out->gpa = run ? frame_run_take(FRAME_PROCESS)
		       : frame_take(FRAME_PAGE, true);
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
		frame_give(held->gpa);
	else
		frame_run_give(held->gpa);
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
	unsigned count = 0, runs = 0;

	(void)state;
	while (take(&held[count], true))
		count++;
	runs = count;
	/* Groups at both ends may not be whole. */
	assert_true(frame_count_free() < 2 * process_frames());
	while (count)
		give_back(&held[--count]);
	while (take(&held[count], false))
		count++;
	assert_int_equal(frame_count_free(), 0);
	assert_int_equal(count, all);
	assert_false(take(&held[count], true));
	/* In any order. */
	for (unsigned i = 0; i < count; i += 2)
		give_back(&held[i]);
	for (unsigned i = 1; i < count; i += 2)
		give_back(&held[i]);
	for (count = 0; take(&held[count], true);)
		count++;
	assert_int_equal(count, runs);
	while (count)
		give_back(&held[--count]);
	assert_int_equal(frame_count_free(), all);
}

static void a_given_frame_is_another_object(void **state)
{
	uint64_t a = frame_take(FRAME_PAGE, true), generation;
	void *object = machine_direct(a);

	(void)state;
	generation = frame_info(a)->generation;
	assert_true(frame_is_live(object, generation));
	frame_give(a);
	assert_false(frame_is_live(object, generation));
	assert_int_equal(frame_take(FRAME_PAGE, true), a);
	assert_false(frame_is_live(object, generation));
	assert_true(frame_is_live(object, frame_info(a)->generation));
	assert_true(frame_info(a)->generation > generation);
}

static void numbers_lead_there_and_back(void **state)
{
	uint64_t a = frame_take(FRAME_GPT, true);
	uint64_t end = CUSTOS_RAM_BASE + kernel_machine.ram_size;

	(void)state;
	assert_int_not_equal(frame_number(a), 0);
	assert_int_equal(frame_gpa(frame_number(a)), a);
	assert_int_equal(frame_number(a + 4095), frame_number(a));
	assert_int_equal(frame_info(a)->type, FRAME_GPT);
	assert_true(frame_is_managed(a));
	assert_false(frame_is_managed(CUSTOS_RAM_BASE));
	assert_true(frame_is_managed(end - 1));
	assert_false(frame_is_managed(end));
}

static void counts_add_up(void **state)
{
	uint64_t kernel = frame_count_kernel();

	(void)state;
	assert_int_equal(frame_count_free() + kernel + 1 /* root bank */,
		frame_count_all());
	frame_take(FRAME_KERNEL, false);
	assert_int_equal(frame_count_kernel(), kernel + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KERNEL_TEST(every_frame_is_given_once),
		KERNEL_TEST(runs_come_back_after_exhaustion),
		KERNEL_TEST(a_given_frame_is_another_object),
		KERNEL_TEST(numbers_lead_there_and_back),
		KERNEL_TEST(counts_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
