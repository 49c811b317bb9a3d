/* SPDX-License-Identifier: MIT */
/* Counting accesses for custos trace plot, and the axes. */
#include "cli/trace_plot.h"

#include <string.h>

#include "tests/support/tests.h"

#define RANGES 400

static struct trace_range ranges[RANGES];
static struct trace_meta meta = { .ranges = ranges };

static void begin(struct trace_plot *plot, uint32_t count, uint64_t length)
{
	struct trace_places none = { 0 };

	for (uint32_t i = 0; i < count; i++)
		ranges[i] = (struct trace_range){ .id = i * 3,
			.name = "some",
			.address = 0x1000,
			.length = length };
	meta.range_count = count;
	assert_true(trace_plot_init(plot, &meta, &none, false));
}

static struct trace_record access_at(
	uint64_t time, uint32_t range, uint64_t offset, uint32_t count)
{
	struct trace_record r = { .kind = TRACE_ACCESS, .time_ns = time };

	r.access.kind = ACCESS_STORE;
	r.access.range = range * 3;
	r.access.offset = offset;
	r.access.kept_count = count;
	r.access.process_name = "one";
	return r;
}

static void add(struct trace_plot *plot, struct trace_record r)
{
	assert_true(trace_plot_add(plot, &r));
}

static uint64_t sum_stores(const struct trace_plot *plot)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < plot->cell_count; i++)
		sum += plot->cells[i].stores;
	return sum;
}

static void cells_are_sums(void **state)
{
	struct trace_plot plot;

	(void)state;
	begin(&plot, 100, 4096);
	for (uint32_t i = 0; i < 700000; i++) {
		struct trace_record r = access_at((uint64_t)i * i,
			i % 100, i * 7919u % 4096, 1);

		r.access.process = i % 50;
		r.seq = r.access.seq = i + 1;
		add(&plot, r);
	}
	assert_true(plot.cell_slots <= 1u << 21);
	assert_true(trace_plot_finish(&plot, 256, 150, 70));
	assert_int_equal(sum_stores(&plot), 700000);
	assert_true(plot.columns <= 70 && plot.columns >= 30);
	assert_int_equal(plot.process_count, TRACE_PLOT_COLOURS);
	assert_int_equal(plot.others, 50 - (TRACE_PLOT_COLOURS - 1));
	for (size_t i = 1; i < plot.cell_count; i++)
		assert_true(plot.cells[i - 1].key < plot.cells[i].key);
	trace_plot_fini(&plot);
}

static void eight_bytes_have_eight_rows(void **state)
{
	struct trace_plot plot;

	(void)state;
	begin(&plot, 1, 8);
	add(&plot, access_at(5, 0, 0, 8));
	add(&plot, access_at(6, 0, 7, 100)); /* a liar's access */
	assert_true(trace_plot_finish(&plot, 256, 150, 240));
	assert_int_equal(plot.bands[0].rows, 8);
	assert_int_equal(plot.cell_count, 9);
	trace_plot_fini(&plot);
}

static void the_busiest_ranges_stay(void **state)
{
	struct trace_plot plot;

	(void)state;
	begin(&plot, 400, 16);
	for (uint32_t i = 0; i < 300; i++)
		for (uint32_t k = 0; k < (i == 299 ? 5 : 1); k++)
			add(&plot, access_at(i, i, 0, 4));
	assert_true(trace_plot_finish(&plot, 10, 150, 240));
	assert_int_equal(plot.band_count, 10);
	assert_int_equal(plot.untouched, 100);
	assert_int_equal(plot.bands_beyond, 290);
	trace_plot_fini(&plot);
}

static void count_ticks(const struct trace_plot *plot)
{
	struct trace_plot_axis axis;
	unsigned ticks = 0;
	char text[48];

	trace_plot_axis_make(plot, 8, &axis);
	for (uint64_t at = axis.first; at < axis.end; at += axis.step) {
		trace_plot_axis_label(&axis, at, text, sizeof(text));
		assert_true(++ticks < 40);
		if (axis.end - at <= axis.step)
			break;
	}
}

static void extreme_times_and_sizes_end(void **state)
{
	static const uint64_t times[][2] = { { 0, UINT64_MAX },
		{ UINT64_MAX, UINT64_MAX }, { UINT64_MAX - 5, UINT64_MAX },
		{ 7, 3 }, { 0, 0 }, { 1, UINT64_MAX / 2 } };
	struct trace_plot plot;

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		begin(&plot, 1, UINT64_MAX);
		add(&plot, access_at(times[i][0], 0, 0, 8));
		add(&plot, access_at(times[i][1], 0, UINT64_MAX - 8, 8));
		add(&plot, access_at(times[i][1], 0, UINT64_MAX - 2, 8));
		assert_true(trace_plot_finish(&plot, 256, 150, 240));
		assert_int_equal(sum_stores(&plot), 2);
		count_ticks(&plot);
		trace_plot_fini(&plot);
	}
}

static void labels_are_round(void **state)
{
	struct trace_plot plot = { .start = 1234567890,
		.column_width = 1,
		.columns = 200 };
	struct trace_plot_axis axis;
	char text[48];

	(void)state;
	trace_plot_axis_make(&plot, 8, &axis);
	assert_int_equal(axis.step, 50);
	trace_plot_axis_label(&axis, axis.first, text, sizeof(text));
	assert_string_equal(text, "50");
	assert_string_equal(axis.title,
		"time after second 1.23456785 of the run, in ns");
	plot.start = 0;
	plot.column_width = 10000;
	trace_plot_axis_make(&plot, 8, &axis);
	trace_plot_axis_label(&axis, 500000, text, sizeof(text));
	assert_string_equal(text, "0.5");
	assert_string_equal(axis.title, "time since the run began, in ms");
}

static void text_is_cut_and_clean(void **state)
{
	char out[32];

	(void)state;
	trace_plot_text("a\x1b[31mlong name", 8, out, sizeof(out));
	assert_string_equal(out, "a?[31m..");
	trace_plot_size(8, out, sizeof(out));
	assert_string_equal(out, "8 bytes");
	trace_plot_size(1 << 20, out, sizeof(out));
	assert_string_equal(out, "1 MiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cells_are_sums),
		cmocka_unit_test(eight_bytes_have_eight_rows),
		cmocka_unit_test(the_busiest_ranges_stay),
		cmocka_unit_test(extreme_times_and_sizes_end),
		cmocka_unit_test(labels_are_round),
		cmocka_unit_test(text_is_cut_and_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
