/* SPDX-License-Identifier: MIT */
/* custos trace export sqlite: the database says what the trace says. */
#include "tests/unit/cli/trace_export_support.h"

#include <sqlite3.h>

static const char *column_text(sqlite3_stmt *s, int i, const char *name)
{
	static char cell[CELL_MAX];
	bool hex = !strcmp(name, "ip") || !strcmp(name, "address") ||
		!strcmp(name, "old") || !strcmp(name, "new") ||
		!strcmp(name, "final");
	const uint8_t *blob;

	cell[0] = '\0';
	switch (sqlite3_column_type(s, i)) {
	case SQLITE_INTEGER:
		sprintf(cell, hex ? "0x%" PRIx64 : "%" PRIu64,
			(uint64_t)sqlite3_column_int64(s, i));
		break;
	case SQLITE_TEXT:
		sprintf(cell, "%s", sqlite3_column_text(s, i));
		break;
	case SQLITE_BLOB:
		blob = sqlite3_column_blob(s, i);
		for (int k = 0; k < sqlite3_column_bytes(s, i); k++)
			sprintf(cell + 2 * k, "%02x", blob[k]);
		break;
	default:
		break;
	}
	return cell;
}

static void same_lanes(struct rig *rig, sqlite3 *db, int64_t id)
{
	char lanes[CELL_MAX] = "";
	sqlite3_stmt *s;

	assert_int_equal(sqlite3_prepare_v2(db,
				 "select address, size, offset from lanes"
				 " where access = ? order by lane",
				 -1, &s, NULL),
		SQLITE_OK);
	sqlite3_bind_int64(s, 1, id);
	while (sqlite3_step(s) == SQLITE_ROW)
		sprintf(lanes + strlen(lanes), "%s0x%" PRIx64 "+%d@%d",
			*lanes ? " " : "", (uint64_t)sqlite3_column_int64(s, 0),
			sqlite3_column_int(s, 1), sqlite3_column_int(s, 2));
	sqlite3_finalize(s);
	assert_string_equal(lanes, rig_cell(rig, "lanes"));
}

static int64_t number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s;
	int64_t value;

	assert_int_equal(
		sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	value = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return value;
}

static void same_rows(struct rig *rig, sqlite3 *db)
{
	uint64_t frames = 0, registers = 0;
	sqlite3_stmt *s;

	assert_int_equal(sqlite3_prepare_v2(db,
				 "select * from accesses order by id", -1, &s,
				 NULL),
		SQLITE_OK);
	while (sqlite3_step(s) == SQLITE_ROW) {
		size_t seen = 0;

		assert_true(rig_next(rig));
		for (int i = 0; i < sqlite3_column_count(s); i++) {
			const char *name = sqlite3_column_name(s, i);
			const char *expected = rig_cell(rig, name);

			if (!expected)
				continue;
			assert_string_equal(column_text(s, i, name), expected);
			seen++;
		}
		assert_int_equal(seen, RIG_COLUMNS - 1); /* but for lanes */
		same_lanes(rig, db, sqlite3_column_int64(s, 0));
		frames += rig->record.stack ? rig->record.stack_count : 0;
		registers += rig->record.regs ? TRACE_REGS : 0;
	}
	sqlite3_finalize(s);
	assert_false(rig_next(rig));
	assert_int_equal(number(db, "select count(*) from stacks"), frames);
	assert_int_equal(
		number(db, "select count(*) from registers"), registers);
}

static void check_database(uint64_t seed)
{
	struct trace_totals totals;
	struct rig rig;
	sqlite3 *db;

	rig_init(&rig, seed);
	trace_reader_totals(rig.reader, &totals);
	assert_int_equal(rig_export(&rig, "sqlite"), CLI_OK);
	assert_int_equal(sqlite3_open_v2(rig.out, &db, SQLITE_OPEN_READONLY,
				 NULL),
		SQLITE_OK);
	same_rows(&rig, db);
	assert_int_equal(rig.accesses, totals.accesses);
	assert_int_equal(number(db, "select count(*) from events"),
		totals.records - totals.accesses);
	assert_int_equal(number(db, "select code from events"
				    " where event = 'end'"),
		-3);
	assert_int_equal(number(db, "select count(*) from ranges"), 3);
	assert_int_equal(number(db, "select started_ns from (select value as"
				    " started_ns from meta where key ="
				    " 'started_ns')"),
		1700000000000000000);
	sqlite3_close(db);
	rig_fini(&rig);
}

static void the_database_says_what_the_trace_says(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= EXPORT_SEEDS; seed++)
		check_database(seed);
}

static void a_database_that_cannot_be_written(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, 1);
	snprintf(rig.out, sizeof(rig.out), "/nonexistent/file");
	assert_int_equal(rig_export(&rig, "sqlite"), CLI_FAILED);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_database_says_what_the_trace_says),
		cmocka_unit_test(a_database_that_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
