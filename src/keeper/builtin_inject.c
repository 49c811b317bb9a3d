/* SPDX-License-Identifier: MIT */
/*
 * inject: seeded faults of memory. Whether and how the n-th access of a
 * process is disturbed depends on the seed, the process and n alone, so that
 * other processes' timing does not change it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "keeper/builtin.h"
#include "keeper/builtin_map.h"
#include "keeper/range.h"

#define DELAY_MAX_MS 60000

enum fault { FAULT_FLIP, FAULT_STALE, FAULT_TORN, FAULT_DELAY, FAULT_MAX };

static const char *const fault_names[FAULT_MAX] = {
	[FAULT_FLIP] = "flip",
	[FAULT_STALE] = "stale",
	[FAULT_TORN] = "torn",
	[FAULT_DELAY] = "delay",
};

struct inject {
	struct builtin_state state;
	char range[BUILTIN_RANGE_TEXT_MAX];
	uint64_t seed;
	uint64_t one_in[FAULT_MAX]; /* 0: never */
	uint64_t ms; /* of a delay */
	uint64_t after; /* so many accesses of a process are left alone */
	uint64_t max; /* so many faults at most; 0: any number */
	uint64_t length;
	uint8_t *previous; /* of each byte: what it was before it changed */
	uint8_t *has_previous;
	struct builtin_map processes;
	uint64_t faults[FAULT_MAX], total;
};

struct process {
	uint64_t id, accesses;
};

/* The n-th number of a seed's sequence (the finalizer of splitmix64). */
static uint64_t mix(uint64_t seed, uint64_t n)
{
	uint64_t z = seed + (n + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static bool can(enum fault fault, const struct access *access)
{
	if (access->kind == ACCESS_FETCH)
		return false;
	switch (fault) {
	case FAULT_FLIP:
		return access_reads(access->kind);
	case FAULT_STALE:
		return access_reads(access->kind) && !access->lanes;
	case FAULT_TORN:
		return access_reads(access->kind) && !access->lanes &&
			access->kept_count > 1;
	case FAULT_DELAY: /* the kernel's copies cannot wait */
		return access->insn != NULL;
	case FAULT_MAX:
		break;
	}
	return false;
}

/* What each process's next access is to suffer; FAULT_MAX: nothing. */
static enum fault draw(struct inject *inject, const struct access *access,
	uint64_t *out_random)
{
	struct process *process =
		builtin_map_get(&inject->processes, &access->process);
	uint64_t random;

	if (!process || process->accesses++ < inject->after)
		return FAULT_MAX;
	if (inject->max && inject->total == inject->max)
		return FAULT_MAX;
	random = mix(mix(inject->seed, access->process), process->accesses);
	*out_random = mix(random, FAULT_MAX);
	for (int i = 0; i < FAULT_MAX; i++)
		if (inject->one_in[i] && can((enum fault)i, access) &&
			mix(random, (uint64_t)i) % inject->one_in[i] == 0)
			return (enum fault)i;
	return FAULT_MAX;
}

/* Put the previous bytes [from, to) of the access's kept ones into value. */
static void put_previous(const struct inject *inject,
	const struct access *access, uint32_t from, uint32_t to, uint8_t *value)
{
	for (uint32_t i = from; i < to; i++)
		if (access->offset + i < inject->length &&
			inject->has_previous[access->offset + i])
			value[access->kept_first + i] =
				inject->previous[access->offset + i];
}

static void disturb(struct inject *inject, const struct access *access,
	enum fault fault, uint64_t random, uint8_t *value)
{
	uint32_t count = access->kept_count, split, bit;

	switch (fault) {
	case FAULT_FLIP:
		bit = (uint32_t)(random % ((uint64_t)count * 8));
		value[access->kept_first + bit / 8] ^=
			(uint8_t)(1u << bit % 8);
		break;
	case FAULT_STALE:
		put_previous(inject, access, 0, count, value);
		break;
	case FAULT_TORN:
		split = count / 2;
		put_previous(inject, access, random & 1 ? 0 : split,
			random & 1 ? split : count, value);
		break;
	case FAULT_DELAY:
	case FAULT_MAX:
		break;
	}
}

static void tell(struct inject *inject, const struct access *access,
	enum fault fault, const uint8_t *value)
{
	struct buf *line = &inject->state.line;
	uint32_t first = access->kept_first, count = access->kept_count;

	inject->faults[fault]++;
	inject->total++;
	buf_printf(line, "inject: %" PRIu64 ". %s, %s of ", inject->total,
		fault_names[fault], access_kind_name(access->kind));
	builtin_describe_where(inject->state.host, access, line);
	if (fault == FAULT_DELAY) {
		buf_printf(line, " by %" PRIu64 " ms", inject->ms);
	} else {
		buf_add_str(line, ": ");
		builtin_describe_bytes(access->old_bytes + first, count, line);
		buf_add_str(line, " seen as ");
		builtin_describe_bytes(value + first, count, line);
	}
	buf_printf(line, ", access %" PRIu64 ": ", access->seq);
	builtin_describe_who(inject->state.host, access, line);
	buf_add_char(line, '\n');
	builtin_say(&inject->state);
}

static enum keeper_status inject_access(struct keeper *keeper,
	const struct access *access, struct verdict *verdict,
	struct error *err)
{
	struct inject *inject = (struct inject *)keeper;
	uint64_t random = 0;
	enum fault fault = draw(inject, access, &random);

	(void)err;
	verdict->kind = VERDICT_PASS;
	if (fault == FAULT_MAX)
		return KEEPER_OK;
	if (fault == FAULT_DELAY) {
		verdict->kind = VERDICT_HOLD;
		verdict->hold_ms = (uint32_t)inject->ms;
	} else {
		disturb(inject, access, fault, random, verdict->value);
		/* A byte that never changed cannot be stale. */
		if (!memcmp(verdict->value, access->old_bytes, access->size))
			return KEEPER_OK;
		verdict->kind = VERDICT_SERVE;
	}
	tell(inject, access, fault, verdict->value);
	return KEEPER_OK;
}

static enum keeper_status inject_stepped(struct keeper *keeper,
	const struct access *access, const struct step_report *report,
	struct verdict *verdict, struct error *err)
{
	(void)keeper;
	(void)access;
	(void)report;
	(void)err;
	verdict->kind = VERDICT_CONTINUE;
	return KEEPER_OK;
}

/* What stores replace is what a stale load sees. */
static void inject_told(struct keeper *keeper, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	struct inject *inject = (struct inject *)keeper;
	uint32_t first = access->kept_first;

	if (access->lanes || !builtin_is_stored(access, outcome, final_bytes))
		return;
	if (!checked_range(access->offset, access->kept_count, inject->length))
		return;
	for (uint32_t i = 0; i < access->kept_count; i++) {
		if (access->old_bytes[first + i] == final_bytes[first + i])
			continue;
		inject->previous[access->offset + i] =
			access->old_bytes[first + i];
		inject->has_previous[access->offset + i] = 1;
	}
}

static enum keeper_status inject_finish(
	struct keeper *keeper, struct error *err)
{
	struct inject *inject = (struct inject *)keeper;
	struct buf *line = &inject->state.line;

	(void)err;
	buf_printf(line, "inject: %s, seed %" PRIu64 ": %" PRIu64 " injected",
		inject->range, inject->seed, inject->total);
	for (int i = 0; i < FAULT_MAX; i++)
		if (inject->faults[i])
			buf_printf(line, ", %" PRIu64 " %s",
				inject->faults[i], fault_names[i]);
	buf_add_char(line, '\n');
	builtin_say(&inject->state);
	return KEEPER_OK;
}

static void inject_destroy(struct keeper *keeper)
{
	struct inject *inject = (struct inject *)keeper;

	free(inject->previous);
	free(inject->has_previous);
	builtin_map_fini(&inject->processes);
	builtin_destroy(keeper);
}

static const struct keeper_ops inject_ops = {
	.name = "inject",
	.help = "disturbs accesses",
	.access = inject_access,
	.stepped = inject_stepped,
	.told = inject_told,
	.finish = inject_finish,
	.destroy = inject_destroy,
};

/* ---- the argument ---- */

static int read_word(struct inject *inject, const char *word, struct error *err)
{
	const struct key {
		const char *name;
		uint64_t *number;
	} keys[] = {
		{ "seed=", &inject->seed },
		{ "flip=", &inject->one_in[FAULT_FLIP] },
		{ "stale=", &inject->one_in[FAULT_STALE] },
		{ "torn=", &inject->one_in[FAULT_TORN] },
		{ "delay=", &inject->one_in[FAULT_DELAY] },
		{ "ms=", &inject->ms },
		{ "after=", &inject->after },
		{ "max=", &inject->max },
	};

	err->code = 0;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (builtin_number(word, keys[i].name, keys[i].number, err))
			return err->code;
	return error_set(err, -EINVAL,
		"`%s' is not known; there are: seed=N, flip=N, stale=N, "
		"torn=N, delay=N (one access in N), ms=N, after=N, max=N",
		word);
}

static int read_words(struct inject *inject, const char *rest,
	struct error *err)
{
	char word[64];
	bool any = false;
	int ret = 0;

	inject->seed = 1;
	inject->ms = 1;
	while (!ret && builtin_next_word(&rest, word, sizeof(word)))
		ret = read_word(inject, word, err);
	for (int i = 0; i < FAULT_MAX; i++)
		any = any || inject->one_in[i];
	if (!ret && !any)
		ret = error_set(err, -EINVAL,
			"what? Write RANGE:flip=N, stale=N, torn=N or delay=N, "
			"each for one access in N");
	if (!ret && (!inject->ms || inject->ms > DELAY_MAX_MS))
		ret = error_set(err, -EINVAL,
			"a delay has 1 to %d milliseconds", DELAY_MAX_MS);
	return ret;
}

static int set_up(struct inject *inject, const char *argument,
	struct builtin_ranges *out_ranges, struct error *err)
{
	const struct builtin_host *host = inject->state.host;
	const char *rest;
	uint64_t address;
	/* The last one: a device's name comes behind a colon. */
	int ret = builtin_split(
		argument, strrchr(argument, ':'), inject->range, &rest, err);

	if (!ret)
		ret = range_resolve(inject->range, host->images,
			host->image_count, &address, &inject->length, err);
	if (!ret)
		ret = read_words(inject, rest, err);
	if (!ret)
		ret = builtin_bytes(
			inject->range, inject->length, &inject->previous, err);
	if (!ret)
		ret = builtin_bytes(inject->range, inject->length,
			&inject->has_previous, err);
	if (!ret)
		ret = builtin_ranges_add(out_ranges, err, "%s", inject->range);
	return ret;
}

int builtin_inject_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err)
{
	struct inject *inject =
		builtin_create(sizeof(*inject), &inject_ops, host, err);
	int ret;

	if (!inject)
		return -ENOMEM;
	inject->processes.entry_size = sizeof(struct process);
	inject->processes.key_size = sizeof(uint64_t);
	ret = set_up(inject, argument, out_ranges, err);
	if (ret)
		keeper_destroy(&inject->state.keeper);
	else
		*out = &inject->state.keeper;
	return ret;
}
