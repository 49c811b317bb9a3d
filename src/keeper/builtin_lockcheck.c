/* SPDX-License-Identifier: MIT */
/*
 * lockcheck: data that a lock guards is touched without holding it. The lock
 * is a word: 0 when free; taken by an atomic instruction that makes it
 * something else; released by whatever makes it 0. What one process does
 * before others can know of the data, or after the others have ended or said
 * in messages that they are done, needs no lock.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/builtin.h"
#include "keeper/builtin_clock.h"
#include "keeper/builtin_map.h"
#include "keeper/builtin_sighting.h"

#define SITES_MAX 1024

/* An access without the lock that was nobody else's business so far. */
struct pending {
	uint64_t time;
	char where[160];
	struct builtin_sighting sighting;
};

struct site {
	uint64_t place;
	uint64_t count;
};

struct lockcheck {
	struct builtin_state state;
	char lock_name[BUILTIN_RANGE_TEXT_MAX];
	uint32_t lock; /* id of its range */
	bool lock_known;
	bool ever_taken;
	uint64_t holder; /* process; 0: nobody */
	char holder_name[32];
	struct builtin_clocks clocks;
	uint64_t last[BUILTIN_CLOCK_PROCESSES]; /* time of the last access */
	struct pending *pending[BUILTIN_CLOCK_PROCESSES];
	struct builtin_map sites;
	uint64_t findings;
};

/* The first time at this place? Counts. */
static bool is_new(struct lockcheck *check, const char *name, uint64_t ip)
{
	uint64_t place = builtin_sighting_place(name, ip);
	struct site *site = builtin_map_find(&check->sites, &place);

	check->findings++;
	if (!site && check->sites.count < SITES_MAX)
		site = builtin_map_get(&check->sites, &place);
	return site && !site->count++;
}

static void say_holder(struct lockcheck *check)
{
	struct buf *line = &check->state.line;

	if (check->holder)
		buf_printf(line, ", held by %s#%" PRIu64, check->holder_name,
			check->holder);
	else
		buf_add_str(line, ", which nobody holds");
}

/* ---- the lock ---- */

static bool is_zero(const uint8_t *bytes, const struct access *access)
{
	for (uint32_t i = 0; i < access->kept_count; i++)
		if (bytes[access->kept_first + i])
			return false;
	return true;
}

static void complain_of_lock(struct lockcheck *check,
	const struct access *access, const char *what)
{
	struct buf *line = &check->state.line;

	if (!is_new(check, access->process_name, access->ip))
		return;
	buf_printf(line, "lockcheck: `%s' is %s by ", check->lock_name, what);
	builtin_describe_who(check->state.host, access, line);
	if (check->holder && check->holder != access->process)
		say_holder(check);
	buf_add_char(line, '\n');
	builtin_describe_stack(check->state.host, access, line);
	builtin_say(&check->state);
}

static void look_at_lock(struct lockcheck *check, const struct access *access,
	const uint8_t *final_bytes)
{
	bool was_free = is_zero(access->old_bytes, access);
	bool is_free = is_zero(final_bytes, access);

	if (was_free && !is_free) {
		if (!access->atomic)
			complain_of_lock(check, access,
				"taken without an atomic instruction (two can "
				"take it at once)");
		check->ever_taken = true;
		check->holder = access->process;
		memset(check->holder_name, 0, sizeof(check->holder_name));
		strncpy(check->holder_name, access->process_name,
			sizeof(check->holder_name) - 1);
	} else if (is_free) {
		/* A 0 before its first use makes it a lock. */
		if (check->ever_taken && check->holder != access->process)
			complain_of_lock(check, access,
				"released without being held");
		if (!was_free)
			check->holder = 0;
	}
}

/* ---- the data ---- */

static void complain(struct lockcheck *check, const struct pending *pending)
{
	const struct builtin_sighting *sighting = &pending->sighting;
	struct buf *line = &check->state.line;

	if (!is_new(check, sighting->process_name, sighting->ip))
		return;
	buf_printf(line, "lockcheck: %s: ", pending->where);
	builtin_sighting_describe(sighting, check->state.host, line);
	buf_printf(line, " without holding `%s'", check->lock_name);
	say_holder(check);
	buf_add_char(line, '\n');
	builtin_sighting_describe_stack(sighting, check->state.host, line);
	builtin_say(&check->state);
}

static bool is_shared(const struct lockcheck *check, unsigned slot)
{
	for (unsigned i = 0; i < check->clocks.count; i++)
		if (i != slot && !builtin_clocks_is_past(&check->clocks, i,
					 check->last[i], slot))
			return true;
	return false;
}

/* Others' accesses without the lock that this one may have met. */
static void look_at_others(struct lockcheck *check, unsigned slot)
{
	for (unsigned i = 0; i < check->clocks.count; i++) {
		struct pending *pending = check->pending[i];

		if (!pending || i == slot ||
			builtin_clocks_is_past(
				&check->clocks, i, pending->time, slot))
			continue;
		complain(check, pending);
		free(pending);
		check->pending[i] = NULL;
	}
}

static void take_pending(struct lockcheck *check, const struct access *access,
	struct pending *out)
{
	struct buf where = BUF_INIT;

	out->time = 0;
	builtin_describe_where(check->state.host, access, &where);
	snprintf(out->where, sizeof(out->where), "%s", buf_str(&where));
	buf_fini(&where);
	builtin_sighting_take(&out->sighting, check->state.host, access);
}

static void look_at_data(
	struct lockcheck *check, const struct access *access, unsigned slot)
{
	uint64_t now = builtin_clocks_now(&check->clocks, slot);
	struct pending *pending = check->pending[slot];

	look_at_others(check, slot);
	check->last[slot] = now;
	if (check->holder == access->process)
		return;
	if (is_shared(check, slot)) {
		struct pending seen;

		take_pending(check, access, &seen);
		complain(check, &seen);
	} else if (!pending || pending->time != now) {
		if (!pending)
			pending = calloc(1, sizeof(*pending));
		check->pending[slot] = pending;
		if (!pending) {
			check->clocks.lost = true;
			return;
		}
		take_pending(check, access, pending);
		pending->time = now;
	}
}

/* ---- the keeper ---- */

static void lockcheck_told(struct keeper *keeper, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	struct lockcheck *check = (struct lockcheck *)keeper;
	int slot;

	if (!builtin_is_performed(outcome, final_bytes))
		return;
	if (access->range == check->lock) {
		if (builtin_is_stored(access, outcome, final_bytes))
			look_at_lock(check, access, final_bytes);
		return;
	}
	slot = builtin_clocks_slot(&check->clocks, access->process);
	if (slot >= 0 && !check->clocks.lost)
		look_at_data(check, access, (unsigned)slot);
}

static void lockcheck_ordered(
	struct keeper *keeper, uint64_t before, uint64_t after)
{
	struct lockcheck *check = (struct lockcheck *)keeper;

	builtin_clocks_order(&check->clocks, before, after);
}

/* The lock is the first range it asks for. */
static void lockcheck_kept(struct keeper *keeper, uint32_t range)
{
	struct lockcheck *check = (struct lockcheck *)keeper;

	if (!check->lock_known)
		check->lock = range;
	check->lock_known = true;
}

static enum keeper_status lockcheck_finish(
	struct keeper *keeper, struct error *err)
{
	struct lockcheck *check = (struct lockcheck *)keeper;
	struct buf *line = &check->state.line;

	(void)err;
	if (check->findings > check->sites.count)
		buf_printf(line,
			"lockcheck: %" PRIu64 " times, at %zu instructions\n",
			check->findings, check->sites.count);
	if (check->clocks.lost)
		buf_add_str(line,
			"lockcheck: too many processes or too little memory: "
			"not looked at to the end\n");
	builtin_say(&check->state);
	return KEEPER_OK;
}

static void lockcheck_destroy(struct keeper *keeper)
{
	struct lockcheck *check = (struct lockcheck *)keeper;

	for (unsigned i = 0; i < check->clocks.count; i++)
		free(check->pending[i]);
	builtin_clocks_fini(&check->clocks);
	builtin_map_fini(&check->sites);
	builtin_destroy(keeper);
}

static const struct keeper_ops lockcheck_ops = {
	.name = "lockcheck",
	.help = "tells accesses without a lock",
	.told = lockcheck_told,
	.kept = lockcheck_kept,
	.ordered = lockcheck_ordered,
	.finish = lockcheck_finish,
	.destroy = lockcheck_destroy,
};

static int read_argument(struct lockcheck *check, const char *argument,
	struct builtin_ranges *ranges, struct error *err)
{
	const char *colon = strchr(argument, ':'), *rest;
	char text[BUILTIN_RANGE_TEXT_MAX + 1];
	int ret;

	if (!colon || !colon[1])
		return error_set(err, -EINVAL, "`%s': want LOCK:DATA[,DATA...]",
			argument);
	ret = builtin_split(argument, colon, check->lock_name, &rest, err);
	if (!ret)
		ret = builtin_ranges_add(ranges, err, "%s", check->lock_name);
	while (!ret && builtin_next_word(&rest, text, sizeof(text)))
		ret = builtin_ranges_add(ranges, err, "%s", text);
	return ret;
}

int builtin_lockcheck_create(const char *argument,
	const struct builtin_host *host, struct keeper **out,
	struct builtin_ranges *out_ranges, struct error *err)
{
	struct lockcheck *check =
		builtin_create(sizeof(*check), &lockcheck_ops, host, err);
	int ret;

	if (!check)
		return -ENOMEM;
	check->sites.entry_size = sizeof(struct site);
	check->sites.key_size = sizeof(uint64_t);
	ret = read_argument(check, argument, out_ranges, err);
	if (ret)
		keeper_destroy(&check->state.keeper);
	else
		*out = &check->state.keeper;
	return ret;
}
