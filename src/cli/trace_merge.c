/* SPDX-License-Identifier: MIT */
/* custos trace merge: one trace out of several. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/trace.h"
#include "cli/trace_copy.h"
#include "keeper/builtin_map.h"

#define INPUTS_MAX 64
#define RUN_SHIFT 52 /* numbers of frames have fewer bits */

const char trace_merge_help[] =
	"Pieces of one run become one again; other traces are put side by side\n"
	"in the order of time, their accesses numbered anew.\n"
	"\n";

struct renamed {
	struct renamed_key {
		uint64_t input, id;
	} key;
	uint64_t now;
};

struct input {
	struct trace_query q;
	struct trace_record record; /* the next one, when has_record */
	bool has_record;
	uint64_t old_seq, new_seq; /* of its last access */
	uint32_t *programs, *ranges; /* new numbers, by index */
	uint32_t first_cpu;
};

struct merge {
	const char *verb;
	struct input inputs[INPUTS_MAX];
	size_t count;
	struct trace_copy copy;
	struct trace_meta meta;
	struct trace_program *programs;
	struct trace_range *ranges;
	struct buf command;
	struct builtin_map processes; /* struct renamed */
	struct builtin_map taken; /* uint64_t: numbers in use */
	uint64_t free_process, seq;
	int64_t code;
};

static struct trace_query *first(struct merge *m)
{
	return &m->inputs[0].q;
}

static bool advance(struct merge *m, struct input *in)
{
	in->has_record = trace_query_next(&in->q, &in->record);
	if (in->q.code && !first(m)->code)
		first(m)->code = in->q.code;
	return in->has_record;
}

/* ---- pieces of one run ---- */

static bool is_one_run(const struct merge *m)
{
	const struct trace_meta *a = m->inputs[0].q.meta;

	for (size_t i = 1; i < m->count; i++) {
		const struct trace_meta *b = m->inputs[i].q.meta;

		if (a->started_ns != b->started_ns ||
			strcmp(a->command, b->command) ||
			a->program_count != b->program_count)
			return false;
	}
	return true;
}

static int compare_pieces(const void *a, const void *b)
{
	const struct trace_totals *x = &((const struct input *)a)->q.totals;
	const struct trace_totals *y = &((const struct input *)b)->q.totals;

	return x->seq_first < y->seq_first ? -1 : x->seq_first > y->seq_first;
}

/* What an earlier piece has, this one's beginning included, is left out. */
static void put_piece(struct merge *m, struct input *in, bool is_first,
	uint64_t end)
{
	while (advance(m, in)) {
		const struct trace_record *r = &in->record;

		if (r->kind == TRACE_END)
			m->code = r->exit_code;
		else if ((is_first || r->seq > end) &&
			!trace_copy_add_from(&m->copy, &in->q, r))
			return;
	}
}

/* Pieces cannot be sorted where they are: names refer to their addresses. */
static void join_pieces(struct merge *m)
{
	struct input *order[INPUTS_MAX];
	uint64_t end = 0;

	for (size_t i = 0; i < m->count; i++) {
		size_t at = i;

		for (; at && compare_pieces(order[at - 1], &m->inputs[i]) > 0;
			at--)
			order[at] = order[at - 1];
		order[at] = &m->inputs[i];
	}
	for (size_t i = 0; i < m->count && !first(m)->code; i++) {
		put_piece(m, order[i], !i, end);
		if (order[i]->q.totals.seq_last > end)
			end = order[i]->q.totals.seq_last;
	}
}

/* ---- several runs ---- */

static uint32_t add_program(struct merge *m, const struct trace_program *p)
{
	for (uint32_t i = 0; i < m->meta.program_count; i++)
		if (m->programs[i].hash == p->hash &&
			!strcmp(m->programs[i].name, p->name) &&
			!strcmp(m->programs[i].path, p->path))
			return i;
	m->programs[m->meta.program_count] = *p;
	return m->meta.program_count++;
}

static uint32_t add_range(struct merge *m, const struct trace_range *range)
{
	for (uint32_t i = 0; i < m->meta.range_count; i++) {
		const struct trace_range *r = &m->ranges[i];

		if (r->device == range->device &&
			r->program == range->program &&
			r->address == range->address &&
			r->length == range->length &&
			!strcmp(r->name, range->name))
			return r->id;
	}
	m->ranges[m->meta.range_count] = *range;
	m->ranges[m->meta.range_count].id = m->meta.range_count;
	return m->meta.range_count++;
}

static bool add_meta(struct merge *m, struct input *in)
{
	const struct trace_meta *meta = in->q.meta;

	in->programs = calloc((size_t)meta->program_count + 1,
		sizeof(*in->programs));
	in->ranges =
		calloc((size_t)meta->range_count + 1, sizeof(*in->ranges));
	if (!in->programs || !in->ranges)
		return false;
	for (uint32_t i = 0; i < meta->program_count; i++)
		in->programs[i] = add_program(m, &meta->programs[i]);
	for (uint32_t i = 0; i < meta->range_count; i++) {
		struct trace_range range = meta->ranges[i];

		if (!range.device && range.program < meta->program_count)
			range.program = in->programs[range.program];
		in->ranges[i] = add_range(m, &range);
	}
	in->first_cpu = m->meta.cpus;
	m->meta.cpus += meta->cpus;
	if (meta->started_ns < m->meta.started_ns)
		m->meta.started_ns = meta->started_ns;
	if (strcmp(m->meta.kvm, meta->kvm))
		m->meta.kvm = "";
	buf_add_str(&m->command, m->command.len ? " ; " : "");
	buf_add_str(&m->command, meta->command);
	return true;
}

static bool make_meta(struct merge *m)
{
	size_t programs = 1, ranges = 1;

	for (size_t i = 0; i < m->count; i++) {
		programs += m->inputs[i].q.meta->program_count;
		ranges += m->inputs[i].q.meta->range_count;
	}
	m->programs = calloc(programs, sizeof(*m->programs));
	m->ranges = calloc(ranges, sizeof(*m->ranges));
	m->meta.kvm = first(m)->meta->kvm;
	m->meta.started_ns = UINT64_MAX;
	if (!m->programs || !m->ranges)
		return false;
	for (size_t i = 0; i < m->count; i++)
		if (!add_meta(m, &m->inputs[i]))
			return false;
	m->meta.programs = m->programs;
	m->meta.ranges = m->ranges;
	m->meta.command = buf_str(&m->command);
	return !m->command.failed;
}

/* The same number, if no other trace has it. */
static uint64_t rename_process(struct merge *m, struct input *in, uint64_t id)
{
	const struct renamed_key key = { (uint64_t)(in - m->inputs), id };
	struct renamed *renamed;
	uint64_t now = id;

	if (!id)
		return 0;
	renamed = builtin_map_get(&m->processes, &key);
	if (!renamed)
		return id;
	if (renamed->now)
		return renamed->now;
	while (builtin_map_find(&m->taken, &now))
		now = ++m->free_process;
	builtin_map_get(&m->taken, &now);
	if (now > m->free_process)
		m->free_process = now;
	renamed->now = now;
	return now;
}

static uint32_t rename_range(const struct input *in, uint32_t id)
{
	for (uint32_t i = 0; i < in->q.meta->range_count; i++)
		if (in->q.meta->ranges[i].id == id)
			return in->ranges[i];
	return id;
}

static void rename_record(struct merge *m, struct input *in)
{
	struct trace_record *r = &in->record;

	r->time_ns += in->q.meta->started_ns - m->meta.started_ns;
	r->process = rename_process(m, in, r->process);
	r->range = rename_range(in, r->range);
	/* Another run's memory is another memory. */
	if (r->frame)
		r->frame += (uint64_t)(in - m->inputs) << RUN_SHIFT;
	if (r->kind == TRACE_PROCESS_START &&
		r->program < in->q.meta->program_count)
		r->program = in->programs[r->program];
	if (r->kind == TRACE_ACCESS) {
		/* Parts of one access keep one number. */
		if (!in->new_seq || in->old_seq != r->seq)
			in->new_seq = ++m->seq;
		in->old_seq = r->seq;
		r->access.seq = in->new_seq;
		r->access.process =
			rename_process(m, in, r->access.process);
		r->access.range = rename_range(in, r->access.range);
		r->access.cpu += in->first_cpu;
	}
	r->seq = r->kind == TRACE_ACCESS ? in->new_seq : m->seq;
}

static struct input *earliest(struct merge *m)
{
	struct input *best = NULL;
	uint64_t best_time = 0;

	for (size_t i = 0; i < m->count; i++) {
		struct input *in = &m->inputs[i];
		uint64_t time = in->q.meta->started_ns + in->record.time_ns;

		if (!in->has_record || (best && time >= best_time))
			continue;
		best = in;
		best_time = time;
	}
	return best;
}

static void put_side_by_side(struct merge *m)
{
	struct input *in;

	for (size_t i = 0; i < m->count; i++)
		advance(m, &m->inputs[i]);
	while (!first(m)->code && (in = earliest(m))) {
		rename_record(m, in);
		if (in->record.kind == TRACE_END) {
			if (!m->code)
				m->code = in->record.exit_code;
		} else if (!trace_copy_add_from(
				   &m->copy, &in->q, &in->record)) {
			return;
		}
		advance(m, in);
	}
}

/* ---- the verb ---- */

static bool is_input(const struct merge *m, const char *path)
{
	for (size_t i = 0; i < m->count; i++)
		if (!strcmp(m->inputs[i].q.path, path))
			return true;
	return false;
}

static void merge(struct merge *m, const char *path)
{
	bool one_run = is_one_run(m);

	if (is_input(m, path)) {
		trace_query_fail(first(m), "%s would be written over itself",
			path);
		return;
	}
	if (!one_run && !make_meta(m)) {
		trace_query_fail(first(m), "out of memory");
		return;
	}
	if (!trace_copy_open(&m->copy, first(m), path,
		    one_run ? first(m)->meta : &m->meta))
		return;
	if (one_run)
		join_pieces(m);
	else
		put_side_by_side(m);
	trace_copy_close(&m->copy, m->code);
	trace_query_finish(first(m));
}

static int open_inputs(struct merge *m, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		struct trace_query *q = &m->inputs[m->count].q;

		if (!trace_query_open(q, m->verb, argv[i]))
			return q->code;
		m->count++;
	}
	return -1;
}

static void merge_fini(struct merge *m)
{
	for (size_t i = 0; i < m->count; i++) {
		free(m->inputs[i].programs);
		free(m->inputs[i].ranges);
		trace_query_close(&m->inputs[i].q);
	}
	free(m->programs);
	free(m->ranges);
	buf_fini(&m->command);
	builtin_map_fini(&m->processes);
	builtin_map_fini(&m->taken);
}

int trace_merge_run(int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	const char *verb = argv[0] + strlen("custos ");
	struct merge *m;
	int code;

	if (getopt_long(argc, argv, "", options, NULL) != -1)
		return trace_bad_option(verb);
	if (argc - optind < 2 || argc - optind > INPUTS_MAX + 1)
		return cmd_usage_error(verb,
			"name the new trace, and 1 to %d to make it of",
			INPUTS_MAX);
	m = calloc(1, sizeof(*m));
	if (!m)
		return cmd_fail(verb, "out of memory");
	m->verb = verb;
	m->processes = (struct builtin_map){ sizeof(struct renamed),
		sizeof(struct renamed_key), 0, 0, NULL, 0, NULL };
	m->taken = (struct builtin_map){ sizeof(uint64_t), sizeof(uint64_t), 0,
		0, NULL, 0, NULL };
	code = open_inputs(m, argc - optind - 1, argv + optind + 1);
	if (code < 0) {
		merge(m, argv[optind]);
		code = first(m)->code;
	}
	merge_fini(m);
	free(m);
	return code;
}
