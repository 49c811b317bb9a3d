/* SPDX-License-Identifier: MIT */
/*
 * Source lines. All line tables of the file are flattened into one array at
 * the first question, so that later ones need neither libdw nor a search of
 * units (which not every compiler indexes).
 */
#include <stdlib.h>

#include "image/image_impl.h"

static bool append_row(struct debug_info *debug, size_t *capacity,
	Dwarf_Line *line)
{
	struct line_row *row;
	Dwarf_Addr address;
	bool end = false;

	if (dwarf_lineaddr(line, &address) || dwarf_lineendsequence(line, &end))
		return true;
	if (debug->line_count == *capacity) {
		size_t want = *capacity ? *capacity * 2 : 256;
		struct line_row *more = reallocarray(
			debug->lines, want, sizeof(*more));

		if (!more)
			return false;
		debug->lines = more;
		*capacity = want;
	}
	row = &debug->lines[debug->line_count];
	*row = (struct line_row){ .address = address,
		.order = (uint32_t)debug->line_count++ };
	if (!end) {
		row->file = dwarf_linesrc(line, NULL, NULL);
		if (dwarf_lineno(line, &row->line))
			row->line = 0;
	}
	return true;
}

static bool append_unit(
	struct debug_info *debug, size_t *capacity, Dwarf_Die *unit)
{
	Dwarf_Lines *lines;
	size_t count;

	if (dwarf_getsrclines(unit, &lines, &count))
		return true; /* this unit has none, or none we can read */
	for (size_t i = 0; i < count; i++)
		if (!append_row(debug, capacity, dwarf_onesrcline(lines, i)))
			return false;
	return true;
}

/* Where one sequence ends and another begins, the beginning counts. */
static int compare_rows(const void *a, const void *b)
{
	const struct line_row *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	if (!x->file != !y->file)
		return x->file ? 1 : -1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void load_lines(struct debug_info *debug)
{
	Dwarf_Off offset = 0, next;
	size_t header_size, capacity = 0;

	while (dwarf_nextcu(debug->dwarf, offset, &next, &header_size, NULL,
		       NULL, NULL) == 0) {
		Dwarf_Die unit;

		if (dwarf_offdie(debug->dwarf, offset + header_size, &unit) &&
			!append_unit(debug, &capacity, &unit))
			break;
		offset = next;
	}
	if (debug->line_count)
		qsort(debug->lines, debug->line_count, sizeof(*debug->lines),
			compare_rows);
}

struct debug_info *image_debug(struct image *image)
{
	struct debug_info *debug = &image->debug;

	if (debug->tried)
		return debug;
	debug->tried = true;
	debug->dwarf = dwarf_begin_elf(image->elf, DWARF_C_READ, NULL);
	if (debug->dwarf)
		load_lines(debug);
	return debug;
}

void image_free_debug(struct image *image)
{
	free(image->debug.lines);
	free(image->debug.variables);
	dwarf_end(image->debug.dwarf);
}

bool image_line_at(const struct image *image, uint64_t address,
	const char **out_file, int *out_line)
{
	/* Only the cache behind the lock changes. */
	struct image *cached = (struct image *)image;
	const struct debug_info *debug;
	size_t low = 0, high;
	const struct line_row *row;

	pthread_mutex_lock(&cached->lock);
	debug = image_debug(cached);
	pthread_mutex_unlock(&cached->lock);
	high = debug->line_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (debug->lines[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return false;
	row = &debug->lines[low - 1];
	if (!row->file || row->line <= 0)
		return false;
	*out_file = row->file;
	*out_line = row->line;
	return true;
}
