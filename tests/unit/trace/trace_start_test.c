/* SPDX-License-Identifier: MIT */
/* START and INPUTS: what it takes to repeat a run. */
#include <custos/trace.h>

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "tests/support/tests.h"
#include "tests/support/trace_random.h"
#include "tests/unit/trace/trace_file.h"
#include "trace/trace_start.h"

static const char *const args[] = { "prog", "two words", "" };
static const struct trace_start_range ranges[] = {
	{ .id = 0, .joined = true, .device = "" },
	{ .id = 7, .joined = false, .device = "uart" },
};
static const struct trace_start start = {
	.directory = "/some/where",
	.memory = UINT64_C(64) << 20,
	.flags = TRACE_START_VIRTUAL_TIME,
	.kernel = "k.elf",
	.kernel_hash = 0x1234567890abcdef,
	.args = args,
	.arg_count = 3,
	.ranges = ranges,
	.range_count = 2,
};

static void check_start(const struct trace_start *got)
{
	assert_non_null(got);
	assert_string_equal(got->directory, start.directory);
	assert_int_equal(got->memory, start.memory);
	assert_int_equal(got->flags, start.flags);
	assert_string_equal(got->kernel, start.kernel);
	assert_int_equal(got->kernel_hash, start.kernel_hash);
	assert_int_equal(got->arg_count, 3);
	for (int i = 0; i < 3; i++)
		assert_string_equal(got->args[i], args[i]);
	assert_int_equal(got->range_count, 2);
	assert_true(got->ranges[0].joined);
	assert_int_equal(got->ranges[1].id, 7);
	assert_string_equal(got->ranges[1].device, "uart");
}

static uint8_t long_bytes[20000];

static const struct trace_input inputs[] = {
	{ .kind = TRACE_INPUT_ORDER, .process = 3, .other = UINT64_MAX },
	{ .kind = TRACE_INPUT_ANSWER, .answer = TRACE_ANSWER_FAULT, .seq = 9,
		.range = 2, .address = 0x8000000000000000, .value = 0x70000000e },
	{ .kind = TRACE_INPUT_ANSWER, .answer = TRACE_ANSWER_VALUE, .seq = 10,
		.bytes = (const uint8_t *)"12345678", .size = 8 },
	{ .kind = TRACE_INPUT_WRITE, .seq = 8, .process = 5, .address = 0x401000,
		.bytes = long_bytes, .size = sizeof(long_bytes) },
	{ .kind = TRACE_INPUT_KEEP, .range = 4, .value = 1 },
	{ .kind = TRACE_INPUT_RELEASE, .range = 4 },
	{ .kind = TRACE_INPUT_REVOKE, .range = 1 },
	{ .kind = TRACE_INPUT_TURN, .cpu = 15 },
	{ .kind = TRACE_INPUT_STATE, .value = 0xfedcba9876543210 },
};
#define INPUTS (sizeof(inputs) / sizeof(inputs[0]))

static void check_input(
	const struct trace_input *got, const struct trace_input *want)
{
	assert_int_equal(got->kind, want->kind);
	assert_int_equal(got->seq, want->seq);
	assert_int_equal(got->range, want->range);
	assert_int_equal(got->answer, want->answer);
	assert_int_equal(got->process, want->process);
	assert_int_equal(got->other, want->other);
	assert_int_equal(got->address, want->address);
	assert_int_equal(got->value, want->value);
	assert_int_equal(got->cpu, want->cpu);
	assert_int_equal(got->size, want->size);
	if (got->size)
		assert_memory_equal(got->bytes, want->bytes, got->size);
}

#define RECORDS 5000 /* many stages, several chunks */

/* An input each 7 records. */
static void write_trace(void)
{
	struct trace_meta meta = trace_random_meta;
	struct trace_writer *writer;
	struct trace_random random;
	struct error err = { 0 };

	meta.start = &start;
	trace_random_init(&random, 1);
	assert_int_equal(
		trace_writer_open(path, &meta, NULL, &writer, &err), 0);
	for (unsigned i = 0; i < RECORDS; i++) {
		struct trace_record r = *trace_random_next(&random);

		if (i % 7 == 0)
			trace_writer_input(writer, &inputs[i / 7 % INPUTS]);
		/* Long bindings become several records. */
		if (r.kind != TRACE_ACCESS)
			r = (struct trace_record){ .kind = TRACE_MARKER,
				.text = "x", .time_ns = r.time_ns };
		assert_int_equal(trace_writer_add(
			writer, &r, &trace_random_names), 0);
	}
	assert_int_equal(trace_writer_close(writer, 0, &err), 0);
}

static void test_round_trip(void **state)
{
	struct trace_reader *reader;
	struct trace_record record;
	struct trace_input input;
	struct error err = { 0 };
	unsigned count = 0;

	(void)state;
	memset(long_bytes, 0x5a, sizeof(long_bytes));
	write_trace();
	reader = open_trace();
	check_start(trace_reader_meta(reader)->start);
	while (trace_reader_input(reader, &input, &err) == 1) {
		check_input(&input, &inputs[count % INPUTS]);
		assert_int_equal(input.record, count * 7);
		count++;
	}
	assert_int_equal(count, (RECORDS + 6) / 7);
	for (unsigned i = 0; i <= RECORDS; i++) {
		assert_int_equal(trace_reader_next(reader, &record, &err), 1);
		assert_int_equal(trace_reader_position(reader), i);
	}
	assert_int_equal(trace_reader_check(reader, NULL, NULL, &err), 0);
	assert_null(trace_reader_damage(reader, 0));
	trace_reader_close(reader);
}

/* Inputs alone are written, too, and in time. */
static void test_no_records(void **state)
{
	struct trace_writer *writer;
	struct trace_reader *reader;
	struct trace_input input;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(trace_writer_open(path, &trace_random_meta, NULL,
				 &writer, &err),
		0);
	assert_int_equal(trace_writer_input(writer, &inputs[0]), 0);
	usleep(300000);
	reader = open_trace();
	assert_int_equal(trace_reader_input(reader, &input, &err), 1);
	check_input(&input, &inputs[0]);
	assert_int_equal(trace_reader_input(reader, &input, &err), 0);
	assert_null(trace_reader_meta(reader)->start);
	trace_reader_close(reader);
	assert_int_equal(trace_writer_close(writer, 0, &err), 0);
}

/* Whatever the bytes are: no crash, and an end. */
static void test_hostile(void **state)
{
	struct pack_out out = { 0 };
	struct trace_input input;

	(void)state;
	trace_start_pack(&out, &start);
	for (size_t i = 0; i < INPUTS; i++)
		trace_input_pack(&out, &inputs[i], i);
	for (size_t i = 0; i < out.len && i < 300; i++) {
		uint8_t was = out.data[i];
		struct pack_in in = { out.data, out.data + out.len, false };

		out.data[i] = (uint8_t)(was ^ 0xff);
		trace_start_destroy(trace_start_unpack(&in));
		in = (struct pack_in){ out.data + i, out.data + out.len,
			false };
		while (in.at < in.end && trace_input_unpack(&in, &input) >= 0)
			;
		out.data[i] = was;
		in = (struct pack_in){ out.data, out.data + i, false };
		trace_start_destroy(trace_start_unpack(&in));
	}
	trace_pack_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_no_records, setup, teardown),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
