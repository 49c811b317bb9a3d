/* SPDX-License-Identifier: MIT */
#include "tests/support/trace_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static const struct trace_program programs[] = {
	{ .name = "world.elf", .path = "/nowhere/world.elf", .hash = 1 },
};

static const struct trace_range ranges[] = {
	{ .id = 0, .name = "ring", .address = WORLD_BASE,
		.length = 2 * WORLD_PAGE },
	{ .id = 1, .name = "tail", .address = WORLD_BASE + 0x2010,
		.length = 512 },
};

const struct trace_meta world_meta = {
	.command = "custos run world.elf",
	.kvm = "svm",
	.cpus = 2,
	.started_ns = 1700000000000000000,
	.programs = programs,
	.program_count = 1,
	.ranges = ranges,
	.range_count = 2,
};

uint64_t world_number(struct world *w, uint64_t below)
{
	uint64_t x = w->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	w->random = x;
	return below ? x % below : x;
}

#define BELOW(n) world_number(w, n)

unsigned world_page(uint32_t range, uint64_t offset, unsigned *out_at)
{
	uint64_t address = ranges[range].address + offset - WORLD_BASE;

	*out_at = (unsigned)(address % WORLD_PAGE);
	return (unsigned)(address / WORLD_PAGE);
}

static struct world_record *add(struct world *w, enum trace_kind kind)
{
	struct world_record *record;

	/* They are never moved: they point into themselves. */
	if (w->count == w->room)
		abort();
	record = &w->records[w->count++];
	memset(record, 0, sizeof(*record));
	w->time += 1 + BELOW(1000);
	record->r.kind = kind;
	record->r.time_ns = w->time;
	record->r.seq = w->seq;
	return record;
}

/* ---- memory ---- */

/* Bytes of its range that a page holds. */
static uint64_t piece_of(
	unsigned page, uint32_t *out_range, uint64_t *out_offset)
{
	*out_range = page == 2;
	*out_offset = page == 2 ? 0 : page * (uint64_t)WORLD_PAGE;
	return page == 2 ? ranges[1].length : WORLD_PAGE;
}

static void bind(struct world *w, enum trace_kind kind, uint64_t process,
	unsigned page)
{
	int frame = w->now.map[process][page];
	struct trace_record *r = &add(w, kind)->r;
	unsigned at;

	r->process = process;
	r->size = piece_of(page, &r->range, &r->offset);
	if (kind == TRACE_UNBIND)
		return;
	world_page(r->range, r->offset, &at);
	r->frame = WORLD_FRAME + (uint64_t)frame;
	r->bytes = malloc(WORLD_PAGE);
	if (!r->bytes)
		abort();
	memcpy((uint8_t *)(uintptr_t)r->bytes, w->now.frames[frame] + at,
		r->size);
	w->records[w->count - 1].bound = (uint8_t *)(uintptr_t)r->bytes;
}

static bool is_used(const struct world *w, int frame)
{
	for (int p = 1; p <= WORLD_PROCESSES; p++)
		for (int page = 0; page < WORLD_PAGES; page++)
			if (w->now.map[p][page] == frame)
				return true;
	return false;
}

/* The frame that another process has there, or one that nobody has, with
 * other bytes in it than before. */
static int choose_frame(struct world *w, unsigned page)
{
	int frame = w->now.map[1 + BELOW(WORLD_PROCESSES)][page];

	if (frame >= 0 && BELOW(2))
		return frame;
	for (frame = 0; frame < WORLD_FRAMES && is_used(w, frame); frame++)
		;
	if (frame == WORLD_FRAMES)
		return w->now.map[1][page];
	for (int i = 0; i < WORLD_PAGE; i++)
		w->now.frames[frame][i] = (uint8_t)BELOW(256);
	return frame;
}

static void remap(struct world *w, uint64_t process, unsigned page)
{
	int frame;

	if (w->now.map[process][page] >= 0)
		bind(w, TRACE_UNBIND, process, page);
	frame = choose_frame(w, page);
	w->now.map[process][page] = frame;
	if (frame >= 0)
		bind(w, TRACE_BIND, process, page);
}

/* ---- accesses ---- */

static void decide(struct world *w, struct world_record *record)
{
	struct trace_record *r = &record->r;
	struct access *a = &r->access;
	uint64_t how = BELOW(20);

	r->final_bytes = access_writes(a->kind) ? record->new_bytes :
						  record->old_bytes;
	if (how == 0) {
		r->outcome = OUTCOME_DENY;
		r->final_bytes = NULL;
	} else if (how == 1 && a->kind == ACCESS_STORE) {
		r->outcome = OUTCOME_ABSORB;
		r->final_bytes = record->old_bytes;
	} else if (how == 2) {
		r->outcome = OUTCOME_SERVE;
		for (int i = 0; i < 8; i++)
			record->final_bytes[i] = (uint8_t)BELOW(256);
		r->final_bytes = record->final_bytes;
	}
}

static struct world_record *begin_access(struct world *w, enum access_kind kind,
	uint64_t process, uint32_t range, uint64_t offset, uint32_t size)
{
	struct world_record *record = add(w, TRACE_ACCESS);
	struct trace_record *r = &record->r;
	unsigned at, page = world_page(range, offset, &at);

	r->seq = ++w->seq;
	r->access = (struct access){
		.seq = r->seq,
		.kind = kind,
		.process = process,
		.cpu = (unsigned)process % 2,
		.ip = 0x401000 + BELOW(8) * 4,
		.address = ranges[range].address + offset,
		.size = size,
		.range = range,
		.offset = offset,
		.kept_count = size,
		.old_bytes = record->old_bytes,
		.new_bytes = access_writes(kind) ? record->new_bytes : NULL,
	};
	memcpy(record->old_bytes,
		w->now.frames[w->now.map[process][page]] + at, size);
	return record;
}

static void carry_out(struct world *w, struct world_record *record)
{
	const struct access *a = &record->r.access;
	unsigned at, page = world_page(a->range, a->offset, &at);

	if (access_writes(a->kind) && record->r.final_bytes)
		memcpy(w->now.frames[w->now.map[a->process][page]] + at,
			record->r.final_bytes, a->size);
}

static void random_access(struct world *w)
{
	static const enum access_kind kinds[] = { ACCESS_LOAD, ACCESS_LOAD,
		ACCESS_STORE, ACCESS_STORE, ACCESS_RMW, ACCESS_IPC_DST };
	uint64_t process = 1 + BELOW(WORLD_PROCESSES);
	unsigned page = (unsigned)BELOW(WORLD_PAGES);
	uint32_t range, size = 1u << BELOW(4);
	uint64_t offset, room = piece_of(page, &range, &offset);
	struct world_record *record;
	uint64_t value = BELOW(2) ? BELOW(0) : BELOW(1000);

	if (w->now.map[process][page] < 0)
		return;
	offset += (BELOW(3) ? BELOW(64) : BELOW(room)) % (room - 7);
	record = begin_access(
		w, kinds[BELOW(6)], process, range, offset, size);
	memcpy(record->new_bytes, &value, 8);
	decide(w, record);
	carry_out(w, record);
}

void world_store(
	struct world *w, uint64_t process, uint64_t offset, uint64_t value)
{
	struct world_record *record =
		begin_access(w, ACCESS_STORE, process, 0, offset, 8);

	memcpy(record->new_bytes, &value, 8);
	record->r.final_bytes = record->new_bytes;
	carry_out(w, record);
}

void world_load(struct world *w, uint64_t process, uint64_t offset)
{
	struct world_record *record =
		begin_access(w, ACCESS_LOAD, process, 0, offset, 8);

	record->r.final_bytes = record->old_bytes;
}

static void random_event(struct world *w)
{
	uint64_t process = 1 + BELOW(WORLD_PROCESSES);
	struct trace_record *r;

	if (BELOW(3)) {
		remap(w, process, (unsigned)BELOW(WORLD_PAGES));
		return;
	}
	r = &add(w, TRACE_MARKER)->r;
	r->process = process;
	r->text = "a word";
}

/* ---- the whole ---- */

void world_init(struct world *w, uint64_t seed, uint64_t accesses)
{
	memset(w, 0, sizeof(*w));
	memset(w->now.map, -1, sizeof(w->now.map));
	w->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	w->room = accesses * 2 + 4096;
	w->records = malloc(w->room * sizeof(*w->records));
	if (!w->records)
		abort();
	for (uint64_t p = 1; p <= WORLD_PROCESSES; p++) {
		struct trace_record *r = &add(w, TRACE_PROCESS_START)->r;

		r->process = p;
		r->process_name = "world.elf";
		for (unsigned page = 0; page < WORLD_PAGES; page++)
			remap(w, p, page);
	}
	while (w->seq < accesses)
		BELOW(40) ? random_access(w) : random_event(w);
}

void world_fini(struct world *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->records[i].bound);
	free(w->records);
}

static void name_site(
	void *ctx, const struct access *access, struct trace_site *site)
{
	(void)ctx;
	(void)access;
	site->symbol = "main+0x1";
	site->line = "world.c:1";
	site->text = "nop";
}

void world_write(const struct world *w, const char *path)
{
	const struct trace_site_names names = { .name = name_site };
	struct trace_writer *writer;
	struct trace_meta meta = world_meta;
	struct error err = { 0 };
	int ret;

	if (w->started_ns)
		meta.started_ns = w->started_ns;
	ret = trace_writer_open(path, &meta, NULL, &writer, &err);
	for (size_t i = 0; i < w->count && !ret; i++)
		ret = trace_writer_add(writer, &w->records[i].r, &names);
	if (!ret)
		ret = trace_writer_close(writer, 0, &err);
	if (!ret)
		return;
	fprintf(stderr, "%s: %d %s\n", path, ret, err.text);
	exit(1);
}

static void replay(struct world_state *state, const struct trace_record *r)
{
	const struct access *a = &r->access;
	uint32_t range = r->kind == TRACE_ACCESS ? a->range : r->range;
	unsigned at, page = world_page(range,
		r->kind == TRACE_ACCESS ? a->offset : r->offset, &at);
	int *map = &state->map[r->kind == TRACE_ACCESS ? a->process :
							 r->process][page];

	if (r->kind == TRACE_UNBIND)
		*map = -1;
	if (r->kind == TRACE_BIND) {
		*map = (int)(r->frame - WORLD_FRAME);
		memcpy(state->frames[*map] + at, r->bytes, r->size);
	}
	if (r->kind == TRACE_ACCESS && access_writes(a->kind) &&
		r->final_bytes)
		memcpy(state->frames[*map] + at, r->final_bytes, a->size);
}

void world_state_at(
	const struct world *w, size_t index, struct world_state *out)
{
	memset(out, 0, sizeof(*out));
	memset(out->map, -1, sizeof(out->map));
	for (size_t i = 0; i < index; i++)
		replay(out, &w->records[i].r);
}
