/* SPDX-License-Identifier: MIT */
/*
 * custos trace sql: a trace asked in SQL. The database is a temporary one,
 * which SQLite keeps in memory as long as it is small; the question may read
 * it and nothing else.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/trace.h"
#include "cli/trace_export.h"
#include "cli/trace_query.h"

const char trace_sql_help[] =
	"The tables are those of `custos trace export sqlite': custos-trace(1)\n"
	"describes them. `accesses' has a row for each access:\n"
	"  custos trace sql TRACE 'select symbol, count(*) from accesses\n"
	"      where range = \"ring\" group by symbol'\n"
	"\n"
	"      --csv             comma-separated values, not tabs\n"
	"      --json            JSON lines\n"
	TRACE_SELECT_HELP;

enum { OPT_CSV = 256, OPT_JSON };

enum style { STYLE_TSV, STYLE_CSV, STYLE_JSON };

/* ---- the answer ---- */

static void add_json(struct buf *out, sqlite3_stmt *s, int i)
{
	buf_add_char(out, i ? ',' : '{');
	buf_add_json(out, sqlite3_column_name(s, i),
		strlen(sqlite3_column_name(s, i)));
	buf_add_char(out, ':');
	switch (sqlite3_column_type(s, i)) {
	case SQLITE_NULL:
		buf_add_str(out, "null");
		break;
	case SQLITE_INTEGER:
	case SQLITE_FLOAT:
		buf_add_str(out, (const char *)sqlite3_column_text(s, i));
		break;
	case SQLITE_BLOB:
		buf_add_char(out, '"');
		buf_add_hex(out, sqlite3_column_blob(s, i),
			(size_t)sqlite3_column_bytes(s, i));
		buf_add_char(out, '"');
		break;
	default:
		buf_add_json(out, (const char *)sqlite3_column_text(s, i),
			(size_t)sqlite3_column_bytes(s, i));
	}
}

static void add_cell(
	struct buf *out, enum style style, const char *text, size_t len, int i)
{
	if (i)
		buf_add_char(out, style == STYLE_CSV ? ',' : '\t');
	if (style == STYLE_CSV)
		trace_export_csv_cell(out, text, len);
	else
		trace_export_tsv_cell(out, text, len);
}

static void add_plain(
	struct buf *out, enum style style, sqlite3_stmt *s, int i)
{
	struct buf cell = BUF_INIT;

	if (sqlite3_column_type(s, i) == SQLITE_BLOB)
		buf_add_hex(&cell, sqlite3_column_blob(s, i),
			(size_t)sqlite3_column_bytes(s, i));
	else if (sqlite3_column_type(s, i) != SQLITE_NULL)
		buf_add(&cell, sqlite3_column_text(s, i),
			(size_t)sqlite3_column_bytes(s, i));
	add_cell(out, style, buf_str(&cell), cell.len, i);
	out->failed |= cell.failed;
	buf_fini(&cell);
}

static void add_head(struct buf *out, enum style style, sqlite3_stmt *s)
{
	for (int i = 0; i < sqlite3_column_count(s); i++) {
		const char *name = sqlite3_column_name(s, i);

		add_cell(out, style, name, strlen(name), i);
	}
	buf_add_char(out, '\n');
}

static bool put(struct buf *out)
{
	bool ok = !out->failed &&
		fwrite(out->data, 1, out->len, stdout) == out->len;

	buf_reset(out);
	return ok;
}

/* SQLITE_DONE, or an error; SQLITE_IOERR: standard output's. */
static int answer(sqlite3_stmt *s, enum style style)
{
	struct buf line = BUF_INIT;
	int columns = sqlite3_column_count(s), status;
	bool ok = true;

	if (style != STYLE_JSON && columns) {
		add_head(&line, style, s);
		ok = put(&line);
	}
	while (ok && (status = sqlite3_step(s)) == SQLITE_ROW) {
		for (int i = 0; i < columns; i++)
			if (style == STYLE_JSON)
				add_json(&line, s, i);
			else
				add_plain(&line, style, s, i);
		buf_add_str(&line, style == STYLE_JSON ? "}\n" : "\n");
		ok = put(&line);
	}
	buf_fini(&line);
	return ok ? status : SQLITE_IOERR;
}

/* ---- the question ---- */

/* Reading, and nothing else. */
static int authorize(void *ctx, int action, const char *a, const char *b,
	const char *c, const char *d)
{
	(void)ctx;
	(void)a;
	(void)c;
	(void)d;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		return b && !strcmp(b, "load_extension") ? SQLITE_DENY
							 : SQLITE_OK;
	default:
		return SQLITE_DENY;
	}
}

static int on_progress(void *ctx)
{
	(void)ctx;
	return trace_interrupted();
}

static int ask(sqlite3 *connection, const char *verb, const char *sql,
	enum style style)
{
	sqlite3_stmt *s;
	int status;

	sqlite3_set_authorizer(connection, authorize, NULL);
	sqlite3_progress_handler(connection, 10000, on_progress, NULL);
	for (status = SQLITE_DONE; *sql && status == SQLITE_DONE;) {
		status = sqlite3_prepare_v2(connection, sql, -1, &s, &sql);
		if (status != SQLITE_OK)
			break;
		/* Nothing but blanks or a comment is no statement. */
		status = s ? answer(s, style) : SQLITE_DONE;
		sqlite3_finalize(s);
	}
	if (fflush(stdout) || status == SQLITE_IOERR)
		return cmd_fail(verb, "cannot write: %s", strerror(errno));
	if (status == SQLITE_INTERRUPT) {
		cmd_fail(verb, "interrupted");
		return CLI_INTERRUPTED;
	}
	return status == SQLITE_DONE ?
		CLI_OK :
		cmd_fail(verb, "%s", sqlite3_errmsg(connection));
}

/* ---- the verb ---- */

static int add_record(struct trace_export *e,
	const struct trace_record *record, struct error *err)
{
	return trace_database_add(e->own, record, err);
}

/* The question, when all is loaded. 0 or -errno; what ask() says is said. */
static int load_and_ask(
	struct trace_export *e, const char *question, enum style style,
	struct error *err)
{
	static const struct trace_export_format format = {
		.name = "sql",
		.record = add_record,
	};
	struct trace_database *db;
	int ret = trace_database_open("", e->reader, &db, err);

	if (ret)
		return ret;
	e->own = db;
	ret = trace_export_all(e, &format, err);
	if (!ret)
		ret = trace_database_finish(db, false, err);
	if (!ret)
		e->q.code = ask(trace_database_connection(db), e->q.verb,
			question, style);
	trace_database_close(db);
	return ret;
}

static int take_options(int argc, char **argv, const char *verb,
	struct trace_select *select, enum style *style)
{
	static const struct option options[] = {
		{ "csv", no_argument, NULL, OPT_CSV },
		{ "json", no_argument, NULL, OPT_JSON },
		TRACE_SELECT_LONG,
		{ NULL, 0, NULL, 0 },
	};
	int option, code = -1;

	while (code < 0 &&
		(option = getopt_long(argc, argv, TRACE_SELECT_SHORT, options,
			 NULL)) != -1) {
		if (option == OPT_CSV)
			*style = STYLE_CSV;
		else if (option == OPT_JSON)
			*style = STYLE_JSON;
		else
			code = trace_select_take(select, verb, option, optarg);
	}
	if (code < 0 && argc - optind != 2)
		code = cmd_usage_error(verb, "name a trace and a statement");
	return code;
}

int trace_sql_run(int argc, char **argv)
{
	const char *verb = argv[0] + strlen("custos ");
	struct trace_export e = { 0 };
	enum style style = STYLE_TSV;
	struct error err = { 0 };
	int code = take_options(argc, argv, verb, &e.select, &style);

	if (code >= 0)
		return code;
	if (!trace_export_open(&e, verb, argv[optind]))
		return e.q.code;
	return trace_export_close(&e,
		load_and_ask(&e, argv[optind + 1], style, &err), &err);
}
