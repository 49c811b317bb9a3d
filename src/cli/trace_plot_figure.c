/* SPDX-License-Identifier: MIT */
/*
 * What a picture of a trace looks like, whatever draws it: title, legend, a
 * band for each range with its rows of bytes, time to the right.
 *
 * Reads and writes differ by shape, not only by colour: a write fills its
 * cell, a read is a bar in its middle. Processes have colours that people who
 * do not tell red from green tell apart.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/trace_plot.h"

#define WIDTH 1200.0
#define LEFT 250.0 /* of the cells */
#define RIGHT 24.0
#define ROWS_HEIGHT 600.0 /* of all rows together, when they fit */
#define ROW_LEAST 4.0
#define ROW_MOST 30.0
#define BAND_LEAST 13.0
#define CELL_MOST 16.0 /* a cell's width */

#define INK 0x1f2933
#define SOFT 0x5f6b7a
#define FAINT 0xd9dee5
#define PAPER 0xffffff
#define BAND 0xf4f6f9
#define LOST 0xc0392b

/* Blue, vermilion, green, purple, orange, sky; grey for the others. */
const uint32_t trace_plot_palette[TRACE_PLOT_COLOURS] = { 0x0072b2, 0xd55e00,
	0x009e73, 0xb8559a, 0xe69f00, 0x4aa8e0, 0x6b7280 };
const uint8_t trace_plot_palette256[TRACE_PLOT_COLOURS] = { 33, 208, 42, 170,
	220, 117, 245 };

/* ---- layout ---- */

static double row_height(const struct trace_plot *plot)
{
	uint64_t rows = 0;
	double height;

	for (size_t i = 0; i < plot->band_count; i++)
		rows += plot->bands[i].rows;
	height = floor(ROWS_HEIGHT / (double)(rows ? rows : 1));
	return fmin(fmax(height, ROW_LEAST), ROW_MOST);
}

static double band_gap(const struct trace_plot *plot)
{
	return plot->band_count > 24 ? 3 : 8;
}

static double legend_width(const struct trace_plot *plot, uint32_t process)
{
	char name[64];

	trace_plot_process_name(plot, process, 28, name, sizeof(name));
	return 18 + (double)strlen(name) * 13 * 0.6 + 26;
}

static double count_legend_rows(const struct trace_plot *plot)
{
	double x = 0, rows = 1;

	for (uint32_t i = 0; i < plot->process_count; i++) {
		double w = legend_width(plot, i);

		if (x > 0 && x + w > WIDTH - 2 * RIGHT) {
			rows++;
			x = 0;
		}
		x += w;
	}
	return rows;
}

bool trace_plot_figure_init(
	struct trace_plot_figure *figure, const struct trace_plot *plot)
{
	double y, row = row_height(plot);

	*figure = (struct trace_plot_figure){ .plot = plot,
		.width = WIDTH,
		.left = LEFT,
		.plot_width = WIDTH - LEFT - RIGHT,
		.legend_rows = count_legend_rows(plot) };
	figure->band_top = calloc(plot->band_count + 1, sizeof(double));
	figure->band_height = calloc(plot->band_count + 1, sizeof(double));
	if (!figure->band_top || !figure->band_height)
		return false;
	figure->top = 128 + 22 * figure->legend_rows +
		(plot->mark_count ? 16 : 0);
	y = figure->top;
	for (size_t i = 0; i < plot->band_count; i++) {
		figure->band_top[i] = y;
		figure->band_height[i] =
			fmax(row * plot->bands[i].rows, BAND_LEAST);
		y += figure->band_height[i] + band_gap(plot);
	}
	if (!plot->band_count)
		y += 60;
	figure->plot_height = y - figure->top;
	figure->height = y + 62;
	return true;
}

void trace_plot_figure_fini(struct trace_plot_figure *figure)
{
	free(figure->band_top);
	free(figure->band_height);
	figure->band_top = figure->band_height = NULL;
}

/* ---- drawing ---- */

static void fill(const struct trace_plot_canvas *canvas, double x, double y,
	double w, double h, uint32_t rgb, double alpha)
{
	struct trace_plot_rect rect = { .x = x,
		.y = y,
		.w = w,
		.h = h,
		.rgb = rgb,
		.alpha = alpha };

	canvas->rect(canvas->ctx, &rect);
}

static void write_text(const struct trace_plot_canvas *canvas, double x,
	double y, double size, enum trace_plot_anchor anchor, uint32_t rgb,
	const char *text)
{
	canvas->text(canvas->ctx, x, y, size, anchor, rgb, text);
}

static double x_of(const struct trace_plot_figure *f, uint64_t at)
{
	double span = (double)f->plot->columns *
		(double)f->plot->column_width;

	if (!f->plot->columns || at <= f->plot->start)
		return f->left;
	return f->left +
		fmin((double)(at - f->plot->start) / span, 1) * f->plot_width;
}

static void draw_titles(const struct trace_plot_figure *f,
	const struct trace_plot_canvas *canvas)
{
	struct buf summary = BUF_INIT;
	char text[160];

	trace_plot_text(f->plot->title, 88, text, sizeof(text));
	write_text(canvas, RIGHT, 38, 21, PLOT_LEFT, INK, text);
	trace_plot_summary(f->plot, &summary);
	trace_plot_text(buf_str(&summary), 148, text, sizeof(text));
	write_text(canvas, RIGHT, 62, 13, PLOT_LEFT, SOFT, text);
	buf_fini(&summary);
}

static double draw_processes(const struct trace_plot_figure *f,
	const struct trace_plot_canvas *canvas)
{
	double x = RIGHT, y = 78;
	char name[64];

	for (uint32_t i = 0; i < f->plot->process_count; i++) {
		double w = legend_width(f->plot, i);

		if (x > RIGHT && x + w > WIDTH - RIGHT) {
			x = RIGHT;
			y += 22;
		}
		trace_plot_process_name(f->plot, i, 28, name, sizeof(name));
		fill(canvas, x, y, 12, 12, trace_plot_palette[i], 1);
		write_text(canvas, x + 18, y + 11, 13, PLOT_LEFT, INK, name);
		x += w;
	}
	return y + 22;
}

static double draw_sample(const struct trace_plot_canvas *canvas, double x,
	double y, bool write, bool read, const char *text)
{
	if (write)
		fill(canvas, x, y, 12, 12, SOFT, 1);
	if (read)
		fill(canvas, x, y + 4, 12, 4, write ? PAPER : SOFT, 1);
	write_text(canvas, x + 18, y + 11, 13, PLOT_LEFT, INK, text);
	return x + 18 + (double)strlen(text) * 13 * 0.6 + 26;
}

static double strength(uint64_t count, uint64_t peak)
{
	if (peak < 2)
		return 1;
	return 0.5 + 0.5 * log((double)count) / log((double)peak);
}

static void draw_heat(const struct trace_plot_figure *f,
	const struct trace_plot_canvas *canvas, double x, double y)
{
	uint64_t peak = trace_plot_peak(f->plot);
	char text[64];

	if (peak < 2)
		return;
	write_text(canvas, x, y + 11, 13, PLOT_LEFT, INK, "1");
	x += 14;
	for (unsigned i = 0; i < 5; i++)
		fill(canvas, x + 14 * i, y, 14, 12, SOFT, 0.5 + 0.125 * i);
	snprintf(text, sizeof(text), "%" PRIu64 " accesses in a cell", peak);
	write_text(canvas, x + 76, y + 11, 13, PLOT_LEFT, INK, text);
}

static void draw_legend(const struct trace_plot_figure *f,
	const struct trace_plot_canvas *canvas)
{
	double y = draw_processes(f, canvas), x = RIGHT;

	x = draw_sample(canvas, x, y, false, true, "read");
	x = draw_sample(canvas, x, y, true, false, "write");
	x = draw_sample(canvas, x, y, true, true, "both");
	if (f->plot->refused) {
		fill(canvas, x, y, 12, 12, FAINT, 1);
		fill(canvas, x, y + 9, 12, 3, INK, 1);
		write_text(canvas, x + 18, y + 11, 13, PLOT_LEFT, INK,
			"not done");
		x += 18 + 8 * 13 * 0.6 + 26;
	}
	draw_heat(f, canvas, x, y);
}

/* ---- bands ---- */

static void draw_offsets(const struct trace_plot_figure *f,
	const struct trace_plot_canvas *canvas, size_t index)
{
	const struct trace_plot_band *band = &f->plot->bands[index];
	double row = f->band_height[index] / band->rows;
	uint32_t every = 1;
	char text[32];

	while (every * row < 13)
		every *= 2;
	for (uint32_t i = 0; i < band->rows; i += every) {
		double y = f->band_top[index] + i * row;

		/* The last label must not run into the next band's. */
		if (i && y + 11 > f->band_top[index] + f->band_height[index])
			break;
		snprintf(text, sizeof(text), "+0x%" PRIx64,
			band->offset + ((uint64_t)i << band->shift));
		write_text(canvas, f->left - 8,
			y + fmin(fmax(row, 13), 30) / 2 + 4, 11, PLOT_RIGHT,
			SOFT, text);
		if (i)
			fill(canvas, f->left, y, f->plot_width, 1, PAPER, 1);
	}
}

static void draw_band(const struct trace_plot_figure *f,
	const struct trace_plot_canvas *canvas, size_t index)
{
	const struct trace_plot_band *band = &f->plot->bands[index];
	double top = f->band_top[index], height = f->band_height[index];
	char text[96], size[24], row[24];

	fill(canvas, f->left, top, f->plot_width, height, BAND, 1);
	trace_plot_text(band->range->name, 20, text, sizeof(text));
	write_text(canvas, RIGHT, top + (height < 16 ? height / 2 + 4 : 12), 13,
		PLOT_LEFT, INK, text);
	draw_offsets(f, canvas, index);
	if (height < 30)
		return;
	trace_plot_size(band->length, size, sizeof(size));
	if (band->range->device)
		snprintf(text, sizeof(text), "%s, device", size);
	else
		snprintf(text, sizeof(text), "%s at 0x%" PRIx64, size,
			band->range->address + band->offset);
	trace_plot_text(text, 24, text, sizeof(text));
	write_text(canvas, RIGHT, top + 27, 11, PLOT_LEFT, SOFT, text);
	if (height < 44)
		return;
	trace_plot_size(UINT64_C(1) << band->shift, row, sizeof(row));
	snprintf(text, sizeof(text), "%s per row", row);
	write_text(canvas, RIGHT, top + 41, 11, PLOT_LEFT, SOFT, text);
}

static void draw_axis(const struct trace_plot_figure *f,
	const struct trace_plot_canvas *canvas)
{
	double bottom = f->top + f->plot_height;
	struct trace_plot_axis axis;
	char text[48];

	write_text(canvas, RIGHT, f->top - 10, 11, PLOT_LEFT, SOFT,
		"kept memory");
	write_text(canvas, f->left - 8, f->top - 10, 11, PLOT_RIGHT, SOFT,
		"offset");
	trace_plot_axis_make(f->plot, 8, &axis);
	for (uint64_t at = axis.first; f->plot->columns && at < axis.end;
		at += axis.step) {
		double x = x_of(f, at);

		fill(canvas, x, f->top, 1, f->plot_height, FAINT, 1);
		fill(canvas, x, bottom, 1, 5, SOFT, 1);
		trace_plot_axis_label(&axis, at, text, sizeof(text));
		write_text(canvas, x, bottom + 20, 12, PLOT_MIDDLE, INK, text);
		if (axis.end - at <= axis.step)
			break;
	}
	fill(canvas, f->left, bottom, f->plot_width, 1, SOFT, 1);
	write_text(canvas, f->left + f->plot_width / 2, bottom + 42, 13,
		PLOT_MIDDLE, INK, axis.title);
}

/* ---- cells ---- */

struct cell_place {
	double x, y, w, h;
};

static void draw_part(const struct trace_plot_canvas *canvas,
	const struct cell_place *at, double from, double part,
	struct trace_plot_rect rect)
{
	rect.x = at->x;
	rect.w = at->w;
	rect.y = at->y + at->h * from;
	rect.h = at->h * part;
	canvas->rect(canvas->ctx, &rect);
}

static void draw_cell(const struct trace_plot_figure *f,
	const struct trace_plot_canvas *canvas, size_t index, uint64_t peak,
	const struct cell_place *at)
{
	const struct trace_plot_cell *c = &f->plot->cells[index];
	struct trace_plot_rect rect = { .cell = index,
		.rgb = trace_plot_palette[trace_plot_cell_process(c)] };

	if (c->stores) {
		rect.role = PLOT_WRITE;
		rect.alpha = strength(c->stores, peak);
		draw_part(canvas, at, 0, 1, rect);
	}
	if (c->loads) {
		rect.role = c->stores ? PLOT_NOTCH : PLOT_READ;
		rect.alpha = c->stores ? 0.8 : strength(c->loads, peak);
		if (c->stores)
			rect.rgb = PAPER;
		draw_part(canvas, at, 0.33, 0.34, rect);
	}
	if (c->refused) {
		rect.role = PLOT_REFUSED;
		rect.rgb = INK;
		rect.alpha = 0.25 + 0.75 * (double)c->refused /
				(double)(c->loads + c->stores);
		draw_part(canvas, at, 0.75, 0.25, rect);
	}
}

/* How many cells from index on are in the same place. */
static size_t count_together(const struct trace_plot *plot, size_t index)
{
	size_t n = 1;

	while (index + n < plot->cell_count &&
		plot->cells[index + n].key >> 8 == plot->cells[index].key >> 8)
		n++;
	return n;
}

static void draw_cells(const struct trace_plot_figure *f,
	const struct trace_plot_canvas *canvas)
{
	const struct trace_plot *plot = f->plot;
	double pitch = f->plot_width / (plot->columns ? plot->columns : 1);
	uint64_t peak = trace_plot_peak(plot);
	size_t n;

	for (size_t i = 0; i < plot->cell_count; i += n) {
		const struct trace_plot_cell *c = &plot->cells[i];
		uint32_t band = trace_plot_cell_band(c);
		double row = f->band_height[band] / plot->bands[band].rows;
		struct cell_place at = { .h = row > 5 ? row - 1 : row };

		n = count_together(plot, i);
		at.w = fmin(pitch, CELL_MOST) / (double)n;
		at.x = f->left + trace_plot_cell_column(c) * pitch;
		at.y = f->band_top[band] + trace_plot_cell_row(c) * row;
		for (size_t k = 0; k < n; k++, at.x += at.w)
			draw_cell(f, canvas, i + k, peak, &at);
	}
}

static void draw_marks(const struct trace_plot_figure *f,
	const struct trace_plot_canvas *canvas)
{
	double free_from = 0;

	for (size_t i = 0; i < f->plot->mark_count; i++) {
		const struct trace_plot_mark *mark = &f->plot->marks[i];
		double x = x_of(f, mark->at);
		double w = (double)strlen(mark->text) * 11 * 0.6;
		bool right = x + w > f->left + f->plot_width;

		fill(canvas, x, f->top - 6, 1, f->plot_height + 6,
			mark->lost ? LOST : INK, 0.7);
		if (x - (right ? w : 0) < free_from)
			continue;
		write_text(canvas, x, f->top - 10, 11,
			right ? PLOT_RIGHT : PLOT_LEFT,
			mark->lost ? LOST : INK, mark->text);
		free_from = x + (right ? 0 : w) + 8;
	}
}

void trace_plot_figure_draw(const struct trace_plot_figure *f,
	const struct trace_plot_canvas *canvas)
{
	fill(canvas, 0, 0, f->width, f->height, PAPER, 1);
	draw_titles(f, canvas);
	draw_legend(f, canvas);
	for (size_t i = 0; i < f->plot->band_count; i++)
		draw_band(f, canvas, i);
	draw_axis(f, canvas);
	draw_cells(f, canvas);
	draw_marks(f, canvas);
	if (!f->plot->cell_count)
		write_text(canvas, f->left + f->plot_width / 2, f->top + 34, 15,
			PLOT_MIDDLE, SOFT, "nothing here: no access selected");
}
