/* SPDX-License-Identifier: MIT */
/*
 * The set of kept ranges: specifications resolved to bytes of an image or a
 * device. by_place holds the same ranges sorted by where they are, so that
 * an overlap is found between neighbours.
 */
#include "keeper/range.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <abi/custos_abi.h>

#include "base/checked.h"
#include "keeper/range_impl.h"

#define USER_START CUSTOS_ABI_PAGE /* page 0 is nobody's */
#define NAMES_LISTED 5

struct range_set {
	size_t count, capacity;
	struct range **ranges; /* by id */
	struct range **by_place;
};

struct range_set *range_set_create(void)
{
	return calloc(1, sizeof(struct range_set));
}

void range_set_destroy(struct range_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->count; i++) {
		struct range *range = set->ranges[i];

		for (unsigned n = 0; n < range->link_count; n++)
			free(range->links[n].filter);
		free(range);
	}
	free(set->ranges);
	free(set->by_place);
	free(set);
}

size_t range_set_count(const struct range_set *set)
{
	return set->count;
}

struct range *range_set_get(const struct range_set *set, size_t index)
{
	return index < set->count ? set->ranges[index] : NULL;
}

/* ---- names to addresses ---- */

/* Is word the name of image, with or without ".elf" on either? */
static bool names_image(const struct image *image, const char *word)
{
	const char *name = image_name(image);
	size_t name_len = strlen(name), word_len = strlen(word);

	if (name_len > 4 && !strcmp(name + name_len - 4, ".elf"))
		name_len -= 4;
	if (word_len > 4 && !strcmp(word + word_len - 4, ".elf"))
		word_len -= 4;
	return name_len == word_len && !memcmp(name, word, name_len);
}

static int unknown_program(const char *text, const char *program,
	const struct image *const *images, size_t count, struct error *err)
{
	struct buf known = BUF_INIT;

	for (size_t i = 0; i < count; i++)
		buf_printf(&known, "%s%s", i ? ", " : "",
			image_name(images[i]));
	error_set(err, -ENOENT, "range '%s': no program is called '%s'; %s%s",
		text, program, count ? "there are: " : "there is none",
		buf_str(&known));
	buf_fini(&known);
	return -ENOENT;
}

static int find_image(const char *text, const struct range_text *parts,
	const struct image *const *images, size_t count,
	const struct image **out, struct error *err)
{
	if (!parts->program[0]) {
		if (!count)
			return error_set(err, -ENOENT,
				"range '%s': there is no program", text);
		*out = images[0];
		return 0;
	}
	for (size_t i = 0; i < count; i++)
		if (names_image(images[i], parts->program)) {
			*out = images[i];
			return 0;
		}
	return unknown_program(text, parts->program, images, count, err);
}

static int unknown_symbol(const char *text, const char *name,
	const struct image *image, struct error *err)
{
	struct buf near = BUF_INIT;
	unsigned n = image_nearest_symbols(image, name, NAMES_LISTED, &near);

	error_set(err, -ENOENT, "range '%s': %s has no symbol '%s'%s%s%s",
		text, image_name(image), name,
		n ? "; did you mean: " : "", buf_str(&near), n ? "?" : "");
	buf_fini(&near);
	return -ENOENT;
}

/* A symbol, or what the debug information knows: a variable's member. */
static int find_symbol(const char *text, const char *name,
	const struct image *image, struct image_symbol *out, struct error *err)
{
	int rc;

	if (image_find_symbol(image, name, out))
		return 0;
	*out = (struct image_symbol){ .name = name };
	rc = image_find_field(image, name, &out->address, &out->size, err);
	if (!rc)
		return 0;
	if (!strpbrk(name, ".["))
		return unknown_symbol(text, name, image, err);
	error_prefix(err, "range '%s'", text);
	return rc;
}

static int resolve_symbol(const char *text, struct range_text *parts,
	const struct image *image, uint64_t *out_address, struct error *err)
{
	struct image_symbol symbol;
	int rc;

	rc = find_symbol(text, parts->name, image, &symbol, err);
	if (rc)
		return rc;
	if (parts->whole && !symbol.size)
		return error_set(err, -EINVAL,
			"range '%s': the size of '%s' is unknown or 0; write "
			"%s+0+LENGTH", text, parts->name, text);
	if (parts->whole)
		parts->length = symbol.size;
	if (!checked_add(symbol.address, parts->start, out_address))
		return error_set(err, -EINVAL,
			"range '%s' wraps around the end of memory", text);
	return 0;
}

static int check_place(const char *text, const struct range *range,
	struct error *err)
{
	uint64_t last;

	if (!checked_add(range->address, range->length - 1, &last))
		return error_set(err, -EINVAL,
			"range '%s' wraps around the end of memory", text);
	if (range->device)
		return 0;
	if (range->address < USER_START || last >= CUSTOS_USER_END)
		return error_set(err, -EINVAL,
			"range '%s' (0x%" PRIx64 "..0x%" PRIx64 ") is outside "
			"user memory (0x%" PRIx64 "..0x%" PRIx64 ")",
			text, range->address, last + 1, USER_START,
			CUSTOS_USER_END);
	return 0;
}

static int resolve(const char *text, const struct image *const *images,
	size_t count, struct range *range, struct error *err)
{
	struct range_text parts;
	int rc = range_parse(text, &parts, err);

	if (rc)
		return rc;
	range->device = parts.device;
	strcpy(range->name, text); /* range_parse() checked its length */
	if (parts.device) {
		if (strlen(parts.name) >= sizeof(range->device_name))
			return error_set(err, -EINVAL, "range '%s': the "
				"device's name is longer than %zu characters",
				text, sizeof(range->device_name) - 1);
		strcpy(range->device_name, parts.name);
	} else {
		rc = find_image(
			text, &parts, images, count, &range->image, err);
		range->address = parts.start;
		if (!rc && parts.name[0])
			rc = resolve_symbol(text, &parts, range->image,
				&range->address, err);
	}
	range->length = parts.length;
	return rc ? rc : check_place(text, range, err);
}

/* ---- the set ---- */

/* Devices first, by name; then images, by address. */
static int compare_places(const struct range *a, const struct range *b)
{
	if (a->device != b->device)
		return a->device ? -1 : 1;
	if (a->device)
		return strcmp(a->device_name, b->device_name);
	if (a->image != b->image)
		return (uintptr_t)a->image < (uintptr_t)b->image ? -1 : 1;
	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	return 0;
}

/* Index of the first range in by_place that is not before range. */
static size_t place_of(const struct range_set *set, const struct range *range)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_places(set->by_place[middle], range) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool overlaps(const struct range *a, const struct range *b)
{
	if (a->device || b->device)
		return a->device && b->device &&
			!strcmp(a->device_name, b->device_name);
	return a->image == b->image &&
		ranges_overlap(a->address, a->length, b->address, b->length);
}

static int check_overlap(const struct range_set *set,
	const struct range *range, size_t place, struct error *err)
{
	const struct range *other = NULL;

	if (place < set->count && overlaps(set->by_place[place], range))
		other = set->by_place[place];
	if (place && overlaps(set->by_place[place - 1], range))
		other = set->by_place[place - 1];
	if (!other)
		return 0;
	if (other->device)
		return error_set(err, -EINVAL,
			"range '%s': there is a device '%s' already ('%s')",
			range->name, other->device_name, other->name);
	return error_set(err, -EINVAL,
		"range '%s' (0x%" PRIx64 "+%" PRIu64 ") overlaps range '%s' "
		"(0x%" PRIx64 "+%" PRIu64 ")",
		range->name, range->address, range->length, other->name,
		other->address, other->length);
}

static bool make_room(struct range_set *set)
{
	size_t capacity = set->capacity ? set->capacity * 2 : 16;
	struct range **grown;

	if (set->count < set->capacity)
		return true;
	grown = reallocarray(set->ranges, capacity, sizeof(*grown));
	if (!grown)
		return false;
	set->ranges = grown;
	grown = reallocarray(set->by_place, capacity, sizeof(*grown));
	if (!grown)
		return false;
	set->by_place = grown;
	set->capacity = capacity;
	return true;
}

static void insert(struct range_set *set, struct range *range, size_t place)
{
	struct range **at = set->by_place + place;

	range->id = (uint32_t)set->count;
	memmove(at + 1, at, (set->count - place) * sizeof(*at));
	*at = range;
	set->ranges[set->count++] = range;
}

/* The range there that is the same bytes. */
static struct range *find_same(
	const struct range_set *set, const struct range *range, size_t place)
{
	struct range *there;

	if (place == set->count)
		return NULL;
	there = set->by_place[place];
	return !compare_places(there, range) && there->length == range->length ?
		there :
		NULL;
}

static int add_link(struct range *range, struct keeper *keeper,
	enum verdict_kind fallback, struct error *err)
{
	for (unsigned i = 0; i < range->link_count; i++)
		if (range->links[i].keeper == keeper)
			return error_set(err, -EINVAL,
				"range '%s' is given twice", range->name);
	if (range->link_count == RANGE_LINKS_MAX)
		return error_set(err, -EINVAL,
			"range '%s' has more than %d keepers", range->name,
			RANGE_LINKS_MAX);
	range->links[range->link_count++] = (struct range_link){
		.keeper = keeper,
		.fallback = fallback,
	};
	return 0;
}

int range_set_add(struct range_set *set, const char *text,
	const struct image *const *images, size_t image_count,
	struct keeper *keeper, enum verdict_kind fallback, struct range **out,
	struct error *err)
{
	struct range *range = calloc(1, sizeof(*range)), *same = NULL;
	size_t place = 0;
	int rc = 0;

	if (!range || !make_room(set))
		rc = error_set(err, -ENOMEM, "out of memory");
	if (!rc)
		rc = resolve(text, images, image_count, range, err);
	if (!rc) {
		place = place_of(set, range);
		same = find_same(set, range, place);
		if (!same)
			rc = check_overlap(set, range, place, err);
	}
	if (!rc)
		rc = add_link(same ? same : range, keeper, fallback, err);
	if (rc || same)
		free(range);
	if (rc)
		return rc;
	if (same)
		range = same;
	else
		insert(set, range, place);
	if (keeper)
		keeper_tell_kept(keeper, range->id);
	if (out)
		*out = range;
	return 0;
}

int range_resolve_in(const char *text, const struct image *const *images,
	size_t image_count, const struct image **out_image,
	uint64_t *out_address, uint64_t *out_length, struct error *err)
{
	struct range range = { 0 };
	int rc = resolve(text, images, image_count, &range, err);

	if (!rc && range.device)
		rc = error_set(err, -EINVAL,
			"'%s' is a device, not user memory", text);
	*out_image = range.image;
	*out_address = range.address;
	*out_length = range.length;
	return rc;
}

int range_resolve(const char *text, const struct image *const *images,
	size_t image_count, uint64_t *out_address, uint64_t *out_length,
	struct error *err)
{
	const struct image *image;

	return range_resolve_in(text, images, image_count, &image, out_address,
		out_length, err);
}

void range_set_filter(struct range *range, struct filter *filter)
{
	range->links[range->link_count - 1].filter = filter;
}
