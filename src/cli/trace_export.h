/* SPDX-License-Identifier: MIT */
/*
 * Traces in formats that other tools read. One format, one or a few rows of
 * the table in trace_export.c; formats that are alike share a file.
 */
#ifndef CUSTOS_CLI_TRACE_EXPORT_H
#define CUSTOS_CLI_TRACE_EXPORT_H

#include <stdbool.h>
#include <stdio.h>

#include <custos/trace.h>

#include "base/buf.h"
#include "base/error.h"
#include "cli/trace_query.h"

struct trace_export {
	struct trace_query q;
	struct trace_select select; /* what is exported */
	struct trace_reader *reader; /* q's */
	const struct trace_meta *meta;
	const char *path; /* -o; NULL: standard output */
	FILE *out; /* of formats that are a stream */
	/* What record() adds to it is written to out and removed. */
	struct buf text;
	struct buf cell; /* of a table, for the format to use */
	void *own; /* the format's; from begin() to end() */
};

struct trace_export_format {
	const char *name;
	const char *help; /* one line */
	bool stream; /* else begin() makes what path names, and path is needed */
	/* Each returns 0 or -errno with err set; begin() and end() may be
	 * NULL. end() is called when begin() succeeded; finished: all went
	 * well, or ^C came and what there is should be kept. */
	int (*begin)(struct trace_export *e, struct error *err);
	int (*record)(struct trace_export *e, const struct trace_record *record,
		struct error *err);
	int (*end)(struct trace_export *e, bool finished, struct error *err);
};

/* Ends with a NULL name. */
extern const struct trace_export_format trace_export_formats[];

/* ---- rows' functions ---- */

typedef int trace_export_begin(struct trace_export *e, struct error *err);
typedef int trace_export_record(struct trace_export *e,
	const struct trace_record *record, struct error *err);
typedef int trace_export_end(
	struct trace_export *e, bool finished, struct error *err);

trace_export_record trace_jsonl_record;
trace_export_begin trace_csv_begin, trace_tsv_begin;
trace_export_record trace_csv_record, trace_tsv_record;
trace_export_begin trace_chrome_begin;
trace_export_record trace_chrome_record;
trace_export_end trace_chrome_end;
trace_export_begin trace_simulator_begin;
trace_export_record trace_lackey_record, trace_din_record;
trace_export_begin trace_memtrace_begin;
trace_export_record trace_memtrace_record;
trace_export_end trace_simulator_end;
trace_export_begin trace_ctf_begin;
trace_export_record trace_ctf_record;
trace_export_end trace_ctf_end;
trace_export_begin trace_sqlite_begin;
trace_export_record trace_sqlite_record;
trace_export_end trace_sqlite_end;

/* ---- what they share ---- */

/* "load" ... of a record that is no access: "process_start", "bind", ... */
const char *trace_export_event(enum trace_kind kind);

/* The record's site; one with empty strings when it is not known. */
const struct trace_site *trace_export_site(
	const struct trace_reader *reader, uint32_t site);

/* Bytes of at most 8 as "0x..." (little endian), more as hex digits in memory
 * order. */
void trace_export_value(struct buf *out, const uint8_t *bytes, uint64_t size);

/* One cell of a CSV file, quoted if it must be (RFC 4180); of a TSV file:
 * tabs, line ends and backslashes become \t, \n, \r, \\. */
void trace_export_csv_cell(struct buf *out, const char *text, size_t len);
void trace_export_tsv_cell(struct buf *out, const char *text, size_t len);

/* Open the trace. False: said why, e->q.code is set. */
bool trace_export_open(
	struct trace_export *e, const char *verb, const char *path);

/*
 * All selected records through format. 0; -EINTR after ^C and -ECANCELED, for
 * both it was said why; -errno.
 */
int trace_export_all(struct trace_export *e,
	const struct trace_export_format *format, struct error *err);

/* The exit code, ret being what was made of it, is said why if it is not.
 * Closes the trace. */
int trace_export_close(
	struct trace_export *e, int ret, const struct error *err);

/* ---- the database, also that of `custos trace sql' ---- */

struct sqlite3;
struct trace_database;

/* path "": a temporary one. The connection is the database's. */
int trace_database_open(const char *path, struct trace_reader *reader,
	struct trace_database **out, struct error *err);
int trace_database_add(struct trace_database *db,
	const struct trace_record *record, struct error *err);
/* Nothing more will be added; indexes make queries fast and the file large. */
int trace_database_finish(
	struct trace_database *db, bool indexes, struct error *err);
struct sqlite3 *trace_database_connection(struct trace_database *db);
void trace_database_close(struct trace_database *db); /* NULL is fine */

#endif
