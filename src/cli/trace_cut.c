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
	uint64_t size, live;
	bool has_bytes;
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
	struct builtin_map bound, alive;
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
}

static void follow(struct cut *c, const struct trace_record *r)
{
	struct alive *alive;

	c->time = r->time_ns;
	c->seq = r->seq;
	if (r->kind == TRACE_BIND || r->kind == TRACE_UNBIND)
		follow_bind(c, r);
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

/* Processes that share a range have all the stores of all. */
static uint64_t whose(struct cut *c, const struct bound *bound)
{
	const struct trace_hot_range *hot =
		builtin_map_find(&c->watch.ranges, &bound->key.range);

	return hot && hot->copies ? bound->key.process : 0;
}

static bool put_bytes(struct cut *c, const struct bound *bound)
{
	uint8_t *bytes = calloc(bound->size ? bound->size : 1, 1);
	bool *known = calloc(bound->size ? bound->size : 1, sizeof(*known));
	uint32_t range = (uint32_t)bound->key.range;
	struct error err = { 0 };
	struct trace_record r = { .kind = TRACE_BIND,
		.time_ns = c->time,
		.seq = c->seq,
		.process = bound->key.process,
		.range = range,
		.offset = bound->key.offset,
		.size = bound->size,
		.bytes = bound->has_bytes ? bytes : NULL };
	int ret = bytes && known ? 0 : -1;

	if (!ret && bound->has_bytes)
		ret = trace_reader_memory(c->q.reader, range, whose(c, bound),
			c->seq, bound->key.offset, bound->size, bytes, known,
			&err);
	if (ret)
		trace_query_fail(&c->q, "%s",
			err.code ? err.text : "out of memory");
	else
		trace_copy_add(&c->copy, &r);
	free(bytes);
	free(known);
	return !ret;
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
	};
	int code = take_options(argc, argv, verb, &c);

	if (code >= 0)
		return code;
	if (!trace_query_open(&c.q, verb, argv[optind]))
		return c.q.code;
	cut(&c, argv[optind + 1]);
	trace_select_fini(&c.select);
	builtin_map_fini(&c.bound);
	builtin_map_fini(&c.alive);
	return trace_query_close(&c.q);
}
