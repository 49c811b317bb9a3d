/* SPDX-License-Identifier: MIT */
/*
 * A backtracking matcher. An error is remembered in p->error and comes out as
 * "no match" everywhere, so that the recursion unwinds by itself.
 */
#include "keeper/pattern.h"

#include <ctype.h>
#include <string.h>

#define DEPTH_MAX 200
#define STEPS_UNASKED 0xffff /* between calls of give_up(); a mask */

static const char *match_here(
	struct pattern *p, const char *at, const char *item);

static const char *fail(struct pattern *p, const char *why)
{
	if (!p->error)
		p->error = why;
	return NULL;
}

/* Count one unit of work; false: stop. */
static bool work(struct pattern *p)
{
	if (++p->steps & STEPS_UNASKED)
		return !p->error;
	if (!p->error && p->give_up && p->give_up(p->ctx)) {
		p->gave_up = true;
		fail(p, "the pattern ran too long");
	}
	return !p->error;
}

bool pattern_is_plain(const char *pattern, size_t len)
{
	static const char special[] = "^$*+?.([%-";

	for (size_t i = 0; i < len; i++)
		if (pattern[i] && strchr(special, pattern[i]))
			return false;
	return true;
}

/* ---- single characters ---- */

static bool in_class(unsigned char c, unsigned char letter)
{
	bool in;

	switch (tolower(letter)) {
	case 'a':
		in = isalpha(c);
		break;
	case 'c':
		in = iscntrl(c);
		break;
	case 'd':
		in = isdigit(c);
		break;
	case 'g':
		in = isgraph(c);
		break;
	case 'l':
		in = islower(c);
		break;
	case 'p':
		in = ispunct(c);
		break;
	case 's':
		in = isspace(c);
		break;
	case 'u':
		in = isupper(c);
		break;
	case 'w':
		in = isalnum(c);
		break;
	case 'x':
		in = isxdigit(c);
		break;
	case 'z': /* of old, still known */
		in = c == '\0';
		break;
	default:
		return letter == c; /* an escaped character */
	}
	return isupper(letter) ? !in : in;
}

/* The end of the set that starts at '[', or NULL. */
static const char *set_end(struct pattern *p, const char *set)
{
	const char *at = set + 1;

	if (at < p->pattern_end && *at == '^')
		at++;
	/* A ']' in the first place is a member. */
	for (const char *first = at; at < p->pattern_end; at++) {
		if (*at == ']' && at != first)
			return at + 1;
		if (*at == '%' && ++at == p->pattern_end)
			break;
	}
	return fail(p, "malformed pattern (missing ']')");
}

static bool in_set(unsigned char c, const char *set, const char *end)
{
	const char *at = set + 1, *last = end - 1;
	bool found = false, complement = *at == '^';

	for (at += complement; at < last && !found; at++) {
		if (*at == '%') {
			found = in_class(c, (unsigned char)*++at);
		} else if (last - at > 2 && at[1] == '-') {
			found = (unsigned char)at[0] <= c &&
				c <= (unsigned char)at[2];
			at += 2;
		} else {
			found = (unsigned char)*at == c;
		}
	}
	return found != complement;
}

/* The end of the single-character item, before its repetition; NULL: error. */
static const char *item_end(struct pattern *p, const char *item)
{
	if (*item == '[')
		return set_end(p, item);
	if (*item != '%')
		return item + 1;
	if (item + 1 == p->pattern_end)
		return fail(p, "malformed pattern (ends with '%')");
	return item + 2;
}

static bool is_single(struct pattern *p, const char *at, const char *item,
	const char *end)
{
	unsigned char c;

	if (at >= p->text_end || !work(p))
		return false;
	c = (unsigned char)*at;
	switch (*item) {
	case '.':
		return true;
	case '%':
		return in_class(c, (unsigned char)item[1]);
	case '[':
		return in_set(c, item, end);
	default:
		return (unsigned char)*item == c;
	}
}

/* ---- repetitions ---- */

/* As many as there are, then fewer and fewer. */
static const char *match_most(struct pattern *p, const char *at,
	const char *item, const char *end)
{
	const char *far = at, *match;

	while (is_single(p, far, item, end))
		far++;
	for (; far >= at && work(p); far--) {
		match = match_here(p, far, end + 1);
		if (match)
			return match;
	}
	return NULL;
}

static const char *match_fewest(struct pattern *p, const char *at,
	const char *item, const char *end)
{
	const char *match;

	for (;;) {
		match = match_here(p, at, end + 1);
		if (match || !is_single(p, at, item, end))
			return match;
		at++;
	}
}

/* ---- captures ---- */

static const char *open_capture(struct pattern *p, const char *at,
	const char *item)
{
	bool position = item + 1 < p->pattern_end && item[1] == ')';
	struct pattern_capture *capture;
	const char *match;

	if (p->capture_count == PATTERN_CAPTURES_MAX)
		return fail(p, "too many captures");
	capture = &p->captures[p->capture_count++];
	*capture = (struct pattern_capture){ .start = at };
	if (position)
		capture->state = CAPTURE_POSITION;
	match = match_here(p, at, item + 1 + position);
	if (!match)
		p->capture_count--;
	return match;
}

static const char *close_capture(struct pattern *p, const char *at,
	const char *item)
{
	struct pattern_capture *capture = NULL;
	const char *match;

	for (unsigned i = p->capture_count; i-- > 0 && !capture;)
		if (p->captures[i].state == CAPTURE_OPEN)
			capture = &p->captures[i];
	if (!capture)
		return fail(p, "malformed pattern (unexpected ')')");
	capture->len = (size_t)(at - capture->start);
	capture->state = CAPTURE_TEXT;
	match = match_here(p, at, item + 1);
	if (!match)
		capture->state = CAPTURE_OPEN;
	return match;
}

/* %1 to %9: the text of a capture again. */
static const char *match_again(struct pattern *p, const char *at, char digit)
{
	unsigned index = (unsigned)(digit - '1');
	const struct pattern_capture *capture;

	if (digit == '0' || index >= p->capture_count ||
		p->captures[index].state == CAPTURE_OPEN)
		return fail(p, "invalid capture index in pattern");
	capture = &p->captures[index];
	if (capture->state == CAPTURE_POSITION ||
		(size_t)(p->text_end - at) < capture->len)
		return NULL;
	p->steps |= capture->len > STEPS_UNASKED ? STEPS_UNASKED : 0;
	if (!work(p) || memcmp(capture->start, at, capture->len) != 0)
		return NULL;
	return at + capture->len;
}

/* %bxy */
static const char *match_balanced(struct pattern *p, const char *at,
	const char *item)
{
	size_t open = 1;

	if (p->pattern_end - item < 4)
		return fail(p, "malformed pattern (missing arguments to "
			       "'%b')");
	if (at >= p->text_end || *at != item[2])
		return NULL;
	for (at++; at < p->text_end && work(p); at++) {
		if (*at == item[3]) {
			if (!--open)
				return at + 1;
		} else if (*at == item[2]) {
			open++;
		}
	}
	return NULL;
}

/* %f[set]: at is where the set begins to hold. *out_item: behind it. */
static bool is_frontier(struct pattern *p, const char *at, const char *item,
	const char **out_item)
{
	const char *set = item + 2, *end;
	unsigned char before, here;

	if (set >= p->pattern_end || *set != '[') {
		fail(p, "malformed pattern (missing '[' after '%f')");
		return false;
	}
	end = set_end(p, set);
	if (!end)
		return false;
	*out_item = end;
	before = at == p->text ? 0 : (unsigned char)at[-1];
	here = at == p->text_end ? 0 : (unsigned char)*at;
	return !in_set(before, set, end) && in_set(here, set, end);
}

/* ---- the pattern ---- */

/* An item that begins with % and is no single character; *out_item moves
 * behind it. False: it is one. */
static bool match_special(struct pattern *p, const char **at,
	const char *item, const char **out_item)
{
	char letter = item + 1 < p->pattern_end ? item[1] : '\0';

	if (letter == 'b') {
		*at = match_balanced(p, *at, item);
		*out_item = item + 4;
	} else if (letter == 'f') {
		if (!is_frontier(p, *at, item, out_item))
			*at = NULL;
	} else if (letter >= '0' && letter <= '9') {
		*at = match_again(p, *at, letter);
		*out_item = item + 2;
	} else {
		return false;
	}
	return true;
}

static const char *match_items(
	struct pattern *p, const char *at, const char *item)
{
	const char *end, *match;

	while (at && item < p->pattern_end && work(p)) {
		if (*item == '(')
			return open_capture(p, at, item);
		if (*item == ')')
			return close_capture(p, at, item);
		if (*item == '$' && item + 1 == p->pattern_end)
			return at == p->text_end ? at : NULL;
		if (*item == '%' && match_special(p, &at, item, &item))
			continue;
		end = item_end(p, item);
		if (!end)
			return NULL;
		switch (end < p->pattern_end ? *end : '\0') {
		case '*':
			return match_most(p, at, item, end);
		case '+':
			return is_single(p, at, item, end)
				? match_most(p, at + 1, item, end)
				: NULL;
		case '-':
			return match_fewest(p, at, item, end);
		case '?':
			if (is_single(p, at, item, end)) {
				match = match_here(p, at + 1, end + 1);
				if (match)
					return match;
			}
			item = end + 1;
			break;
		default:
			if (!is_single(p, at, item, end))
				return NULL;
			at++;
			item = end;
		}
	}
	return p->error ? NULL : at;
}

static const char *match_here(
	struct pattern *p, const char *at, const char *item)
{
	const char *match;

	if (p->error)
		return NULL;
	if (p->depth == DEPTH_MAX)
		return fail(p, "pattern too complex");
	p->depth++;
	match = match_items(p, at, item);
	p->depth--;
	return p->error ? NULL : match;
}

const char *pattern_match(struct pattern *p, const char *at)
{
	const char *match;

	p->capture_count = 0;
	p->error = NULL;
	p->gave_up = false;
	p->depth = 0;
	match = match_here(p, at, p->pattern);
	for (unsigned i = 0; match && i < p->capture_count; i++)
		if (p->captures[i].state == CAPTURE_OPEN)
			match = fail(p, "malformed pattern (unfinished "
				       "capture)");
	return match;
}
