/* SPDX-License-Identifier: MIT */
/*
 * What a trace says comes next: records and inputs in their order, as far
 * ahead as somebody looks.
 */
#ifndef CUSTOS_CLI_REPLAY_QUEUE_H
#define CUSTOS_CLI_REPLAY_QUEUE_H

#include <custos/trace.h>

#include "base/error.h"

struct replay_queue;

/* reader must be at its beginning, and is the queue's from now on. NULL: out
 * of memory. */
struct replay_queue *replay_queue_create(struct trace_reader *reader);
void replay_queue_destroy(struct replay_queue *queue); /* NULL is fine */

/*
 * The record that comes next (ahead 0), or behind it; NULL: behind the end, or
 * an error, which replay_queue_error() tells. Markers are left out. Valid
 * until it is taken.
 */
const struct trace_record *replay_queue_peek(
	struct replay_queue *queue, size_t ahead);
/*
 * The next access, or the end; the next record that is no access. Between CPUs
 * these two are not ordered. NULL: none near, or an error.
 */
const struct trace_record *replay_queue_access(struct replay_queue *queue);
const struct trace_record *replay_queue_event(struct replay_queue *queue);
/* It has come. Frees it. */
void replay_queue_take(
	struct replay_queue *queue, const struct trace_record *record);
/* 0: none. */
int replay_queue_error(const struct replay_queue *queue, struct error *err);

/* The CPU whose turn in the guest's kernel is next; false: none is left. */
bool replay_queue_turn(struct replay_queue *queue, uint32_t *out_cpu);
void replay_queue_take_turn(struct replay_queue *queue);

/*
 * An input that has come: because all records before it were taken. NULL:
 * none has. Of those for an access (ANSWER; WRITE with a seq)
 * replay_queue_answer() tells. Valid until the next call.
 */
const struct trace_input *replay_queue_input(struct replay_queue *queue);

/*
 * For an access that was peeked: its n-th input of this kind, counting from
 * 0, or NULL. Forgotten with the access.
 */
const struct trace_input *replay_queue_answer(struct replay_queue *queue,
	const struct trace_record *access, enum trace_input_kind kind,
	size_t n);
/* Was a further instruction stepped, next of all, for the access with this
 * number? Each time once. */
bool replay_queue_step(struct replay_queue *queue, uint64_t seq);
/* Forget that one: it was used. */
void replay_queue_use(
	struct replay_queue *queue, const struct trace_input *input);

#endif
