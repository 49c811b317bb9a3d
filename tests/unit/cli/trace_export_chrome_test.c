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

/* ---- the Trace Event Format itself ---- */

static bool is_track(json_t *event)
{
	return json_is_integer(json_object_get(event, "pid")) &&
		json_is_integer(json_object_get(event, "tid"));
}

static double time_of(json_t *event)
{
	return json_number_value(json_object_get(event, "ts"));
}

/* Metadata: no time, a name among those that there are, and what it is. */
static void check_metadata(json_t *event)
{
	const char *name = text(event, "name");

	assert_true(!strcmp(name, "process_name") ||
		!strcmp(name, "thread_name"));
	assert_null(json_object_get(event, "ts"));
	assert_non_null(text(json_object_get(event, "args"), "name"));
}

/* A flow's ends bind to the slice around them on their track: is it there? */
static bool has_slice(json_t *events, json_t *flow)
{
	for (size_t i = 0; i < json_array_size(events); i++) {
		json_t *event = json_array_get(events, i);
		double ts = time_of(event);
		double dur = json_number_value(json_object_get(event, "dur"));

		if (*text(event, "ph") == 'X' &&
			json_equal(json_object_get(event, "pid"),
				json_object_get(flow, "pid")) &&
			json_equal(json_object_get(event, "tid"),
				json_object_get(flow, "tid")) &&
			ts <= time_of(flow) && time_of(flow) <= ts + dur)
			return true;
	}
	return false;
}

static void check_event(json_t *events, json_t *event)
{
	const char *phase = text(event, "ph");

	assert_non_null(phase);
	assert_int_equal(strlen(phase), 1);
	assert_non_null(text(event, "name"));
	assert_true(is_track(event));
	if (*phase == 'M') {
		check_metadata(event);
		return;
	}
	assert_true(json_is_number(json_object_get(event, "ts")));
	assert_true(time_of(event) >= 0);
	assert_non_null(text(event, "cat"));
	switch (*phase) {
	case 'X': /* a slice */
		assert_true(json_number_value(
				    json_object_get(event, "dur")) > 0);
		assert_true(json_is_object(json_object_get(event, "args")));
		break;
	case 'i': /* an instant, of global, process or thread scope */
		assert_non_null(text(event, "s"));
		assert_non_null(strchr("gpt", *text(event, "s")));
		break;
	case 'f':
		assert_string_equal(text(event, "bp"), "e");
		/* fall through */
	case 's':
		assert_non_null(json_object_get(event, "id"));
		assert_true(has_slice(events, event));
		break;
	default:
		fail_msg("phase %s", phase);
	}
}

static void the_format_is_kept(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= EXPORT_SEEDS; seed++) {
		struct rig rig;
		json_t *root, *events;

		rig_init(&rig, seed);
		assert_int_equal(rig_export(&rig, "chrome"), CLI_OK);
		/* What parsers take as the same key twice is refused. */
		root = json_load_file(rig.out, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(root);
		assert_string_equal(text(root, "displayTimeUnit"), "ns");
		events = json_object_get(root, "traceEvents");
		assert_true(json_is_array(events));
		assert_true(json_array_size(events) > EXPORT_RECORDS);
		for (size_t i = 0; i < json_array_size(events); i++)
			check_event(events, json_array_get(events, i));
		json_decref(root);
		rig_fini(&rig);
	}
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
		cmocka_unit_test(the_format_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
