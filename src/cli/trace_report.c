/* SPDX-License-Identifier: MIT */
/* custos trace report: where the accesses are; counting. */
#include "cli/trace_report.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/trace.h"

const char trace_report_help[] =
	TRACE_SELECT_HELP
	"  -n, --top N           so many instructions and lines (default 20; 0:\n"
	"                        all)\n"
	"      --json            one JSON object\n";

static void count(struct trace_counts *c, enum access_kind kind)
{
	c->all++;
	c->kinds[kind]++;
	c->reads += access_reads(kind);
	c->writes += access_writes(kind);
}

/* ---- cache lines ---- */

static bool is_copy(const struct trace_line *line, unsigned at,
	uint64_t process, uint8_t found)
{
	return line->known >> at & 1 && line->writers[at] != process &&
		line->bytes[at] != found;
}

static void move_line(struct trace_line *line, uint64_t process,
	uint64_t read_mask, uint64_t write_mask)
{
	uint64_t mine = read_mask | write_mask;
	uint64_t others = line->read_mask | line->write_mask;

	if (line->user == process && line->users) {
		line->read_mask |= read_mask;
		line->write_mask |= write_mask;
		return;
	}
	if (line->users && (write_mask || line->write_mask)) {
		if ((write_mask & others) | (line->write_mask & mine))
			line->true_moves++;
		else
			line->false_moves++;
	}
	line->user = process;
	line->read_mask = read_mask;
	line->write_mask = write_mask;
}

static void use_line(struct trace_report *report, struct trace_line *line,
	const struct access *a, uint64_t mask)
{
	const struct trace_line_user_key key = { line->key.memory,
		line->key.line, a->process };
	uint64_t read_mask = access_reads(a->kind) ? mask : 0;
	uint64_t write_mask = access_writes(a->kind) ? mask : 0;
	struct trace_line_user *user = builtin_map_get(&report->users, &key);

	move_line(line, a->process, read_mask, write_mask);
	if (!user)
		return;
	line->users += !user->reads && !user->writes;
	user->reads += read_mask != 0;
	user->writes += write_mask != 0;
	user->read_mask |= read_mask;
	user->write_mask |= write_mask;
}

static struct trace_line_key key_of(struct trace_report *report,
	const struct trace_range *range, uint64_t process, uint64_t address)
{
	uint32_t life = 0;
	uint64_t frame = trace_frames_find(&report->frames, process, range,
		address - range->address, &life);

	if (!frame)
		return (struct trace_line_key){ range->program,
			address / TRACE_LINE };
	return (struct trace_line_key){ TRACE_LINE_FRAME | life,
		frame * (TRACE_PAGE / TRACE_LINE) +
			address % TRACE_PAGE / TRACE_LINE };
}

/* length bytes from address on, which is inside one line. */
static void add_to_line(struct trace_report *report,
	struct trace_hot_range *hot, const struct trace_range *range,
	const struct trace_record *r, uint64_t address, unsigned length,
	unsigned at)
{
	const struct trace_line_key key =
		key_of(report, range, r->access.process, address);
	bool certain = key.memory & TRACE_LINE_FRAME;
	const uint8_t *old = r->access.old_bytes;
	const uint8_t *stored = trace_stored_bytes(r);
	unsigned first = address % TRACE_LINE;
	uint64_t mask = (length == TRACE_LINE ? 0 : UINT64_C(1) << length) - 1;
	struct trace_line *line = builtin_map_get(&report->lines, &key);

	if (!line)
		return;
	if (!line->users) {
		line->range = range->id;
		line->address = address - first;
	}
	if (certain)
		hot->copies |= trace_frames_are_copies(
			&report->frames, range, address - range->address);
	for (unsigned i = 0; i < length; i++) {
		unsigned n = first + i;

		if (!certain && old && is_copy(line, n, r->access.process, old[at + i]))
			hot->copies = true;
		if (!stored)
			continue;
		line->bytes[n] = stored[at + i];
		line->writers[n] = r->access.process;
		line->known |= UINT64_C(1) << n;
	}
	use_line(report, line, &r->access, mask << first);
}

static void add_to_lines(struct trace_report *report,
	struct trace_hot_range *hot, const struct trace_range *range,
	const struct trace_record *r)
{
	struct trace_piece piece;

	for (uint32_t n = 0; trace_access_piece(range, &r->access, n, &piece);
		n++) {
		uint64_t address = range->address + piece.offset;

		while (piece.length) {
			uint64_t room = TRACE_LINE - address % TRACE_LINE;

			if (room > piece.length)
				room = piece.length;
			add_to_line(report, hot, range, r, address,
				(unsigned)room, piece.at);
			address += room;
			piece.at += (uint32_t)room;
			piece.length -= room;
		}
	}
}

/* A process that gets the range after others have stored there, and does not
 * find it, has a copy. */
static void add_bind(struct trace_report *report, const struct trace_query *q,
	const struct trace_record *r)
{
	const struct trace_range *range = trace_query_range(q, r->range);
	uint64_t id = r->range;
	struct trace_hot_range *hot;

	if (!range || range->device || !r->bytes || r->frame)
		return;
	hot = builtin_map_get(&report->ranges, &id);
	for (uint64_t i = 0; hot && i < r->size; i++) {
		uint64_t address = range->address + r->offset + i;
		const struct trace_line_key key = { range->program,
			address / TRACE_LINE };
		const struct trace_line *line =
			builtin_map_find(&report->lines, &key);

		if (line && is_copy(line, address % TRACE_LINE, r->process,
				    r->bytes[i]))
			hot->copies = true;
	}
}

/* ---- all of it ---- */

void trace_report_init(struct trace_report *report)
{
	*report = (struct trace_report){
		.sites = { .entry_size = sizeof(struct trace_hot_site),
			.key_size = sizeof(uint64_t) },
		.ranges = { .entry_size = sizeof(struct trace_hot_range),
			.key_size = sizeof(uint64_t) },
		.processes = { .entry_size = sizeof(struct trace_hot_process),
			.key_size = sizeof(uint64_t) },
		.lines = { .entry_size = sizeof(struct trace_line),
			.key_size = sizeof(struct trace_line_key) },
		.users = { .entry_size = sizeof(struct trace_line_user),
			.key_size = sizeof(struct trace_line_user_key) },
	};
	trace_frames_init(&report->frames);
}

void trace_report_fini(struct trace_report *report)
{
	builtin_map_fini(&report->sites);
	builtin_map_fini(&report->ranges);
	builtin_map_fini(&report->processes);
	builtin_map_fini(&report->lines);
	builtin_map_fini(&report->users);
	trace_frames_fini(&report->frames);
}

void trace_report_add(struct trace_report *report, const struct trace_query *q,
	const struct trace_record *r)
{
	uint64_t site = r->site, range = r->access.range;
	const struct trace_range *named = trace_query_range(q, r->access.range);
	struct trace_hot_site *s;
	struct trace_hot_range *hot;
	struct trace_hot_process *p;

	if (r->kind == TRACE_BIND || r->kind == TRACE_UNBIND)
		trace_frames_follow(&report->frames,
			trace_query_range(q, r->range), r);
	if (r->kind == TRACE_BIND)
		add_bind(report, q, r);
	if (r->kind != TRACE_ACCESS)
		return;
	count(&report->counts, r->access.kind);
	s = builtin_map_get(&report->sites, &site);
	if (s) {
		if (!s->counts.all)
			s->first = r->seq;
		s->last = r->seq;
		count(&s->counts, r->access.kind);
	}
	p = builtin_map_get(&report->processes, &r->access.process);
	if (p)
		count(&p->counts, r->access.kind);
	hot = builtin_map_get(&report->ranges, &range);
	if (hot)
		count(&hot->counts, r->access.kind);
	if (hot && named && !named->device)
		add_to_lines(report, hot, named, r);
}

/* ---- the verb ---- */

struct options {
	struct trace_select select;
	uint64_t top;
	bool json;
};

static int take_options(
	int argc, char **argv, const char *verb, struct options *o)
{
	static const struct option options[] = {
		TRACE_SELECT_LONG,
		{ "top", required_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	int option, code = -1;

	while (code < 0 &&
		(option = getopt_long(argc, argv, TRACE_SELECT_SHORT "n:",
			 options, NULL)) != -1) {
		if (option == 'n')
			code = trace_take_number(
				verb, "--top", optarg, &o->top);
		else if (option == 'j')
			o->json = true;
		else
			code = trace_select_take(
				&o->select, verb, option, optarg);
	}
	if (code < 0 && argc - optind != 1)
		code = cmd_usage_error(verb, "name one trace");
	return code;
}

static void report_all(struct trace_query *q, struct options *o)
{
	struct trace_report report;
	struct trace_record r;
	struct buf out = BUF_INIT;

	if (!trace_select_begin(&o->select, q))
		return;
	trace_report_init(&report);
	while (trace_select_next(&o->select, q, &r))
		trace_report_add(&report, q, &r);
	if (q->code != CLI_FAILED)
		trace_report_print(&report, q, o->top, o->json, &out);
	if (out.failed)
		trace_query_fail(q, "out of memory");
	fwrite(out.data, 1, out.len, stdout);
	buf_fini(&out);
	trace_report_fini(&report);
	trace_query_finish(q);
}

int trace_report_run(int argc, char **argv)
{
	const char *verb = argv[0] + strlen("custos ");
	struct options o = { .top = 20 };
	struct trace_query q;
	int code = take_options(argc, argv, verb, &o);

	if (code >= 0)
		return code;
	if (!trace_query_open(&q, verb, argv[optind]))
		return q.code;
	report_all(&q, &o);
	trace_select_fini(&o.select);
	return trace_query_close(&q);
}
