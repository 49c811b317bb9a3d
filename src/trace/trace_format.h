/* SPDX-License-Identifier: MIT */
/*
 * What a trace file is made of, as docs/TRACE-FORMAT.md says: a file header,
 * then chunks that each say where they end and what their checksum is.
 */
#ifndef CUSTOS_TRACE_TRACE_FORMAT_H
#define CUSTOS_TRACE_TRACE_FORMAT_H

#include "base/error.h"
#include "trace/trace_pack.h"

#define TRACE_FILE_MAGIC "CUSTOSTR"
#define TRACE_FILE_VERSION 1
#define TRACE_FILE_HEADER 16 /* bytes */
#define TRACE_CHUNK_MAGIC 0x6b434354u /* "TCCk" */
#define TRACE_CHUNK_HEADER 80 /* bytes */
#define TRACE_TRAILER_MAGIC 0x646e456563617254ull /* "TraceEnd" */
#define TRACE_TRAILER 32 /* bytes */

/* Bounds that a reader may count on. */
#define TRACE_CHUNK_RAW_MAX ((size_t)64 << 20)
#define TRACE_CHUNK_RECORDS_MAX 65536
#define TRACE_SITES_MAX (UINT32_C(1) << 22)
#define TRACE_BIND_MAX 65536 /* bytes in one record; more are split */

enum trace_chunk_type {
	TRACE_CHUNK_META = 1,
	TRACE_CHUNK_NAMES, /* sites and processes */
	TRACE_CHUNK_RECORDS,
	TRACE_CHUNK_STORED, /* filter: which bytes a RECORDS chunk stores */
	TRACE_CHUNK_MEMORY, /* checkpoint of kept bytes */
	TRACE_CHUNK_INDEX,
	TRACE_CHUNK_START, /* what it takes to start the run again */
	TRACE_CHUNK_INPUTS, /* what came to it from outside */
};

enum trace_chunk_codec { TRACE_CODEC_NONE, TRACE_CODEC_ZSTD };

#define TRACE_CHUNK_BINDS 1 /* flag: RECORDS with at least one BIND */
#define TRACE_CHUNK_END 2 /* flag: RECORDS with the TRACE_END */
#define TRACE_CHUNK_LOST 4 /* flag: RECORDS with at least one TRACE_LOST */
#define TRACE_CHUNK_STORES 8 /* flag: RECORDS with a store, or a BIND */

struct trace_chunk {
	uint64_t offset; /* of its header in the file; not in the header */
	uint8_t type, codec;
	uint16_t flags;
	uint32_t stored, raw; /* bytes of payload in the file, and decoded */
	uint32_t records, accesses;
	uint64_t seq_first, seq_last; /* smallest and largest */
	uint64_t time_first, time_last;
	uint64_t hash; /* XXH3-64 of the stored payload */
	uint32_t number; /* of the chunk, from 0 */
	uint32_t subject; /* STORED: number of the chunk it is about */
};

/*
 * Append a chunk: its header, and payload compressed when that makes it
 * smaller. stored, raw, codec and hash of chunk are filled. compressor: a
 * ZSTD_CCtx. 0 or -ENOMEM.
 */
int trace_chunk_pack(struct pack_out *out, struct trace_chunk *chunk,
	const struct pack_out *payload, void *compressor, int level);

/* Read a header. False: it is none, or damaged. */
bool trace_chunk_unpack(const uint8_t *bytes, struct trace_chunk *out);

/*
 * The payload of a chunk, decoded into out (which keeps its memory for the
 * next). stored: chunk->stored bytes. -EBADMSG: checksum or compression;
 * -ENOMEM. decompressor: a ZSTD_DCtx.
 */
int trace_chunk_decode(const struct trace_chunk *chunk, const uint8_t *stored,
	void *decompressor, struct pack_out *out);

void trace_file_header_pack(uint8_t *bytes);
/* False: not a trace, *out_version 0, or of another version. */
bool trace_file_header_unpack(const uint8_t *bytes, uint32_t *out_version);

void trace_trailer_pack(
	uint8_t *bytes, uint64_t index_offset, uint64_t file_size);
/* False: none. */
bool trace_trailer_unpack(const uint8_t *bytes, uint64_t file_size,
	uint64_t *out_index_offset);

uint64_t trace_hash(const void *bytes, size_t len);

#endif
