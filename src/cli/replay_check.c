/* SPDX-License-Identifier: MIT */
#include "cli/replay_check.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/replay_queue.h"
#include "cli/replay_scan.h"
#include "cli/replay_tell.h"
#include "cli/run_state.h"
#include "trace/trace_format.h"

#define INSN_RECORDS_MAX 64 /* of one instruction that are looked through */
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
};

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

static uint32_t recorded_id(const struct replay_check *check, uint32_t range)
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

static void diverge(struct replay_check *check, struct divergence *d)
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
	if (replay->run.target)
		target_stop(replay->run.target);
}

/* Nothing more is recorded: the run that was recorded was cut off there. */
static void finish_early(struct replay_check *check)
{
	check->over = true;
	check->verdict.cut = true; /* or it cannot be read: told at the end */
	target_stop(check->replay->run.target);
}

/* An end that somebody else made. */
static bool is_cut(const struct trace_record *end)
{
	return !end ||
		(end->kind == TRACE_END &&
			(end->exit_code == CLI_STOPPED ||
				end->exit_code == CLI_INTERRUPTED ||
				end->exit_code == CLI_FAILED));
}

/* What comes next is not what has come. */
static void diverge_kind(struct replay_check *check, const char *now)
{
	struct divergence d = {
		.recorded = replay_queue_peek(check->queue, 0),
		.why = now,
	};

	diverge(check, &d);
}

/* ---- accesses ---- */

static bool same_bytes(const struct access *a, const uint8_t *x,
	const uint8_t *y)
{
	if (!x || !y)
		return x == y;
	return !memcmp(x + a->kept_first, y + a->kept_first, a->kept_count);
}

static bool same_insn(const struct access *a, const struct access *b)
{
	if (!a->insn || !b->insn)
		return a->insn == b->insn;
	return a->insn_len == b->insn_len &&
		!memcmp(a->insn, b->insn, a->insn_len);
}

/* Who does what where; not with which values. */
static const char *compare_shape(const struct replay_check *check,
	const struct access *recorded, const struct access *now)
{
	if (recorded->process != now->process)
		return "another process";
	if (recorded->ip != now->ip)
		return "another instruction";
	if (!same_insn(recorded, now))
		return "other code there";
	if (recorded->kind != now->kind)
		return "another kind of access";
	if (recorded->address != now->address)
		return "another address";
	if (recorded->range != recorded_id(check, now->range))
		return "another range";
	if (recorded->size != now->size || recorded->offset != now->offset ||
		recorded->kept_first != now->kept_first ||
		recorded->kept_count != now->kept_count)
		return "other bytes of the range";
	return NULL;
}

/* decided: the answer is known, and so what an rmw stores. */
static const char *compare_values(const struct trace_record *recorded,
	const struct access *now, bool decided)
{
	const struct access *then = &recorded->access;

	if (!same_bytes(now, then->old_bytes, now->old_bytes))
		return "memory holds another value";
	if (!access_writes(now->kind) ||
		(!decided && recorded->outcome == OUTCOME_SERVE))
		return NULL;
	if (!same_bytes(now, then->new_bytes, now->new_bytes))
		return "another value is stored";
	return NULL;
}

static const char *const register_names[TRACE_REGS] = { "rax", "rcx", "rdx",
	"rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
	"r13", "r14", "r15", "rip", "rflags" };

#define REGISTER_TEXT_MAX 96

/* Of those that were recorded, the first that is another. */
static const char *compare_regs(const struct replay_check *check,
	const struct trace_record *recorded, char *room)
{
	const uint64_t *then = recorded->regs;
	struct arch_regs regs;
	uint64_t now[TRACE_REGS];

	if (!then || !session_regs(check->replay->run.session, &regs))
		return NULL;
	memcpy(now, regs.gpr, sizeof(regs.gpr));
	now[ARCH_GPR_MAX] = regs.rip;
	now[ARCH_GPR_MAX + 1] = regs.rflags;
	for (int i = 0; i < TRACE_REGS; i++) {
		if (then[i] == now[i])
			continue;
		snprintf(room, REGISTER_TEXT_MAX,
			"register %s is 0x%" PRIx64 ", was 0x%" PRIx64,
			register_names[i], now[i], then[i]);
		return room;
	}
	return NULL;
}

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
		if (r && r->kind == TRACE_BIND)
			continue;
		if (!r || r->kind != TRACE_ACCESS)
			return NULL;
		first = first ? first : r;
		if (r->access.process != first->access.process ||
			r->access.ip != first->access.ip)
			return NULL;
		if (!compare_shape(check, &r->access, now))
			return r;
	}
	return NULL;
}

/* The next record, of whatever kind, against an access like none of them. */
static void diverge_access(struct replay_check *check, const struct access *now)
{
	const struct trace_record *next = replay_queue_peek(check->queue, 0);
	struct divergence d = {
		.recorded = next,
		.now = now,
		.why = "an access that is not recorded",
	};

	if (is_cut(next)) {
		finish_early(check);
		return;
	}
	if (next->kind == TRACE_ACCESS)
		d.why = compare_shape(check, &next->access, now);
	diverge(check, &d);
}

/* Is it as it was? Else that has been told. */
static bool check_access(struct replay_check *check,
	const struct trace_record *recorded, const struct access *now,
	bool decided)
{
	char room[REGISTER_TEXT_MAX];
	const char *why = compare_values(recorded, now, decided);

	if (!why)
		why = compare_regs(check, recorded, room);
	if (why) {
		struct divergence d = {
			.recorded = recorded,
			.now = now,
			.why = why,
		};

		diverge(check, &d);
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
		same_bytes(&r->access, r->final_bytes, final_bytes);
}

static void take_access(struct replay_check *check, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	const struct trace_record *r = replay_queue_peek(check->queue, 0);

	if (!r || r->kind != TRACE_ACCESS ||
		compare_shape(check, &r->access, access)) {
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

		diverge(check, &d);
		return;
	}
	check->verdict.accesses++;
	replay_queue_take(check->queue);
	repeat_inputs(check);
}

static void on_access(void *ctx, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	struct replay_check *check = ctx;

	pthread_mutex_lock(&check->mutex);
	if (check->state && recorded_id(check, access->range) != NOT_RECORDED)
		run_state_access(check->state, &check->replay->run, access);
	if (!check->over && recorded_id(check, access->range) != NOT_RECORDED)
		take_access(check, access, outcome, final_bytes);
	pthread_mutex_unlock(&check->mutex);
}

/* The next record is of this kind and about this process. */
static bool expect(struct replay_check *check, enum trace_kind kind,
	uint64_t process, const char *now)
{
	const struct trace_record *r = replay_queue_peek(check->queue, 0);

	if (r && r->kind == kind && r->process == process)
		return true;
	if (is_cut(r))
		finish_early(check);
	else
		diverge_kind(check, now);
	return false;
}

static void on_start(void *ctx, const struct target_process *process)
{
	struct replay_check *check = ctx;
	char now[128];

	pthread_mutex_lock(&check->mutex);
	if (check->state)
		run_state_start(check->state, process);
	snprintf(now, sizeof(now), "process %" PRIu64 " `%s' starts",
		process->id, process->name);
	if (!check->over &&
		expect(check, TRACE_PROCESS_START, process->id, now)) {
		replay_queue_take(check->queue);
		repeat_inputs(check);
	}
	pthread_mutex_unlock(&check->mutex);
}

static void on_exit_of(
	void *ctx, const struct target_process *process, int64_t code)
{
	struct replay_check *check = ctx;
	char now[128];

	pthread_mutex_lock(&check->mutex);
	if (check->state)
		run_state_exit(
			check->state, &check->replay->run, process, code);
	snprintf(now, sizeof(now),
		"process %" PRIu64 " `%s' ends with code %" PRId64,
		process->id, process->name, code);
	if (!check->over &&
		expect(check, TRACE_PROCESS_EXIT, process->id, now)) {
		if (replay_queue_peek(check->queue, 0)->exit_code != code) {
			diverge_kind(check, now);
		} else {
			replay_queue_take(check->queue);
			repeat_inputs(check);
		}
	}
	pthread_mutex_unlock(&check->mutex);
}

/* One record of at most TRACE_BIND_MAX bytes. */
static void take_bind(struct replay_check *check, uint64_t process,
	uint32_t id, const struct range *range, uint64_t offset, uint64_t size,
	const uint8_t *bytes)
{
	const struct trace_record *r;
	char now[256];

	snprintf(now, sizeof(now), "bytes of `%s' from %" PRIu64 " on are %s",
		range->name, offset,
		bytes ? "bound or changed, with these values" : "bound");
	if (!expect(check, TRACE_BIND, process, now))
		return;
	r = replay_queue_peek(check->queue, 0);
	if (r->range != id || r->offset != offset || r->size != size ||
		!r->bytes != !bytes ||
		(bytes && memcmp(r->bytes, bytes, size)))
		diverge_kind(check, now);
	else
		replay_queue_take(check->queue);
}

static void on_bind(void *ctx, uint64_t process, const struct range *range,
	uint64_t offset, uint32_t size, const uint8_t *bytes, frame_t frame)
{
	struct replay_check *check = ctx;
	uint32_t id;

	(void)frame; /* which page it is nobody inside can see */
	pthread_mutex_lock(&check->mutex);
	id = recorded_id(check, range->id);
	while (size && !check->over && id != NOT_RECORDED) {
		uint32_t part = bytes && size > TRACE_BIND_MAX ?
			TRACE_BIND_MAX :
			size;

		take_bind(check, process, id, range, offset, part, bytes);
		offset += part;
		size -= part;
		bytes = bytes ? bytes + part : NULL;
	}
	pthread_mutex_unlock(&check->mutex);
}

static void on_unbind(void *ctx, uint64_t process, const struct range *range,
	uint64_t offset, uint32_t size)
{
	struct replay_check *check = ctx;
	uint32_t id;
	char now[256];

	pthread_mutex_lock(&check->mutex);
	id = recorded_id(check, range->id);
	snprintf(now, sizeof(now), "bytes of `%s' from %" PRIu64
		" on are not mapped any more",
		range->name, offset);
	if (!check->over && id != NOT_RECORDED &&
		expect(check, TRACE_UNBIND, process, now)) {
		const struct trace_record *r =
			replay_queue_peek(check->queue, 0);

		if (r->range != id || r->offset != offset || r->size != size)
			diverge_kind(check, now);
		else
			replay_queue_take(check->queue);
	}
	pthread_mutex_unlock(&check->mutex);
}

/* ---- the beginning and the end ---- */

struct replay_check *replay_check_create(struct replay *replay)
{
	struct replay_check *check = calloc(1, sizeof(*check));
	pthread_mutexattr_t attr;

	if (!check)
		return NULL;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&check->mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	check->replay = replay;
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
		replay_queue_take(check->queue);
	else if (stopped)
		check->over = check->verdict.stopped = true;
	else
		diverge_kind(check, now);
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
		diverge(check, &d);
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
