/* SPDX-License-Identifier: MIT */
/* custos trace export: a trace for other tools. */
#include "cli/trace_export.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/trace.h"

const char trace_export_help[] =
	"FORMAT is one of\n"
	"  jsonl     JSON lines, every record\n"
	"  csv, tsv  a table, accesses only\n"
	"  sqlite    a database (see also: custos trace sql)\n"
	"  ctf       a directory in the Common Trace Format 1.8: babeltrace2\n"
	"  chrome    trace events in JSON: ui.perfetto.dev, chrome://tracing\n"
	"  lackey    text as of Valgrind's lackey\n"
	"  din       text for the Dinero cache simulators\n"
	"  memtrace  text as of DynamoRIO's sample client memtrace\n"
	"\n"
	"  -o, --output FILE     write to FILE; sqlite and ctf need it\n"
	TRACE_SELECT_HELP;

const struct trace_export_format trace_export_formats[] = {
	{ "jsonl", "JSON lines", true, NULL, trace_jsonl_record, NULL },
	{ "csv", "a table", true, trace_csv_begin, trace_csv_record, NULL },
	{ "tsv", "a table", true, trace_tsv_begin, trace_tsv_record, NULL },
	{ "sqlite", "a database", false, trace_sqlite_begin,
		trace_sqlite_record, trace_sqlite_end },
	{ "ctf", "Common Trace Format", false, trace_ctf_begin,
		trace_ctf_record, trace_ctf_end },
	{ "chrome", "trace events", true, trace_chrome_begin,
		trace_chrome_record, trace_chrome_end },
	{ "lackey", "text", true, trace_simulator_begin, trace_lackey_record,
		trace_simulator_end },
	{ "din", "text", true, trace_simulator_begin, trace_din_record,
		trace_simulator_end },
	{ "memtrace", "text", true, trace_memtrace_begin,
		trace_memtrace_record, trace_simulator_end },
	{ 0 },
};

/* ---- shared by formats ---- */

const char *trace_export_event(enum trace_kind kind)
{
	switch (kind) {
	case TRACE_ACCESS:
		return "access";
	case TRACE_PROCESS_START:
		return "process_start";
	case TRACE_PROCESS_EXIT:
		return "process_exit";
	case TRACE_BIND:
		return "bind";
	case TRACE_UNBIND:
		return "unbind";
	case TRACE_MARKER:
		return "marker";
	case TRACE_LOST:
		return "lost";
	case TRACE_END:
		return "end";
	case TRACE_KIND_MAX:
		break;
	}
	return "unknown";
}

const struct trace_site *trace_export_site(
	const struct trace_reader *reader, uint32_t site)
{
	static const struct trace_site none = {
		.symbol = "",
		.line = "",
		.text = "",
	};
	const struct trace_site *known = trace_reader_site(reader, site);

	return known ? known : &none;
}

void trace_export_value(struct buf *out, const uint8_t *bytes, uint64_t size)
{
	uint64_t value = 0;

	if (size > sizeof(value)) {
		buf_add_hex(out, bytes, size);
		return;
	}
	memcpy(&value, bytes, size);
	buf_add_number(out, value);
}

/* ---- all records ---- */

static int put(struct trace_export *e, struct error *err)
{
	size_t len = e->text.len;

	if (e->text.failed)
		return error_set(err, -ENOMEM, "out of memory");
	if (len && e->out && fwrite(e->text.data, 1, len, e->out) != len)
		return error_set_errno(err, errno ? -errno : -EIO,
			"cannot write");
	if (e->out)
		buf_reset(&e->text);
	return 0;
}

/* 0 or what is wrong with e->q, which was said. */
static int reading_status(const struct trace_export *e)
{
	if (e->q.code == CLI_INTERRUPTED)
		return -EINTR;
	return e->q.code ? -ECANCELED : 0;
}

static int each_record(struct trace_export *e,
	const struct trace_export_format *format, struct error *err)
{
	bool events = !trace_select_is_narrow(&e->select);
	struct trace_record record;
	int ret = 0;

	if (!trace_select_begin(&e->select, &e->q))
		return reading_status(e);
	while (!ret && trace_select_next(&e->select, &e->q, &record)) {
		if (record.kind != TRACE_ACCESS && !events)
			continue;
		ret = format->record(e, &record, err);
		if (!ret)
			ret = put(e, err);
	}
	trace_progress(e->q.verb, 0, 0);
	return ret ? ret : reading_status(e);
}

int trace_export_all(struct trace_export *e,
	const struct trace_export_format *format, struct error *err)
{
	struct error end_err = { 0 };
	int ret, end = 0;

	ret = format->begin ? format->begin(e, err) : 0;
	if (ret)
		return ret;
	ret = put(e, err);
	if (!ret)
		ret = each_record(e, format, err);
	if (format->end)
		end = format->end(e, !ret || ret == -EINTR, &end_err);
	if (!end)
		end = put(e, &end_err);
	if (end && (!ret || ret == -EINTR)) {
		if (err)
			*err = end_err;
		ret = end;
	}
	return ret;
}

bool trace_export_open(
	struct trace_export *e, const char *verb, const char *path)
{
	if (!trace_query_open(&e->q, verb, path))
		return false;
	e->reader = e->q.reader;
	e->meta = e->q.meta;
	return true;
}

int trace_export_close(
	struct trace_export *e, int ret, const struct error *err)
{
	if (ret && ret != -EINTR && ret != -ECANCELED)
		trace_query_fail(&e->q, "%s", err->text);
	if (trace_query_tell_damage(&e->q) && !e->q.code)
		e->q.code = CLI_NO;
	trace_select_fini(&e->select);
	buf_fini(&e->text);
	buf_fini(&e->cell);
	return trace_query_close(&e->q);
}

/* ---- the verb ---- */

static const struct trace_export_format *find_format(const char *name)
{
	for (const struct trace_export_format *f = trace_export_formats;
		f->name; f++)
		if (!strcmp(f->name, name))
			return f;
	return NULL;
}

static int export_stream(struct trace_export *e,
	const struct trace_export_format *format, struct error *err)
{
	int ret;

	e->out = e->path ? fopen(e->path, "we") : stdout;
	if (!e->out)
		return error_set_errno(
			err, -errno, "cannot write %s", e->path);
	ret = trace_export_all(e, format, err);
	errno = 0;
	if ((e->path ? fclose(e->out) : fflush(e->out)) &&
		(!ret || ret == -EINTR))
		ret = error_set_errno(err, errno ? -errno : -EIO,
			"cannot write");
	return ret;
}

static int export(struct trace_export *e,
	const struct trace_export_format *format, const char *verb,
	const char *path)
{
	struct error err = { 0 };
	int ret;

	if (!trace_export_open(e, verb, path))
		return e->q.code;
	if (e->path && !trace_query_may_write(&e->q, e->path))
		ret = -ECANCELED;
	else if (format->stream)
		ret = export_stream(e, format, &err);
	else
		ret = trace_export_all(e, format, &err);
	return trace_export_close(e, ret, &err);
}

int trace_export_run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		TRACE_SELECT_LONG,
		{ NULL, 0, NULL, 0 },
	};
	const char *verb = argv[0] + strlen("custos ");
	const struct trace_export_format *format;
	struct trace_export e = { 0 };
	int option, code = -1;

	while (code < 0 &&
		(option = getopt_long(argc, argv, "o:" TRACE_SELECT_SHORT,
			 options, NULL)) != -1) {
		if (option == 'o')
			e.path = optarg;
		else
			code = trace_select_take(
				&e.select, verb, option, optarg);
	}
	if (code >= 0)
		return code;
	if (argc - optind != 2)
		return cmd_usage_error(verb, "name a format and a trace");
	format = find_format(argv[optind]);
	if (!format)
		return cmd_usage_error(
			verb, "there is no format `%s'", argv[optind]);
	if (!format->stream && !e.path)
		return cmd_usage_error(verb, "%s needs -o", format->name);
	return export(&e, format, verb, argv[optind + 1]);
}
