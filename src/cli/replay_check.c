/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/replay_check_impl.h"
#include "cli/run_state.h"
#include "trace/trace_format.h"

#define INSN_RECORDS_MAX 64 /* of one instruction that are looked through */

/* What an access, or something else, should become. On one CPU whatever comes
 * next; between CPUs only accesses are ordered with accesses. */
const struct trace_record *replay_next_access(struct replay_check *check)
{
	return check->several ? replay_queue_access(check->queue) :
				replay_queue_peek(check->queue, 0);
}

const struct trace_record *replay_next_event(struct replay_check *check)
{
	return check->several ? replay_queue_event(check->queue) :
				replay_queue_peek(check->queue, 0);
}

void replay_note_progress(struct replay_check *check)
{
	check->progress++;
	clock_gettime(CLOCK_MONOTONIC, &check->progress_time);
	if (check->several)
		pthread_cond_broadcast(&check->changed);
}

static void take_record(
	struct replay_check *check, const struct trace_record *record)
{
	replay_queue_take(check->queue, record);
	replay_note_progress(check);
}

static struct replay_check *check_of(struct keeper *keeper)
{
	return (struct replay_check *)keeper;
}

/* ---- ranges ---- */

int replay_check_range(
	struct replay_check *check, const struct range *range, uint32_t id)
{
	size_t count = range->id + (size_t)1;
	uint32_t *ids = check->ids;

	if (count > check->id_count) {
		ids = reallocarray(ids, count, sizeof(*ids));
		if (!ids)
			return -ENOMEM;
		while (check->id_count < count)
			ids[check->id_count++] = NOT_RECORDED;
		check->ids = ids;
	}
	ids[range->id] = id;
	return 0;
}

uint32_t replay_recorded_id(const struct replay_check *check, uint32_t range)
{
	return range < check->id_count ? check->ids[range] : NOT_RECORDED;
}

static struct range *range_of(const struct replay_check *check, uint32_t id)
{
	for (size_t i = 0; i < check->id_count; i++)
		if (check->ids[i] == id)
			return range_set_get(check->replay->run.ranges, i);
	return NULL;
}

/* ---- the difference ---- */

void replay_diverge(struct replay_check *check, struct divergence *d)
{
	struct replay *replay = check->replay;

	if (check->over)
		return;
	check->over = true;
	check->verdict.diverged = true;
	check->verdict.seq = d->now ? d->now->seq : 0;
	if (d->recorded)
		check->verdict.seq = d->recorded->seq;
	replay_tell_divergence(replay, d);
	if (check->several)
		replay_note(replay,
			"what CPUs load of memory that they share and that is "
			"not kept may be otherwise than then; keep that, too");
	pthread_cond_broadcast(&check->changed);
	if (replay->run.target)
		target_stop(replay->run.target);
}

/* Nothing more is recorded: the run that was recorded was cut off there. */
void replay_finish_early(struct replay_check *check)
{
	check->over = true;
	pthread_cond_broadcast(&check->changed);
	check->verdict.cut = true; /* or it cannot be read: told at the end */
	target_stop(check->replay->run.target);
}

/* An end that somebody else made. */
bool replay_is_cut(const struct trace_record *end)
{
	return !end ||
		(end->kind == TRACE_END &&
			(end->exit_code == CLI_STOPPED ||
				end->exit_code == CLI_INTERRUPTED ||
				end->exit_code == CLI_FAILED));
}

/* What comes next is not what has come. */
void replay_diverge_kind(struct replay_check *check, const char *now)
{
	struct divergence d = {
		.recorded = replay_next_event(check),
		.why = now,
	};

	replay_diverge(check, &d);
}

/* ---- accesses ---- */

/*
 * The record that this access should become: the next one, or one behind it
 * of the same instruction, which may ask about several before the first is
 * over. NULL: none is like it.
 */
static const struct trace_record *find_record(
	struct replay_check *check, const struct access *now)
{
	const struct trace_record *first = NULL, *r;

	for (size_t i = 0; i < INSN_RECORDS_MAX; i++) {
		r = replay_queue_peek(check->queue, i);
		/* What its keeper wrote is bound before the access is over. */
		if (r && (r->kind == TRACE_BIND ||
				 (check->several && r->kind != TRACE_ACCESS &&
					 r->kind != TRACE_END)))
			continue;
		if (!r || r->kind != TRACE_ACCESS)
			return NULL;
		first = first ? first : r;
		if (r->access.process != first->access.process ||
			r->access.ip != first->access.ip)
			return NULL;
		if (!replay_compare_shape(check, &r->access, now))
			return r;
	}
	return NULL;
}

/* The next record, of whatever kind, against an access like none of them. */
static void diverge_access(struct replay_check *check, const struct access *now)
{
	const struct trace_record *next = replay_next_access(check);
	struct divergence d = {
		.recorded = next,
		.now = now,
		.why = "an access that is not recorded",
	};

	if (replay_is_cut(next)) {
		replay_finish_early(check);
		return;
	}
	if (next->kind == TRACE_ACCESS)
		d.why = replay_compare_shape(check, &next->access, now);
	replay_diverge(check, &d);
}

/* Is it as it was? Else that has been told. */
static bool check_access(struct replay_check *check,
	const struct trace_record *recorded, const struct access *now,
	bool decided)
{
	char room[REPLAY_REGISTER_TEXT];
	const char *why = replay_compare_values(recorded, now, decided);

	if (!why)
		why = replay_compare_regs(check, recorded, room);
	if (why) {
		struct divergence d = {
			.recorded = recorded,
			.now = now,
			.why = why,
		};

		replay_diverge(check, &d);
	}
	return !why;
}

/* ---- what came from outside comes again ---- */

static void write_again(
	struct replay_check *check, const struct trace_input *input)
{
	session_write(check->replay->run.session, input->process,
		input->address, input->bytes, input->size);
}

static void keep_again(
	struct replay_check *check, const struct trace_input *input)
{
	struct run *run = &check->replay->run;
	struct range *range = NULL;
	struct error err = { 0 };

	if (replay_add_range(check->replay, input->range, &check->keeper,
		    &range, &err) ||
		replay_check_range(check, range, input->range)) {
		fprintf(stderr, "custos: %s\n", err.text);
		return;
	}
	range->joined = input->value;
	session_keep(run->session, range, &err);
}

static void release_again(
	struct replay_check *check, const struct trace_input *input)
{
	struct range *range = range_of(check, input->range);

	if (!range)
		return;
	if (input->kind == TRACE_INPUT_REVOKE)
		session_revoke(check->replay->run.session, range);
	else
		session_release(check->replay->run.session, range,
			&check->keeper);
}

/* All that came before the next record; not with the bindings lock held. */
static void repeat_inputs(struct replay_check *check)
{
	const struct trace_input *input;

	while (!check->over && (input = replay_queue_input(check->queue))) {
		switch (input->kind) {
		case TRACE_INPUT_WRITE:
			write_again(check, input);
			break;
		case TRACE_INPUT_KEEP:
			keep_again(check, input);
			break;
		case TRACE_INPUT_RELEASE:
		case TRACE_INPUT_REVOKE:
			release_again(check, input);
			break;
		case TRACE_INPUT_STATE:
			check->verdict.recorded_state = input->value;
			check->verdict.has_recorded_state = true;
			break;
		default:
			break;
		}
	}
}

/* ---- answers ---- */

static void give_fault(const struct trace_input *fault, struct verdict *verdict)
{
	verdict->fault = (struct arch_fault){
		.vector = (enum arch_vector)(fault->value & 0xff),
		.error_code = (uint32_t)(fault->value >> 32),
		.address = fault->address,
	};
}

/* Said once: how long, and who ran meanwhile, is not in the trace. */
static void tell_held(struct replay_check *check, const struct access *access)
{
	if (!check->verdict.held++)
		replay_note(check->replay,
			"access %" PRIu64 " was held then, for a time that is "
			"not recorded; now it is not, and others may run "
			"elsewhere",
			access->seq);
}

/* What only an input tells of it. */
static void answer_from_input(struct replay_check *check,
	const struct trace_input *input,
	const struct access *access, struct verdict *verdict)
{
	switch (input->answer) {
	case TRACE_ANSWER_VALUE:
		if (input->size == access->size)
			memcpy(verdict->value, input->bytes, input->size);
		return;
	case TRACE_ANSWER_FAULT:
		give_fault(input, verdict);
		return;
	case TRACE_ANSWER_GRANT:
		verdict->kind = VERDICT_GRANT;
		verdict->grant_writes = input->value & 1;
		verdict->grant = input->value & 2 ? GRANT_ALL : GRANT_PROCESS;
		return;
	case TRACE_ANSWER_HELD:
		tell_held(check, access);
		return;
	case TRACE_ANSWER_STEPS: /* stepped()'s */
		return;
	}
}

static void answer_as_recorded(struct replay_check *check,
	const struct trace_record *r, const struct access *access,
	struct verdict *verdict)
{
	static const enum verdict_kind kinds[OUTCOME_MAX] = {
		[OUTCOME_SERVE] = VERDICT_SERVE,
		[OUTCOME_ABSORB] = VERDICT_ABSORB,
		[OUTCOME_DENY] = VERDICT_DENY,
		[OUTCOME_STEP] = VERDICT_STEP,
		[OUTCOME_ROLLBACK] = VERDICT_STEP,
		[OUTCOME_STOP] = VERDICT_STOP,
	};
	const struct trace_input *input;

	verdict->kind = kinds[r->outcome];
	if (r->outcome == OUTCOME_SERVE && r->final_bytes &&
		access->kind != ACCESS_RMW)
		memcpy(verdict->value, r->final_bytes, access->size);
	for (size_t n = 0; (input = replay_queue_answer(check->queue, r,
				    TRACE_INPUT_ANSWER, n));
		n++)
		answer_from_input(check, input, access, verdict);
}

static enum keeper_status on_ask(struct keeper *keeper,
	const struct access *access, struct verdict *verdict,
	struct error *err)
{
	struct replay_check *check = check_of(keeper);
	const struct trace_record *r;
	const struct trace_input *input;

	(void)err;
	pthread_mutex_lock(&check->mutex);
	r = check->over ? NULL : find_record(check, access);
	if (!check->over && !r)
		diverge_access(check, access);
	if (r && check_access(check, r, access, false)) {
		while ((input = replay_queue_answer(
				check->queue, r, TRACE_INPUT_WRITE, 0))) {
			replay_queue_use(check->queue, input);
			write_again(check, input);
		}
		answer_as_recorded(check, r, access, verdict);
	}
	pthread_mutex_unlock(&check->mutex);
	return KEEPER_OK;
}

/* The first time its record is still to come; later it is behind us, and
 * whether to go on is all that is left to say. */
static enum keeper_status on_stepped(struct keeper *keeper,
	const struct access *access, const struct step_report *report,
	struct verdict *verdict, struct error *err)
{
	struct replay_check *check = check_of(keeper);
	const struct trace_record *r;

	(void)err;
	pthread_mutex_lock(&check->mutex);
	r = report->times == 1 && !check->over ? find_record(check, access) :
						 NULL;
	if (r)
		check->stepped_seq = r->access.seq;
	if (r && r->outcome == OUTCOME_ROLLBACK)
		verdict->kind = VERDICT_ROLLBACK;
	else if (!check->over &&
		replay_queue_step(check->queue, check->stepped_seq))
		verdict->kind = VERDICT_STEP;
	pthread_mutex_unlock(&check->mutex);
	return KEEPER_OK;
}

/* Its keeper is part of the check. */
static void on_destroy(struct keeper *keeper)
{
	(void)keeper;
}

static const struct keeper_ops check_ops = {
	.name = "replay",
	.help = "answers as recorded",
	.access = on_ask,
	.stepped = on_stepped,
	.destroy = on_destroy,
};

/* ---- what has happened ---- */

static bool is_answered_same(
	const struct trace_record *r, enum outcome outcome,
	const uint8_t *final_bytes)
{
	return r->outcome == outcome &&
		replay_same_bytes(&r->access, r->final_bytes, final_bytes);
}

static void take_access(struct replay_check *check, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	const struct trace_record *r = replay_next_access(check);

	if (!r || r->kind != TRACE_ACCESS ||
		replay_compare_shape(check, &r->access, access)) {
		diverge_access(check, access);
		return;
	}
	if (!check_access(check, r, access, true))
		return;
	if (!is_answered_same(r, outcome, final_bytes)) {
		struct divergence d = {
			.recorded = r,
			.now = access,
			.why = "another answer",
			.decided = true,
			.outcome = outcome,
			.final_bytes = final_bytes,
		};

		replay_diverge(check, &d);
		return;
	}
	check->verdict.accesses++;
	take_record(check, r);
	repeat_inputs(check);
}

static void on_access(void *ctx, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	struct replay_check *check = ctx;

	pthread_mutex_lock(&check->mutex);
	if (check->state && replay_recorded_id(check, access->range) != NOT_RECORDED)
		run_state_access(check->state, &check->replay->run, access);
	if (!check->over && replay_recorded_id(check, access->range) != NOT_RECORDED)
		take_access(check, access, outcome, final_bytes);
	pthread_mutex_unlock(&check->mutex);
}

#define NEAR_EVENTS 256

/*
 * The record that this event is: the next one, or with several CPUs one near.
 * (What their kernel did in turn comes in order; where no turns were recorded,
 * there is none.)
 */
static const struct trace_record *find_event(
	struct replay_check *check, const struct trace_record *now)
{
	size_t count = check->several ? NEAR_EVENTS : 1;

	for (size_t i = 0; i < count; i++) {
		const struct trace_record *r =
			replay_queue_peek(check->queue, i);

		if (!r)
			return NULL;
		if (replay_same_event(check, r, now))
			return r;
	}
	return NULL;
}

/* True: it was recorded. words: for people, if not. */
static bool take_event(struct replay_check *check,
	const struct trace_record *now, const char *words)
{
	const struct trace_record *r = find_event(check, now);

	if (r)
		take_record(check, r);
	else if (replay_is_cut(replay_next_event(check)))
		replay_finish_early(check);
	else
		replay_diverge_kind(check, words);
	return r != NULL;
}

static void on_start(void *ctx, const struct target_process *process)
{
	struct replay_check *check = ctx;
	const struct trace_record event = {
		.kind = TRACE_PROCESS_START,
		.process = process->id,
	};
	char now[128];

	pthread_mutex_lock(&check->mutex);
	if (check->state)
		run_state_start(check->state, process);
	snprintf(now, sizeof(now), "process %" PRIu64 " `%s' starts",
		process->id, process->name);
	if (!check->over && take_event(check, &event, now))
		repeat_inputs(check);
	pthread_mutex_unlock(&check->mutex);
}

static void on_exit_of(
	void *ctx, const struct target_process *process, int64_t code)
{
	struct replay_check *check = ctx;
	const struct trace_record event = {
		.kind = TRACE_PROCESS_EXIT,
		.process = process->id,
		.exit_code = code,
	};
	char now[128];

	pthread_mutex_lock(&check->mutex);
	if (check->state)
		run_state_exit(
			check->state, &check->replay->run, process, code);
	snprintf(now, sizeof(now),
		"process %" PRIu64 " `%s' ends with code %" PRId64,
		process->id, process->name, code);
	if (!check->over && take_event(check, &event, now))
		repeat_inputs(check);
	pthread_mutex_unlock(&check->mutex);
}

static void on_bind(void *ctx, uint64_t process, const struct range *range,
	uint64_t offset, uint32_t size, const uint8_t *bytes, frame_t frame)
{
	struct replay_check *check = ctx;
	struct trace_record event = {
		.kind = TRACE_BIND,
		.process = process,
		.offset = offset,
		.bytes = bytes,
	};
	char now[256];

	(void)frame; /* which page it is nobody inside can see */
	snprintf(now, sizeof(now), "bytes of `%s' from %" PRIu64 " on are %s",
		range->name, offset,
		bytes ? "bound or changed, with these values" : "bound");
	pthread_mutex_lock(&check->mutex);
	event.range = replay_recorded_id(check, range->id);
	while (size && !check->over && event.range != NOT_RECORDED) {
		/* Long ones are several records. */
		event.size = bytes && size > TRACE_BIND_MAX ? TRACE_BIND_MAX :
							      size;
		take_event(check, &event, now);
		event.offset += event.size;
		size -= (uint32_t)event.size;
		if (bytes)
			event.bytes += event.size;
	}
	pthread_mutex_unlock(&check->mutex);
}

static void on_unbind(void *ctx, uint64_t process, const struct range *range,
	uint64_t offset, uint32_t size)
{
	struct replay_check *check = ctx;
	struct trace_record event = {
		.kind = TRACE_UNBIND,
		.process = process,
		.offset = offset,
		.size = size,
	};
	char now[256];

	snprintf(now, sizeof(now),
		"bytes of `%s' from %" PRIu64 " on are not mapped any more",
		range->name, offset);
	pthread_mutex_lock(&check->mutex);
	event.range = replay_recorded_id(check, range->id);
	if (!check->over && event.range != NOT_RECORDED)
		take_event(check, &event, now);
	pthread_mutex_unlock(&check->mutex);
}

static void init_sync(struct replay_check *check)
{
	pthread_mutexattr_t attr;
	pthread_condattr_t cond_attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&check->mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	pthread_condattr_init(&cond_attr);
	pthread_condattr_setclock(&cond_attr, CLOCK_MONOTONIC);
	pthread_cond_init(&check->changed, &cond_attr);
	pthread_condattr_destroy(&cond_attr);
}

/* ---- the beginning and the end ---- */

struct replay_check *replay_check_create(struct replay *replay)
{
	struct replay_check *check = calloc(1, sizeof(*check));

	if (!check)
		return NULL;
	init_sync(check);
	check->replay = replay;
	check->several = replay->query.meta->cpus > 1;
	replay_order_init(check);
	check->recorder = (struct session_recorder){
		.ctx = check,
		.access = on_access,
		.process_start = on_start,
		.process_exit = on_exit_of,
		.bind = on_bind,
		.unbind = on_unbind,
	};
	check->queue = replay_queue_create(replay->query.reader);
	if (replay->query.meta->cpus == 1)
		check->state = run_state_create();
	if (check->queue && !keeper_init(&check->keeper, &check_ops))
		return check;
	replay_check_destroy(check);
	return NULL;
}

void replay_check_destroy(struct replay_check *check)
{
	if (!check)
		return;
	if (check->keeper.ops)
		keeper_destroy(&check->keeper);
	replay_queue_destroy(check->queue);
	run_state_destroy(check->state);
	pthread_mutex_destroy(&check->mutex);
	pthread_cond_destroy(&check->changed);
	free(check->ids);
	free(check);
}

struct keeper *replay_check_keeper(struct replay_check *check)
{
	return &check->keeper;
}

const struct session_recorder *replay_check_recorder(struct replay_check *check)
{
	return &check->recorder;
}

void replay_check_begin(struct replay_check *check)
{
	pthread_mutex_lock(&check->mutex);
	clock_gettime(CLOCK_MONOTONIC, &check->progress_time);
	repeat_inputs(check);
	pthread_mutex_unlock(&check->mutex);
}

/* Nothing but the end may be left. */
static void check_rest(
	struct replay_check *check, int exit_code, bool stopped)
{
	const struct trace_record *r = replay_queue_peek(check->queue, 0);
	char now[128];

	snprintf(now, sizeof(now), "the run ends, with code %d", exit_code);
	if (!r)
		check->verdict.cut = true;
	else if (r->kind == TRACE_END && r->exit_code == exit_code)
		take_record(check, r);
	else if (stopped)
		check->over = check->verdict.stopped = true;
	else
		replay_diverge_kind(check, now);
}

static void check_state(struct replay_check *check)
{
	struct replay_verdict *v = &check->verdict;
	struct divergence d = {
		.why = "all accesses were as recorded, but registers or memory "
		       "are others",
	};

	v->has_state = check->state != NULL;
	if (check->state)
		v->state = run_state_finish(
			check->state, &check->replay->run);
	if (!check->over && v->has_state && v->has_recorded_state &&
		v->state != v->recorded_state)
		replay_diverge(check, &d);
}

void replay_check_end(struct replay_check *check, int exit_code, bool stopped)
{
	struct error err = { 0 };

	pthread_mutex_lock(&check->mutex);
	if (!check->over)
		check_rest(check, exit_code, stopped);
	if (!check->over)
		repeat_inputs(check);
	check_state(check);
	if (replay_queue_error(check->queue, &err)) {
		check->verdict.failed = true;
		run_fail(&check->replay->run, "%s", err.text);
	}
	pthread_mutex_unlock(&check->mutex);
}

void replay_check_verdict(
	const struct replay_check *check, struct replay_verdict *out)
{
	*out = check->verdict;
}
