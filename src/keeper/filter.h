/* SPDX-License-Identifier: MIT */
/*
 * Conditions on accesses, looked at before a keeper is asked: an access that
 * does not match costs no call of a script. All given conditions must hold.
 */
#ifndef CUSTOS_KEEPER_FILTER_H
#define CUSTOS_KEEPER_FILTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "image/image.h"
#include "trace/access.h"

enum filter_compare {
	FILTER_ANY_VALUE,
	FILTER_EQUAL,
	FILTER_NOT_EQUAL,
	FILTER_LESS, /* unsigned */
	FILTER_GREATER,
	FILTER_CHANGED, /* a store or rmw whose new bytes differ */
};

struct filter {
	uint32_t kinds; /* bit per enum access_kind; 0: all */
	uint32_t size; /* 0: any */
	enum filter_compare compare; /* of accesses of at most 8 bytes; larger
				      * ones match only FILTER_CHANGED */
	uint64_t value; /* loads: what is loaded; else what is stored */
	char process[32]; /* a name, ".elf" left away or not; "": any */
	uint64_t ip_first, ip_last; /* both 0: any */
	uint64_t every; /* the n-th, 2n-th, ... that matches; 0: each */
	_Atomic uint64_t matched; /* the filter's own */
};

/*
 * Read conditions separated by spaces: load, store, rmw, fetch, ipc_src, ...
 * (several: any of them), changed, size=N, value=N, value!=N, value<N,
 * value>N, process=NAME, ip=RANGE (as range_set_add() takes it), every=N.
 * -EINVAL with a sentence.
 */
int filter_parse(const char *text, const struct image *const *images,
	size_t image_count, struct filter *out, struct error *err);

/* Any thread; counts for `every'. */
bool filter_matches(struct filter *filter, const struct access *access);

#endif
