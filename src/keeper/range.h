/* SPDX-License-Identifier: MIT */
/*
 * Kept ranges, as the user asked for them: which bytes of which program (or
 * which device), and whose answers count. Where the bytes are at a moment, in
 * which frames, is kept_page.h's business.
 */
#ifndef CUSTOS_KEEPER_RANGE_H
#define CUSTOS_KEEPER_RANGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "image/image.h"
#include "keeper/filter.h"
#include "keeper/keeper.h"

#define RANGE_NAME_MAX 128

/*
 * One keeper of a range. The keepers of a range are asked in the order they
 * were added, until one answers something else than pass.
 *
 * A keeper may let go of a range while the target runs: from then on it is
 * not asked any more (leaving), and when nobody can be looking the link is
 * gone; its place may be another's then.
 */
enum range_link_state { RANGE_LINK_LIVE, RANGE_LINK_LEAVING, RANGE_LINK_GONE };

struct range_link {
	struct keeper *keeper; /* not owned */
	enum verdict_kind fallback; /* VERDICT_PASS or VERDICT_DENY */
	struct filter *filter; /* owned; NULL: every access */
	_Atomic enum range_link_state state;
	_Atomic uint64_t asked, filtered; /* accesses; asked: or told */
};

#define RANGE_LINKS_MAX 8

struct range {
	uint32_t id; /* index in its set */
	char name[RANGE_NAME_MAX]; /* as the user wrote it */
	bool device; /* no RAM behind it */
	char device_name[32];
	const struct image *image; /* whose processes; NULL for devices */
	uint64_t address; /* in those processes; 0 for devices */
	uint64_t length; /* never 0 */
	struct range_link links[RANGE_LINKS_MAX];
	_Atomic unsigned link_count; /* at least 1; never shrinks */
	_Atomic unsigned live_count; /* of them, those that are live */
	bool joined; /* a run of a rep form's elements is one access */
	bool silent; /* its accesses are not written to the sink */
	bool ever_bound; /* its bytes were mapped at some moment; the session's */
};

/* Is the link's keeper to be asked? */
static inline bool range_link_is_live(const struct range_link *link)
{
	return atomic_load_explicit(&link->state, memory_order_relaxed) ==
		RANGE_LINK_LIVE;
}

/* Is there anybody to be asked? Else its bytes are like any others. */
static inline bool range_is_live(const struct range *range)
{
	return atomic_load_explicit(
		       &range->live_count, memory_order_relaxed) != 0;
}

/*
 * Ranges and links may be added by any thread at any moment. A range, once
 * added, stays at its address and under its id as long as its set, live or
 * not; the bytes of one that nobody keeps any more may be added again, as the
 * same range.
 */
struct range_set;

struct range_set *range_set_create(void); /* NULL: out of memory */
void range_set_destroy(struct range_set *set);

/*
 * Add the range that text describes:
 *
 *	[PROGRAM!]SYMBOL		the whole object
 *	[PROGRAM!]SYMBOL.MEMBER[N]...	inside it, by debug information
 *	[PROGRAM!]SYMBOL+OFF+LEN	LEN bytes from OFF into (or beyond) it
 *	[PROGRAM!]0xADDR+LEN
 *	[PROGRAM!]0xA..0xB		A inclusive, B exclusive
 *	device:NAME+LEN			LEN bytes without RAM behind them
 *
 * Numbers are decimal or 0x hexadecimal. PROGRAM is an image's name, with or
 * without its ".elf"; without it, images[0] is meant. On success stores the
 * new range, owned by the set, which stays at this address.
 *
 * The very bytes of a range already there are that range: keeper becomes one
 * more of its keepers, and *out is the old one.
 *
 * -EINVAL with a sentence: syntax, empty, wrapping, outside user memory,
 * overlapping a range already there (named) without being it, the same keeper
 * twice, too many keepers; -ENOENT: unknown program (the
 * known ones are listed), unknown symbol (the nearest names are listed).
 */
int range_set_add(struct range_set *set, const char *text,
	const struct image *const *images, size_t image_count,
	struct keeper *keeper, enum verdict_kind fallback, struct range **out,
	struct error *err);

/* The same, with a condition from the start (malloc()ed, taken over on
 * success; may be NULL) and a name (NULL: text; a range that others keep
 * has its name already). */
int range_set_add_as(struct range_set *set, const char *text, const char *name,
	const struct image *const *images, size_t image_count,
	struct keeper *keeper, enum verdict_kind fallback,
	struct filter *filter, struct range **out, struct error *err);

/* keeper lets go of range: it is not asked from now on. False when it did not
 * keep it. */
bool range_set_leave(
	struct range_set *set, struct range *range, struct keeper *keeper);

/* Nobody looks at range's links now: those that are leaving are gone. True
 * when the range is live all the same. */
bool range_set_settle(struct range_set *set, struct range *range);

/* The keeper's link of this range, or NULL. */
struct range_link *range_find_link(
	struct range *range, const struct keeper *keeper);

/* The addresses that text names in user memory; as range_set_add(). */
int range_resolve(const char *text, const struct image *const *images,
	size_t image_count, uint64_t *out_address, uint64_t *out_length,
	struct error *err);

/* The same, and the program whose memory it is. */
int range_resolve_in(const char *text, const struct image *const *images,
	size_t image_count, const struct image **out_image,
	uint64_t *out_address, uint64_t *out_length, struct error *err);

/* Ask the last link of range only about what matches; takes filter over
 * (malloc()ed). */
void range_set_filter(struct range *range, struct filter *filter);

size_t range_set_count(const struct range_set *set);
struct range *range_set_get(const struct range_set *set, size_t index);

#endif
