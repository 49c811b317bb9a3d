/* SPDX-License-Identifier: MIT */
/*
 * JSON lines for programs: one object a line, every key always there, null
 * where there is nothing to say. Numbers that may exceed 2^53 (addresses,
 * values) are strings: "0x..." for at most 8 bytes, else two hex digits per
 * byte in memory order.
 */
#include "trace/sink_impl.h"

#include <string.h>

static void add_string(struct buf *out, const char *text)
{
	buf_add_json(out, text, strlen(text));
}

static void add_number_string(struct buf *out, uint64_t value)
{
	buf_add_char(out, '"');
	buf_add_number(out, value);
	buf_add_char(out, '"');
}

static void key_decimal(struct buf *out, const char *key, uint64_t value)
{
	buf_add_str(out, key);
	buf_add_decimal(out, value);
}

static void key_address(struct buf *out, const char *key, uint64_t value)
{
	buf_add_str(out, key);
	add_number_string(out, value);
}

static void key_value(
	struct buf *out, const char *key, const uint8_t *bytes, uint32_t size)
{
	buf_add_str(out, key);
	if (!bytes) {
		buf_add_str(out, "null");
	} else if (size <= 8) {
		add_number_string(out, sink_number(bytes, size));
	} else {
		buf_add_char(out, '"');
		buf_add_hex(out, bytes, size);
		buf_add_char(out, '"');
	}
}

static void add_lanes(struct buf *out, const struct access *access)
{
	buf_add_str(out, ",\"lanes\":");
	if (!access->lanes) {
		buf_add_str(out, "null");
		return;
	}
	for (uint32_t i = 0; i < access->lane_count; i++) {
		const struct access_lane *lane = &access->lanes[i];

		buf_add_char(out, i ? ',' : '[');
		key_address(out, "{\"address\":", lane->address);
		key_decimal(out, ",\"size\":", lane->size);
		key_decimal(out, ",\"at\":", lane->offset);
		buf_add_char(out, '}');
	}
	buf_add_str(out, access->lane_count ? "]" : "[]");
}

static void add_what(struct buf *out, const struct access *access)
{
	key_decimal(out, "{\"event\":\"access\",\"seq\":", access->seq);
	buf_add_str(out, ",\"kind\":\"");
	buf_add_str(out, access_kind_name(access->kind));
	buf_add_str(out, access->atomic ? "\",\"atomic\":true"
					: "\",\"atomic\":false");
	key_address(out, ",\"address\":", access->address);
	key_decimal(out, ",\"size\":", access->size);
	buf_add_str(out, ",\"range\":");
	add_string(out, access->range_name ? access->range_name : "");
	key_decimal(out, ",\"offset\":", access->offset);
	key_decimal(out, ",\"kept_first\":", access->kept_first);
	key_decimal(out, ",\"kept_count\":", access->kept_count);
}

static void json_access(const struct access *access, enum outcome outcome,
	const uint8_t *final_bytes, const struct buf *site,
	const struct buf *field, struct buf *out)
{
	add_what(out, access);
	buf_add_str(out, ",\"field\":");
	if (field->len)
		buf_add_json(out, field->data, field->len);
	else
		buf_add_str(out, "null");
	key_value(out, ",\"old\":", access->old_bytes, access->size);
	key_value(out, ",\"new\":", access->new_bytes, access->size);
	key_value(out, ",\"final\":", final_bytes, access->size);
	buf_add_str(out, ",\"outcome\":\"");
	buf_add_str(out, outcome_name(outcome));
	buf_add_str(out, "\",\"process\":");
	add_string(out, access->process_name);
	key_decimal(out, ",\"pid\":", access->process);
	key_decimal(out, ",\"cpu\":", access->cpu);
	buf_add(out, site->data, site->len);
	add_lanes(out, access);
	buf_add_str(out, "}\n");
}

/* word, when something was put into it, as a string; then empty it. */
static void take_word(struct buf *out, const char *key, struct buf *word)
{
	buf_add_str(out, key);
	if (word->len)
		buf_add_json(out, word->data, word->len);
	else
		buf_add_str(out, "null");
	buf_reset(word);
}

static void json_site(const struct trace_names *names,
	const struct access *access, struct buf *out)
{
	static const struct trace_names none;
	const struct trace_names *n = names ? names : &none;
	struct buf word = BUF_INIT;

	key_address(out, ",\"ip\":", access->ip);
	if (n->symbol)
		n->symbol(n->ctx, access->process, access->ip, &word);
	take_word(out, ",\"symbol\":", &word);
	if (n->line)
		n->line(n->ctx, access->process, access->ip, &word);
	take_word(out, ",\"line\":", &word);
	if (n->inlined)
		n->inlined(n->ctx, access->process, access->ip, &word);
	take_word(out, ",\"inlined\":", &word);
	if (access->insn)
		buf_add_hex(&word, access->insn, access->insn_len);
	take_word(out, ",\"insn\":", &word);
	if (n->text && access->insn)
		n->text(n->ctx, access->insn, access->insn_len, access->ip,
			&word);
	take_word(out, ",\"text\":", &word);
	buf_fini(&word);
}

static void json_note(const char *kind, const char *text, struct buf *out)
{
	buf_add_str(out, "{\"event\":");
	add_string(out, kind);
	buf_add_str(out, ",\"text\":");
	add_string(out, text);
	buf_add_str(out, "}\n");
}

const struct sink_format sink_format_json = {
	.site = json_site,
	.access = json_access,
	.note = json_note,
};
