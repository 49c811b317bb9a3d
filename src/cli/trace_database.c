/* SPDX-License-Identifier: MIT */
/*
 * A trace as an SQLite database. The schema is promised in custos-trace(1).
 * SQLite's integers have 64 bits and a sign: addresses and values of the upper
 * half are negative there.
 */
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "cli/trace_export.h"

static const char schema[] =
	"create table meta (key text primary key, value);"
	"create table programs (id integer primary key, name text, path text,"
	" hash integer);"
	"create table ranges (id integer primary key, name text,"
	" device integer, program integer, address integer, length integer);"
	"create table processes (id integer primary key, name text);"
	"create table sites (id integer primary key, ip integer, insn blob,"
	" symbol text, line text, text text);"
	"create table access_rows (id integer primary key, seq integer,"
	" ts integer, pid integer, cpu integer, ip integer, address integer,"
	" size integer, kind text, old, new, final, verdict text,"
	" range integer, offset integer, site integer, atomic integer,"
	" kept_first integer, kept_count integer);"
	"create table lanes (access integer, lane integer, address integer,"
	" size integer, offset integer);"
	"create table stacks (access integer, depth integer,"
	" address integer);"
	"create table registers (access integer, name text, value integer);"
	"create table events (id integer primary key, seq integer, ts integer,"
	" event text, pid integer, range integer, offset integer,"
	" size integer, bytes blob, code integer, count integer, text text,"
	" frame integer);"
	"create view accesses as select a.id as id, seq, ts, pid,"
	" p.name as process, cpu, a.ip as ip, a.address as address, size, kind,"
	" old, new, final, verdict, r.name as range, offset, s.symbol as symbol,"
	" s.line as line, atomic, kept_first, kept_count, s.text as text,"
	" a.range as range_id, a.site as site from access_rows a"
	" left join processes p on p.id = a.pid"
	" left join ranges r on r.id = a.range"
	" left join sites s on s.id = a.site;";

static const char index_schema[] =
	"create index access_seq on access_rows (seq);"
	"create index access_place on access_rows (range, offset);"
	"create index access_address on access_rows (address);"
	"create index lane_access on lanes (access);"
	"create index stack_access on stacks (access);"
	"create index register_access on registers (access);";

enum statement {
	ADD_META,
	ADD_PROGRAM,
	ADD_RANGE,
	ADD_PROCESS,
	ADD_SITE,
	ADD_ACCESS,
	ADD_LANE,
	ADD_FRAME,
	ADD_REGISTER,
	ADD_EVENT,
	STATEMENT_MAX
};

static const char *const statements[STATEMENT_MAX] = {
	[ADD_META] = "insert into meta values (?,?)",
	[ADD_PROGRAM] = "insert or ignore into programs values (?,?,?,?)",
	[ADD_RANGE] = "insert or ignore into ranges values (?,?,?,?,?,?)",
	[ADD_PROCESS] = "insert or ignore into processes values (?,?)",
	[ADD_SITE] = "insert or ignore into sites values (?,?,?,?,?,?)",
	[ADD_ACCESS] = ("insert into access_rows values "
			"(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"),
	[ADD_LANE] = "insert into lanes values (?,?,?,?,?)",
	[ADD_FRAME] = "insert into stacks values (?,?,?)",
	[ADD_REGISTER] = "insert into registers values (?,?,?)",
	[ADD_EVENT] = "insert into events values (?,?,?,?,?,?,?,?,?,?,?,?,?)",
};

struct trace_database {
	sqlite3 *connection;
	sqlite3_stmt *statements[STATEMENT_MAX];
	struct trace_reader *reader;
	int status; /* SQLITE_OK, or what went wrong first */
	int64_t records; /* so far; the rows' ids */
	uint32_t sites; /* those below are in the table */
};

static int fail(struct trace_database *db, struct error *err)
{
	return error_set(err, db->status == SQLITE_NOMEM ? -ENOMEM : -EIO,
		"cannot write the database: %s",
		sqlite3_errmsg(db->connection));
}

/* ---- one row ---- */

struct row {
	struct trace_database *db;
	sqlite3_stmt *statement;
	int column;
};

static struct row row_begin(struct trace_database *db, enum statement which)
{
	return (struct row){ db, db->statements[which], 0 };
}

static void keep_status(struct trace_database *db, int status)
{
	if (db->status == SQLITE_OK && status != SQLITE_DONE)
		db->status = status;
}

static void row_end(struct row *row)
{
	keep_status(row->db, sqlite3_step(row->statement));
	sqlite3_reset(row->statement);
	sqlite3_clear_bindings(row->statement);
}

static void put(struct row *row, uint64_t value)
{
	keep_status(row->db, sqlite3_bind_int64(row->statement, ++row->column,
				     (sqlite3_int64)value));
}

static void put_null(struct row *row)
{
	row->column++;
}

static void put_text(struct row *row, const char *text)
{
	keep_status(row->db, sqlite3_bind_text(row->statement, ++row->column,
				     text, -1, SQLITE_TRANSIENT));
}

static void put_blob(struct row *row, const uint8_t *bytes, uint64_t size)
{
	row->column++;
	if (bytes)
		keep_status(row->db, sqlite3_bind_blob64(row->statement,
					     row->column, bytes, size,
					     SQLITE_TRANSIENT));
}

/* An integer when it fits one. */
static void put_value(struct row *row, const uint8_t *bytes, uint64_t size)
{
	uint64_t value = 0;

	if (!bytes || size > sizeof(value)) {
		put_blob(row, bytes, size);
		return;
	}
	memcpy(&value, bytes, size);
	put(row, value);
}

/* ---- what the trace is about ---- */

static void add_meta_text(
	struct trace_database *db, const char *key, const char *value)
{
	struct row row = row_begin(db, ADD_META);

	put_text(&row, key);
	put_text(&row, value);
	row_end(&row);
}

static void add_meta_number(
	struct trace_database *db, const char *key, uint64_t value)
{
	struct row row = row_begin(db, ADD_META);

	put_text(&row, key);
	put(&row, value);
	row_end(&row);
}

static void add_process(
	struct trace_database *db, uint64_t id, const char *name)
{
	struct row row = row_begin(db, ADD_PROCESS);

	put(&row, id);
	put_text(&row, name);
	row_end(&row);
}

static void add_program(struct trace_database *db, uint32_t id,
	const struct trace_program *program)
{
	struct row row = row_begin(db, ADD_PROGRAM);

	put(&row, id);
	put_text(&row, program->name);
	put_text(&row, program->path);
	put(&row, program->hash);
	row_end(&row);
}

static void add_range(
	struct trace_database *db, const struct trace_range *range)
{
	struct row row = row_begin(db, ADD_RANGE);

	put(&row, range->id);
	put_text(&row, range->name);
	put(&row, range->device);
	put(&row, range->program);
	put(&row, range->address);
	put(&row, range->length);
	row_end(&row);
}

static void add_about(struct trace_database *db)
{
	const struct trace_meta *meta = trace_reader_meta(db->reader);
	const struct trace_process *process;

	add_meta_text(db, "command", meta->command ? meta->command : "");
	add_meta_text(db, "kvm", meta->kvm ? meta->kvm : "");
	add_meta_number(db, "cpus", meta->cpus);
	add_meta_number(db, "started_ns", meta->started_ns);
	add_meta_number(db, "script_hash", meta->script_hash);
	for (uint32_t i = 0; i < meta->program_count; i++)
		add_program(db, i, &meta->programs[i]);
	for (uint32_t i = 0; i < meta->range_count; i++)
		add_range(db, &meta->ranges[i]);
	add_process(db, 0, "kernel");
	for (size_t i = 0; (process = trace_reader_process(db->reader, i)); i++)
		add_process(db, process->id, process->name);
}

/* ---- records ---- */

/* Sites are numbered as they appear. */
static void add_sites(struct trace_database *db, uint32_t last)
{
	if (!trace_reader_site(db->reader, last))
		return;
	for (; db->sites <= last; db->sites++) {
		const struct trace_site *site =
			trace_reader_site(db->reader, db->sites);
		struct row row = row_begin(db, ADD_SITE);

		if (!site)
			continue;
		put(&row, db->sites);
		put(&row, site->ip);
		put_blob(&row, site->insn, site->insn_len);
		put_text(&row, site->symbol);
		put_text(&row, site->line);
		put_text(&row, site->text);
		row_end(&row);
	}
}

static void add_lanes(struct trace_database *db, const struct access *a)
{
	for (uint32_t i = 0; i < a->lane_count; i++) {
		struct row row = row_begin(db, ADD_LANE);

		put(&row, (uint64_t)db->records);
		put(&row, i);
		put(&row, a->lanes[i].address);
		put(&row, a->lanes[i].size);
		put(&row, a->lanes[i].offset);
		row_end(&row);
	}
}

static void add_stack(
	struct trace_database *db, const struct trace_record *record)
{
	for (uint32_t i = 0; record->stack && i < record->stack_count; i++) {
		struct row row = row_begin(db, ADD_FRAME);

		put(&row, (uint64_t)db->records);
		put(&row, i);
		put(&row, record->stack[i]);
		row_end(&row);
	}
}

static void add_registers(
	struct trace_database *db, const struct trace_record *record)
{
	static const char *const names[TRACE_REGS] = { "rax", "rcx", "rdx",
		"rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11",
		"r12", "r13", "r14", "r15", "rip", "rflags" };

	for (size_t i = 0; record->regs && i < TRACE_REGS; i++) {
		struct row row = row_begin(db, ADD_REGISTER);

		put(&row, (uint64_t)db->records);
		put_text(&row, names[i]);
		put(&row, record->regs[i]);
		row_end(&row);
	}
}

static void add_access(
	struct trace_database *db, const struct trace_record *record)
{
	const struct access *a = &record->access;
	struct row row = row_begin(db, ADD_ACCESS);

	put(&row, (uint64_t)db->records);
	put(&row, record->seq);
	put(&row, record->time_ns);
	put(&row, a->process);
	put(&row, a->cpu);
	put(&row, a->ip);
	put(&row, a->address);
	put(&row, a->size);
	put_text(&row, access_kind_name(a->kind));
	put_value(&row, a->old_bytes, a->size);
	put_value(&row, a->new_bytes, a->size);
	put_value(&row, record->final_bytes, a->size);
	put_text(&row, outcome_name(record->outcome));
	put(&row, a->range);
	put(&row, a->offset);
	put(&row, record->site);
	put(&row, a->atomic);
	put(&row, a->kept_first);
	put(&row, a->kept_count);
	row_end(&row);
	add_process(db, a->process, a->process_name);
	add_sites(db, record->site);
	add_lanes(db, a);
	add_stack(db, record);
	add_registers(db, record);
}

static bool has_process(const struct trace_record *record)
{
	enum trace_kind kind = record->kind;

	return (kind == TRACE_MARKER && record->process) ||
		kind == TRACE_PROCESS_START || kind == TRACE_PROCESS_EXIT ||
		kind == TRACE_BIND || kind == TRACE_UNBIND;
}

static void add_event(
	struct trace_database *db, const struct trace_record *record)
{
	enum trace_kind kind = record->kind;
	bool bound = kind == TRACE_BIND || kind == TRACE_UNBIND;
	struct row row = row_begin(db, ADD_EVENT);

	put(&row, (uint64_t)db->records);
	put(&row, record->seq);
	put(&row, record->time_ns);
	put_text(&row, trace_export_event(kind));
	has_process(record) ? put(&row, record->process) : put_null(&row);
	bound ? put(&row, record->range) : put_null(&row);
	bound ? put(&row, record->offset) : put_null(&row);
	bound ? put(&row, record->size) : put_null(&row);
	put_blob(&row, kind == TRACE_BIND ? record->bytes : NULL, record->size);
	kind == TRACE_PROCESS_EXIT || kind == TRACE_END
		? put(&row, (uint64_t)record->exit_code)
		: put_null(&row);
	kind == TRACE_LOST ? put(&row, record->count) : put_null(&row);
	put_text(&row, kind == TRACE_PROCESS_START ? record->process_name
		: kind == TRACE_MARKER || kind == TRACE_LOST ? record->text
							     : NULL);
	record->frame ? put(&row, record->frame) : put_null(&row);
	row_end(&row);
}

int trace_database_add(struct trace_database *db,
	const struct trace_record *record, struct error *err)
{
	db->records++;
	if (record->kind == TRACE_ACCESS)
		add_access(db, record);
	else
		add_event(db, record);
	return db->status == SQLITE_OK ? 0 : fail(db, err);
}

/* ---- the database ---- */

static int execute(
	struct trace_database *db, const char *sql, struct error *err)
{
	keep_status(db,
		sqlite3_exec(db->connection, sql, NULL, NULL, NULL));
	return db->status == SQLITE_OK ? 0 : fail(db, err);
}

static int prepare(struct trace_database *db, struct error *err)
{
	/* What is half written is of no use to anybody: no journal. */
	int ret = execute(db,
		"pragma journal_mode = off; pragma synchronous = off; begin;",
		err);

	if (!ret)
		ret = execute(db, schema, err);
	for (int i = 0; !ret && i < STATEMENT_MAX; i++) {
		keep_status(db, sqlite3_prepare_v2(db->connection,
					statements[i], -1, &db->statements[i],
					NULL));
		if (db->status != SQLITE_OK)
			ret = fail(db, err);
	}
	return ret;
}

int trace_database_open(const char *path, struct trace_reader *reader,
	struct trace_database **out, struct error *err)
{
	struct trace_database *db = calloc(1, sizeof(*db));
	int ret;

	if (!db)
		return error_set(err, -ENOMEM, "out of memory");
	db->reader = reader;
	db->status = sqlite3_open_v2(path, &db->connection,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
	ret = db->status == SQLITE_OK ? prepare(db, err) : fail(db, err);
	if (!ret) {
		add_about(db);
		ret = db->status == SQLITE_OK ? 0 : fail(db, err);
	}
	if (ret)
		trace_database_close(db);
	else
		*out = db;
	return ret;
}

int trace_database_finish(
	struct trace_database *db, bool indexes, struct error *err)
{
	if (indexes && execute(db, index_schema, err))
		return fail(db, err);
	return execute(db, "commit; pragma query_only = on;", err);
}

struct sqlite3 *trace_database_connection(struct trace_database *db)
{
	return db->connection;
}

void trace_database_close(struct trace_database *db)
{
	if (!db)
		return;
	for (int i = 0; i < STATEMENT_MAX; i++)
		sqlite3_finalize(db->statements[i]);
	sqlite3_close(db->connection);
	free(db);
}
