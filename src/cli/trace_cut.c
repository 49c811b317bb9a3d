/* SPDX-License-Identifier: MIT */
/*
 * custos trace cut: a part of a trace as a trace of its own. Before its first
 * record come the processes that there were and the bytes they had, so that
 * memory and last stores are answered as in the whole.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/trace.h"
#include "cli/trace_copy.h"
#include "cli/trace_report.h"
#include "keeper/builtin_map.h"

const char trace_cut_help[] = TRACE_SELECT_HELP;

/* Bytes that a process has of a range: a BIND that no UNBIND took back. */
struct bound {
	struct bound_key {
		uint64_t process, range, offset;
	} key;
	uint64_t size, live, frame;
	bool has_bytes;
};

/* What a frame holds, as far as it is anybody's kept bytes. */
struct content {
	uint64_t frame; /* key */
	uint8_t *bytes; /* TRACE_PAGE of them */
};

struct alive {
	uint64_t process; /* key */
	uint32_t program;
	bool live;
};

struct cut {
	struct trace_query q;
	struct trace_select select;
	struct trace_copy copy;
	struct trace_report watch; /* which ranges processes have copies of */
	struct builtin_map bound, alive, contents;
	uint64_t time; /* of the last record before the part */
	uint64_t seq;
	int64_t code; /* of the run, when its end is in the part */
};

/* ---- what there was when the part begins ---- */

static bool out_of_room(struct cut *c, const void *entry)
{
	if (!entry)
		trace_query_fail(&c->q,
			"more processes and pages than can be followed");
	return !entry;
}

static void follow_bind(struct cut *c, const struct trace_record *r)
{
	const struct bound_key key = { r->process, r->range, r->offset };
	struct bound *bound = builtin_map_get(&c->bound, &key);

	if (out_of_room(c, bound))
		return;
	bound->live = r->kind == TRACE_BIND;
	bound->size = r->size;
	bound->has_bytes = r->bytes != NULL;
	bound->frame = r->frame;
}

/* len bytes of a range, those of one frame from byte at on: NULL when they
 * are not in one, or there is no room. */
static uint8_t *content_at(
	struct cut *c, uint64_t frame, uint64_t at, uint64_t len)
{
	struct content *content;

	if (!frame || at + len > TRACE_PAGE)
		return NULL;
	content = builtin_map_get(&c->contents, &frame);
	if (content && !content->bytes)
		content->bytes = calloc(1, TRACE_PAGE);
	if (out_of_room(c, content) || out_of_room(c, content->bytes))
		return NULL;
	return content->bytes + at;
}

static uint64_t in_page(const struct trace_range *range, uint64_t offset)
{
	return (range->address + offset) % TRACE_PAGE;
}

static void follow_bytes(struct cut *c, const struct trace_range *range,
	const struct trace_record *r)
{
	uint8_t *to;

	if (r->kind != TRACE_BIND || !r->bytes || !range)
		return;
	to = content_at(c, r->frame, in_page(range, r->offset), r->size);
	if (to)
		memcpy(to, r->bytes, r->size);
}

/* Bytes of a piece, page by page. */
static void follow_piece(struct cut *c, const struct trace_range *range,
	uint64_t process, struct trace_piece piece, const uint8_t *stored)
{
	while (piece.length) {
		uint64_t at = in_page(range, piece.offset);
		uint64_t len = TRACE_PAGE - at;
		uint8_t *to;

		if (len > piece.length)
			len = piece.length;
		to = content_at(c,
			trace_frames_find(&c->watch.frames, process, range,
				piece.offset, NULL),
			at, len);
		if (to)
			memcpy(to, stored + piece.at, len);
		piece.offset += len;
		piece.at += (uint32_t)len;
		piece.length -= len;
	}
}

static void follow_store(struct cut *c, const struct trace_record *r)
{
	const struct trace_range *range =
		trace_query_range(&c->q, r->access.range);
	const uint8_t *stored = trace_stored_bytes(r);
	struct trace_piece piece;

	if (!range || range->device || !stored)
		return;
	for (uint32_t n = 0; trace_access_piece(range, &r->access, n, &piece);
		n++)
		follow_piece(c, range, r->access.process, piece, stored);
}

static void follow(struct cut *c, const struct trace_record *r)
{
	struct alive *alive;

	c->time = r->time_ns;
	c->seq = r->seq;
	if (r->kind == TRACE_ACCESS)
		follow_store(c, r);
	if (r->kind == TRACE_BIND || r->kind == TRACE_UNBIND) {
		follow_bytes(c, trace_query_range(&c->q, r->range), r);
		follow_bind(c, r);
	}
	if (r->kind != TRACE_PROCESS_START && r->kind != TRACE_PROCESS_EXIT)
		return;
	alive = builtin_map_get(&c->alive, &r->process);
	if (out_of_room(c, alive))
		return;
	alive->live = r->kind == TRACE_PROCESS_START;
	alive->program = r->program;
}

static void put_alive(struct cut *c)
{
	for (size_t i = 0; i < c->alive.count; i++) {
		const struct alive *alive = builtin_map_at(&c->alive, i);
		const struct target_process *p =
			names_process(c->q.names, alive->process);
		const struct trace_record r = { .kind = TRACE_PROCESS_START,
			.time_ns = c->time,
			.seq = c->seq,
			.process = alive->process,
			.process_name = p ? p->name : "?",
			.program = alive->program };

		if (alive->live && !trace_copy_add(&c->copy, &r))
			return;
	}
}

/* Where the trace does not say whose memory it is: processes that share a
 * range have all the stores of all. */
static uint64_t whose(struct cut *c, const struct bound *bound)
{
	const struct trace_hot_range *hot =
		builtin_map_find(&c->watch.ranges, &bound->key.range);

	return hot && hot->copies ? bound->key.process : 0;
}

/* False: code is set. */
static bool get_bytes(
	struct cut *c, const struct bound *bound, uint8_t *bytes, bool *known)
{
	uint32_t id = (uint32_t)bound->key.range;
	const struct trace_range *range = trace_query_range(&c->q, id);
	const uint8_t *content;
	struct error err = { 0 };

	if (!bound->has_bytes)
		return true;
	content = range ? content_at(c, bound->frame,
				  in_page(range, bound->key.offset),
				  bound->size) :
			  NULL;
	if (content)
		memcpy(bytes, content, bound->size);
	else if (!c->q.code &&
		trace_reader_memory(c->q.reader, id, whose(c, bound), c->seq,
			bound->key.offset, bound->size, bytes, known, &err))
		trace_query_fail(&c->q, "%s", err.text);
	return !c->q.code;
}

static bool put_bytes(struct cut *c, const struct bound *bound)
{
	uint8_t *bytes = calloc(bound->size ? bound->size : 1, 1);
	bool *known = calloc(bound->size ? bound->size : 1, sizeof(*known));
	const struct trace_record r = { .kind = TRACE_BIND,
		.time_ns = c->time,
		.seq = c->seq,
		.process = bound->key.process,
		.range = (uint32_t)bound->key.range,
		.offset = bound->key.offset,
		.size = bound->size,
		.frame = bound->frame,
		.bytes = bound->has_bytes ? bytes : NULL };
	bool done = bytes && known;

	if (!done)
		trace_query_fail(&c->q, "out of memory");
	done = done && get_bytes(c, bound, bytes, known);
	if (done)
		trace_copy_add(&c->copy, &r);
	free(bytes);
	free(known);
	return done;
}

static void put_state(struct cut *c)
{
	put_alive(c);
	for (size_t i = 0; i < c->bound.count && !c->q.code; i++) {
		const struct bound *bound = builtin_map_at(&c->bound, i);

		if (bound->live && !put_bytes(c, bound))
			return;
	}
}

/* ---- the part ---- */

/* Everything up to the first record of the part, which has no number or time
 * before --from. */
static bool is_before(const struct trace_moment *from,
	const struct trace_record *r)
{
	uint64_t value = from->is_time ? r->time_ns : r->seq;

	if (!from->given)
		return false;
	/* What is no access has the number of the access before it. */
	return value < from->value;
}

static bool read_start(struct cut *c)
{
	struct trace_record r;

	if (!trace_query_seek(&c->q, 0))
		return false;
	while (c->select.from.given && trace_query_next(&c->q, &r)) {
		if (!is_before(&c->select.from, &r))
			break;
		trace_report_add(&c->watch, &c->q, &r);
		follow(c, &r);
	}
	/* Between CPUs numbers may go back: what is behind is before, too. */
	if (c->select.from.given && !c->select.from.is_time)
		c->seq = c->select.from.value ? c->select.from.value - 1 : 0;
	return !c->q.code;
}

static void copy_part(struct cut *c)
{
	struct trace_record r;

	if (!read_start(c))
		return;
	put_state(c);
	if (c->q.code || !trace_select_seek(&c->select, &c->q))
		return;
	while (trace_select_next(&c->select, &c->q, &r))
		if (r.kind == TRACE_END)
			c->code = r.exit_code;
		else if (!trace_copy_add(&c->copy, &r))
			return;
}

static int take_options(int argc, char **argv, const char *verb, struct cut *c)
{
	static const struct option options[] = {
		TRACE_SELECT_LONG,
		{ NULL, 0, NULL, 0 },
	};
	int option, code = -1;

	while (code < 0 &&
		(option = getopt_long(argc, argv, TRACE_SELECT_SHORT, options,
			 NULL)) != -1)
		code = trace_select_take(&c->select, verb, option, optarg);
	if (code < 0 && argc - optind != 2)
		code = cmd_usage_error(
			verb, "name one trace and where to write the part");
	return code;
}

static void cut(struct cut *c, const char *path)
{
	if (!trace_select_begin(&c->select, &c->q) ||
		!trace_copy_open(&c->copy, &c->q, path, c->q.meta))
		return;
	trace_report_init(&c->watch);
	copy_part(c);
	trace_report_fini(&c->watch);
	trace_copy_close(&c->copy, c->code);
	trace_query_finish(&c->q);
}

int trace_cut_run(int argc, char **argv)
{
	const char *verb = argv[0] + strlen("custos ");
	struct cut c = {
		.bound = { .entry_size = sizeof(struct bound),
			.key_size = sizeof(struct bound_key) },
		.alive = { .entry_size = sizeof(struct alive),
			.key_size = sizeof(uint64_t) },
		.contents = { .entry_size = sizeof(struct content),
			.key_size = sizeof(uint64_t) },
	};
	int code = take_options(argc, argv, verb, &c);

	if (code >= 0)
		return code;
	if (!trace_query_open(&c.q, verb, argv[optind]))
		return c.q.code;
	cut(&c, argv[optind + 1]);
	trace_select_fini(&c.select);
	for (size_t i = 0; i < c.contents.count; i++)
		free(((struct content *)builtin_map_at(&c.contents, i))->bytes);
	builtin_map_fini(&c.contents);
	builtin_map_fini(&c.bound);
	builtin_map_fini(&c.alive);
	return trace_query_close(&c.q);
}
