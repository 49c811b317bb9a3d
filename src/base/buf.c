/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool grow(struct buf *buf, size_t more)
{
	size_t need, capacity;
	char *data;

	if (buf->failed || __builtin_add_overflow(buf->len, more, &need) ||
		__builtin_add_overflow(need, 1, &need)) {
		buf->failed = true;
		return false;
	}
	if (need <= buf->capacity)
		return true;
	capacity = buf->capacity ? buf->capacity : 128;
	while (capacity < need)
		if (__builtin_mul_overflow(capacity, 2, &capacity))
			capacity = need;
	data = realloc(buf->data, capacity);
	if (!data) {
		buf->failed = true;
		return false;
	}
	buf->data = data;
	buf->capacity = capacity;
	return true;
}

void buf_fini(struct buf *buf)
{
	free(buf->data);
	*buf = BUF_INIT;
}

void buf_reset(struct buf *buf)
{
	buf->len = 0;
	buf->failed = false;
	if (buf->data)
		buf->data[0] = '\0';
}

void buf_add(struct buf *buf, const void *bytes, size_t len)
{
	if (!grow(buf, len))
		return;
	if (len)
		memcpy(buf->data + buf->len, bytes, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void buf_add_str(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void buf_add_char(struct buf *buf, char c)
{
	buf_add(buf, &c, 1);
}

void buf_vprintf(struct buf *buf, const char *format, va_list args)
{
	size_t room = buf->failed ? 0 : buf->capacity - buf->len;
	va_list again;
	int len;

	/* Mostly it fits; else it tells how much it needs. */
	va_copy(again, args);
	len = vsnprintf(room ? buf->data + buf->len : NULL, room, format,
		again);
	va_end(again);
	if (len < 0 || !grow(buf, (size_t)len)) {
		buf->failed = true;
		if (room)
			buf->data[buf->len] = '\0';
		return;
	}
	if ((size_t)len >= room)
		vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
	buf->len += (size_t)len;
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_vprintf(buf, format, args);
	va_end(args);
}

void buf_add_decimal(struct buf *buf, uint64_t value)
{
	char text[20];
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	buf_add(buf, text + at, sizeof(text) - at);
}

void buf_add_number(struct buf *buf, uint64_t value)
{
	static const char digits[] = "0123456789abcdef";
	char text[18];
	size_t at = sizeof(text);

	do {
		text[--at] = digits[value & 15];
		value >>= 4;
	} while (value);
	text[--at] = 'x';
	text[--at] = '0';
	buf_add(buf, text + at, sizeof(text) - at);
}

void buf_add_hex(struct buf *buf, const void *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = bytes;

	for (size_t i = 0; i < len; i++) {
		char pair[2] = { digits[p[i] >> 4], digits[p[i] & 15] };

		buf_add(buf, pair, 2);
	}
}

/*
 * Length of the valid UTF-8 sequence at p (RFC 3629), or 0: overlong forms,
 * surrogates and values above U+10FFFF are not valid.
 */
static size_t utf8_len(const uint8_t *p, size_t left)
{
	static const struct {
		uint8_t lead_min, lead_max, next_min, next_max, len;
	} forms[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	if (p[0] < 0x80)
		return 1;
	for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
		if (p[0] < forms[f].lead_min || p[0] > forms[f].lead_max)
			continue;
		if (left < forms[f].len || p[1] < forms[f].next_min ||
			p[1] > forms[f].next_max)
			return 0;
		for (size_t i = 2; i < forms[f].len; i++)
			if ((p[i] & 0xc0) != 0x80)
				return 0;
		return forms[f].len;
	}
	return 0;
}

/* How many bytes need no second look: most texts have no others. */
static size_t plain_len(const uint8_t *p, size_t left)
{
	size_t n = 0;

	while (n < left && p[n] >= 0x20 && p[n] < 0x7f && p[n] != '"' &&
		p[n] != '\\')
		n++;
	return n;
}

void buf_add_json(struct buf *buf, const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t i = 0;

	buf_add_char(buf, '"');
	while (i < len) {
		size_t n = plain_len(p + i, len - i);

		buf_add(buf, p + i, n);
		i += n;
		if (i == len)
			break;
		n = utf8_len(p + i, len - i);
		if (!n) {
			buf_add_str(buf, "\xef\xbf\xbd");
			n = 1;
		} else if (p[i] == '"' || p[i] == '\\') {
			buf_add_char(buf, '\\');
			buf_add_char(buf, text[i]);
		} else if (p[i] < 0x20 || p[i] == 0x7f) {
			buf_printf(buf, "\\u%04x", p[i]);
		} else {
			buf_add(buf, p + i, n);
		}
		i += n;
	}
	buf_add_char(buf, '"');
}

const char *buf_str(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}
