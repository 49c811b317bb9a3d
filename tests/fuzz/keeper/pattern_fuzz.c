/* SPDX-License-Identifier: MIT */
/* Patterns: every match and capture lies inside the text, and giving up
 * works. Up to the first NUL of the input is the pattern, the rest the text. */
#include <stdlib.h>
#include <string.h>

#include "base/invariant.h"
#include "keeper/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool give_up(void *ctx)
{
	unsigned *times = ctx;

	return ++*times > 4;
}

static void check_captures(const struct pattern *p)
{
	for (unsigned i = 0; i < p->capture_count; i++) {
		const struct pattern_capture *c = &p->captures[i];

		invariant(c->state != CAPTURE_OPEN);
		invariant(c->start >= p->text && c->start <= p->text_end);
		invariant(c->len <= (size_t)(p->text_end - c->start));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t pattern_len = strnlen((const char *)data, size);
	/* Exact copies, so that reading beyond either is seen. */
	char *pattern = malloc(pattern_len + 1);
	char *text = malloc(size - pattern_len + 1);
	unsigned times = 0;
	struct pattern p = {
		.text = text,
		.text_end = text + (size - pattern_len),
		.pattern = pattern,
		.pattern_end = pattern + pattern_len,
		.give_up = give_up,
		.ctx = &times,
	};

	memcpy(pattern, data, pattern_len);
	memcpy(text, data + pattern_len, size - pattern_len);
	for (const char *at = p.text; at <= p.text_end && !p.error; at++) {
		const char *end = pattern_match(&p, at);

		invariant(!end || (end >= at && end <= p.text_end));
		if (end)
			check_captures(&p);
	}
	invariant(times <= 5);
	free(pattern);
	free(text);
	return 0;
}
