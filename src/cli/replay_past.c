/* SPDX-License-Identifier: MIT */
/*
 * A recorded run goes through keepers: each access is shown to whoever keeps
 * its bytes, with what memory held and what the instruction was about to store
 * then. What was done stays done: an answer is compared with it, and changes
 * nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "cli/cmd.h"
#include "cli/replay.h"

#define SHOWN_MAX 10 /* differences told one by one, to people */

/* What a keeper granted, as far as it concerns asking it. */
struct grant_given {
	const struct range_link *link;
	uint64_t process; /* 0: all */
	bool writes;
};

/* The ranges now kept that a recorded one has bytes of. */
struct meeting {
	struct range **ranges;
	size_t count;
};

struct replay_past {
	const struct trace_record *record; /* being shown, or NULL */
	uint64_t known_seq; /* memory is as it was after this access */
	struct meeting *meetings; /* of the trace's ranges, in its order */
	size_t range_count; /* of the set, when they were found */
	struct grant_given *grants;
	size_t grant_count, grant_room;
	uint8_t *value; /* of the verdict */
	uint64_t shown, different, held, without_values;
	uint64_t keeper_errors;
	bool stopped;
};

static struct replay_past *past_of(struct run *run)
{
	return replay_of(run)->past;
}

/* ---- which of the recorded bytes are kept now ---- */

/* Where a range lies in a recorded one's bytes, if they meet. */
static bool meets(const struct replay *replay, const struct trace_range *old,
	const struct range *range, struct trace_place *out)
{
	uint64_t first = range->address, last = range->length - 1, end;
	char device[32];

	if (!old->length || old->device != range->device)
		return false;
	if (old->device) {
		replay_device_name(replay, old, device, sizeof(device));
		*out = (struct trace_place){ old, 0, range->length };
		return !strcmp(device, range->device_name);
	}
	if (old->program >= replay->run.image_count ||
		replay->run.images[old->program] != range->image ||
		!checked_add(old->address, old->length - 1, &end) ||
		!checked_add(first, last, &last) || first > end ||
		last < old->address)
		return false;
	first = first > old->address ? first : old->address;
	last = last < end ? last : end;
	*out = (struct trace_place){ old, first - old->address,
		last - first + 1 };
	return true;
}

static void warn(struct run *run, const char *event, const char *range,
	const char *text)
{
	struct buf line = BUF_INIT;

	buf_printf(&line, "`%s' %s", range, text);
	if (run->sink && run->options.json)
		trace_sink_note(run->sink, event, buf_str(&line));
	else
		fprintf(stderr, "custos: %s\n", buf_str(&line));
	buf_fini(&line);
}

/* How much of it can be known from the trace? */
static void check_recorded(struct replay *replay, const struct range *range)
{
	const struct trace_meta *meta = replay->query.meta;
	struct trace_place place;
	uint64_t known = 0;
	char text[128];

	for (uint32_t i = 0; i < meta->range_count; i++)
		if (meets(replay, &meta->ranges[i], range, &place))
			known += place.length;
	if (known >= range->length)
		return;
	if (known)
		snprintf(text, sizeof(text),
			"was not all kept when this was recorded: of %" PRIu64
			" of its %" PRIu64 " bytes nothing is known",
			range->length - known, range->length);
	else
		snprintf(text, sizeof(text),
			"was not kept when this was recorded: nothing is known "
			"of it");
	warn(&replay->run, "not_recorded", range->name, text);
}

static bool add_meeting(struct meeting *meeting, struct range *range)
{
	struct range **ranges = reallocarray(
		meeting->ranges, meeting->count + 1, sizeof(*ranges));

	if (!ranges)
		return false;
	ranges[meeting->count++] = range;
	meeting->ranges = ranges;
	return true;
}

/* Ranges that have come since the last time. */
static bool find_meetings(struct replay *replay)
{
	const struct trace_meta *meta = replay->query.meta;
	struct replay_past *past = replay->past;
	size_t count = range_set_count(replay->run.ranges);

	for (; past->range_count < count; past->range_count++) {
		struct range *range = range_set_get(
			replay->run.ranges, past->range_count);
		struct trace_place place;

		check_recorded(replay, range);
		for (uint32_t i = 0; i < meta->range_count; i++) {
			if (!meets(replay, &meta->ranges[i], range, &place))
				continue;
			range->ever_bound = true;
			if (!add_meeting(&past->meetings[i], range))
				return false;
		}
	}
	return true;
}

/* The part of the recorded access that is in range, as its keepers see it;
 * false: none. */
static bool narrow(const struct trace_place *place, const struct range *range,
	const struct trace_record *record, struct access *out)
{
	struct trace_piece piece, part;
	bool found = false;

	*out = record->access;
	out->range = range->id;
	out->range_name = range->name;
	for (uint32_t n = 0;
		trace_access_piece(place->range, &record->access, n, &piece);
		n++) {
		if (!trace_place_cut(place, &piece, &part))
			continue;
		if (!found) {
			uint64_t skipped = place->range->address -
				range->address;

			out->offset = part.offset +
				(range->device ? 0 : skipped);
			out->kept_first = part.at;
			out->kept_count = (uint32_t)part.length;
		} else if (out->kept_first + out->kept_count == part.at) {
			out->kept_count += (uint32_t)part.length;
		}
		found = true;
	}
	return found;
}

/* ---- what a keeper answers, and what was ---- */

static bool is_granted(const struct replay_past *past,
	const struct range_link *link, const struct access *access)
{
	for (size_t i = 0; i < past->grant_count; i++) {
		const struct grant_given *g = &past->grants[i];

		if (g->link == link &&
			(g->writes || !access_writes(access->kind)) &&
			(!g->process || g->process == access->process))
			return true;
	}
	return false;
}

static void give_grant(struct replay_past *past, const struct range_link *link,
	const struct access *access, const struct verdict *verdict)
{
	struct grant_given *grants = past->grants;

	if (past->grant_count == past->grant_room) {
		size_t room = past->grant_room * 2 + 8;

		grants = reallocarray(grants, room, sizeof(*grants));
		if (!grants)
			return; /* it is asked again, no more */
		past->grants = grants;
		past->grant_room = room;
	}
	grants[past->grant_count++] = (struct grant_given){
		.link = link,
		.process = verdict->grant == GRANT_ALL ? 0 : access->process,
		.writes = verdict->grant_writes,
	};
}

struct answer {
	const struct access *access;
	struct range_link *link; /* whose it is; NULL: all let it pass */
	struct verdict verdict;
	enum outcome outcome; /* what it would have come to */
	bool held;
};

static void keeper_failed(struct replay *replay, const struct answer *answer,
	const struct error *err)
{
	char text[64];

	if (replay->past->keeper_errors++ >= SHOWN_MAX)
		return;
	snprintf(text, sizeof(text), "; its default `%s' applies",
		verdict_name(answer->link->fallback));
	fprintf(stderr, "custos: keeper of `%s' failed: %s%s\n",
		answer->access->range_name, err->text, text);
}

static enum outcome outcome_of(enum verdict_kind kind)
{
	switch (kind) {
	case VERDICT_SERVE:
		return OUTCOME_SERVE;
	case VERDICT_ABSORB:
		return OUTCOME_ABSORB;
	case VERDICT_DENY:
		return OUTCOME_DENY;
	case VERDICT_STEP:
		return OUTCOME_STEP;
	case VERDICT_ROLLBACK:
		return OUTCOME_ROLLBACK;
	case VERDICT_STOP:
		return OUTCOME_STOP;
	default:
		return OUTCOME_PASS;
	}
}

/* It wants to see what the instruction did: that is recorded, if it did. */
static void show_step(struct replay *replay, struct answer *answer)
{
	const struct trace_record *r = replay->past->record;
	const struct access *a = answer->access;
	const struct step_piece piece = {
		.offset = a->offset,
		.size = a->kept_count,
		.kind = a->kind,
		.old_bytes = a->old_bytes + a->kept_first,
		.new_bytes = a->new_bytes ? a->new_bytes + a->kept_first : NULL,
	};
	const struct step_report report = {
		.times = 1,
		.pieces = &piece,
		.count = 1,
	};
	struct error err = { 0 };

	if (!r->final_bytes)
		return;
	if (keeper_ask_stepped(answer->link->keeper, a, &report,
		    answer->link->fallback, &answer->verdict, &err))
		keeper_failed(replay, answer, &err);
	if (answer->verdict.kind != VERDICT_CONTINUE)
		answer->outcome = outcome_of(answer->verdict.kind);
}

static void ask_link(struct replay *replay, struct answer *answer)
{
	struct replay_past *past = replay->past;
	const struct access *a = answer->access;
	struct verdict *v = &answer->verdict;
	struct error err = { 0 };

	answer->link->asked++;
	memcpy(v->value, access_reads(a->kind) ? a->old_bytes : a->new_bytes,
		a->size);
	if (keeper_ask(answer->link->keeper, a, answer->link->fallback, v,
		    &err))
		keeper_failed(replay, answer, &err);
	answer->outcome = outcome_of(v->kind);
	if (v->kind == VERDICT_STEP)
		show_step(replay, answer);
	if (v->kind == VERDICT_GRANT)
		give_grant(past, answer->link, a, v);
	answer->held = v->kind == VERDICT_HOLD;
	past->held += answer->held;
	past->stopped |= v->kind == VERDICT_STOP;
}

static bool is_asked(
	struct replay *replay, struct range_link *link, const struct access *a)
{
	if (!link->keeper->ops->access || !range_link_is_live(link))
		return false;
	if (link->filter && !filter_matches(link->filter, a)) {
		link->filtered++;
		return false;
	}
	return !is_granted(replay->past, link, a);
}

static bool ask(
	struct replay *replay, struct range *range, struct answer *answer)
{
	bool asked = false;

	for (unsigned i = 0;
		i < range->link_count && answer->outcome == OUTCOME_PASS &&
		!answer->held;
		i++) {
		struct range_link *link = &range->links[i];

		if (!is_asked(replay, link, answer->access))
			continue;
		/* The one that prints lets everything pass: no opinion. */
		asked |= replay->run.options.script ||
			link->keeper != replay->run.keeper;
		answer->link = link;
		ask_link(replay, answer);
	}
	return asked;
}

/* ---- told when it is not the same ---- */

/* The bytes it would have come to; NULL: none, or nobody knows. */
static const uint8_t *answered_bytes(const struct answer *answer)
{
	const struct access *a = answer->access;

	switch (answer->outcome) {
	case OUTCOME_PASS:
		return access_writes(a->kind) ? a->new_bytes : a->old_bytes;
	case OUTCOME_SERVE:
		return a->kind == ACCESS_RMW ? NULL : answer->verdict.value;
	case OUTCOME_ABSORB:
		return a->old_bytes;
	default:
		return NULL;
	}
}

static bool is_same(
	const struct answer *answer, const struct trace_record *record)
{
	const struct access *a = answer->access;
	const uint8_t *bytes = answered_bytes(answer);

	/* How a hold would have ended nobody knows; these two are the
	 * instruction's own fate. */
	if (answer->held || record->outcome == OUTCOME_FAULT ||
		record->outcome == OUTCOME_UNEMULATABLE)
		return true;
	if (bytes && record->final_bytes)
		return !memcmp(bytes + a->kept_first,
			record->final_bytes + a->kept_first, a->kept_count);
	return answer->outcome == record->outcome;
}

static void add_bytes(
	struct buf *out, const struct access *a, const uint8_t *bytes)
{
	if (!bytes)
		return;
	buf_add_char(out, ' ');
	trace_add_value(out, bytes + a->kept_first, a->kept_count);
}

static void describe_difference(const struct answer *answer,
	const struct trace_record *record, struct buf *out)
{
	const struct access *a = answer->access;

	buf_printf(out, "access %" PRIu64 " (%s of `", a->seq,
		access_kind_name(a->kind));
	trace_add_clean(out, a->range_name, strlen(a->range_name));
	buf_printf(out, "'): answered %s", outcome_name(answer->outcome));
	add_bytes(out, a, answered_bytes(answer));
	buf_printf(out, ", recorded %s", outcome_name(record->outcome));
	add_bytes(out, a, record->final_bytes);
}

static void tell_difference(
	struct replay *replay, const struct answer *answer)
{
	struct run *run = &replay->run;
	struct replay_past *past = replay->past;
	struct buf line = BUF_INIT;

	past->different++;
	describe_difference(answer, past->record, &line);
	if (run->sink && (run->options.json || run->options.output))
		trace_sink_note(run->sink, "differs", buf_str(&line));
	if (past->different <= SHOWN_MAX &&
		(!run->options.json || run->options.output)) {
		if (run->sink)
			trace_sink_flush(run->sink);
		trace_progress(run->options.verb, 0, 0);
		fprintf(stderr, "custos: %s\n", buf_str(&line));
	}
	if (past->different == SHOWN_MAX && !run->options.json)
		fputs("custos: further differences are only counted\n",
			stderr);
	buf_fini(&line);
}

/* ---- the records ---- */

static void tell_links(const struct range *range, const struct access *access,
	const struct trace_record *record)
{
	for (unsigned i = 0; i < range->link_count; i++) {
		struct range_link *link =
			(struct range_link *)&range->links[i];

		if (!link->keeper->ops->told || !range_link_is_live(link))
			continue;
		if (!link->keeper->ops->access && link->filter &&
			!filter_matches(link->filter, access)) {
			link->filtered++;
			continue;
		}
		link->asked += !link->keeper->ops->access;
		keeper_tell(link->keeper, access, record->outcome,
			record->final_bytes);
	}
}

static void show_access(struct replay *replay, struct range *range,
	const struct access *access)
{
	struct replay_past *past = replay->past;
	const struct trace_record *record = past->record;
	struct run *run = &replay->run;
	struct answer answer = {
		.access = access,
		.verdict = { .value = past->value },
		.outcome = OUTCOME_PASS,
	};

	past->shown++;
	past->known_seq = access->seq - 1;
	if (ask(replay, range, &answer) && !is_same(&answer, record))
		tell_difference(replay, &answer);
	past->known_seq = access->seq;
	stats_count(run->stats, access, record->outcome);
	if (run->sink && !range->silent)
		trace_sink_write(run->sink, access, record->outcome,
			record->final_bytes);
	tell_links(range, access, record);
}

/* Its place among the meta's ranges. */
static size_t range_index(const struct trace_meta *meta, uint32_t id)
{
	if (id < meta->range_count && meta->ranges[id].id == id)
		return id;
	for (uint32_t i = 0; i < meta->range_count; i++)
		if (meta->ranges[i].id == id)
			return i;
	return SIZE_MAX;
}

static void take_access(
	struct replay *replay, const struct trace_record *record)
{
	const struct trace_meta *meta = replay->query.meta;
	size_t index = range_index(meta, record->access.range);
	struct replay_past *past = replay->past;

	if (index == SIZE_MAX)
		return;
	if (!record->access.old_bytes ||
		(access_writes(record->access.kind) &&
			!record->access.new_bytes)) {
		past->without_values++;
		return;
	}
	past->record = record;
	for (size_t i = 0;
		i < past->meetings[index].count && !past->stopped; i++) {
		struct range *range = past->meetings[index].ranges[i];
		struct trace_place place;
		struct access access;

		if (range_is_live(range) &&
			meets(replay, &meta->ranges[index], range, &place) &&
			narrow(&place, range, record, &access))
			show_access(replay, range, &access);
	}
	past->record = NULL;
}

static void note(struct replay *replay, const char *kind, const char *text)
{
	if (replay->run.sink)
		trace_sink_note(replay->run.sink, kind, text ? text : "");
}

static void take_record(
	struct replay *replay, const struct trace_record *record)
{
	switch (record->kind) {
	case TRACE_ACCESS:
		take_access(replay, record);
		return;
	case TRACE_PROCESS_START:
		note(replay, "process_start", record->process_name);
		return;
	case TRACE_PROCESS_EXIT:
		note(replay, "process_exit", record->process_name);
		return;
	case TRACE_MARKER:
		note(replay, "marker", record->text);
		return;
	case TRACE_LOST:
		note(replay, "lost", record->text);
		return;
	default:
		return;
	}
}

/* Which processes met is of use to those who look for races. */
static void take_input(struct replay *replay, const struct trace_input *input)
{
	struct run *run = &replay->run;

	if (input->kind != TRACE_INPUT_ORDER)
		return;
	for (unsigned i = 0; i < run->builtin_count; i++)
		if (run->builtins[i]->ops->ordered)
			keeper_tell_ordered(run->builtins[i], input->process,
				input->other);
	if (run->keeper->ops->ordered)
		keeper_tell_ordered(run->keeper, input->process, input->other);
}

/* All inputs before the record just read, and that, in turn. */
static int take_all(struct replay *replay)
{
	struct trace_query *q = &replay->query;
	struct trace_input input;
	struct trace_record record;
	struct error err = { 0 };
	int more = trace_reader_input(q->reader, &input, &err);

	while (!replay->past->stopped && trace_query_next(q, &record)) {
		uint64_t at = trace_reader_position(q->reader);

		while (more == 1 && input.record <= at) {
			take_input(replay, &input);
			more = trace_reader_input(q->reader, &input, &err);
		}
		if (more < 0)
			return run_fail(&replay->run, "%s", err.text);
		if (!find_meetings(replay))
			return run_fail(&replay->run, "out of memory");
		take_record(replay, &record);
	}
	return q->code;
}

/* ---- what keepers may ask ---- */

/* Of the bytes at va, as many as are known. */
static size_t read_range(struct replay *replay,
	const struct trace_range *range, uint64_t process, uint64_t va,
	uint8_t *bytes, size_t len)
{
	uint64_t offset = va - range->address;
	size_t done = 0;
	bool *known;

	if (offset >= range->length)
		return 0;
	len = len < range->length - offset ? len : range->length - offset;
	known = calloc(len, sizeof(*known));
	if (known &&
		!trace_reader_memory(replay->query.reader, range->id, process,
			replay->past->known_seq, offset, len, bytes, known,
			NULL))
		while (done < len && known[done])
			done++;
	free(known);
	return done;
}

static size_t past_read(struct run *run, uint64_t process, uint64_t va,
	void *bytes, size_t len)
{
	struct replay *replay = replay_of(run);
	const struct trace_meta *meta = replay->query.meta;
	const struct target_process *p = names_process(run->names, process);
	size_t done = 0, more;

	if (!p || !replay->past)
		return 0;
	do {
		more = 0;
		for (uint32_t i = 0; i < meta->range_count && !more; i++) {
			const struct trace_range *range = &meta->ranges[i];

			if (!range->device && p->image &&
				range->program < run->image_count &&
				run->images[range->program] == p->image &&
				va + done >= range->address)
				more = read_range(replay, range, process,
					va + done, (uint8_t *)bytes + done,
					len - done);
		}
		done += more;
	} while (more && done < len);
	return done;
}

static size_t past_stack(struct run *run, uint64_t *out_ips, size_t max)
{
	const struct replay_past *past = past_of(run);
	const struct trace_record *r = past ? past->record : NULL;
	size_t count = 0;

	if (!r || !r->access.insn || !max)
		return 0;
	out_ips[count++] = r->access.ip;
	for (uint32_t i = 0; r->stack && i < r->stack_count && count < max; i++)
		out_ips[count++] = r->stack[i];
	return count;
}

/* The set has it already; it is found before the next record. */
static int past_keep(struct run *run, struct range *range, struct error *err)
{
	(void)run;
	(void)range;
	(void)err;
	return 0;
}

static bool past_release(
	struct run *run, struct range *range, struct keeper *keeper)
{
	return range_set_leave(run->ranges, range, keeper);
}

static int past_revoke(struct run *run, struct range *range)
{
	struct replay_past *past = past_of(run);
	size_t left = 0;

	for (size_t i = 0; past && i < past->grant_count; i++) {
		const struct range_link *link = past->grants[i].link;

		if (link < range->links ||
			link >= range->links + RANGE_LINKS_MAX)
			past->grants[left++] = past->grants[i];
	}
	if (past)
		past->grant_count = left;
	return 0;
}

/* A hold is an answer like any other: nobody waits in the past. */
static size_t past_held_size(struct run *run, uint64_t seq)
{
	(void)run;
	(void)seq;
	return 0;
}

static int past_resume(struct run *run, uint64_t seq,
	const struct verdict *verdict, const uint8_t *value, size_t size)
{
	(void)run;
	(void)seq;
	(void)verdict;
	(void)value;
	(void)size;
	return -ENOENT;
}

const struct run_world replay_past_world = {
	.read = past_read,
	.stack = past_stack,
	.keep = past_keep,
	.release = past_release,
	.revoke = past_revoke,
	.held_size = past_held_size,
	.resume = past_resume,
};

/* ---- all of it ---- */

static struct replay_past *past_create(const struct replay *replay)
{
	struct replay_past *past = calloc(1, sizeof(*past));

	if (!past)
		return NULL;
	past->meetings = calloc((size_t)replay->query.meta->range_count + 1,
		sizeof(*past->meetings));
	past->value = malloc(TRACE_ACCESS_SIZE_MAX);
	if (past->meetings && past->value)
		return past;
	free(past->meetings);
	free(past->value);
	free(past);
	return NULL;
}

static void past_destroy(const struct replay *replay, struct replay_past *past)
{
	for (uint32_t i = 0; i < replay->query.meta->range_count; i++)
		free(past->meetings[i].ranges);
	free(past->meetings);
	free(past->grants);
	free(past->value);
	free(past);
}

static void describe_people(
	const struct replay *replay, const char *path, struct buf *out)
{
	const struct replay_past *past = replay->past;

	buf_printf(out, "custos: replayed %" PRIu64 " accesses of %s",
		past->shown, path);
	if (past->different)
		buf_printf(out, "; %" PRIu64 " answered otherwise than then",
			past->different);
	if (past->held)
		buf_printf(out, "; %" PRIu64 " would have been held",
			past->held);
	if (past->without_values)
		buf_printf(out, "; %" PRIu64 " without values passed over",
			past->without_values);
	buf_add_char(out, '\n');
}

static void summarize(struct replay *replay)
{
	const struct replay_past *past = replay->past;
	struct run *run = &replay->run;
	struct stats_numbers *n = &run->numbers;
	struct buf out = BUF_INIT;

	n->seconds = run->seconds;
	n->keeper_errors = past->keeper_errors;
	snprintf(n->missed_why, sizeof(n->missed_why), "a recorded run%s",
		replay->query.totals.lost ? ", of which records are lost" : "");
	if (run->options.quiet)
		return;
	if (run->options.json)
		buf_printf(&out,
			"{\"event\":\"replayed\",\"accesses\":%" PRIu64
			",\"different\":%" PRIu64 ",\"held\":%" PRIu64
			",\"without_values\":%" PRIu64 ",\"complete\":%s}\n",
			past->shown, past->different, past->held,
			past->without_values,
			replay->query.totals.complete ? "true" : "false");
	else
		describe_people(replay, run->options.trace, &out);
	run_describe_counts(run, n, &out);
	run_print_summary(run, &out);
	buf_fini(&out);
}

static int exit_code(const struct replay *replay)
{
	if (replay->past->stopped)
		return CLI_STOPPED;
	return replay->past->different ? CLI_NO : CLI_OK;
}

int replay_run_past(struct replay *replay)
{
	struct run *run = &replay->run;
	int code;

	replay->past = past_create(replay);
	if (!replay->past)
		return run_fail(run, "out of memory");
	run->started = run_seconds(run);
	run_start_keepers(run);
	code = take_all(replay);
	run->seconds = run_seconds(run);
	run_finish_keepers(run);
	summarize(replay);
	if (!code)
		code = exit_code(replay);
	past_destroy(replay, replay->past);
	replay->past = NULL;
	return code;
}
