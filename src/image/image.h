/* SPDX-License-Identifier: MIT */
/*
 * Executable files: segments, symbols, source lines. The only door to libelf
 * and libdw. Files are hostile: every offset, size and count is checked, and a
 * file that lies is refused with a sentence that says where.
 */
#ifndef CUSTOS_IMAGE_IMAGE_H
#define CUSTOS_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct image; /* immutable once open; every function may run on any thread */

#define IMAGE_SEGMENTS_MAX 8
#define IMAGE_READ 1u
#define IMAGE_WRITE 2u
#define IMAGE_EXEC 4u

struct image_segment {
	uint64_t address; /* virtual, not necessarily page aligned */
	uint64_t mem_size; /* never 0 */
	uint64_t file_size; /* <= mem_size */
	uint64_t physical; /* p_paddr */
	const uint8_t *data; /* file_size bytes, owned by the image */
	unsigned flags; /* IMAGE_READ | IMAGE_WRITE | IMAGE_EXEC */
};

struct image_symbol {
	const char *name; /* owned by the image */
	uint64_t address;
	uint64_t size; /* 0: unknown */
	bool function;
};

/*
 * Open a static x86-64 ELF executable. Refused with -ENOEXEC or -EINVAL and a
 * sentence: not ELF, 32-bit, other machine, not an executable (a dynamic or
 * relocatable one), truncated, no loadable segment, too many, p_filesz beyond
 * p_memsz or the file, ranges that wrap, segments that share a page, entry
 * outside an executable segment. name is the base name of path.
 */
int image_open(const char *path, struct image **out, struct error *err);

/* The same for a file in memory, which must outlive the image. */
int image_open_memory(const char *name, const void *bytes, size_t size,
	struct image **out, struct error *err);

void image_close(struct image *image); /* NULL is fine */

const char *image_name(const struct image *image);
uint64_t image_entry(const struct image *image);
unsigned image_segment_count(const struct image *image);
const struct image_segment *image_segment(
	const struct image *image, unsigned index);

/* The symbol called name: an object or function with external linkage first,
 * then a local one; false when there is none. */
bool image_find_symbol(const struct image *image, const char *name,
	struct image_symbol *out);

/* The symbol that covers address, or the nearest one below in the same
 * section when sizes are unknown. */
bool image_symbol_at(const struct image *image, uint64_t address,
	struct image_symbol *out);

/* Append up to max names close to name, best first, ", " between them. For
 * "did you mean". Returns how many. */
unsigned image_nearest_symbols(const struct image *image, const char *name,
	unsigned max, struct buf *out);

/* "symbol+0x12", or "0x401234" without one, into out. */
void image_describe(
	const struct image *image, uint64_t address, struct buf *out);

/* Source file and line of an instruction; false without debug information.
 * *out_file is owned by the image, and a path as the compiler wrote it. */
bool image_line_at(const struct image *image, uint64_t address,
	const char **out_file, int *out_line);

/*
 * The address and size of what path names: "ctx.lock.owner", "ring.slots[3]",
 * by the types in the debug information. -ENOENT or -EINVAL with a sentence:
 * no debug information, no such variable or member (those there are listed), an
 * index out of bounds. A bit-field is the bytes that hold its bits.
 */
int image_find_field(const struct image *image, const char *path,
	uint64_t *out_address, uint64_t *out_size, struct error *err);

/* Append what lies at address, as such a path ("+n" behind it for bytes
 * inside a number); of several members of a union the one of size bytes.
 * False, and nothing, when no variable is known there. */
bool image_describe_data(const struct image *image, uint64_t address,
	uint64_t size, struct buf *out);

/* A function whose body stands at an address because its call was replaced. */
struct image_inline {
	const char *function;
	const char *call_file; /* where the call was; NULL: unknown */
	int call_line;
};

/* Those at address, innermost first; how many. The function around them all
 * is the symbol's. Strings are owned by the image. */
size_t image_inlines_at(const struct image *image, uint64_t address,
	struct image_inline *out, size_t max);

/*
 * Unwinding: given rip, rsp, rbp of a frame and a way to read its stack, find
 * its caller's. Uses CFI when the image has it for rip, else the frame
 * pointer. Returns false at the outermost frame or when nothing fits; *frame is
 * unchanged then. innermost: rip is where the thread is, not a return address.
 */
struct image_frame {
	uint64_t rip, rsp, rbp, rbx, r12, r13, r14, r15;
	/* Set by image_unwind(): what came here was an exception, so rip is no
	 * return address either. */
	bool interrupted;
};
typedef bool (*image_read_fn)(void *ctx, uint64_t va, uint64_t *out);
bool image_unwind(const struct image *image, struct image_frame *frame,
	bool innermost, image_read_fn read, void *ctx);

#endif
