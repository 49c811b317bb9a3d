/* SPDX-License-Identifier: MIT */
/* Shared by the files of the check: replay_check.c, replay_compare.c,
 * replay_order.c. */
#ifndef CUSTOS_CLI_REPLAY_CHECK_IMPL_H
#define CUSTOS_CLI_REPLAY_CHECK_IMPL_H

#include <pthread.h>
#include <time.h>

#include "cli/replay_check.h"
#include "cli/replay_queue.h"
#include "cli/replay_scan.h"
#include "cli/replay_tell.h"

#define NOT_RECORDED UINT32_MAX

struct replay_check {
	struct keeper keeper; /* first */
	struct replay *replay;
	struct session_recorder recorder;
	/* Recursive: what comes from outside makes records, too. */
	pthread_mutex_t mutex; /* guards the rest */
	struct replay_queue *queue;
	uint32_t *ids; /* recorded, by the id of our range */
	size_t id_count;
	struct run_state *state;
	uint64_t stepped_seq; /* of the access that stepping began with */
	struct replay_verdict verdict;
	bool over; /* diverged, or nothing is left to compare with */
	/* Several CPUs: */
	bool several;
	struct session_order order;
	pthread_cond_t changed; /* somebody's turn is over */
	uint64_t progress; /* records and turns taken */
	uint64_t waits_at[RUN_CPUS_MAX]; /* progress + 1 when it waited last */
	struct timespec progress_time;
};

/* ---- replay_check.c; all with the mutex ---- */

/* What an access, or something else, should become; NULL: nothing near. */
const struct trace_record *replay_next_access(struct replay_check *check);
const struct trace_record *replay_next_event(struct replay_check *check);

/* An end that somebody else made. NULL is one. */
bool replay_is_cut(const struct trace_record *end);
/* Nothing more is recorded. */
void replay_finish_early(struct replay_check *check);

/* It is not the same run: told, and it ends. */
void replay_diverge(struct replay_check *check, struct divergence *d);
/* What happens now, in words, is not what comes next. */
void replay_diverge_kind(struct replay_check *check, const char *now);

void replay_note_progress(struct replay_check *check);
/* The recorded id of our range, or NOT_RECORDED. */
uint32_t replay_recorded_id(const struct replay_check *check, uint32_t range);

/* ---- replay_compare.c: NULL, or what is other than it was ---- */

bool replay_same_bytes(
	const struct access *a, const uint8_t *x, const uint8_t *y);

/* Who does what where; not with which values. */
const char *replay_compare_shape(const struct replay_check *check,
	const struct access *recorded, const struct access *now);

/* decided: the answer is known, and so what an rmw stores. */
const char *replay_compare_values(const struct trace_record *recorded,
	const struct access *now, bool decided);

#define REPLAY_REGISTER_TEXT 96

/* Of the registers that were recorded the first that is another; words are
 * put into room. */
const char *replay_compare_regs(const struct replay_check *check,
	const struct trace_record *recorded, char *room);

/* Is a record that is no access what happens now? */
bool replay_same_event(const struct replay_check *check,
	const struct trace_record *then, const struct trace_record *now);

/* ---- replay_order.c ---- */

void replay_order_init(struct replay_check *check);

#endif
