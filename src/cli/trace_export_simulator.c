/* SPDX-License-Identifier: MIT */
/*
 * Text for simulators: addresses and sizes in order, no values. All of these
 * formats know whole accesses only: one that touches two ranges is two records
 * of a trace and one line here.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "cli/trace_export.h"

struct simulator {
	struct access last;
	bool has_last;
};

int trace_simulator_begin(struct trace_export *e, struct error *err)
{
	e->own = calloc(1, sizeof(struct simulator));
	return e->own ? 0 : error_set(err, -ENOMEM, "out of memory");
}

int trace_simulator_end(
	struct trace_export *e, bool finished, struct error *err)
{
	(void)finished;
	(void)err;
	free(e->own);
	return 0;
}

/* The other part of the access before it? */
static bool is_again(struct simulator *s, const struct access *a)
{
	const struct access *b = &s->last;
	bool again = s->has_last && a->seq == b->seq && a->ip == b->ip &&
		a->address == b->address && a->size == b->size &&
		a->kind == b->kind && a->process == b->process &&
		a->range != b->range;

	s->last = *a;
	s->has_last = true;
	return again;
}

struct piece {
	uint64_t address;
	uint32_t size;
};

static uint32_t piece_count(const struct access *a)
{
	return a->lanes ? a->lane_count : 1;
}

static struct piece piece_at(const struct access *a, uint32_t i)
{
	if (a->lanes)
		return (struct piece){ a->lanes[i].address, a->lanes[i].size };
	return (struct piece){ a->address, a->size };
}

/* ---- Valgrind's lackey --trace-mem=yes ---- */

static const char *lackey_word(enum access_kind kind)
{
	if (kind == ACCESS_FETCH)
		return "I ";
	if (kind == ACCESS_RMW)
		return " M";
	return access_writes(kind) ? " S" : " L";
}

int trace_lackey_record(struct trace_export *e,
	const struct trace_record *record, struct error *err)
{
	const struct access *a = &record->access;

	(void)err;
	if (record->kind != TRACE_ACCESS || is_again(e->own, a))
		return 0;
	/* Who: its instruction goes before it, as everywhere in this format. */
	if (a->kind != ACCESS_FETCH && a->insn_len)
		buf_printf(&e->text, "I  %08" PRIx64 ",%u\n", a->ip,
			a->insn_len);
	for (uint32_t i = 0; i < piece_count(a); i++) {
		struct piece piece = piece_at(a, i);

		buf_printf(&e->text, "%s %08" PRIx64 ",%" PRIu32 "\n",
			lackey_word(a->kind), piece.address, piece.size);
	}
	return 0;
}

/* ---- Dinero: label, address; the rest of a line is for people ---- */

static void add_din(struct buf *out, int label, struct piece piece)
{
	buf_printf(out, "%d %" PRIx64 " %" PRIu32 "\n", label, piece.address,
		piece.size);
}

int trace_din_record(struct trace_export *e, const struct trace_record *record,
	struct error *err)
{
	const struct access *a = &record->access;

	(void)err;
	if (record->kind != TRACE_ACCESS || is_again(e->own, a))
		return 0;
	for (uint32_t i = 0; i < piece_count(a); i++) {
		struct piece piece = piece_at(a, i);

		if (a->kind == ACCESS_FETCH)
			add_din(&e->text, 2, piece);
		else if (access_reads(a->kind))
			add_din(&e->text, 0, piece);
		if (access_writes(a->kind))
			add_din(&e->text, 1, piece);
	}
	return 0;
}

/* ---- DynamoRIO's sample client memtrace: the first line says how ---- */

int trace_memtrace_begin(struct trace_export *e, struct error *err)
{
	int ret = trace_simulator_begin(e, err);

	if (!ret)
		buf_add_str(&e->text,
			"Format: <instr address>,<(r)ead/(w)rite>,"
			"<data size>,<data address>\n");
	return ret;
}

static void add_memtrace(
	struct buf *out, uint64_t ip, char label, struct piece piece)
{
	buf_printf(out, "0x%016" PRIx64 ",%c,%" PRIu32 ",0x%016" PRIx64 "\n", ip,
		label, piece.size, piece.address);
}

int trace_memtrace_record(struct trace_export *e,
	const struct trace_record *record, struct error *err)
{
	const struct access *a = &record->access;

	(void)err;
	/* It has data only: fetches are not told. */
	if (record->kind != TRACE_ACCESS || a->kind == ACCESS_FETCH ||
		is_again(e->own, a))
		return 0;
	for (uint32_t i = 0; i < piece_count(a); i++) {
		struct piece piece = piece_at(a, i);

		if (access_reads(a->kind))
			add_memtrace(&e->text, a->ip, 'r', piece);
		if (access_writes(a->kind))
			add_memtrace(&e->text, a->ip, 'w', piece);
	}
	return 0;
}
