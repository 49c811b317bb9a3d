/* SPDX-License-Identifier: MIT */
/* custos trace export: JSON lines, CSV and TSV say what the trace says. */
#include "tests/unit/cli/trace_export_support.h"

#include <errno.h>
#include <jansson.h>

#include "cli/trace_export.h"

/* ---- JSON lines ---- */

static void same_json(struct rig *rig, json_t *object)
{
	for (size_t i = 0; i < RIG_COLUMNS; i++) {
		json_t *value = json_object_get(object, rig_columns[i]);
		const char *expected = rig_cell(rig, rig_columns[i]);
		char digits[32];

		assert_non_null(value);
		if (json_is_null(value)) {
			assert_string_equal(expected, "");
		} else if (json_is_integer(value)) {
			snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT,
				json_integer_value(value));
			assert_string_equal(digits, expected);
		} else {
			assert_string_equal(json_string_value(value), expected);
		}
	}
}

static void check_json(uint64_t seed)
{
	struct trace_totals totals;
	struct rig rig;
	char *line = NULL;
	size_t room = 0;
	uint64_t lines = 0;
	json_error_t error;
	FILE *f;

	rig_init(&rig, seed);
	trace_reader_totals(rig.reader, &totals);
	assert_int_equal(rig_export(&rig, "jsonl"), CLI_OK);
	f = fopen(rig.out, "r");
	assert_non_null(f);
	for (; getline(&line, &room, f) > 0; lines++) {
		json_t *object = json_loads(line, 0, &error);
		const char *event;

		if (!object)
			fail_msg("%s: %s", error.text, line);
		event = json_string_value(json_object_get(object, "event"));
		assert_non_null(event);
		if (!strcmp(event, "access")) {
			assert_true(rig_next(&rig));
			same_json(&rig, object);
		}
		json_decref(object);
	}
	assert_int_equal(lines, totals.records);
	assert_false(rig_next(&rig));
	assert_int_equal(rig.accesses, totals.accesses);
	fclose(f);
	free(line);
	rig_fini(&rig);
}

static void json_lines_say_what_the_trace_says(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= EXPORT_SEEDS; seed++)
		check_json(seed);
}

/* ---- CSV, TSV ---- */

/* One cell from *at into cell, as a CSV reader would. False: a line ended
 * behind it. */
static bool take_csv(const char **at, char *cell)
{
	const char *p = *at;
	bool quoted = *p == '"';

	for (p += quoted; *p; p++) {
		if (quoted && *p == '"' && p[1] == '"')
			p++;
		else if (quoted && *p == '"')
			break;
		else if (!quoted && (*p == ',' || *p == '\n'))
			break;
		*cell++ = *p;
	}
	p += quoted;
	*cell = '\0';
	*at = p + 1;
	return *p == ',';
}

static bool take_tsv(const char **at, char *cell)
{
	const char *p = *at;

	for (; *p && *p != '\t' && *p != '\n'; p++) {
		if (*p != '\\')
			*cell++ = *p;
		else if (*++p == 't')
			*cell++ = '\t';
		else
			*cell++ = *p == 'n' ? '\n' : *p == 'r' ? '\r' : *p;
	}
	*cell = '\0';
	*at = p + 1;
	return *p == '\t';
}

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text;
	long size;

	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	rewind(f);
	text = calloc(1, (size_t)size + 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, (size_t)size, f), size);
	fclose(f);
	return text;
}

static void check_table(const char *format, uint64_t seed,
	bool (*take)(const char **at, char *cell))
{
	struct rig rig;
	char cell[CELL_MAX], *text;
	const char *at;

	rig_init(&rig, seed);
	assert_int_equal(rig_export(&rig, format), CLI_OK);
	at = text = read_file(rig.out);
	for (size_t i = 0; i < RIG_COLUMNS; i++) {
		assert_int_equal(take(&at, cell), i < RIG_COLUMNS - 1);
		assert_string_equal(cell, rig_columns[i]);
	}
	while (*at) {
		assert_true(rig_next(&rig));
		for (size_t i = 0; i < RIG_COLUMNS; i++) {
			assert_int_equal(take(&at, cell), i < RIG_COLUMNS - 1);
			assert_string_equal(
				cell, rig_cell(&rig, rig_columns[i]));
		}
	}
	assert_false(rig_next(&rig));
	assert_true(rig.accesses > 0);
	free(text);
	rig_fini(&rig);
}

static void tables_say_what_the_trace_says(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= EXPORT_SEEDS; seed++) {
		check_table("csv", seed, take_csv);
		check_table("tsv", seed, take_tsv);
	}
}

static void cells_hold_any_text(void **state)
{
	static const char *const texts[] = { "", "a", "a,b", "\"", "a\"\"b",
		"a\nb", "\r", "\\t", "\t", ",\"\t\r\n\\n" };
	char cell[64];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct buf out = BUF_INIT;
		const char *at;

		trace_export_csv_cell(&out, texts[i], strlen(texts[i]));
		buf_add_char(&out, '\n');
		at = buf_str(&out);
		assert_false(take_csv(&at, cell));
		assert_string_equal(cell, texts[i]);
		buf_reset(&out);
		trace_export_tsv_cell(&out, texts[i], strlen(texts[i]));
		buf_add_char(&out, '\n');
		at = buf_str(&out);
		assert_false(take_tsv(&at, cell));
		assert_string_equal(cell, texts[i]);
		buf_fini(&out);
	}
}

static void refusals(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, 1);
	assert_int_equal(rig_export(&rig, "xml"), CLI_FAILED);
	assert_int_not_equal(access(rig.out, F_OK), 0);
	snprintf(rig.out, sizeof(rig.out), "/nonexistent/file");
	assert_int_equal(rig_export(&rig, "csv"), CLI_FAILED);
	snprintf(rig.out, sizeof(rig.out), "/dev/full");
	assert_int_equal(rig_export(&rig, "csv"), CLI_FAILED);
	snprintf(rig.out, sizeof(rig.out), "/nonexistent/file");
	rig_fini(&rig);
}

static void a_cut_trace_is_exported_as_far_as_it_goes(void **state)
{
	struct rig rig;
	char *text;

	(void)state;
	rig_init(&rig, 1);
	assert_int_equal(truncate(rig.trace, 1000), 0);
	assert_int_equal(rig_export(&rig, "csv"), CLI_NO);
	text = read_file(rig.out);
	assert_memory_equal(text, "seq,ts,", 7);
	free(text);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_lines_say_what_the_trace_says),
		cmocka_unit_test(tables_say_what_the_trace_says),
		cmocka_unit_test(cells_hold_any_text),
		cmocka_unit_test(refusals),
		cmocka_unit_test(a_cut_trace_is_exported_as_far_as_it_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
