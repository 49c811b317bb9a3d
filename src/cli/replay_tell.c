/* SPDX-License-Identifier: MIT */
#include "cli/replay_tell.h"

#include <inttypes.h>
#include <string.h>

#include "cli/cmd.h"

/* ---- the two sides, as text ---- */

static void describe_end(const struct trace_record *r, struct buf *out)
{
	buf_printf(out, "the run ends, with code %" PRId64, r->exit_code);
}

static void describe_bytes(struct trace_query *q,
	const struct trace_record *r, const char *what, struct buf *out)
{
	const struct trace_range *range = trace_query_range(q, r->range);

	buf_printf(out, "bytes of `%s' from %" PRIu64 " on are %s",
		range ? range->name : "?", r->offset, what);
}

static void describe_record(
	struct trace_query *q, const struct trace_record *r, struct buf *out)
{
	if (!r) {
		buf_add_str(out, "nothing more");
		return;
	}
	switch (r->kind) {
	case TRACE_ACCESS:
		trace_query_at(q, r);
		trace_query_line(q, r, out);
		return;
	case TRACE_PROCESS_START:
		buf_printf(out, "process %" PRIu64 " starts", r->process);
		return;
	case TRACE_PROCESS_EXIT:
		buf_printf(out, "process %" PRIu64 " ends with code %" PRId64,
			r->process, r->exit_code);
		return;
	case TRACE_BIND:
		describe_bytes(q, r, "bound or changed, with these values",
			out);
		return;
	case TRACE_UNBIND:
		describe_bytes(q, r, "not mapped any more", out);
		return;
	case TRACE_LOST:
		buf_printf(out, "%" PRIu64 " records that were lost", r->count);
		return;
	case TRACE_END:
		describe_end(r, out);
		return;
	default:
		return;
	}
}

static void describe_now(const struct run *run, const struct divergence *d,
	struct buf *out)
{
	if (d->now)
		trace_access_text(d->now,
			d->decided ? d->outcome : OUTCOME_PASS,
			d->decided	       ? d->final_bytes :
			d->now->new_bytes ? d->now->new_bytes :
						 d->now->old_bytes,
			names_callbacks(run->names), out);
	else
		buf_add_str(out, d->why);
}

/* ---- for people ---- */

static void add_frame(struct run *run, const struct access *access,
	uint64_t ip, struct buf *out)
{
	const struct trace_names *names = names_callbacks(run->names);
	struct buf line = BUF_INIT;

	names->symbol(names->ctx, access->process, ip, out);
	names->line(names->ctx, access->process, ip, &line);
	if (line.len)
		buf_printf(out, " (%s)", buf_str(&line));
	buf_fini(&line);
}

/* The present one; what was recorded has one if it was recorded. */
static void add_stacks(
	struct replay *replay, const struct divergence *d, struct buf *out)
{
	struct run *run = &replay->run;
	uint64_t ips[32];
	size_t count = d->now ? session_stack(run->session, ips, 32) : 0;

	if (count)
		buf_add_str(out, "  stack now\n");
	for (size_t i = 0; i < count; i++) {
		buf_add_str(out, "    ");
		add_frame(run, d->now, ips[i], out);
		buf_add_char(out, '\n');
	}
	if (d->recorded && d->recorded->kind == TRACE_ACCESS &&
		d->recorded->stack_count) {
		buf_add_str(out, "  stack recorded\n");
		trace_query_stack(&replay->query, d->recorded, "    ", out);
	}
}

static void tell_people(struct replay *replay, const struct divergence *d)
{
	struct run *run = &replay->run;
	struct buf out = BUF_INIT;

	buf_add_str(&out, "custos: diverged");
	if (d->recorded && d->recorded->kind == TRACE_ACCESS)
		buf_printf(&out, " at access %" PRIu64, d->recorded->access.seq);
	else if (d->recorded && d->recorded->seq)
		buf_printf(&out, " behind access %" PRIu64, d->recorded->seq);
	if (d->now || !d->recorded)
		buf_printf(&out, ": %s", d->why);
	if (d->now || d->recorded) {
		buf_add_str(&out, "\n  recorded  ");
		describe_record(&replay->query, d->recorded, &out);
		buf_add_str(&out, "\n  now       ");
		describe_now(run, d, &out);
	}
	buf_add_char(&out, '\n');
	add_stacks(replay, d, &out);
	if (run->sink)
		trace_sink_flush(run->sink);
	run_status_write(run, buf_str(&out), out.len);
	buf_fini(&out);
}

/* ---- for programs ---- */

static void json_text(struct buf *out, const char *key, const struct buf *text)
{
	buf_printf(out, ",\"%s\":", key);
	buf_add_json(out, buf_str(text), text->len);
}

static void json_value(struct buf *out, const char *key,
	const struct access *access, const uint8_t *bytes)
{
	struct buf value = BUF_INIT;

	if (!bytes)
		return;
	trace_add_value(&value, bytes + access->kept_first, access->kept_count);
	json_text(out, key, &value);
	buf_fini(&value);
}

static void json_access(struct buf *out, const char *key,
	const struct access *access, const uint8_t *final_bytes)
{
	buf_printf(out,
		",\"%s_access\":{\"seq\":%" PRIu64 ",\"process\":%" PRIu64
		",\"cpu\":%u,\"ip\":\"0x%" PRIx64 "\",\"kind\":\"%s\""
		",\"address\":\"0x%" PRIx64 "\",\"size\":%" PRIu32,
		key, access->seq, access->process, access->cpu, access->ip,
		access_kind_name(access->kind), access->address, access->size);
	json_value(out, "old", access, access->old_bytes);
	json_value(out, "new", access, access->new_bytes);
	json_value(out, "final", access, final_bytes);
	buf_add_char(out, '}');
}

static void json_stack(struct replay *replay, const struct divergence *d,
	struct buf *out)
{
	struct run *run = &replay->run;
	uint64_t ips[32];
	size_t count = session_stack(run->session, ips, 32);

	buf_add_str(out, ",\"stack\":[");
	for (size_t i = 0; i < count; i++) {
		struct buf frame = BUF_INIT;

		add_frame(run, d->now, ips[i], &frame);
		buf_add_str(out, i ? "," : "");
		buf_add_json(out, buf_str(&frame), frame.len);
		buf_fini(&frame);
	}
	buf_add_char(out, ']');
}

static void tell_programs(struct replay *replay, const struct divergence *d)
{
	const struct trace_record *r = d->recorded;
	struct run *run = &replay->run;
	struct buf out = BUF_INIT, text = BUF_INIT;

	buf_printf(&out, "{\"event\":\"diverged\",\"seq\":%" PRIu64 ",\"why\":",
		r && r->kind == TRACE_ACCESS ? r->access.seq :
			r		     ? r->seq :
			d->now		     ? d->now->seq :
					       0);
	buf_add_json(&out, d->why, strlen(d->why));
	describe_record(&replay->query, r, &text);
	json_text(&out, "recorded", &text);
	buf_reset(&text);
	describe_now(run, d, &text);
	json_text(&out, "now", &text);
	if (r && r->kind == TRACE_ACCESS)
		json_access(&out, "recorded", &r->access, r->final_bytes);
	if (d->now) {
		json_access(&out, "now", d->now, d->final_bytes);
		json_stack(replay, d, &out);
	}
	buf_add_str(&out, "}\n");
	trace_sink_lines(run->sink, buf_str(&out), out.len);
	trace_sink_flush(run->sink);
	buf_fini(&text);
	buf_fini(&out);
}

void replay_tell_divergence(struct replay *replay, const struct divergence *d)
{
	const struct run *run = &replay->run;

	if (run->options.json && run->sink)
		tell_programs(replay, d);
	if (!run->options.json || !run->sink || run->options.output)
		tell_people(replay, d);
}
