/* SPDX-License-Identifier: MIT */
#include "trace/trace_pack.h"

#include <stdlib.h>

bool trace_pack_grow(struct pack_out *out, size_t more)
{
	size_t capacity = out->capacity ? out->capacity : 256;
	uint8_t *data;

	if (out->failed || more > SIZE_MAX / 4 - out->len) {
		out->failed = true;
		return false;
	}
	while (capacity - out->len < more)
		capacity *= 2;
	if (capacity == out->capacity)
		return true;
	data = realloc(out->data, capacity);
	if (!data) {
		out->failed = true;
		return false;
	}
	out->data = data;
	out->capacity = capacity;
	return true;
}

void trace_pack_fini(struct pack_out *out)
{
	free(out->data);
	*out = (struct pack_out){ 0 };
}

char *trace_unpack_string(struct pack_in *in)
{
	uint64_t len = unpack_varint(in);
	const uint8_t *bytes = unpack_bytes(in, len);
	char *text;

	if (!bytes || in->failed)
		return NULL;
	text = malloc(len + 1);
	if (!text) {
		in->failed = true;
		return NULL;
	}
	memcpy(text, bytes, len);
	text[len] = 0;
	return text;
}
