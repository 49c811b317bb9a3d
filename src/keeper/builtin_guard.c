/* SPDX-License-Identifier: MIT */
/*
 * guard: redzones before and behind an object. What lies there is padding or a
 * neighbour that has its own users, so not every access is a bug. It is one
 * when
 *	- it touches the object and the redzone at once, or
 *	- it touches a byte that belongs to no symbol, or
 *	- the same place in the program (instruction and calls) touches the
 *	  object, too: then it means the object and misses it.
 * A place seen in the redzone first is remembered, and told when it touches
 * the object later. `all' makes every access a bug.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "keeper/builtin.h"
#include "keeper/builtin_map.h"
#include "keeper/range.h"

#include <abi/custos_abi.h>

#define REDZONE 64 /* bytes, unless said */
#define REDZONE_MAX (UINT64_C(1) << 20)

struct guard {
	struct builtin_state state;
	char range[BUILTIN_RANGE_TEXT_MAX];
	const struct image *image;
	uint64_t first, end; /* of the object */
	uint64_t low, high; /* with the redzones */
	uint64_t redzone;
	bool all;
	struct builtin_map sites;
	uint64_t bugs, places;
};

struct site {
	uint64_t id;
	bool in_object, told;
	uint64_t outside; /* accesses of which nothing is known yet */
	char *text; /* of the first of them */
};

/* ---- is it a bug? ---- */

static bool straddles(const struct guard *guard, const struct access *access)
{
	uint64_t first = access->address, end = first + access->size;

	return !access->lanes && first < guard->end && end > guard->first &&
		(first < guard->first || end > guard->end);
}

/* Does some symbol have each of these bytes? */
static bool is_neighbour(const struct guard *guard, uint64_t first, uint64_t end)
{
	while (first < end) {
		struct image_symbol symbol;

		if (!image_symbol_at(guard->image, first, &symbol) ||
			first - symbol.address >= symbol.size)
			return false;
		first = symbol.address + symbol.size;
	}
	return true;
}

static bool is_bug(const struct guard *guard, const struct access *access,
	uint64_t first, uint64_t end)
{
	if (guard->all || straddles(guard, access))
		return true;
	return access->kind != ACCESS_FETCH && !is_neighbour(guard, first, end);
}

/* ---- telling ---- */

static void describe_distance(const struct guard *guard,
	const struct access *access, uint64_t first, uint64_t end,
	struct buf *out)
{
	struct image_symbol symbol;

	if (straddles(guard, access))
		buf_printf(out, "across the %s of `%s'",
			access->address < guard->first ? "start" : "end",
			guard->range);
	else if (first == guard->end)
		buf_printf(out, "right behind `%s'", guard->range);
	else if (first > guard->end)
		buf_printf(out, "%" PRIu64 " behind the end of `%s'",
			first - guard->end, guard->range);
	else if (end == guard->first)
		buf_printf(out, "right before `%s'", guard->range);
	else
		buf_printf(out, "%" PRIu64 " before the start of `%s'",
			guard->first - end, guard->range);
	if (!image_symbol_at(guard->image, first, &symbol) ||
		first - symbol.address >= symbol.size)
		return;
	buf_add_str(out, ", in ");
	image_describe(guard->image, first, out);
}

static void compose(struct guard *guard, const struct access *access,
	uint64_t first, uint64_t end)
{
	struct buf *line = &guard->state.line;

	buf_printf(line, "guard: %s (%" PRIu32 " byte%s) ",
		access_kind_name(access->kind), access->size,
		access->size == 1 ? "" : "s");
	describe_distance(guard, access, first, end, line);
	buf_add_str(line, ", by ");
	builtin_describe_who(guard->state.host, access, line);
	buf_add_char(line, '\n');
	builtin_describe_stack(guard->state.host, access, line);
}

static void tell(struct guard *guard, struct site *site,
	const struct access *access, uint64_t first, uint64_t end)
{
	guard->bugs++;
	if (!site || site->told)
		return;
	site->told = true;
	guard->places++;
	compose(guard, access, first, end);
	builtin_say(&guard->state);
}

/* The place has touched the redzone, and nothing is known of it. */
static void remember(struct guard *guard, struct site *site,
	const struct access *access, uint64_t first, uint64_t end)
{
	site->outside++;
	if (site->text)
		return;
	compose(guard, access, first, end);
	site->text = strdup(buf_str(&guard->state.line));
	buf_reset(&guard->state.line);
}

/* The place turns out to mean the object. */
static void touch_object(struct guard *guard, struct site *site)
{
	site->in_object = true;
	if (!site->outside)
		return;
	guard->bugs += site->outside;
	site->outside = 0;
	if (site->told)
		return;
	site->told = true;
	guard->places++;
	buf_add_str(&guard->state.line, site->text ? site->text : "guard\n");
	builtin_say(&guard->state);
}

static void guard_told(struct keeper *keeper, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	struct guard *guard = (struct guard *)keeper;
	uint64_t first = builtin_address(access);
	uint64_t end = first + access->kept_count;
	uint64_t id = builtin_site(guard->state.host, access);
	/* The kernel copies for everybody with one instruction. */
	bool has_place = access->insn && access->kind != ACCESS_FETCH;
	struct site *site;

	(void)final_bytes;
	if (outcome == OUTCOME_ROLLBACK)
		return;
	site = builtin_map_get(&guard->sites, &id);
	if (first >= guard->first && first < guard->end) {
		if (site && has_place)
			touch_object(guard, site);
	} else if (is_bug(guard, access, first, end) ||
		(site && has_place && site->in_object)) {
		tell(guard, site, access, first, end);
	} else if (site && has_place) {
		remember(guard, site, access, first, end);
	}
}

static enum keeper_status guard_finish(
	struct keeper *keeper, struct error *err)
{
	struct guard *guard = (struct guard *)keeper;

	(void)err;
	if (guard->bugs > guard->places)
		buf_printf(&guard->state.line,
			"guard: %s: %" PRIu64 " accesses out of bounds, from "
			"%" PRIu64 " places\n",
			guard->range, guard->bugs, guard->places);
	builtin_say(&guard->state);
	return KEEPER_OK;
}

static void guard_destroy(struct keeper *keeper)
{
	struct guard *guard = (struct guard *)keeper;

	for (size_t i = 0; i < guard->sites.count; i++)
		free(((struct site *)builtin_map_at(&guard->sites, i))->text);
	builtin_map_fini(&guard->sites);
	builtin_destroy(keeper);
}

static const struct keeper_ops guard_ops = {
	.name = "guard",
	.help = "finds accesses out of an object's bounds",
	.told = guard_told,
	.finish = guard_finish,
	.destroy = guard_destroy,
};

/* ---- the argument ---- */

static int read_words(struct guard *guard, const char *rest, struct error *err)
{
	char word[32];

	guard->redzone = REDZONE;
	while (builtin_next_word(&rest, word, sizeof(word))) {
		if (!strcmp(word, "all")) {
			guard->all = true;
			continue;
		}
		if (word[0] < '0' || word[0] > '9')
			return error_set(err, -EINVAL,
				"`%s' is neither a number of bytes nor all",
				word);
		err->code = 0;
		builtin_number(word, "", &guard->redzone, err);
		if (err->code)
			return err->code;
		if (!guard->redzone || guard->redzone > REDZONE_MAX)
			return error_set(err, -EINVAL,
				"a redzone has 1 to %" PRIu64 " bytes",
				REDZONE_MAX);
	}
	return 0;
}

/*
 * Redzones end with the pages of the object's segment: others may hold code,
 * which would be slow for nothing, or nothing at all.
 */
static void place_redzones(struct guard *guard)
{
	uint64_t low = ARCH_PAGE_SIZE, high = CUSTOS_USER_END;

	for (unsigned i = 0; i < image_segment_count(guard->image); i++) {
		const struct image_segment *s = image_segment(guard->image, i);
		uint64_t end = s->address + s->mem_size;

		if (guard->first < s->address || guard->first >= end)
			continue;
		low = s->address & ~ARCH_PAGE_MASK;
		high = (end + ARCH_PAGE_MASK) & ~ARCH_PAGE_MASK;
	}
	guard->low = guard->first - low > guard->redzone ?
		guard->first - guard->redzone :
		low;
	guard->high = guard->end;
	if (guard->end < high)
		guard->high = high - guard->end > guard->redzone ?
			guard->end + guard->redzone :
			high;
}

static int add_range(const struct guard *guard, uint64_t first, uint64_t end,
	struct builtin_ranges *out, struct error *err)
{
	if (first >= end)
		return 0;
	return builtin_ranges_add(out, err, "%s!0x%" PRIx64 "..0x%" PRIx64,
		image_name(guard->image), first, end);
}

static int set_up(struct guard *guard, const char *argument,
	struct builtin_ranges *out_ranges, struct error *err)
{
	const struct builtin_host *host = guard->state.host;
	const char *rest;
	uint64_t length = 0;
	int ret = builtin_split(
		argument, strchr(argument, ','), guard->range, &rest, err);

	if (!ret)
		ret = read_words(guard, rest, err);
	if (!ret)
		ret = range_resolve_in(guard->range, host->images,
			host->image_count, &guard->image, &guard->first,
			&length, err);
	if (ret)
		return ret;
	guard->end = guard->first + length;
	place_redzones(guard);
	/* The object by its own name: others may keep it, too. */
	ret = builtin_ranges_add(out_ranges, err, "%s", guard->range);
	if (!ret)
		ret = add_range(
			guard, guard->low, guard->first, out_ranges, err);
	if (!ret)
		ret = add_range(
			guard, guard->end, guard->high, out_ranges, err);
	return ret;
}

int builtin_guard_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err)
{
	struct guard *guard =
		builtin_create(sizeof(*guard), &guard_ops, host, err);
	int ret;

	if (!guard)
		return -ENOMEM;
	guard->sites.entry_size = sizeof(struct site);
	guard->sites.key_size = sizeof(uint64_t);
	ret = set_up(guard, argument, out_ranges, err);
	if (ret)
		keeper_destroy(&guard->state.keeper);
	else
		*out = &guard->state.keeper;
	return ret;
}
