/* SPDX-License-Identifier: MIT */
/*
 * What the verbs that read a trace have in common: opening it, names for
 * addresses, places in kept memory by name, records one after the other with
 * progress and ^C, and lines for people.
 */
#ifndef CUSTOS_CLI_TRACE_QUERY_H
#define CUSTOS_CLI_TRACE_QUERY_H

#include <custos/trace.h>

#include "base/buf.h"
#include "image/image.h"
#include "keeper/filter.h"
#include "session/names.h"
#include "trace/sink.h"

struct trace_query {
	const char *verb; /* "trace who", for messages */
	const char *path;
	struct trace_reader *reader;
	const struct trace_meta *meta;
	struct trace_totals totals;
	int code; /* exit code so far */

	/* By program, for those whose file is still what it was; NULL: not. */
	struct image **images;
	struct target_process *processes;
	struct names *names;
	struct trace_names callbacks;
	const struct trace_site *site; /* of the record being printed */

	uint64_t done; /* records read, for progress */
	uint64_t last_seq;
	size_t damage_told;
};

/* Open path and load the programs that are still there. Damage is told on
 * stderr: what is found now here, the rest when it is closed. False: said why,
 * code is set. */
bool trace_query_open(
	struct trace_query *q, const char *verb, const char *path);
/* Returns q->code. */
int trace_query_close(struct trace_query *q);

/* Say what else of the trace could not be read. True: something could not. */
bool trace_query_tell_damage(struct trace_query *q);

/* May path be written? False: it is the trace itself; said so, code is set. */
bool trace_query_may_write(struct trace_query *q, const char *path);

/* Like cmd_fail(), with the verb's name; sets and returns the code. */
int trace_query_fail(struct trace_query *q, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The next record in the file's order; false at the end, after ^C and after
 * an error, the latter two with code set. */
bool trace_query_next(struct trace_query *q, struct trace_record *out);
bool trace_query_seek(struct trace_query *q, uint64_t seq);

/* getopt has said what is wrong: say where to find help. */
int trace_bad_option(const char *verb);

/* ^C arrived? */
bool trace_interrupted(void);
void trace_catch_interrupts(void);

/* On a terminal: how far this is; done and total in any unit. At most ten
 * times a second. total 0: it is over, remove the line. */
void trace_progress(const char *verb, uint64_t done, uint64_t total);

/* A decimal number for an option: -1, or the code of an error said. */
int trace_take_number(const char *verb, const char *option, const char *text,
	uint64_t *out);

/* ---- moments ---- */

/* "1000": an access; "1.5s", "20ms", "7us", "3ns": since the start. */
struct trace_moment {
	bool given, is_time;
	uint64_t value;
};

bool trace_moment_parse(const char *text, struct trace_moment *out);
/* Say what one looks like; returns the exit code. */
int trace_bad_moment(
	const char *verb, const char *option, const char *argument);

/* The last access at or before the moment; UINT64_MAX when it is not given.
 * False: code is set; a moment beyond the end is such a failure. */
bool trace_query_moment(struct trace_query *q,
	const struct trace_moment *moment, uint64_t *out_seq);

/* ---- places ---- */

/* Kept bytes [offset, offset + length) of a range. */
struct trace_place {
	const struct trace_range *range;
	uint64_t offset, length;
};

#define TRACE_PLACES_MAX 4096

struct trace_places {
	struct trace_place *at;
	size_t count;
};

/*
 * What text names, as kept bytes: a range as it was written, NAME+OFF,
 * NAME+OFF+LEN, ADDR, ADDR+LEN, FIRST..END, device:NAME, each with PROGRAM!
 * before it or not. NAME is a range's or, where the program's file is still
 * there, any variable's or member's. Adds to out. False: said why, with the
 * ranges there are.
 */
bool trace_query_places(
	struct trace_query *q, const char *text, struct trace_places *out);
void trace_places_fini(struct trace_places *places);

/* Bytes [at, at + length) of an access are bytes [offset, offset + length) of
 * its range. */
struct trace_piece {
	uint64_t offset, length;
	uint32_t at;
};

/* Piece n of what access touches of range, which is its; false behind the
 * last. One, except for gathers and scatters. */
bool trace_access_piece(const struct trace_range *range,
	const struct access *access, uint32_t n, struct trace_piece *out);

/* The part of a piece that lies in place; false when there is none. */
bool trace_place_cut(
	const struct trace_place *place, const struct trace_piece *piece,
	struct trace_piece *out);

/* Does access touch one of them? */
bool trace_places_touch(
	const struct trace_places *places, const struct access *access);

/* A process by its name or number: *out_id, 0 for NULL. */
bool trace_query_process(
	struct trace_query *q, const char *text, uint64_t *out_id);

const struct trace_range *trace_query_range(
	const struct trace_query *q, uint32_t id);

/* "counter+0x8" */
void trace_place_describe(const struct trace_range *range, uint64_t offset,
	struct buf *out);

/* ---- selections: --range, --when, --from, --to, --process ---- */

struct trace_select {
	struct trace_places places;
	struct filter filter;
	bool has_filter;
	struct trace_moment from, to;
	uint64_t process;
	/* As they came, read when the trace is open. */
	const char *ranges[64], *when, *process_text;
	size_t range_count;
	uint64_t beyond; /* records read behind the end */
};

#define TRACE_SELECT_SHORT "r:w:p:f:t:"
#define TRACE_SELECT_LONG \
	{ "range", required_argument, NULL, 'r' }, \
	{ "when", required_argument, NULL, 'w' }, \
	{ "process", required_argument, NULL, 'p' }, \
	{ "from", required_argument, NULL, 'f' }, \
	{ "to", required_argument, NULL, 't' }

#define TRACE_SELECT_HELP \
	"  -r, --range PLACE     only accesses to these bytes; may be repeated\n" \
	"  -w, --when CONDITIONS only these accesses: load, store, rmw, fetch,\n" \
	"                        changed, size=N, value=N (!=, <, >),\n" \
	"                        process=NAME, ip=RANGE, every=N\n" \
	"  -p, --process NAME|ID only this process's\n" \
	"  -f, --from MOMENT     from this access (1000) or time (1.5s, 20ms) on\n" \
	"  -t, --to MOMENT       up to and including it\n"

/* One option of the above: -1, or the code of a usage error that was said. */
int trace_select_take(struct trace_select *s, const char *verb, int option,
	const char *argument);
/* Once the trace is open; seeks to the beginning. */
bool trace_select_begin(struct trace_select *s, struct trace_query *q);
/* To the beginning again. */
bool trace_select_seek(struct trace_select *s, struct trace_query *q);
void trace_select_fini(struct trace_select *s);
/* Does it ask for anything about single accesses? */
bool trace_select_is_narrow(const struct trace_select *s);

/* The next record that is selected; of other kinds than TRACE_ACCESS those
 * between from and to. */
bool trace_select_next(struct trace_select *s, struct trace_query *q,
	struct trace_record *out);

/* ---- output ---- */

/* What sinks and trace_access_text() call: q->site must be the record's. */
void trace_query_at(struct trace_query *q, const struct trace_record *record);
/* The record's line, without time or newline. */
void trace_query_line(struct trace_query *q, const struct trace_record *record,
	struct buf *out);
/* Its stack, a line for each frame with indent before it. */
void trace_query_stack(struct trace_query *q,
	const struct trace_record *record, const char *indent,
	struct buf *out);
void trace_add_time(struct buf *out, uint64_t ns);
/* Bytes of at most 8 as a number, more as hex digits. */
void trace_add_value(struct buf *out, const uint8_t *bytes, uint64_t size);

/* What the bytes are after the access: the pointer to size bytes, or NULL
 * when it changed nothing or nobody knows. */
const uint8_t *trace_stored_bytes(const struct trace_record *record);

/* Flush stdout; says what failed. Returns q->code. */
int trace_query_finish(struct trace_query *q);

#endif
