/* SPDX-License-Identifier: MIT */
/* custos trace history: all values that some bytes ever had, and who put them
 * there. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/trace.h"
#include "cli/trace_query.h"

const char trace_history_help[] =
	TRACE_SELECT_HELP
	"      --changes         only those that changed a byte of PLACE\n"
	"      --json            JSON lines: seq, time_ns, range, offset, before\n"
	"                        and after (hex digits), process, pid, ip, ...\n";

struct history {
	struct trace_query q;
	struct trace_select select;
	struct trace_places places;
	bool changes, json;
	uint64_t count;
	struct buf line;
};

static void add_string(struct buf *out, const char *key, const char *text)
{
	buf_printf(out, ",\"%s\":", key);
	buf_add_json(out, text, strlen(text));
}

static void add_hex(struct buf *out, const char *key, const uint8_t *bytes,
	uint64_t size)
{
	buf_printf(out, ",\"%s\":", key);
	if (!bytes) {
		buf_add_str(out, "null");
		return;
	}
	buf_add_char(out, '"');
	buf_add_hex(out, bytes, size);
	buf_add_char(out, '"');
}

static void json_line(struct history *h, const struct trace_record *r,
	const struct trace_range *range, const struct trace_piece *piece,
	const char *event, const uint8_t *before, const uint8_t *after)
{
	struct buf *out = &h->line;
	const struct trace_site *site;

	buf_printf(out,
		"{\"event\":\"%s\",\"seq\":%" PRIu64 ",\"time_ns\":%" PRIu64,
		event, r->seq, r->time_ns);
	add_string(out, "range", range->name);
	buf_printf(out, ",\"offset\":%" PRIu64 ",\"size\":%" PRIu64,
		piece->offset, piece->length);
	add_hex(out, "before", before ? before + piece->at : NULL,
		piece->length);
	add_hex(out, "after", after ? after + piece->at : NULL,
		piece->length);
	if (r->kind == TRACE_ACCESS) {
		const struct access *a = &r->access;

		site = trace_reader_site(h->q.reader, r->site);
		buf_printf(out, ",\"kind\":\"%s\"", access_kind_name(a->kind));
		add_string(out, "process", a->process_name);
		buf_printf(out, ",\"pid\":%" PRIu64 ",\"ip\":\"0x%" PRIx64
				"\"", a->process, a->ip);
		add_string(out, "symbol", site ? site->symbol : "");
		add_string(out, "line", site ? site->line : "");
	} else {
		buf_printf(out, ",\"pid\":%" PRIu64, r->process);
	}
	buf_add_str(out, "}\n");
}

static void text_start(struct history *h, const struct trace_record *r,
	const struct trace_range *range, const struct trace_piece *piece)
{
	uint64_t shown = piece->length < 64 ? piece->length : 64;
	struct buf *out = &h->line;

	buf_printf(out, "%7" PRIu64 " ", r->seq);
	trace_place_describe(range, piece->offset, out);
	buf_printf(out, " %" PRIu64 ": ", piece->length);
	if (r->bytes)
		trace_add_value(out, r->bytes + piece->at, shown);
	else
		buf_add_str(out, "unknown");
	buf_printf(out, "%s when process #%" PRIu64 " got it\n",
		r->bytes && shown < piece->length ? "..." : "", r->process);
}

static void on_bind(struct history *h, const struct trace_record *r)
{
	const struct trace_piece all = { r->offset, r->size, 0 };
	struct trace_piece piece;

	for (size_t i = 0; i < h->places.count; i++) {
		const struct trace_place *place = &h->places.at[i];

		if (place->range->id != r->range ||
			!trace_place_cut(place, &all, &piece))
			continue;
		if (h->json)
			json_line(h, r, place->range, &piece, "start", NULL,
				r->bytes);
		else
			text_start(h, r, place->range, &piece);
	}
}

static bool changes(const struct trace_record *r,
	const struct trace_piece *piece)
{
	const uint8_t *before = r->access.old_bytes;
	const uint8_t *after = trace_stored_bytes(r);

	return !before || !after ||
		memcmp(before + piece->at, after + piece->at, piece->length);
}

/* One line of text has all of the access; JSON has a line for each piece. */
static void on_store(struct history *h, const struct trace_record *r)
{
	const struct access *a = &r->access;
	struct trace_piece whole, piece;
	bool found = false;

	for (size_t i = 0; i < h->places.count; i++) {
		const struct trace_place *place = &h->places.at[i];

		if (place->range->id != a->range)
			continue;
		for (uint32_t n = 0;
			trace_access_piece(place->range, a, n, &whole); n++) {
			if (!trace_place_cut(place, &whole, &piece) ||
				(h->changes && !changes(r, &piece)))
				continue;
			found = true;
			if (h->json)
				json_line(h, r, place->range, &piece, "store",
					a->old_bytes, trace_stored_bytes(r));
		}
	}
	h->count += found;
	if (!found || h->json)
		return;
	trace_query_line(&h->q, r, &h->line);
	buf_add_char(&h->line, '\n');
}

/* Traces of other tools say who wrote, not what. */
static bool is_store(const struct trace_record *r)
{
	if (!access_writes(r->access.kind))
		return false;
	return trace_stored_bytes(r) ||
		(!r->access.old_bytes && !r->final_bytes &&
			r->outcome == OUTCOME_PASS);
}

static void walk(struct history *h)
{
	struct trace_record r;

	while (trace_select_next(&h->select, &h->q, &r)) {
		if (r.kind == TRACE_BIND &&
			(!h->select.process || h->select.process == r.process))
			on_bind(h, &r);
		else if (r.kind == TRACE_ACCESS && is_store(&r) &&
			trace_places_touch(&h->places, &r.access))
			on_store(h, &r);
		if (!h->line.len)
			continue;
		fwrite(h->line.data, 1, h->line.len, stdout);
		buf_reset(&h->line);
		if (ferror(stdout))
			break;
	}
}

static int take_options(int argc, char **argv, const char *verb,
	struct history *h)
{
	static const struct option options[] = {
		TRACE_SELECT_LONG,
		{ "changes", no_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	int option, code = -1;

	while (code < 0 &&
		(option = getopt_long(argc, argv, TRACE_SELECT_SHORT, options,
			 NULL)) != -1) {
		if (option == 'c')
			h->changes = true;
		else if (option == 'j')
			h->json = true;
		else
			code = trace_select_take(
				&h->select, verb, option, optarg);
	}
	if (code < 0 && argc - optind != 2)
		code = cmd_usage_error(verb, "name a place and one trace");
	return code;
}

int trace_history_run(int argc, char **argv)
{
	const char *verb = argv[0] + strlen("custos ");
	struct history h = { 0 };
	int code = take_options(argc, argv, verb, &h);

	if (code >= 0)
		return code;
	if (!trace_query_open(&h.q, verb, argv[optind + 1]))
		return h.q.code;
	if (trace_query_places(&h.q, argv[optind], &h.places) &&
		trace_select_begin(&h.select, &h.q)) {
		walk(&h);
		if (!trace_query_finish(&h.q) && !h.count)
			h.q.code = CLI_NO;
	}
	trace_places_fini(&h.places);
	trace_select_fini(&h.select);
	buf_fini(&h.line);
	return trace_query_close(&h.q);
}
