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
	"      --json            JSON lines\n";

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

static int sql(struct trace_reader *reader, const char *verb,
	const char *question, enum style style)
{
	static const struct trace_export_format format = {
		.name = "sql",
		.record = add_record,
	};
	struct trace_export e = { .reader = reader };
	struct trace_database *db;
	struct error err = { 0 };
	int ret, code;

	trace_catch_interrupts();
	ret = trace_database_open("", reader, &db, &err);
	if (ret)
		return cmd_fail(verb, "%s", err.text);
	e.own = db;
	ret = trace_export_all(&e, &format, verb, &err);
	if (!ret)
		ret = trace_database_finish(db, false, &err);
	if (ret == -EINTR)
		code = (cmd_fail(verb, "interrupted"), CLI_INTERRUPTED);
	else if (ret)
		code = cmd_fail(verb, "%s", err.text);
	else
		code = ask(trace_database_connection(db), verb, question,
			style);
	trace_database_close(db);
	if (trace_export_damage(reader, verb) && code == CLI_OK)
		code = CLI_NO;
	return code;
}

int trace_sql_run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "csv", no_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	const char *verb = argv[0] + strlen("custos ");
	enum style style = STYLE_TSV;
	struct trace_reader *reader;
	struct error err = { 0 };
	int option, code;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 'c' && option != 'j')
			return trace_bad_option(verb);
		style = option == 'c' ? STYLE_CSV : STYLE_JSON;
	}
	if (argc - optind != 2)
		return cmd_usage_error(verb, "name a trace and a statement");
	if (trace_reader_open(argv[optind], &reader, &err))
		return cmd_fail(verb, "%s", err.text);
	code = sql(reader, verb, argv[optind + 1], style);
	trace_reader_close(reader);
	return code;
}
