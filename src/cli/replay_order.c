/* SPDX-License-Identifier: MIT */
/* Several CPUs: whose access is next, whose work in the guest's kernel. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/replay_check_impl.h"

#define WAIT_NS 1000000 /* then the guest may look at interrupts */
#define PATIENCE_S 60 /* without any progress; somebody may compute */

/* Each CPU has waited since anything came: nothing ever will. */
static bool is_stuck(const struct replay_check *check)
{
	const struct run_options *o = &check->replay->run.options;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec > check->progress_time.tv_sec + PATIENCE_S)
		return true;
	for (unsigned i = 0; i < o->cpus; i++)
		if (check->waits_at[i] != check->progress + 1)
			return false;
	return true;
}

static void diverge_stuck(struct replay_check *check)
{
	const struct trace_record *next = replay_next_access(check);
	uint32_t cpu;
	struct divergence d = {
		.recorded = next,
		.why = "every CPU waits for its turn, and this one does not "
		       "come: the recorded order cannot be kept",
	};

	if (replay_queue_turn(check->queue, &cpu))
		replay_note(check->replay,
			"next in the guest's kernel was CPU %" PRIu32, cpu);
	if (replay_is_cut(next))
		replay_finish_early(check);
	else
		replay_diverge(check, &d);
}

/* With the mutex: until something has changed, or a little. */
static void wait_for_change(struct replay_check *check, unsigned cpu)
{
	struct timespec until;

	if (cpu < RUN_CPUS_MAX)
		check->waits_at[cpu] = check->progress + 1;
	if (run_is_interrupted())
		check->over = check->verdict.stopped = true;
	else if (is_stuck(check))
		diverge_stuck(check);
	if (check->over)
		return;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += WAIT_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&check->changed, &check->mutex, &until);
}

static bool is_turn_of(struct replay_check *check, unsigned cpu)
{
	uint32_t next;

	/* Behind the last one there is nothing to keep to. */
	return check->over || !replay_queue_turn(check->queue, &next) ||
		next == cpu;
}

static bool on_turn(void *ctx, unsigned cpu, bool begins)
{
	struct replay_check *check = ctx;
	bool may;

	pthread_mutex_lock(&check->mutex);
	may = is_turn_of(check, cpu);
	if (!may && !begins) {
		wait_for_change(check, cpu);
		may = is_turn_of(check, cpu);
	}
	if (begins && may) {
		replay_queue_take_turn(check->queue);
		replay_note_progress(check);
	} else if (begins) {
		replay_diverge_kind(check,
			"a CPU works in the guest's kernel though it is not "
			"its turn");
	}
	pthread_mutex_unlock(&check->mutex);
	return may;
}

/* The progress that the latest may_access() of this thread saw. */
static _Thread_local uint64_t refused_at;

static bool may_access(void *ctx, uint64_t process, uint32_t range)
{
	struct replay_check *check = ctx;
	const struct trace_record *next;
	bool may;

	pthread_mutex_lock(&check->mutex);
	may = check->over || replay_recorded_id(check, range) == NOT_RECORDED;
	if (!may) {
		next = replay_next_access(check);
		may = replay_is_cut(next) || next->kind != TRACE_ACCESS ||
			next->access.process == process;
	}
	refused_at = check->progress;
	pthread_mutex_unlock(&check->mutex);
	return may;
}

static void on_wait(void *ctx, unsigned cpu)
{
	struct replay_check *check = ctx;

	pthread_mutex_lock(&check->mutex);
	if (check->progress == refused_at) /* else it has changed already */
		wait_for_change(check, cpu);
	pthread_mutex_unlock(&check->mutex);
}

const struct session_order *replay_check_order(struct replay_check *check)
{
	return check->several ? &check->order : NULL;
}

void replay_order_init(struct replay_check *check)
{
	check->order = (struct session_order){
		.ctx = check,
		.turn = on_turn,
		.access = may_access,
		.wait = on_wait,
	};
}
