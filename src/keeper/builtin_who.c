/* SPDX-License-Identifier: MIT */
/*
 * who: which instructions touch which bytes, how often, first and last. At the
 * end a sweep over the bytes finds the runs that the same instructions touch,
 * so that an array filled in a loop is one paragraph, not one for each byte.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/builtin.h"
#include "keeper/builtin_map.h"

#define RUNS_MAX 200 /* told */
#define LINES_MAX 50 /* told of a run */

/* One instruction at one place of the range. */
struct touch {
	struct touch_key {
		struct instruction {
			uint64_t process, ip;
			uint64_t kind;
		} by;
		uint64_t offset, count;
	} key;
	uint64_t times, first, last;
	char process_name[32];
};

struct who {
	struct builtin_state state;
	char range[BUILTIN_RANGE_TEXT_MAX];
	struct builtin_map touches;
};

/* An instruction and how many of its touches cover the sweep's place. */
struct active {
	struct instruction by;
	uint64_t touches;
};

struct sweep {
	struct who *who;
	struct touch **starts, **ends; /* the touches, sorted by either */
	size_t count;
	struct touch **members; /* those that touch the run so far */
	size_t member_count;
	struct builtin_map active;
	uint64_t signature; /* of the set of active instructions */
	uint64_t run_first, run_signature; /* the run: the same set */
	uint64_t runs;
};

static void who_told(struct keeper *keeper, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	struct who *who = (struct who *)keeper;
	struct touch_key key = {
		.by = { access->process, access->ip, access->kind },
		.offset = access->offset,
		.count = access->kept_count,
	};
	struct touch *touch;

	(void)final_bytes;
	if (outcome == OUTCOME_ROLLBACK || outcome == OUTCOME_FAULT)
		return;
	touch = builtin_map_get(&who->touches, &key);
	if (!touch)
		return;
	touch->last = access->seq;
	if (touch->times++)
		return;
	touch->first = access->seq;
	snprintf(touch->process_name, sizeof(touch->process_name), "%s",
		access->process_name);
}

/* ---- the report ---- */

static uint64_t end_of(const struct touch *touch)
{
	return touch->key.offset + touch->key.count;
}

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int by_start(const void *a, const void *b)
{
	return compare((*(struct touch *const *)a)->key.offset,
		(*(struct touch *const *)b)->key.offset);
}

static int by_end(const void *a, const void *b)
{
	return compare(end_of(*(struct touch *const *)a),
		end_of(*(struct touch *const *)b));
}

static int by_times(const void *a, const void *b)
{
	const struct touch *left = a, *right = b;
	int order = compare(right->times, left->times);

	return order ? order : compare(left->first, right->first);
}

static void describe_touch(
	struct who *who, const struct touch *touch, struct buf *out)
{
	struct access access = {
		.process = touch->key.by.process,
		.process_name = touch->process_name,
		.ip = touch->key.by.ip,
	};

	buf_printf(out, "    %s %" PRIu64 " time%s, access %" PRIu64,
		access_kind_name((enum access_kind)touch->key.by.kind),
		touch->times, touch->times == 1 ? "" : "s", touch->first);
	if (touch->times > 1)
		buf_printf(out, " to %" PRIu64, touch->last);
	buf_add_str(out, ": ");
	builtin_describe_who(who->state.host, &access, out);
	buf_add_char(out, '\n');
}

/* Add the run's touches up by instruction. */
static void add_up(const struct sweep *sweep, struct builtin_map *out)
{
	for (size_t i = 0; i < sweep->member_count; i++) {
		const struct touch *touch = sweep->members[i];
		struct touch *sum = builtin_map_get(out, &touch->key.by);

		if (!sum)
			continue;
		if (!sum->times || touch->first < sum->first)
			sum->first = touch->first;
		if (touch->last > sum->last)
			sum->last = touch->last;
		sum->times += touch->times;
		memcpy(sum->process_name, touch->process_name,
			sizeof(sum->process_name));
	}
}

static void tell_run(struct sweep *sweep, uint64_t end)
{
	struct buf *line = &sweep->who->state.line;
	struct builtin_map sums = {
		.entry_size = sizeof(struct touch),
		.key_size = sizeof(struct instruction),
	};

	if (!sweep->run_signature || sweep->runs++ >= RUNS_MAX)
		return;
	add_up(sweep, &sums); /* found by key, then sorted, then only listed */
	buf_printf(line, "who: %s, byte %" PRIu64, sweep->who->range,
		sweep->run_first);
	if (end - sweep->run_first > 1)
		buf_printf(line, " to %" PRIu64, end - 1);
	buf_printf(line, ": %zu instruction%s\n", sums.count,
		sums.count == 1 ? "" : "s");
	if (sums.count)
		qsort(sums.entries, sums.count, sums.entry_size, by_times);
	for (size_t i = 0; i < sums.count && i < LINES_MAX; i++)
		describe_touch(sweep->who, builtin_map_at(&sums, i), line);
	if (sums.count > LINES_MAX)
		buf_printf(line, "    and %zu more\n", sums.count - LINES_MAX);
	builtin_say(&sweep->who->state);
	builtin_map_fini(&sums);
}

/* A touch begins (+1) or ends (-1): does the set of instructions change? */
static void count_active(struct sweep *sweep, const struct touch *touch,
	int change)
{
	struct active *active =
		builtin_map_get(&sweep->active, &touch->key.by);
	bool was;

	if (!active)
		return;
	was = active->touches != 0;
	active->touches += (uint64_t)(int64_t)change;
	if (was != (active->touches != 0))
		sweep->signature ^= builtin_map_hash(&touch->key.by,
			sizeof(touch->key.by));
}

/* Forget the members that end at or before place. */
static void drop_members(struct sweep *sweep, uint64_t place)
{
	size_t kept = 0;

	for (size_t i = 0; i < sweep->member_count; i++)
		if (end_of(sweep->members[i]) > place)
			sweep->members[kept++] = sweep->members[i];
	sweep->member_count = kept;
}

static bool ends_at(const struct sweep *sweep, size_t index, uint64_t place)
{
	return index < sweep->count && end_of(sweep->ends[index]) == place;
}

static bool starts_at(const struct sweep *sweep, size_t index, uint64_t place)
{
	return index < sweep->count &&
		sweep->starts[index]->key.offset == place;
}

static void sweep_touches(struct sweep *sweep)
{
	size_t starts = 0, ends = 0, from;

	while (ends < sweep->count) {
		uint64_t place = end_of(sweep->ends[ends]);

		if (starts < sweep->count &&
			sweep->starts[starts]->key.offset < place)
			place = sweep->starts[starts]->key.offset;
		for (; ends_at(sweep, ends, place); ends++)
			count_active(sweep, sweep->ends[ends], -1);
		from = starts;
		for (; starts_at(sweep, starts, place); starts++)
			count_active(sweep, sweep->starts[starts], 1);
		if (sweep->signature != sweep->run_signature) {
			tell_run(sweep, place);
			sweep->run_first = place;
			sweep->run_signature = sweep->signature;
			drop_members(sweep, place);
		}
		for (; from < starts; from++)
			sweep->members[sweep->member_count++] =
				sweep->starts[from];
	}
}

static void tell_rest(const struct sweep *sweep)
{
	struct who *who = sweep->who;
	struct buf *line = &who->state.line;

	if (!sweep->count)
		buf_printf(line, "who: %s: nobody\n", who->range);
	if (sweep->runs > RUNS_MAX)
		buf_printf(line, "who: %s: %" PRIu64 " more runs of bytes\n",
			who->range, sweep->runs - RUNS_MAX);
	if (who->touches.dropped)
		buf_printf(line,
			"who: %s: %" PRIu64 " accesses more, not counted\n",
			who->range, who->touches.dropped);
	builtin_say(&who->state);
}

static void sweep_fini(struct sweep *sweep)
{
	free(sweep->starts);
	free(sweep->ends);
	free(sweep->members);
	builtin_map_fini(&sweep->active);
}

static enum keeper_status who_finish(struct keeper *keeper, struct error *err)
{
	struct who *who = (struct who *)keeper;
	size_t count = who->touches.count;
	struct sweep sweep = {
		.who = who,
		.starts = calloc(count + 1, sizeof(*sweep.starts)),
		.ends = calloc(count + 1, sizeof(*sweep.ends)),
		.members = calloc(count + 1, sizeof(*sweep.members)),
		.count = count,
		.active = {
			.entry_size = sizeof(struct active),
			.key_size = sizeof(struct instruction),
		},
	};

	if (!sweep.starts || !sweep.ends || !sweep.members) {
		sweep_fini(&sweep);
		error_set(err, -ENOMEM, "who: out of memory");
		return KEEPER_ERROR;
	}
	for (size_t i = 0; i < count; i++)
		sweep.starts[i] = sweep.ends[i] =
			builtin_map_at(&who->touches, i);
	qsort(sweep.starts, count, sizeof(*sweep.starts), by_start);
	qsort(sweep.ends, count, sizeof(*sweep.ends), by_end);
	sweep_touches(&sweep);
	tell_rest(&sweep);
	sweep_fini(&sweep);
	return KEEPER_OK;
}

static void who_destroy(struct keeper *keeper)
{
	builtin_map_fini(&((struct who *)keeper)->touches);
	builtin_destroy(keeper);
}

static const struct keeper_ops who_ops = {
	.name = "who",
	.help = "counts the instructions that touch each byte",
	.told = who_told,
	.finish = who_finish,
	.destroy = who_destroy,
};

int builtin_who_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err)
{
	struct who *who;
	const char *rest;
	int ret = builtin_ranges_add(out_ranges, err, "%s", argument);

	if (ret)
		return ret;
	who = builtin_create(sizeof(*who), &who_ops, host, err);
	if (!who)
		return -ENOMEM;
	who->touches.entry_size = sizeof(struct touch);
	who->touches.key_size = sizeof(struct touch_key);
	ret = builtin_split(argument, NULL, who->range, &rest, err);
	if (ret)
		keeper_destroy(&who->state.keeper);
	else
		*out = &who->state.keeper;
	return ret;
}
