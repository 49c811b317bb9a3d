/* SPDX-License-Identifier: MIT */
#include "cli/replay_queue.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A record with all its bytes, which the reader forgets. */
struct waiting {
	struct waiting *next;
	struct trace_record record;
	uint64_t position;
	uint8_t bytes[];
};

struct noted {
	struct noted *next;
	struct trace_input input;
	uint8_t bytes[];
};

struct replay_queue {
	struct trace_reader *reader;
	struct waiting *records, **records_end;
	struct noted *inputs, **inputs_end;
	bool inputs_ended;
	uint8_t *turns; /* CPUs, from turn_first on */
	size_t turn_first, turn_count, turn_room;
	struct noted *current; /* handed out */
	int status;
	struct error error;
};

struct replay_queue *replay_queue_create(struct trace_reader *reader)
{
	struct replay_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->reader = reader;
	q->records_end = &q->records;
	q->inputs_end = &q->inputs;
	return q;
}

void replay_queue_destroy(struct replay_queue *q)
{
	if (!q)
		return;
	while (q->records) {
		struct waiting *next = q->records->next;

		free(q->records);
		q->records = next;
	}
	while (q->inputs) {
		struct noted *next = q->inputs->next;

		free(q->inputs);
		q->inputs = next;
	}
	free(q->current);
	free(q->turns);
	free(q);
}

int replay_queue_error(const struct replay_queue *q, struct error *err)
{
	if (q->status && err)
		*err = q->error;
	return q->status;
}

static void fail(struct replay_queue *q)
{
	q->status = error_set(&q->error, -ENOMEM, "out of memory");
}

/* ---- copies ---- */

static size_t padded(size_t size)
{
	return (size + 15) & ~(size_t)15;
}

/* So many bytes to *at, which moves on; NULL stays NULL. */
static const void *keep(uint8_t **at, const void *bytes, size_t size)
{
	uint8_t *to = *at;

	if (!bytes)
		return NULL;
	memcpy(to, bytes, size);
	*at += padded(size);
	return to;
}

static size_t bytes_of(const struct trace_record *r)
{
	const struct access *a = &r->access;
	size_t size = 0;

	if (r->kind == TRACE_ACCESS)
		size = 3 * padded(a->size) + padded(ARCH_INSN_MAX) +
			padded(a->lane_count * sizeof(*a->lanes)) +
			padded(TRACE_REGS * sizeof(uint64_t)) +
			padded(r->stack_count * sizeof(uint64_t));
	if (r->bytes)
		size += padded(r->size);
	return size;
}

static void keep_access(struct trace_record *r, uint8_t **at)
{
	struct access *a = &r->access;

	a->old_bytes = keep(at, a->old_bytes, a->size);
	a->new_bytes = keep(at, a->new_bytes, a->size);
	r->final_bytes = keep(at, r->final_bytes, a->size);
	a->insn = keep(at, a->insn, a->insn_len);
	a->lanes = keep(at, a->lanes, a->lane_count * sizeof(*a->lanes));
	r->regs = keep(at, r->regs, TRACE_REGS * sizeof(uint64_t));
	r->stack = keep(at, r->stack, r->stack_count * sizeof(uint64_t));
}

static bool append(struct replay_queue *q, const struct trace_record *record)
{
	struct waiting *w = malloc(sizeof(*w) + bytes_of(record));
	uint8_t *at;

	if (!w) {
		fail(q);
		return false;
	}
	w->next = NULL;
	w->record = *record;
	w->position = trace_reader_position(q->reader);
	at = w->bytes;
	if (record->kind == TRACE_ACCESS)
		keep_access(&w->record, &at);
	else if (record->kind == TRACE_BIND)
		w->record.bytes = keep(&at, record->bytes, record->size);
	/* Names of processes are the reader's, and stay; texts do not. */
	w->record.text = NULL;
	*q->records_end = w;
	q->records_end = &w->next;
	return true;
}

/* ---- records ---- */

static bool read_record(struct replay_queue *q)
{
	struct trace_record record;
	int ret;

	if (q->status)
		return false;
	do {
		memset(&record, 0, sizeof(record));
		ret = trace_reader_next(q->reader, &record, &q->error);
	} while (ret == 1 && record.kind == TRACE_MARKER);
	if (ret < 0)
		q->status = ret;
	return ret == 1 && append(q, &record);
}

static struct waiting *peek(struct replay_queue *q, size_t ahead)
{
	struct waiting **at = &q->records;

	for (;; at = &(*at)->next) {
		if (!*at && !read_record(q))
			return NULL;
		if (!ahead--)
			return *at;
	}
}

const struct trace_record *replay_queue_peek(
	struct replay_queue *q, size_t ahead)
{
	const struct waiting *w = peek(q, ahead);

	return w ? &w->record : NULL;
}

#define NEAR 4096 /* records looked through for one of another sort */

const struct trace_record *replay_queue_access(struct replay_queue *q)
{
	for (size_t i = 0; i < NEAR; i++) {
		const struct trace_record *r = replay_queue_peek(q, i);

		if (!r || r->kind == TRACE_ACCESS || r->kind == TRACE_END ||
			r->kind == TRACE_LOST)
			return r;
	}
	return NULL;
}

const struct trace_record *replay_queue_event(struct replay_queue *q)
{
	for (size_t i = 0; i < NEAR; i++) {
		const struct trace_record *r = replay_queue_peek(q, i);

		if (!r || r->kind != TRACE_ACCESS)
			return r;
	}
	return NULL;
}

/* ---- inputs ---- */

static bool add_turn(struct replay_queue *q, uint32_t cpu)
{
	size_t room = q->turn_room * 2 + 256;
	uint8_t *turns = q->turns;

	if (q->turn_count == q->turn_room) {
		turns = realloc(turns, room);
		if (!turns) {
			fail(q);
			return false;
		}
		q->turns = turns;
		q->turn_room = room;
	}
	turns[q->turn_count++] = (uint8_t)cpu;
	return true;
}

/* Is it one for the access that is being decided? */
static bool is_answer(const struct trace_input *input)
{
	return input->kind == TRACE_INPUT_ANSWER ||
		(input->kind == TRACE_INPUT_WRITE && input->seq);
}

static bool add_input(struct replay_queue *q, const struct trace_input *input)
{
	struct noted *noted = malloc(sizeof(*noted) + input->size);

	if (!noted) {
		fail(q);
		return false;
	}
	noted->next = NULL;
	noted->input = *input;
	noted->input.bytes = noted->bytes;
	if (input->size)
		memcpy(noted->bytes, input->bytes, input->size);
	*q->inputs_end = noted;
	q->inputs_end = &noted->next;
	return true;
}

/* One more, if it is of interest here. */
static bool read_input(struct replay_queue *q)
{
	struct trace_input input;
	int ret;

	if (q->status || q->inputs_ended)
		return false;
	ret = trace_reader_input(q->reader, &input, &q->error);
	if (ret < 0)
		q->status = ret;
	q->inputs_ended = ret != 1;
	if (ret != 1)
		return false;
	if (input.kind == TRACE_INPUT_TURN)
		return add_turn(q, input.cpu);
	return input.kind == TRACE_INPUT_ORDER || add_input(q, &input);
}

/* at: of the list, maybe its end. */
static bool have_input(struct replay_queue *q, struct noted **at)
{
	while (!*at)
		if (!read_input(q))
			return false;
	return true;
}

static void drop(struct replay_queue *q, struct noted **at)
{
	struct noted *noted = *at;

	*at = noted->next;
	if (q->inputs_end == &noted->next)
		q->inputs_end = at;
	free(q->current);
	q->current = noted;
}

const struct trace_input *replay_queue_input(struct replay_queue *q)
{
	const struct waiting *next = peek(q, 0);

	for (struct noted **at = &q->inputs;; at = &(*at)->next) {
		if (!have_input(q, at))
			return NULL;
		/* Markers count, but nobody takes them. */
		if (next && (*at)->input.record > next->position)
			return NULL;
		if (is_answer(&(*at)->input))
			continue;
		drop(q, at);
		return &q->current->input;
	}
}

static bool is_for(const struct trace_input *input,
	const struct trace_record *r, enum trace_input_kind kind)
{
	if (input->kind != kind || input->seq != r->access.seq)
		return false;
	return kind != TRACE_INPUT_ANSWER || input->range == r->access.range;
}

const struct trace_input *replay_queue_answer(struct replay_queue *q,
	const struct trace_record *access, enum trace_input_kind kind, size_t n)
{
	const struct waiting *w = (const struct waiting *)(const void *)((
		const uint8_t *)access - offsetof(struct waiting, record));

	for (struct noted **at = &q->inputs;; at = &(*at)->next) {
		if (!have_input(q, at))
			return NULL;
		if ((*at)->input.record > w->position)
			return NULL;
		if (is_for(&(*at)->input, access, kind) && !n--)
			return &(*at)->input;
	}
}

bool replay_queue_step(struct replay_queue *q, uint64_t seq)
{
	const struct waiting *next = peek(q, 0);

	for (struct noted **at = &q->inputs;; at = &(*at)->next) {
		const struct trace_input *input;

		if (!have_input(q, at))
			return false;
		input = &(*at)->input;
		if (next && input->record > next->position)
			return false;
		if (input->kind == TRACE_INPUT_ANSWER && input->seq == seq &&
			input->answer == TRACE_ANSWER_STEPS) {
			drop(q, at);
			return true;
		}
	}
}

void replay_queue_use(struct replay_queue *q, const struct trace_input *input)
{
	for (struct noted **at = &q->inputs; *at; at = &(*at)->next)
		if (&(*at)->input == input) {
			drop(q, at);
			return;
		}
}

/* Those for the record that goes. */
static void drop_answers(struct replay_queue *q, const struct waiting *w)
{
	struct noted **at = &q->inputs;

	while (*at && (*at)->input.record <= w->position) {
		if (is_for(&(*at)->input, &w->record, TRACE_INPUT_ANSWER) ||
			is_for(&(*at)->input, &w->record, TRACE_INPUT_WRITE))
			drop(q, at);
		else
			at = &(*at)->next;
	}
}

void replay_queue_take(
	struct replay_queue *q, const struct trace_record *record)
{
	struct waiting **at = &q->records, *w;

	while (*at && &(*at)->record != record)
		at = &(*at)->next;
	w = *at;
	if (!w)
		return;
	*at = w->next;
	if (q->records_end == &w->next)
		q->records_end = at;
	if (w->record.kind == TRACE_ACCESS)
		drop_answers(q, w);
	free(w);
}

/* ---- turns ---- */

bool replay_queue_turn(struct replay_queue *q, uint32_t *out_cpu)
{
	while (q->turn_first == q->turn_count && read_input(q))
		;
	if (q->turn_first == q->turn_count)
		return false;
	*out_cpu = q->turns[q->turn_first];
	return true;
}

void replay_queue_take_turn(struct replay_queue *q)
{
	q->turn_first++;
	if (q->turn_first == q->turn_count)
		q->turn_first = q->turn_count = 0;
}
