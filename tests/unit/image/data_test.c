/* SPDX-License-Identifier: MIT */
/* Variables, their insides and inlined functions, from debug information. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/image.h"
#include "tests/support/tests.h"

static struct image *image;

static int setup(void **state)
{
	const char *build = getenv("CUSTOS_BUILD");
	char path[256];
	struct error err = { 0 };

	(void)state;
	snprintf(path, sizeof(path), "%s/tests/unit/image/data_fixture.elf",
		build ? build : "build");
	if (image_open(path, &image, &err))
		fail_msg("%s", err.text);
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

static void a_path_leads_to_bytes(void **state)
{
	/* offsets by the System V ABI */
	static const struct {
		const char *path;
		uint64_t offset, size;
	} cases[] = {
		{ "ctx", 0, 136 },
		{ "ctx.first", 0, 4 },
		{ "ctx.lock", 4, 8 },
		{ "ctx.lock.owner", 4, 4 },
		{ "ctx.lock.waiters", 8, 4 },
		{ "ctx.slots", 16, 96 },
		{ "ctx.slots[0]", 16, 24 },
		{ "ctx.slots[3].id", 88, 4 },
		{ "ctx.slots[0x1].whole", 48, 8 },
		{ "ctx.slots[1].high", 50, 2 },
		{ "ctx.slots[1].mode", 56, 2 },
		{ "ctx.names[1]", 120, 8 },
		{ "ctx.names[1][7]", 127, 1 },
		{ "ctx.next", 128, 8 },
	};
	uint64_t base = address_of("ctx");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t address, size;
		struct error err = { 0 };

		if (image_find_field(
			    image, cases[i].path, &address, &size, &err))
			fail_msg("%s: %s", cases[i].path, err.text);
		assert_int_equal(address - base, cases[i].offset);
		assert_int_equal(size, cases[i].size);
	}
}

static void a_functions_own_variable_has_a_path(void **state)
{
	uint64_t address, size;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(
		image_find_field(image, "calls", &address, &size, &err), 0);
	assert_int_equal(size, 4);
}

static void wrong_paths_say_what_is_there(void **state)
{
	static const struct {
		const char *path, *says;
	} cases[] = {
		{ "nothing.x", "no debug information for a variable" },
		{ "ctx.lok", "ctx has no member 'lok'; it has first, lock, "
			     "slots" },
		{ "ctx.lock.owner.x", "ctx.lock.owner is no struct or union" },
		{ "ctx.next.first", "ctx.next is no struct or union" },
		{ "ctx.slots.id", "ctx.slots is no struct or union" },
		{ "ctx.slots[4]", "ctx.slots has 4 elements" },
		{ "ctx.slots[-1]", "not an index" },
		{ "ctx.slots[]", "not an index" },
		{ "ctx.slots[1", "not an index" },
		{ "ctx.slots[99999999999999999999]", "not an index" },
		{ "ctx.names[1][8]", "ctx.names[1] has 8 elements" },
		{ "ctx.names[1][2][0]", "ctx.names[1][2] is no array" },
		{ "ctx.slots[1]x", "neither a member nor an index" },
		{ "ctx.", "has no member ''" },
		{ "plain[0]", "plain is no array" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t address, size;
		struct error err = { 0 };

		assert_true(image_find_field(image, cases[i].path, &address,
				    &size, &err) < 0);
		if (!strstr(err.text, cases[i].says))
			fail_msg("%s: %s", cases[i].path, err.text);
	}
}

static void bytes_lead_to_a_path(void **state)
{
	static const struct {
		uint64_t offset, size;
		const char *path;
	} cases[] = {
		{ 0, 4, "ctx.first" },
		{ 4, 4, "ctx.lock.owner" },
		{ 6, 1, "ctx.lock.owner+2" },
		{ 40, 4, "ctx.slots[1].id" },
		{ 48, 8, "ctx.slots[1].whole" },
		{ 48, 2, "ctx.slots[1].low" },
		{ 50, 2, "ctx.slots[1].high" },
		{ 124, 1, "ctx.names[1][4]" },
	};
	uint64_t base = address_of("ctx");
	struct buf out = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_reset(&out);
		assert_true(image_describe_data(image, base + cases[i].offset,
			cases[i].size, &out));
		assert_string_equal(buf_str(&out), cases[i].path);
	}
	buf_reset(&out);
	assert_false(image_describe_data(image, 16, 1, &out));
	assert_string_equal(buf_str(&out), "");
	buf_fini(&out);
}

static void inlined_functions_are_listed_innermost_first(void **state)
{
	struct image_inline inlines[4];
	struct image_symbol start;
	size_t deepest = 0;

	(void)state;
	assert_true(image_find_symbol(image, "_start", &start));
	for (uint64_t ip = start.address; ip < start.address + start.size;
		ip++) {
		size_t count = image_inlines_at(image, ip, inlines, 4);

		deepest = count > deepest ? count : deepest;
		if (count != 2)
			continue;
		assert_string_equal(inlines[0].function, "take");
		assert_string_equal(inlines[0].call_file, "data_fixture.c");
		assert_int_equal(inlines[0].call_line, 38);
		assert_string_equal(inlines[1].function, "step");
		assert_int_equal(inlines[1].call_line, 50);
	}
	assert_int_equal(deepest, 2);
	assert_int_equal(image_inlines_at(image, 16, inlines, 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_leads_to_bytes),
		cmocka_unit_test(a_functions_own_variable_has_a_path),
		cmocka_unit_test(wrong_paths_say_what_is_there),
		cmocka_unit_test(bytes_lead_to_a_path),
		cmocka_unit_test(inlined_functions_are_listed_innermost_first),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
