/* SPDX-License-Identifier: MIT */
/* custos trace info: what a trace is about, without reading its records. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cmd.h"
#include "cli/trace.h"
#include "cli/trace_query.h"

const char trace_info_help[] =
	"      --json            one JSON object\n";

static void add_clean(struct buf *out, const char *text)
{
	trace_add_clean(out, text, strlen(text));
}

static void add_started(const struct trace_query *q, struct buf *out)
{
	time_t seconds = (time_t)(q->meta->started_ns / 1000000000);
	char text[64] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_add_str(out, text);
}

static const char *file_state(const struct trace_query *q, uint32_t program)
{
	return q->images[program] ? "unchanged" : "not there, or changed";
}

static void text_programs(const struct trace_query *q, struct buf *out)
{
	const struct trace_process *p;

	for (uint32_t i = 0; i < q->meta->program_count; i++) {
		const struct trace_program *program = &q->meta->programs[i];

		buf_add_str(out, "program     ");
		add_clean(out, program->name);
		buf_add_str(out, "  ");
		add_clean(out, program->path ? program->path : "");
		buf_printf(out, "  hash %016" PRIx64 " (%s)\n", program->hash,
			file_state(q, i));
	}
	for (size_t i = 0; (p = trace_reader_process(q->reader, i)); i++) {
		buf_add_str(out, "process     ");
		add_clean(out, p->name);
		buf_printf(out, "#%" PRIu64 "\n", p->id);
	}
}

static void text_ranges(const struct trace_query *q, struct buf *out)
{
	for (uint32_t i = 0; i < q->meta->range_count; i++) {
		const struct trace_range *r = &q->meta->ranges[i];

		buf_add_str(out, "range       ");
		add_clean(out, r->name);
		if (!r->device)
			buf_printf(out, "  0x%" PRIx64, r->address);
		buf_printf(out, "%s%" PRIu64 " bytes", r->device ? "  " : "+",
			r->length);
		if (!r->device && r->program < q->meta->program_count) {
			buf_add_str(out, " of ");
			add_clean(out, q->meta->programs[r->program].name);
		}
		buf_add_char(out, '\n');
	}
}

static void text_info(const struct trace_query *q, struct buf *out)
{
	const struct trace_totals *t = &q->totals;

	buf_add_str(out, "command     ");
	add_clean(out, q->meta->command ? q->meta->command : "");
	buf_add_str(out, "\nstarted     ");
	add_started(q, out);
	buf_printf(out, "\nmachine     %s, %" PRIu32 " CPU%s\n",
		q->meta->kvm && *q->meta->kvm ? q->meta->kvm : "no KVM",
		q->meta->cpus, q->meta->cpus == 1 ? "" : "s");
	if (q->meta->script_hash)
		buf_printf(out, "script      hash %016" PRIx64 "\n",
			q->meta->script_hash);
	text_programs(q, out);
	text_ranges(q, out);
	buf_printf(out, "accesses    %" PRIu64, t->accesses);
	if (t->accesses)
		buf_printf(out, ", #%" PRIu64 " to #%" PRIu64, t->seq_first,
			t->seq_last);
	buf_add_str(out, "\nduration    ");
	trace_add_time(out, t->duration_ns);
	buf_printf(out, "\nfile        %" PRIu64 " bytes, %" PRIu64
			" chunks", t->file_bytes, t->chunks);
	if (t->accesses)
		buf_printf(out, ", %.2f bytes per access",
			(double)t->file_bytes / (double)t->accesses);
	buf_printf(out, "\nlost        %" PRIu64 "\ncomplete    %s\n", t->lost,
		t->complete ? "yes" : "no, see custos trace check");
}

/* ---- JSON ---- */

static void key(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, "\"%s\":", name);
	buf_add_json(out, text ? text : "", text ? strlen(text) : 0);
}

static void json_programs(const struct trace_query *q, struct buf *out)
{
	const struct trace_process *p;

	buf_add_str(out, ",\"programs\":[");
	for (uint32_t i = 0; i < q->meta->program_count; i++) {
		const struct trace_program *program = &q->meta->programs[i];

		buf_add_str(out, i ? ",{" : "{");
		key(out, "name", program->name);
		buf_add_char(out, ',');
		key(out, "path", program->path);
		buf_printf(out, ",\"hash\":\"%016" PRIx64 "\",\"unchanged\":%s}",
			program->hash, q->images[i] ? "true" : "false");
	}
	buf_add_str(out, "],\"processes\":[");
	for (size_t i = 0; (p = trace_reader_process(q->reader, i)); i++) {
		buf_add_str(out, i ? ",{" : "{");
		key(out, "name", p->name);
		buf_printf(out, ",\"id\":%" PRIu64 "}", p->id);
	}
	buf_add_char(out, ']');
}

static void json_ranges(const struct trace_query *q, struct buf *out)
{
	buf_add_str(out, ",\"ranges\":[");
	for (uint32_t i = 0; i < q->meta->range_count; i++) {
		const struct trace_range *r = &q->meta->ranges[i];
		bool known = !r->device && r->program < q->meta->program_count;

		buf_add_str(out, i ? ",{" : "{");
		buf_printf(out, "\"id\":%" PRIu32 ",", r->id);
		key(out, "name", r->name);
		buf_printf(out, ",\"device\":%s,\"address\":\"0x%" PRIx64
				"\",\"length\":%" PRIu64 ",",
			r->device ? "true" : "false", r->address, r->length);
		key(out, "program",
			known ? q->meta->programs[r->program].name : "");
		buf_add_char(out, '}');
	}
	buf_add_char(out, ']');
}

static void json_info(const struct trace_query *q, struct buf *out)
{
	const struct trace_totals *t = &q->totals;

	buf_add_char(out, '{');
	key(out, "command", q->meta->command);
	buf_add_str(out, ",\"started\":\"");
	add_started(q, out);
	buf_add_str(out, "\",");
	key(out, "kvm", q->meta->kvm);
	buf_printf(out, ",\"cpus\":%" PRIu32 ",\"script_hash\":\"%016" PRIx64
			"\"", q->meta->cpus, q->meta->script_hash);
	json_programs(q, out);
	json_ranges(q, out);
	buf_printf(out, ",\"accesses\":%" PRIu64 ",\"records\":%" PRIu64
			",\"chunks\":%" PRIu64 ",\"seq_first\":%" PRIu64
			",\"seq_last\":%" PRIu64 ",\"duration_ns\":%" PRIu64
			",\"file_bytes\":%" PRIu64 ",\"lost\":%" PRIu64
			",\"complete\":%s}\n",
		t->accesses, t->records, t->chunks, t->seq_first, t->seq_last,
		t->duration_ns, t->file_bytes, t->lost,
		t->complete ? "true" : "false");
}

int trace_info_run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	const char *verb = argv[0] + strlen("custos ");
	struct buf out = BUF_INIT;
	struct trace_query q;
	bool json = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 'j')
			return trace_bad_option(verb);
		json = true;
	}
	if (argc - optind != 1)
		return cmd_usage_error(verb, "name one trace");
	if (!trace_query_open(&q, verb, argv[optind]))
		return q.code;
	if (json)
		json_info(&q, &out);
	else
		text_info(&q, &out);
	fwrite(out.data, 1, out.len, stdout);
	buf_fini(&out);
	trace_query_finish(&q);
	return trace_query_close(&q);
}
