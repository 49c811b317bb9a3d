/* SPDX-License-Identifier: MIT */
#include "keeper/range.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/tests.h"
#include "tests/unit/keeper/fake_image.h"

static int add(struct range_set *set, const char *text, struct range **out,
	struct error *err)
{
	return range_set_add(
		set, text, fake_images, 2, NULL, VERDICT_DENY, out, err);
}

static void specifications_become_bytes(void **state)
{
	static const struct {
		const char *text;
		const struct image *image;
		uint64_t address, length;
	} cases[] = {
		{ "counter", &count_image, 0x404010, 8 },
		{ "counter+2+3", &count_image, 0x404012, 3 },
		{ "counter+0x8+0x10", &count_image, 0x404018, 16 },
		{ "start+0+1", &count_image, 0x401000, 1 },
		{ "count!counter", &count_image, 0x404010, 8 },
		{ "count.elf!counter", &count_image, 0x404010, 8 },
		{ "other!counter", &other_image, 0x404010, 4 },
		{ "other.elf!counter", &other_image, 0x404010, 4 },
		{ "other!0x404000+0x1000", &other_image, 0x404000, 4096 },
		{ "ring.owner", &count_image, 0x404084, 4 },
		{ "ring.owner+1+2", &count_image, 0x404085, 2 },
		{ "0x404000+1", &count_image, 0x404000, 1 },
		{ "4210688+2", &count_image, 0x404000, 2 },
		{ "0x404000..0x404008", &count_image, 0x404000, 8 },
		{ "0X1000..0x7ffffffff000", &count_image, 0x1000,
			0x7fffffffe000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct range_set *set = range_set_create();
		struct error err = { 0 };
		struct range *range;

		if (add(set, cases[i].text, &range, &err))
			fail_msg("%s: %s", cases[i].text, err.text);
		assert_string_equal(range->name, cases[i].text);
		assert_ptr_equal(range->image, cases[i].image);
		assert_int_equal(range->address, cases[i].address);
		assert_int_equal(range->length, cases[i].length);
		assert_int_equal(range->links[0].fallback, VERDICT_DENY);
		assert_false(range->device);
		range_set_destroy(set);
	}
}

static void wrong_specifications_get_a_sentence(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *sentence;
	} cases[] = {
		{ "", -EINVAL, "is missing" },
		{ "+8", -EINVAL, "is missing" },
		{ "!counter", -EINVAL, "before '!' has no name" },
		{ "a!b!c", -EINVAL, "expected '+'" },
		{ "count!", -EINVAL, "is missing" },
		{ "counter+4", -EINVAL, "Write SYMBOL+OFFSET+LENGTH" },
		{ "counter+", -EINVAL, "a number is missing" },
		{ "counter+-1+2", -EINVAL, "a number is missing" },
		{ "counter+1+2+3", -EINVAL, "behind its end" },
		{ "counter+1+2x", -EINVAL, "behind its end" },
		{ "counter+0+0", -EINVAL, "it is empty" },
		{ "0x404000", -EINVAL, "Write ADDRESS+LENGTH or FIRST..END" },
		{ "0x+1", -EINVAL, "a number is missing" },
		{ "0x404000+0", -EINVAL, "it is empty" },
		{ "0x404000..0x404000", -EINVAL, "it is empty" },
		{ "0x404000..0x403fff", -EINVAL, "ends before it starts" },
		{ "0x404000..", -EINVAL, "a number is missing" },
		{ "0x404000...5", -EINVAL, "a number is missing" },
		{ "0x404000-0x405000", -EINVAL, "expected '+'" },
		{ "0x10000000000000000+1", -EINVAL, "64 bits" },
		{ "99999999999999999999+1", -EINVAL, "64 bits" },
		{ "0xffffffffffffffff+2", -EINVAL, "wraps" },
		{ "0x404000+0xffffffffffffffff", -EINVAL, "wraps" },
		{ "high+0x10+8", -EINVAL, "wraps" },
		{ "high", -EINVAL, "outside user memory" },
		{ "0+1", -EINVAL, "outside user memory" },
		{ "0xfff+2", -EINVAL, "outside user memory" },
		{ "0x7fffffffefff+2", -EINVAL, "outside user memory" },
		{ "0xffff800000000000+1", -EINVAL, "outside user memory" },
		{ "start", -EINVAL, "write start+0+LENGTH" },
		{ "cuonter", -ENOENT, "count.elf has no symbol 'cuonter'; "
			"did you mean: counter, counts?" },
		{ "ring.x", -ENOENT, "range 'ring.x': no member there" },
		{ "zzz", -ENOENT, "count.elf has no symbol 'zzz'" },
		{ "prog!x", -ENOENT, "no program is called 'prog'; there "
			"are: count.elf, other" },
		{ "device:", -EINVAL, "the device has no name" },
		{ "device:+8", -EINVAL, "the device has no name" },
		{ "device:uart", -EINVAL, "Write device:NAME+LENGTH" },
		{ "device:uart+0", -EINVAL, "it is empty" },
		{ "device:uart+8+8", -EINVAL, "behind its end" },
		{ "device:uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu+8", -EINVAL,
			"longer than 31" },
	};
	struct range_set *set = range_set_create();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = { 0 };
		int rc = add(set, cases[i].text, NULL, &err);

		if (rc != cases[i].code ||
			!strstr(err.text, cases[i].sentence))
			fail_msg("%s: %d %s", cases[i].text, rc, err.text);
	}
	assert_int_equal(range_set_count(set), 0);
	range_set_destroy(set);
}

static void a_long_text_is_refused_not_cut(void **state)
{
	struct range_set *set = range_set_create();
	char text[RANGE_NAME_MAX + 1];
	struct error err;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[RANGE_NAME_MAX] = '\0';
	assert_int_equal(add(set, text, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "longer than 127"));
	text[RANGE_NAME_MAX - 1] = '\0';
	assert_int_equal(add(set, text, NULL, &err), -ENOENT);
	range_set_destroy(set);
}

static void overlaps_are_refused_and_named(void **state)
{
	static const struct {
		const char *text, *with; /* NULL: fits */
	} cases[] = {
		{ "0x404100+16", NULL },
		{ "0x404110+16", NULL },
		{ "0x4040f0+16", NULL },
		{ "0x404108+1", "0x404100+16" },
		{ "0x4040ff+1", "0x4040f0+16" },
		{ "0x4040ff+2", "0x4040f0+16" },
		{ "0x404000+0x1000", "0x4040f0+16" },
		{ "0x40411f+9", "0x404110+16" },
		{ "other!0x404100+16", NULL },
		{ "device:uart+256", NULL },
		{ "device:uart+16", "device:uart+256" },
		{ "device:disk+16", NULL },
		{ "counter", NULL },
		{ "counter+7+1", "counter" },
	};
	struct range_set *set = range_set_create();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = { 0 };
		int rc = add(set, cases[i].text, NULL, &err);

		assert_int_equal(rc, cases[i].with ? -EINVAL : 0);
		if (cases[i].with && !strstr(err.text, cases[i].with))
			fail_msg("%s: %s", cases[i].text, err.text);
	}
	range_set_destroy(set);
}

static void ranges_keep_their_place_and_order(void **state)
{
	struct range_set *set = range_set_create();
	struct range *first, *range;
	char text[64];

	(void)state;
	assert_int_equal(add(set, "device:d+9", &first, NULL), 0);
	/* From both ends, so that the sorted order is not that of adding. */
	for (unsigned i = 0; i < 1000; i++) {
		unsigned n = i & 1 ? 1000 - i : i;

		snprintf(text, sizeof(text), "0x%x+8", 0x500000 + n * 8);
		assert_int_equal(add(set, text, &range, NULL), 0);
		assert_int_equal(range->id, i + 1);
		assert_int_equal(add(set, text, NULL, NULL), -EINVAL);
	}
	assert_int_equal(range_set_count(set), 1001);
	assert_ptr_equal(range_set_get(set, 0), first);
	assert_ptr_equal(range_set_get(set, 1000), range);
	assert_null(range_set_get(set, 1001));
	assert_true(first->device);
	assert_string_equal(first->device_name, "d");
	assert_null(first->image);
	assert_int_equal(first->length, 9);
	range_set_destroy(set);
}

static void without_programs_only_devices_can_be_kept(void **state)
{
	struct range_set *set = range_set_create();
	struct error err;

	(void)state;
	assert_int_equal(range_set_add(set, "x", NULL, 0, NULL, VERDICT_PASS,
				 NULL, &err),
		-ENOENT);
	assert_non_null(strstr(err.text, "there is no program"));
	assert_int_equal(range_set_add(set, "device:x+8", NULL, 0, NULL,
				 VERDICT_PASS, NULL, &err),
		0);
	range_set_destroy(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(specifications_become_bytes),
		cmocka_unit_test(wrong_specifications_get_a_sentence),
		cmocka_unit_test(a_long_text_is_refused_not_cut),
		cmocka_unit_test(overlaps_are_refused_and_named),
		cmocka_unit_test(ranges_keep_their_place_and_order),
		cmocka_unit_test(without_programs_only_devices_can_be_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
