/* SPDX-License-Identifier: MIT */
/* Places in kept memory and processes, by the names people use for them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "cli/cmd.h"
#include "cli/trace_query.h"

#define SHOWN 12 /* ranges or processes listed in a message */

/* PROGRAM!NAME+OFF+LEN, PROGRAM!FIRST..END and so on, taken apart. */
struct place_text {
	char program[64], name[160];
	bool number, device;
	uint64_t address; /* with number */
	bool has_offset, has_length;
	uint64_t offset, length;
};

static bool parse_number(const char **at, uint64_t *out)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*out = strtoull(*at, &end,
		(*at)[0] == '0' && ((*at)[1] | 32) == 'x' ? 16 : 10);
	if (errno || end == *at)
		return false;
	*at = end;
	return true;
}

static bool take_part(const char **at, const char *stop, char *out, size_t room)
{
	size_t len = strcspn(*at, stop);

	if (!len || len >= room)
		return false;
	memcpy(out, *at, len);
	out[len] = '\0';
	*at += len;
	return true;
}

/* ADDR, ADDR+LEN, FIRST..END */
static bool parse_address(const char *at, struct place_text *out)
{
	uint64_t end;

	out->number = true;
	out->has_length = true;
	out->length = 1;
	if (!parse_number(&at, &out->address))
		return false;
	if (!strncmp(at, "..", 2)) {
		at += 2;
		if (!parse_number(&at, &end) || end <= out->address)
			return false;
		out->length = end - out->address;
	} else if (*at == '+') {
		at++;
		if (!parse_number(&at, &out->length) || !out->length)
			return false;
	}
	return !*at;
}

/* NAME, NAME+OFF, NAME+OFF+LEN */
static bool parse_name(const char *at, struct place_text *out)
{
	if (!strncmp(at, "device:", 7)) {
		out->device = true;
		at += 7;
	}
	if (!take_part(&at, "+", out->name, sizeof(out->name)))
		return false;
	if (*at) {
		at++;
		out->has_offset = out->has_length = true;
		out->length = 1;
		if (!parse_number(&at, &out->offset))
			return false;
	}
	if (*at == '+') {
		at++;
		if (!parse_number(&at, &out->length) || !out->length)
			return false;
	}
	return !*at;
}

static bool parse(const char *text, struct place_text *out)
{
	*out = (struct place_text){ 0 };
	if (strchr(text, '!')) {
		if (!take_part(&text, "!", out->program, sizeof(out->program)))
			return false;
		text++;
	}
	return *text >= '0' && *text <= '9' ? parse_address(text, out)
					     : parse_name(text, out);
}

/* Names of programs are the same with and without ".elf". */
static bool same_program(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len > 4 && !strcmp(a + a_len - 4, ".elf"))
		a_len -= 4;
	if (b_len > 4 && !strcmp(b + b_len - 4, ".elf"))
		b_len -= 4;
	return a_len == b_len && !memcmp(a, b, a_len);
}

static bool in_program(const struct trace_query *q,
	const struct trace_range *range, const char *program)
{
	if (!*program)
		return true;
	return !range->device && range->program < q->meta->program_count &&
		same_program(q->meta->programs[range->program].name, program);
}

/* ---- the pieces ---- */

static bool add(struct trace_query *q, struct trace_places *places,
	const struct trace_range *range, uint64_t offset, uint64_t length)
{
	struct trace_place *at;

	if (places->count == TRACE_PLACES_MAX) {
		trace_query_fail(q, "more than %d places", TRACE_PLACES_MAX);
		return false;
	}
	at = reallocarray(places->at, places->count + 1, sizeof(*at));
	if (!at) {
		trace_query_fail(q, "out of memory");
		return false;
	}
	places->at = at;
	at[places->count++] = (struct trace_place){ range, offset, length };
	return true;
}

void trace_places_fini(struct trace_places *places)
{
	free(places->at);
	*places = (struct trace_places){ 0 };
}

bool trace_access_piece(const struct trace_range *range,
	const struct access *access, uint32_t n, struct trace_piece *out)
{
	if (n >= (access->lane_count ? access->lane_count : 1))
		return false;
	if (!access->lane_count) {
		*out = (struct trace_piece){ access->offset,
			access->kept_count, access->kept_first };
	} else {
		const struct access_lane *lane = &access->lanes[n];

		*out = (struct trace_piece){ lane->address - range->address,
			lane->size, lane->offset };
	}
	/* A trace may say anything. */
	if (out->length > access->size || out->at > access->size - out->length)
		out->length = 0;
	return true;
}

bool trace_place_cut(
	const struct trace_place *place, const struct trace_piece *piece,
	struct trace_piece *out)
{
	uint64_t first, last, end;

	if (!piece->length ||
		!checked_add(piece->offset, piece->length - 1, &last) ||
		!checked_add(place->offset, place->length - 1, &end))
		return false;
	first = piece->offset > place->offset ? piece->offset : place->offset;
	last = last < end ? last : end;
	if (first > last)
		return false;
	*out = (struct trace_piece){ first, last - first + 1,
		piece->at + (uint32_t)(first - piece->offset) };
	return true;
}

bool trace_places_touch(
	const struct trace_places *places, const struct access *access)
{
	struct trace_piece piece, part;

	for (size_t i = 0; i < places->count; i++) {
		const struct trace_place *p = &places->at[i];

		if (p->range->id != access->range)
			continue;
		for (uint32_t n = 0;
			trace_access_piece(p->range, access, n, &piece); n++)
			if (trace_place_cut(p, &piece, &part))
				return true;
	}
	return false;
}

/* The kept bytes among [address, address + length) of a program. */
static bool add_addresses(struct trace_query *q, const struct place_text *text,
	uint32_t program, uint64_t address, uint64_t length,
	struct trace_places *out)
{
	for (uint32_t i = 0; i < q->meta->range_count; i++) {
		const struct trace_range *r = &q->meta->ranges[i];
		uint64_t first, last;

		if (r->device || !r->length || !length ||
			!in_program(q, r, text->program) ||
			(program != UINT32_MAX && r->program != program))
			continue;
		first = r->address > address ? r->address : address;
		last = r->address + (r->length - 1);
		if (address + (length - 1) < last)
			last = address + (length - 1);
		if (first <= last &&
			!add(q, out, r, first - r->address, last - first + 1))
			return false;
	}
	return true;
}

static bool is_called(const struct trace_query *q,
	const struct trace_range *range, const struct place_text *text)
{
	const char *name = range->name, *bang = strchr(name, '!');
	size_t len = strlen(text->name);

	if (!in_program(q, range, text->program))
		return false;
	if (range->device) {
		if (!strncmp(name, "device:", 7))
			name += 7;
		else if (text->device)
			return false;
		return !strncmp(name, text->name, len) &&
			(!name[len] || name[len] == '+');
	}
	return !text->device && !strcmp(bang ? bang + 1 : name, text->name);
}

/* The ranges of that name. */
static bool add_named(struct trace_query *q, const struct place_text *text,
	struct trace_places *out)
{
	for (uint32_t i = 0; i < q->meta->range_count; i++) {
		const struct trace_range *r = &q->meta->ranges[i];
		uint64_t length = text->has_length ? text->length : r->length;

		if (!is_called(q, r, text) || text->offset >= r->length)
			continue;
		if (length > r->length - text->offset)
			length = r->length - text->offset;
		if (!add(q, out, r, text->offset, length))
			return false;
	}
	return true;
}

/* Variables and members, by the programs' files. */
static bool add_symbols(struct trace_query *q, const struct place_text *text,
	struct trace_places *out)
{
	for (uint32_t i = 0; i < q->meta->program_count; i++) {
		struct image_symbol symbol = { 0 };
		uint64_t length, address;

		if (!q->images[i] || text->device ||
			(*text->program &&
				!same_program(q->meta->programs[i].name,
					text->program)))
			continue;
		if (!image_find_symbol(q->images[i], text->name, &symbol) &&
			image_find_field(q->images[i], text->name,
				&symbol.address, &symbol.size, NULL))
			continue;
		length = text->has_length ? text->length :
			symbol.size	  ? symbol.size :
					    1;
		if (checked_add(symbol.address, text->offset, &address) &&
			!add_addresses(q, text, i, address, length, out))
			return false;
	}
	return true;
}

static bool add_exact(
	struct trace_query *q, const char *text, struct trace_places *out)
{
	for (uint32_t i = 0; i < q->meta->range_count; i++) {
		const struct trace_range *r = &q->meta->ranges[i];

		if (!strcmp(r->name, text) && !add(q, out, r, 0, r->length))
			return false;
	}
	return true;
}

static void describe_ranges(const struct trace_query *q, struct buf *out)
{
	uint32_t count = q->meta->range_count;

	for (uint32_t i = 0; i < count && i < SHOWN; i++) {
		const struct trace_range *r = &q->meta->ranges[i];

		buf_add_str(out, i ? ", " : "");
		trace_add_clean(out, r->name, strlen(r->name));
		if (!r->device)
			buf_printf(out, " (0x%" PRIx64 "+%" PRIu64 ")",
				r->address, r->length);
	}
	if (count > SHOWN)
		buf_printf(out, " and %" PRIu32 " more", count - SHOWN);
	if (!count)
		buf_add_str(out, "none");
}

bool trace_query_places(
	struct trace_query *q, const char *text, struct trace_places *out)
{
	size_t before = out->count;
	struct place_text parts;
	struct buf known = BUF_INIT;

	if (!add_exact(q, text, out))
		return false;
	if (out->count == before && parse(text, &parts)) {
		if (parts.number) {
			if (!add_addresses(q, &parts, UINT32_MAX,
				    parts.address, parts.length, out))
				return false;
		} else if (!add_named(q, &parts, out) ||
			(out->count == before &&
				!add_symbols(q, &parts, out))) {
			return false;
		}
	}
	if (out->count > before)
		return true;
	describe_ranges(q, &known);
	trace_query_fail(q, "`%s' names no kept bytes; the ranges of %s: %s",
		text, q->path, buf_str(&known));
	buf_fini(&known);
	return false;
}

/* ---- single ones ---- */

const struct trace_range *trace_query_range(
	const struct trace_query *q, uint32_t id)
{
	const struct trace_meta *meta = q->meta;

	if (id < meta->range_count && meta->ranges[id].id == id)
		return &meta->ranges[id];
	for (uint32_t i = 0; i < meta->range_count; i++)
		if (meta->ranges[i].id == id)
			return &meta->ranges[i];
	return NULL;
}

void trace_place_describe(
	const struct trace_range *range, uint64_t offset, struct buf *out)
{
	const char *name = range ? range->name : "?";
	bool bracket = strchr(name, '+') || strstr(name, "..");

	buf_add_str(out, bracket ? "[" : "");
	trace_add_clean(out, name, strlen(name));
	buf_add_str(out, bracket ? "]" : "");
	if (offset)
		buf_printf(out, "+0x%" PRIx64, offset);
}

static void unknown_process(struct trace_query *q, const char *text,
	const char *what)
{
	const struct trace_process *p;
	struct buf known = BUF_INIT;
	size_t i = 0;

	for (; (p = trace_reader_process(q->reader, i)); i++) {
		if (i >= SHOWN)
			continue;
		buf_add_str(&known, i ? ", " : "");
		trace_add_clean(&known, p->name, strlen(p->name));
		buf_printf(&known, "#%" PRIu64, p->id);
	}
	if (i > SHOWN)
		buf_printf(&known, " and %zu more", i - SHOWN);
	trace_query_fail(q, "%s `%s'; the processes of %s: %s", what, text,
		q->path, i ? buf_str(&known) : "none");
	buf_fini(&known);
}

bool trace_query_process(
	struct trace_query *q, const char *text, uint64_t *out_id)
{
	const struct trace_process *p;
	const char *number = text;
	uint64_t id = 0, matches = 0;
	bool is_id;

	*out_id = 0;
	if (!text)
		return true;
	is_id = parse_number(&number, &id) && !*number;
	for (size_t i = 0; (p = trace_reader_process(q->reader, i)); i++) {
		if (is_id ? p->id != id : !same_program(p->name, text))
			continue;
		if (!matches || p->id != *out_id)
			matches++;
		*out_id = p->id;
	}
	if (matches == 1)
		return true;
	unknown_process(q, text,
		matches ? "say by its number which process is" :
			  "there is no process");
	return false;
}
