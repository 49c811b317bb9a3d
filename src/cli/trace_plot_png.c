/* SPDX-License-Identifier: MIT */
/*
 * PNG files, without a library: each line is told as its difference from the
 * one above, and of deflate only repetitions of the last byte are used, with
 * the fixed codes (RFC 1951, 3.2.6). For pictures of rectangles that is nearly
 * as small as it gets.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/trace_plot.h"

#define FILTER_UP 2
#define MATCH_LEAST 3u
#define MATCH_MOST 258u

struct deflate {
	struct buf out;
	uint64_t bits;
	unsigned count; /* of bits not yet in out */
	uint32_t a, b; /* Adler-32 */
	uint8_t last; /* byte before */
	bool has_last;
	unsigned run; /* of bytes equal to last, not yet told */
};

static void put_bits(struct deflate *d, uint32_t value, unsigned count)
{
	d->bits |= (uint64_t)value << d->count;
	d->count += count;
	while (d->count >= 8) {
		buf_add_char(&d->out, (char)(d->bits & 0xff));
		d->bits >>= 8;
		d->count -= 8;
	}
}

/* Codes come with their highest bit first. */
static void put_code(struct deflate *d, uint32_t code, unsigned count)
{
	uint32_t turned = 0;

	for (unsigned i = 0; i < count; i++)
		turned |= (code >> i & 1) << (count - 1 - i);
	put_bits(d, turned, count);
}

static void put_symbol(struct deflate *d, unsigned symbol)
{
	if (symbol < 144)
		put_code(d, 0x30 + symbol, 8);
	else if (symbol < 256)
		put_code(d, 0x190 + symbol - 144, 9);
	else if (symbol < 280)
		put_code(d, symbol - 256, 7);
	else
		put_code(d, 0xc0 + symbol - 280, 8);
}

/* length bytes that are equal to the one before */
static void put_match(struct deflate *d, unsigned length)
{
	unsigned extra = 0, rest = length - MATCH_LEAST;

	if (length == MATCH_MOST) {
		put_symbol(d, 285);
	} else {
		while (rest >> extra >= 8)
			extra++;
		put_symbol(d, 257 + 4 * extra + (rest >> extra));
		put_bits(d, rest & ((1u << extra) - 1), extra);
	}
	put_code(d, 0, 5); /* distance 1 */
}

static void put_run(struct deflate *d)
{
	while (d->run >= MATCH_LEAST) {
		unsigned length = d->run < MATCH_MOST ? d->run : MATCH_MOST;

		put_match(d, length);
		d->run -= length;
	}
	for (; d->run; d->run--)
		put_symbol(d, d->last);
}

static void deflate_byte(struct deflate *d, uint8_t byte)
{
	d->a = (d->a + byte) % 65521;
	d->b = (d->b + d->a) % 65521;
	if (d->has_last && byte == d->last) {
		d->run++;
		return;
	}
	put_run(d);
	put_symbol(d, byte);
	d->last = byte;
	d->has_last = true;
}

static void add_be32(struct buf *out, uint32_t value)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		buf_add_char(out, (char)(value >> shift & 0xff));
}

static void deflate_begin(struct deflate *d)
{
	*d = (struct deflate){ .a = 1 };
	buf_add(&d->out, "\x78\x01", 2); /* zlib's header: 32 KiB, fast */
	put_bits(d, 3, 3); /* the last block; fixed codes */
}

static void deflate_end(struct deflate *d)
{
	put_run(d);
	put_symbol(d, 256);
	if (d->count)
		put_bits(d, 0, 8 - d->count);
	add_be32(&d->out, d->b << 16 | d->a);
}

/* ---- chunks ---- */

static uint32_t crc_of(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint32_t table[256], crc = UINT32_MAX;

	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (unsigned k = 0; k < 8; k++)
			table[i] = (table[i] & 1 ? 0xedb88320 : 0) ^
				table[i] >> 1;
	}
	for (size_t i = 0; i < len; i++)
		crc = table[(crc ^ p[i]) & 0xff] ^ crc >> 8;
	return ~crc;
}

static int put_chunk(
	FILE *out, const char *type, const char *data, size_t len)
{
	struct buf chunk = BUF_INIT;
	bool ok;

	if (len > INT32_MAX)
		return -EFBIG;
	add_be32(&chunk, (uint32_t)len);
	buf_add(&chunk, type, 4);
	buf_add(&chunk, data, len);
	if (!chunk.failed)
		add_be32(&chunk, crc_of(chunk.data + 4, len + 4));
	ok = !chunk.failed;
	if (ok && fwrite(chunk.data, 1, chunk.len, out) != chunk.len) {
		buf_fini(&chunk);
		return -EIO;
	}
	buf_fini(&chunk);
	return ok ? 0 : -ENOMEM;
}

static int put_header(FILE *out, uint32_t width, uint32_t height)
{
	struct buf header = BUF_INIT;
	int ret;

	fwrite("\x89PNG\r\n\x1a\n", 1, 8, out);
	add_be32(&header, width);
	add_be32(&header, height);
	/* 8 bits each of red, green and blue; no interlacing */
	buf_add(&header, "\x08\x02\0\0\0", 5);
	ret = header.failed ? -ENOMEM :
		put_chunk(out, "IHDR", header.data, header.len);
	buf_fini(&header);
	return ret;
}

int trace_plot_png_write(const uint8_t *pixels, uint32_t width,
	uint32_t height, FILE *out)
{
	size_t line = (size_t)width * 3;
	struct deflate d;
	int ret = put_header(out, width, height);

	if (ret)
		return ret;
	deflate_begin(&d);
	for (size_t y = 0; y < height; y++) {
		deflate_byte(&d, FILTER_UP);
		for (size_t x = 0; x < line; x++) {
			const uint8_t *p = pixels + y * line + x;

			deflate_byte(&d, (uint8_t)(*p - (y ? p[-line] : 0)));
		}
	}
	deflate_end(&d);
	ret = d.out.failed ? -ENOMEM :
		put_chunk(out, "IDAT", d.out.data, d.out.len);
	buf_fini(&d.out);
	return ret ? ret : put_chunk(out, "IEND", "", 0);
}
