/* SPDX-License-Identifier: MIT */
/*
 * Images that are a name, a list of symbols and a segment: what ranges and
 * built-in keepers ask of an image, without a file. Included by one program
 * each; defining these functions here keeps the library's image module out of
 * the link.
 */
#ifndef CUSTOS_TESTS_FAKE_IMAGE_H
#define CUSTOS_TESTS_FAKE_IMAGE_H

#include <errno.h>
#include <string.h>

#include "image/image.h"

struct image {
	const char *name;
	struct image_symbol symbols[8];
	struct image_segment segment;
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

bool image_symbol_at(const struct image *image, uint64_t address,
	struct image_symbol *out)
{
	for (const struct image_symbol *s = image->symbols; s->name; s++)
		if (address - s->address < s->size) {
			*out = *s;
			return true;
		}
	return false;
}

void image_describe(
	const struct image *image, uint64_t address, struct buf *out)
{
	struct image_symbol symbol;

	if (image_symbol_at(image, address, &symbol))
		buf_printf(out, "%s+0x%llx", symbol.name,
			(unsigned long long)(address - symbol.address));
}

unsigned image_segment_count(const struct image *image)
{
	return image->segment.mem_size ? 1 : 0;
}

const struct image_segment *image_segment(
	const struct image *image, unsigned index)
{
	(void)index;
	return &image->segment;
}

static const struct image count_image = {
	.name = "count.elf",
	.symbols = {
		{ "counter", 0x404010, 8, false },
		{ "counts", 0x404020, 64, false },
		{ "start", 0x401000, 0, true },
		{ "high", 0xfffffffffffffff0, 8, false },
		{ "work", 0x401100, 16, true },
	},
	.segment = { .address = 0x404000, .mem_size = 0x60, .file_size = 0x24 },
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
