/* SPDX-License-Identifier: MIT */
/*
 * custos trace diff: what two runs did differently. As long as they do the
 * same, two records are held. Where they part, WINDOW records of each are
 * looked at for the nearest place from which both go on alike.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/trace.h"
#include "cli/trace_query.h"

#define WINDOW 512
#define ALIKE 4 /* so many equal ones in a row are no accident */

const char trace_diff_help[] =
	TRACE_SELECT_HELP
	"  -1, --first           only the first difference\n"
	"  -n, --top N           print so many differences (default 100; 0: all)\n"
	"  -i, --ignore-values   compare only where and how\n"
	"\n"
	"Exit code: 0 when they are the same, 1 when not.\n";

/* An access, reduced to what is compared and printed. */
struct item {
	uint64_t shape; /* hash of who, where and how */
	uint64_t full; /* and of the values and the outcome */
	char *line;
};

struct side {
	struct trace_query q;
	struct trace_select select;
	struct item items[WINDOW];
	size_t first, count;
	bool ended, has_code;
	int64_t code;
	uint64_t only, last; /* differences; the last equal access */
};

struct diff {
	struct side a, b;
	bool by_ip, ignore_values, first_only;
	uint64_t top, told, equal, other_values;
	size_t no_search; /* so many more items are not worth a search */
	struct buf line;
};

/* ---- items ---- */

static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
	return hash * UINT64_C(0x9e3779b97f4a7c15) ^ hash >> 29;
}

static uint64_t mix_number(uint64_t hash, uint64_t number)
{
	return mix(hash, &number, sizeof(number));
}

static uint64_t mix_value(
	uint64_t hash, const struct access *a, const uint8_t *bytes)
{
	if (!bytes || a->kept_first > a->size ||
		a->kept_count > a->size - a->kept_first)
		return mix_number(hash, bytes ? 1 : 0);
	if (a->lane_count)
		return mix(hash, bytes, a->size);
	return mix(hash, bytes + a->kept_first, a->kept_count);
}

static uint64_t shape_of(const struct diff *d, struct side *s,
	const struct trace_record *r)
{
	const struct access *a = &r->access;
	const struct trace_site *site = trace_reader_site(s->q.reader, r->site);
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	h = mix(h, a->process_name, strlen(a->process_name) + 1);
	h = mix(h, a->range_name, strlen(a->range_name) + 1);
	h = mix_number(h, a->offset);
	h = mix_number(h, (uint64_t)a->kind << 33 | (uint64_t)a->atomic << 32 |
			a->size);
	h = mix_number(h, a->kept_count);
	if (d->by_ip || !site)
		return mix_number(h, a->ip);
	return mix(h, site->symbol, strlen(site->symbol));
}

static uint64_t full_of(const struct diff *d, uint64_t shape,
	const struct trace_record *r)
{
	const struct access *a = &r->access;

	if (d->ignore_values)
		return shape;
	shape = mix_number(shape, r->outcome);
	shape = mix_value(shape, a, a->old_bytes);
	shape = mix_value(shape, a, a->new_bytes);
	return mix_value(shape, a, r->final_bytes);
}

static bool next_access(struct side *s, struct trace_record *out)
{
	while (!s->ended && trace_select_next(&s->select, &s->q, out)) {
		if (out->kind == TRACE_ACCESS)
			return true;
		if (out->kind != TRACE_END)
			continue;
		s->has_code = true;
		s->code = out->exit_code;
	}
	s->ended = true;
	return false;
}

static bool push(struct diff *d, struct side *s, const struct trace_record *r)
{
	struct item *item = &s->items[(s->first + s->count) % WINDOW];
	struct buf line = BUF_INIT;

	item->shape = shape_of(d, s, r);
	item->full = full_of(d, item->shape, r);
	trace_query_line(&s->q, r, &line);
	item->line = line.data;
	if (line.failed || !line.data) {
		free(line.data);
		trace_query_fail(&s->q, "out of memory");
		return false;
	}
	s->count++;
	return true;
}

static bool fill(struct diff *d, struct side *s, size_t want)
{
	struct trace_record r;

	while (s->count < want && next_access(s, &r))
		if (!push(d, s, &r))
			return false;
	return true;
}

static struct item *item_at(struct side *s, size_t i)
{
	return &s->items[(s->first + i) % WINDOW];
}

static void pop(struct side *s)
{
	free(item_at(s, 0)->line);
	s->first = (s->first + 1) % WINDOW;
	s->count--;
}

/* ---- output ---- */

static void tell(struct diff *d, const char *sign, struct side *s, size_t i)
{
	if (!d->told) {
		if (d->equal)
			printf("the first %" PRIu64 " accesses are the same, "
			       "up to #%" PRIu64 " and #%" PRIu64 "\n",
				d->equal, d->a.last, d->b.last);
		else
			printf("they differ from the start\n");
	}
	printf("%-2s %s\n", sign, item_at(s, i)->line);
}

static bool may_tell(const struct diff *d)
{
	return !d->top || d->told < d->top;
}

static void tell_only(struct diff *d, const char *sign, struct side *s)
{
	if (may_tell(d))
		tell(d, sign, s, 0);
	d->told++;
	s->only++;
	pop(s);
}

static void tell_values(struct diff *d)
{
	if (may_tell(d)) {
		tell(d, "!<", &d->a, 0);
		printf("!> %s\n", item_at(&d->b, 0)->line);
	}
	d->told++;
	d->other_values++;
	pop(&d->a);
	pop(&d->b);
}

/* ---- where they come together again ---- */

static bool alike(struct diff *d, size_t i, size_t j, bool full)
{
	size_t n = 0;

	for (; n < ALIKE && i + n < d->a.count && j + n < d->b.count; n++) {
		const struct item *x = item_at(&d->a, i + n);
		const struct item *y = item_at(&d->b, j + n);

		if (full ? x->full != y->full : x->shape != y->shape)
			return false;
	}
	/* Fewer are enough where both end. */
	return n == ALIKE ||
		(n && i + n == d->a.count && j + n == d->b.count &&
			d->a.ended && d->b.ended);
}

static bool search(struct diff *d, bool full, size_t *out_i, size_t *out_j)
{
	for (size_t sum = 0; sum < d->a.count + d->b.count; sum++)
		for (size_t i = 0; i <= sum && i < d->a.count; i++) {
			if (sum - i >= d->b.count || !alike(d, i, sum - i, full))
				continue;
			*out_i = i;
			*out_j = sum - i;
			return true;
		}
	return false;
}

/* i of a and j of b differ; pairs of the same shape belong together. */
static void skip(struct diff *d, size_t i, size_t j)
{
	while (i && i == j &&
		item_at(&d->a, 0)->shape == item_at(&d->b, 0)->shape) {
		tell_values(d);
		i--;
		j--;
	}
	for (; i; i--)
		tell_only(d, "<", &d->a);
	for (; j; j--)
		tell_only(d, ">", &d->b);
}

static bool resync(struct diff *d)
{
	bool same_shape;
	size_t i, j;

	if (!d->no_search) {
		if (!fill(d, &d->a, WINDOW) || !fill(d, &d->b, WINDOW))
			return false;
		if (search(d, true, &i, &j)) {
			skip(d, i, j);
			return true;
		}
		d->no_search = WINDOW / 2;
	}
	d->no_search--;
	same_shape = item_at(&d->a, 0)->shape == item_at(&d->b, 0)->shape;
	if (same_shape) {
		tell_values(d);
		return true;
	}
	d->no_search = 0;
	if (!search(d, false, &i, &j)) {
		i = d->a.count;
		j = d->b.count;
	}
	skip(d, i, j);
	return true;
}

/* Both at once, as long as they are the same; false at the end. */
static bool walk_equal(struct diff *d)
{
	struct trace_record x, y;

	while (!d->a.count && !d->b.count) {
		bool has_x = next_access(&d->a, &x);
		bool has_y = next_access(&d->b, &y);
		uint64_t shape_x = has_x ? shape_of(d, &d->a, &x) : 0;
		uint64_t shape_y = has_y ? shape_of(d, &d->b, &y) : 0;

		if (!has_x && !has_y)
			return false;
		if (has_x && has_y && shape_x == shape_y &&
			full_of(d, shape_x, &x) == full_of(d, shape_y, &y)) {
			d->equal++;
			d->a.last = x.seq;
			d->b.last = y.seq;
			continue;
		}
		if ((has_x && !push(d, &d->a, &x)) ||
			(has_y && !push(d, &d->b, &y)))
			return false;
	}
	return true;
}

static bool step(struct diff *d)
{
	if (!walk_equal(d) || !fill(d, &d->a, 1) || !fill(d, &d->b, 1))
		return false;
	if (!d->a.count && !d->b.count)
		return true; /* the end, which walk_equal() meets again */
	if (!d->a.count || !d->b.count) {
		if (d->a.count)
			tell_only(d, "<", &d->a);
		else
			tell_only(d, ">", &d->b);
		return true;
	}
	if (item_at(&d->a, 0)->full != item_at(&d->b, 0)->full)
		return resync(d);
	d->equal++;
	pop(&d->a);
	pop(&d->b);
	return true;
}

/* ---- the verb ---- */

static int conclude(struct diff *d)
{
	bool codes = d->a.has_code && d->b.has_code && d->a.code != d->b.code;
	int code = d->a.q.code ? d->a.q.code : d->b.q.code;

	if (!code && d->first_only && d->told)
		return trace_query_finish(&d->a.q) ? d->a.q.code : CLI_NO;
	if (d->top && d->told > d->top)
		printf("and %" PRIu64 " more differences\n",
			d->told - d->top);
	printf("%" PRIu64 " accesses are the same, %" PRIu64
	       " only in %s, %" PRIu64 " only in %s, %" PRIu64
	       " with other values\n",
		d->equal, d->a.only, d->a.q.path, d->b.only, d->b.q.path,
		d->other_values);
	if (codes)
		printf("the runs ended with code %" PRId64 " and %" PRId64
		       "\n", d->a.code, d->b.code);
	if (trace_query_finish(&d->a.q) == CLI_FAILED)
		return CLI_FAILED;
	return code ? code : d->told || codes ? CLI_NO : CLI_OK;
}

/* Are the programs the same files? Else addresses mean nothing. */
static bool same_programs(const struct trace_meta *a, const struct trace_meta *b)
{
	if (a->program_count != b->program_count)
		return false;
	for (uint32_t i = 0; i < a->program_count; i++)
		if (a->programs[i].hash != b->programs[i].hash)
			return false;
	return true;
}

static int compare(struct diff *d)
{
	if (!trace_select_begin(&d->a.select, &d->a.q))
		return d->a.q.code;
	if (!trace_select_begin(&d->b.select, &d->b.q))
		return d->b.q.code;
	d->by_ip = same_programs(d->a.q.meta, d->b.q.meta);
	while (step(d) && !ferror(stdout) && !(d->first_only && d->told))
		if (trace_interrupted())
			break;
	return conclude(d);
}

static int take_options(
	int argc, char **argv, const char *verb, struct diff *d)
{
	static const struct option options[] = {
		TRACE_SELECT_LONG,
		{ "first", no_argument, NULL, '1' },
		{ "top", required_argument, NULL, 'n' },
		{ "ignore-values", no_argument, NULL, 'i' },
		{ NULL, 0, NULL, 0 },
	};
	int option, code = -1;

	while (code < 0 &&
		(option = getopt_long(argc, argv, TRACE_SELECT_SHORT "1n:i",
			 options, NULL)) != -1) {
		if (option == '1')
			d->first_only = true;
		else if (option == 'i')
			d->ignore_values = true;
		else if (option == 'n')
			code = trace_take_number(
				verb, "--top", optarg, &d->top);
		else
			code = trace_select_take(
				&d->a.select, verb, option, optarg);
	}
	if (code < 0 && argc - optind != 2)
		code = cmd_usage_error(verb, "name two traces");
	if (d->first_only)
		d->top = 1;
	d->b.select = d->a.select;
	return code;
}

static void side_fini(struct side *s)
{
	while (s->count)
		pop(s);
	trace_select_fini(&s->select);
	trace_query_close(&s->q);
}

int trace_diff_run(int argc, char **argv)
{
	const char *verb = argv[0] + strlen("custos ");
	struct diff *d = calloc(1, sizeof(*d));
	int code;

	if (!d)
		return cmd_fail(verb, "out of memory");
	d->top = 100;
	code = take_options(argc, argv, verb, d);
	if (code < 0) {
		if (!trace_query_open(&d->a.q, verb, argv[optind]))
			code = d->a.q.code;
		else if (!trace_query_open(&d->b.q, verb, argv[optind + 1]))
			code = d->b.q.code;
		else
			code = compare(d);
		side_fini(&d->a);
		side_fini(&d->b);
	}
	free(d);
	return code;
}
