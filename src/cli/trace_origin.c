/* SPDX-License-Identifier: MIT */
/*
 * custos trace origin: where a value came from. A trace has no registers'
 * contents between accesses, so what joins a store to a load before it is that
 * the same process had loaded the same bytes. How good that reason is, is
 * said with every step; custos-trace(1) describes the words.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/trace.h"
#include "cli/trace_query.h"

#define WINDOW 4096 /* accesses looked back */
#define VALUE_MAX 64 /* bytes followed */
#define NEAR 4 /* accesses: a value computed from one just loaded */

const char trace_origin_help[] =
	"  -a, --at MOMENT       the value at this moment; else at the end\n"
	"  -n, --steps N         so many steps back at most (default 16)\n"
	"  -p, --process NAME|ID the value that this process stored\n"
	"\n"
	"Each step is an inference; custos-trace(1) says what `likely',\n"
	"`possibly', `copy' and `computed' mean.\n"
	"\n"
	"Exit code: 1 when nobody has stored there until then.\n";

struct origin {
	struct trace_query q;
	struct trace_places places;
	struct trace_moment at;
	const char *process_text;
	uint64_t process, steps;
	struct buf line;
};

/* A value at a place. */
struct value {
	const struct trace_range *range;
	uint64_t offset, size;
	uint8_t bytes[VALUE_MAX];
	uint64_t seq; /* it was there up to this access */
	uint64_t process; /* as this process has it; 0: any */
};

enum reason { REASON_NONE, REASON_COPY, REASON_LIKELY, REASON_POSSIBLY,
	REASON_COMPUTED };

/* A load that may be where a store's value is from. */
struct candidate {
	enum reason reason;
	struct value value; /* what was loaded, from where */
	uint64_t process;
	unsigned places; /* different ones with this value */
	char *text;
};

/* ---- what a record loads or stores, as a value ---- */

/* The last bytes of the piece that fit; false: of other size or no bytes. */
static bool take(const struct trace_query *q, const struct trace_record *r,
	const uint8_t *bytes, struct value *out)
{
	const struct trace_range *range =
		trace_query_range(q, r->access.range);
	struct trace_piece piece;

	if (!bytes || !range || r->access.lane_count ||
		!trace_access_piece(range, &r->access, 0, &piece) ||
		!piece.length || piece.length > VALUE_MAX)
		return false;
	*out = (struct value){ .range = range,
		.offset = piece.offset,
		.size = piece.length,
		.seq = r->seq };
	memcpy(out->bytes, bytes + piece.at, piece.length);
	return true;
}

/* 0, 1, -1 and the like are everywhere. */
static bool is_common(const struct value *v)
{
	bool zeros = true, ones = true;

	for (uint64_t i = 0; i < v->size; i++) {
		zeros &= i == 0 || v->bytes[i] == 0;
		ones &= v->bytes[i] == 0xff;
	}
	return zeros || ones;
}

static bool same_bytes(const struct value *a, const struct value *b)
{
	return a->size == b->size && !memcmp(a->bytes, b->bytes, a->size);
}

static uint64_t number(const struct value *v)
{
	uint64_t n = 0;

	memcpy(&n, v->bytes, v->size < 8 ? v->size : 8);
	return n;
}

static bool is_near(const struct value *a, const struct value *b)
{
	uint64_t difference = number(a) - number(b);

	return a->size == b->size && a->size <= 8 &&
		(difference + 256) <= 512;
}

static bool same_place(const struct value *a, const struct value *b)
{
	return a->range == b->range && a->offset == b->offset;
}

/* ---- looking back ---- */

static void remember(struct origin *o, struct candidate *c, enum reason reason,
	const struct value *value, const struct trace_record *r)
{
	struct buf line = BUF_INIT;

	if (reason != REASON_COMPUTED && c->reason != REASON_NONE &&
		c->reason != REASON_COMPUTED &&
		!same_place(&c->value, value))
		c->places++;
	c->reason = reason;
	c->value = *value;
	c->process = r->access.process;
	free(c->text);
	trace_query_line(&o->q, r, &line);
	c->text = line.data;
}

/* Records before the store, in order: the latest that fits remains. */
static void consider(struct origin *o, const struct trace_record *store,
	const struct value *stored, const struct trace_record *r,
	struct candidate *c)
{
	bool copy = store->access.kind == ACCESS_IPC_DST;
	const uint8_t *loaded = r->final_bytes;
	struct value value;

	if (r->access.kind == ACCESS_RMW || !loaded)
		loaded = r->access.old_bytes;
	if (!access_reads(r->access.kind) || r->access.kind == ACCESS_FETCH ||
		(r->access.kind == ACCESS_IPC_SRC) != copy ||
		!take(&o->q, r, loaded, &value))
		return;
	if (!copy && r->access.process != store->access.process)
		return;
	if (same_bytes(&value, stored) && !same_place(&value, stored))
		remember(o, c, copy ? REASON_COPY : REASON_LIKELY, &value, r);
	else if (same_place(&value, stored) && r->seq < store->seq &&
		store->seq - r->seq <= NEAR && is_near(&value, stored) &&
		(c->reason == REASON_NONE || c->reason == REASON_COMPUTED))
		remember(o, c, REASON_COMPUTED, &value, r);
}

/* store is copied: the reader's records do not last. */
static bool look_back(struct origin *o, const struct trace_record *store,
	const struct value *stored, struct candidate *c)
{
	uint64_t from = store->seq > WINDOW ? store->seq - WINDOW : 1;
	struct trace_record r;

	*c = (struct candidate){ 0 };
	if (!trace_query_seek(&o->q, from))
		return false;
	while (trace_query_next(&o->q, &r) && r.seq < store->seq)
		if (r.kind == TRACE_ACCESS)
			consider(o, store, stored, &r, c);
	if (c->reason == REASON_LIKELY && (c->places || is_common(stored)))
		c->reason = REASON_POSSIBLY;
	return !o->q.code;
}

/* An rmw's value is made of what was there. */
static bool from_itself(struct origin *o, const struct trace_record *store,
	struct candidate *c)
{
	*c = (struct candidate){ .reason = REASON_COMPUTED };
	return store->access.kind == ACCESS_RMW &&
		take(&o->q, store, store->access.old_bytes, &c->value);
}

/* ---- telling ---- */

static void tell_reason(struct origin *o, const struct candidate *c, bool rmw)
{
	const char *why = "";

	switch (c->reason) {
	case REASON_NONE:
		buf_printf(&o->line,
			"  unknown: in the %d accesses before, this process "
			"loaded no such value:\n  it was computed, is a "
			"constant, or came from bytes that are not kept\n",
			WINDOW);
		return;
	case REASON_COPY:
		why = "copy: the kernel copied these bytes from";
		break;
	case REASON_LIKELY:
		why = "likely: the process had loaded this value from";
		break;
	case REASON_POSSIBLY:
		why = c->places
			? "possibly: the process had loaded this value from "
			  "several places, last from"
			: "possibly (a common value): the process had loaded "
			  "it from";
		break;
	case REASON_COMPUTED:
		why = rmw ? "computed from what was there:"
			  : "computed, likely from what was loaded there just "
			    "before:";
		break;
	}
	buf_printf(&o->line, "  %s ", why);
	trace_place_describe(c->value.range, c->value.offset, &o->line);
	buf_add_str(&o->line, " = ");
	trace_add_value(&o->line, c->value.bytes, c->value.size);
	buf_add_char(&o->line, '\n');
	if (c->text)
		buf_printf(&o->line, "%s\n", c->text);
}

static bool tell_start(struct origin *o, const struct value *v)
{
	bool known[VALUE_MAX];
	uint8_t bytes[VALUE_MAX];
	struct error err = { 0 };

	if (trace_reader_memory(o->q.reader, v->range->id, v->process, v->seq,
		    v->offset, v->size, bytes, known, &err)) {
		trace_query_fail(&o->q, "%s", err.text);
		return false;
	}
	trace_place_describe(v->range, v->offset, &o->line);
	buf_add_str(&o->line, ": nobody has stored there before");
	if (!memchr(known, false, v->size)) {
		buf_add_str(&o->line, "; from the start ");
		trace_add_value(&o->line, bytes, v->size);
	}
	buf_add_char(&o->line, '\n');
	return true;
}

/* 1: there is a store; 0: none, told; -1: failed. */
static int last_store(
	struct origin *o, const struct value *v, struct trace_record *out)
{
	struct error err = { 0 };
	int ret = trace_reader_last_store(o->q.reader, v->range->id, v->offset,
		v->process, v->seq, out, &err);

	if (ret < 0)
		trace_query_fail(&o->q, "%s", err.text);
	else if (!ret)
		tell_start(o, v);
	return ret;
}

/* One step back: v becomes what the value was made of. False: no further. */
static bool go_back(struct origin *o, struct value *v, bool *found)
{
	struct trace_record store;
	struct candidate c;
	struct value stored;
	bool rmw;

	if (last_store(o, v, &store) != 1)
		return false;
	*found = true;
	trace_query_line(&o->q, &store, &o->line);
	buf_add_char(&o->line, '\n');
	if (!take(&o->q, &store, trace_stored_bytes(&store), &stored)) {
		buf_add_str(&o->line, "  unknown: its bytes are not known, or "
				      "too many\n");
		return false;
	}
	rmw = from_itself(o, &store, &c);
	if (!rmw && !look_back(o, &store, &stored, &c))
		return false;
	tell_reason(o, &c, rmw);
	free(c.text);
	if (c.reason == REASON_NONE)
		return false;
	*v = c.value;
	v->seq--; /* what was loaded was there before */
	v->process = 0;
	return true;
}

static void origin(struct origin *o, const char *place)
{
	struct value v = { 0 };
	bool found = false;

	if (!trace_query_places(&o->q, place, &o->places) ||
		!trace_query_process(&o->q, o->process_text, &o->process) ||
		!trace_query_moment(&o->q, &o->at, &v.seq))
		return;
	v.range = o->places.at[0].range;
	v.offset = o->places.at[0].offset;
	v.size = o->places.at[0].length;
	v.process = o->process;
	if (v.size > VALUE_MAX)
		v.size = VALUE_MAX;
	for (uint64_t n = 0; n < o->steps; n++)
		if (!go_back(o, &v, &found))
			break;
		else if (n + 1 == o->steps)
			buf_add_str(&o->line, "and so on; --steps goes "
					      "further\n");
	fwrite(o->line.data, 1, o->line.len, stdout);
	if (!trace_query_finish(&o->q) && !found)
		o->q.code = CLI_NO;
}

static int take_options(
	int argc, char **argv, const char *verb, struct origin *o)
{
	static const struct option options[] = {
		{ "at", required_argument, NULL, 'a' },
		{ "steps", required_argument, NULL, 'n' },
		{ "process", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	int option, code = -1;

	while (code < 0 &&
		(option = getopt_long(argc, argv, "a:n:p:", options, NULL)) !=
			-1) {
		if (option == 'p')
			o->process_text = optarg;
		else if (option == 'n')
			code = trace_take_number(
				verb, "--steps", optarg, &o->steps);
		else if (option != 'a')
			code = trace_bad_option(verb);
		else if (!trace_moment_parse(optarg, &o->at))
			code = trace_bad_moment(verb, "--at", optarg);
	}
	if (code < 0 && argc - optind != 2)
		code = cmd_usage_error(verb, "name a place and one trace");
	return code;
}

int trace_origin_run(int argc, char **argv)
{
	const char *verb = argv[0] + strlen("custos ");
	struct origin o = { .steps = 16 };
	int code = take_options(argc, argv, verb, &o);

	if (code >= 0)
		return code;
	if (!trace_query_open(&o.q, verb, argv[optind + 1]))
		return o.q.code;
	origin(&o, argv[optind]);
	trace_places_fini(&o.places);
	buf_fini(&o.line);
	return trace_query_close(&o.q);
}
