/* SPDX-License-Identifier: MIT */
/*
 * Places held while a keeper is asked about them. The holds are in their
 * holders, the waiters in lists made of their own links.
 */
#include "cpu.h"
#include "endpoint.h"
#include "keep.h"
#include "process.h"
#include "sched.h"

#define LOCK_LISTS 64
#define LOOP_MAX CUSTOS_WALK_NODES

static struct list lists[LOCK_LISTS]; /* of holds, by hash */
static unsigned held;

void lock_init(void)
{
	unsigned i;

	held = 0;
	for (i = 0; i < LOCK_LISTS; i++)
		list_init(&lists[i]);
}

static struct list *list_of(const struct keep_place *place)
{
	uint64_t hash = (uintptr_t)place->object / PAGE_SIZE + place->page +
			place->payload;

	return &lists[hash % LOCK_LISTS];
}

static bool is_same(const struct keep_place *a, const struct keep_place *b)
{
	return a->object == b->object && a->payload == b->payload &&
	       a->page == b->page;
}

struct keep_hold *lock_find(const struct keep_place *place)
{
	struct list *list, *at;

	if (!held || !place->object)
		return NULL;
	list = list_of(place);
	for (at = list->next; at != list; at = at->next) {
		struct keep_hold *hold = LIST_ENTRY(at, struct keep_hold, link);

		if (is_same(&hold->place, place))
			return hold;
	}
	return NULL;
}

struct keep_hold *lock_take(
	struct process *process, const struct keep_place *place)
{
	unsigned i;

	for (i = 0; i < KEEP_HOLDS; i++) {
		struct keep_hold *hold = &process->keep.holds[i];

		if (hold->holder)
			continue;
		machine_zero(hold, sizeof(*hold));
		process->keep.used = true;
		hold->holder = process;
		hold->place = *place;
		list_init(&hold->waiters);
		list_insert(list_of(place), &hold->link);
		held++;
		return hold;
	}
	return NULL;
}

/* Nobody overtakes who is first in line: until it has tried again the place is
 * its own, and the line is behind it. */
static bool hand_on(struct keep_hold *hold)
{
	struct process *first =
		LIST_ENTRY(hold->waiters.next, struct process, link);
	struct keep_hold *next = lock_take(first, &hold->place);

	if (!next)
		return false;
	sched_go_on(first);
	if (!list_is_empty(&hold->waiters)) {
		list_insert(&hold->waiters, &next->waiters);
		list_remove(&hold->waiters);
	}
	next->is_reserved = true;
	first->keep.has_reserved = true;
	first->keep.last_ip = first->frame.rip;
	return true;
}

void lock_release(struct keep_hold *hold)
{
	if (!hold->holder)
		return;
	hold->holder = NULL;
	list_remove(&hold->link);
	held--;
	while (!list_is_empty(&hold->waiters) && !hand_on(hold))
		sched_go_on(LIST_ENTRY(
			hold->waiters.next, struct process, link));
}

void lock_release_reserved(struct process *process)
{
	unsigned i;

	process->keep.has_reserved = false;
	for (i = 0; i < KEEP_HOLDS; i++)
		if (process->keep.holds[i].is_reserved)
			lock_release(&process->keep.holds[i]);
}

void lock_release_all(struct process *process)
{
	unsigned i;

	for (i = 0; i < KEEP_HOLDS; i++)
		lock_release(&process->keep.holds[i]);
}

void lock_wait(struct process *process, struct keep_hold *hold)
{
	process->keep.awaited = hold->place;
	if (cpu_this()->current == process) {
		sched_block(process, PROCESS_LOCKED, &hold->waiters);
		return;
	}
	process->state = PROCESS_LOCKED;
	list_insert(&hold->waiters, &process->link);
}

bool lock_is_open_to(
	const struct keep_hold *hold, const struct process *process)
{
	return hold->holder == process ||
	       hold->holder->keep.answerer == process;
}

/* The one it waits for, if that is only one. */
static const struct process *awaited(const struct process *process)
{
	const struct endpoint *endpoint;
	const struct keep_hold *hold;

	if (process->state == PROCESS_LOCKED) {
		hold = lock_find(&process->keep.awaited);
		return hold ? hold->holder : NULL;
	}
	if (process->state != PROCESS_ASKING)
		return NULL;
	endpoint = process->keep.asked.object;
	if (!cap_is_live(&process->keep.asked))
		return NULL;
	return endpoint->recipient;
}

bool lock_is_loop(const struct process *process, const struct process *other)
{
	unsigned i;

	for (i = 0; i < LOOP_MAX && other; i++) {
		if (other == process)
			return true;
		other = awaited(other);
	}
	return other != NULL;
}
