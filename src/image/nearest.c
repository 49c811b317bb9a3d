/* SPDX-License-Identifier: MIT */
/* "Did you mean": names a few edits away. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "image/image_impl.h"

#define NAME_COMPARED_MAX 128
#define NAMES_MAX 16

struct candidate {
	const char *name;
	unsigned cost;
};

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein's distance; a change of case alone costs nothing but a tie. */
static unsigned edit_distance(
	const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned row[NAME_COMPARED_MAX + 1];

	for (unsigned j = 0; j <= b_len; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a_len; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= b_len; j++) {
			unsigned above = row[j];
			int x = tolower((unsigned char)a[i - 1]);
			int y = tolower((unsigned char)b[j - 1]);

			row[j] = min3(above + 1, row[j - 1] + 1,
				diagonal + (x != y));
			diagonal = above;
		}
	}
	return row[b_len];
}

/* False when the two are too far apart for either to be a slip of the other.
 * A piece of the name that was forgotten (prefix_, _suffix) is a near miss. */
static bool is_near(const char *name, const char *symbol, unsigned *out_cost)
{
	size_t a = strnlen(name, NAME_COMPARED_MAX + 1);
	size_t b = strnlen(symbol, NAME_COMPARED_MAX + 1);
	unsigned limit = a < 6 ? 2 : (unsigned)(a / 3);
	size_t gap = a < b ? b - a : a - b;

	if (a > NAME_COMPARED_MAX || b > NAME_COMPARED_MAX)
		return false;
	if (a >= 3 && b >= 3 &&
		(strcasestr(symbol, name) || strcasestr(name, symbol))) {
		*out_cost = (unsigned)(gap < limit ? gap : limit);
		return true;
	}
	if (gap > limit)
		return false;
	*out_cost = edit_distance(name, a, symbol, b);
	return *out_cost <= limit && *out_cost < a;
}

/* best is sorted by cost; earlier names win ties. */
static unsigned insert_candidate(struct candidate *best, unsigned count,
	unsigned max, struct candidate new)
{
	unsigned i = count < max ? count++ : count;

	while (i > 0 && best[i - 1].cost > new.cost) {
		if (i < max)
			best[i] = best[i - 1];
		i--;
	}
	if (i < max)
		best[i] = new;
	return count;
}

unsigned image_nearest_symbols(const struct image *image, const char *name,
	unsigned max, struct buf *out)
{
	const struct symbol_table *table = &image->symbols;
	struct candidate best[NAMES_MAX];
	const char *previous = "";
	unsigned count = 0;

	if (max > NAMES_MAX)
		max = NAMES_MAX;
	for (size_t i = 0; i < table->count && max; i++) {
		struct candidate new = {
			table->by_address[table->by_name[i]].shown.name, 0
		};

		if (strcmp(previous, new.name) == 0)
			continue;
		previous = new.name;
		if (is_near(name, new.name, &new.cost))
			count = insert_candidate(best, count, max, new);
	}
	for (unsigned i = 0; i < count; i++)
		buf_printf(out, "%s%s", i ? ", " : "", best[i].name);
	return count;
}
