/* SPDX-License-Identifier: MIT */
/* The tables: which entry is about which code. */
#include "image/cfi.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

uint64_t cfi_read(struct cfi_cursor *cursor, unsigned size)
{
	uint64_t value = 0;

	if ((size_t)(cursor->end - cursor->at) < size) {
		cursor->at = cursor->end;
		cursor->bad = true;
		return 0;
	}
	memcpy(&value, cursor->at, size);
	cursor->at += size;
	return value;
}

int64_t cfi_read_signed(struct cfi_cursor *cursor, unsigned size)
{
	unsigned unused = 64 - size * 8;

	return (int64_t)(cfi_read(cursor, size) << unused) >> unused;
}

static uint64_t read_leb(struct cfi_cursor *cursor, unsigned *out_bits)
{
	uint64_t value = 0, byte;
	unsigned shift = 0;

	do {
		byte = cfi_read(cursor, 1);
		if (shift < 64)
			value |= (byte & 0x7f) << shift;
		shift += 7;
	} while ((byte & 0x80) && shift < 70);
	cursor->bad |= (byte & 0x80) != 0;
	*out_bits = shift;
	return value;
}

uint64_t cfi_read_uleb(struct cfi_cursor *cursor)
{
	unsigned bits;

	return read_leb(cursor, &bits);
}

int64_t cfi_read_sleb(struct cfi_cursor *cursor)
{
	unsigned bits;
	uint64_t value = read_leb(cursor, &bits);

	if (bits < 64)
		return (int64_t)(value << (64 - bits)) >> (64 - bits);
	return (int64_t)value;
}

/* ---- one section ---- */

#define AUGMENTATION_MAX 16 /* letters; compilers use up to 5 */

struct section {
	const uint8_t *bytes;
	size_t size;
	uint64_t va;
	bool eh_frame;
};

/* What an entry inherits (a CIE). */
struct common {
	struct cfi_cursor instructions;
	uint64_t code_factor;
	int64_t data_factor;
	uint8_t encoding; /* of the addresses in entries */
	bool is_signal;
	bool augmented; /* entries have a length of augmentation data */
};

static uint64_t read_encoded(const struct section *section,
	struct cfi_cursor *cursor, uint8_t encoding)
{
	uint64_t place = section->va + (uint64_t)(cursor->at - section->bytes);
	uint64_t value;

	switch (encoding & 0x0f) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		value = cfi_read(cursor, 8);
		break;
	case DW_EH_PE_udata4:
		value = cfi_read(cursor, 4);
		break;
	case DW_EH_PE_sdata4:
		value = (uint64_t)cfi_read_signed(cursor, 4);
		break;
	case DW_EH_PE_udata2:
		value = cfi_read(cursor, 2);
		break;
	case DW_EH_PE_sdata2:
		value = (uint64_t)cfi_read_signed(cursor, 2);
		break;
	default:
		cursor->bad = true;
		return 0;
	}
	switch (encoding & 0xf0) {
	case 0:
		return value;
	case DW_EH_PE_pcrel:
		return value + place;
	default:
		cursor->bad = true;
		return 0;
	}
}

/* text: the augmentation's letters behind 'z'. */
static void read_augmentation(const struct section *section,
	struct cfi_cursor *cursor, const char *text, struct common *out)
{
	uint64_t len = cfi_read_uleb(cursor);
	struct cfi_cursor data = *cursor;

	if (len > (uint64_t)(cursor->end - cursor->at)) {
		cursor->bad = true;
		return;
	}
	data.end = data.at + len;
	cursor->at += len;
	out->augmented = true;
	for (; *text; text++) {
		if (*text == 'R')
			out->encoding = (uint8_t)cfi_read(&data, 1);
		else if (*text == 'P')
			/* A routine we do not want; never used indirectly. */
			read_encoded(section, &data,
				(uint8_t)cfi_read(&data, 1) & 0x0f);
		else if (*text == 'L')
			cfi_read(&data, 1);
		else if (*text == 'S')
			out->is_signal = true;
		else if (*text != 'B')
			break;
	}
	cursor->bad |= data.bad;
}

static bool read_common(const struct section *section,
	struct cfi_cursor cursor, struct common *out)
{
	unsigned version = (unsigned)cfi_read(&cursor, 1);
	const char *text = (const char *)cursor.at;
	size_t left = (size_t)(cursor.end - cursor.at);
	size_t room = left < AUGMENTATION_MAX ? left : AUGMENTATION_MAX;
	size_t len = strnlen(text, room);

	*out = (struct common){ .encoding = DW_EH_PE_absptr };
	if (len == room || (version != 1 && version != 3 && version != 4) ||
		(*text && *text != 'z' && strcmp(text, "S")))
		return false;
	cursor.at += len + 1;
	if (version == 4 && cfi_read(&cursor, 2) != 8)
		return false; /* 8-byte addresses, no segments */
	out->code_factor = cfi_read_uleb(&cursor);
	out->data_factor = cfi_read_sleb(&cursor);
	if ((version == 1 ? cfi_read(&cursor, 1) : cfi_read_uleb(&cursor)) !=
		CFI_RIP)
		return false;
	/* Assemblers write no z in .debug_frame. */
	if (*text == 'S')
		out->is_signal = true;
	else if (*text)
		read_augmentation(section, &cursor, text + 1, out);
	out->instructions = cursor;
	return !cursor.bad;
}

/* The length at the cursor's place; *out is what it spans. */
static bool read_length(struct cfi_cursor *cursor, struct cfi_cursor *out,
	unsigned *out_word)
{
	uint64_t len = cfi_read(cursor, 4);

	*out_word = 4;
	if (len == 0xffffffff) {
		len = cfi_read(cursor, 8);
		*out_word = 8;
	}
	if (cursor->bad || len > (uint64_t)(cursor->end - cursor->at))
		return false;
	*out = *cursor;
	out->end = out->at + len;
	cursor->at = out->end;
	return true;
}

/* id as written, word bytes wide, at place: is it a CIE's? */
static bool is_common(
	const struct section *section, uint64_t id, unsigned word)
{
	if (section->eh_frame)
		return id == 0;
	return id == (word == 8 ? UINT64_MAX : UINT32_MAX);
}

static bool find_common(const struct section *section, uint64_t offset,
	struct common *out)
{
	struct cfi_cursor cursor, body;
	unsigned word;

	if (offset >= section->size)
		return false;
	cursor = (struct cfi_cursor){ section->bytes + offset,
		section->bytes + section->size, false };
	if (!read_length(&cursor, &body, &word) ||
		!is_common(section, cfi_read(&body, section->eh_frame ? 4 : word),
			section->eh_frame ? 4 : word))
		return false;
	return read_common(section, body, out);
}

static bool append(struct cfi_table *table, const struct cfi_entry *entry)
{
	if (table->count == table->capacity) {
		size_t want = table->capacity ? table->capacity * 2 : 64;
		struct cfi_entry *more = reallocarray(
			table->entries, want, sizeof(*more));

		if (!more)
			return false;
		table->entries = more;
		table->capacity = want;
	}
	table->entries[table->count++] = *entry;
	return true;
}

static void add_entry(struct cfi_table *table, const struct section *section,
	struct cfi_cursor cursor, uint64_t common_offset)
{
	struct common common;
	struct cfi_entry entry;
	uint64_t len;

	if (!find_common(section, common_offset, &common))
		return;
	entry.start = read_encoded(section, &cursor, common.encoding);
	len = read_encoded(section, &cursor, common.encoding & 0x0f);
	if (common.augmented) {
		uint64_t skip = cfi_read_uleb(&cursor);

		if (skip > (uint64_t)(cursor.end - cursor.at))
			return;
		cursor.at += skip;
	}
	if (cursor.bad || !len || !checked_add(entry.start, len, &entry.end))
		return;
	entry.common = common.instructions;
	entry.own = cursor;
	entry.is_signal = common.is_signal;
	entry.code_factor = common.code_factor;
	entry.data_factor = common.data_factor;
	append(table, &entry); /* out of memory: one function less */
}

void cfi_table_add(struct cfi_table *table, const uint8_t *bytes, size_t size,
	uint64_t va, bool eh_frame)
{
	const struct section section = { bytes, size, va, eh_frame };
	struct cfi_cursor cursor = { bytes, bytes + size, false }, body;
	unsigned word;

	while (cursor.at < cursor.end && read_length(&cursor, &body, &word)) {
		uint64_t place = (uint64_t)(body.at - bytes), id;

		if (eh_frame)
			word = 4;
		if (body.at == body.end)
			continue; /* a terminator; linkers leave some inside */
		id = cfi_read(&body, word);
		if (body.bad || is_common(&section, id, word))
			continue;
		/* In .eh_frame it counts backwards from its own place; a wrap
		 * is caught as out of range. */
		add_entry(table, &section, body, eh_frame ? place - id : id);
	}
}

/* ---- all of them ---- */

static int compare(const void *a, const void *b)
{
	const struct cfi_entry *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->own.at < y->own.at ? -1 : x->own.at > y->own.at;
}

void cfi_table_sort(struct cfi_table *table)
{
	if (table->count)
		qsort(table->entries, table->count, sizeof(*table->entries),
			compare);
}

void cfi_table_fini(struct cfi_table *table)
{
	free(table->entries);
	*table = (struct cfi_table){ 0 };
}

const struct cfi_entry *cfi_table_find(
	const struct cfi_table *table, uint64_t address)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->entries[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || address >= table->entries[low - 1].end)
		return NULL;
	return &table->entries[low - 1];
}
