/* SPDX-License-Identifier: MIT */
/*
 * Lines for people:
 *
 *	seq [process#id:cpuN] kind range+offset size values outcome  ip symbol
 *	(file:line in inlined < functions)  instruction  ; field
 *
 * Columns start where the constants below say; a field that is too long for
 * its column pushes the rest of its line to the right and no other line.
 */
#include "trace/sink_impl.h"

#include <inttypes.h>
#include <string.h>

#define COLUMN_WHO 8
#define COLUMN_KIND 29
#define COLUMN_PLACE 40
#define COLUMN_VALUES 60
#define COLUMN_SITE 87

#define TEXT_BYTES_MAX 64 /* of one value; longer ones are cut */

uint64_t sink_number(const uint8_t *bytes, uint32_t size)
{
	uint64_t value = 0;

	memcpy(&value, bytes, size < sizeof(value) ? size : sizeof(value));
	return value;
}

/* C0 controls, DEL, and C1 controls in their UTF-8 form (c2 80 to c2 9f). */
static bool is_control(const char *text, size_t i, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;

	if (p[i] < 0x20 || p[i] == 0x7f)
		return true;
	if (p[i] == 0xc2 && i + 1 < len)
		return p[i + 1] >= 0x80 && p[i + 1] < 0xa0;
	return false;
}

void trace_add_clean(struct buf *out, const char *text, size_t len)
{
	size_t start = 0;

	for (size_t i = 0; i < len; i++) {
		if (!is_control(text, i, len))
			continue;
		buf_add(out, text + start, i - start);
		buf_printf(out, "\\x%02x", (unsigned char)text[i]);
		start = i + 1;
	}
	buf_add(out, text + start, len - start);
}

static void add_clean_str(struct buf *out, const char *text)
{
	trace_add_clean(out, text, strlen(text));
}

/* Go to column of the line that began at start: one space at least. */
static void to_column(struct buf *out, size_t start, size_t column)
{
	static const char spaces[] = "                                        ";
	size_t used = out->len - start;
	size_t n = used < column ? column - used : 1;

	buf_add(out, spaces, n < sizeof(spaces) ? n : sizeof(spaces) - 1);
}

static void add_value(struct buf *out, const uint8_t *bytes, uint32_t size)
{
	if (size <= 8) {
		buf_add_number(out, sink_number(bytes, size));
	} else if (size <= TEXT_BYTES_MAX) {
		buf_add_hex(out, bytes, size);
	} else {
		buf_add_hex(out, bytes, TEXT_BYTES_MAX);
		buf_add_str(out, "...");
	}
}

/* Does what happened differ from what the instruction asked for, in a value
 * that the outcome's name alone does not tell? */
static bool shows_final(const struct access *access, enum outcome outcome,
	const uint8_t *final_bytes)
{
	const uint8_t *asked = access->new_bytes;

	if (outcome != OUTCOME_PASS && outcome != OUTCOME_SERVE &&
		outcome != OUTCOME_STEP)
		return false;
	if (!asked)
		asked = access->old_bytes;
	return final_bytes &&
		(!asked || memcmp(asked, final_bytes, access->size) != 0);
}

static void add_values(struct buf *out, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	if (access->old_bytes)
		add_value(out, access->old_bytes, access->size);
	if (access->new_bytes) {
		buf_add_str(out, access->old_bytes ? " -> " : "-> ");
		add_value(out, access->new_bytes, access->size);
	}
	if (shows_final(access, outcome, final_bytes)) {
		buf_add_str(out, " => ");
		add_value(out, final_bytes, access->size);
	}
	if (outcome == OUTCOME_PASS)
		return;
	buf_add_char(out, ' ');
	buf_add_str(out, outcome_name(outcome));
}

static void add_who(struct buf *out, const struct access *access)
{
	buf_add_char(out, '[');
	add_clean_str(out, access->process_name);
	if (access->process) {
		buf_add_char(out, '#');
		buf_add_decimal(out, access->process);
	}
	buf_add_str(out, ":cpu");
	buf_add_decimal(out, access->cpu);
	buf_add_char(out, ']');
}

/* Names that hold an operator themselves are bracketed. */
static void add_place(struct buf *out, const struct access *access)
{
	const char *name = access->range_name ? access->range_name : "?";
	bool bracket = strchr(name, '+') || strstr(name, "..");

	if (bracket)
		buf_add_char(out, '[');
	add_clean_str(out, name);
	if (bracket)
		buf_add_char(out, ']');
	buf_add_char(out, '+');
	if (access->offset)
		buf_add_number(out, access->offset);
	else
		buf_add_char(out, '0');
	buf_add_char(out, ' ');
	if (access->kept_count < access->size) {
		buf_add_decimal(out, access->kept_count);
		buf_add_str(out, " of ");
	}
	buf_add_decimal(out, access->size);
	if (access->lane_count > 1)
		buf_printf(out, " in %" PRIu32 " lanes", access->lane_count);
}

static void add_line(const struct access *access, enum outcome outcome,
	const uint8_t *final_bytes, const struct buf *site,
	const struct buf *field, struct buf *out)
{
	size_t start = out->len;
	char seq[24];

	snprintf(seq, sizeof(seq), "%7" PRIu64, access->seq);
	buf_add_str(out, seq);
	to_column(out, start, COLUMN_WHO);
	add_who(out, access);
	to_column(out, start, COLUMN_KIND);
	if (access->atomic)
		buf_add_str(out, "atomic ");
	buf_add_str(out, access_kind_name(access->kind));
	to_column(out, start, COLUMN_PLACE);
	add_place(out, access);
	to_column(out, start, COLUMN_VALUES);
	add_values(out, access, outcome, final_bytes);
	to_column(out, start, COLUMN_SITE);
	buf_add(out, site->data, site->len);
	if (field->len) {
		buf_add_str(out, "  ; ");
		trace_add_clean(out, field->data, field->len);
	}
}

static void text_access(const struct access *access, enum outcome outcome,
	const uint8_t *final_bytes, const struct buf *site,
	const struct buf *field, struct buf *out)
{
	add_line(access, outcome, final_bytes, site, field, out);
	buf_add_char(out, '\n');
}

static void add_symbol(const struct trace_names *names,
	const struct access *access, struct buf *out)
{
	struct buf word = BUF_INIT;

	if (!names->symbol)
		return;
	names->symbol(names->ctx, access->process, access->ip, &word);
	/* Without a symbol it is the address, which is there already. */
	if (word.len && strncmp(buf_str(&word), "0x", 2)) {
		buf_add_char(out, ' ');
		trace_add_clean(out, word.data, word.len);
	}
	buf_fini(&word);
}

static void add_inlined(const struct trace_names *names,
	const struct access *access, struct buf *out)
{
	struct buf word = BUF_INIT;

	if (!names->inlined)
		return;
	names->inlined(names->ctx, access->process, access->ip, &word);
	if (word.len) {
		buf_add_str(out, " in ");
		trace_add_clean(out, word.data, word.len);
	}
	buf_fini(&word);
}

void sink_name_field(const struct trace_names *names,
	const struct access *access, struct buf *field)
{
	buf_reset(field);
	if (names && names->data && !access->lane_count)
		names->data(names->ctx, access->process,
			access->address + access->kept_first,
			access->kept_count, field);
}

static void text_site(const struct trace_names *names,
	const struct access *access, struct buf *out)
{
	struct buf word = BUF_INIT;

	buf_add_number(out, access->ip);
	if (!names)
		return;
	add_symbol(names, access, out);
	if (names->line)
		names->line(names->ctx, access->process, access->ip, &word);
	if (word.len) {
		buf_add_str(out, " (");
		trace_add_clean(out, word.data, word.len);
		add_inlined(names, access, out);
		buf_add_char(out, ')');
	}
	buf_reset(&word);
	if (access->insn && names->text)
		names->text(names->ctx, access->insn, access->insn_len,
			access->ip, &word);
	if (word.len) {
		buf_add_str(out, "  ");
		trace_add_clean(out, word.data, word.len);
	}
	buf_fini(&word);
}

/* "process_start" as people write it. */
static void add_words(const char *kind, struct buf *out)
{
	for (; *kind; kind++)
		trace_add_clean(out, *kind == '_' ? " " : kind, 1);
}

/* A note may be several lines of the caller's: each becomes one of ours. */
static void text_note(const char *kind, const char *text, struct buf *out)
{
	do {
		size_t len = strcspn(text, "\n");

		buf_add_str(out, "-- ");
		add_words(kind, out);
		buf_add_str(out, ": ");
		trace_add_clean(out, text, len);
		buf_add_char(out, '\n');
		text += len;
		text += *text == '\n';
	} while (*text);
}

void trace_access_text(const struct access *access, enum outcome outcome,
	const uint8_t *final_bytes, const struct trace_names *names,
	struct buf *out)
{
	struct buf site = BUF_INIT, field = BUF_INIT;

	text_site(names, access, &site);
	sink_name_field(names, access, &field);
	add_line(access, outcome, final_bytes, &site, &field, out);
	buf_fini(&site);
	buf_fini(&field);
}

const struct sink_format sink_format_text = {
	.site = text_site,
	.access = text_access,
	.note = text_note,
};
