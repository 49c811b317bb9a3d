/* SPDX-License-Identifier: MIT */
/*
 * Trace events in JSON: a track for each range of each process, an access is a
 * slice of one nanosecond, and an arrow goes from a store to a load of the
 * same bytes by another process or CPU. Last stores are remembered in a table
 * of fixed size: of two that collide there the older one gets no arrow.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/trace_export.h"

#define STORES 65536

struct store {
	uint64_t offset, process, time_ns;
	uint32_t range;
	unsigned cpu;
	bool used;
};

struct chrome {
	struct store stores[STORES];
	uint64_t arrows;
	bool any; /* an event was written */
};

static void event_begin(struct trace_export *e)
{
	struct chrome *own = e->own;

	buf_add_str(&e->text, own->any ? ",\n{" : "{");
	own->any = true;
}

/* Microseconds, as the format wants. */
static void add_time(struct buf *out, uint64_t ns)
{
	buf_printf(out, "\"ts\":%" PRIu64 ".%03" PRIu64, ns / 1000, ns % 1000);
}

static void add_text(struct buf *out, const char *key, const char *text)
{
	buf_printf(out, "\"%s\":", key);
	buf_add_json(out, text, strlen(text));
}

/* Tracks are named by numbers, and 0 is none. */
static void add_track(struct buf *out, uint64_t process, uint64_t range)
{
	buf_printf(out, "\"pid\":%" PRIu64 ",\"tid\":%" PRIu64, process,
		range + 1);
}

static void name_process(struct trace_export *e, uint64_t id, const char *name)
{
	event_begin(e);
	buf_add_str(&e->text, "\"ph\":\"M\",\"name\":\"process_name\",");
	add_track(&e->text, id, 0);
	buf_add_str(&e->text, ",\"args\":{");
	add_text(&e->text, "name", name);
	buf_add_str(&e->text, "}}");
	for (uint32_t i = 0; i < e->meta->range_count; i++) {
		event_begin(e);
		buf_add_str(&e->text, "\"ph\":\"M\",\"name\":\"thread_name\",");
		add_track(&e->text, id, e->meta->ranges[i].id);
		buf_add_str(&e->text, ",\"args\":{");
		add_text(&e->text, "name", e->meta->ranges[i].name);
		buf_add_str(&e->text, "}}");
	}
}

int trace_chrome_begin(struct trace_export *e, struct error *err)
{
	const struct trace_process *process;

	e->own = calloc(1, sizeof(struct chrome));
	if (!e->own)
		return error_set(err, -ENOMEM, "out of memory");
	buf_add_str(&e->text,
		"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n");
	name_process(e, 0, "kernel");
	for (size_t i = 0; (process = trace_reader_process(e->reader, i)); i++)
		name_process(e, process->id, process->name);
	return 0;
}

/* ---- arrows ---- */

static struct store *store_of(struct chrome *own, const struct access *a)
{
	uint64_t hash = (a->offset ^ (uint64_t)a->range << 40) *
		UINT64_C(0x9e3779b97f4a7c15);

	return &own->stores[hash >> 48];
}

static void add_arrow(struct trace_export *e, const struct store *from,
	const struct trace_record *to)
{
	struct chrome *own = e->own;

	event_begin(e);
	buf_printf(&e->text, "\"ph\":\"s\",\"id\":%" PRIu64 ",",
		++own->arrows);
	buf_add_str(&e->text, "\"name\":\"value\",\"cat\":\"flow\",");
	add_time(&e->text, from->time_ns);
	buf_add_char(&e->text, ',');
	add_track(&e->text, from->process, from->range);
	buf_add_char(&e->text, '}');
	event_begin(e);
	buf_printf(&e->text, "\"ph\":\"f\",\"bp\":\"e\",\"id\":%" PRIu64 ",",
		own->arrows);
	buf_add_str(&e->text, "\"name\":\"value\",\"cat\":\"flow\",");
	add_time(&e->text, to->time_ns);
	buf_add_char(&e->text, ',');
	add_track(&e->text, to->access.process, to->access.range);
	buf_add_char(&e->text, '}');
}

static void follow_value(
	struct trace_export *e, const struct trace_record *record)
{
	const struct access *a = &record->access;
	struct store *store = store_of(e->own, a);

	if (access_reads(a->kind) && store->used &&
		store->range == a->range && store->offset == a->offset &&
		(store->process != a->process || store->cpu != a->cpu))
		add_arrow(e, store, record);
	if (access_writes(a->kind) && record->final_bytes)
		*store = (struct store){ a->offset, a->process,
			record->time_ns, a->range, a->cpu, true };
}

/* ---- accesses and events ---- */

static void add_value(struct trace_export *e, const char *key,
	const uint8_t *bytes, uint32_t size)
{
	if (!bytes)
		return;
	buf_printf(&e->text, ",\"%s\":\"", key);
	trace_export_value(&e->text, bytes, size);
	buf_add_char(&e->text, '"');
}

static void add_access(
	struct trace_export *e, const struct trace_record *record)
{
	const struct access *a = &record->access;
	const struct trace_site *site =
		trace_export_site(e->reader, record->site);

	event_begin(e);
	buf_printf(&e->text, "\"ph\":\"X\",\"dur\":0.001,\"name\":\"%s\",",
		access_kind_name(a->kind));
	add_text(&e->text, "cat", outcome_name(record->outcome));
	buf_add_char(&e->text, ',');
	add_time(&e->text, record->time_ns);
	buf_add_char(&e->text, ',');
	add_track(&e->text, a->process, a->range);
	buf_printf(&e->text,
		",\"args\":{\"seq\":\"%" PRIu64 "\",\"cpu\":%u,\"ip\":\"0x%"
		PRIx64 "\",\"address\":\"0x%" PRIx64 "\",\"size\":%" PRIu32
		",\"offset\":\"0x%" PRIx64 "\"",
		record->seq, a->cpu, a->ip, a->address, a->size, a->offset);
	add_value(e, "old", a->old_bytes, a->size);
	add_value(e, "new", a->new_bytes, a->size);
	add_value(e, "final", record->final_bytes, a->size);
	buf_add_char(&e->text, ',');
	add_text(&e->text, "symbol", site->symbol);
	buf_add_char(&e->text, ',');
	add_text(&e->text, "line", site->line);
	buf_add_str(&e->text, "}}");
	follow_value(e, record);
}

static void add_event(struct trace_export *e, const struct trace_record *record)
{
	event_begin(e);
	buf_add_str(&e->text, "\"ph\":\"i\",\"s\":\"g\",\"name\":");
	if (record->kind == TRACE_MARKER && record->text)
		buf_add_json(&e->text, record->text, strlen(record->text));
	else
		buf_printf(&e->text, "\"%s\"",
			trace_export_event(record->kind));
	buf_add_char(&e->text, ',');
	add_text(&e->text, "cat", trace_export_event(record->kind));
	buf_add_char(&e->text, ',');
	add_time(&e->text, record->time_ns);
	buf_printf(&e->text, ",\"pid\":%" PRIu64 ",\"tid\":1}",
		record->process);
}

int trace_chrome_record(struct trace_export *e,
	const struct trace_record *record, struct error *err)
{
	(void)err;
	if (record->kind == TRACE_ACCESS)
		add_access(e, record);
	else
		add_event(e, record);
	return 0;
}

int trace_chrome_end(struct trace_export *e, bool finished, struct error *err)
{
	(void)err;
	if (finished)
		buf_add_str(&e->text, "\n]}\n");
	free(e->own);
	return 0;
}
