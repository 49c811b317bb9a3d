/* SPDX-License-Identifier: MIT */
/*
 * Images that are a name and a list of symbols: what range.c asks of an image,
 * without a file. Included by one program each; defining these functions here
 * keeps the library's image module out of the link.
 */
#ifndef CUSTOS_TESTS_FAKE_IMAGE_H
#define CUSTOS_TESTS_FAKE_IMAGE_H

#include <errno.h>
#include <string.h>

#include "image/image.h"

struct image {
	const char *name;
	struct image_symbol symbols[8];
};

const char *image_name(const struct image *image)
{
	return image->name;
}

bool image_find_symbol(const struct image *image, const char *name,
	struct image_symbol *out)
{
	for (const struct image_symbol *s = image->symbols; s->name; s++)
		if (!strcmp(s->name, name)) {
			*out = *s;
			return true;
		}
	return false;
}

/* Of this double's programs, ring.owner is all that has members. */
int image_find_field(const struct image *image, const char *path,
	uint64_t *out_address, uint64_t *out_size, struct error *err)
{
	(void)image;
	if (strcmp(path, "ring.owner"))
		return error_set(err, -ENOENT, "no member there");
	*out_address = 0x404084;
	*out_size = 4;
	return 0;
}

unsigned image_nearest_symbols(const struct image *image, const char *name,
	unsigned max, struct buf *out)
{
	unsigned n = 0;

	for (const struct image_symbol *s = image->symbols; s->name; s++)
		if (n < max && s->name[0] == name[0]) {
			buf_printf(out, "%s%s", n ? ", " : "", s->name);
			n++;
		}
	return n;
}

static const struct image count_image = {
	.name = "count.elf",
	.symbols = {
		{ "counter", 0x404010, 8, false },
		{ "counts", 0x404020, 64, false },
		{ "start", 0x401000, 0, true },
		{ "high", 0xfffffffffffffff0, 8, false },
	},
};

static const struct image other_image = {
	.name = "other",
	.symbols = { { "counter", 0x404010, 4, false } },
};

static const struct image *const fake_images[] = {
	&count_image,
	&other_image,
};

#endif
