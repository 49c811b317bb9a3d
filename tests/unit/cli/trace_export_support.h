/* SPDX-License-Identifier: MIT */
/* What an exported access must say, told by the trace and not by exporters. */
#ifndef CUSTOS_TESTS_TRACE_EXPORT_SUPPORT_H
#define CUSTOS_TESTS_TRACE_EXPORT_SUPPORT_H

#include <custos/trace.h>

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cmd.h"
#include "cli/trace.h"
#include "tests/support/tests.h"
#include "tests/support/trace_random.h"

#define CELL_MAX 16384
#define EXPORT_RECORDS 300
#define EXPORT_SEEDS 12

struct rig {
	char trace[64], out[64];
	struct trace_reader *reader;
	struct trace_record record;
	uint64_t accesses;
};

static inline void rig_open(struct rig *rig)
{
	struct error err = { 0 };

	if (trace_reader_open(rig->trace, &rig->reader, &err))
		fail_msg("%s", err.text);
}

static inline void rig_init(struct rig *rig, uint64_t seed)
{
	*rig = (struct rig){ 0 };
	snprintf(rig->trace, sizeof(rig->trace), "/tmp/custos-export-%d",
		(int)getpid());
	snprintf(rig->out, sizeof(rig->out), "/tmp/custos-export-%d.out",
		(int)getpid());
	trace_random_write(rig->trace, seed, EXPORT_RECORDS);
	rig_open(rig);
}

static inline void rig_fini(struct rig *rig)
{
	trace_reader_close(rig->reader);
	unlink(rig->trace);
	unlink(rig->out);
}

static inline int rig_export(struct rig *rig, const char *format)
{
	char *argv[] = { "custos trace export", (char *)(uintptr_t)format,
		rig->trace, "-o", rig->out, NULL };

	optind = 0;
	return trace_export_run(5, argv);
}

/* The next access of the trace; false: there are no more. */
static inline bool rig_next(struct rig *rig)
{
	struct error err = { 0 };
	int ret;

	while ((ret = trace_reader_next(rig->reader, &rig->record, &err)) == 1)
		if (rig->record.kind == TRACE_ACCESS) {
			rig->accesses++;
			return true;
		}
	assert_int_equal(ret, 0);
	return false;
}

static inline void cell_value(
	char *cell, const uint8_t *bytes, uint32_t size)
{
	uint64_t value = 0;

	cell[0] = '\0';
	if (bytes && size <= 8) {
		for (uint32_t i = size; i-- > 0;)
			value = value << 8 | bytes[i];
		sprintf(cell, "0x%" PRIx64, value);
	} else if (bytes) {
		for (uint32_t i = 0; i < size; i++)
			sprintf(cell + 2 * i, "%02x", bytes[i]);
	}
}

/* What column must hold; NULL: no such column. "" for what is not known. */
static inline const char *rig_cell(struct rig *rig, const char *column)
{
	static char cell[CELL_MAX];
	const struct access *a = &rig->record.access;
	const struct trace_site *site =
		trace_reader_site(rig->reader, rig->record.site);
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{ "seq", a->seq }, { "ts", rig->record.time_ns },
		{ "pid", a->process }, { "cpu", a->cpu }, { "size", a->size },
		{ "offset", a->offset }, { "atomic", a->atomic },
		{ "kept_first", a->kept_first },
		{ "kept_count", a->kept_count },
	}, addresses[] = { { "ip", a->ip }, { "address", a->address } };
	const struct {
		const char *name, *value;
	} words[] = {
		{ "process", a->process_name },
		{ "kind", access_kind_name(a->kind) },
		{ "verdict", outcome_name(rig->record.outcome) },
		{ "range", a->range_name }, { "symbol", site->symbol },
		{ "line", site->line }, { "text", site->text },
	};
	const struct {
		const char *name;
		const uint8_t *value;
	} values[] = {
		{ "old", a->old_bytes }, { "new", a->new_bytes },
		{ "final", rig->record.final_bytes },
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (!strcmp(column, numbers[i].name)) {
			sprintf(cell, "%" PRIu64, numbers[i].value);
			return cell;
		}
	for (size_t i = 0; i < 2; i++)
		if (!strcmp(column, addresses[i].name)) {
			sprintf(cell, "0x%" PRIx64, addresses[i].value);
			return cell;
		}
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(column, words[i].name))
			return words[i].value;
	for (size_t i = 0; i < 3; i++)
		if (!strcmp(column, values[i].name)) {
			cell_value(cell, values[i].value, a->size);
			return cell;
		}
	if (strcmp(column, "lanes"))
		return NULL;
	cell[0] = '\0';
	for (uint32_t i = 0; i < a->lane_count; i++)
		sprintf(cell + strlen(cell), "%s0x%" PRIx64 "+%u@%u",
			i ? " " : "", a->lanes[i].address, a->lanes[i].size,
			a->lanes[i].offset);
	return cell;
}

static const char *const rig_columns[] = { "seq", "ts", "pid", "process", "cpu",
	"ip", "address", "size", "kind", "old", "new", "final", "verdict",
	"range", "offset", "symbol", "line", "atomic", "kept_first",
	"kept_count", "lanes", "text" };
#define RIG_COLUMNS (sizeof(rig_columns) / sizeof(*rig_columns))

#endif
