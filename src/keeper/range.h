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
 */
struct range_link {
	struct keeper *keeper; /* not owned */
	enum verdict_kind fallback; /* VERDICT_PASS or VERDICT_DENY */
	struct filter *filter; /* owned; NULL: every access */
	_Atomic uint64_t asked, filtered; /* accesses */
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
	unsigned link_count; /* at least 1 */
	bool silent; /* its accesses are not written to the sink */
	bool ever_bound; /* its bytes were mapped at some moment; the session's */
};

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
