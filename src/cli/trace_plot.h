/* SPDX-License-Identifier: MIT */
/*
 * custos trace plot: accesses counted in cells (place x time x process) in one
 * pass over the trace, and pictures of them. However long the trace is, the
 * cells are bounded: when there are too many, neighbours become one.
 */
#ifndef CUSTOS_CLI_TRACE_PLOT_H
#define CUSTOS_CLI_TRACE_PLOT_H

#include <stdio.h>

#include "cli/trace_query.h"

/* Colours for processes; the last one is for all others. */
#define TRACE_PLOT_COLOURS 7
#define TRACE_PLOT_SLOTS 128 /* processes told apart while counting */
#define TRACE_PLOT_MARKS 24
#define TRACE_PLOT_BANDS 60000 /* at most; cell keys have 16 bits for them */

/* What one process did to one row in one column. */
struct trace_plot_cell {
	uint64_t key; /* 0: free */
	uint64_t loads, stores;
	uint64_t refused; /* of both: not performed */
	uint64_t first, last; /* numbers of accesses */
	uint32_t site; /* of the last one */
};

/* A piece of a kept range: rows of 2^shift bytes. */
struct trace_plot_band {
	const struct trace_range *range;
	uint64_t offset, length; /* length is not 0 */
	unsigned shift;
	uint32_t rows;
	uint64_t accesses;
};

struct trace_plot_process {
	uint64_t id;
	char name[64];
	uint64_t loads, stores;
};

struct trace_plot_mark {
	uint64_t at;
	bool lost;
	char text[48];
};

struct trace_plot {
	bool by_number; /* columns are access numbers, not nanoseconds */
	uint64_t start; /* at the left edge of column 0 */
	unsigned column_shift; /* 2^column_shift wide while counting */
	uint64_t column_width; /* in the end */
	uint32_t columns; /* 0: nothing was counted */
	bool started;

	struct trace_plot_band *bands; /* ascending by range id, offset */
	size_t band_count;
	size_t bands_beyond; /* more than could be shown */
	size_t untouched; /* without an access: not shown */
	uint32_t rows_max; /* of a band */

	struct trace_plot_cell *cells; /* a hash table; sorted in the end */
	size_t cell_count, cell_slots;

	struct trace_plot_process processes[TRACE_PLOT_SLOTS];
	size_t process_count; /* in the end at most TRACE_PLOT_COLOURS */
	size_t others; /* processes behind the last colour */
	struct trace_plot_mark marks[TRACE_PLOT_MARKS];
	size_t mark_count;

	uint64_t accesses, loads, stores, refused;
	uint64_t first_ns, last_ns; /* of what was counted */
	const char *title, *file;
};

/* Keys order cells by band, row, column, process. */
static inline uint64_t trace_plot_key(uint64_t band, uint64_t row,
	uint64_t column, uint64_t process)
{
	return (band + 1) << 32 | row << 20 | column << 8 | process;
}

static inline uint32_t trace_plot_cell_band(const struct trace_plot_cell *c)
{
	return (uint32_t)((c->key >> 32) - 1);
}

static inline uint32_t trace_plot_cell_row(const struct trace_plot_cell *c)
{
	return (uint32_t)(c->key >> 20 & 0xfff);
}

static inline uint32_t trace_plot_cell_column(const struct trace_plot_cell *c)
{
	return (uint32_t)(c->key >> 8 & 0xfff);
}

static inline uint32_t trace_plot_cell_process(const struct trace_plot_cell *c)
{
	return (uint32_t)(c->key & 0xff);
}

/* ---- counting ---- */

/* Bands for the places, or for every range when there are none. False: out of
 * memory. */
bool trace_plot_init(struct trace_plot *plot, const struct trace_meta *meta,
	const struct trace_places *places, bool by_number);
void trace_plot_fini(struct trace_plot *plot);
bool trace_plot_add(struct trace_plot *plot, const struct trace_record *record);

/*
 * Nothing more will be added. Bands without an access go; of the others the
 * bands_max busiest stay. Cells are merged until there are at most that many
 * rows (as far as each band can have one) and columns, and sorted.
 */
bool trace_plot_finish(struct trace_plot *plot, size_t bands_max,
	uint32_t rows, uint32_t columns);

/* Of all cells: the largest loads or stores. At least 1. */
uint64_t trace_plot_peak(const struct trace_plot *plot);

/* ---- the axes ---- */

struct trace_plot_axis {
	uint64_t first, step, end; /* ticks */
	uint64_t base; /* what labels are relative to */
	uint64_t unit; /* labels are divided by it */
	int decimals;
	char title[96];
};

void trace_plot_axis_make(const struct trace_plot *plot, unsigned ticks,
	struct trace_plot_axis *out);
void trace_plot_axis_label(const struct trace_plot_axis *axis, uint64_t at,
	char *out, size_t size);

/* "12 345 accesses (...) by 3 processes to 2 ranges in 1.5 ms" */
void trace_plot_summary(const struct trace_plot *plot, struct buf *out);
/* "4 KiB": of a size */
void trace_plot_size(uint64_t bytes, char *out, size_t size);
/* Text with what is not printable ASCII replaced, cut to width characters
 * with ".." in its end. */
void trace_plot_text(const char *text, size_t width, char *out, size_t size);
/* "reader #3" */
void trace_plot_process_name(const struct trace_plot *plot, uint32_t process,
	size_t width, char *out, size_t size);

/* ---- the figure ---- */

enum trace_plot_role {
	PLOT_PLAIN,
	PLOT_READ,
	PLOT_WRITE,
	PLOT_REFUSED,
	PLOT_NOTCH /* the reading in a cell that was also written */
};

struct trace_plot_rect {
	double x, y, w, h;
	uint32_t rgb;
	double alpha;
	enum trace_plot_role role;
	size_t cell; /* index; of all roles but PLOT_PLAIN */
};

enum trace_plot_anchor { PLOT_LEFT, PLOT_MIDDLE, PLOT_RIGHT };

/* What a figure is drawn on; units are pixels of a 96 dpi screen. Text is
 * printable ASCII in a font whose characters are 0.6 of its size wide. */
struct trace_plot_canvas {
	void *ctx;
	void (*rect)(void *ctx, const struct trace_plot_rect *rect);
	void (*text)(void *ctx, double x, double y, double size,
		enum trace_plot_anchor anchor, uint32_t rgb, const char *text);
};

/* Its size is known before it is drawn. */
struct trace_plot_figure {
	const struct trace_plot *plot;
	double width, height;
	double left, top, plot_width, plot_height; /* the cells */
	double *band_top, *band_height; /* NULL: could not be allocated */
	double legend_rows;
};

bool trace_plot_figure_init(
	struct trace_plot_figure *figure, const struct trace_plot *plot);
void trace_plot_figure_fini(struct trace_plot_figure *figure);
void trace_plot_figure_draw(const struct trace_plot_figure *figure,
	const struct trace_plot_canvas *canvas);

extern const uint32_t trace_plot_palette[TRACE_PLOT_COLOURS];
extern const uint8_t trace_plot_palette256[TRACE_PLOT_COLOURS];

/* ---- pictures: to out; 0 or -errno ---- */

int trace_plot_svg(const struct trace_plot *plot, FILE *out);
int trace_plot_png(const struct trace_plot *plot, FILE *out);
/* q: for the names of instructions, and the file's */
int trace_plot_html(
	const struct trace_plot *plot, struct trace_query *q, FILE *out);

struct trace_plot_terminal {
	unsigned columns; /* characters in a line */
	bool colour;
	bool ascii; /* letters only */
};
int trace_plot_print(const struct trace_plot *plot,
	const struct trace_plot_terminal *terminal, FILE *out);
/* How many columns of cells a terminal has room for. */
uint32_t trace_plot_print_columns(const struct trace_plot_terminal *terminal);

/* An RGB picture as a PNG file, 3 bytes a pixel. */
int trace_plot_png_write(const uint8_t *pixels, uint32_t width,
	uint32_t height, FILE *out);

/* The page around a figure. */
extern const char trace_plot_page_style[], trace_plot_page_script[];

#endif
