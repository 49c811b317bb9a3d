/* SPDX-License-Identifier: MIT */
/* custos trace export chrome: the events say what the trace says. */
#include "tests/unit/cli/trace_export_support.h"

#include <jansson.h>

static const char *text(json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void same_access(struct rig *rig, json_t *event)
{
	static const char *const columns[] = { "seq", "ip", "address", "old",
		"new", "final", "symbol", "line" };
	const struct access *a = &rig->record.access;
	json_t *args = json_object_get(event, "args");
	double us = json_number_value(json_object_get(event, "ts"));

	assert_string_equal(text(event, "name"), rig_cell(rig, "kind"));
	assert_string_equal(text(event, "cat"), rig_cell(rig, "verdict"));
	assert_int_equal((uint64_t)(us * 1000 + 0.5), rig->record.time_ns);
	assert_int_equal(json_integer_value(json_object_get(event, "pid")),
		a->process);
	assert_int_equal(json_integer_value(json_object_get(event, "tid")),
		a->range + 1);
	assert_int_equal(
		json_integer_value(json_object_get(args, "size")), a->size);
	assert_int_equal(
		json_integer_value(json_object_get(args, "cpu")), a->cpu);
	assert_int_equal(strtoull(text(args, "offset"), NULL, 0), a->offset);
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++) {
		const char *seen = text(args, columns[i]);

		assert_string_equal(seen ? seen : "",
			rig_cell(rig, columns[i]));
	}
}

/* Arrows begin and end once each, in pairs of events. */
static void check_arrow(json_t *start, json_t *end)
{
	assert_string_equal(text(start, "ph"), "s");
	assert_string_equal(text(end, "ph"), "f");
	assert_true(json_equal(json_object_get(start, "id"),
		json_object_get(end, "id")));
	assert_true(json_number_value(json_object_get(start, "ts")) <=
		json_number_value(json_object_get(end, "ts")));
}

static size_t check_events(struct rig *rig, json_t *events)
{
	size_t arrows = 0;

	for (size_t i = 0; i < json_array_size(events); i++) {
		json_t *event = json_array_get(events, i);
		const char *phase = text(event, "ph");

		assert_non_null(phase);
		if (*phase == 'X') {
			assert_true(rig_next(rig));
			same_access(rig, event);
		} else if (*phase == 's') {
			check_arrow(event, json_array_get(events, i + 1));
			arrows++;
		}
	}
	return arrows;
}

static void events_say_what_the_trace_says(void **state)
{
	size_t arrows = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= EXPORT_SEEDS; seed++) {
		struct rig rig;
		json_error_t error;
		json_t *root;

		rig_init(&rig, seed);
		assert_int_equal(rig_export(&rig, "chrome"), CLI_OK);
		root = json_load_file(rig.out, 0, &error);
		if (!root)
			fail_msg("line %d: %s", error.line, error.text);
		arrows += check_events(
			&rig, json_object_get(root, "traceEvents"));
		assert_false(rig_next(&rig));
		assert_true(rig.accesses > 0);
		json_decref(root);
		rig_fini(&rig);
	}
	assert_true(arrows > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_say_what_the_trace_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
