/* SPDX-License-Identifier: MIT */
/*
 * trace_encode.c backwards. The payload's checksum was right, but its writer
 * may have been anybody: every number is checked before it is used, and what
 * is kept grows with the records alone.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/grow.h"
#include "trace/trace_codec.h"
#include "trace/trace_format.h"

struct stack_row {
	uint64_t words[TRACE_STACK_MAX];
	uint32_t count;
};

struct trace_decoder {
	struct pack_in columns[COLUMN_MAX];
	struct model *model;
	uint32_t records, accesses; /* still to come */
	uint32_t done; /* accesses read */
	uint64_t seq, time, event_time;
	uint32_t who;
	uint32_t event_at; /* accesses before the next event */
	bool has_event; /* event_at is known */
	uint32_t last_new_site;

	struct codec_who *whos;
	struct codec_shape *shapes;
	uint64_t *bases;
	struct stack_row *stacks;
	struct codec_site *sites;
	struct codec_regs *regs;
	size_t who_room, shape_room, base_room, stack_room, site_room;
	size_t regs_room;
	uint32_t who_count, shape_count, stack_count, site_count;
	int failed; /* 0 or -errno */

	/* What the present record points to. */
	struct access_lane lanes[ACCESS_LANES_MAX];
	uint8_t old_bytes[CODEC_WORDS_MAX], new_bytes[CODEC_WORDS_MAX];
	uint8_t final_bytes[CODEC_WORDS_MAX];
	uint64_t regs_now[TRACE_REGS];
	char *text;
};

static bool no_memory(struct trace_decoder *d)
{
	d->failed = -ENOMEM;
	return false;
}

#define ROOM(d, array, room, need)                                             \
	(GROW((d)->array, (d)->room, need) || no_memory(d))

struct trace_decoder *trace_decoder_create(void)
{
	struct trace_decoder *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->model = calloc(1, sizeof(*d->model));
	if (!d->model) {
		free(d);
		return NULL;
	}
	return d;
}

void trace_decoder_destroy(struct trace_decoder *d)
{
	if (!d)
		return;
	free(d->model);
	free(d->whos);
	free(d->shapes);
	free(d->bases);
	free(d->stacks);
	free(d->sites);
	free(d->regs);
	free(d->text);
	free(d);
}

static bool begin_columns(struct trace_decoder *d, struct pack_in *in)
{
	uint64_t count, sizes[COLUMN_MAX];

	d->event_time = d->time = unpack_varint(in);
	d->seq = unpack_varint(in);
	d->accesses = (uint32_t)unpack_bounded(in, d->records);
	count = unpack_varint(in);
	if (in->failed || count != COLUMN_MAX)
		return false;
	for (int i = 0; i < COLUMN_MAX; i++)
		sizes[i] = unpack_varint(in);
	for (int i = 0; i < COLUMN_MAX && !in->failed; i++) {
		d->columns[i].at = unpack_bytes(in, sizes[i]);
		d->columns[i].end = in->at;
		d->columns[i].failed = false;
	}
	return !in->failed;
}

int trace_decoder_begin(struct trace_decoder *d, const uint8_t *payload,
	size_t len, uint32_t records)
{
	struct pack_in in = { payload, payload + len, false };

	d->model->epoch++;
	d->records = records;
	d->done = d->who = d->last_new_site = 0;
	d->who_count = d->shape_count = d->stack_count = d->site_count = 0;
	d->has_event = false;
	d->failed = begin_columns(d, &in) ? 0 : -EBADMSG;
	if (d->failed)
		d->records = 0;
	return d->failed;
}

static bool bad(struct trace_decoder *d)
{
	if (!d->failed)
		d->failed = -EBADMSG;
	return false;
}

static bool column_failed(const struct trace_decoder *d)
{
	for (int i = 0; i < COLUMN_MAX; i++)
		if (d->columns[i].failed)
			return true;
	return false;
}

/* ---- who, where, what ---- */

/*
 * A row's number: 0 says the predicted one (number + 1, 0: nothing is
 * predicted), the number behind the last row that there is a new one.
 */
static bool take_number(struct trace_decoder *d, enum trace_column column,
	uint32_t predicted, uint32_t count, uint32_t *out, bool *out_new)
{
	uint64_t token =
		unpack_bounded(&d->columns[column], (uint64_t)count + 1);

	if (!token)
		token = predicted;
	if (!token)
		return bad(d);
	*out = (uint32_t)token - 1;
	*out_new = *out == count;
	return true;
}

static struct codec_who *take_who(struct trace_decoder *d)
{
	struct pack_in *in = &d->columns[COLUMN_WHO_TABLE];
	uint32_t number;
	bool is_new;

	if (!take_number(d, COLUMN_WHO, d->who, d->who_count, &number, &is_new))
		return NULL;
	if (is_new) {
		if (!ROOM(d, whos, who_room, number + (size_t)1))
			return NULL;
		d->whos[number] = (struct codec_who){
			.process = unpack_varint(in),
			.cpu = (uint32_t)unpack_bounded(in, UINT32_MAX),
		};
		d->who_count++;
	}
	d->who = number + 1;
	return &d->whos[number];
}

static bool new_site(struct trace_decoder *d, uint32_t number)
{
	uint64_t site = d->last_new_site +
		unpack_delta(&d->columns[COLUMN_SITE_TABLE]);

	if (site >= UINT32_MAX)
		return bad(d);
	if (!ROOM(d, sites, site_room, number + (size_t)1))
		return false;
	d->sites[number] = (struct codec_site){ .site = (uint32_t)site };
	d->last_new_site = (uint32_t)site;
	d->site_count++;
	if (!d->regs_room)
		return true;
	if (!ROOM(d, regs, regs_room, number + (size_t)1))
		return false;
	d->regs[number] = (struct codec_regs){ 0 };
	return true;
}

static struct codec_site *take_site(
	struct trace_decoder *d, struct codec_who *who)
{
	uint32_t next = who->site ? d->sites[who->site - 1].next : 0;
	uint32_t number;
	bool is_new;

	if (!take_number(
		    d, COLUMN_SITE, next, d->site_count, &number, &is_new) ||
		(is_new && !new_site(d, number)))
		return NULL;
	if (who->site)
		d->sites[who->site - 1].next = number + 1;
	who->site = number + 1;
	return &d->sites[number];
}

static bool is_sound(const struct codec_shape *s)
{
	return s->kind < ACCESS_KIND_MAX && s->outcome < OUTCOME_MAX &&
		s->flags <= SHAPE_FLAGS && s->final <= FINAL_OWN &&
		s->kept_first <= s->size &&
		s->kept_count <= s->size - s->kept_first &&
		!(s->final == FINAL_OLD && !(s->flags & SHAPE_OLD)) &&
		!(s->final == FINAL_NEW && !(s->flags & SHAPE_NEW));
}

static bool new_shape(struct trace_decoder *d, uint32_t number)
{
	struct pack_in *in = &d->columns[COLUMN_SHAPE_TABLE];
	struct codec_shape shape;

	shape.kind = unpack_byte(in);
	shape.outcome = unpack_byte(in);
	shape.flags = unpack_byte(in);
	shape.final = unpack_byte(in);
	shape.size = (uint32_t)unpack_bounded(in, TRACE_ACCESS_SIZE_MAX);
	shape.kept_first = (uint32_t)unpack_bounded(in, UINT32_MAX);
	shape.kept_count = (uint32_t)unpack_bounded(in, UINT32_MAX);
	shape.range = (uint32_t)unpack_bounded(in, UINT32_MAX);
	shape.lane_count = (uint32_t)unpack_bounded(in, ACCESS_LANES_MAX);
	if (in->failed || !is_sound(&shape))
		return bad(d);
	if (!ROOM(d, shapes, shape_room, number + (size_t)1) ||
		!ROOM(d, bases, base_room, number + (size_t)1))
		return false;
	d->shapes[number] = shape;
	d->bases[number] = 0;
	d->shape_count++;
	return true;
}

static bool take_shape(
	struct trace_decoder *d, const struct codec_site *site, uint32_t *out)
{
	bool is_new;

	return take_number(d, COLUMN_SHAPE, site->shape, d->shape_count, out,
		       &is_new) &&
		(!is_new || new_shape(d, *out));
}

/* ---- values ---- */

static uint64_t raw_word(struct trace_decoder *d, unsigned size)
{
	const uint8_t *bytes = unpack_bytes(&d->columns[COLUMN_BYTES], size);

	return bytes ? word_load(bytes, size) : 0;
}

static uint64_t delta_word(struct trace_decoder *d, uint64_t from)
{
	return from + unpack_delta(&d->columns[COLUMN_VALUE]);
}

static uint64_t take_old(struct trace_decoder *d, struct codec_site *site,
	uint64_t model, unsigned size)
{
	uint64_t value = 0;

	switch (unpack_byte(&d->columns[COLUMN_OLD])) {
	case OLD_MODEL:
		value = model;
		break;
	case OLD_STRIDE:
		value = site->old + site->old_stride;
		break;
	case OLD_DELTA:
		value = delta_word(d, model);
		break;
	case OLD_RAW:
		value = raw_word(d, size);
		break;
	default:
		bad(d);
	}
	value &= word_mask(size);
	site->old_stride = value - site->old;
	site->old = value;
	return value;
}

static uint64_t take_new(struct trace_decoder *d, struct codec_site *site,
	uint64_t old, unsigned size)
{
	uint64_t value = 0;

	switch (unpack_byte(&d->columns[COLUMN_NEW])) {
	case NEW_CHANGE:
		value = old + site->change;
		break;
	case NEW_OLD:
		value = old;
		break;
	case NEW_STRIDE:
		value = site->new + site->new_stride;
		break;
	case NEW_DELTA:
		value = delta_word(d, site->new);
		break;
	case NEW_RAW:
		value = raw_word(d, size);
		break;
	default:
		bad(d);
	}
	value &= word_mask(size);
	site->change = value - old;
	site->new_stride = value - site->new;
	site->new = value;
	return value;
}

static uint64_t take_final(
	struct trace_decoder *d, struct codec_site *site, unsigned size)
{
	uint64_t value = 0;

	switch (unpack_byte(&d->columns[COLUMN_FINAL])) {
	case FINAL_STRIDE:
		value = site->final + site->final_stride;
		break;
	case FINAL_LAST:
		value = site->final;
		break;
	case FINAL_DELTA:
		value = delta_word(d, site->final);
		break;
	case FINAL_RAW:
		value = raw_word(d, size);
		break;
	default:
		bad(d);
	}
	value &= word_mask(size);
	site->final_stride = value - site->final;
	site->final = value;
	return value;
}

static void take_words(struct trace_decoder *d, struct codec_site *site,
	const struct codec_shape *shape, struct access *a)
{
	bool stored = access_writes(a->kind) && shape->final != FINAL_NONE;

	for (uint32_t at = 0; at < a->size; at += 8) {
		unsigned size = a->size - at < 8 ? a->size - at : 8;
		uint64_t where = a->address + at;
		uint64_t old = 0, new = 0, final = 0;

		if (shape->flags & SHAPE_OLD) {
			old = take_old(d, site,
				model_get(d->model, a->range, where, size),
				size);
			memcpy(d->old_bytes + at, &old, size);
		}
		if (shape->flags & SHAPE_NEW) {
			new = take_new(d, site, old, size);
			memcpy(d->new_bytes + at, &new, size);
		}
		if (shape->final == FINAL_OWN) {
			final = take_final(d, site, size);
			memcpy(d->final_bytes + at, &final, size);
		} else {
			final = shape->final == FINAL_NEW ? new : old;
		}
		if (!stored)
			final = old;
		if (stored || shape->flags & SHAPE_OLD)
			model_put(d->model, a->range, where, size, final);
	}
}

static void take_lanes(struct trace_decoder *d, struct access *a)
{
	struct pack_in *in = &d->columns[COLUMN_LANE];
	uint64_t address = a->address;

	for (uint32_t i = 0; i < a->lane_count; i++) {
		struct access_lane *lane = &d->lanes[i];

		address += unpack_delta(in);
		lane->address = address;
		lane->size = (uint32_t)unpack_bounded(in, a->size);
		lane->offset =
			(uint32_t)unpack_bounded(in, a->size - lane->size);
	}
}

static void take_values(struct trace_decoder *d, struct codec_site *site,
	const struct codec_shape *shape, struct trace_record *out)
{
	struct pack_in *in = &d->columns[COLUMN_BYTES];
	struct access *a = &out->access;
	const uint8_t *own = d->final_bytes;
	bool words = shape_is_words(shape);

	if (shape->flags & SHAPE_OLD)
		a->old_bytes = d->old_bytes;
	if (shape->flags & SHAPE_NEW)
		a->new_bytes = d->new_bytes;
	if (words) {
		take_words(d, site, shape, a);
	} else {
		take_lanes(d, a);
		a->lanes = a->lane_count ? d->lanes : NULL;
		if (a->old_bytes)
			a->old_bytes = unpack_bytes(in, a->size);
		if (a->new_bytes)
			a->new_bytes = unpack_bytes(in, a->size);
		if (shape->final == FINAL_OWN)
			own = unpack_bytes(in, a->size);
	}
	switch ((enum codec_final)shape->final) {
	case FINAL_NONE:
		break;
	case FINAL_OLD:
		out->final_bytes = a->old_bytes;
		break;
	case FINAL_NEW:
		out->final_bytes = a->new_bytes;
		break;
	case FINAL_OWN:
		out->final_bytes = own;
		break;
	}
}

/* ---- registers and stacks ---- */

/* Sites before the first registers had none. */
static bool begin_regs(struct trace_decoder *d)
{
	size_t before = d->regs_room;

	if (!ROOM(d, regs, regs_room, d->site_count))
		return false;
	if (!before)
		memset(d->regs, 0, d->regs_room * sizeof(*d->regs));
	return true;
}

static bool take_regs(struct trace_decoder *d, const struct codec_site *site)
{
	struct pack_in *in = &d->columns[COLUMN_REGS];
	struct codec_regs *state;
	uint64_t mask;

	if (!begin_regs(d))
		return false;
	state = &d->regs[site - d->sites];
	mask = unpack_bounded(in, (1u << TRACE_REGS) - 1);
	for (int i = 0; i < TRACE_REGS; i++) {
		uint64_t step = mask >> i & 1 ? unpack_delta(in) :
						state->stride[i];

		state->last[i] += step;
		state->stride[i] = step;
		d->regs_now[i] = state->last[i];
	}
	return true;
}

static bool new_stack(struct trace_decoder *d, uint32_t number)
{
	struct pack_in *in = &d->columns[COLUMN_STACK_TABLE];
	struct stack_row *row;
	uint64_t word = 0;

	if (!ROOM(d, stacks, stack_room, number + (size_t)1))
		return false;
	row = &d->stacks[number];
	row->count = (uint32_t)unpack_bounded(in, TRACE_STACK_MAX);
	for (uint32_t i = 0; i < row->count; i++)
		row->words[i] = word += unpack_delta(in);
	d->stack_count++;
	return true;
}

static bool take_stack(struct trace_decoder *d, struct codec_site *site,
	struct trace_record *out)
{
	uint32_t number;
	bool is_new;

	if (!take_number(d, COLUMN_STACK, site->stack, d->stack_count, &number,
		    &is_new) ||
		(is_new && !new_stack(d, number)))
		return false;
	site->stack = number + 1;
	out->stack = d->stacks[number].words;
	out->stack_count = d->stacks[number].count;
	return true;
}

/* ---- records ---- */

static void take_place(struct trace_decoder *d, struct codec_site *site,
	uint32_t shape, struct access *a)
{
	uint64_t kept;

	a->address = site->address + site->stride +
		unpack_delta(&d->columns[COLUMN_ADDRESS]);
	kept = a->address + a->kept_first;
	a->offset = kept - d->bases[shape] +
		unpack_delta(&d->columns[COLUMN_OFFSET]);
	d->bases[shape] = kept - a->offset;
	site->stride = site->shape ? a->address - site->address : 0;
	site->address = a->address;
	site->shape = shape + 1;
}

static bool take_access(struct trace_decoder *d, struct trace_record *out)
{
	struct access *a = &out->access;
	struct codec_who *who = take_who(d);
	struct codec_site *site = who ? take_site(d, who) : NULL;
	struct codec_shape shape;
	uint32_t number;

	if (!site || !take_shape(d, site, &number))
		return bad(d);
	shape = d->shapes[number];
	*a = (struct access){
		.kind = shape.kind,
		.atomic = shape.flags & SHAPE_ATOMIC,
		.size = shape.size,
		.range = shape.range,
		.kept_first = shape.kept_first,
		.kept_count = shape.kept_count,
		.lane_count = shape.lane_count,
		.cpu = who->cpu,
		.process = who->process,
	};
	out->outcome = shape.outcome;
	out->site = site->site;
	take_place(d, site, number, a);
	a->seq = d->seq += 1 + unpack_delta(&d->columns[COLUMN_SEQ]);
	out->time_ns = d->time += unpack_delta(&d->columns[COLUMN_TIME]);
	take_values(d, site, &shape, out);
	if (shape.flags & SHAPE_REGS) {
		if (!take_regs(d, site))
			return bad(d);
		out->regs = d->regs_now;
	}
	return !(shape.flags & SHAPE_STACK) || take_stack(d, site, out);
}

static void take_bind(struct trace_decoder *d, struct trace_record *out)
{
	struct pack_in *in = &d->columns[COLUMN_EVENT];
	uint8_t flags = 0;

	out->range = (uint32_t)unpack_bounded(in, UINT32_MAX);
	out->offset = unpack_varint(in);
	out->size = unpack_varint(in);
	if (out->size > UINT64_MAX - out->offset)
		bad(d);
	if (out->kind == TRACE_BIND)
		flags = unpack_byte(in);
	if (flags & ~(BIND_BYTES | BIND_FRAME))
		bad(d);
	if (flags & BIND_FRAME)
		out->frame = unpack_varint(in);
	if (flags & BIND_BYTES)
		out->bytes = unpack_bytes(in, out->size);
}

static const char *take_text(struct trace_decoder *d)
{
	free(d->text);
	d->text = trace_unpack_string(&d->columns[COLUMN_EVENT]);
	return d->text ? d->text : "";
}

static bool take_event(struct trace_decoder *d, struct trace_record *out)
{
	struct pack_in *in = &d->columns[COLUMN_EVENT];
	uint8_t kind = unpack_byte(in);

	if (kind == TRACE_ACCESS || kind >= TRACE_KIND_MAX)
		return bad(d);
	out->kind = kind;
	out->time_ns = d->event_time += unpack_delta(in);
	out->process = unpack_varint(in);
	switch (out->kind) {
	case TRACE_PROCESS_START:
		out->process_name = take_text(d);
		out->program = (uint32_t)unpack_bounded(in, UINT32_MAX) - 1;
		break;
	case TRACE_PROCESS_EXIT:
		out->exit_code = unzigzag(unpack_varint(in));
		break;
	case TRACE_BIND:
	case TRACE_UNBIND:
		take_bind(d, out);
		break;
	case TRACE_END:
		out->exit_code = unzigzag(unpack_varint(in));
		out->text = take_text(d);
		break;
	case TRACE_LOST:
		out->count = unpack_varint(in);
		out->text = take_text(d);
		break;
	case TRACE_MARKER:
		out->text = take_text(d);
		break;
	case TRACE_ACCESS:
	case TRACE_KIND_MAX:
		break;
	}
	return !in->failed;
}

/* Is it an event's turn? */
static bool event_is_next(struct trace_decoder *d)
{
	struct pack_in *in = &d->columns[COLUMN_EVENT];

	if (!d->has_event && in->at < in->end) {
		d->event_at = d->done +
			(uint32_t)unpack_bounded(in, d->accesses);
		d->has_event = true;
	}
	return d->has_event && d->event_at == d->done;
}

int trace_decoder_next(struct trace_decoder *d, struct trace_record *out)
{
	bool good;

	if (d->failed || !d->records)
		return d->failed;
	memset(out, 0, sizeof(*out));
	if (event_is_next(d)) {
		d->has_event = false;
		good = take_event(d, out);
	} else if (d->accesses) {
		good = take_access(d, out);
		d->accesses--;
		d->done++;
	} else {
		good = bad(d);
	}
	if (!good || column_failed(d))
		bad(d);
	out->seq = d->seq;
	d->records--;
	return d->failed ? d->failed : 1;
}
