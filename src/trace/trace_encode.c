/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "base/grow.h"
#include "trace/trace_codec.h"
#include "trace/trace_format.h"

/* Numbers of table rows by their contents. */
#define INTERN_BITS 17 /* twice the records a chunk may have */

struct intern {
	uint32_t *slots; /* number + 1 */
	uint32_t count;
};

struct stack_row {
	uint32_t first, count; /* in words */
};

struct trace_encoder {
	struct pack_out columns[COLUMN_MAX];
	struct model *model;
	struct codec_counts counts;
	uint64_t time_base, seq_before;
	uint64_t seq, time, event_time;
	uint32_t who; /* of the record before, + 1 */
	uint32_t event_at; /* accesses before the event before */
	uint32_t last_new_site;

	struct intern who_index, shape_index, stack_index;
	struct codec_who *whos;
	struct codec_shape *shapes;
	uint64_t *bases; /* of shapes: address of the range's first byte */
	struct stack_row *stacks;
	uint64_t *stack_words;
	size_t who_room, shape_room, base_room, stack_room;
	size_t stack_word_count, stack_word_room;

	struct codec_site *sites;
	struct codec_regs *regs; /* by the same number; NULL: none so far */
	size_t site_room, regs_room;
	uint32_t site_count;
	/* number in the trace -> local + 1, valid when epoch is the chunk's */
	struct site_ref {
		uint64_t epoch;
		uint32_t local;
	} *site_refs;
	size_t site_ref_room;
	bool failed;
};

/* ---- memory ---- */

/* Out of memory is told in the end. */
#define ROOM(e, array, room, need)                                             \
	(GROW((e)->array, (e)->room, need) || !((e)->failed = true))

struct trace_encoder *trace_encoder_create(void)
{
	struct trace_encoder *e = calloc(1, sizeof(*e));
	size_t slots = (size_t)1 << INTERN_BITS;

	if (!e)
		return NULL;
	e->model = calloc(1, sizeof(*e->model));
	e->who_index.slots = calloc(slots, sizeof(uint32_t));
	e->shape_index.slots = calloc(slots, sizeof(uint32_t));
	e->stack_index.slots = calloc(slots, sizeof(uint32_t));
	if (!e->model || !e->who_index.slots || !e->shape_index.slots ||
		!e->stack_index.slots) {
		trace_encoder_destroy(e);
		return NULL;
	}
	return e;
}

void trace_encoder_destroy(struct trace_encoder *e)
{
	if (!e)
		return;
	for (int i = 0; i < COLUMN_MAX; i++)
		trace_pack_fini(&e->columns[i]);
	free(e->model);
	free(e->who_index.slots);
	free(e->shape_index.slots);
	free(e->stack_index.slots);
	free(e->whos);
	free(e->shapes);
	free(e->bases);
	free(e->stacks);
	free(e->stack_words);
	free(e->sites);
	free(e->regs);
	free(e->site_refs);
	free(e);
}

static void intern_reset(struct intern *index)
{
	if (index->count)
		memset(index->slots, 0, sizeof(uint32_t) << INTERN_BITS);
	index->count = 0;
}

void trace_encoder_begin(struct trace_encoder *e, uint64_t seq, uint64_t time)
{
	for (int i = 0; i < COLUMN_MAX; i++)
		e->columns[i].len = 0;
	e->model->epoch++;
	e->counts = (struct codec_counts){
		.seq_first = seq,
		.seq_last = seq,
		.time_first = time,
		.time_last = time,
	};
	e->time_base = e->time = e->event_time = time;
	e->seq_before = e->seq = seq;
	e->who = e->event_at = e->last_new_site = e->site_count = 0;
	e->stack_word_count = 0;
	intern_reset(&e->who_index);
	intern_reset(&e->shape_index);
	intern_reset(&e->stack_index);
	e->failed = false;
}

/* ---- who, where, what ---- */

static uint32_t slot_of(uint64_t hash)
{
	return (uint32_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >>
		(64 - INTERN_BITS));
}

#define SLOT_NEXT(at) (((at) + 1) & ((1u << INTERN_BITS) - 1))

static uint32_t who_number(struct trace_encoder *e, uint64_t process, unsigned cpu)
{
	struct intern *index = &e->who_index;
	uint32_t at = slot_of(process * 64 + cpu);

	for (; index->slots[at]; at = SLOT_NEXT(at)) {
		const struct codec_who *who = &e->whos[index->slots[at] - 1];

		if (who->process == process && who->cpu == cpu)
			return index->slots[at] - 1;
	}
	if (!ROOM(e, whos, who_room, index->count + 1))
		return 0;
	e->whos[index->count] =
		(struct codec_who){ .process = process, .cpu = cpu };
	pack_varint(&e->columns[COLUMN_WHO_TABLE], process);
	pack_varint(&e->columns[COLUMN_WHO_TABLE], cpu);
	index->slots[at] = ++index->count;
	return index->count - 1;
}

static struct codec_who *add_who(
	struct trace_encoder *e, const struct access *a)
{
	uint32_t number;

	if (e->who && e->whos[e->who - 1].process == a->process &&
		e->whos[e->who - 1].cpu == a->cpu) {
		pack_byte(&e->columns[COLUMN_WHO], 0);
		return &e->whos[e->who - 1];
	}
	number = who_number(e, a->process, a->cpu);
	if (e->failed)
		return NULL;
	pack_varint(&e->columns[COLUMN_WHO], number + 1);
	e->who = number + 1;
	return &e->whos[number];
}

static bool site_number(struct trace_encoder *e, uint32_t site, uint32_t *out)
{
	struct site_ref *ref;

	if (!ROOM(e, site_refs, site_ref_room, (size_t)site + 1))
		return false;
	ref = &e->site_refs[site];
	if (ref->epoch == e->model->epoch) {
		*out = ref->local;
		return true;
	}
	if (!ROOM(e, sites, site_room, e->site_count + 1))
		return false;
	*ref = (struct site_ref){ e->model->epoch, e->site_count };
	*out = e->site_count;
	e->sites[e->site_count++] = (struct codec_site){ .site = site };
	pack_delta(&e->columns[COLUMN_SITE_TABLE],
		(uint64_t)site - e->last_new_site);
	e->last_new_site = site;
	if (e->regs_room && !ROOM(e, regs, regs_room, e->site_count))
		return false;
	if (e->regs_room)
		e->regs[*out] = (struct codec_regs){ 0 };
	return true;
}

static struct codec_site *add_site(
	struct trace_encoder *e, struct codec_who *who, uint32_t site)
{
	struct pack_out *out = &e->columns[COLUMN_SITE];
	struct codec_site *before = who->site ? &e->sites[who->site - 1] : NULL;
	uint32_t local;

	if (before && before->next &&
		e->sites[before->next - 1].site == site) {
		pack_byte(out, 0);
		who->site = before->next;
		return &e->sites[before->next - 1];
	}
	if (!site_number(e, site, &local))
		return NULL;
	pack_varint(out, local + 1);
	if (who->site)
		e->sites[who->site - 1].next = local + 1;
	who->site = local + 1;
	return &e->sites[local];
}

static uint32_t shape_number(
	struct trace_encoder *e, const struct codec_shape *shape)
{
	struct intern *index = &e->shape_index;
	struct pack_out *out = &e->columns[COLUMN_SHAPE_TABLE];
	uint32_t at = slot_of(trace_hash(shape, sizeof(*shape)));

	for (; index->slots[at]; at = SLOT_NEXT(at))
		if (!memcmp(&e->shapes[index->slots[at] - 1], shape,
			    sizeof(*shape)))
			return index->slots[at] - 1;
	if (!ROOM(e, shapes, shape_room, index->count + 1) ||
		!ROOM(e, bases, base_room, index->count + 1))
		return 0;
	e->shapes[index->count] = *shape;
	e->bases[index->count] = 0;
	pack_byte(out, shape->kind);
	pack_byte(out, shape->outcome);
	pack_byte(out, shape->flags);
	pack_byte(out, shape->final);
	pack_varint(out, shape->size);
	pack_varint(out, shape->kept_first);
	pack_varint(out, shape->kept_count);
	pack_varint(out, shape->range);
	pack_varint(out, shape->lane_count);
	index->slots[at] = ++index->count;
	return index->count - 1;
}

static bool equal(const uint8_t *a, const uint8_t *b, uint32_t size)
{
	if (a == b)
		return true;
	return a && b && !memcmp(a, b, size);
}

static enum codec_final final_kind(const struct trace_record *r)
{
	const struct access *a = &r->access;

	if (!r->final_bytes)
		return FINAL_NONE;
	if (equal(r->final_bytes, a->new_bytes, a->size))
		return FINAL_NEW;
	return equal(r->final_bytes, a->old_bytes, a->size) ? FINAL_OLD :
							      FINAL_OWN;
}

static struct codec_shape shape_of(const struct trace_record *r)
{
	const struct access *a = &r->access;

	return (struct codec_shape){
		.size = a->size,
		.kept_first = a->kept_first,
		.kept_count = a->kept_count,
		.range = a->range,
		.lane_count = a->lane_count,
		.kind = (uint8_t)a->kind,
		.outcome = (uint8_t)r->outcome,
		.flags = (uint8_t)((a->atomic ? SHAPE_ATOMIC : 0) |
			(a->old_bytes ? SHAPE_OLD : 0) |
			(a->new_bytes ? SHAPE_NEW : 0) |
			(r->regs ? SHAPE_REGS : 0) |
			(r->stack_count ? SHAPE_STACK : 0)),
		.final = (uint8_t)final_kind(r),
	};
}

/* Returns the shape's number. */
static uint32_t add_shape(struct trace_encoder *e, struct codec_site *site,
	const struct codec_shape *shape)
{
	struct pack_out *out = &e->columns[COLUMN_SHAPE];
	uint32_t number;

	if (site->shape &&
		!memcmp(&e->shapes[site->shape - 1], shape, sizeof(*shape))) {
		pack_byte(out, 0);
		return site->shape - 1;
	}
	number = shape_number(e, shape);
	pack_varint(out, number + 1);
	return number;
}

/* ---- values ---- */

/* The difference when that is shorter, else the bytes. */
static uint8_t add_word(struct trace_encoder *e, uint64_t value, uint64_t from,
	unsigned size, uint8_t delta_mode)
{
	uint64_t delta = zigzag((int64_t)word_delta(value, from, size));

	if (size == 8 ? delta >> 56 : delta >> (size * 7)) {
		pack_bytes(&e->columns[COLUMN_BYTES], &value, size);
		return delta_mode + 1;
	}
	pack_varint(&e->columns[COLUMN_VALUE], delta);
	return delta_mode;
}

static void add_old(struct trace_encoder *e, struct codec_site *site,
	uint64_t model, uint64_t value, unsigned size)
{
	uint8_t mode;

	if (value == model)
		mode = OLD_MODEL;
	else if (value == ((site->old + site->old_stride) & word_mask(size)))
		mode = OLD_STRIDE;
	else
		mode = add_word(e, value, model, size, OLD_DELTA);
	pack_byte(&e->columns[COLUMN_OLD], mode);
	site->old_stride = value - site->old;
	site->old = value;
}

static void add_new(struct trace_encoder *e, struct codec_site *site,
	uint64_t old, uint64_t value, unsigned size)
{
	uint64_t mask = word_mask(size);
	uint8_t mode;

	if (value == ((old + site->change) & mask))
		mode = NEW_CHANGE;
	else if (value == old)
		mode = NEW_OLD;
	else if (value == ((site->new + site->new_stride) & mask))
		mode = NEW_STRIDE;
	else
		mode = add_word(e, value, site->new, size, NEW_DELTA);
	pack_byte(&e->columns[COLUMN_NEW], mode);
	site->change = value - old;
	site->new_stride = value - site->new;
	site->new = value;
}

static void add_final(struct trace_encoder *e, struct codec_site *site,
	uint64_t value, unsigned size)
{
	uint64_t mask = word_mask(size);
	uint8_t mode;

	if (value == ((site->final + site->final_stride) & mask))
		mode = FINAL_STRIDE;
	else if (value == (site->final & mask))
		mode = FINAL_LAST;
	else
		mode = add_word(e, value, site->final, size, FINAL_DELTA);
	pack_byte(&e->columns[COLUMN_FINAL], mode);
	site->final_stride = value - site->final;
	site->final = value;
}

static void add_words(struct trace_encoder *e, struct codec_site *site,
	const struct trace_record *r, const struct codec_shape *shape)
{
	const struct access *a = &r->access;
	bool stored = access_writes(a->kind) && r->final_bytes;

	for (uint32_t at = 0; at < a->size; at += 8) {
		unsigned size = a->size - at < 8 ? a->size - at : 8;
		uint64_t where = a->address + at;
		uint64_t old = 0, final;

		if (a->old_bytes) {
			old = word_load(a->old_bytes + at, size);
			add_old(e, site,
				model_get(e->model, a->range, where, size), old,
				size);
		}
		if (a->new_bytes)
			add_new(e, site, old,
				word_load(a->new_bytes + at, size), size);
		if (shape->final == FINAL_OWN)
			add_final(e, site, word_load(r->final_bytes + at, size),
				size);
		final = stored ? word_load(r->final_bytes + at, size) : old;
		if (stored || a->old_bytes)
			model_put(e->model, a->range, where, size, final);
	}
}

static void add_lanes(struct trace_encoder *e, const struct access *a)
{
	struct pack_out *out = &e->columns[COLUMN_LANE];
	uint64_t address = a->address;

	for (uint32_t i = 0; i < a->lane_count; i++) {
		pack_delta(out, a->lanes[i].address - address);
		pack_varint(out, a->lanes[i].size);
		pack_varint(out, a->lanes[i].offset);
		address = a->lanes[i].address;
	}
}

static void add_values(struct trace_encoder *e, struct codec_site *site,
	const struct trace_record *r, const struct codec_shape *shape)
{
	struct pack_out *out = &e->columns[COLUMN_BYTES];
	const struct access *a = &r->access;

	if (shape_is_words(shape)) {
		add_words(e, site, r, shape);
		return;
	}
	add_lanes(e, a);
	if (a->old_bytes)
		pack_bytes(out, a->old_bytes, a->size);
	if (a->new_bytes)
		pack_bytes(out, a->new_bytes, a->size);
	if (shape->final == FINAL_OWN)
		pack_bytes(out, r->final_bytes, a->size);
}

/* ---- registers and stacks ---- */

static bool add_regs(
	struct trace_encoder *e, const struct codec_site *site, const uint64_t *regs)
{
	struct pack_out *out = &e->columns[COLUMN_REGS];
	struct codec_regs *state;
	uint32_t mask = 0;

	if (!ROOM(e, regs, regs_room, e->site_count))
		return false;
	state = &e->regs[site - e->sites];
	for (int i = 0; i < TRACE_REGS; i++)
		if (regs[i] != state->last[i] + state->stride[i])
			mask |= 1u << i;
	pack_varint(out, mask);
	for (int i = 0; i < TRACE_REGS; i++) {
		if (mask >> i & 1)
			pack_delta(out, regs[i] - state->last[i]);
		state->stride[i] = regs[i] - state->last[i];
		state->last[i] = regs[i];
	}
	return true;
}

static bool new_stack(
	struct trace_encoder *e, const uint64_t *stack, uint32_t count)
{
	struct pack_out *out = &e->columns[COLUMN_STACK_TABLE];
	uint64_t before = 0;

	if (!ROOM(e, stacks, stack_room, e->stack_index.count + 1) ||
		!ROOM(e, stack_words, stack_word_room,
			e->stack_word_count + count))
		return false;
	e->stacks[e->stack_index.count] = (struct stack_row){
		(uint32_t)e->stack_word_count, count
	};
	memcpy(e->stack_words + e->stack_word_count, stack,
		count * sizeof(*stack));
	e->stack_word_count += count;
	pack_varint(out, count);
	for (uint32_t i = 0; i < count; i++) {
		pack_delta(out, stack[i] - before);
		before = stack[i];
	}
	return true;
}

static bool same_stack(const struct trace_encoder *e, uint32_t number,
	const uint64_t *stack, uint32_t count)
{
	const struct stack_row *row = &e->stacks[number];

	return row->count == count &&
		!memcmp(e->stack_words + row->first, stack,
			count * sizeof(*stack));
}

static bool add_stack(struct trace_encoder *e, struct codec_site *site,
	const uint64_t *stack, uint32_t count)
{
	struct pack_out *out = &e->columns[COLUMN_STACK];
	struct intern *index = &e->stack_index;
	uint32_t at;

	if (site->stack && same_stack(e, site->stack - 1, stack, count)) {
		pack_byte(out, 0);
		return true;
	}
	at = slot_of(trace_hash(stack, count * sizeof(*stack)));
	while (index->slots[at] &&
		!same_stack(e, index->slots[at] - 1, stack, count))
		at = SLOT_NEXT(at);
	if (!index->slots[at]) {
		if (!new_stack(e, stack, count))
			return false;
		index->slots[at] = ++index->count;
	}
	site->stack = index->slots[at];
	pack_varint(out, index->slots[at]);
	return true;
}

/* ---- records ---- */

static void add_place(struct trace_encoder *e, struct codec_site *site,
	uint32_t shape, const struct access *a)
{
	uint64_t *base = &e->bases[shape];
	uint64_t kept = a->address + a->kept_first;

	pack_delta(&e->columns[COLUMN_ADDRESS],
		a->address - (site->address + site->stride));
	pack_delta(&e->columns[COLUMN_OFFSET], a->offset - (kept - *base));
	*base = kept - a->offset;
	site->stride = site->shape ? a->address - site->address : 0;
	site->address = a->address;
	site->shape = shape + 1;
}

static void count_seq(struct trace_encoder *e, uint64_t seq)
{
	struct codec_counts *c = &e->counts;

	if (!c->accesses) {
		c->seq_first = c->seq_last = seq;
	} else {
		c->seq_first = seq < c->seq_first ? seq : c->seq_first;
		c->seq_last = seq > c->seq_last ? seq : c->seq_last;
	}
	c->accesses++;
}

static bool add_access(struct trace_encoder *e, const struct trace_record *r)
{
	const struct access *a = &r->access;
	const struct codec_shape shape = shape_of(r);
	struct codec_who *who = add_who(e, a);
	struct codec_site *site = who ? add_site(e, who, r->site) : NULL;

	if (!site)
		return false;
	add_place(e, site, add_shape(e, site, &shape), a);
	pack_delta(&e->columns[COLUMN_SEQ], a->seq - e->seq - 1);
	pack_delta(&e->columns[COLUMN_TIME], r->time_ns - e->time);
	e->seq = a->seq;
	e->time = r->time_ns;
	count_seq(e, a->seq);
	add_values(e, site, r, &shape);
	if (r->regs && !add_regs(e, site, r->regs))
		return false;
	return !r->stack_count ||
		add_stack(e, site, r->stack, r->stack_count);
}

static void add_bind(struct trace_encoder *e, const struct trace_record *r)
{
	struct pack_out *out = &e->columns[COLUMN_EVENT];

	pack_varint(out, r->range);
	pack_varint(out, r->offset);
	pack_varint(out, r->size);
	if (r->kind != TRACE_BIND)
		return;
	pack_byte(out, (r->bytes ? BIND_BYTES : 0) |
			(r->frame ? BIND_FRAME : 0));
	if (r->frame)
		pack_varint(out, r->frame);
	if (r->bytes)
		pack_bytes(out, r->bytes, r->size);
	e->counts.binds = true;
}

static void add_event(struct trace_encoder *e, const struct trace_record *r)
{
	struct pack_out *out = &e->columns[COLUMN_EVENT];

	pack_varint(out, e->counts.accesses - e->event_at);
	e->event_at = e->counts.accesses;
	pack_byte(out, (uint8_t)r->kind);
	pack_delta(out, r->time_ns - e->event_time);
	e->event_time = r->time_ns;
	pack_varint(out, r->process);
	switch (r->kind) {
	case TRACE_PROCESS_START:
		pack_string(out, r->process_name);
		pack_varint(out, (uint32_t)(r->program + 1));
		break;
	case TRACE_PROCESS_EXIT:
		pack_varint(out, zigzag(r->exit_code));
		break;
	case TRACE_BIND:
	case TRACE_UNBIND:
		add_bind(e, r);
		break;
	case TRACE_END:
		e->counts.ended = true;
		pack_varint(out, zigzag(r->exit_code));
		pack_string(out, r->text);
		break;
	case TRACE_LOST:
		e->counts.lost = true;
		pack_varint(out, r->count);
		pack_string(out, r->text);
		break;
	case TRACE_MARKER:
		pack_string(out, r->text);
		break;
	case TRACE_ACCESS:
	case TRACE_KIND_MAX:
		break;
	}
}

bool trace_encoder_add(struct trace_encoder *e, const struct trace_record *r)
{
	struct codec_counts *c = &e->counts;
	bool good = true;

	if (r->kind == TRACE_ACCESS)
		good = add_access(e, r);
	else
		add_event(e, r);
	if (!c->records || r->time_ns < c->time_first)
		c->time_first = r->time_ns;
	if (!c->records || r->time_ns > c->time_last)
		c->time_last = r->time_ns;
	c->records++;
	e->failed |= !good;
	return !e->failed;
}

const struct codec_counts *trace_encoder_counts(const struct trace_encoder *e)
{
	return &e->counts;
}

size_t trace_encoder_size(const struct trace_encoder *e)
{
	return e->columns[COLUMN_BYTES].len + e->columns[COLUMN_EVENT].len +
		e->columns[COLUMN_REGS].len + e->columns[COLUMN_STACK_TABLE].len +
		e->columns[COLUMN_LANE].len + e->columns[COLUMN_OLD].len * 8;
}

void trace_encoder_finish(struct trace_encoder *e, struct pack_out *payload)
{
	payload->len = 0;
	payload->failed = e->failed;
	pack_varint(payload, e->time_base);
	pack_varint(payload, e->seq_before);
	pack_varint(payload, e->counts.accesses);
	pack_varint(payload, COLUMN_MAX);
	for (int i = 0; i < COLUMN_MAX; i++)
		pack_varint(payload, e->columns[i].len);
	for (int i = 0; i < COLUMN_MAX; i++) {
		payload->failed |= e->columns[i].failed;
		pack_bytes(payload, e->columns[i].data, e->columns[i].len);
	}
}
