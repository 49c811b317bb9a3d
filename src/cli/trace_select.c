/* SPDX-License-Identifier: MIT */
/* Moments, and which records a verb is about. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/trace_query.h"

/* Between CPUs numbers go back a little, and far for accesses that were held:
 * so many records are read behind the last selected one. */
#define BEYOND_MAX (UINT64_C(1) << 20)

/* ---- moments ---- */

static bool parse_time(const char *text, uint64_t *out)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {
		{ "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 },
	};
	size_t len = strspn(text, "0123456789.");
	char *end;
	double value;

	if (!len || *text == '.')
		return false;
	value = strtod(text, &end);
	if (end != text + len)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(end, units[i].unit) &&
			value * units[i].ns < 9e18) {
			*out = (uint64_t)(value * units[i].ns + 0.5);
			return true;
		}
	return false;
}

bool trace_moment_parse(const char *text, struct trace_moment *out)
{
	char *end;

	*out = (struct trace_moment){ .given = true };
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	out->value = strtoull(text, &end, 10);
	if (!*end)
		return !errno;
	out->is_time = true;
	return parse_time(text, &out->value);
}

int trace_take_number(const char *verb, const char *option, const char *text,
	uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (!errno && *text >= '0' && *text <= '9' && !*end)
		return -1;
	return cmd_usage_error(
		verb, "%s: `%s' is not a number", option, text);
}

int trace_bad_moment(
	const char *verb, const char *option, const char *argument)
{
	return cmd_usage_error(verb,
		"%s: `%s' is no moment: an access's number, or a time such as "
		"1.5s, 20ms, 7us",
		option, argument);
}

/* The time of the first access from seq on; UINT64_MAX behind the last. */
static bool time_of(struct trace_query *q, uint64_t seq, uint64_t *out)
{
	struct trace_record record;

	if (!trace_query_seek(q, seq))
		return false;
	*out = UINT64_MAX;
	if (trace_query_next(q, &record))
		*out = record.time_ns;
	return !q->code;
}

/* By halves: the last access whose time is at most ns. 0: none. */
static bool seq_at(struct trace_query *q, uint64_t ns, uint64_t *out)
{
	uint64_t low = q->totals.seq_first, high = q->totals.seq_last + 1;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2, time;

		if (!time_of(q, middle, &time))
			return false;
		if (time <= ns)
			low = middle + 1;
		else
			high = middle;
	}
	*out = low ? low - 1 : 0;
	return true;
}

bool trace_query_moment(struct trace_query *q,
	const struct trace_moment *moment, uint64_t *out_seq)
{
	*out_seq = UINT64_MAX;
	if (!moment->given)
		return true;
	if (moment->is_time) {
		if (moment->value <= q->totals.duration_ns)
			return seq_at(q, moment->value, out_seq);
		trace_query_fail(q,
			"the moment %" PRIu64 " ns is beyond the end of %s, "
			"which is at %" PRIu64 " ns",
			moment->value, q->path, q->totals.duration_ns);
		return false;
	}
	*out_seq = moment->value;
	if (moment->value <= q->totals.seq_last)
		return true;
	trace_query_fail(q,
		"access %" PRIu64 " is beyond the end of %s, whose accesses "
		"are %" PRIu64 " to %" PRIu64,
		moment->value, q->path, q->totals.seq_first,
		q->totals.seq_last);
	return false;
}

/* ---- options ---- */

int trace_select_take(struct trace_select *s, const char *verb, int option,
	const char *argument)
{
	struct trace_moment *moment = option == 'f' ? &s->from : &s->to;

	switch (option) {
	case 'r':
		if (s->range_count ==
			sizeof(s->ranges) / sizeof(s->ranges[0]))
			return cmd_fail(verb, "too many ranges");
		s->ranges[s->range_count++] = argument;
		return -1;
	case 'w':
		if (s->when)
			return cmd_usage_error(verb,
				"--when is there twice; write the conditions "
				"as one, with spaces between");
		s->when = argument;
		return -1;
	case 'p':
		s->process_text = argument;
		return -1;
	case 'f':
	case 't':
		if (trace_moment_parse(argument, moment))
			return -1;
		return trace_bad_moment(
			verb, option == 'f' ? "--from" : "--to", argument);
	default:
		return trace_bad_option(verb);
	}
}

static bool parse_filter(struct trace_select *s, struct trace_query *q)
{
	const struct image **images;
	size_t count = 0;
	struct error err = { 0 };
	int ret;

	s->has_filter = s->when != NULL;
	if (!s->when)
		return true;
	images = calloc(
		(size_t)q->meta->program_count + 1, sizeof(struct image *));
	if (!images) {
		trace_query_fail(q, "out of memory");
		return false;
	}
	for (uint32_t i = 0; i < q->meta->program_count; i++)
		if (q->images[i])
			images[count++] = q->images[i];
	ret = filter_parse(s->when, images, count, &s->filter, &err);
	free(images);
	if (ret)
		trace_query_fail(q, "%s", err.text);
	return !ret;
}

bool trace_select_seek(struct trace_select *s, struct trace_query *q)
{
	uint64_t seq = 0;

	if (s->from.given && !s->from.is_time)
		seq = s->from.value;
	else if (s->from.given && !trace_query_moment(q, &s->from, &seq))
		return false;
	if (s->from.given && !s->from.is_time &&
		s->from.value > q->totals.seq_last &&
		!trace_query_moment(q, &s->from, &seq))
		return false;
	s->beyond = 0;
	return trace_query_seek(q, seq);
}

bool trace_select_begin(struct trace_select *s, struct trace_query *q)
{
	for (size_t i = 0; i < s->range_count; i++)
		if (!trace_query_places(q, s->ranges[i], &s->places))
			return false;
	return trace_query_process(q, s->process_text, &s->process) &&
		parse_filter(s, q) && trace_select_seek(s, q);
}

void trace_select_fini(struct trace_select *s)
{
	trace_places_fini(&s->places);
}

bool trace_select_is_narrow(const struct trace_select *s)
{
	return s->range_count || s->when || s->process_text;
}

/* ---- records ---- */

static uint64_t measure(
	const struct trace_moment *moment, const struct trace_record *record)
{
	return moment->is_time ? record->time_ns : record->seq;
}

static bool value_known(const struct access *a)
{
	return a->old_bytes || a->new_bytes;
}

static bool access_matches(
	struct trace_select *s, const struct trace_record *record)
{
	const struct access *a = &record->access;

	if (s->process && a->process != s->process)
		return false;
	if (s->places.count && !trace_places_touch(&s->places, a))
		return false;
	if (!s->has_filter)
		return true;
	/* What a trace of another tool does not hold cannot be compared. */
	if (s->filter.compare != FILTER_ANY_VALUE &&
		(!value_known(a) ||
			(s->filter.compare == FILTER_CHANGED && !a->old_bytes)))
		return false;
	return filter_matches(&s->filter, a);
}

bool trace_select_next(struct trace_select *s, struct trace_query *q,
	struct trace_record *out)
{
	while (s->beyond < BEYOND_MAX && trace_query_next(q, out)) {
		if (s->to.given && measure(&s->to, out) > s->to.value) {
			s->beyond++;
			continue;
		}
		if (s->from.given && measure(&s->from, out) < s->from.value)
			continue;
		if (out->kind != TRACE_ACCESS || access_matches(s, out))
			return true;
	}
	trace_progress(q->verb, 0, 0);
	return false;
}
