/* SPDX-License-Identifier: MIT */
/*
 * Counting accesses in cells.
 *
 * Columns begin one unit wide at the first access and double whenever time
 * goes beyond the last of them, so the length of a run need not be known
 * before. Rows of a band are powers of two of bytes. Both only ever become
 * coarser, and coarser cells are exact sums of finer ones.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/invariant.h"
#include "cli/trace_plot.h"

#define COLUMNS_MAX 2048u
#define ROWS_MAX 256u
#define CELLS_MAX (1u << 19)
#define CELLS_CLEAR 40000u /* more are a blur in narrow columns */
#define SLOTS_MIN (1u << 12)

/* ---- the table ---- */

static size_t slot_of(const struct trace_plot *plot, uint64_t key)
{
	uint64_t hash = key * UINT64_C(0x9e3779b97f4a7c15);
	size_t mask = plot->cell_slots - 1, i = (hash >> 32) & mask;

	while (plot->cells[i].key && plot->cells[i].key != key)
		i = (i + 1) & mask;
	return i;
}

static void add_cell(
	struct trace_plot *plot, const struct trace_plot_cell *from)
{
	struct trace_plot_cell *c = &plot->cells[slot_of(plot, from->key)];

	if (!c->key) {
		*c = *from;
		plot->cell_count++;
		return;
	}
	c->loads += from->loads;
	c->stores += from->stores;
	c->refused += from->refused;
	if (from->first < c->first)
		c->first = from->first;
	if (from->last >= c->last) {
		c->last = from->last;
		c->site = from->site;
	}
}

/* All cells in a table of their own again, with keys renewed by change. */
typedef uint64_t (*key_change_fn)(
	void *ctx, const struct trace_plot_cell *cell);

static bool rebuild(struct trace_plot *plot, size_t slots,
	key_change_fn change, void *ctx)
{
	struct trace_plot_cell *old = plot->cells;
	size_t old_slots = plot->cell_slots;

	plot->cells = calloc(slots, sizeof(*plot->cells));
	if (!plot->cells) {
		plot->cells = old;
		return false;
	}
	plot->cell_slots = slots;
	plot->cell_count = 0;
	for (size_t i = 0; i < old_slots; i++) {
		if (!old[i].key)
			continue;
		if (change)
			old[i].key = change(ctx, &old[i]);
		if (old[i].key)
			add_cell(plot, &old[i]);
	}
	free(old);
	return true;
}

/* ---- coarser ---- */

static uint64_t wider(void *ctx, const struct trace_plot_cell *c)
{
	uint32_t *factor = ctx;

	return trace_plot_key(trace_plot_cell_band(c), trace_plot_cell_row(c),
		trace_plot_cell_column(c) / *factor,
		trace_plot_cell_process(c));
}

/* factor columns become one. */
static bool merge_columns(struct trace_plot *plot, uint32_t factor)
{
	if (plot->columns)
		plot->columns = (plot->columns - 1) / factor + 1;
	return rebuild(plot, plot->cell_slots, wider, &factor);
}

static bool widen_columns(struct trace_plot *plot, unsigned by)
{
	plot->column_shift += by;
	return merge_columns(plot, UINT32_C(1) << (by < 31 ? by : 31));
}

static void size_band(struct trace_plot_band *band, uint32_t rows_max)
{
	while (((band->length - 1) >> band->shift) >= rows_max)
		band->shift++;
	band->rows = (uint32_t)((band->length - 1) >> band->shift) + 1;
}

/* change_ctx: the shifts of the bands before */
struct heighten {
	const struct trace_plot *plot;
	unsigned *before;
};

static uint64_t higher(void *ctx, const struct trace_plot_cell *c)
{
	struct heighten *h = ctx;
	uint32_t band = trace_plot_cell_band(c);

	return trace_plot_key(band,
		trace_plot_cell_row(c) >>
			(h->plot->bands[band].shift - h->before[band]),
		trace_plot_cell_column(c), trace_plot_cell_process(c));
}

static bool heighten_rows(struct trace_plot *plot, uint32_t rows_max)
{
	struct heighten h = { plot,
		calloc(plot->band_count + 1, sizeof(unsigned)) };
	bool ok;

	if (!h.before)
		return false;
	plot->rows_max = rows_max;
	for (size_t i = 0; i < plot->band_count; i++) {
		h.before[i] = plot->bands[i].shift;
		size_band(&plot->bands[i], rows_max);
	}
	ok = rebuild(plot, plot->cell_slots, higher, &h);
	free(h.before);
	return ok;
}

/* Room for one more cell; by merging when there are too many. */
static bool make_room(struct trace_plot *plot)
{
	while (plot->cell_count >= CELLS_MAX) {
		bool wide = plot->columns > 512 ||
			(plot->rows_max <= 4 && plot->columns > 256) ||
			plot->rows_max == 1;

		if (plot->columns <= 1 && plot->rows_max == 1)
			break; /* processes and bands bound it now */
		if (!(wide ? widen_columns(plot, 1) :
			     heighten_rows(plot, plot->rows_max / 2)))
			return false;
	}
	if (plot->cell_count * 2 < plot->cell_slots)
		return true;
	return rebuild(plot, plot->cell_slots * 2, NULL, NULL);
}

/* ---- accesses ---- */

static bool find_column(struct trace_plot *plot, uint64_t at, uint32_t *out)
{
	uint64_t column;
	unsigned by = 0;

	if (!plot->started) {
		plot->started = true;
		plot->start = at;
	}
	/* Between CPUs time goes back a little. */
	column = at > plot->start ? (at - plot->start) >> plot->column_shift : 0;
	while (column >> by >= COLUMNS_MAX)
		by++;
	if (by && !widen_columns(plot, by))
		return false;
	*out = (uint32_t)(column >> by);
	if (*out >= plot->columns)
		plot->columns = *out + 1;
	return true;
}

static uint32_t find_process(
	struct trace_plot *plot, const struct access *access)
{
	struct trace_plot_process *p;
	size_t i;

	for (i = 0; i < plot->process_count; i++)
		if (plot->processes[i].id == access->process)
			return (uint32_t)i;
	if (i == TRACE_PLOT_SLOTS)
		return TRACE_PLOT_SLOTS - 1;
	p = &plot->processes[plot->process_count++];
	*p = (struct trace_plot_process){ .id = access->process };
	trace_plot_text(i == TRACE_PLOT_SLOTS - 1 ? "all later ones" :
						    access->process_name,
		sizeof(p->name) - 1, p->name, sizeof(p->name));
	return (uint32_t)i;
}

static bool is_refused(enum outcome outcome)
{
	return outcome == OUTCOME_DENY || outcome == OUTCOME_ABSORB ||
		outcome == OUTCOME_ROLLBACK || outcome == OUTCOME_STOP ||
		outcome == OUTCOME_UNEMULATABLE || outcome == OUTCOME_FAULT;
}

static struct trace_plot_cell count_one(const struct trace_record *record)
{
	const struct access *a = &record->access;
	bool stores = access_writes(a->kind);

	return (struct trace_plot_cell){
		.loads = access_reads(a->kind) || !stores,
		.stores = stores,
		.refused = is_refused(record->outcome),
		.first = a->seq,
		.last = a->seq,
		.site = record->site,
	};
}

/* The rows of one band that [first, last] of its range covers. */
static bool add_rows(struct trace_plot *plot, size_t band_index,
	uint32_t process, uint32_t *column, struct trace_plot_cell *one,
	uint64_t first, uint64_t last)
{
	struct trace_plot_band *band = &plot->bands[band_index];
	uint64_t end = band->offset + (band->length - 1);
	unsigned columns_before;

	if (first < band->offset)
		first = band->offset;
	if (last > end)
		last = end;
	if (first > last)
		return true;
	band->accesses++;
	for (uint64_t at = first - band->offset; at <= last - band->offset;
		at = ((at >> band->shift) + 1) << band->shift) {
		columns_before = plot->column_shift;
		if (!make_room(plot))
			return false;
		*column >>= plot->column_shift - columns_before;
		one->key = trace_plot_key(
			band_index, at >> band->shift, *column, process);
		add_cell(plot, one);
		if (at >> band->shift == band->rows - 1)
			break;
	}
	return true;
}

/* The first band of a range; band_count: there is none. */
static size_t find_band(const struct trace_plot *plot, uint32_t range)
{
	size_t low = 0, high = plot->band_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (plot->bands[middle].range->id < range)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void count_totals(struct trace_plot *plot, uint32_t process,
	const struct trace_record *record, const struct trace_plot_cell *one)
{
	plot->processes[process].loads += one->loads;
	plot->processes[process].stores += one->stores;
	plot->loads += one->loads;
	plot->stores += one->stores;
	plot->refused += one->refused;
	if (!plot->accesses++ || record->time_ns < plot->first_ns)
		plot->first_ns = record->time_ns;
	if (record->time_ns > plot->last_ns)
		plot->last_ns = record->time_ns;
}

static bool add_access(
	struct trace_plot *plot, const struct trace_record *record)
{
	const struct access *a = &record->access;
	struct trace_plot_cell one = count_one(record);
	uint64_t last;
	uint32_t process, column;

	if (!a->kept_count ||
		!checked_add(a->offset, a->kept_count - 1, &last))
		return true;
	process = find_process(plot, a);
	if (!find_column(plot, plot->by_number ? record->seq : record->time_ns,
		    &column))
		return false;
	count_totals(plot, process, record, &one);
	for (size_t i = find_band(plot, a->range); i < plot->band_count &&
		plot->bands[i].range->id == a->range; i++)
		if (!add_rows(plot, i, process, &column, &one, a->offset, last))
			return false;
	return true;
}

static void add_mark(struct trace_plot *plot, const struct trace_record *record)
{
	struct trace_plot_mark *mark;

	if (plot->mark_count == TRACE_PLOT_MARKS)
		return;
	mark = &plot->marks[plot->mark_count++];
	mark->at = plot->by_number ? record->seq : record->time_ns;
	mark->lost = record->kind == TRACE_LOST;
	if (mark->lost)
		snprintf(mark->text, sizeof(mark->text), "lost %" PRIu64,
			record->count);
	else
		trace_plot_text(record->text ? record->text : "", 24,
			mark->text, sizeof(mark->text));
}

bool trace_plot_add(struct trace_plot *plot, const struct trace_record *record)
{
	if (record->kind == TRACE_ACCESS)
		return add_access(plot, record);
	if (record->kind == TRACE_MARKER || record->kind == TRACE_LOST)
		add_mark(plot, record);
	return true;
}

/* ---- beginning ---- */

static int compare_bands(const void *left, const void *right)
{
	const struct trace_plot_band *a = left, *b = right;

	if (a->range->id != b->range->id)
		return a->range->id < b->range->id ? -1 : 1;
	if (a->offset != b->offset)
		return a->offset < b->offset ? -1 : 1;
	return a->length < b->length ? -1 : a->length > b->length;
}

static void add_band(struct trace_plot *plot, const struct trace_range *range,
	uint64_t offset, uint64_t length)
{
	struct trace_plot_band *band = &plot->bands[plot->band_count];
	uint64_t end;

	if (!length || !checked_add(offset, length, &end))
		return;
	if (plot->band_count == TRACE_PLOT_BANDS) {
		plot->bands_beyond++;
		return;
	}
	plot->band_count++;
	*band = (struct trace_plot_band){
		.range = range, .offset = offset, .length = length };
	size_band(band, ROWS_MAX);
}

bool trace_plot_init(struct trace_plot *plot, const struct trace_meta *meta,
	const struct trace_places *places, bool by_number)
{
	size_t count = places->count ? places->count : meta->range_count;

	*plot = (struct trace_plot){ .by_number = by_number,
		.rows_max = ROWS_MAX,
		.cell_slots = SLOTS_MIN };
	if (count > TRACE_PLOT_BANDS)
		count = TRACE_PLOT_BANDS;
	plot->bands = calloc(count + 1, sizeof(*plot->bands));
	plot->cells = calloc(SLOTS_MIN, sizeof(*plot->cells));
	if (!plot->bands || !plot->cells)
		return false;
	for (size_t i = 0; i < places->count; i++)
		add_band(plot, places->at[i].range, places->at[i].offset,
			places->at[i].length);
	for (uint32_t i = 0; !places->count && i < meta->range_count; i++)
		add_band(plot, &meta->ranges[i], 0, meta->ranges[i].length);
	qsort(plot->bands, plot->band_count, sizeof(*plot->bands),
		compare_bands);
	return true;
}

void trace_plot_fini(struct trace_plot *plot)
{
	free(plot->bands);
	free(plot->cells);
	plot->bands = NULL;
	plot->cells = NULL;
}

/* ---- the end ---- */

/* Numbers of bands, as they were; UINT32_MAX: left out. */
static uint64_t renumber(void *ctx, const struct trace_plot_cell *c)
{
	const uint32_t *number = ctx;
	uint32_t band = number[trace_plot_cell_band(c)];

	return band == UINT32_MAX ? 0 :
		trace_plot_key(band, trace_plot_cell_row(c),
			trace_plot_cell_column(c), trace_plot_cell_process(c));
}

static int compare_counts(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? 1 : a > b ? -1 : 0;
}

/* So many accesses a band must have to be among the busiest. */
static uint64_t find_threshold(
	const struct trace_plot *plot, size_t bands_max, uint64_t *counts)
{
	size_t count = 0;

	for (size_t i = 0; i < plot->band_count; i++)
		if (plot->bands[i].accesses)
			counts[count++] = plot->bands[i].accesses;
	qsort(counts, count, sizeof(*counts), compare_counts);
	return count > bands_max ? counts[bands_max - 1] : 1;
}

static bool drop_bands(struct trace_plot *plot, size_t bands_max)
{
	size_t count = plot->band_count, kept = 0;
	uint32_t *number = calloc(count + 1, sizeof(*number));
	uint64_t *counts = calloc(count + 1, sizeof(*counts)), least;
	bool ok = number && counts;

	least = ok ? find_threshold(plot, bands_max, counts) : 0;
	for (size_t i = 0; ok && i < count; i++) {
		number[i] = UINT32_MAX;
		if (!plot->bands[i].accesses) {
			plot->untouched++;
		} else if (plot->bands[i].accesses < least ||
			kept == bands_max) {
			plot->bands_beyond++;
		} else {
			number[i] = (uint32_t)kept;
			plot->bands[kept++] = plot->bands[i];
		}
	}
	if (ok) {
		plot->band_count = kept;
		ok = rebuild(plot, plot->cell_slots, renumber, number);
	}
	free(number);
	free(counts);
	return ok;
}

static uint64_t recolour(void *ctx, const struct trace_plot_cell *c)
{
	const uint8_t *colour = ctx;

	return trace_plot_key(trace_plot_cell_band(c), trace_plot_cell_row(c),
		trace_plot_cell_column(c), colour[trace_plot_cell_process(c)]);
}

static uint64_t total(const struct trace_plot_process *p)
{
	return p->loads + p->stores;
}

/* colour[i] of the busiest ones becomes 0. */
static void pick_busiest(const struct trace_plot *plot, uint8_t *colour)
{
	size_t count = plot->process_count;

	memset(colour, TRACE_PLOT_COLOURS - 1, TRACE_PLOT_SLOTS);
	for (size_t n = 0; n < TRACE_PLOT_COLOURS - 1 && n < count; n++) {
		size_t best = SIZE_MAX;

		for (size_t i = 0; i < count; i++)
			if (colour[i] && (best == SIZE_MAX ||
						 total(&plot->processes[i]) >
						 total(&plot->processes[best])))
				best = i;
		colour[best] = 0;
	}
}

/* The busiest processes have colours of their own, in the order in which they
 * appeared; the others share one. */
static bool choose_colours(struct trace_plot *plot)
{
	uint8_t colour[TRACE_PLOT_SLOTS];
	struct trace_plot_process others = { .name = "others" };
	size_t kept = 0;

	pick_busiest(plot, colour);
	for (size_t i = 0; i < plot->process_count; i++) {
		if (colour[i]) {
			others.loads += plot->processes[i].loads;
			others.stores += plot->processes[i].stores;
			plot->others++;
			continue;
		}
		colour[i] = (uint8_t)kept;
		plot->processes[kept++] = plot->processes[i];
	}
	plot->process_count = kept;
	if (plot->others)
		plot->processes[plot->process_count++] = others;
	return rebuild(plot, plot->cell_slots, recolour, colour);
}

/* The most rows a band may have when all together have so many. */
static uint32_t share_rows(const struct trace_plot *plot, uint32_t rows)
{
	uint32_t share = plot->rows_max;

	for (; share > 1; share--) {
		uint64_t sum = 0;

		for (size_t i = 0; i < plot->band_count; i++) {
			struct trace_plot_band band = plot->bands[i];

			size_band(&band, share);
			sum += band.rows;
		}
		if (sum <= rows)
			break;
	}
	return share;
}

static int compare_cells(const void *left, const void *right)
{
	const struct trace_plot_cell *a = left, *b = right;

	return a->key < b->key ? -1 : a->key > b->key;
}

static void sort_cells(struct trace_plot *plot)
{
	size_t count = 0;

	for (size_t i = 0; i < plot->cell_slots; i++)
		if (plot->cells[i].key)
			plot->cells[count++] = plot->cells[i];
	invariant(count == plot->cell_count);
	qsort(plot->cells, count, sizeof(*plot->cells), compare_cells);
}

bool trace_plot_finish(struct trace_plot *plot, size_t bands_max,
	uint32_t rows, uint32_t columns)
{
	uint32_t factor;

	if (!drop_bands(plot, bands_max) || !choose_colours(plot) ||
		!heighten_rows(plot, share_rows(plot, rows)))
		return false;
	factor = plot->columns ? (plot->columns - 1) / columns + 1 : 1;
	if (!merge_columns(plot, factor))
		return false;
	if (plot->cell_count > CELLS_CLEAR && plot->columns > 100) {
		factor *= 2;
		if (!merge_columns(plot, 2))
			return false;
	}
	plot->column_width = (uint64_t)factor << plot->column_shift;
	sort_cells(plot);
	return true;
}

uint64_t trace_plot_peak(const struct trace_plot *plot)
{
	uint64_t peak = 1;

	for (size_t i = 0; i < plot->cell_count; i++) {
		const struct trace_plot_cell *c = &plot->cells[i];

		if (c->loads > peak)
			peak = c->loads;
		if (c->stores > peak)
			peak = c->stores;
	}
	return peak;
}
