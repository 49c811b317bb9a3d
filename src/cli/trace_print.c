/* SPDX-License-Identifier: MIT */
/* custos trace print: records as `custos run' prints them. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/trace.h"
#include "cli/trace_query.h"

const char trace_print_help[] =
	TRACE_SELECT_HELP
	"      --json            JSON lines, as custos run --json writes them\n"
	"      --csv             comma-separated values, accesses only\n"
	"      --time            the time before each line\n"
	"      --stacks          the stack, when recorded, behind each line\n";

enum { OPT_JSON = 256, OPT_CSV, OPT_TIME, OPT_STACKS };

struct print {
	struct trace_query q;
	struct trace_select select;
	bool json, csv, time, stacks;
	struct trace_sink *sink; /* NULL: csv, or text with more */
	struct buf line;
};

/* ---- what is no access ---- */

/* A note's word and sentence, as a session's. */
static const char *describe_event(
	const struct trace_record *r, struct buf *out)
{
	switch (r->kind) {
	case TRACE_PROCESS_START:
	case TRACE_PROCESS_EXIT:
		trace_add_clean(
			out, r->process_name, strlen(r->process_name));
		buf_printf(out, " #%" PRIu64, r->process);
		if (r->kind == TRACE_PROCESS_START)
			return "process_start";
		buf_printf(out, " exited with %" PRId64, r->exit_code);
		return "process_exit";
	case TRACE_MARKER:
		if (r->process) {
			trace_add_clean(out, r->process_name,
				strlen(r->process_name));
			buf_printf(out, " #%" PRIu64 ": ", r->process);
		}
		buf_add_str(out, r->text ? r->text : "");
		return "marker";
	case TRACE_LOST:
		buf_printf(out, "%" PRIu64 " records: %s", r->count,
			r->text ? r->text : "");
		return "lost";
	case TRACE_END:
		buf_printf(out, "with code %" PRId64, r->exit_code);
		return "end_of_trace";
	case TRACE_ACCESS:
	case TRACE_BIND:
	case TRACE_UNBIND:
	case TRACE_KIND_MAX:
		break;
	}
	return NULL;
}

static void print_note(struct print *p, const struct trace_record *r)
{
	struct buf text = BUF_INIT;
	const char *word = describe_event(r, &text);

	if (word && p->sink)
		trace_sink_note(p->sink, word, buf_str(&text));
	else if (word && !p->csv) {
		buf_printf(&p->line, "-- %s: ", word);
		trace_add_clean(&p->line, buf_str(&text), text.len);
		buf_add_char(&p->line, '\n');
	}
	buf_fini(&text);
}

/* ---- CSV ---- */

static const char csv_header[] =
	"seq,time_ns,kind,atomic,process,pid,cpu,ip,symbol,line,instruction,"
	"range,offset,address,size,kept_first,kept_count,old,new,final,"
	"outcome\n";

static void csv_text(struct buf *out, const char *text)
{
	if (!text[strcspn(text, ",\"\r\n")]) {
		buf_add_str(out, text);
	} else {
		buf_add_char(out, '"');
		for (; *text; text++) {
			if (*text == '"')
				buf_add_char(out, '"');
			buf_add_char(out, *text);
		}
		buf_add_char(out, '"');
	}
	buf_add_char(out, ',');
}

static void csv_value(struct buf *out, const uint8_t *bytes, uint32_t size)
{
	if (bytes)
		trace_add_value(out, bytes, size);
	buf_add_char(out, ',');
}

static void csv_line(struct print *p, const struct trace_record *r)
{
	static const struct trace_site none = { .symbol = "", .line = "",
		.text = "" };
	const struct access *a = &r->access;
	const struct trace_site *site =
		trace_reader_site(p->q.reader, r->site);
	struct buf *out = &p->line;

	if (!site)
		site = &none;
	buf_printf(out, "%" PRIu64 ",%" PRIu64 ",%s,%d,", a->seq, r->time_ns,
		access_kind_name(a->kind), a->atomic);
	csv_text(out, a->process_name);
	buf_printf(out, "%" PRIu64 ",%u,0x%" PRIx64 ",", a->process, a->cpu,
		a->ip);
	csv_text(out, site->symbol);
	csv_text(out, site->line);
	csv_text(out, site->text);
	csv_text(out, a->range_name);
	buf_printf(out,
		"%" PRIu64 ",0x%" PRIx64 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32
		",",
		a->offset, a->address, a->size, a->kept_first, a->kept_count);
	csv_value(out, a->old_bytes, a->size);
	csv_value(out, a->new_bytes, a->size);
	csv_value(out, r->final_bytes, a->size);
	buf_add_str(out, outcome_name(r->outcome));
	buf_add_char(out, '\n');
}

/* ---- all of them ---- */

static void print_access(struct print *p, const struct trace_record *r)
{
	trace_query_at(&p->q, r);
	if (p->sink) {
		trace_sink_write(
			p->sink, &r->access, r->outcome, r->final_bytes);
		return;
	}
	if (p->csv) {
		csv_line(p, r);
		return;
	}
	if (p->time) {
		trace_add_time(&p->line, r->time_ns);
		buf_add_char(&p->line, ' ');
	}
	trace_query_line(&p->q, r, &p->line);
	buf_add_char(&p->line, '\n');
	if (p->stacks)
		trace_query_stack(&p->q, r, "          ", &p->line);
}

static bool put(struct print *p)
{
	bool ok = !p->line.len ||
		fwrite(p->line.data, 1, p->line.len, stdout) == p->line.len;

	buf_reset(&p->line);
	return ok;
}

static void print_records(struct print *p)
{
	bool notes = !trace_select_is_narrow(&p->select);
	struct trace_record record;

	if (p->csv)
		fputs(csv_header, stdout);
	while (trace_select_next(&p->select, &p->q, &record)) {
		if (record.kind == TRACE_ACCESS)
			print_access(p, &record);
		else if (notes)
			print_note(p, &record);
		if (!put(p))
			break;
	}
}

static int print(struct print *p)
{
	struct error err = { 0 };

	if (!trace_select_begin(&p->select, &p->q))
		return p->q.code;
	if ((p->json || (!p->time && !p->stacks)) && !p->csv &&
		trace_sink_open(NULL, STDOUT_FILENO,
			p->json ? TRACE_SINK_JSON : TRACE_SINK_TEXT,
			&p->q.callbacks, &p->sink, &err))
		return trace_query_fail(&p->q, "%s", err.text);
	print_records(p);
	if (p->sink && trace_sink_close(p->sink, &err))
		trace_query_fail(&p->q, "%s", err.text);
	return trace_query_finish(&p->q);
}

static int take_options(int argc, char **argv, const char *verb,
	struct print *p)
{
	static const struct option options[] = {
		TRACE_SELECT_LONG,
		{ "json", no_argument, NULL, OPT_JSON },
		{ "csv", no_argument, NULL, OPT_CSV },
		{ "time", no_argument, NULL, OPT_TIME },
		{ "stacks", no_argument, NULL, OPT_STACKS },
		{ NULL, 0, NULL, 0 },
	};
	int option, code = -1;

	while (code < 0 &&
		(option = getopt_long(argc, argv, TRACE_SELECT_SHORT, options,
			 NULL)) != -1) {
		if (option == OPT_JSON)
			p->json = true;
		else if (option == OPT_CSV)
			p->csv = true;
		else if (option == OPT_TIME)
			p->time = true;
		else if (option == OPT_STACKS)
			p->stacks = true;
		else
			code = trace_select_take(
				&p->select, verb, option, optarg);
	}
	if (code < 0 && p->json + p->csv + (p->time || p->stacks) > 1)
		code = cmd_usage_error(verb,
			"--json, --csv and --time or --stacks exclude each "
			"other");
	if (code < 0 && argc - optind != 1)
		code = cmd_usage_error(verb, "name one trace");
	return code;
}

int trace_print_run(int argc, char **argv)
{
	const char *verb = argv[0] + strlen("custos ");
	struct print p = { 0 };
	int code = take_options(argc, argv, verb, &p);

	if (code >= 0)
		return code;
	if (!trace_query_open(&p.q, verb, argv[optind]))
		return p.q.code;
	print(&p);
	trace_select_fini(&p.select);
	buf_fini(&p.line);
	return trace_query_close(&p.q);
}
