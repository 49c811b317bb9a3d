/* SPDX-License-Identifier: MIT */
/* Shared by the files of the reader. */
#ifndef CUSTOS_TRACE_TRACE_READER_IMPL_H
#define CUSTOS_TRACE_TRACE_READER_IMPL_H

#include <custos/trace.h>

#include "base/error.h"
#include "trace/trace_codec.h"
#include "trace/trace_format.h"
#include "trace/trace_names.h"

/* One place in the trace. */
struct trace_cursor {
	struct trace_decoder *decoder;
	struct pack_out payload; /* of the chunk being read */
	size_t chunk; /* index of it in the table */
	uint64_t read; /* records of it */
	bool loaded;
};

struct trace_known {
	struct trace_chunk chunk;
	bool damaged; /* told already */
	uint64_t before; /* RECORDS: how many records are in earlier ones */
	uint32_t filter; /* RECORDS: index of its STORED chunk; 0: none */
};

struct trace_reader {
	int fd;
	uint64_t size;
	char *path;
	struct trace_known *chunks; /* in file order */
	size_t chunk_count, chunk_room;
	bool has_index, has_end;
	uint64_t lost; /* by LOST records */
	struct trace_meta meta;
	struct trace_names_table names;
	const struct trace_process *last_process;

	char **damage;
	size_t damage_count;

	struct pack_out stored; /* a payload as it is in the file */
	struct pack_out filter; /* the payload of one */
	void *decompressor;
	struct trace_cursor cursor; /* what next() reads */
	struct trace_cursor query; /* what questions read */
	struct pack_out inputs; /* the payload being read */
	struct pack_in input; /* what is left of it */
	size_t input_chunk; /* the next one */
	uint64_t input_at; /* records before the last input */
	uint64_t skip_below; /* seq; what seek() still has to pass over */
};

/* Note what is wrong. */
void trace_reader_note(struct trace_reader *reader, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Note that a chunk cannot be used, once. */
void trace_reader_note_chunk(
	struct trace_reader *reader, size_t index, const char *what);

/* Exactly len bytes of the file: 0, -ENODATA when there are not so many,
 * -errno. */
int trace_reader_pread(
	struct trace_reader *reader, void *bytes, size_t len, uint64_t offset);

/*
 * The payload of a chunk into out. 0; -EBADMSG: damaged, which is noted;
 * -errno.
 */
int trace_reader_load(
	struct trace_reader *reader, size_t index, struct pack_out *out);

/* Find all chunks: by the index, or by looking. trace_scan.c */
int trace_reader_scan(struct trace_reader *reader);

/* Begin reading a chunk of records. As trace_reader_load(). */
int trace_cursor_begin(struct trace_reader *reader,
	struct trace_cursor *cursor, size_t chunk);

/* The next record of the cursor's chunk, names filled in: 1, 0 at the chunk's
 * end, -EBADMSG (noted), -errno. */
int trace_cursor_next(struct trace_reader *reader, struct trace_cursor *cursor,
	struct trace_record *out);

#endif
