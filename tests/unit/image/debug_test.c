/* SPDX-License-Identifier: MIT */
/* Source lines and unwinding, on a program built for it (fixture.c, .S). */
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "image/image.h"
#include "tests/support/tests.h"

#define STACK_VA UINT64_C(0x7fff0000)

static struct image *image;
static uint64_t stack[32];

static int setup(void **state)
{
	char path[PATH_MAX] = { 0 }, fixture[PATH_MAX + 16];
	struct error err;

	(void)state;
	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
		return -1;
	snprintf(fixture, sizeof(fixture), "%s/fixture.elf", dirname(path));
	if (image_open(fixture, &image, &err)) {
		print_error("%s\n", err.text);
		return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	image_close(image);
	return 0;
}

static uint64_t address_of(const char *name)
{
	struct image_symbol symbol;

	assert_true(image_find_symbol(image, name, &symbol));
	return symbol.address;
}

static void lines_come_from_debug_information(void **state)
{
	const char *file;
	int line;

	(void)state;
	assert_true(image_line_at(image, address_of("bad_store"), &file,
		&line));
	assert_non_null(strstr(file, "ring.c"));
	assert_in_range(line, 41, 43);
	assert_true(image_line_at(image, address_of("other"), &file, &line));
	assert_non_null(strstr(file, "other.c"));
	assert_in_range(line, 7, 9);
}

static void there_are_no_lines_where_there_is_no_code(void **state)
{
	const char *file;
	int line;

	(void)state;
	assert_false(image_line_at(image, 0, &file, &line));
	assert_false(image_line_at(image, UINT64_MAX, &file, &line));
	assert_false(image_line_at(image, address_of("ring"), &file, &line));
}

static bool read_stack(void *ctx, uint64_t va, uint64_t *out)
{
	(void)ctx;
	if (va < STACK_VA || va > STACK_VA + sizeof(stack) - 8)
		return false;
	memcpy(out, (char *)stack + (va - STACK_VA), 8);
	return true;
}

static bool unwind(struct image_frame *frame, bool innermost)
{
	return image_unwind(image, frame, innermost, read_stack, NULL);
}

static void unwinds_by_cfi_at_every_instruction(void **state)
{
	static const struct {
		const char *at;
		unsigned depth; /* words on the stack below the return rip */
	} cases[] = { { "cfi_entry", 0 }, { "cfi_pushed", 1 },
		{ "cfi_deep", 5 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned depth = cases[i].depth;
		struct image_frame frame = {
			.rip = address_of(cases[i].at),
			.rsp = STACK_VA,
			.rbp = 55,
			.rbx = 66,
			.r12 = 77,
		};

		memset(stack, 0, sizeof(stack));
		stack[depth] = address_of("after_start");
		if (depth >= 1)
			stack[depth - 1] = 111;
		if (depth >= 2)
			stack[depth - 2] = 222;
		assert_true(unwind(&frame, true));
		assert_int_equal(frame.rip, address_of("after_start"));
		assert_int_equal(frame.rsp, STACK_VA + 8 * depth + 8);
		assert_int_equal(frame.rbp, 55);
		assert_int_equal(frame.rbx, depth >= 1 ? 111 : 66);
		assert_int_equal(frame.r12, depth >= 2 ? 222 : 77);
	}
}

static void unwinds_by_an_expression(void **state)
{
	struct image_frame frame = { .rip = address_of("expression_at"),
		.rsp = STACK_VA };

	(void)state;
	memset(stack, 0, sizeof(stack));
	stack[1] = STACK_VA + 80;
	stack[9] = 0x401234;
	assert_true(unwind(&frame, true));
	assert_int_equal(frame.rip, 0x401234);
	assert_int_equal(frame.rsp, STACK_VA + 80);
}

static void unwinds_by_the_frame_pointer_without_cfi(void **state)
{
	struct image_frame frame = { .rip = address_of("plain_body"),
		.rsp = STACK_VA,
		.rbp = STACK_VA + 16 };

	(void)state;
	memset(stack, 0, sizeof(stack));
	stack[2] = STACK_VA + 64;
	stack[3] = address_of("after_start");
	assert_true(unwind(&frame, true));
	assert_int_equal(frame.rip, address_of("after_start"));
	assert_int_equal(frame.rsp, STACK_VA + 32);
	assert_int_equal(frame.rbp, STACK_VA + 64);
}

static void at_a_functions_start_the_return_address_is_on_top(void **state)
{
	struct image_frame frame = { .rip = address_of("without_cfi"),
		.rsp = STACK_VA };

	(void)state;
	memset(stack, 0, sizeof(stack));
	stack[0] = address_of("after_start");
	assert_true(unwind(&frame, true));
	assert_int_equal(frame.rip, address_of("after_start"));
	assert_int_equal(frame.rsp, STACK_VA + 8);
}

static void stops_where_nothing_fits(void **state)
{
	const struct image_frame cases[] = {
		/* the return address is marked undefined */
		{ .rip = address_of("outermost"), .rsp = STACK_VA },
		/* the stack cannot be read */
		{ .rip = address_of("cfi_deep"), .rsp = 8 },
		{ .rip = address_of("cfi_deep"), .rsp = UINT64_MAX - 16 },
		/* an expression that leads down the stack */
		{ .rip = address_of("expression_at"), .rsp = STACK_VA + 16 },
		/* frame pointer below the stack pointer, or wrapping */
		{ .rip = address_of("plain_body"), .rsp = STACK_VA + 64,
			.rbp = STACK_VA },
		{ .rip = address_of("plain_body"), .rsp = STACK_VA,
			.rbp = UINT64_MAX - 7 },
		/* a return address that is no code */
		{ .rip = address_of("plain_body"), .rsp = STACK_VA,
			.rbp = STACK_VA },
		{ .rip = 0, .rsp = 0 },
	};

	(void)state;
	memset(stack, 0, sizeof(stack));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct image_frame frame = cases[i];

		assert_false(unwind(&frame, true));
		assert_memory_equal(&frame, &cases[i], sizeof(frame));
	}
}

static void *ask_often(void *arg)
{
	uintptr_t good = 0;

	(void)arg;
	memset(stack, 0, sizeof(stack));
	for (int i = 0; i < 200; i++) {
		struct image_frame frame = { .rip = address_of("cfi_deep"),
			.rsp = STACK_VA };
		const char *file;
		int line;

		good += image_line_at(
			image, address_of("bad_store"), &file, &line);
		unwind(&frame, true);
	}
	return (void *)good;
}

static void any_thread_may_ask(void **state)
{
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, ask_often, NULL), 0);
	for (int i = 0; i < 4; i++) {
		void *good;

		pthread_join(threads[i], &good);
		assert_int_equal((uintptr_t)good, 200);
	}
}

int main(void)
{
	/* any_thread_may_ask goes first: it is the one that loads. */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_thread_may_ask),
		cmocka_unit_test(lines_come_from_debug_information),
		cmocka_unit_test(there_are_no_lines_where_there_is_no_code),
		cmocka_unit_test(unwinds_by_cfi_at_every_instruction),
		cmocka_unit_test(unwinds_by_an_expression),
		cmocka_unit_test(unwinds_by_the_frame_pointer_without_cfi),
		cmocka_unit_test(
			at_a_functions_start_the_return_address_is_on_top),
		cmocka_unit_test(stops_where_nothing_fits),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
