/* SPDX-License-Identifier: MIT */
/*
 * The set of kept ranges: specifications resolved to bytes of an image or a
 * device. They are found by id, and by where they are: those that are kept
 * and those that nobody keeps any more each in a list sorted by place, so that
 * an overlap is found between neighbours.
 */
#include "keeper/range.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <abi/custos_abi.h>

#include "base/checked.h"
#include "keeper/range_impl.h"

#define USER_START CUSTOS_ABI_PAGE /* page 0 is nobody's */
#define NAMES_LISTED 5

struct places {
	size_t count;
	struct range **at; /* room for all ranges of the set */
};

struct range_set {
	pthread_mutex_t mutex; /* guards all below */
	size_t count, capacity;
	struct range **ranges; /* by id */
	struct places kept, left;
	struct filter **replaced; /* somebody may be looking at them */
	size_t replaced_count;
};

struct range_set *range_set_create(void)
{
	struct range_set *set = calloc(1, sizeof(*set));

	if (set)
		pthread_mutex_init(&set->mutex, NULL);
	return set;
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
	for (size_t i = 0; i < set->replaced_count; i++)
		free(set->replaced[i]);
	free(set->replaced);
	free(set->ranges);
	free(set->kept.at);
	free(set->left.at);
	pthread_mutex_destroy(&set->mutex);
	free(set);
}

size_t range_set_count(const struct range_set *set)
{
	pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&set->mutex;
	size_t count;

	pthread_mutex_lock(mutex);
	count = set->count;
	pthread_mutex_unlock(mutex);
	return count;
}

struct range *range_set_get(const struct range_set *set, size_t index)
{
	pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&set->mutex;
	struct range *range;

	pthread_mutex_lock(mutex);
	range = index < set->count ? set->ranges[index] : NULL;
	pthread_mutex_unlock(mutex);
	return range;
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

/* Index of the first range in places that is not before range. */
static size_t place_of(const struct places *places, const struct range *range)
{
	size_t low = 0, high = places->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_places(places->at[middle], range) < 0)
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

static int check_overlap(const struct places *kept, const struct range *range,
	size_t place, struct error *err)
{
	const struct range *other = NULL;

	if (place < kept->count && overlaps(kept->at[place], range))
		other = kept->at[place];
	if (place && overlaps(kept->at[place - 1], range))
		other = kept->at[place - 1];
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

static bool grow(struct range ***list, size_t capacity)
{
	struct range **grown = reallocarray(*list, capacity, sizeof(*grown));

	if (grown)
		*list = grown;
	return grown != NULL;
}

static bool make_room(struct range_set *set)
{
	size_t capacity = set->capacity ? set->capacity * 2 : 16;

	if (set->count < set->capacity)
		return true;
	if (!grow(&set->ranges, capacity) || !grow(&set->kept.at, capacity) ||
		!grow(&set->left.at, capacity))
		return false;
	set->capacity = capacity;
	return true;
}

static void insert(struct places *places, struct range *range)
{
	size_t place = place_of(places, range);
	struct range **at = places->at + place;

	memmove(at + 1, at, (places->count - place) * sizeof(*at));
	*at = range;
	places->count++;
}

/* The range there that is the same bytes; its index, or count. Bytes that
 * were left may overlap: several begin at one place. */
static size_t find_same(const struct places *places, const struct range *range)
{
	size_t i = place_of(places, range);

	while (i < places->count && !compare_places(places->at[i], range)) {
		if (places->at[i]->length == range->length)
			return i;
		i++;
	}
	return places->count;
}

/* Take the range that is the same bytes out, or return NULL. */
static struct range *take_same(struct places *places, const struct range *range)
{
	size_t i = find_same(places, range);
	struct range *found;

	if (i == places->count)
		return NULL;
	found = places->at[i];
	places->count--;
	memmove(places->at + i, places->at + i + 1,
		(places->count - i) * sizeof(*places->at));
	return found;
}

/* ---- links ---- */

struct range_link *range_find_link(
	struct range *range, const struct keeper *keeper)
{
	for (unsigned i = 0; i < range->link_count; i++)
		if (range->links[i].keeper == keeper &&
			range->links[i].state != RANGE_LINK_GONE)
			return &range->links[i];
	return NULL;
}

/* The keeper was leaving, and others may still look at its condition. */
static int stay(struct range_set *set, struct range_link *link,
	enum verdict_kind fallback, struct filter *filter, struct error *err)
{
	struct filter **grown;

	if (link->filter) {
		grown = reallocarray(set->replaced, set->replaced_count + 1,
			sizeof(*grown));
		if (!grown)
			return error_set(err, -ENOMEM, "out of memory");
		set->replaced = grown;
		grown[set->replaced_count++] = link->filter;
	}
	link->fallback = fallback;
	link->filter = filter;
	return 0;
}

/* A place nobody has. */
static struct range_link *free_link(struct range *range)
{
	if (range->link_count < RANGE_LINKS_MAX)
		return &range->links[range->link_count];
	for (unsigned i = 0; i < RANGE_LINKS_MAX; i++)
		if (range->links[i].state == RANGE_LINK_GONE)
			return &range->links[i];
	return NULL;
}

static int add_link(struct range_set *set, struct range *range,
	struct keeper *keeper, enum verdict_kind fallback,
	struct filter *filter, struct error *err)
{
	struct range_link *link = range_find_link(range, keeper);

	if (link && range_link_is_live(link))
		return error_set(err, -EINVAL, "range '%s' is given twice",
			range->name);
	if (link) {
		int rc = stay(set, link, fallback, filter, err);

		if (rc)
			return rc;
	} else {
		link = free_link(range);
		if (!link)
			return error_set(err, -EINVAL,
				"range '%s' has more than %d keepers",
				range->name, RANGE_LINKS_MAX);
		link->keeper = keeper;
		link->fallback = fallback;
		link->filter = filter;
		link->asked = link->filtered = 0;
	}
	atomic_store(&link->state, RANGE_LINK_LIVE);
	/* Readers go up to the count: the link is complete before it. */
	if (link == &range->links[range->link_count])
		atomic_fetch_add(&range->link_count, 1);
	atomic_fetch_add(&range->live_count, 1);
	return 0;
}

bool range_set_leave(
	struct range_set *set, struct range *range, struct keeper *keeper)
{
	struct range_link *link;
	bool live;

	pthread_mutex_lock(&set->mutex);
	link = range_find_link(range, keeper);
	live = link && range_link_is_live(link);
	if (live) {
		atomic_store(&link->state, RANGE_LINK_LEAVING);
		atomic_fetch_sub(&range->live_count, 1);
	}
	if (live && !range_is_live(range) && take_same(&set->kept, range))
		insert(&set->left, range);
	pthread_mutex_unlock(&set->mutex);
	return live;
}

bool range_set_settle(struct range_set *set, struct range *range)
{
	bool live;

	pthread_mutex_lock(&set->mutex);
	for (unsigned i = 0; i < range->link_count; i++) {
		struct range_link *link = &range->links[i];

		if (link->state != RANGE_LINK_LEAVING)
			continue;
		free(link->filter);
		link->filter = NULL;
		link->state = RANGE_LINK_GONE;
	}
	live = range_is_live(range);
	pthread_mutex_unlock(&set->mutex);
	return live;
}

/* ---- adding ---- */

/* Does nobody look at its name? */
static bool is_settled(const struct range *range)
{
	for (unsigned i = 0; i < range->link_count; i++)
		if (range->links[i].state != RANGE_LINK_GONE)
			return false;
	return true;
}

/* The range of these bytes, if somebody has or had it; in the list of those
 * that are kept. */
static struct range *find_again(
	struct range_set *set, const struct range *range, const char *name)
{
	size_t i = find_same(&set->kept, range);
	struct range *found;

	if (i < set->kept.count)
		return set->kept.at[i];
	found = take_same(&set->left, range);
	if (found) {
		if (is_settled(found))
			strcpy(found->name, name ? name : range->name);
		insert(&set->kept, found);
	}
	return found;
}

/* With the mutex: range is resolved; on success it is the set's or freed. */
static int add(struct range_set *set, struct range *range, const char *name,
	struct keeper *keeper, enum verdict_kind fallback,
	struct filter *filter, struct range **out, struct error *err)
{
	struct range *same;
	int rc;

	if (!make_room(set))
		return error_set(err, -ENOMEM, "out of memory");
	if (find_same(&set->kept, range) == set->kept.count) {
		rc = check_overlap(&set->kept, range,
			place_of(&set->kept, range), err);
		if (rc)
			return rc;
	}
	same = find_again(set, range, name);
	*out = same ? same : range;
	rc = add_link(set, *out, keeper, fallback, filter, err);
	if (rc)
		return rc;
	if (same) {
		free(range);
		return 0;
	}
	if (name)
		strcpy(range->name, name);
	range->id = (uint32_t)set->count;
	insert(&set->kept, range);
	set->ranges[set->count++] = range;
	return 0;
}

int range_set_add_as(struct range_set *set, const char *text, const char *name,
	const struct image *const *images, size_t image_count,
	struct keeper *keeper, enum verdict_kind fallback,
	struct filter *filter, struct range **out, struct error *err)
{
	struct range *range = calloc(1, sizeof(*range)), *added = NULL;
	int rc;

	if (!range)
		return error_set(err, -ENOMEM, "out of memory");
	rc = resolve(text, images, image_count, range, err);
	if (!rc && name && strlen(name) >= sizeof(range->name))
		rc = error_set(err, -EINVAL, "range '%s': its name is too long",
			text);
	if (!rc) {
		pthread_mutex_lock(&set->mutex);
		rc = add(set, range, name, keeper, fallback, filter, &added,
			err);
		pthread_mutex_unlock(&set->mutex);
	}
	if (rc) {
		free(range);
		return rc;
	}
	if (keeper)
		keeper_tell_kept(keeper, added->id);
	if (out)
		*out = added;
	return 0;
}

int range_set_add(struct range_set *set, const char *text,
	const struct image *const *images, size_t image_count,
	struct keeper *keeper, enum verdict_kind fallback, struct range **out,
	struct error *err)
{
	return range_set_add_as(set, text, NULL, images, image_count, keeper,
		fallback, NULL, out, err);
}

int range_resolve_in(const char *text, const struct image *const *images,
	size_t image_count, const struct image **out_image,
	uint64_t *out_address, uint64_t *out_length, struct error *err)
{
	struct range range = { .id = 0 };
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
