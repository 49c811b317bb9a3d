/* SPDX-License-Identifier: MIT */
/*
 * Asking a keeper: one at a time unless it is concurrent, with a verdict that
 * is complete before it answers, and never believed when it is impossible.
 */
#include "keeper/keeper.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/invariant.h"
#include "base/ticks.h"

static const char *const verdict_names[] = {
	[VERDICT_PASS] = "pass",
	[VERDICT_SERVE] = "serve",
	[VERDICT_ABSORB] = "absorb",
	[VERDICT_DENY] = "deny",
	[VERDICT_STEP] = "step",
	[VERDICT_STOP] = "stop",
	[VERDICT_HOLD] = "hold",
	[VERDICT_GRANT] = "grant",
	[VERDICT_CONTINUE] = "continue",
	[VERDICT_ROLLBACK] = "rollback",
};

_Static_assert(
	sizeof(verdict_names) / sizeof(verdict_names[0]) == VERDICT_KIND_MAX,
	"a name for every verdict");

const char *verdict_name(enum verdict_kind kind)
{
	invariant(kind < VERDICT_KIND_MAX);
	return verdict_names[kind];
}

int keeper_init(struct keeper *keeper, const struct keeper_ops *ops)
{
	pthread_mutex_t *lock = malloc(sizeof(*lock));

	if (!lock)
		return -ENOMEM;
	if (pthread_mutex_init(lock, NULL)) {
		free(lock);
		return -ENOMEM;
	}
	*keeper = (struct keeper){ .ops = ops, .lock = lock };
	return 0;
}

void keeper_fini(struct keeper *keeper)
{
	if (!keeper->lock)
		return;
	pthread_mutex_destroy(keeper->lock);
	free(keeper->lock);
	keeper->lock = NULL;
}

void keeper_destroy(struct keeper *keeper)
{
	if (!keeper)
		return;
	keeper_fini(keeper);
	keeper->ops->destroy(keeper);
}

/* Returns when it began, for leave(); waiting for the lock is no work. */
static uint64_t enter(struct keeper *keeper)
{
	if (!keeper->ops->concurrent)
		pthread_mutex_lock(keeper->lock);
	__atomic_add_fetch(&keeper->asked, 1, __ATOMIC_RELAXED);
	return keeper->timed ? ticks_now() : 0;
}

static void leave(
	struct keeper *keeper, enum keeper_status status, uint64_t began)
{
	if (keeper->timed)
		__atomic_add_fetch(&keeper->ticks, ticks_now() - began,
			__ATOMIC_RELAXED);
	if (status != KEEPER_OK)
		__atomic_add_fetch(&keeper->failed, 1, __ATOMIC_RELAXED);
	if (!keeper->ops->concurrent)
		pthread_mutex_unlock(keeper->lock);
}

/* The page fault a page without the right would have given, but marked: the
 * guest's kernel finds nothing wrong with the mapping and would try again. */
static struct arch_fault default_fault(const struct access *access)
{
	struct arch_fault fault = {
		.vector = ARCH_VECTOR_PF,
		.error_code = ARCH_PF_PRESENT | ARCH_PF_USER | ARCH_PF_RSVD,
		.address = access->address + access->kept_first,
	};

	if (access->lanes && access->lane_count)
		fault.address = access->lanes[0].address;
	if (access_writes(access->kind))
		fault.error_code |= ARCH_PF_WRITE;
	if (access->kind == ACCESS_FETCH)
		fault.error_code |= ARCH_PF_FETCH;
	return fault;
}

static void prepare(struct verdict *verdict, const struct access *access,
	enum verdict_kind kind)
{
	verdict->kind = kind;
	verdict->fault = default_fault(access);
	verdict->reason[0] = '\0';
}

bool verdict_answers_access(enum verdict_kind kind, enum access_kind access)
{
	switch (kind) {
	case VERDICT_PASS:
	case VERDICT_SERVE:
	case VERDICT_DENY:
	case VERDICT_STOP:
	case VERDICT_STEP:
	case VERDICT_GRANT:
		return true;
	case VERDICT_ABSORB:
		return access_writes(access);
	case VERDICT_HOLD: /* a copy is the kernel's, which cannot wait */
		return access <= ACCESS_FETCH;
	case VERDICT_CONTINUE:
	case VERDICT_ROLLBACK:
	case VERDICT_KIND_MAX:
		break;
	}
	return false;
}

bool verdict_answers_stepped(enum verdict_kind kind)
{
	return kind == VERDICT_CONTINUE || kind == VERDICT_STEP ||
		kind == VERDICT_ROLLBACK || kind == VERDICT_DENY ||
		kind == VERDICT_STOP;
}

static enum keeper_status impossible(const struct keeper *keeper,
	enum verdict_kind kind, const char *question, struct error *err)
{
	error_set(err, -EINVAL, "%s gave an impossible answer to a %s: %s",
		keeper->ops->name, question,
		kind < VERDICT_KIND_MAX ? verdict_names[kind] : "?");
	return KEEPER_ERROR;
}

enum keeper_status keeper_ask(struct keeper *keeper,
	const struct access *access, enum verdict_kind fallback,
	struct verdict *verdict, struct error *err)
{
	enum keeper_status status;
	uint64_t began;

	invariant(fallback == VERDICT_PASS || fallback == VERDICT_DENY);
	began = enter(keeper);
	prepare(verdict, access, VERDICT_PASS);
	verdict->hold_ms = 0;
	verdict->grant = GRANT_PROCESS;
	verdict->grant_writes = true;
	status = keeper->ops->access(keeper, access, verdict, err);
	if (status == KEEPER_OK &&
		!verdict_answers_access(verdict->kind, access->kind))
		status = impossible(keeper, verdict->kind,
			access_kind_name(access->kind), err);
	if (status != KEEPER_OK)
		prepare(verdict, access, fallback);
	leave(keeper, status, began);
	return status;
}

enum keeper_status keeper_ask_stepped(struct keeper *keeper,
	const struct access *access, const struct step_report *report,
	enum verdict_kind fallback, struct verdict *verdict, struct error *err)
{
	enum keeper_status status;
	uint64_t began;

	invariant(fallback == VERDICT_PASS || fallback == VERDICT_DENY);
	if (fallback == VERDICT_PASS)
		fallback = VERDICT_CONTINUE;
	began = enter(keeper);
	prepare(verdict, access, VERDICT_CONTINUE);
	status = keeper->ops->stepped(keeper, access, report, verdict, err);
	if (status == KEEPER_OK && verdict->kind == VERDICT_PASS)
		verdict->kind = VERDICT_CONTINUE;
	if (status == KEEPER_OK && !verdict_answers_stepped(verdict->kind))
		status = impossible(keeper, verdict->kind, "step", err);
	if (status != KEEPER_OK)
		prepare(verdict, access, fallback);
	leave(keeper, status, began);
	return status;
}

void keeper_tell(struct keeper *keeper, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	uint64_t began = enter(keeper);

	keeper->ops->told(keeper, access, outcome, final_bytes);
	leave(keeper, KEEPER_OK, began);
}

void keeper_tell_kept(struct keeper *keeper, uint32_t range)
{
	if (!keeper->ops->kept)
		return;
	pthread_mutex_lock(keeper->lock);
	keeper->ops->kept(keeper, range);
	pthread_mutex_unlock(keeper->lock);
}

void keeper_tell_ordered(
	struct keeper *keeper, uint64_t before, uint64_t after)
{
	if (!keeper->ops->ordered)
		return;
	pthread_mutex_lock(keeper->lock);
	keeper->ops->ordered(keeper, before, after);
	pthread_mutex_unlock(keeper->lock);
}

enum keeper_status keeper_start(struct keeper *keeper, struct error *err)
{
	enum keeper_status status = KEEPER_OK;

	if (!keeper->ops->start)
		return KEEPER_OK;
	pthread_mutex_lock(keeper->lock);
	status = keeper->ops->start(keeper, err);
	pthread_mutex_unlock(keeper->lock);
	return status;
}

enum keeper_status keeper_finish(struct keeper *keeper, struct error *err)
{
	enum keeper_status status = KEEPER_OK;

	if (!keeper->ops->finish)
		return KEEPER_OK;
	pthread_mutex_lock(keeper->lock);
	status = keeper->ops->finish(keeper, err);
	pthread_mutex_unlock(keeper->lock);
	return status;
}
