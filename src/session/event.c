/* SPDX-License-Identifier: MIT */
/*
 * Questions to keepers. An instruction's accesses are grouped (all lanes of a
 * gather are one group), and a group raises one event for every range it
 * touches.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "session/session_impl.h"

#define ARENA_MAX (256 * 1024)

uint8_t *event_alloc(struct worker *w, size_t size)
{
	uint8_t *bytes;

	/* Never moved: events point into it. */
	if (!w->arena) {
		w->arena = malloc(ARENA_MAX);
		w->arena_capacity = w->arena ? ARENA_MAX : 0;
	}
	size = (size + 15) & ~(size_t)15;
	if (size > w->arena_capacity - w->arena_used)
		return NULL;
	bytes = w->arena + w->arena_used;
	w->arena_used += size;
	return bytes;
}

/* Bits [from, to) of a mask. */
static uint64_t bits(uint32_t from, uint32_t to)
{
	uint64_t up_to = to >= 64 ? UINT64_MAX : (UINT64_C(1) << to) - 1;

	return up_to & ~((UINT64_C(1) << from) - 1);
}

/* Narrow [*from, *to) of an access to the bytes its mask selects. */
static bool narrow(const struct exec_access *a, uint32_t *from, uint32_t *to)
{
	uint64_t selected;

	if (a->byte_mask == UINT64_MAX || a->size > 64)
		return true;
	selected = a->byte_mask & bits(*from, *to);
	if (!selected)
		return false;
	*from = (uint32_t)__builtin_ctzll(selected);
	*to = 64 - (uint32_t)__builtin_clzll(selected);
	return true;
}

static struct event *event_new(struct worker *w, struct range *range)
{
	struct event *event;

	if (w->event_count == w->event_capacity) {
		size_t capacity = w->event_capacity * 2 + 8;
		struct event *events =
			realloc(w->events, capacity * sizeof(*events));

		if (!events)
			return NULL;
		w->events = events;
		w->event_capacity = capacity;
	}
	event = &w->events[w->event_count++];
	memset(event, 0, sizeof(*event));
	event->range = range;
	event->outcome = OUTCOME_PASS;
	return event;
}

/* Bytes [from, to) of a group, from byte `offset' of range on, are kept. */
static int touch(struct worker *w, size_t first_event, struct range *range,
	uint32_t from, uint32_t to, uint64_t offset)
{
	struct event *event = NULL;

	for (size_t i = first_event; i < w->event_count && !event; i++)
		if (w->events[i].range == range)
			event = &w->events[i];
	if (event) {
		/* The next page of the same access, or another lane. */
		if (event->access.kept_first + event->access.kept_count == from)
			event->access.kept_count += to - from;
		return 0;
	}
	event = event_new(w, range);
	if (!event)
		return -ENOMEM;
	event->access.kept_first = from;
	event->access.kept_count = to - from;
	event->access.offset = offset;
	return 0;
}

/* Find the ranges under one span; its access starts at byte base of the
 * group. */
static int touch_span(struct worker *w, size_t first_event,
	const struct span *span, uint32_t base)
{
	const struct kept_page *page = span->kept;
	const uint32_t end = span->first + span->count;

	for (size_t i = kept_page_lower(page, span->first);
		i < kept_page_count(page); i++) {
		const struct kept_piece *p = kept_page_piece(page, i);
		uint32_t lo = p->first > span->first ? p->first : span->first;
		uint32_t hi = p->first + p->count;
		uint32_t from, to;

		if (p->first >= end)
			break;
		if (!range_is_live(p->range))
			continue; /* about to be released */
		hi = hi < end ? hi : end;
		from = span->at + (lo - span->first);
		to = span->at + (hi - span->first);
		if (span->access != SPAN_FETCH &&
			!narrow(plan_access(w, span->access), &from, &to))
			continue;
		lo = span->first + (from - span->at);
		if (touch(w, first_event, p->range, base + from, base + to,
			    p->offset + (lo - p->first)))
			return -ENOMEM;
	}
	return 0;
}

bool event_bytes_in_turn(struct session *s, uint64_t process,
	const struct kept_page *page, uint32_t first, uint32_t count)
{
	const struct session_order *order = s->config.order;

	for (size_t i = kept_page_lower(page, first);
		i < kept_page_count(page); i++) {
		const struct kept_piece *p = kept_page_piece(page, i);

		if (p->first >= first + count)
			break;
		if (range_is_live(p->range) &&
			!order->access(order->ctx, process, p->range->id))
			return false;
	}
	return true;
}

bool event_is_in_turn(struct worker *w)
{
	const struct session_order *order = w->session->config.order;
	uint64_t process = w->process ? w->process->id : 0;

	if (!order || !order->access)
		return true;
	for (unsigned i = 0; i < w->span_count; i++) {
		const struct span *span = &w->spans[i];
		uint32_t from = span->at, to = span->at + span->count;

		if (!span->kept ||
			(span->access != SPAN_FETCH &&
				(span->access >= plan_count(w) ||
					!narrow(plan_access(w, span->access),
						&from, &to))))
			continue;
		if (!event_bytes_in_turn(w->session, process, span->kept,
			    span->first + (from - span->at), to - from))
			return false;
	}
	return true;
}

static void fill_who(const struct worker *w, struct access *access)
{
	access->cpu = target_thread_index(w->thread);
	access->process = w->process ? w->process->id : 0;
	access->process_name = w->process ? w->process->name : "kernel";
	access->ip = w->regs.rip;
	access->insn = w->insn->bytes;
	access->insn_len = w->insn->length;
}

struct group {
	uint32_t first, count; /* exec accesses */
	uint32_t size;
	enum access_kind kind;
	uint64_t address;
	uint8_t *old_bytes, *new_bytes;
	struct access_lane *lanes;
};

/* Copy a group's lanes side by side. */
static int gather_lanes(struct worker *w, struct group *g)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < g->count; i++)
		g->size += plan_access(w, g->first + i)->size;
	g->old_bytes = event_alloc(w, g->size);
	g->new_bytes = event_alloc(w, g->size);
	g->lanes = (void *)event_alloc(w, g->count * sizeof(*g->lanes));
	if (!g->old_bytes || !g->new_bytes || !g->lanes)
		return -ENOMEM;
	for (uint32_t i = 0; i < g->count; i++) {
		const struct exec_access *a =
			plan_access(w, g->first + i);

		g->lanes[i] = (struct access_lane){ a->address, a->size, at };
		memcpy(g->old_bytes + at, a->old_bytes, a->size);
		at += a->size;
	}
	return 0;
}

static int group_of(struct worker *w, uint32_t first, struct group *g)
{
	const struct exec_access *a = plan_access(w, first);
	uint32_t count = plan_count(w);

	*g = (struct group){
		.first = first,
		.count = 1,
		.kind = a->kind,
		.address = a->address,
	};
	if (a->operand < w->insn->operand_count &&
		w->insn->operands[a->operand].lanes > 1)
		while (first + g->count < count &&
			plan_access(w, first + g->count)->operand ==
				a->operand)
			g->count++;
	if (g->count > 1)
		return gather_lanes(w, g);
	g->size = a->size;
	g->old_bytes = a->old_bytes;
	g->new_bytes = a->new_bytes;
	return 0;
}

/* Byte of the group at which exec access `access' starts. */
static uint32_t group_base(const struct group *g, uint32_t access)
{
	return g->lanes ? g->lanes[access - g->first].offset : 0;
}

/* Give the events made since first_event what they have in common. */
static int finish_group(
	struct worker *w, size_t first_event, const struct group *g)
{
	uint64_t seq;

	if (first_event == w->event_count)
		return 0;
	seq = hold_seq(w, first_event);
	if (!seq)
		seq = atomic_fetch_add(&w->session->seq, 1) + 1;
	for (size_t i = first_event; i < w->event_count; i++) {
		struct event *event = &w->events[i];
		struct access *access = &event->access;

		fill_who(w, access);
		access->seq = seq;
		access->kind = g->kind;
		access->atomic = w->insn->atomic && g->kind != ACCESS_FETCH;
		access->address = g->address;
		access->size = g->size;
		access->range = event->range->id;
		access->range_name = event->range->name;
		access->old_bytes = g->old_bytes;
		access->new_bytes =
			access_writes(g->kind) ? g->new_bytes : NULL;
		/* The decoded one may be replaced by served bytes. */
		if (g->kind == ACCESS_FETCH)
			access->insn = g->old_bytes;
		access->lanes = g->lanes;
		access->lane_count = g->lanes ? g->count : 0;
		event->first = g->first;
		event->count = g->count;
		event->verdict.value = event_alloc(w, g->size);
		if (!event->verdict.value)
			return -ENOMEM;
	}
	return 0;
}

static int build_fetch(struct worker *w)
{
	struct group g = {
		.first = SPAN_FETCH,
		.kind = ACCESS_FETCH,
		.size = w->insn->length,
		.address = w->regs.rip,
	};
	size_t first_event = w->event_count;

	for (unsigned i = 0; i < w->span_count; i++)
		if (w->spans[i].access == SPAN_FETCH && w->spans[i].kept &&
			touch_span(w, first_event, &w->spans[i], 0))
			return -ENOMEM;
	if (first_event == w->event_count)
		return 0;
	g.old_bytes = event_alloc(w, ARCH_INSN_MAX);
	if (!g.old_bytes)
		return -ENOMEM;
	memcpy(g.old_bytes, w->bytes, ARCH_INSN_MAX);
	return finish_group(w, first_event, &g);
}

static int build_group(struct worker *w, const struct group *g)
{
	size_t first_event = w->event_count;

	for (unsigned i = 0; i < w->span_count; i++) {
		const struct span *span = &w->spans[i];

		if (!span->kept || span->access == SPAN_FETCH ||
			span->access < g->first ||
			span->access >= g->first + g->count)
			continue;
		if (touch_span(w, first_event, span,
			    group_base(g, span->access)))
			return -ENOMEM;
	}
	return finish_group(w, first_event, g);
}

int event_build(struct worker *w)
{
	int ret;

	w->event_count = 0;
	w->arena_used = 0;
	ret = build_fetch(w);
	w->fetch_count = w->event_count;
	return ret ? ret : event_build_data(w);
}

int event_build_data(struct worker *w)
{
	struct group g;
	int ret = 0;

	w->event_count = w->fetch_count;
	for (uint32_t i = 0; !ret && i < plan_count(w); i += g.count) {
		ret = group_of(w, i, &g);
		if (!ret)
			ret = build_group(w, &g);
	}
	return ret;
}

/* Refresh the side-by-side copies before the keeper sees the new bytes. */
static void gather_new(struct worker *w, struct event *event)
{
	struct access *access = &event->access;
	uint8_t *to = (uint8_t *)(uintptr_t)access->new_bytes;

	if (!access->lanes || !to)
		return;
	for (uint32_t i = 0; i < event->count; i++)
		memcpy(to + access->lanes[i].offset,
			plan_access(w, event->first + i)->new_bytes,
			access->lanes[i].size);
}

static void start_value(struct event *event)
{
	const struct access *access = &event->access;

	memcpy(event->verdict.value,
		access->kind == ACCESS_STORE || !access_reads(access->kind) ?
			access->new_bytes :
			access->old_bytes,
		access->size);
}

/* Does this link's keeper want to be asked about it? */
static bool is_asked(
	struct worker *w, struct range_link *link, const struct access *access)
{
	if (!link->keeper->ops->access || !range_link_is_live(link))
		return false;
	if (link->filter && !filter_matches(link->filter, access)) {
		atomic_fetch_add_explicit(
			&link->filtered, 1, memory_order_relaxed);
		return false;
	}
	return !grant_covers(w->session, link, access);
}

static void ask_link(
	struct worker *w, struct event *event, struct range_link *link)
{
	enum keeper_status status;
	struct error err;

	event->link = link;
	atomic_fetch_add_explicit(&link->asked, 1, memory_order_relaxed);
	start_value(event);
	status = keeper_ask(link->keeper, &event->access, link->fallback,
		&event->verdict, &err);
	if (status != KEEPER_OK)
		event_keeper_failed(w, event, status, &err);
}

/* Whoever records hears of what the record of an access cannot say. */
static void note_answer(
	const struct worker *w, const struct event *event, bool stepped)
{
	const struct session_recorder *recorder = w->session->config.recorder;

	if (recorder && recorder->answered &&
		event->verdict.kind != VERDICT_PASS &&
		event->verdict.kind != VERDICT_CONTINUE)
		recorder->answered(recorder->ctx, &event->access, stepped,
			&event->verdict);
}

static void ask_links(struct worker *w, struct event *event)
{
	event->verdict.kind = VERDICT_PASS;
	for (unsigned i = 0; i < event->range->link_count &&
		event->verdict.kind == VERDICT_PASS;
		i++) {
		struct range_link *link = &event->range->links[i];

		if (is_asked(w, link, &event->access))
			ask_link(w, event, link);
		else if (link->filter && !event->link)
			event->left_out = true;
	}
	if (event->link)
		event->left_out = false;
}

void event_ask(struct worker *w, struct event *event)
{
	gather_new(w, event);
	event->decided = true;
	w->asking = event->access.seq;
	if (!hold_answer(w, event))
		ask_links(w, event);
	w->asking = 0;
	note_answer(w, event, false);
}

/* Call `copy' for every kept byte run of the event's range, lane by lane. */
static void each_kept(struct worker *w, struct event *event,
	void (*copy)(const struct span *span, struct exec_access *a,
		const struct event *event, uint32_t at, uint32_t in_group,
		uint32_t count))
{
	const struct access *access = &event->access;

	for (unsigned i = 0; i < w->span_count; i++) {
		const struct span *span = &w->spans[i];
		uint32_t base = 0, end = span->first + span->count;

		if (!span->kept || span->access == SPAN_FETCH ||
			span->access < event->first ||
			span->access >= event->first + event->count)
			continue;
		if (access->lanes)
			base = access->lanes[span->access - event->first]
				       .offset;
		for (size_t n = kept_page_lower(span->kept, span->first);
			n < kept_page_count(span->kept); n++) {
			const struct kept_piece *p =
				kept_page_piece(span->kept, n);
			uint32_t lo = p->first, hi = p->first + p->count;

			if (lo >= end)
				break;
			if (p->range != event->range)
				continue;
			lo = lo > span->first ? lo : span->first;
			hi = hi < end ? hi : end;
			lo = lo - span->first + span->at;
			hi = hi - span->first + span->at;
			copy(span, plan_access(w, span->access), event,
				lo, base + lo, hi - lo);
		}
	}
}

static void value_to_old(const struct span *span, struct exec_access *a,
	const struct event *event, uint32_t at, uint32_t in_group,
	uint32_t count)
{
	(void)span;
	memcpy(a->old_bytes + at, event->verdict.value + in_group, count);
}

static void value_to_new(const struct span *span, struct exec_access *a,
	const struct event *event, uint32_t at, uint32_t in_group,
	uint32_t count)
{
	(void)span;
	memcpy(a->new_bytes + at, event->verdict.value + in_group, count);
}

static void memory_to_new(const struct span *span, struct exec_access *a,
	const struct event *event, uint32_t at, uint32_t in_group,
	uint32_t count)
{
	(void)event;
	(void)in_group;
	if (span->page.bytes)
		memcpy(a->new_bytes + at,
			span->page.bytes + span->first + (at - span->at),
			count);
}

void event_apply_value(struct worker *w, struct event *event, bool to_new)
{
	each_kept(w, event, to_new ? value_to_new : value_to_old);
}

void event_apply_absorb(struct worker *w, struct event *event)
{
	each_kept(w, event, memory_to_new);
}

/* Keepers that only watch hear of it now; a condition of theirs counts. */
static void tell_link(struct range_link *link, const struct event *event,
	const uint8_t *final_bytes)
{
	if (!link->keeper->ops->told || !range_link_is_live(link))
		return;
	if (!link->keeper->ops->access && link->filter &&
		!filter_matches(link->filter, &event->access)) {
		atomic_fetch_add_explicit(
			&link->filtered, 1, memory_order_relaxed);
		return;
	}
	if (!link->keeper->ops->access)
		atomic_fetch_add_explicit(
			&link->asked, 1, memory_order_relaxed);
	keeper_tell(link->keeper, &event->access, event->outcome, final_bytes);
}

void event_record(
	struct worker *w, struct event *event, const uint8_t *final_bytes)
{
	struct session *s = w->session;

	atomic_fetch_add_explicit(
		&s->by_kind[event->access.kind], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(
		&s->by_outcome[event->outcome], 1, memory_order_relaxed);
	if (s->config.recorder)
		s->config.recorder->access(s->config.recorder->ctx,
			&event->access, event->outcome, final_bytes);
	if (s->config.sink && !event->range->silent && !event->left_out)
		trace_sink_write(s->config.sink, &event->access, event->outcome,
			final_bytes);
	if (s->config.decided)
		s->config.decided(
			s->config.ctx, &event->access, event->outcome);
	for (unsigned i = 0; i < event->range->link_count; i++)
		tell_link(&event->range->links[i], event, final_bytes);
}

#define ERRORS_SHOWN_MAX 10

void event_keeper_failed(struct worker *w, const struct event *event,
	enum keeper_status status, const struct error *err)
{
	static const char *const what[] = {
		[KEEPER_OK] = "ok",
		[KEEPER_ERROR] = "failed",
		[KEEPER_TIMEOUT] = "took too long",
		[KEEPER_GONE] = "is gone",
	};
	struct session *s = w->session;
	uint64_t shown;

	atomic_fetch_add(&s->keeper_errors, 1);
	if (status == KEEPER_GONE)
		hold_release(s, NULL, event->link->keeper, false);
	if (s->config.sink)
		trace_sink_note(s->config.sink, "keeper_error", err->text);
	pthread_mutex_lock(&s->report_mutex);
	shown = s->errors_shown++;
	pthread_mutex_unlock(&s->report_mutex);
	if (shown < ERRORS_SHOWN_MAX)
		session_say(s,
			"custos: keeper of `%s' %s: %s; its default `%s' "
			"applies\n",
			event->range->name, what[status], err->text,
			verdict_name(event->link->fallback));
	if (shown + 1 == ERRORS_SHOWN_MAX)
		session_say(s,
			"custos: further keeper errors are only counted\n");
}

void event_say_verdict(struct worker *w, const struct event *event)
{
	const char *reason = event->verdict.reason;
	struct session *s = w->session;
	uint64_t shown;

	if (event->verdict.kind == VERDICT_STOP)
		session_say(s, "custos: stopped by the keeper of `%s'%s%s\n",
			event->range->name, reason[0] ? ": " : "", reason);
	if (event->verdict.kind != VERDICT_DENY)
		return;
	pthread_mutex_lock(&s->report_mutex);
	shown = s->denials_shown++;
	pthread_mutex_unlock(&s->report_mutex);
	if (shown < ERRORS_SHOWN_MAX)
		session_say(s,
			"custos: access %llu denied by the keeper of "
			"`%s'%s%s\n",
			(unsigned long long)event->access.seq,
			event->range->name, reason[0] ? ": " : "", reason);
	if (shown + 1 == ERRORS_SHOWN_MAX)
		session_say(s, "custos: further denials are only counted\n");
}

enum verdict_kind event_ask_stepped(struct worker *w, struct event *event,
	const struct step_report *report)
{
	enum keeper_status status;
	struct error err;

	event->verdict.kind = VERDICT_CONTINUE;
	w->asking = event->access.seq;
	status = keeper_ask_stepped(event->link->keeper, &event->access, report,
		event->link->fallback, &event->verdict, &err);
	w->asking = 0;
	if (status != KEEPER_OK)
		event_keeper_failed(w, event, status, &err);
	note_answer(w, event, true);
	event_say_verdict(w, event);
	return event->verdict.kind;
}

enum verdict_kind event_ask_stepped_alone(
	struct worker *w, struct event *event, uint64_t next_ip)
{
	const struct access *a = &event->access;
	struct step_piece piece = {
		.offset = a->offset,
		.size = a->kept_count,
		.kind = a->kind,
		.old_bytes = a->old_bytes + a->kept_first,
		.new_bytes = a->new_bytes ? a->new_bytes + a->kept_first : NULL,
	};
	struct step_report report = {
		.next_ip = next_ip,
		.times = 1,
		.pieces = &piece,
		.count = 1,
	};

	return event_ask_stepped(w, event, &report);
}
