/* SPDX-License-Identifier: MIT */
/*
 * race: two processes touch the same byte, one of them stores, and nothing
 * orders the two. As FastTrack (Flanagan and Freund, 2009), per byte: the last
 * store and the loads since then, each with its process's time. Order comes
 * from declared words and from the guest's kernel.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/builtin.h"
#include "keeper/builtin_clock.h"
#include "keeper/builtin_map.h"
#include "keeper/builtin_sighting.h"
#include "keeper/builtin_words.h"

#define READERS_MAX 3 /* remembered per byte */
#define BLOCK_SIZE 64
#define BLOCKS_MAX 16384 /* 1 MiB of data touched */
#define PAIRS_MAX 1024

/* One access that bytes remember. */
struct touch {
	unsigned references;
	unsigned slot;
	uint64_t time;
	struct builtin_sighting sighting;
};

struct cell {
	struct touch *store;
	struct touch *loads[READERS_MAX];
};

struct place_key {
	uint64_t range, index;
};

struct block {
	struct place_key key;
	struct cell *cells; /* BLOCK_SIZE; NULL: no memory */
};

struct pair {
	uint64_t places; /* of both, whichever came first */
	uint64_t count;
};

struct race {
	struct builtin_state state;
	bool is_word[BUILTIN_RANGES_MAX]; /* of the ranges asked for */
	unsigned range_count;
	unsigned kept_count; /* of them, kept by now */
	struct builtin_clocks clocks;
	struct builtin_words words;
	struct builtin_map blocks, pairs;
	uint64_t races, untracked;
};

/* ---- what is remembered ---- */

static void touch_put(struct touch *touch)
{
	if (touch && !--touch->references)
		free(touch);
}

static void touch_set(struct touch **at, struct touch *touch)
{
	touch->references++;
	touch_put(*at);
	*at = touch;
}

static struct cell *find_cell(struct race *race, uint32_t range, uint64_t at)
{
	const struct place_key key = { range, at / BLOCK_SIZE };
	struct block *block = builtin_map_find(&race->blocks, &key);

	if (!block && race->blocks.count < BLOCKS_MAX) {
		block = builtin_map_get(&race->blocks, &key);
		if (block)
			block->cells =
				calloc(BLOCK_SIZE, sizeof(*block->cells));
	}
	if (block && block->cells)
		return &block->cells[at % BLOCK_SIZE];
	race->untracked++;
	return NULL;
}

/* ---- one access to data ---- */

struct step {
	struct race *race;
	const struct access *access;
	unsigned slot;
	uint64_t time;
	bool stores;
	struct touch *touch; /* made when something has to remember it */
	const struct touch *counted[2]; /* the latest store and load it raced
					 * with: once for all their bytes */
	uint64_t at; /* byte of the range */
};

static struct touch *touch_of(struct step *step)
{
	struct touch *touch = step->touch;

	if (touch)
		return touch;
	touch = calloc(1, sizeof(*touch));
	if (!touch) {
		step->race->clocks.lost = true;
		return NULL;
	}
	touch->references = 1; /* the step's */
	touch->slot = step->slot;
	touch->time = step->time;
	builtin_sighting_take(
		&touch->sighting, step->race->state.host, step->access);
	step->touch = touch;
	return touch;
}

static bool is_ordered(const struct step *step, const struct touch *old)
{
	return builtin_clocks_is_past(
		&step->race->clocks, old->slot, old->time, step->slot);
}

static void report(struct step *step, const struct touch *old)
{
	struct race *race = step->race;
	struct touch *now = touch_of(step);
	const struct builtin_host *host = race->state.host;
	struct buf *line = &race->state.line;

	if (!now)
		return;
	buf_printf(line, "race: %s+%" PRIu64 ": ", step->access->range_name,
		step->at);
	builtin_sighting_describe(&now->sighting, host, line);
	buf_add_str(line, " is not ordered with ");
	builtin_sighting_describe(&old->sighting, host, line);
	buf_add_char(line, '\n');
	builtin_sighting_describe_stack(&now->sighting, host, line);
	builtin_sighting_describe_stack(&old->sighting, host, line);
	builtin_say(&race->state);
}

static void check(struct step *step, const struct touch *old)
{
	const struct access *access = step->access;
	struct race *race = step->race;
	struct pair *pair;
	uint64_t places;

	if (!old || old->slot == step->slot ||
		(old->sighting.atomic && access->atomic) ||
		old == step->counted[!access_writes(old->sighting.kind)] ||
		is_ordered(step, old))
		return;
	step->counted[!access_writes(old->sighting.kind)] = old;
	race->races++;
	/* A sum: the same whichever comes first. */
	places = builtin_sighting_place(access->process_name, access->ip) +
		builtin_sighting_place(
			old->sighting.process_name, old->sighting.ip);
	pair = builtin_map_find(&race->pairs, &places);
	if (!pair && race->pairs.count < PAIRS_MAX)
		pair = builtin_map_get(&race->pairs, &places);
	if (pair && !pair->count++)
		report(step, old);
}

/* Known well enough by what is remembered: same process, same time, and not
 * less of a suspect than this access. */
static bool is_covered(const struct step *step, const struct touch *old)
{
	return old && old->slot == step->slot && old->time == step->time &&
		(!old->sighting.atomic || step->access->atomic);
}

static void remember_store(struct step *step, struct cell *cell)
{
	struct touch *touch;

	for (int i = 0; i < READERS_MAX; i++) {
		touch_put(cell->loads[i]);
		cell->loads[i] = NULL;
	}
	if (is_covered(step, cell->store))
		return;
	touch = touch_of(step);
	if (touch)
		touch_set(&cell->store, touch);
}

/* In the place of the process's own last load, of none, of one that cannot
 * race with this process's later stores, or of any. */
static void remember_load(struct step *step, struct cell *cell)
{
	struct touch **place = NULL, *touch;

	for (int i = 0; i < READERS_MAX; i++) {
		struct touch **load = &cell->loads[i];

		if (is_covered(step, *load))
			return;
		if (*load && (*load)->slot == step->slot)
			place = load;
	}
	for (int i = 0; i < READERS_MAX && !place; i++)
		if (!cell->loads[i] || is_ordered(step, cell->loads[i]))
			place = &cell->loads[i];
	if (!place)
		place = &cell->loads[step->access->seq % READERS_MAX];
	touch = touch_of(step);
	if (touch)
		touch_set(place, touch);
}

static void look_at_byte(struct step *step)
{
	struct cell *cell =
		find_cell(step->race, step->access->range, step->at);

	if (!cell)
		return;
	check(step, cell->store);
	for (int i = 0; step->stores && i < READERS_MAX; i++)
		check(step, cell->loads[i]);
	if (step->stores)
		remember_store(step, cell);
	else
		remember_load(step, cell);
}

static void look_at_lanes(struct step *step)
{
	const struct access *a = step->access;
	uint64_t base = builtin_address(a) - a->offset;

	for (uint32_t i = 0; i < a->lane_count; i++)
		for (uint32_t n = 0; n < a->lanes[i].size; n++) {
			uint32_t byte = a->lanes[i].offset + n;

			if (byte < a->kept_first ||
				byte >= a->kept_first + a->kept_count)
				continue;
			step->at = a->lanes[i].address + n - base;
			look_at_byte(step);
		}
}

static void look_at_data(struct race *race, const struct access *access,
	unsigned slot, bool stores)
{
	struct step step = {
		.race = race,
		.access = access,
		.slot = slot,
		.time = builtin_clocks_now(&race->clocks, slot),
		.stores = stores,
	};

	if (access->lanes) {
		look_at_lanes(&step);
	} else {
		for (uint32_t i = 0; i < access->kept_count; i++) {
			step.at = access->offset + i;
			look_at_byte(&step);
		}
	}
	touch_put(step.touch);
}

/* ---- the keeper ---- */

static void race_told(struct keeper *keeper, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	struct race *race = (struct race *)keeper;
	int slot;

	if (!builtin_is_performed(outcome, final_bytes))
		return;
	slot = builtin_clocks_slot(&race->clocks, access->process);
	if (race->clocks.lost || slot < 0)
		return;
	if (builtin_words_has(&race->words, access->range))
		builtin_words_told(&race->words, &race->clocks, (unsigned)slot,
			access, outcome, final_bytes);
	else
		look_at_data(race, access, (unsigned)slot,
			builtin_words_is_change(access, outcome, final_bytes));
}

static void race_ordered(
	struct keeper *keeper, uint64_t before, uint64_t after)
{
	struct race *race = (struct race *)keeper;

	builtin_clocks_order(&race->clocks, before, after);
}

static void race_kept(struct keeper *keeper, uint32_t range)
{
	struct race *race = (struct race *)keeper;

	if (race->kept_count == race->range_count)
		return;
	if (race->is_word[race->kept_count++])
		race->words.ranges[race->words.count++] = range;
}

static enum keeper_status race_finish(struct keeper *keeper, struct error *err)
{
	struct race *race = (struct race *)keeper;
	struct buf *line = &race->state.line;

	(void)err;
	if (race->races > race->pairs.count)
		buf_printf(line,
			"race: %zu pairs of instructions, %" PRIu64
			" times in all\n",
			race->pairs.count, race->races);
	if (race->untracked)
		buf_printf(line,
			"race: more than 1 MiB of data: %" PRIu64
			" bytes of accesses were not looked at\n",
			race->untracked);
	if (race->clocks.lost)
		buf_printf(line,
			"race: too many processes, words or too little "
			"memory: not looked at to the end\n");
	builtin_say(&race->state);
	return KEEPER_OK;
}

static void race_destroy(struct keeper *keeper)
{
	struct race *race = (struct race *)keeper;

	for (size_t i = 0; i < race->blocks.count; i++) {
		struct block *block = builtin_map_at(&race->blocks, i);

		for (int n = 0; block->cells && n < BLOCK_SIZE; n++) {
			touch_put(block->cells[n].store);
			for (int r = 0; r < READERS_MAX; r++)
				touch_put(block->cells[n].loads[r]);
		}
		free(block->cells);
	}
	builtin_words_fini(&race->words);
	builtin_map_fini(&race->blocks);
	builtin_map_fini(&race->pairs);
	builtin_clocks_fini(&race->clocks);
	builtin_destroy(keeper);
}

static const struct keeper_ops race_ops = {
	.name = "race",
	.help = "tells unordered accesses",
	.told = race_told,
	.kept = race_kept,
	.ordered = race_ordered,
	.finish = race_finish,
	.destroy = race_destroy,
};

static int add_range(struct race *race, const char *text,
	struct builtin_ranges *ranges, struct error *err)
{
	bool word = !strncmp(text, "sync=", 5);
	int ret = builtin_ranges_add(ranges, err, "%s", text + (word ? 5 : 0));

	if (!ret)
		race->is_word[race->range_count++] = word;
	return ret;
}

int builtin_race_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err)
{
	struct race *race = builtin_create(sizeof(*race), &race_ops, host, err);
	char text[BUILTIN_RANGE_TEXT_MAX + 8];
	const char *rest = argument;
	int ret = 0;

	if (!race)
		return -ENOMEM;
	builtin_words_init(&race->words);
	race->blocks.entry_size = sizeof(struct block);
	race->blocks.key_size = sizeof(struct place_key);
	race->pairs.entry_size = sizeof(struct pair);
	race->pairs.key_size = sizeof(uint64_t);
	while (!ret && builtin_next_word(&rest, text, sizeof(text)))
		ret = add_range(race, text, out_ranges, err);
	if (!ret && (!race->range_count || race->is_word[0]))
		ret = error_set(err, -EINVAL,
			"`%s': want DATA[,DATA...][,sync=WORD...]", argument);
	if (ret)
		keeper_destroy(&race->state.keeper);
	else
		*out = &race->state.keeper;
	return ret;
}
