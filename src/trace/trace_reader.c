/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "trace/trace_reader_impl.h"
#include "trace/trace_start.h"

#define DAMAGE_MAX 1000 /* sentences kept */

/* ---- what is wrong ---- */

void trace_reader_note(struct trace_reader *r, const char *format, ...)
{
	char **damage = r->damage;
	va_list args;
	char *text;
	int ret;

	if (r->damage_count == DAMAGE_MAX)
		return;
	va_start(args, format);
	ret = vasprintf(&text, format, args);
	va_end(args);
	if (ret < 0)
		return;
	damage = reallocarray(damage, r->damage_count + 1, sizeof(*damage));
	if (!damage) {
		free(text);
		return;
	}
	r->damage = damage;
	damage[r->damage_count++] = text;
}

void trace_reader_note_chunk(
	struct trace_reader *r, size_t index, const char *what)
{
	struct trace_known *known = &r->chunks[index];
	const struct trace_chunk *chunk = &known->chunk;

	if (known->damaged)
		return;
	known->damaged = true;
	if (chunk->type == TRACE_CHUNK_RECORDS && chunk->accesses)
		trace_reader_note(r,
			"chunk %" PRIu32 " (accesses %" PRIu64 " to %" PRIu64
			"): %s",
			chunk->number, chunk->seq_first, chunk->seq_last, what);
	else
		trace_reader_note(r, "chunk %" PRIu32 ": %s", chunk->number,
			what);
}

const char *trace_reader_damage(const struct trace_reader *r, size_t index)
{
	return index < r->damage_count ? r->damage[index] : NULL;
}

/* ---- the file ---- */

int trace_reader_pread(
	struct trace_reader *r, void *bytes, size_t len, uint64_t offset)
{
	uint8_t *at = bytes;

	while (len) {
		ssize_t n = pread(r->fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENODATA;
		at += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

static bool same_header(
	const struct trace_chunk *a, const struct trace_chunk *b)
{
	return a->type == b->type && a->codec == b->codec &&
		a->stored == b->stored && a->raw == b->raw &&
		a->records == b->records && a->accesses == b->accesses &&
		a->seq_first == b->seq_first && a->seq_last == b->seq_last &&
		a->hash == b->hash && a->number == b->number;
}

/* Header and payload in one read; the header must be the one we know. */
static int read_stored(struct trace_reader *r, size_t index)
{
	const struct trace_chunk *chunk = &r->chunks[index].chunk;
	size_t len = TRACE_CHUNK_HEADER + (size_t)chunk->stored;
	struct trace_chunk now;
	int ret;

	r->stored.len = 0;
	if (!pack_room(&r->stored, len)) {
		r->stored.failed = false;
		return -ENOMEM;
	}
	ret = trace_reader_pread(r, r->stored.data, len, chunk->offset);
	if (!ret && (!trace_chunk_unpack(r->stored.data, &now) ||
			    !same_header(&now, chunk)))
		ret = -EBADMSG;
	return ret;
}

int trace_reader_load(
	struct trace_reader *r, size_t index, struct pack_out *out)
{
	int ret = read_stored(r, index);

	if (ret == -EBADMSG || ret == -ENODATA) {
		trace_reader_note_chunk(r, index, "its header is damaged");
		return -EBADMSG;
	}
	if (ret)
		return ret;
	ret = trace_chunk_decode(&r->chunks[index].chunk,
		r->stored.data + TRACE_CHUNK_HEADER, r->decompressor, out);
	out->failed = false;
	if (ret == -EBADMSG)
		trace_reader_note_chunk(r, index, "its checksum differs");
	return ret;
}

/* ---- opening ---- */

static int read_file_header(struct trace_reader *r, struct error *err)
{
	uint8_t bytes[TRACE_FILE_HEADER];
	uint32_t version;
	struct stat st;

	r->fd = open(r->path, O_RDONLY | O_CLOEXEC);
	if (r->fd < 0 || fstat(r->fd, &st))
		return error_set_errno(err, -errno, "cannot open %s", r->path);
	if (!S_ISREG(st.st_mode))
		return error_set(
			err, -EINVAL, "%s is not a trace", r->path);
	r->size = (uint64_t)st.st_size;
	if (trace_reader_pread(r, bytes, sizeof(bytes), 0))
		return error_set(err, -EINVAL,
			"%s is not a trace: it is too short", r->path);
	if (trace_file_header_unpack(bytes, &version))
		return 0;
	if (version && version != TRACE_FILE_VERSION)
		return error_set(err, -EINVAL,
			"%s is a trace of version %" PRIu32
			"; this custos reads version %d",
			r->path, version, TRACE_FILE_VERSION);
	return error_set(err, -EINVAL, "%s is not a trace", r->path);
}

/* META and NAMES are read at once: records name what they tell of. */
static int read_names(struct trace_reader *r)
{
	struct pack_out *payload = &r->cursor.payload;
	bool has_meta = false;

	for (size_t i = 0; i < r->chunk_count; i++) {
		uint8_t type = r->chunks[i].chunk.type;
		struct pack_in in;
		int ret;

		if (type != TRACE_CHUNK_META && type != TRACE_CHUNK_NAMES &&
			type != TRACE_CHUNK_START)
			continue;
		ret = trace_reader_load(r, i, payload);
		if (ret == -EBADMSG)
			continue;
		if (ret)
			return ret;
		in = (struct pack_in){ payload->data,
			payload->data + payload->len, false };
		if (type == TRACE_CHUNK_META && !has_meta) {
			trace_meta_fini(&r->meta);
			has_meta = trace_meta_unpack(&in, &r->meta);
		} else if (type == TRACE_CHUNK_START && has_meta &&
			!r->meta.start) {
			r->meta.start = trace_start_unpack(&in);
		} else if (type == TRACE_CHUNK_NAMES) {
			in.failed |= trace_names_unpack(&r->names, &in) != 0;
		}
		if (in.failed)
			trace_reader_note_chunk(r, i, "does not decode");
	}
	if (has_meta)
		return 0;
	trace_reader_note(r, "what the trace is about is missing");
	/* Nobody has to expect that there are none. */
	r->meta.command = strdup("");
	r->meta.kvm = strdup("");
	return r->meta.command && r->meta.kvm ? 0 : -ENOMEM;
}

#define LOST_CHUNKS_MAX 64 /* more have not the recorder's hand in them */

/* The recorder says at the end what it lost; others may say it anywhere. */
static int read_lost(struct trace_reader *r)
{
	struct trace_record record;
	unsigned count = 0;
	int ret = 0;

	for (size_t i = r->chunk_count; i-- > 0 && count < LOST_CHUNKS_MAX;) {
		if (r->chunks[i].chunk.type != TRACE_CHUNK_RECORDS ||
			!(r->chunks[i].chunk.flags & TRACE_CHUNK_LOST))
			continue;
		count++;
		ret = trace_cursor_begin(r, &r->query, i);
		if (!ret)
			ret = trace_cursor_next(r, &r->query, &record);
		while (ret == 1) {
			if (record.kind == TRACE_LOST)
				r->lost += record.count;
			ret = trace_cursor_next(r, &r->query, &record);
		}
		if (ret && ret != -EBADMSG)
			return ret;
	}
	return 0;
}

static struct trace_reader *reader_create(const char *path)
{
	struct trace_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->fd = -1;
	r->names.meta = &r->meta;
	r->path = strdup(path);
	r->decompressor = ZSTD_createDCtx();
	r->cursor.decoder = trace_decoder_create();
	r->query.decoder = trace_decoder_create();
	if (r->path && r->decompressor && r->cursor.decoder &&
		r->query.decoder)
		return r;
	trace_reader_close(r);
	return NULL;
}

int trace_reader_open(
	const char *path, struct trace_reader **out, struct error *err)
{
	struct trace_reader *r = reader_create(path);
	int ret;

	if (!r)
		return error_set(err, -ENOMEM, "out of memory");
	ret = read_file_header(r, err);
	if (!ret) {
		ret = trace_reader_scan(r);
		if (!ret)
			ret = read_names(r);
		if (!ret)
			ret = read_lost(r);
		if (ret)
			error_set_errno(err, ret, "cannot read %s", path);
	}
	if (ret)
		trace_reader_close(r);
	else
		*out = r;
	return ret;
}

void trace_reader_close(struct trace_reader *r)
{
	if (!r)
		return;
	if (r->fd >= 0)
		close(r->fd);
	for (size_t i = 0; i < r->damage_count; i++)
		free(r->damage[i]);
	free(r->damage);
	free(r->chunks);
	free(r->path);
	trace_meta_fini(&r->meta);
	trace_names_fini(&r->names);
	trace_pack_fini(&r->stored);
	trace_pack_fini(&r->filter);
	trace_pack_fini(&r->inputs);
	trace_pack_fini(&r->cursor.payload);
	trace_pack_fini(&r->query.payload);
	trace_decoder_destroy(r->cursor.decoder);
	trace_decoder_destroy(r->query.decoder);
	ZSTD_freeDCtx(r->decompressor);
	free(r);
}

/* ---- what it is about ---- */

const struct trace_meta *trace_reader_meta(const struct trace_reader *r)
{
	return &r->meta;
}

const struct trace_site *trace_reader_site(
	const struct trace_reader *r, uint32_t site)
{
	return site < r->names.site_count && r->names.sites[site].symbol ?
		&r->names.sites[site] :
		NULL;
}

const struct trace_process *trace_reader_process(
	const struct trace_reader *r, size_t index)
{
	return index < r->names.process_count ? &r->names.processes[index] :
						NULL;
}

void trace_reader_totals(
	const struct trace_reader *r, struct trace_totals *out)
{
	bool first = true;

	*out = (struct trace_totals){
		.chunks = r->chunk_count,
		.file_bytes = r->size,
		.lost = r->lost,
		.complete = r->has_index && r->has_end && !r->damage_count,
	};
	for (size_t i = 0; i < r->chunk_count; i++) {
		const struct trace_chunk *c = &r->chunks[i].chunk;

		if (c->type != TRACE_CHUNK_RECORDS)
			continue;
		out->records += c->records;
		out->accesses += c->accesses;
		if (c->time_last > out->duration_ns)
			out->duration_ns = c->time_last;
		if (!c->accesses)
			continue;
		if (first || c->seq_first < out->seq_first)
			out->seq_first = c->seq_first;
		if (c->seq_last > out->seq_last)
			out->seq_last = c->seq_last;
		first = false;
	}
}

/* ---- records ---- */

int trace_cursor_begin(
	struct trace_reader *r, struct trace_cursor *cursor, size_t index)
{
	const struct trace_chunk *chunk = &r->chunks[index].chunk;
	int ret;

	cursor->loaded = false;
	cursor->chunk = index;
	cursor->read = 0;
	ret = trace_reader_load(r, index, &cursor->payload);
	if (!ret)
		ret = trace_decoder_begin(cursor->decoder,
			cursor->payload.data, cursor->payload.len,
			chunk->records);
	if (ret == -EBADMSG)
		trace_reader_note_chunk(r, index, "does not decode");
	cursor->loaded = !ret;
	return ret;
}

static const char *process_name(struct trace_reader *r, uint64_t id)
{
	if (!id)
		return "kernel";
	if (!r->last_process || r->last_process->id != id)
		r->last_process = trace_names_process(&r->names, id);
	return r->last_process ? r->last_process->name : "?";
}

static const char *range_name(const struct trace_reader *r, uint32_t id)
{
	const struct trace_meta *meta = &r->meta;

	if (id < meta->range_count && meta->ranges[id].id == id)
		return meta->ranges[id].name;
	for (uint32_t i = 0; i < meta->range_count; i++)
		if (meta->ranges[i].id == id)
			return meta->ranges[i].name;
	return "?";
}

static void name_record(struct trace_reader *r, struct trace_record *record)
{
	struct access *a = &record->access;
	const struct trace_site *site;

	if (record->kind != TRACE_ACCESS) {
		if (!record->process_name)
			record->process_name = process_name(r, record->process);
		return;
	}
	site = trace_reader_site(r, record->site);
	if (site) {
		a->ip = site->ip;
		a->insn_len = site->insn_len;
		a->insn = site->insn_len ? site->insn : NULL;
	}
	a->process_name = process_name(r, a->process);
	a->range_name = range_name(r, a->range);
}

int trace_cursor_next(struct trace_reader *r, struct trace_cursor *cursor,
	struct trace_record *out)
{
	int ret = trace_decoder_next(cursor->decoder, out);

	if (ret == 1) {
		name_record(r, out);
		cursor->read++;
	}
	if (ret == -EBADMSG)
		trace_reader_note_chunk(r, cursor->chunk, "does not decode");
	if (ret != 1)
		cursor->loaded = false;
	return ret;
}

/* Begin the next usable chunk of records: 1, 0 at the end, -errno. */
static int next_chunk(struct trace_reader *r)
{
	for (; r->cursor.chunk < r->chunk_count; r->cursor.chunk++) {
		int ret;

		if (r->chunks[r->cursor.chunk].chunk.type !=
			TRACE_CHUNK_RECORDS)
			continue;
		ret = trace_cursor_begin(r, &r->cursor, r->cursor.chunk);
		if (!ret)
			return 1;
		if (ret != -EBADMSG)
			return ret;
	}
	return 0;
}

int trace_reader_next(
	struct trace_reader *r, struct trace_record *out, struct error *err)
{
	int ret;

	do {
		ret = r->cursor.loaded ? 1 : next_chunk(r);
		if (ret == 1) {
			ret = trace_cursor_next(r, &r->cursor, out);
			if (ret <= 0) {
				r->cursor.chunk++;
				if (ret == 0 || ret == -EBADMSG)
					continue;
			}
		} else if (!ret) {
			return 0;
		}
		if (ret < 0)
			return error_set_errno(
				err, ret, "cannot read %s", r->path);
	} while (ret != 1 || out->seq < r->skip_below);
	r->skip_below = 0;
	return 1;
}

int trace_reader_seek(
	struct trace_reader *r, uint64_t seq, struct error *err)
{
	size_t i = 0;

	(void)err;
	while (seq && i < r->chunk_count &&
		(r->chunks[i].chunk.type != TRACE_CHUNK_RECORDS ||
			r->chunks[i].chunk.seq_last < seq))
		i++;
	r->cursor.loaded = false;
	r->cursor.chunk = i;
	r->skip_below = seq;
	return 0;
}

uint64_t trace_reader_position(const struct trace_reader *r)
{
	const struct trace_cursor *c = &r->cursor;

	if (c->chunk >= r->chunk_count || !c->read)
		return 0;
	return r->chunks[c->chunk].before + c->read - 1;
}

/* ---- inputs ---- */

/* The next usable chunk of them: 1, 0 at the end, -errno. */
static int next_inputs(struct trace_reader *r)
{
	while (r->input_chunk < r->chunk_count) {
		size_t index = r->input_chunk++;
		int ret;

		if (r->chunks[index].chunk.type != TRACE_CHUNK_INPUTS)
			continue;
		ret = trace_reader_load(r, index, &r->inputs);
		if (!ret) {
			r->input = (struct pack_in){ r->inputs.data,
				r->inputs.data + r->inputs.len, false };
			return 1;
		}
		if (ret != -EBADMSG)
			return ret;
	}
	return 0;
}

int trace_reader_input(
	struct trace_reader *r, struct trace_input *out, struct error *err)
{
	int ret = 1;

	for (;;) {
		if (r->input.at == r->input.end)
			ret = next_inputs(r);
		if (ret < 0)
			return error_set_errno(
				err, ret, "cannot read %s", r->path);
		if (!ret)
			return 0;
		ret = trace_input_unpack(&r->input, out);
		r->input_at += out->record;
		out->record = r->input_at;
		if (ret == 1)
			return 1;
		if (ret < 0) {
			trace_reader_note_chunk(
				r, r->input_chunk - 1, "does not decode");
			r->input.at = r->input.end;
		}
		ret = 1;
	}
}

/* ---- everything ---- */

static int check_chunk(struct trace_reader *r, size_t index)
{
	struct trace_record record;
	int ret;

	if (r->chunks[index].chunk.type != TRACE_CHUNK_RECORDS) {
		ret = trace_reader_load(r, index, &r->query.payload);
		return ret == -EBADMSG ? 0 : ret;
	}
	ret = trace_cursor_begin(r, &r->query, index);
	while (!ret || ret == 1) {
		ret = trace_cursor_next(r, &r->query, &record);
		if (!ret)
			break;
	}
	return ret == -EBADMSG ? 0 : ret;
}

int trace_reader_check(struct trace_reader *r,
	bool (*progress)(void *ctx, uint64_t done, uint64_t bytes), void *ctx,
	struct error *err)
{
	uint64_t end = TRACE_FILE_HEADER;

	for (size_t i = 0; i < r->chunk_count; i++) {
		const struct trace_chunk *chunk = &r->chunks[i].chunk;
		int ret = check_chunk(r, i);

		if (ret)
			return error_set_errno(
				err, ret, "cannot read %s", r->path);
		if (chunk->offset != end && r->has_index)
			trace_reader_note(r,
				"%" PRIu64 " bytes at offset %" PRIu64
				" belong to nothing",
				chunk->offset - end, end);
		end = chunk->offset + TRACE_CHUNK_HEADER + chunk->stored;
		if (progress && !progress(ctx, end, r->size))
			return error_set(err, -ECANCELED, "interrupted");
	}
	return 0;
}
