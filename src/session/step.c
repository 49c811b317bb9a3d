/* SPDX-License-Identifier: MIT */
/*
 * Carry an instruction out on the real CPU: because a keeper wants to see it
 * happen, or because it cannot be emulated. The pages it touches are open to
 * this thread alone and their locks are held, so nobody can look at them
 * meanwhile. That gives three liberties: served bytes can be put into memory
 * for the moment of the step, stores can be judged after the fact, and
 * everything can be taken back.
 */
#include <string.h>

#include "base/invariant.h"
#include "session/session_impl.h"

#define STEP_PAGES_MAX 8
/* A keeper that steps on and on holds its page's lock all the time. */
#define STEP_RUN_MAX 1000000u

/* Stepping on: the access it began with, and how far it has come. */
struct run {
	unsigned times; /* 1 for the first instruction */
	struct event origin;
};

/* What rollback needs. */
struct before {
	struct arch_regs regs;
	bool has_xstate;
	uint8_t *bytes[SPANS_MAX]; /* of spans that may be written, else NULL */
};

static bool may_write(struct worker *w, const struct span *span)
{
	if (!span->page.bytes)
		return false;
	if (span->access == SPAN_FETCH)
		return false;
	return access_writes(plan_access(w, span->access)->kind);
}

static enum carried trouble(struct worker *w, const char *what)
{
	session_say(w->session, "custos: %s; stopping\n", what);
	return CARRIED_STOP;
}

static enum carried remember(struct worker *w, struct before *before)
{
	struct error err;

	before->regs = w->regs;
	before->has_xstate = w->has_xstate;
	if (!w->planned && !w->has_xstate) {
		if (target_thread_get_xstate(w->thread, w->xstate, &err))
			return trouble(w, err.text);
		before->has_xstate = true;
	}
	for (unsigned i = 0; i < w->span_count; i++) {
		const struct span *span = &w->spans[i];

		before->bytes[i] = NULL;
		if (!may_write(w, span))
			continue;
		before->bytes[i] = event_alloc(w, span->count);
		if (!before->bytes[i])
			return trouble(w, "out of memory for a step");
		memcpy(before->bytes[i], span->page.bytes + span->first,
			span->count);
	}
	return CARRIED_DONE;
}

/* Take back everything the step did. */
static void roll_back(struct worker *w, const struct before *before)
{
	struct error err;

	for (unsigned i = 0; i < w->span_count; i++)
		if (before->bytes[i])
			commit_span(
				&w->spans[i], before->bytes[i], UINT64_MAX);
	w->regs = before->regs;
	target_thread_set_regs(w->thread, &w->regs);
	if (before->has_xstate &&
		target_thread_set_xstate(w->thread, w->xstate, &err))
		session_say(w->session, "custos: %s\n", err.text);
}

/* ---- served bytes, put into memory for the moment of the step ---- */

static void swap_bytes(uint8_t *a, uint8_t *b, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint8_t t = a[i];

		a[i] = b[i];
		b[i] = t;
	}
}

/* Swap the kept bytes of one served event with memory; twice is once. */
static void swap_event(struct worker *w, struct event *event)
{
	for (unsigned i = 0; i < w->span_count; i++) {
		const struct span *span = &w->spans[i];
		uint32_t from, to;

		if (!span->kept || !span->page.bytes)
			continue;
		if (event->first == SPAN_FETCH ? span->access != SPAN_FETCH :
						 span->access != event->first)
			continue;
		from = event->access.kept_first;
		to = from + event->access.kept_count;
		from = from > span->at ? from : span->at;
		to = to < span->at + span->count ? to : span->at + span->count;
		if (from < to)
			swap_bytes(span->page.bytes + span->first +
					(from - span->at),
				event->verdict.value + from, to - from);
	}
}

static void swap_served(struct worker *w)
{
	for (size_t i = 0; i < w->event_count; i++)
		if (w->events[i].outcome == OUTCOME_SERVE &&
			!access_writes(w->events[i].access.kind))
			swap_event(w, &w->events[i]);
}

/* ---- the step itself ---- */

static size_t open_list(const struct worker *w, uint64_t *va, bool *out_device)
{
	size_t count = 0;

	*out_device = false;
	for (unsigned i = 0; i < w->span_count; i++) {
		uint64_t page = w->spans[i].va & ~ARCH_PAGE_MASK;
		size_t n = 0;

		if (!w->spans[i].page.closed)
			continue;
		*out_device |= !w->spans[i].page.bytes;
		while (n < count && va[n] != page)
			n++;
		if (n == count && count < STEP_PAGES_MAX)
			va[count++] = page;
	}
	return count;
}

/* The step met a closed page that the plan did not know of. */
static enum carried add_page(struct worker *w, uint64_t va)
{
	struct span *span = &w->spans[w->span_count];
	struct arch_fault fault;

	if (w->span_count == SPANS_MAX)
		return trouble(w, "an instruction touches too many pages");
	*span = (struct span){
		.access = SPAN_FETCH, /* no access we know of */
		.at = ARCH_INSN_MAX,
		.va = va,
		.first = (uint32_t)(va & ARCH_PAGE_MASK),
	};
	if (!target_translate(w->session->config.target, w->space, va,
		    ACCESS_LOAD, &span->page, &fault))
		return CARRIED_AGAIN;
	span->kept = kept_map_find(w->session->map, span->page.frame);
	w->span_count++;
	return plan_lock_more(w) ? CARRIED_DONE : CARRIED_AGAIN;
}

static enum carried unemulatable(struct worker *w, const char *why)
{
	char text[128], hex[2 * ARCH_INSN_MAX + 1];

	for (unsigned i = 0; i < w->insn->length; i++)
		snprintf(hex + 2 * i, 3, "%02x", w->insn->bytes[i]);
	decode_text(w->insn, w->regs.rip, text, sizeof(text));
	session_say(w->session,
		"custos: unemulatable instruction at 0x%llx: %s (%s): %s; "
		"stopping\n",
		(unsigned long long)w->regs.rip, text, hex, why);
	for (size_t i = 0; i < w->event_count; i++) {
		w->events[i].decided = true;
		w->events[i].outcome = OUTCOME_UNEMULATABLE;
	}
	return CARRIED_STOP;
}

static bool is_closed_page(const struct arch_fault *fault)
{
	return fault->vector == ARCH_VECTOR_PF && fault->error_code == 0;
}

static enum carried cpu_step(struct worker *w)
{
	for (;;) {
		uint64_t va[STEP_PAGES_MAX];
		struct error err = { 0 };
		enum carried carried;
		bool device;
		size_t count = open_list(w, va, &device);

		if (device)
			return unemulatable(w, "it would be stepped, but a "
					       "device range has no memory to "
					       "step on");
		switch (target_thread_step(
			w->thread, va, count, &w->fault, &err)) {
		case TARGET_STEP_DONE:
			atomic_fetch_add(&w->session->steps, 1);
			w->regs = *target_thread_regs(w->thread);
			return CARRIED_DONE;
		case TARGET_STEP_CANNOT:
			return unemulatable(w, err.text);
		case TARGET_STEP_FAULT:
			break;
		}
		if (!is_closed_page(&w->fault))
			return CARRIED_FAULT;
		carried = add_page(w, w->fault.address);
		if (carried != CARRIED_DONE)
			return carried;
	}
}

/* ---- judging what it did ---- */

/* New bytes of every writing access, as memory has them now; the shadow
 * learns of them. */
static void read_back(struct worker *w)
{
	for (unsigned i = 0; i < w->span_count; i++) {
		const struct span *span = &w->spans[i];
		const uint8_t *now = span->page.bytes + span->first;

		if (!may_write(w, span))
			continue;
		memcpy(plan_access(w, span->access)->new_bytes + span->at,
			now, span->count);
		if (span->kept)
			kept_page_stored(
				span->kept, span->first, span->count, now);
	}
}

#define PIECES_MAX 64

/* Everything the instruction did inside one range. */
static unsigned collect_pieces(
	struct worker *w, const struct range *range, struct step_piece *pieces)
{
	unsigned count = 0;

	for (size_t i = 0; i < w->event_count && count < PIECES_MAX; i++) {
		const struct event *event = &w->events[i];
		const struct access *a = &event->access;

		if (event->range != range)
			continue;
		pieces[count++] = (struct step_piece){
			.offset = a->offset,
			.size = a->kept_count,
			.kind = a->kind,
			.old_bytes = a->old_bytes + a->kept_first,
			.new_bytes = a->new_bytes ?
				a->new_bytes + a->kept_first :
				NULL,
		};
	}
	return count;
}

static enum verdict_kind ask_stepped(struct worker *w, struct event *event,
	unsigned times, const struct arch_fault *fault)
{
	struct step_piece pieces[PIECES_MAX];
	struct step_report report = {
		.next_ip = w->regs.rip,
		.times = times,
		.faulted = fault != NULL,
		.pieces = pieces,
		.count = collect_pieces(w, event->range, pieces),
	};

	if (fault)
		report.fault = *fault;
	return event_ask_stepped(w, event, &report);
}

/* The event by which the keeper of a range asked for the step: the first. */
static bool asks_for_range(const struct worker *w, size_t index)
{
	if (w->events[index].outcome != OUTCOME_STEP)
		return false;
	for (size_t i = 0; i < index; i++)
		if (w->events[i].range == w->events[index].range &&
			w->events[i].outcome == OUTCOME_STEP)
			return false;
	return true;
}

/* Ask everybody who wanted the step. The strongest answer counts: deny before
 * rollback before stop before step before continue. */
static enum verdict_kind ask_all_stepped(
	struct worker *w, struct run *run, const struct arch_fault *fault)
{
	static const int strength[VERDICT_KIND_MAX] = {
		[VERDICT_STEP] = 1,
		[VERDICT_STOP] = 2,
		[VERDICT_ROLLBACK] = 3,
		[VERDICT_DENY] = 4,
	};
	enum verdict_kind all = VERDICT_CONTINUE;

	if (run->times > 1) {
		all = ask_stepped(w, &run->origin, run->times, fault);
		w->step_fault = run->origin.verdict.fault;
		return all;
	}
	for (size_t i = 0; i < w->event_count; i++) {
		struct event *event = &w->events[i];
		enum verdict_kind kind;

		if (!asks_for_range(w, i))
			continue;
		kind = ask_stepped(w, event, 1, fault);
		if (strength[kind] <= strength[all])
			continue;
		all = kind;
		w->step_fault = event->verdict.fault;
		if (kind == VERDICT_STEP)
			run->origin = *event;
	}
	return all;
}

/* Put a store's kept bytes to what its keeper wants instead. */
static void amend(struct worker *w, struct event *event, const uint8_t *bytes)
{
	for (unsigned i = 0; i < w->span_count; i++) {
		struct span part = w->spans[i];
		uint32_t from = event->access.kept_first;
		uint32_t to = from + event->access.kept_count;

		if (part.access != event->first || !part.kept)
			continue;
		from = from > part.at ? from : part.at;
		to = to < part.at + part.count ? to : part.at + part.count;
		if (from >= to)
			continue;
		part.first += from - part.at;
		part.count = to - from;
		commit_span(&part, bytes + from, UINT64_MAX);
	}
}

static bool is_served_rmw(const struct event *event)
{
	return event->outcome == OUTCOME_SERVE &&
		event->access.kind == ACCESS_RMW;
}

/* Served rmws: as if memory had held the values, so once more from there. */
static enum carried step_again(struct worker *w, const struct before *before)
{
	enum carried carried;

	roll_back(w, before);
	for (size_t i = 0; i < w->event_count; i++)
		if (is_served_rmw(&w->events[i]))
			amend(w, &w->events[i], w->events[i].verdict.value);
	carried = cpu_step(w);
	if (carried == CARRIED_DONE)
		read_back(w);
	return carried;
}

static bool stops_asking(enum carried carried)
{
	return carried == CARRIED_FAULT || carried == CARRIED_STOP ||
		carried == CARRIED_HOLD;
}

/* Keepers that did not ask for the step judge its stores now; those who
 * answered before another one asked for it get what they said. */
static enum carried judge_stores(struct worker *w, const struct before *before)
{
	enum carried carried = CARRIED_DONE;
	bool again = false;

	for (size_t i = 0; i < w->event_count; i++) {
		struct event *event = &w->events[i];

		if (!access_writes(event->access.kind))
			continue;
		if (!event->decided)
			carried = access_ask(w, event);
		if (stops_asking(carried))
			return carried;
		again |= is_served_rmw(event);
	}
	carried = again ? step_again(w, before) : CARRIED_DONE;
	for (size_t i = 0; i < w->event_count && !carried; i++) {
		struct event *event = &w->events[i];

		if (!access_writes(event->access.kind))
			continue;
		if (event->outcome == OUTCOME_ABSORB)
			amend(w, event, event->access.old_bytes);
		else if (event->outcome == OUTCOME_SERVE &&
			!is_served_rmw(event))
			amend(w, event, event->verdict.value);
	}
	return carried;
}

/* Reads nobody was asked about yet. */
static enum carried ask_reads_left(struct worker *w)
{
	for (size_t i = 0; i < w->event_count; i++) {
		struct event *event = &w->events[i];
		enum carried carried;

		if (event->decided || access_writes(event->access.kind))
			continue;
		carried = access_ask(w, event);
		if (stops_asking(carried))
			return carried;
	}
	return CARRIED_DONE;
}

static void mark_rolled_back(struct worker *w)
{
	for (size_t i = 0; i < w->event_count; i++) {
		struct event *event = &w->events[i];

		event->decided = true;
		event->outcome = event->outcome == OUTCOME_DENY ?
			OUTCOME_DENY :
			OUTCOME_ROLLBACK;
	}
}

/* One instruction, from its questions to its record. *again: the keeper wants
 * the next one stepped, too. */
static enum carried step_once(struct worker *w, struct run *run, bool *again)
{
	struct before before;
	enum carried carried;
	enum verdict_kind answer;

	*again = false;
	carried = ask_reads_left(w);
	if (carried == CARRIED_DONE)
		carried = remember(w, &before);
	if (carried != CARRIED_DONE)
		return carried;
	swap_served(w);
	carried = cpu_step(w);
	swap_served(w);
	if (carried == CARRIED_FAULT) {
		struct arch_fault fault = w->fault;

		ask_all_stepped(w, run, &fault);
		w->fault = fault;
		return CARRIED_FAULT;
	}
	if (carried != CARRIED_DONE)
		return carried;
	read_back(w);
	carried = judge_stores(w, &before);
	if (carried != CARRIED_DONE) {
		roll_back(w, &before);
		return carried;
	}
	answer = ask_all_stepped(w, run, NULL);
	if (answer == VERDICT_ROLLBACK || answer == VERDICT_DENY) {
		roll_back(w, &before);
		mark_rolled_back(w);
		w->fault = w->step_fault;
		return answer == VERDICT_DENY ? CARRIED_FAULT : CARRIED_DONE;
	}
	*again = answer == VERDICT_STEP;
	return answer == VERDICT_STOP ? CARRIED_STOP : CARRIED_DONE;
}

/*
 * Prepare the next instruction for a keeper that steps on: its range's events
 * count as asked. False when the instruction is none of its business (another
 * keeper's bytes, a page somebody else holds): the thread runs on by itself.
 */
static bool prepare_next(struct worker *w, const struct range *range)
{
	if (plan_instruction(w, NULL) != CARRIED_DONE || !plan_lock_more(w))
		return false;
	plan_read(w);
	if (event_build(w))
		return false;
	for (size_t i = 0; i < w->event_count; i++) {
		if (w->events[i].range != range)
			return false;
		w->events[i].decided = true;
		w->events[i].outcome = OUTCOME_STEP;
	}
	return true;
}

/* The origin's bytes lie where the next instruction's will: move them. */
static bool keep_origin(struct event *origin, uint8_t *bytes, size_t capacity)
{
	struct access *a = &origin->access;
	size_t size = a->size;

	if (3 * size > capacity)
		return false;
	memcpy(bytes, a->old_bytes, size);
	a->old_bytes = bytes;
	if (a->new_bytes) {
		memcpy(bytes + size, a->new_bytes, size);
		a->new_bytes = bytes + size;
	}
	origin->verdict.value = bytes + 2 * size;
	a->lanes = NULL;
	a->lane_count = 0;
	return true;
}

/* The keeper wants to see more instructions happen. */
static enum carried step_on(struct worker *w, struct run *run)
{
	uint8_t bytes[3 * 64], insn[ARCH_INSN_MAX];
	enum carried carried = CARRIED_DONE;
	bool again = true;

	if (!keep_origin(&run->origin, bytes, sizeof(bytes)))
		return CARRIED_DONE;
	memcpy(insn, w->insn->bytes, sizeof(insn));
	run->origin.access.insn = insn;
	for (run->times = 2; carried == CARRIED_DONE && again &&
		run->times < STEP_RUN_MAX &&
		!atomic_load(&w->session->stopping);
		run->times++) {
		if (!prepare_next(w, run->origin.range))
			break;
		carried = step_once(w, run, &again);
		if (carried != CARRIED_AGAIN)
			access_record(w, carried);
	}
	return carried == CARRIED_AGAIN ? CARRIED_DONE : carried;
}

enum carried step_instruction(struct worker *w)
{
	struct run run = { .times = 1 };
	enum carried carried;
	bool again;

	carried = step_once(w, &run, &again);
	if (carried == CARRIED_AGAIN || carried == CARRIED_HOLD)
		return carried;
	if (!w->event_count && carried == CARRIED_DONE)
		atomic_fetch_add(&w->session->page_mates, 1);
	access_record(w, carried);
	return carried == CARRIED_DONE && again ? step_on(w, &run) : carried;
}
