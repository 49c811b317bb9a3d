/* SPDX-License-Identifier: MIT */
/* "Did you mean": of many names those a few edits away from a wrong one. */
#ifndef CUSTOS_BASE_NEAREST_H
#define CUSTOS_BASE_NEAREST_H

#include "base/buf.h"

#define NEAREST_MAX 16

struct nearest {
	const char *name; /* the wrong one */
	unsigned max, count;
	struct nearest_candidate {
		const char *name;
		unsigned cost;
	} best[NEAREST_MAX]; /* sorted by cost; earlier offers win ties */
};

/* max: how many are wanted, at most NEAREST_MAX count. */
void nearest_init(struct nearest *nearest, const char *name, unsigned max);

/* Remember candidate, which must outlive nearest, if it is near enough. */
void nearest_offer(struct nearest *nearest, const char *candidate);

/* Append those that were near, best first, ", " between them; how many. */
unsigned nearest_print(const struct nearest *nearest, struct buf *out);

#endif
