/* SPDX-License-Identifier: MIT */
/* custos trace who: the last store to some bytes, as of a moment. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/trace.h"
#include "cli/trace_query.h"

#define WHO_BYTES_MAX 4096

const char trace_who_help[] =
	"  -a, --at MOMENT       as of this access (1000) or time (1.5s, 20ms);\n"
	"                        without it, at the end\n"
	"  -p, --process NAME|ID only stores of this process\n"
	"      --json            JSON lines: the bytes, and the access\n"
	"\n"
	"Exit code: 1 when nobody has stored there until then.\n";

struct who {
	struct trace_query q;
	struct trace_places places;
	struct trace_moment at;
	const char *process_text;
	uint64_t process, seq;
	bool json;
	uint64_t found;
	struct buf line;
};

/* Bytes that have the same last store. */
struct run {
	const struct trace_range *range;
	uint64_t offset, length;
	bool stored;
	uint64_t seq;
};

/* ---- what is told of them ---- */

static void tell_store(struct who *w, const struct run *run,
	const struct trace_record *r)
{
	trace_place_describe(run->range, run->offset, &w->line);
	buf_printf(&w->line, ", %" PRIu64 " byte%s, last stored at ",
		run->length, run->length == 1 ? "" : "s");
	trace_add_time(&w->line, r->time_ns);
	buf_add_str(&w->line, " by\n");
	trace_query_line(&w->q, r, &w->line);
	buf_add_char(&w->line, '\n');
	trace_query_stack(&w->q, r, "          ", &w->line);
}

static void tell_nobody(struct who *w, const struct run *run)
{
	uint64_t shown = run->length < 32 ? run->length : 32;
	uint8_t bytes[32];
	bool known[32];
	struct error err = { 0 };

	trace_place_describe(run->range, run->offset, &w->line);
	buf_printf(&w->line, ", %" PRIu64 " byte%s: nobody has stored there",
		run->length, run->length == 1 ? "" : "s");
	if (trace_reader_memory(w->q.reader, run->range->id, w->process, w->seq,
		    run->offset, shown, bytes, known, &err)) {
		trace_query_fail(&w->q, "%s", err.text);
	} else if (!memchr(known, false, shown)) {
		buf_add_str(&w->line, "; from the start ");
		trace_add_value(&w->line, bytes, shown);
		buf_add_str(&w->line, shown < run->length ? "..." : "");
	}
	buf_add_char(&w->line, '\n');
}

static void json_run(struct who *w, const struct run *run,
	const struct trace_record *r)
{
	const struct trace_names *names = names_callbacks(w->q.names);

	buf_add_str(&w->line, "{\"range\":");
	buf_add_json(&w->line, run->range->name, strlen(run->range->name));
	buf_printf(&w->line, ",\"offset\":%" PRIu64 ",\"size\":%" PRIu64
			",\"seq\":", run->offset, run->length);
	if (!run->stored) {
		buf_add_str(&w->line, "null}\n");
		return;
	}
	buf_printf(&w->line, "%" PRIu64 ",\"time_ns\":%" PRIu64 ",\"text\":",
		r->seq, r->time_ns);
	{
		struct buf text = BUF_INIT;

		trace_query_line(&w->q, r, &text);
		buf_add_json(&w->line, buf_str(&text), text.len);
		buf_fini(&text);
	}
	buf_printf(&w->line, ",\"pid\":%" PRIu64 ",\"ip\":\"0x%" PRIx64
			"\",\"stack\":[", r->access.process, r->access.ip);
	for (uint32_t i = 0; r->stack && i < r->stack_count; i++) {
		struct buf text = BUF_INIT;

		names->symbol(names->ctx, r->access.process, r->stack[i],
			&text);
		buf_add_str(&w->line, i ? "," : "");
		buf_add_json(&w->line, buf_str(&text), text.len);
		buf_fini(&text);
	}
	buf_add_str(&w->line, "]}\n");
}

/* 1 found, 0 nobody, -1 failed. */
static int ask(struct who *w, const struct trace_range *range, uint64_t offset,
	struct trace_record *r)
{
	struct error err = { 0 };
	int ret = trace_reader_last_store(w->q.reader, range->id, offset,
		w->process, w->seq, r, &err);

	if (ret >= 0)
		return ret;
	trace_query_fail(&w->q, "%s", err.text);
	return -1;
}

static void tell(struct who *w, const struct run *run)
{
	struct trace_record r;

	if (!run->length)
		return;
	w->found += run->stored;
	if (run->stored && ask(w, run->range, run->offset, &r) != 1)
		return;
	if (w->json)
		json_run(w, run, &r);
	else if (run->stored)
		tell_store(w, run, &r);
	else
		tell_nobody(w, run);
}

/* ---- byte by byte ---- */

static void walk(struct who *w, const struct trace_place *place)
{
	struct run run = { .range = place->range };

	for (uint64_t i = 0; i < place->length; i++) {
		struct trace_record r;
		int ret = ask(w, place->range, place->offset + i, &r);
		uint64_t seq = ret == 1 ? r.seq : 0;

		if (ret < 0)
			return;
		if (trace_interrupted()) {
			w->q.code = CLI_INTERRUPTED;
			return;
		}
		if (run.length && run.stored == ret && run.seq == seq) {
			run.length++;
			continue;
		}
		tell(w, &run);
		run = (struct run){ place->range, place->offset + i, 1,
			ret == 1, seq };
	}
	tell(w, &run);
}

static void who(struct who *w, const char *place)
{
	uint64_t bytes = 0;

	if (!trace_query_places(&w->q, place, &w->places) ||
		!trace_query_process(&w->q, w->process_text, &w->process) ||
		!trace_query_moment(&w->q, &w->at, &w->seq))
		return;
	for (size_t i = 0; i < w->places.count; i++) {
		bytes += w->places.at[i].length;
		if (bytes > WHO_BYTES_MAX) {
			trace_query_fail(&w->q,
				"`%s' is more than %d bytes: name fewer", place,
				WHO_BYTES_MAX);
			return;
		}
	}
	for (size_t i = 0; i < w->places.count && !w->q.code; i++)
		walk(w, &w->places.at[i]);
	fwrite(w->line.data, 1, w->line.len, stdout);
	if (!trace_query_finish(&w->q) && !w->found)
		w->q.code = CLI_NO;
}

static int take_options(int argc, char **argv, const char *verb, struct who *w)
{
	static const struct option options[] = {
		{ "at", required_argument, NULL, 'a' },
		{ "process", required_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "a:p:", options, NULL)) !=
		-1) {
		if (option == 'j')
			w->json = true;
		else if (option == 'p')
			w->process_text = optarg;
		else if (option != 'a')
			return trace_bad_option(verb);
		else if (!trace_moment_parse(optarg, &w->at))
			return trace_bad_moment(verb, "--at", optarg);
	}
	if (argc - optind != 2)
		return cmd_usage_error(verb, "name a place and one trace");
	return -1;
}

int trace_who_run(int argc, char **argv)
{
	const char *verb = argv[0] + strlen("custos ");
	struct who w = { 0 };
	int code = take_options(argc, argv, verb, &w);

	if (code >= 0)
		return code;
	if (!trace_query_open(&w.q, verb, argv[optind + 1]))
		return w.q.code;
	who(&w, argv[optind]);
	trace_places_fini(&w.places);
	buf_fini(&w.line);
	return trace_query_close(&w.q);
}
