/* SPDX-License-Identifier: MIT */
/*
 * Lua patterns (Lua 5.4 manual, 6.4.1), matched with a way to stop: patterns
 * with several repetitions can take longer than anybody lives, and Lua's own
 * matcher cannot be interrupted. Knows no Lua state: pure text.
 */
#ifndef CUSTOS_KEEPER_PATTERN_H
#define CUSTOS_KEEPER_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATTERN_CAPTURES_MAX 32

struct pattern_capture {
	const char *start;
	size_t len;
	enum { CAPTURE_OPEN, CAPTURE_TEXT, CAPTURE_POSITION } state;
};

struct pattern {
	/* Filled by the caller; neither need end in NUL. */
	const char *text, *text_end;
	const char *pattern, *pattern_end; /* without the anchor '^' */
	/* Asked now and then; true: give up. */
	bool (*give_up)(void *ctx);
	void *ctx;
	/* Results of pattern_match(). */
	unsigned capture_count;
	struct pattern_capture captures[PATTERN_CAPTURES_MAX];
	const char *error; /* why there is no answer, or NULL */
	bool gave_up; /* error is that give_up() said so */
	/* internal */
	unsigned depth;
	uint32_t steps;
};

/* Match at exactly this place of the text. Returns the end of the match, or
 * NULL: none, or p->error. */
const char *pattern_match(struct pattern *p, const char *at);

/* Has the pattern no special characters, so that it is plain text? */
bool pattern_is_plain(const char *pattern, size_t len);

#endif
