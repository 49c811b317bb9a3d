/* SPDX-License-Identifier: MIT */
/* What trace report has counted, as tables and as JSON. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/trace_report.h"

struct out {
	struct trace_report *report;
	struct trace_query *q;
	uint64_t top;
	struct buf *text;
};

/* ---- order: what is most first, then what was first ---- */

static int descending(uint64_t a, uint64_t b)
{
	return a < b ? 1 : a > b ? -1 : 0;
}

static int compare_sites(const void *a, const void *b)
{
	const struct trace_hot_site *x = a, *y = b;
	int order = descending(x->counts.all, y->counts.all);

	return order ? order : descending(y->site, x->site);
}

static uint64_t moves(const struct trace_line *line)
{
	return line->true_moves + line->false_moves;
}

static int compare_lines(const void *a, const void *b)
{
	const struct trace_line *x = a, *y = b;
	int order = descending(moves(x), moves(y));

	return order ? order : descending(y->address, x->address);
}

static void sort(struct builtin_map *map,
	int (*compare)(const void *a, const void *b))
{
	if (map->count)
		qsort(map->entries, map->count, map->entry_size, compare);
}

static size_t shown(const struct out *o, size_t count)
{
	return o->top && o->top < count ? (size_t)o->top : count;
}

static const struct trace_site *site_of(const struct out *o, uint64_t site)
{
	static const struct trace_site none = { .symbol = "?", .line = "",
		.text = "" };
	const struct trace_site *s =
		trace_reader_site(o->q->reader, (uint32_t)site);

	return s ? s : &none;
}

static void add_process(const struct out *o, uint64_t id)
{
	const struct trace_process *p;

	for (size_t i = 0; (p = trace_reader_process(o->q->reader, i)); i++)
		if (p->id == id) {
			trace_add_clean(o->text, p->name, strlen(p->name));
			buf_printf(o->text, "#%" PRIu64, id);
			return;
		}
	if (id)
		buf_printf(o->text, "?#%" PRIu64, id);
	else
		buf_add_str(o->text, "kernel");
}

/* Lines that processes really share. */
static bool is_shared(const struct out *o, const struct trace_line *line)
{
	uint64_t range = line->range;
	const struct trace_hot_range *hot =
		builtin_map_find(&o->report->ranges, &range);

	return line->users > 1 && moves(line) && hot &&
		(!hot->copies || (line->key.memory & TRACE_LINE_FRAME));
}

/* Ends with how many of the lines, sorted, are shared: those come first in
 * every case, but some between them may not be. */
static uint64_t count_shared(const struct out *o)
{
	uint64_t n = 0;

	for (size_t i = 0; i < o->report->lines.count; i++)
		n += is_shared(o, builtin_map_at(&o->report->lines, i));
	return n;
}

/* ---- tables ---- */

static void add_counts(const struct out *o, const struct trace_counts *c)
{
	uint64_t all = o->report->counts.all;

	buf_printf(o->text, "%10" PRIu64 " %5.1f %% %9" PRIu64 " %9" PRIu64
			"  ",
		c->all, all ? (double)c->all * 100 / (double)all : 0.0,
		c->reads, c->writes);
}

static void text_title(const struct out *o, const char *what)
{
	buf_printf(o->text, "\n  accesses   share     reads    writes  %s\n",
		what);
}

static void text_totals(const struct out *o)
{
	const struct trace_counts *c = &o->report->counts;

	buf_printf(o->text, "%" PRIu64 " accesses:", c->all);
	for (int kind = 0; kind < ACCESS_KIND_MAX; kind++)
		if (c->kinds[kind])
			buf_printf(o->text, " %" PRIu64 " %s", c->kinds[kind],
				access_kind_name((enum access_kind)kind));
	if (c->writes)
		buf_printf(o->text, "; %.2f reads for a write",
			(double)c->reads / (double)c->writes);
	buf_add_char(o->text, '\n');
}

static void text_sites(const struct out *o)
{
	const struct builtin_map *map = &o->report->sites;
	size_t n = shown(o, map->count);

	text_title(o, "instruction");
	for (size_t i = 0; i < n; i++) {
		const struct trace_hot_site *hot = builtin_map_at(map, i);
		const struct trace_site *s = site_of(o, hot->site);

		add_counts(o, &hot->counts);
		buf_printf(o->text, "0x%" PRIx64 " ", s->ip);
		trace_add_clean(o->text, s->symbol, strlen(s->symbol));
		if (*s->line) {
			buf_add_str(o->text, " (");
			trace_add_clean(o->text, s->line, strlen(s->line));
			buf_add_char(o->text, ')');
		}
		buf_add_str(o->text, "  ");
		trace_add_clean(o->text, s->text, strlen(s->text));
		buf_add_char(o->text, '\n');
	}
	if (n < map->count)
		buf_printf(o->text, "  and %zu more\n", map->count - n);
	if (map->dropped)
		buf_printf(o->text,
			"  and %" PRIu64 " accesses of yet more instructions\n",
			map->dropped);
}

static void text_ranges(const struct out *o)
{
	const struct builtin_map *map = &o->report->ranges;

	text_title(o, "range");
	for (size_t i = 0; i < map->count; i++) {
		const struct trace_hot_range *hot = builtin_map_at(map, i);

		if (!hot->counts.all)
			continue;
		add_counts(o, &hot->counts);
		trace_place_describe(
			trace_query_range(o->q, (uint32_t)hot->range), 0,
			o->text);
		buf_add_str(o->text, hot->copies
				? "  (processes have copies of their own)\n"
				: "\n");
	}
	text_title(o, "process");
	for (size_t i = 0; i < o->report->processes.count; i++) {
		const struct trace_hot_process *hot =
			builtin_map_at(&o->report->processes, i);

		add_counts(o, &hot->counts);
		add_process(o, hot->process);
		buf_add_char(o->text, '\n');
	}
}

/* " of bytes 0-7,16" */
static void add_mask(struct buf *out, uint64_t mask)
{
	const char *comma = " of bytes ";

	for (unsigned i = 0; i < TRACE_LINE; i++) {
		unsigned first = i;

		if (!(mask >> i & 1))
			continue;
		while (i + 1 < TRACE_LINE && mask >> (i + 1) & 1)
			i++;
		buf_printf(out, first == i ? "%s%u" : "%s%u-%u", comma, first,
			i);
		comma = ",";
	}
}

static void text_users(const struct out *o, const struct trace_line *line)
{
	for (size_t i = 0; i < o->report->users.count; i++) {
		const struct trace_line_user *user =
			builtin_map_at(&o->report->users, i);

		if (user->key.memory != line->key.memory ||
			user->key.line != line->key.line)
			continue;
		buf_add_str(o->text, "            ");
		add_process(o, user->key.process);
		buf_printf(o->text, ": %" PRIu64 " reads", user->reads);
		add_mask(o->text, user->read_mask);
		buf_printf(o->text, ", %" PRIu64 " writes", user->writes);
		add_mask(o->text, user->write_mask);
		buf_add_char(o->text, '\n');
	}
}

static const char *sharing(const struct trace_line *line)
{
	if (!line->true_moves)
		return "false sharing";
	return line->false_moves ? "true and false sharing" : "true sharing";
}

static void text_lines(const struct out *o)
{
	uint64_t all = count_shared(o), told = 0;

	buf_printf(o->text,
		"\n%" PRIu64 " cache lines shared between processes and "
		"written%s\n", all, all ? ":" : "");
	for (size_t i = 0; i < o->report->lines.count; i++) {
		const struct trace_line *line =
			builtin_map_at(&o->report->lines, i);
		const struct trace_range *range =
			trace_query_range(o->q, line->range);

		if (!is_shared(o, line))
			continue;
		if (o->top && told++ == o->top)
			break;
		buf_printf(o->text, "  0x%" PRIx64 " ", line->address);
		trace_place_describe(range, 0, o->text);
		buf_printf(o->text,
			": %s; went to another process %" PRIu64
			" times for the same bytes, %" PRIu64
			" times for others\n",
			sharing(line), line->true_moves, line->false_moves);
		text_users(o, line);
	}
	if (o->report->lines.dropped || o->report->users.dropped)
		buf_add_str(o->text,
			"  (there are more lines than could be followed)\n");
}

/* ---- JSON ---- */

static void json_counts(const struct out *o, const struct trace_counts *c)
{
	buf_printf(o->text,
		"\"accesses\":%" PRIu64 ",\"reads\":%" PRIu64
		",\"writes\":%" PRIu64 ",\"kinds\":{",
		c->all, c->reads, c->writes);
	for (int kind = 0, n = 0; kind < ACCESS_KIND_MAX; kind++)
		if (c->kinds[kind])
			buf_printf(o->text, "%s\"%s\":%" PRIu64,
				n++ ? "," : "",
				access_kind_name((enum access_kind)kind),
				c->kinds[kind]);
	buf_add_char(o->text, '}');
}

static void json_text(const struct out *o, const char *key, const char *text)
{
	buf_printf(o->text, "\"%s\":", key);
	buf_add_json(o->text, text, strlen(text));
	buf_add_char(o->text, ',');
}

static void json_sites(const struct out *o)
{
	const struct builtin_map *map = &o->report->sites;

	buf_add_str(o->text, ",\"instructions\":[");
	for (size_t i = 0; i < shown(o, map->count); i++) {
		const struct trace_hot_site *hot = builtin_map_at(map, i);
		const struct trace_site *s = site_of(o, hot->site);

		buf_printf(o->text, "%s{\"ip\":\"0x%" PRIx64 "\",",
			i ? "," : "", s->ip);
		json_text(o, "symbol", s->symbol);
		json_text(o, "line", s->line);
		json_text(o, "text", s->text);
		buf_printf(o->text, "\"first\":%" PRIu64 ",\"last\":%" PRIu64
				",", hot->first, hot->last);
		json_counts(o, &hot->counts);
		buf_add_char(o->text, '}');
	}
	buf_printf(o->text, "],\"instruction_count\":%zu", map->count);
}

static void json_ranges(const struct out *o)
{
	const struct builtin_map *map = &o->report->ranges;

	buf_add_str(o->text, ",\"ranges\":[");
	for (size_t i = 0; i < map->count; i++) {
		const struct trace_hot_range *hot = builtin_map_at(map, i);
		const struct trace_range *range =
			trace_query_range(o->q, (uint32_t)hot->range);

		buf_add_str(o->text, i ? ",{" : "{");
		json_text(o, "name", range ? range->name : "?");
		buf_printf(o->text, "\"copies\":%s,",
			hot->copies ? "true" : "false");
		json_counts(o, &hot->counts);
		buf_add_char(o->text, '}');
	}
	buf_add_str(o->text, "],\"processes\":[");
	for (size_t i = 0; i < o->report->processes.count; i++) {
		const struct trace_hot_process *hot =
			builtin_map_at(&o->report->processes, i);

		buf_printf(o->text, "%s{\"pid\":%" PRIu64 ",", i ? "," : "",
			hot->process);
		json_counts(o, &hot->counts);
		buf_add_char(o->text, '}');
	}
	buf_add_char(o->text, ']');
}

static void json_lines(const struct out *o)
{
	uint64_t told = 0;

	buf_add_str(o->text, ",\"shared_lines\":[");
	for (size_t i = 0; i < o->report->lines.count; i++) {
		const struct trace_line *line =
			builtin_map_at(&o->report->lines, i);

		if (!is_shared(o, line) || (o->top && told == o->top))
			continue;
		buf_printf(o->text,
			"%s{\"address\":\"0x%" PRIx64
			"\",\"users\":%" PRIu32 ",\"true_moves\":%" PRIu64
			",\"false_moves\":%" PRIu64 "}",
			told++ ? "," : "", line->address,
			line->users, line->true_moves, line->false_moves);
	}
	buf_printf(o->text, "],\"shared_line_count\":%" PRIu64 "}\n",
		count_shared(o));
}

void trace_report_print(struct trace_report *report, struct trace_query *q,
	uint64_t top, bool json, struct buf *out)
{
	const struct out o = { report, q, top, out };

	/* Lines and sites are looked up no more. */
	sort(&report->sites, compare_sites);
	sort(&report->lines, compare_lines);
	if (json) {
		buf_add_char(out, '{');
		json_counts(&o, &report->counts);
		json_sites(&o);
		json_ranges(&o);
		json_lines(&o);
		return;
	}
	text_totals(&o);
	text_sites(&o);
	text_ranges(&o);
	text_lines(&o);
}
