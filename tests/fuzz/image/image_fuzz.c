/* SPDX-License-Identifier: MIT */
/* Whatever the bytes: image_open_memory() refuses or the image can be asked. */
#include <string.h>

#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct stack {
	const uint8_t *bytes;
	size_t size;
};

static bool read_stack(void *ctx, uint64_t va, uint64_t *out)
{
	const struct stack *stack = ctx;

	if (stack->size < sizeof(*out))
		return false;
	memcpy(out, stack->bytes + va % (stack->size - 7), sizeof(*out));
	return true;
}

static void ask(const struct image *image, struct stack *stack)
{
	struct image_frame frame = { .rip = image_entry(image) };
	struct image_symbol symbol;
	struct buf buf = BUF_INIT;
	const char *file;
	int line;

	image_find_symbol(image, "main", &symbol);
	image_nearest_symbols(image, "main", 3, &buf);
	for (unsigned i = 0; i < image_segment_count(image); i++) {
		const struct image_segment *s = image_segment(image, i);

		image_describe(image, s->address, &buf);
		image_describe(image, s->address + s->mem_size - 1, &buf);
		image_line_at(image, s->address, &file, &line);
		/* Reads the segment's bytes, so that a bad one shows. */
		if (s->file_size)
			buf_add(&buf, s->data, s->file_size);
	}
	for (int i = 0; i < 8; i++)
		if (!image_unwind(image, &frame, i == 0, read_stack, stack))
			break;
	buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct stack stack = { bytes, size };
	struct image *image;
	struct error err;

	if (image_open_memory("fuzz", bytes, size, &image, &err))
		return 0;
	ask(image, &stack);
	image_close(image);
	return 0;
}
