/* SPDX-License-Identifier: MIT */
/* Private to the sinks: what a format is, and the cache of sites. */
#ifndef CUSTOS_TRACE_SINK_IMPL_H
#define CUSTOS_TRACE_SINK_IMPL_H

#include "trace/sink.h"

/*
 * A way to write lines. site composes what depends on the instruction alone;
 * its result is kept in a cache and handed to access for every line. field is
 * what the debug information calls the first kept byte, "" when nothing. Each
 * appends to out; access and note end with a newline and contain no other.
 */
struct sink_format {
	void (*site)(const struct trace_names *names,
		const struct access *access, struct buf *out);
	void (*access)(const struct access *access, enum outcome outcome,
		const uint8_t *final_bytes, const struct buf *site,
		const struct buf *field, struct buf *out);
	void (*note)(const char *kind, const char *text, struct buf *out);
};

extern const struct sink_format sink_format_text;
extern const struct sink_format sink_format_json;

/* Instructions seen, with what the format says of them. */
struct site_cache;

struct site_cache *site_cache_create(void); /* NULL: out of memory */
void site_cache_destroy(struct site_cache *cache);

/*
 * What format says of access's instruction, made now or found; valid until
 * the next call. Never NULL; "" when out of memory. Code that changed under
 * the same address is noticed by its bytes.
 */
const struct buf *site_cache_get(struct site_cache *cache,
	const struct sink_format *format, const struct trace_names *names,
	const struct access *access);

/* Fill field with what names call the first kept byte of access. */
void sink_name_field(const struct trace_names *names,
	const struct access *access, struct buf *field);

/* Bytes of at most 8 as the little-endian number they are. */
uint64_t sink_number(const uint8_t *bytes, uint32_t size);

#endif
