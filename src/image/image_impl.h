/* SPDX-License-Identifier: MIT */
/* The inside of an image, for the files of src/image. */
#ifndef CUSTOS_IMAGE_IMAGE_IMPL_H
#define CUSTOS_IMAGE_IMAGE_IMPL_H

#include <elfutils/libdw.h>
#include <gelf.h>
#include <pthread.h>

#include "image/cfi.h"
#include "image/image.h"

struct symbol {
	struct image_symbol shown;
	uint64_t section_end; /* first address behind its section */
	uint8_t rank; /* higher: preferred among equal names or addresses */
};

/* Built at open, then never changed. */
struct symbol_table {
	struct symbol *by_address; /* by address, then rank */
	uint32_t *by_name; /* indices: by name, then rank downwards */
	/* reach[i]: which of symbols 0..i ends last */
	uint32_t *reach;
	size_t count;
};

/* A row of the line table; it holds up to the next row's address. */
struct line_row {
	uint64_t address;
	const char *file; /* NULL: no code from here on */
	int line;
	uint32_t order; /* as the file had them */
};

/* A variable with a fixed address. */
struct variable {
	uint64_t address, size;
	const char *name;
	Dwarf_Die die;
};

/* What libdw told us; made on first use. */
struct debug_info {
	bool tried;
	Dwarf *dwarf;
	struct line_row *lines; /* by address */
	size_t line_count;
	bool variables_tried;
	struct variable *variables; /* by address; data.c */
	size_t variable_count, variable_capacity;
};

struct image {
	char *name;
	const char *shown_as; /* in error messages while it is opened */
	void *owned; /* the file's bytes when we read them */
	const uint8_t *bytes;
	size_t size;
	Elf *elf;
	uint64_t entry;
	unsigned segment_count;
	struct image_segment segments[IMAGE_SEGMENTS_MAX];
	struct symbol_table symbols;
	struct cfi_table cfi;
	/* libdw caches what it parses without locks of its own. */
	pthread_mutex_t lock;
	struct debug_info debug; /* under lock; lines is constant once made */
};

/* Fill segments and entry from the headers, or refuse the file. */
int image_load_segments(struct image *image, struct error *err);

/* An image without symbols has an empty table; -ENOMEM, or -EINVAL when the
 * table lies outside the file. */
int image_load_symbols(struct image *image, struct error *err);
void image_free_symbols(struct image *image);

/* What the sections for unwinding say; nothing when there are none. */
void image_load_cfi(struct image *image);

/* The debug information, loaded if it is not yet. Caller holds the lock. */
struct debug_info *image_debug(struct image *image);
void image_free_debug(struct image *image);

/* -EINVAL or code with "NAME: " in front. */
int image_refuse(const struct image *image, int code, struct error *err,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
