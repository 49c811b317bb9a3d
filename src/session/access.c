/* SPDX-License-Identifier: MIT */
/*
 * A thread stopped before an instruction that touches a closed page: ask
 * whoever keeps the bytes, carry the instruction out, go on. Nothing is stored
 * and no register changes before everybody has answered.
 */
#include <string.h>

#include "base/invariant.h"
#include "base/ticks.h"
#include "session/session_impl.h"

/* Where an access that led nowhere new stops being patience. */
#define SPURIOUS_MAX 10000

static enum carried out_of_memory(struct worker *w)
{
	session_say(w->session,
		"custos: out of memory while deciding an access; stopping\n");
	return CARRIED_STOP;
}

/* What an answer means for the whole instruction. */
static enum carried consequence(struct worker *w, struct event *event)
{
	switch (event->verdict.kind) {
	case VERDICT_PASS:
		return CARRIED_DONE;
	case VERDICT_SERVE:
		event->outcome = OUTCOME_SERVE;
		return CARRIED_DONE;
	case VERDICT_ABSORB:
		event->outcome = OUTCOME_ABSORB;
		return CARRIED_DONE;
	case VERDICT_DENY:
		event->outcome = OUTCOME_DENY;
		w->fault = event->verdict.fault;
		return CARRIED_FAULT;
	case VERDICT_STEP:
		event->outcome = OUTCOME_STEP;
		return w->emulation ? CARRIED_DONE : CARRIED_STEP;
	case VERDICT_STOP:
		event->outcome = OUTCOME_STOP;
		return CARRIED_STOP;
	case VERDICT_HOLD:
		if (!w->emulation)
			return hold_process(w);
		/* The kernel waits for us; it could let nobody run. */
		event->verdict.kind = event->link->fallback;
		return consequence(w, event);
	case VERDICT_GRANT:
		grant_give(w, event);
		return CARRIED_DONE;
	case VERDICT_CONTINUE:
	case VERDICT_ROLLBACK:
	case VERDICT_KIND_MAX:
		break;
	}
	unreachable_state();
}

enum carried access_ask(struct worker *w, struct event *event)
{
	event_ask(w, event);
	event_say_verdict(w, event);
	return consequence(w, event);
}

/* Old bytes as memory has them, kept for the record when a keeper serves
 * others in their place. */
static bool keep_old(struct worker *w, struct event *event)
{
	uint8_t *copy = event_alloc(w, event->access.size);

	if (!copy)
		return false;
	memcpy(copy, event->access.old_bytes, event->access.size);
	event->access.old_bytes = copy;
	return true;
}

/* What would have been stored, kept for the record when something else is. */
static bool keep_new(struct worker *w, struct event *event)
{
	uint8_t *copy = event_alloc(w, event->access.size);

	if (!copy)
		return false;
	memcpy(copy, event->access.new_bytes, event->access.size);
	event->access.new_bytes = copy;
	return true;
}

/*
 * Other instruction bytes than memory has: plan again, for those. Their data
 * pages may not be locked yet, and cannot be waited for out of order.
 */
static enum carried serve_fetch(struct worker *w, struct event *event)
{
	const struct access *access = &event->access;
	uint8_t bytes[ARCH_INSN_MAX];
	enum carried carried;

	memcpy(bytes, w->bytes, sizeof(bytes));
	memcpy(bytes + access->kept_first,
		event->verdict.value + access->kept_first, access->kept_count);
	carried = plan_instruction(w, bytes);
	if (carried != CARRIED_DONE)
		return carried;
	if (!plan_lock_more(w))
		return CARRIED_AGAIN;
	plan_read(w);
	return event_build_data(w) ? out_of_memory(w) : CARRIED_DONE;
}

/* Before anything runs: fetches and loads. */
enum carried access_ask_reads(struct worker *w)
{
	for (size_t i = 0; i < w->event_count; i++) {
		struct event *event = &w->events[i];
		enum carried carried;

		if (event->access.kind != ACCESS_LOAD &&
			event->access.kind != ACCESS_FETCH)
			continue;
		carried = access_ask(w, event);
		if (carried == CARRIED_DONE &&
			event->outcome == OUTCOME_SERVE &&
			event->access.kind == ACCESS_FETCH)
			carried = serve_fetch(w, event);
		if (carried != CARRIED_DONE)
			return carried;
		if (event->outcome != OUTCOME_SERVE ||
			event->access.kind == ACCESS_FETCH)
			continue;
		if (!keep_old(w, event))
			return out_of_memory(w);
		event_apply_value(w, event, false);
	}
	return CARRIED_DONE;
}

static enum carried set_xstate(struct worker *w)
{
	const struct arch_xstate *xstate = exec_xstate(w->exec);
	struct error err;

	if (w->emulation)
		return CARRIED_DONE; /* it is taken with the registers */
	if (!xstate || !target_thread_set_xstate(w->thread, xstate, &err))
		return CARRIED_DONE;
	session_say(w->session, "custos: %s\n", err.text);
	return CARRIED_STOP;
}

enum carried access_run(struct worker *w)
{
	enum exec_status status = w->lane_faults ?
		exec_run_lanes(w->exec, w->access_count) :
		exec_run(w->exec);

	switch (status) {
	case EXEC_OK:
		return CARRIED_DONE;
	case EXEC_FAULT:
		w->fault = *exec_fault(w->exec);
		/* #XM leaves its reasons in MXCSR. */
		return set_xstate(w) == CARRIED_STOP ? CARRIED_STOP :
						       CARRIED_FAULT;
	case EXEC_CANNOT:
		return CARRIED_STEP;
	}
	unreachable_state();
}

static bool is_served_store(const struct event *event)
{
	return event->outcome == OUTCOME_SERVE &&
		event->access.kind == ACCESS_STORE;
}

/* With the results known: stores and read-modify-writes. */
enum carried access_ask_writes(struct worker *w)
{
	bool rerun = false;

	for (size_t i = 0; i < w->event_count; i++) {
		struct event *event = &w->events[i];
		enum carried carried;

		if (!access_writes(event->access.kind))
			continue;
		carried = access_ask(w, event);
		if (carried != CARRIED_DONE)
			return carried;
		if ((event->outcome == OUTCOME_ABSORB ||
			    is_served_store(event)) &&
			!event->access.lanes && !keep_new(w, event))
			return out_of_memory(w);
		if (event->outcome != OUTCOME_SERVE ||
			event->access.kind != ACCESS_RMW)
			continue;
		/* As if memory had held the value at that instant. */
		if (!keep_old(w, event))
			return out_of_memory(w);
		event_apply_value(w, event, false);
		rerun = true;
	}
	return rerun ? access_run(w) : CARRIED_DONE;
}

void access_apply_writes(struct worker *w)
{
	for (size_t i = 0; i < w->event_count; i++) {
		struct event *event = &w->events[i];

		if (event->outcome == OUTCOME_ABSORB)
			event_apply_absorb(w, event);
		else if (is_served_store(event))
			event_apply_value(w, event, true);
	}
}

static bool untouched(const struct worker *w)
{
	for (size_t i = 0; i < w->event_count; i++)
		if (w->events[i].outcome != OUTCOME_PASS)
			return false;
	return true;
}

/* An atomic whose operand lies in one piece and that nobody altered is stored
 * by compare-and-exchange: others may look at the same frame (by an open
 * mapping of theirs), and to them, too, it must be atomic. */
static const struct span *atomic_span(struct worker *w)
{
	const struct span *found = NULL;

	if (!w->insn->atomic || !untouched(w))
		return NULL;
	for (unsigned i = 0; i < w->span_count; i++) {
		const struct span *span = &w->spans[i];

		if (span->access == SPAN_FETCH)
			continue;
		if (found || !span->page.bytes || span->stores_only ||
			plan_access(w, span->access)->kind != ACCESS_RMW ||
			plan_access(w, span->access)->size != span->count)
			return NULL;
		found = span;
	}
	if (!found || found->count > 16 || (found->count & (found->count - 1)))
		return NULL;
	/* cmpxchg16b demands alignment. */
	return found->count == 16 && found->first % 16 ? NULL : found;
}

enum carried access_commit(struct worker *w)
{
	const struct span *single = atomic_span(w);

	if (single) {
		const struct exec_access *a =
			plan_access(w, single->access);

		return commit_exchange(single, a->old_bytes, a->new_bytes) ?
			CARRIED_DONE :
			CARRIED_AGAIN;
	}
	for (unsigned i = 0; i < w->span_count; i++) {
		const struct span *span = &w->spans[i];
		const struct exec_access *a;

		if (span->access == SPAN_FETCH)
			continue;
		a = plan_access(w, span->access);
		if (!access_writes(a->kind))
			continue;
		commit_span(span, a->new_bytes + span->at,
			a->byte_mask == UINT64_MAX ? UINT64_MAX :
						     a->byte_mask >> span->at);
	}
	return CARRIED_DONE;
}

static enum carried emulate(struct worker *w)
{
	enum carried carried;

	if (!w->planned)
		return CARRIED_STEP;
	carried = CARRIED_DONE;
	if (w->joined)
		rep_run(w);
	else
		carried = access_run(w);
	if (carried == CARRIED_DONE)
		carried = access_ask_writes(w);
	if (carried != CARRIED_DONE)
		return carried;
	access_apply_writes(w);
	return access_commit(w);
}

/* The bytes an event ended with: what was loaded, or what is stored now. */
static const uint8_t *final_bytes(const struct event *event)
{
	if (event->outcome == OUTCOME_SERVE &&
		event->access.kind != ACCESS_RMW)
		return event->verdict.value;
	if (event->outcome == OUTCOME_ABSORB ||
		event->outcome == OUTCOME_ROLLBACK)
		return event->access.old_bytes;
	return access_writes(event->access.kind) ? event->access.new_bytes :
						   event->access.old_bytes;
}

void access_record(struct worker *w, enum carried carried)
{
	for (size_t i = 0; i < w->event_count; i++) {
		struct event *event = &w->events[i];
		bool performed = carried == CARRIED_DONE;

		if (!event->decided)
			continue; /* the instruction ended before it */
		if (!performed && event->outcome != OUTCOME_DENY &&
			event->outcome != OUTCOME_STOP &&
			event->outcome != OUTCOME_UNEMULATABLE)
			event->outcome = OUTCOME_FAULT;
		event_record(w, event, performed ? final_bytes(event) : NULL);
	}
}

static enum carried take_result(struct worker *w)
{
	if (w->joined) {
		rep_take_result(w);
		return CARRIED_DONE;
	}
	w->regs = *exec_regs(w->exec);
	target_thread_set_regs(w->thread, &w->regs);
	return set_xstate(w);
}

/*
 * What the CPU would do behind an instruction that has been performed: the
 * lanes of a gather before the one that faults are done, now that one; or the
 * program steps itself.
 */
static enum carried afterwards(struct worker *w, bool traps)
{
	if (w->lane_faults)
		return CARRIED_FAULT;
	if (!traps)
		return CARRIED_DONE;
	w->fault = (struct arch_fault){ .vector = ARCH_VECTOR_DB };
	return CARRIED_FAULT;
}

/* With the pages locked. */
static enum carried decide(struct worker *w)
{
	bool traps = w->regs.rflags & ARCH_RFLAGS_TF;
	enum carried carried;

	plan_read(w);
	if (event_build(w))
		return out_of_memory(w);
	carried = access_ask_reads(w);
	if (carried == CARRIED_DONE)
		carried = emulate(w);
	if (carried == CARRIED_AGAIN || carried == CARRIED_HOLD)
		return carried;
	if (carried == CARRIED_STEP && w->joined) {
		/* What is stepped is one element. */
		w->single_elements = true;
		return CARRIED_AGAIN;
	}
	if (carried == CARRIED_STEP)
		return step_instruction(w);
	if (carried == CARRIED_DONE)
		carried = take_result(w);
	if (!w->event_count)
		atomic_fetch_add_explicit(&w->session->page_mates, 1,
			memory_order_relaxed);
	access_record(w, carried);
	grant_open_pages(w);
	return carried == CARRIED_DONE ? afterwards(w, traps) : carried;
}

static bool touches_closed(const struct worker *w)
{
	for (unsigned i = 0; i < w->span_count; i++)
		if (w->spans[i].page.closed)
			return true;
	return false;
}

/* The stop had no reason any more: the page was opened meanwhile. */
static enum carried spurious(struct worker *w)
{
	w->spurious_run =
		w->spurious_ip == w->regs.rip ? w->spurious_run + 1 : 1;
	w->spurious_ip = w->regs.rip;
	if (w->spurious_run < SPURIOUS_MAX)
		return CARRIED_DONE;
	session_say(w->session,
		"custos: cpu %u stops again and again at 0x%llx, where no kept "
		"page is touched; it may be that a kept page holds page tables "
		"or an exception stack: keep other bytes\n",
		target_thread_index(w->thread),
		(unsigned long long)w->regs.rip);
	return CARRIED_STOP;
}

/* Of several elements of a rep form, one that was kept counts. */
static void note_trap(struct worker *w)
{
	if (w->event_count)
		w->trap = TRAP_USEFUL;
	else if (w->trap == TRAP_SPURIOUS)
		w->trap = TRAP_MATE;
}

static enum carried carry_once(struct worker *w, bool first)
{
	enum carried carried;

	do {
		carried = plan_instruction(w, NULL);
		if (carried != CARRIED_DONE)
			return carried;
		if (!touches_closed(w))
			return first ? spurious(w) : CARRIED_DONE;
		if (!event_is_in_turn(w))
			return CARRIED_WAIT;
		plan_lock(w);
		carried = decide(w);
		plan_unlock(w);
		note_trap(w);
		if (carried == CARRIED_AGAIN)
			hold_numbers(w);
	} while (carried == CARRIED_AGAIN);
	return carried;
}

/* A rep form goes on as long as its next element is at a closed page, too. */
static enum carried carry(struct worker *w)
{
	uint64_t rip = w->regs.rip;
	enum carried carried;
	bool first = true;

	do {
		carried = carry_once(w, first);
		first = false;
		if (carried != CARRIED_HOLD && carried != CARRIED_WAIT)
			hold_done(w);
	} while (carried == CARRIED_DONE && w->insn->repeated &&
		w->regs.rip == rip && touches_closed(w) &&
		!atomic_load(&w->session->stopping));
	return carried;
}

static void count_trap(struct session *s, enum session_trap trap, uint64_t began)
{
	atomic_fetch_add_explicit(&s->traps[trap], 1, memory_order_relaxed);
	if (s->config.timed)
		atomic_fetch_add_explicit(&s->trap_ticks[trap],
			ticks_now() - began, memory_order_relaxed);
}

enum target_resume access_stop(void *ctx, struct target_thread *thread)
{
	struct session *s = ctx;
	uint64_t began = s->config.timed ? ticks_now() : 0;
	struct worker *w = session_worker(s, thread);
	enum carried carried;

	if (!w)
		return TARGET_STOP;
	if (hold_wait(w)) {
		session_current = NULL;
		return TARGET_RESUME;
	}
	w->trap = TRAP_SPURIOUS;
	w->single_elements = false;
	pthread_rwlock_rdlock(&s->bindings_lock);
	carried = carry(w);
	pthread_rwlock_unlock(&s->bindings_lock);
	session_current = NULL;
	request_settle(s);
	if (carried == CARRIED_WAIT) {
		/* It stops here again; in between, interrupts are taken. */
		s->config.order->wait(s->config.order->ctx,
			target_thread_index(thread));
		return TARGET_RESUME;
	}
	if (carried == CARRIED_FAULT)
		target_thread_fault(thread, &w->fault);
	count_trap(s, w->trap, began);
	if (carried != CARRIED_STOP)
		return TARGET_RESUME;
	atomic_store(&s->stopping, true);
	return TARGET_STOP;
}
