/* SPDX-License-Identifier: MIT */
/*
 * share: memory that processes hand to each other. Who stored last is its
 * writer; another process becomes the writer only when what the writer did is
 * known to be over: a message, an end waited for, or a declared word that it
 * stored to (a lock it released) came from it. Others'
 * stores are denied, and with mode=rw loads before the writer has handed it on
 * and stores before the readers have.
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
#include "keeper/builtin_words.h"

#define SITES_MAX 1024
#define TRANSFERS_TOLD 20
#define NOBODY (-1)

struct site {
	uint64_t place, count;
};

struct share {
	struct builtin_state state;
	bool readers_count; /* mode=rw */
	bool passes; /* tell, deny nothing */
	struct builtin_clocks clocks;
	struct builtin_words words;
	unsigned kept_count;
	int writer, previous; /* slots, or NOBODY */
	uint64_t stored_at; /* the writer's time */
	struct builtin_sighting stored;
	uint64_t loaded_at[BUILTIN_CLOCK_PROCESSES]; /* since the last store */
	struct builtin_map sites;
	uint64_t transfers, returns, violations;
};

static bool is_over(
	const struct share *share, int slot, uint64_t time, unsigned present)
{
	return slot == (int)present ||
		builtin_clocks_is_past(
			&share->clocks, (unsigned)slot, time, present);
}

/* Who must hand it on before this process may do this; NOBODY: it may. */
static int owner_against(const struct share *share, unsigned slot, bool stores)
{
	if (share->writer != NOBODY && (stores || share->readers_count) &&
		!is_over(share, share->writer, share->stored_at, slot))
		return share->writer;
	for (unsigned i = 0; stores && share->readers_count &&
		i < share->clocks.count;
		i++)
		if (!is_over(share, (int)i, share->loaded_at[i], slot))
			return (int)i;
	return NOBODY;
}

static void tell_violation(
	struct share *share, const struct access *access, int owner)
{
	uint64_t place =
		builtin_sighting_place(access->process_name, access->ip);
	struct site *site = builtin_map_find(&share->sites, &place);
	const struct builtin_host *host = share->state.host;
	struct buf *line = &share->state.line;
	struct builtin_sighting now;

	share->violations++;
	if (!site && share->sites.count < SITES_MAX)
		site = builtin_map_get(&share->sites, &place);
	if (!site || site->count++)
		return;
	builtin_sighting_take(&now, host, access);
	buf_add_str(line, "share: ");
	builtin_describe_where(share->state.host, access, line);
	buf_add_str(line, ": ");
	builtin_sighting_describe(&now, host, line);
	buf_printf(line, ", before %s #%" PRIu64 " has handed it on%s\n",
		owner == share->writer ? "its writer" : "a reader, process",
		share->clocks.processes[owner],
		share->passes ? "" : ": denied");
	builtin_sighting_describe_stack(&now, host, line);
	if (owner == share->writer)
		builtin_sighting_describe_stack(&share->stored, host, line);
	builtin_say(&share->state);
}

static enum keeper_status share_access(struct keeper *keeper,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct share *share = (struct share *)keeper;
	int slot = builtin_clocks_slot(&share->clocks, access->process);
	int owner;

	(void)err;
	if (slot < 0 || share->clocks.lost ||
		builtin_words_has(&share->words, access->range))
		return KEEPER_OK;
	owner = owner_against(
		share, (unsigned)slot, access_writes(access->kind));
	if (owner == NOBODY)
		return KEEPER_OK;
	tell_violation(share, access, owner);
	if (!share->passes) {
		verdict->kind = VERDICT_DENY;
		snprintf(verdict->reason, sizeof(verdict->reason),
			"process %" PRIu64 " has not handed it on",
			share->clocks.processes[owner]);
	}
	return KEEPER_OK;
}

static void transfer(
	struct share *share, const struct access *access, unsigned slot)
{
	struct buf *line = &share->state.line;
	int old = share->writer;

	share->writer = (int)slot;
	if (old == NOBODY)
		return;
	share->transfers++;
	if (share->previous == (int)slot)
		share->returns++;
	share->previous = old;
	if (share->transfers > TRANSFERS_TOLD)
		return;
	buf_printf(line,
		"share: %s: its writer was #%" PRIu64 " and is now ",
		access->range_name, share->clocks.processes[old]);
	builtin_describe_who(share->state.host, access, line);
	buf_add_char(line, '\n');
	builtin_say(&share->state);
}

static void share_told(struct keeper *keeper, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	struct share *share = (struct share *)keeper;
	uint64_t now;
	int slot;

	if (!builtin_is_performed(outcome, final_bytes))
		return;
	slot = builtin_clocks_slot(&share->clocks, access->process);
	if (slot < 0 || share->clocks.lost)
		return;
	if (builtin_words_has(&share->words, access->range)) {
		builtin_words_told(&share->words, &share->clocks,
			(unsigned)slot, access, outcome, final_bytes);
		return;
	}
	now = builtin_clocks_now(&share->clocks, (unsigned)slot);
	if (!builtin_is_stored(access, outcome, final_bytes)) {
		share->loaded_at[slot] = now;
		return;
	}
	if (share->writer != slot)
		transfer(share, access, (unsigned)slot);
	else if (share->stored_at == now)
		return;
	share->stored_at = now;
	builtin_sighting_take(&share->stored, share->state.host, access);
}

static void share_ordered(
	struct keeper *keeper, uint64_t before, uint64_t after)
{
	struct share *share = (struct share *)keeper;

	builtin_clocks_order(&share->clocks, before, after);
}

/* The memory itself is the first range it asks for. */
static void share_kept(struct keeper *keeper, uint32_t range)
{
	struct share *share = (struct share *)keeper;

	if (share->kept_count++ && share->words.count < BUILTIN_RANGES_MAX)
		share->words.ranges[share->words.count++] = range;
}

static enum keeper_status share_finish(struct keeper *keeper, struct error *err)
{
	struct share *share = (struct share *)keeper;
	struct buf *line = &share->state.line;

	(void)err;
	if (share->transfers)
		buf_printf(line,
			"share: %" PRIu64 " transfers, %" PRIu64
			" of them back to the writer before\n",
			share->transfers, share->returns);
	if (share->violations > share->sites.count)
		buf_printf(line,
			"share: %" PRIu64
			" accesses out of turn, at %zu instructions\n",
			share->violations, share->sites.count);
	if (share->clocks.lost)
		buf_add_str(line,
			"share: too many processes: not looked at to the "
			"end\n");
	builtin_say(&share->state);
	return KEEPER_OK;
}

static void share_destroy(struct keeper *keeper)
{
	struct share *share = (struct share *)keeper;

	builtin_clocks_fini(&share->clocks);
	builtin_words_fini(&share->words);
	builtin_map_fini(&share->sites);
	builtin_destroy(keeper);
}

static const struct keeper_ops share_ops = {
	.name = "share",
	.help = "one writer at a time",
	.access = share_access,
	.told = share_told,
	.kept = share_kept,
	.ordered = share_ordered,
	.finish = share_finish,
	.destroy = share_destroy,
};

static int read_argument(struct share *share, const char *argument,
	struct builtin_ranges *ranges, struct error *err)
{
	char range[BUILTIN_RANGE_TEXT_MAX], word[BUILTIN_RANGE_TEXT_MAX + 8];
	const char *rest;
	int ret = builtin_split(
		argument, strchr(argument, ','), range, &rest, err);

	if (!ret)
		ret = builtin_ranges_add(ranges, err, "%s", range);
	while (!ret && builtin_next_word(&rest, word, sizeof(word))) {
		if (!strcmp(word, "mode=rw"))
			share->readers_count = true;
		else if (!strcmp(word, "mode=single"))
			share->readers_count = false;
		else if (!strcmp(word, "pass"))
			share->passes = true;
		else if (!strncmp(word, "sync=", 5))
			ret = builtin_ranges_add(ranges, err, "%s", word + 5);
		else
			ret = error_set(err, -EINVAL,
				"`%s' is not known: want mode=single, mode=rw, "
				"sync=WORD or pass",
				word);
	}
	return ret;
}

int builtin_share_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err)
{
	struct share *share =
		builtin_create(sizeof(*share), &share_ops, host, err);
	int ret;

	if (!share)
		return -ENOMEM;
	share->writer = share->previous = NOBODY;
	builtin_words_init(&share->words);
	share->sites.entry_size = sizeof(struct site);
	share->sites.key_size = sizeof(uint64_t);
	ret = read_argument(share, argument, out_ranges, err);
	if (ret)
		keeper_destroy(&share->state.keeper);
	else
		*out = &share->state.keeper;
	return ret;
}
