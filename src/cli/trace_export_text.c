/* SPDX-License-Identifier: MIT */
/*
 * JSON lines, CSV and TSV from one table of columns. Names, order and meaning
 * of columns are promised in custos-trace(1): new ones are added at the end.
 */
#include <inttypes.h>
#include <string.h>

#include "cli/trace_export.h"

struct row {
	const struct trace_record *record;
	const struct access *access;
	const struct trace_site *site;
};

enum column_type { NUMBER, TEXT };

/* add() returns false where there is nothing to say. */
struct column {
	const char *name;
	enum column_type type;
	bool (*add)(const struct row *row, struct buf *out);
};

static bool add_decimal(struct buf *out, uint64_t value)
{
	buf_add_decimal(out, value);
	return true;
}

static bool add_address(struct buf *out, uint64_t value)
{
	buf_add_number(out, value);
	return true;
}

static bool add_word(struct buf *out, const char *word)
{
	if (word)
		buf_add_str(out, word);
	return word && *word;
}

static bool add_bytes(
	const struct row *row, struct buf *out, const uint8_t *bytes)
{
	if (bytes)
		trace_export_value(out, bytes, row->access->size);
	return bytes != NULL;
}

#define COLUMN(column, expression) \
	static bool add_##column(const struct row *row, struct buf *out) \
	{ \
		return expression; \
	}

COLUMN(seq, add_decimal(out, row->record->seq))
COLUMN(ts, add_decimal(out, row->record->time_ns))
COLUMN(pid, add_decimal(out, row->access->process))
COLUMN(process, add_word(out, row->access->process_name))
COLUMN(cpu, add_decimal(out, row->access->cpu))
COLUMN(ip, add_address(out, row->access->ip))
COLUMN(place, add_address(out, row->access->address))
COLUMN(size, add_decimal(out, row->access->size))
COLUMN(kind, add_word(out, access_kind_name(row->access->kind)))
COLUMN(old, add_bytes(row, out, row->access->old_bytes))
COLUMN(new, add_bytes(row, out, row->access->new_bytes))
COLUMN(final, add_bytes(row, out, row->record->final_bytes))
COLUMN(verdict, add_word(out, outcome_name(row->record->outcome)))
COLUMN(range, add_word(out, row->access->range_name))
COLUMN(offset, add_decimal(out, row->access->offset))
COLUMN(symbol, add_word(out, row->site->symbol))
COLUMN(line, add_word(out, row->site->line))
COLUMN(atomic, add_decimal(out, row->access->atomic))
COLUMN(kept_first, add_decimal(out, row->access->kept_first))
COLUMN(kept_count, add_decimal(out, row->access->kept_count))
COLUMN(text, add_word(out, row->site->text))

static bool add_lanes(const struct row *row, struct buf *out)
{
	const struct access *a = row->access;

	for (uint32_t i = 0; i < a->lane_count; i++)
		buf_printf(out, "%s0x%" PRIx64 "+%" PRIu32 "@%" PRIu32,
			i ? " " : "", a->lanes[i].address, a->lanes[i].size,
			a->lanes[i].offset);
	return a->lane_count != 0;
}

static const struct column columns[] = {
	{ "seq", NUMBER, add_seq },
	{ "ts", NUMBER, add_ts },
	{ "pid", NUMBER, add_pid },
	{ "process", TEXT, add_process },
	{ "cpu", NUMBER, add_cpu },
	{ "ip", TEXT, add_ip },
	{ "address", TEXT, add_place },
	{ "size", NUMBER, add_size },
	{ "kind", TEXT, add_kind },
	{ "old", TEXT, add_old },
	{ "new", TEXT, add_new },
	{ "final", TEXT, add_final },
	{ "verdict", TEXT, add_verdict },
	{ "range", TEXT, add_range },
	{ "offset", NUMBER, add_offset },
	{ "symbol", TEXT, add_symbol },
	{ "line", TEXT, add_line },
	{ "atomic", NUMBER, add_atomic },
	{ "kept_first", NUMBER, add_kept_first },
	{ "kept_count", NUMBER, add_kept_count },
	{ "lanes", TEXT, add_lanes },
	{ "text", TEXT, add_text },
};
#define COLUMNS (sizeof(columns) / sizeof(*columns))

static struct row make_row(
	struct trace_export *e, const struct trace_record *record)
{
	return (struct row){ record, &record->access,
		trace_export_site(e->reader, record->site) };
}

/* ---- JSON lines ---- */

/* Parsers keep 53 bits of a number: larger ones are strings. */
#define JSON_DIGITS 15

static void json_number(struct buf *out, const char *digits, size_t len)
{
	if (len > JSON_DIGITS)
		buf_add_json(out, digits, len);
	else
		buf_add(out, digits, len);
}

static void json_key(struct buf *out, const char *key)
{
	buf_add_str(out, ",\"");
	buf_add_str(out, key);
	buf_add_str(out, "\":");
}

static void json_decimal(struct buf *out, const char *key, uint64_t value)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, value);

	json_key(out, key);
	json_number(out, digits, (size_t)len);
}

static void json_text(struct buf *out, const char *key, const char *text)
{
	json_key(out, key);
	if (text)
		buf_add_json(out, text, strlen(text));
	else
		buf_add_str(out, "null");
}

static void json_access(struct trace_export *e, const struct row *row)
{
	struct buf *cell = &e->cell;

	for (size_t i = 0; i < COLUMNS; i++) {
		buf_reset(cell);
		json_key(&e->text, columns[i].name);
		if (!columns[i].add(row, cell))
			buf_add_str(&e->text, "null");
		else if (columns[i].type == NUMBER)
			json_number(&e->text, cell->data, cell->len);
		else
			buf_add_json(&e->text, cell->data, cell->len);
		e->text.failed |= cell->failed;
	}
}

static const char *range_name(const struct trace_export *e, uint32_t id)
{
	for (uint32_t i = 0; i < e->meta->range_count; i++)
		if (e->meta->ranges[i].id == id)
			return e->meta->ranges[i].name;
	return NULL;
}

static void json_bound(struct trace_export *e, const struct trace_record *r)
{
	json_decimal(&e->text, "pid", r->process);
	json_text(&e->text, "range", range_name(e, r->range));
	json_decimal(&e->text, "offset", r->offset);
	json_decimal(&e->text, "size", r->size);
	if (r->kind != TRACE_BIND)
		return;
	if (r->frame)
		json_decimal(&e->text, "frame", r->frame);
	json_key(&e->text, "bytes");
	if (!r->bytes) {
		buf_add_str(&e->text, "null");
		return;
	}
	buf_add_char(&e->text, '"');
	buf_add_hex(&e->text, r->bytes, r->size);
	buf_add_char(&e->text, '"');
}

static void json_event(struct trace_export *e, const struct trace_record *r)
{
	json_decimal(&e->text, "seq", r->seq);
	json_decimal(&e->text, "ts", r->time_ns);
	switch (r->kind) {
	case TRACE_PROCESS_START:
		json_decimal(&e->text, "pid", r->process);
		json_text(&e->text, "process", r->process_name);
		break;
	case TRACE_PROCESS_EXIT:
		json_decimal(&e->text, "pid", r->process);
		buf_printf(&e->text, ",\"code\":\"%" PRId64 "\"", r->exit_code);
		break;
	case TRACE_BIND:
	case TRACE_UNBIND:
		json_bound(e, r);
		break;
	case TRACE_LOST:
		json_decimal(&e->text, "count", r->count);
		json_text(&e->text, "text", r->text);
		break;
	case TRACE_MARKER:
		if (r->process) {
			json_decimal(&e->text, "pid", r->process);
			json_text(&e->text, "process", r->process_name);
		}
		json_text(&e->text, "text", r->text);
		break;
	case TRACE_END:
		buf_printf(&e->text, ",\"code\":\"%" PRId64 "\"", r->exit_code);
		break;
	case TRACE_ACCESS:
	case TRACE_KIND_MAX:
		break;
	}
}

int trace_jsonl_record(struct trace_export *e,
	const struct trace_record *record, struct error *err)
{
	(void)err;
	buf_printf(&e->text, "{\"event\":\"%s\"",
		trace_export_event(record->kind));
	if (record->kind == TRACE_ACCESS) {
		struct row row = make_row(e, record);

		json_access(e, &row);
	} else {
		json_event(e, record);
	}
	buf_add_str(&e->text, "}\n");
	return 0;
}

/* ---- CSV and TSV ---- */

void trace_export_csv_cell(struct buf *out, const char *text, size_t len)
{
	bool plain = true;

	for (size_t i = 0; i < len; i++)
		plain &= text[i] != ',' && text[i] != '"' && text[i] != '\n' &&
			text[i] != '\r';
	if (plain) {
		buf_add(out, text, len);
		return;
	}
	buf_add_char(out, '"');
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"')
			buf_add_char(out, '"');
		buf_add_char(out, text[i]);
	}
	buf_add_char(out, '"');
}

void trace_export_tsv_cell(struct buf *out, const char *text, size_t len)
{
	static const char special[] = "\t\n\r\\", letters[] = "tnr\\";

	size_t done = 0;

	for (size_t i = 0; i < len; i++) {
		const char *at = text[i] > '\r' && text[i] != '\\' ?
			NULL :
			memchr(special, text[i], sizeof(special) - 1);

		if (!at)
			continue;
		buf_add(out, text + done, i - done);
		buf_add_char(out, '\\');
		buf_add_char(out, letters[at - special]);
		done = i + 1;
	}
	buf_add(out, text + done, len - done);
}

static int begin(struct trace_export *e, char between)
{
	for (size_t i = 0; i < COLUMNS; i++) {
		if (i)
			buf_add_char(&e->text, between);
		buf_add_str(&e->text, columns[i].name);
	}
	buf_add_char(&e->text, '\n');
	return 0;
}

int trace_csv_begin(struct trace_export *e, struct error *err)
{
	(void)err;
	return begin(e, ',');
}

int trace_tsv_begin(struct trace_export *e, struct error *err)
{
	(void)err;
	return begin(e, '\t');
}

static int add_cells(struct trace_export *e, const struct trace_record *record,
	char between, void (*add)(struct buf *, const char *, size_t))
{
	struct row row = make_row(e, record);
	struct buf *cell = &e->cell;

	for (size_t i = 0; i < COLUMNS && record->kind == TRACE_ACCESS; i++) {
		buf_reset(cell);
		if (i)
			buf_add_char(&e->text, between);
		if (columns[i].type == NUMBER)
			columns[i].add(&row, &e->text);
		else if (columns[i].add(&row, cell))
			add(&e->text, cell->data, cell->len);
		e->text.failed |= cell->failed;
	}
	if (record->kind == TRACE_ACCESS)
		buf_add_char(&e->text, '\n');
	return 0;
}

int trace_csv_record(struct trace_export *e, const struct trace_record *record,
	struct error *err)
{
	(void)err;
	return add_cells(e, record, ',', trace_export_csv_cell);
}

int trace_tsv_record(struct trace_export *e, const struct trace_record *record,
	struct error *err)
{
	(void)err;
	return add_cells(e, record, '\t', trace_export_tsv_cell);
}
