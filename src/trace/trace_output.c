/* SPDX-License-Identifier: MIT */
/*
 * A chunk is written with one system call, behind the names its records use:
 * whatever kills us, the file is whole chunks and at most one torn end. After
 * an error the file is cut back to the last whole chunk and nothing is written
 * any more but, at the end, how much was lost.
 */
#include "trace/trace_output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

#include "trace/trace_codec.h"
#include "trace/trace_filter.h"
#include "trace/trace_format.h"
#include "trace/trace_memory.h"
#include "trace/trace_names.h"
#include "trace/trace_start.h"

#define LEVEL 1 /* of zstd: the columns are simple, time counts */
#define OPEN_BYTES_MAX ((size_t)4 << 20)

struct trace_output {
	int fd;
	int status; /* 0, or the first error */
	uint64_t lost;
	uint64_t size; /* of the file: whole chunks */
	uint64_t seq, time; /* of the last record */
	uint32_t chunks;
	struct trace_encoder *encoder;
	struct trace_filter *filter; /* of what the encoder has */
	struct trace_memory *memory; /* as all records tell it */
	uint64_t seq_max; /* of all records */
	ZSTD_CCtx *compressor;
	struct pack_out names, inputs; /* not written yet */
	struct pack_out payload; /* of the chunk being made */
	struct pack_out ready; /* chunks to be written */
	struct pack_out index; /* offset and header of every chunk */
};

/* ---- the file ---- */

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* What is ready goes to the file, all of it or nothing. */
static int write_ready(struct trace_output *o)
{
	int ret = o->ready.failed ? -ENOMEM : 0;

	if (!ret)
		ret = write_all(o->fd, o->ready.data, o->ready.len);
	if (!ret) {
		o->size += o->ready.len;
	} else if (!ftruncate(o->fd, (off_t)o->size)) {
		lseek(o->fd, (off_t)o->size, SEEK_SET);
	}
	o->ready.len = 0;
	o->ready.failed = false;
	return ret;
}

/* payload becomes a chunk that is ready; it is entered in the index. */
static int make_chunk(struct trace_output *o, struct trace_chunk *chunk,
	const struct pack_out *payload)
{
	size_t start = o->ready.len;
	int ret;

	chunk->number = o->chunks;
	chunk->offset = o->size + start;
	/* A filter is as good as random. */
	ret = trace_chunk_pack(&o->ready, chunk, payload, o->compressor,
		chunk->type == TRACE_CHUNK_STORED ? 0 : LEVEL);
	if (ret)
		return ret;
	o->chunks++;
	pack_u64(&o->index, chunk->offset);
	pack_bytes(&o->index, o->ready.data + start, TRACE_CHUNK_HEADER);
	return o->index.failed ? -ENOMEM : 0;
}

static struct trace_chunk chunk_here(
	const struct trace_output *o, enum trace_chunk_type type)
{
	return (struct trace_chunk){
		.type = (uint8_t)type,
		.seq_first = o->seq,
		.seq_last = o->seq,
		.time_first = o->time,
		.time_last = o->time,
	};
}

/* ---- opening and closing ---- */

void trace_output_destroy(struct trace_output *o)
{
	if (!o)
		return;
	if (o->fd >= 0)
		close(o->fd);
	trace_encoder_destroy(o->encoder);
	trace_filter_destroy(o->filter);
	trace_memory_destroy(o->memory);
	ZSTD_freeCCtx(o->compressor);
	trace_pack_fini(&o->names);
	trace_pack_fini(&o->inputs);
	trace_pack_fini(&o->payload);
	trace_pack_fini(&o->ready);
	trace_pack_fini(&o->index);
	free(o);
}

static int write_start(struct trace_output *o, const struct trace_meta *meta)
{
	struct trace_chunk chunk = chunk_here(o, TRACE_CHUNK_META);
	uint8_t header[TRACE_FILE_HEADER];
	int ret;

	trace_file_header_pack(header);
	pack_bytes(&o->ready, header, sizeof(header));
	o->payload.len = 0;
	trace_meta_pack(&o->payload, meta);
	ret = make_chunk(o, &chunk, &o->payload);
	if (!ret && meta->start) {
		chunk = chunk_here(o, TRACE_CHUNK_START);
		o->payload.len = 0;
		trace_start_pack(&o->payload, meta->start);
		ret = make_chunk(o, &chunk, &o->payload);
	}
	return ret ? ret : write_ready(o);
}

static struct trace_output *output_create(void)
{
	struct trace_output *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->fd = -1;
	o->encoder = trace_encoder_create();
	o->filter = trace_filter_create();
	o->memory = trace_memory_create();
	o->compressor = ZSTD_createCCtx();
	if (o->encoder && o->filter && o->memory && o->compressor) {
		trace_encoder_begin(o->encoder, 0, 0);
		return o;
	}
	trace_output_destroy(o);
	return NULL;
}

int trace_output_open(const char *path, const struct trace_meta *meta,
	struct trace_output **out, struct error *err)
{
	struct trace_output *o = output_create();
	int ret = 0;

	if (!o)
		return error_set(err, -ENOMEM, "out of memory");
	o->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (o->fd < 0)
		ret = -errno;
	if (!ret)
		ret = write_start(o, meta);
	if (ret) {
		trace_output_destroy(o);
		return error_set_errno(err, ret, "cannot write %s", path);
	}
	*out = o;
	return 0;
}

struct pack_out *trace_output_names(struct trace_output *o)
{
	return &o->names;
}

struct pack_out *trace_output_inputs(struct trace_output *o)
{
	return &o->inputs;
}

uint64_t trace_output_lost(const struct trace_output *o)
{
	return o->lost;
}

bool trace_output_is_empty(const struct trace_output *o)
{
	return !trace_encoder_counts(o->encoder)->records && !o->names.len &&
		!o->inputs.len;
}

/* ---- chunks ---- */

/* Of NAMES or INPUTS. */
static int make_gathered(struct trace_output *o, struct pack_out *payload,
	enum trace_chunk_type type)
{
	struct trace_chunk chunk = chunk_here(o, type);
	int ret;

	if (payload->failed)
		return -ENOMEM;
	if (!payload->len)
		return 0;
	ret = make_chunk(o, &chunk, payload);
	payload->len = 0;
	return ret;
}

static int make_records(struct trace_output *o)
{
	const struct codec_counts *c = trace_encoder_counts(o->encoder);
	struct trace_chunk chunk = {
		.type = TRACE_CHUNK_RECORDS,
		.flags = (uint16_t)((c->binds ? TRACE_CHUNK_BINDS : 0) |
			(c->ended ? TRACE_CHUNK_END : 0) |
			(c->lost ? TRACE_CHUNK_LOST : 0) |
			(trace_filter_is_empty(o->filter) ?
					0 :
					TRACE_CHUNK_STORES)),
		.records = c->records,
		.accesses = c->accesses,
		.seq_first = c->seq_first,
		.seq_last = c->seq_last,
		.time_first = c->time_first,
		.time_last = c->time_last,
	};

	if (!c->records)
		return 0;
	trace_encoder_finish(o->encoder, &o->payload);
	return make_chunk(o, &chunk, &o->payload);
}

/* About the records chunk just made. */
static int make_filter(struct trace_output *o)
{
	struct trace_chunk chunk = chunk_here(o, TRACE_CHUNK_STORED);

	if (trace_filter_is_empty(o->filter))
		return 0;
	chunk.subject = o->chunks - 1;
	trace_filter_pack(o->filter, &o->payload);
	return make_chunk(o, &chunk, &o->payload);
}

static int make_checkpoint(struct trace_output *o)
{
	struct trace_chunk chunk = chunk_here(o, TRACE_CHUNK_MEMORY);

	if (!trace_memory_is_due(o->memory))
		return 0;
	/* It is only true after all that came before it. */
	chunk.seq_first = chunk.seq_last = o->seq_max;
	trace_memory_pack(o->memory, &o->payload);
	if (o->payload.failed || o->payload.len > TRACE_CHUNK_RAW_MAX)
		return 0; /* a trace is whole without it */
	return make_chunk(o, &chunk, &o->payload);
}

int trace_output_flush(struct trace_output *o)
{
	uint32_t records = trace_encoder_counts(o->encoder)->records;
	uint32_t chunks = o->chunks;
	size_t index = o->index.len;
	int ret;

	if (trace_output_is_empty(o))
		return o->status;
	ret = o->status;
	if (!ret)
		ret = make_gathered(o, &o->names, TRACE_CHUNK_NAMES);
	if (!ret)
		ret = make_gathered(o, &o->inputs, TRACE_CHUNK_INPUTS);
	if (!ret)
		ret = make_records(o);
	if (!ret)
		ret = make_filter(o);
	if (!ret)
		ret = make_checkpoint(o);
	if (!ret)
		ret = write_ready(o);
	if (ret) {
		o->ready.len = o->names.len = o->inputs.len = 0;
		o->chunks = chunks;
		o->index.len = index;
		o->lost += records;
		o->status = ret;
	}
	trace_encoder_begin(o->encoder, o->seq, o->time);
	trace_filter_reset(o->filter);
	return o->status;
}

int trace_output_add(struct trace_output *o, const struct trace_record *record)
{
	const struct codec_counts *c;

	if (o->status) {
		o->lost++;
		return o->status;
	}
	c = trace_encoder_counts(o->encoder);
	if (!c->records)
		trace_encoder_begin(o->encoder, o->seq, record->time_ns);
	if (record->kind == TRACE_ACCESS)
		o->seq = record->access.seq;
	if (o->seq > o->seq_max)
		o->seq_max = o->seq;
	o->time = record->time_ns;
	if (!trace_encoder_add(o->encoder, record)) {
		o->status = -ENOMEM;
		o->lost += c->records;
		return o->status;
	}
	trace_filter_add(o->filter, record);
	trace_memory_add(o->memory, record);
	if (c->records == TRACE_CHUNK_RECORDS_MAX ||
		trace_encoder_size(o->encoder) > OPEN_BYTES_MAX)
		return trace_output_flush(o);
	return 0;
}

/* ---- the end ---- */

static int write_index(struct trace_output *o)
{
	struct trace_chunk chunk = chunk_here(o, TRACE_CHUNK_INDEX);
	uint8_t trailer[TRACE_TRAILER];
	struct pack_out index = o->index; /* without an entry for itself */
	int ret;

	if (index.len > TRACE_CHUNK_RAW_MAX)
		return 0; /* readers scan */
	o->index = (struct pack_out){ 0 };
	ret = make_chunk(o, &chunk, &index);
	trace_pack_fini(&index);
	if (ret)
		return ret;
	trace_trailer_pack(trailer, chunk.offset,
		o->size + o->ready.len + sizeof(trailer));
	pack_bytes(&o->ready, trailer, sizeof(trailer));
	return write_ready(o);
}

int trace_output_finish(struct trace_output *o, uint64_t time_ns,
	uint64_t lost, int64_t exit_code)
{
	struct trace_record lost_record = {
		.kind = TRACE_LOST,
		.time_ns = time_ns,
		.count = lost,
	};
	struct trace_record end = {
		.kind = TRACE_END,
		.time_ns = time_ns,
		.exit_code = exit_code,
	};
	int before = o->status, after;
	char text[64];

	/* There may be room for this though there was none for more. */
	o->status = 0;
	if (lost) {
		lost_record.text = strerror_r(-before, text, sizeof(text));
		trace_output_add(o, &lost_record);
	}
	trace_output_add(o, &end);
	after = trace_output_flush(o);
	if (!after)
		after = write_index(o);
	if (close(o->fd) && !after)
		after = -errno;
	o->fd = -1;
	trace_output_destroy(o);
	return before ? before : after;
}
