/* SPDX-License-Identifier: MIT */
#include "base/nearest.h"

#include <ctype.h>
#include <string.h>

#define NAME_COMPARED_MAX 128

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

void nearest_init(struct nearest *nearest, const char *name, unsigned max)
{
	nearest->name = name;
	nearest->max = max < NEAREST_MAX ? max : NEAREST_MAX;
	nearest->count = 0;
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
	struct nearest_candidate new = { candidate, 0 }, *best = nearest->best;
	unsigned i;

	if (!nearest->max || !is_near(nearest->name, candidate, &new.cost))
		return;
	i = nearest->count;
	if (i < nearest->max)
		nearest->count++;
	while (i > 0 && best[i - 1].cost > new.cost) {
		if (i < nearest->max)
			best[i] = best[i - 1];
		i--;
	}
	if (i < nearest->max)
		best[i] = new;
}

unsigned nearest_print(const struct nearest *nearest, struct buf *out)
{
	for (unsigned i = 0; i < nearest->count; i++)
		buf_printf(out, "%s%s", i ? ", " : "", nearest->best[i].name);
	return nearest->count;
}
