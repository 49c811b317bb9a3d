/* SPDX-License-Identifier: MIT */
/*
 * uninit: loads of bytes that nobody has stored since the start, or since the
 * latest mark. What the program's file says about a byte counts as stored at
 * the start; the zeros of .bss do not.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "keeper/builtin.h"
#include "keeper/builtin_map.h"
#include "keeper/range.h"

struct uninit {
	struct builtin_state state;
	char range[BUILTIN_RANGE_TEXT_MAX];
	uint64_t address, length;
	uint8_t *stored; /* of each byte: 0 or 1 */
	bool has_mark, mark_runs; /* runs: executing it marks, not storing */
	uint64_t mark_address, mark_length;
	uint64_t marks;
	struct builtin_map runs; /* struct run alone */
	uint64_t loads;
};

/* What was told: an instruction and the bytes it should not have loaded. */
struct run {
	uint64_t ip, first, count;
};

/* ---- the mark ---- */

static bool is_mark(const struct uninit *uninit, const struct access *access)
{
	uint64_t address = builtin_address(access);

	return uninit->has_mark && ranges_overlap(address, access->kept_count,
			uninit->mark_address, uninit->mark_length);
}

static void mark(struct uninit *uninit, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	if (uninit->mark_runs ?
			access->kind != ACCESS_FETCH ||
				!builtin_is_performed(outcome, final_bytes) :
			!builtin_is_stored(access, outcome, final_bytes))
		return;
	memset(uninit->stored, 0, uninit->length);
	uninit->marks++;
}

/* ---- loads and stores ---- */

static void describe(struct uninit *uninit, const struct access *access,
	uint64_t first, uint64_t count)
{
	struct buf *line = &uninit->state.line;

	buf_printf(line, "uninit: %s of ", access_kind_name(access->kind));
	builtin_describe_where(uninit->state.host, access, line);
	buf_printf(line, " (%" PRIu32 " bytes)", access->kept_count);
	if (first != access->offset || count != access->kept_count)
		buf_printf(line, ", byte %" PRIu64 " to %" PRIu64 " of %s",
			first, first + count - 1, access->range_name);
	buf_add_str(line, " never stored since ");
	if (uninit->marks)
		buf_printf(line, "mark %" PRIu64, uninit->marks);
	else
		buf_add_str(line, "the start");
	buf_add_str(line, ", by ");
	builtin_describe_who(uninit->state.host, access, line);
	buf_add_char(line, '\n');
	builtin_describe_stack(uninit->state.host, access, line);
	builtin_say(&uninit->state);
}

static void found(struct uninit *uninit, const struct access *access,
	uint64_t first, uint64_t count)
{
	struct run run = { access->ip, first, count };
	size_t known = uninit->runs.count;

	uninit->loads++;
	builtin_map_get(&uninit->runs, &run);
	if (uninit->runs.count > known)
		describe(uninit, access, first, count);
}

static void check(struct uninit *uninit, const struct access *access,
	uint64_t first, uint64_t count)
{
	uint64_t at = first, end = first + count, from;

	while (at < end) {
		while (at < end && uninit->stored[at])
			at++;
		from = at;
		while (at < end && !uninit->stored[at])
			at++;
		if (at > from)
			found(uninit, access, from, at - from);
	}
}

static void touch(struct uninit *uninit, const struct access *access,
	uint64_t first, uint64_t count, bool loaded, bool stored)
{
	if (!checked_range(first, count, uninit->length))
		return;
	if (loaded)
		check(uninit, access, first, count);
	if (stored)
		memset(uninit->stored + first, 1, count);
}

/* As far as a lane of a gather or scatter lies in the range. */
static void touch_lane(struct uninit *uninit, const struct access *access,
	const struct access_lane *lane, bool loaded, bool stored)
{
	uint64_t first = lane->address, end = first + lane->size;
	uint64_t limit = uninit->address + uninit->length;

	first = first > uninit->address ? first : uninit->address;
	end = end < limit ? end : limit;
	if (first < end)
		touch(uninit, access, first - uninit->address, end - first,
			loaded, stored);
}

static void uninit_told(struct keeper *keeper, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	struct uninit *uninit = (struct uninit *)keeper;
	/* Who is served sees the keeper's bytes, not memory's. */
	bool loaded = access_reads(access->kind) &&
		outcome != OUTCOME_SERVE &&
		builtin_is_performed(outcome, final_bytes);
	bool stored = builtin_is_stored(access, outcome, final_bytes);

	if (is_mark(uninit, access)) {
		mark(uninit, access, outcome, final_bytes);
		return;
	}
	if (!access->lanes)
		touch(uninit, access, access->offset, access->kept_count,
			loaded, stored);
	for (uint32_t i = 0; access->lanes && i < access->lane_count; i++)
		touch_lane(uninit, access, &access->lanes[i], loaded, stored);
}

static enum keeper_status uninit_finish(
	struct keeper *keeper, struct error *err)
{
	struct uninit *uninit = (struct uninit *)keeper;

	(void)err;
	if (uninit->loads > uninit->runs.count)
		buf_printf(&uninit->state.line,
			"uninit: %s: %" PRIu64 " loads of bytes never stored\n",
			uninit->range, uninit->loads);
	builtin_say(&uninit->state);
	return KEEPER_OK;
}

static void uninit_destroy(struct keeper *keeper)
{
	struct uninit *uninit = (struct uninit *)keeper;

	free(uninit->stored);
	builtin_map_fini(&uninit->runs);
	builtin_destroy(keeper);
}

static const struct keeper_ops uninit_ops = {
	.name = "uninit",
	.help = "finds loads of bytes never stored",
	.told = uninit_told,
	.finish = uninit_finish,
	.destroy = uninit_destroy,
};

/* ---- the argument ---- */

/* Bytes that come from the program's file. */
static void take_file(struct uninit *uninit, const struct image *image)
{
	uint64_t end = uninit->address + uninit->length;

	for (unsigned i = 0; i < image_segment_count(image); i++) {
		const struct image_segment *s = image_segment(image, i);
		uint64_t from = s->address, to = from + s->file_size;

		from = from > uninit->address ? from : uninit->address;
		to = to < end ? to : end;
		if (from < to)
			memset(uninit->stored + (from - uninit->address), 1,
				to - from);
	}
}

/* A function marks when it is called, another range when it is stored to. */
static int add_mark(struct uninit *uninit, const char *text,
	struct builtin_ranges *out_ranges, struct error *err)
{
	const struct builtin_host *host = uninit->state.host;
	const struct image *image;
	struct image_symbol symbol;
	int ret;

	if (uninit->has_mark)
		return error_set(err, -EINVAL, "more than one mark=");
	ret = range_resolve_in(text, host->images, host->image_count, &image,
		&uninit->mark_address, &uninit->mark_length, err);
	if (ret)
		return ret;
	uninit->has_mark = true;
	uninit->mark_runs =
		image_symbol_at(image, uninit->mark_address, &symbol) &&
		symbol.function;
	if (uninit->mark_runs)
		uninit->mark_length = 1;
	if (ranges_overlap(uninit->address, uninit->length,
		    uninit->mark_address, uninit->mark_length))
		return error_set(err, -EINVAL,
			"the mark `%s' is in the range itself", text);
	if (!uninit->mark_runs)
		return builtin_ranges_add(out_ranges, err, "%s", text);
	return builtin_ranges_add(out_ranges, err, "%s!0x%" PRIx64 "+1",
		image_name(image), uninit->mark_address);
}

static int set_up(struct uninit *uninit, const char *argument,
	struct builtin_ranges *out_ranges, struct error *err)
{
	const struct builtin_host *host = uninit->state.host;
	const struct image *image;
	char word[BUILTIN_RANGE_TEXT_MAX];
	const char *rest;
	int ret = builtin_split(
		argument, strchr(argument, ','), uninit->range, &rest, err);

	if (!ret)
		ret = range_resolve_in(uninit->range, host->images,
			host->image_count, &image, &uninit->address,
			&uninit->length, err);
	if (!ret)
		ret = builtin_bytes(
			uninit->range, uninit->length, &uninit->stored, err);
	if (ret)
		return ret;
	take_file(uninit, image);
	ret = builtin_ranges_add(out_ranges, err, "%s", uninit->range);
	while (!ret && builtin_next_word(&rest, word, sizeof(word)))
		ret = strncmp(word, "mark=", 5) ?
			error_set(err, -EINVAL, "`%s' is not mark=RANGE",
				word) :
			add_mark(uninit, word + 5, out_ranges, err);
	return ret;
}

int builtin_uninit_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err)
{
	struct uninit *uninit =
		builtin_create(sizeof(*uninit), &uninit_ops, host, err);
	int ret;

	if (!uninit)
		return -ENOMEM;
	uninit->runs.entry_size = uninit->runs.key_size = sizeof(struct run);
	ret = set_up(uninit, argument, out_ranges, err);
	if (ret)
		keeper_destroy(&uninit->state.keeper);
	else
		*out = &uninit->state.keeper;
	return ret;
}
