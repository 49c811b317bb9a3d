/* SPDX-License-Identifier: MIT */
/*
 * A growing byte buffer, mostly for text output. Out of memory is remembered
 * in the buffer (failed), so that a line can be composed without a check per
 * piece and be checked once at its end.
 */
#ifndef CUSTOS_BASE_BUF_H
#define CUSTOS_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data; /* len bytes, then a NUL; NULL while nothing was added */
	size_t len;
	size_t capacity;
	bool failed; /* an addition ran out of memory and was dropped */
};

#define BUF_INIT ((struct buf){ 0 })

void buf_fini(struct buf *buf);

/* Forget the contents, keep the memory for the next line. Clears failed. */
void buf_reset(struct buf *buf);

void buf_add(struct buf *buf, const void *bytes, size_t len);
void buf_add_str(struct buf *buf, const char *text);
void buf_add_char(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

/* What printf's %llu and 0x%llx give, quicker. */
void buf_add_decimal(struct buf *buf, uint64_t value);
void buf_add_number(struct buf *buf, uint64_t value);

/* Bytes as lower-case hex digits, two each, no separators. */
void buf_add_hex(struct buf *buf, const void *bytes, size_t len);

/*
 * text as a JSON string with its quotes (RFC 8259). Bytes that are not valid
 * UTF-8 become U+FFFD; control characters are escaped. text may hold NULs.
 */
void buf_add_json(struct buf *buf, const char *text, size_t len);

/* The contents as a string; "" when empty. Valid until the next addition. */
const char *buf_str(const struct buf *buf);

#endif
