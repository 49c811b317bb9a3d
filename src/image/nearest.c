/* SPDX-License-Identifier: MIT */
/* "Did you mean" for symbols. */
#include <string.h>

#include "base/nearest.h"
#include "image/image_impl.h"

unsigned image_nearest_symbols(const struct image *image, const char *name,
	unsigned max, struct buf *out)
{
	const struct symbol_table *table = &image->symbols;
	const char *previous = "";
	struct nearest nearest;

	nearest_init(&nearest, name, max);
	for (size_t i = 0; i < table->count && max; i++) {
		const char *symbol =
			table->by_address[table->by_name[i]].shown.name;

		if (strcmp(previous, symbol))
			nearest_offer(&nearest, symbol);
		previous = symbol;
	}
	return nearest_print(&nearest, out);
}
