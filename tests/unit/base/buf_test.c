/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/tests.h"

static void json_escapes_quotes_controls_and_bad_utf8(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		const char *want;
	} cases[] = {
		{ "plain", 5, "\"plain\"" },
		{ "a\"b\\c", 5, "\"a\\\"b\\\\c\"" },
		{ "\n\0x", 3, "\"\\u000a\\u0000x\"" },
		{ "\x7f", 1, "\"\\u007f\"" },
		{ "ab\"", 3, "\"ab\\\"\"" },
		{ "a\xc3\xa9z", 4, "\"a\xc3\xa9z\"" },
		{ "\xc3\xa9", 2, "\"\xc3\xa9\"" },
		{ "\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", 3,
			"\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
	};
	struct buf buf = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_reset(&buf);
		buf_add_json(&buf, cases[i].in, cases[i].len);
		assert_string_equal(buf_str(&buf), cases[i].want);
	}
	buf_fini(&buf);
}

static void grows_and_keeps_what_was_there(void **state)
{
	struct buf buf = BUF_INIT;

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_printf(&buf, "%d,", i);
	assert_false(buf.failed);
	assert_memory_equal(buf_str(&buf), "0,1,2,", 6);
	assert_string_equal(buf_str(&buf) + buf.len - 4, "999,");
	buf_fini(&buf);
	assert_string_equal(buf_str(&buf), "");
}

static void hex_is_two_lower_case_digits_a_byte(void **state)
{
	struct buf buf = BUF_INIT;

	(void)state;
	buf_add_hex(&buf, "\x00\xab\x7f", 3);
	assert_string_equal(buf_str(&buf), "00ab7f");
	buf_fini(&buf);
}

/* Whether it fits what is allocated, fits exactly, or not. */
static void prints_at_every_fill(void **state)
{
	char filler[300], expected[600];

	(void)state;
	memset(filler, 'f', sizeof(filler));
	for (size_t before = 0; before < sizeof(filler); before++)
		for (int len = 0; len < 300; len += 1 + len / 20) {
			struct buf buf = BUF_INIT;

			if (before)
				buf_add(&buf, filler, before);
			buf_printf(&buf, "%.*s", len, filler);
			assert_int_equal(buf.len, before + (size_t)len);
			memset(expected, 'f', buf.len);
			expected[buf.len] = '\0';
			assert_string_equal(buf_str(&buf), expected);
			assert_false(buf.failed);
			buf_fini(&buf);
		}
}

static void numbers_are_what_printf_says(void **state)
{
	static const uint64_t numbers[] = { 0, 1, 9, 10, 15, 16, 99, 255, 256,
		1000000007, UINT32_MAX, UINT64_MAX / 10, UINT64_MAX };
	struct buf buf = BUF_INIT;
	char want[64];

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		buf_reset(&buf);
		buf_add_decimal(&buf, numbers[i]);
		buf_add_char(&buf, ' ');
		buf_add_number(&buf, numbers[i]);
		snprintf(want, sizeof(want), "%llu 0x%llx",
			(unsigned long long)numbers[i],
			(unsigned long long)numbers[i]);
		assert_string_equal(buf_str(&buf), want);
	}
	buf_fini(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_escapes_quotes_controls_and_bad_utf8),
		cmocka_unit_test(grows_and_keeps_what_was_there),
		cmocka_unit_test(prints_at_every_fill),
		cmocka_unit_test(hex_is_two_lower_case_digits_a_byte),
		cmocka_unit_test(numbers_are_what_printf_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
