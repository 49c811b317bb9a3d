/* SPDX-License-Identifier: MIT */
/*
 * Instructions carried out for the guest's kernel, all or nothing. Whoever
 * keeps an address there is asked first, by the kernel, which comes back with
 * the answers; then whoever keeps the frame it leads to is asked, here.
 */
#include <stdlib.h>
#include <string.h>

#include "abi/custos_calls.h"
#include "session/session_impl.h"

/* Bytes of one opened page before a step. */
struct undo {
	struct undo *next;
	struct span span;
	uint8_t bytes[]; /* span.count */
};

/* What is remembered of a process between two calls. */
struct emulated {
	struct emulated *next;
	uint64_t process;
	/* The last step. */
	bool can_undo;
	struct arch_regs regs;
	struct arch_xstate *xstate; /* NULL: unchanged */
	struct undo *undo;
	/* What keepers answered about an instruction that lacks something. */
	struct held *held;
	uint64_t held_rip;
	uint32_t held_given; /* entries and pages the kernel gave by then */
};

static void forget_step(struct emulated *p)
{
	struct undo *next;

	for (struct undo *u = p->undo; u; u = next) {
		next = u->next;
		free(u);
	}
	free(p->xstate);
	p->undo = NULL;
	p->xstate = NULL;
	p->can_undo = false;
}

static void destroy(struct emulated *p)
{
	forget_step(p);
	hold_forget(p->held);
	free(p);
}

/* With the mutex held; NULL: out of memory. */
static struct emulated *remember_process(struct session *s, uint64_t process)
{
	struct emulated *p = s->emulated;

	while (p && p->process != process)
		p = p->next;
	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->process = process;
	p->next = s->emulated;
	s->emulated = p;
	return p;
}

void emulate_exit(struct session *s, uint64_t process)
{
	struct emulated **at = &s->emulated, *p;

	pthread_mutex_lock(&s->emulate_mutex);
	while (*at && (*at)->process != process)
		at = &(*at)->next;
	p = *at;
	if (p)
		*at = p->next;
	pthread_mutex_unlock(&s->emulate_mutex);
	if (p)
		destroy(p);
}

void emulate_destroy_all(struct session *s)
{
	struct emulated *next;

	for (struct emulated *p = s->emulated; p; p = next) {
		next = p->next;
		destroy(p);
	}
}

/* ---- steps ---- */

static uint32_t step_kind(const struct exec_access *a)
{
	switch (a->kind) {
	case ACCESS_LOAD:
		return CUSTOS_ACCESS_LOAD;
	case ACCESS_RMW:
		return CUSTOS_ACCESS_RMW_STORE;
	default:
		return CUSTOS_ACCESS_STORE;
	}
}

/* Tell what the instruction does to the bytes of one span. */
static void report_span(struct worker *w, const struct span *span)
{
	struct custos_emulate *e = w->emulation->call->emulate;
	uint32_t count = span->count;
	const uint8_t *old_bytes, *new_bytes;
	uint32_t kind = CUSTOS_ACCESS_FETCH;

	if (e->stepped_count == CUSTOS_EMULATE_STEPPED_MAX)
		return;
	if (span->access == SPAN_FETCH) {
		old_bytes = new_bytes = w->bytes + span->at;
	} else {
		const struct exec_access *a = plan_access(w, span->access);

		kind = step_kind(a);
		old_bytes = a->old_bytes + span->at;
		new_bytes = access_writes(a->kind) ? a->new_bytes + span->at :
						     old_bytes;
	}
	count = count < sizeof(e->stepped[0].old) ?
		count :
		sizeof(e->stepped[0].old);
	e->stepped[e->stepped_count].va = span->va;
	e->stepped[e->stepped_count].size = count;
	e->stepped[e->stepped_count].kind = kind;
	memcpy(e->stepped[e->stepped_count].old, old_bytes, count);
	memcpy(e->stepped[e->stepped_count].new, new_bytes, count);
	e->stepped_count++;
}

static bool remember_span(struct emulated *p, const struct span *span)
{
	struct undo *u = malloc(sizeof(*u) + span->count);

	if (!u)
		return false;
	u->span = *span;
	memcpy(u->bytes, span->page.bytes + span->first, span->count);
	u->next = p->undo;
	p->undo = u;
	return true;
}

static bool remember_xstate(struct worker *w)
{
	struct emulated *p = w->emulation->process;

	if (!exec_xstate(w->exec))
		return true;
	p->xstate = aligned_alloc(64, sizeof(*p->xstate));
	if (!p->xstate)
		return false;
	*p->xstate = *w->xstate;
	return true;
}

/* Everything is computed, nothing stored. */
static bool prepare_step(struct worker *w)
{
	struct emulation *em = w->emulation;

	if (em->call->emulate->op != CUSTOS_EMULATE_STEP)
		return true;
	forget_step(em->process);
	em->call->emulate->stepped_count = 0;
	for (unsigned i = 0; i < w->span_count; i++) {
		const struct span *span = &w->spans[i];

		if (!span->open)
			continue;
		report_span(w, span);
		if (span->access != SPAN_FETCH &&
			access_writes(plan_access(w, span->access)->kind) &&
			!remember_span(em->process, span))
			return false;
	}
	em->process->regs = w->regs;
	em->process->can_undo = remember_xstate(w);
	return em->process->can_undo;
}

/* The frame may hold kept bytes, by now. */
static void undo_span(struct session *s, struct undo *u)
{
	u->span.kept = kept_map_find(s->map, u->span.page.frame);
	if (u->span.kept)
		kept_page_lock(u->span.kept);
	commit_span(&u->span, u->bytes, UINT64_MAX);
	if (u->span.kept)
		kept_page_unlock(u->span.kept);
}

static void undo_step(struct session *s, struct emulated *p,
	struct target_emulate *call)
{
	struct custos_emulate *e = call->emulate;

	e->result = p->can_undo ? CUSTOS_EMULATE_XSTATE :
				  CUSTOS_EMULATE_CANNOT;
	if (!p->can_undo || (p->xstate && !call->xstate))
		return;
	pthread_rwlock_rdlock(&s->bindings_lock);
	for (struct undo *u = p->undo; u; u = u->next)
		undo_span(s, u);
	pthread_rwlock_unlock(&s->bindings_lock);
	call->regs = p->regs;
	if (p->xstate) {
		memcpy(call->xstate->area, p->xstate->area,
			call->xstate->size);
		e->xstate_changed = 1;
	}
	forget_step(p);
	e->result = CUSTOS_EMULATE_DONE;
}

/* ---- the monitor's own keepers ---- */

/* One who wanted a step of it sees what it will do; rollback is then not
 * doing it. */
static enum carried show_event(struct worker *w, struct event *event)
{
	switch (event_ask_stepped_alone(
		w, event, exec_regs(w->exec)->rip)) {
	case VERDICT_DENY:
		event->outcome = OUTCOME_DENY;
		w->fault = event->verdict.fault;
		return CARRIED_FAULT;
	case VERDICT_STOP:
		event->outcome = OUTCOME_STOP;
		return CARRIED_STOP;
	case VERDICT_ROLLBACK:
		event->outcome = OUTCOME_ROLLBACK;
		return CARRIED_BACK;
	default:
		return CARRIED_DONE;
	}
}

static enum carried show_steps(struct worker *w)
{
	enum carried carried = CARRIED_DONE;

	for (size_t i = 0; i < w->event_count && carried == CARRIED_DONE; i++)
		if (w->events[i].outcome == OUTCOME_STEP)
			carried = show_event(w, &w->events[i]);
	/* Nothing happened, and the process does it again. */
	if (carried == CARRIED_BACK)
		w->emulation->call->emulate->result = CUSTOS_EMULATE_DONE;
	return carried;
}

/* ---- carrying out ---- */

static void take_xstate(struct worker *w)
{
	struct target_emulate *call = w->emulation->call;
	const struct arch_xstate *xstate =
		w->planned ? exec_xstate(w->exec) : NULL;

	if (!xstate || !call->xstate)
		return;
	memcpy(call->xstate->area, xstate->area, call->xstate->size);
	call->emulate->xstate_changed = 1;
}

static void take_result(struct worker *w)
{
	struct target_emulate *call = w->emulation->call;

	call->regs = *exec_regs(w->exec);
	take_xstate(w);
	call->emulate->result = CUSTOS_EMULATE_DONE;
}

/* Everything is there and everybody has answered. */
static enum carried carry_out(struct worker *w)
{
	enum carried carried = show_steps(w);

	if (carried != CARRIED_DONE)
		return carried;
	if (!prepare_step(w)) {
		session_say(w->session,
			"custos: out of memory for a step; stopping\n");
		return CARRIED_STOP;
	}
	carried = access_commit(w);
	if (carried == CARRIED_DONE)
		take_result(w);
	return carried;
}

/* With the pages locked. */
static enum carried decide(struct worker *w)
{
	enum carried carried;

	plan_read(w);
	if (event_build(w)) {
		session_say(w->session,
			"custos: out of memory while deciding an access; "
			"stopping\n");
		return CARRIED_STOP;
	}
	carried = access_ask_reads(w);
	if (carried == CARRIED_DONE)
		carried = access_run(w);
	if (carried == CARRIED_DONE)
		carried = emulate_stores(w);
	if (carried == CARRIED_BACK) {
		hold_answers(w); /* nobody is asked twice */
		return carried;
	}
	if (carried == CARRIED_DONE)
		carried = access_ask_writes(w);
	if (carried == CARRIED_DONE) {
		access_apply_writes(w);
		carried = carry_out(w);
	}
	if (carried != CARRIED_AGAIN)
		access_record(w, carried);
	grant_open_pages(w);
	return carried;
}

static enum carried carry(struct worker *w)
{
	enum carried carried;

	do {
		carried = plan_instruction(w, NULL);
		if (carried != CARRIED_DONE)
			return carried;
		plan_lock(w);
		carried = decide(w);
		plan_unlock(w);
		if (carried == CARRIED_AGAIN)
			hold_numbers(w);
	} while (carried == CARRIED_AGAIN);
	return carried;
}

static bool was_denied(const struct worker *w)
{
	for (size_t i = 0; i < w->event_count; i++)
		if (w->events[i].outcome == OUTCOME_DENY)
			return true;
	return false;
}

static void take_fault(struct worker *w)
{
	struct custos_emulate *e = w->emulation->call->emulate;

	e->vector = w->fault.vector;
	e->error_code = w->fault.error_code;
	e->cr2 = w->fault.address;
	if (was_denied(w)) {
		e->result = CUSTOS_EMULATE_DENIED;
		return;
	}
	e->result = CUSTOS_EMULATE_FAULT;
	take_xstate(w); /* #XM leaves its reasons in MXCSR */
}

static void take_insn(struct worker *w)
{
	struct custos_emulate *e = w->emulation->call->emulate;

	e->insn_size = w->insn ? w->insn->length : w->emulation->code_size;
	memcpy(e->insn, w->bytes, e->insn_size);
}

static void answer(struct worker *w, enum carried carried)
{
	struct custos_emulate *e = w->emulation->call->emulate;

	take_insn(w);
	switch (carried) {
	case CARRIED_DONE:
	case CARRIED_BACK:
		break;
	case CARRIED_FAULT:
		take_fault(w);
		break;
	case CARRIED_STOP:
		atomic_store(&w->session->stopping, true);
		target_stop(w->session->config.target);
		e->result = CUSTOS_EMULATE_DENIED;
		break;
	default:
		e->result = CUSTOS_EMULATE_CANNOT;
	}
}

static uint32_t given(const struct custos_emulate *e)
{
	return e->served_count + e->open_count;
}

/* Earlier answers count when it is the same attempt: the kernel brings what
 * was missing then. */
static void take_held(struct worker *w)
{
	struct emulated *p = w->emulation->process;
	const struct custos_emulate *e = w->emulation->call->emulate;

	w->held = NULL;
	if (p->held && p->held_rip == w->regs.rip &&
		given(e) > p->held_given)
		w->held = p->held;
	else
		hold_forget(p->held);
	p->held = NULL;
}

static void keep_held(struct worker *w)
{
	struct emulated *p = w->emulation->process;

	p->held = w->held;
	p->held_rip = w->regs.rip;
	p->held_given = given(w->emulation->call->emulate);
	w->held = NULL;
}

/* With the mutex held. */
static void emulate(struct worker *w, struct emulation *em)
{
	struct session *s = w->session;
	enum carried carried;

	w->emulation = em;
	w->single_elements = true;
	w->regs = em->call->regs;
	w->regs.rflags &= ~(uint64_t)ARCH_RFLAGS_RF;
	w->process = em->call->process;
	w->space = em->call->emulate->cr3;
	w->event_count = 0;
	take_held(w);
	pthread_rwlock_rdlock(&s->bindings_lock);
	carried = carry(w);
	pthread_rwlock_unlock(&s->bindings_lock);
	answer(w, carried);
	if (carried == CARRIED_BACK)
		keep_held(w);
	else
		hold_done(w);
	w->emulation = NULL;
}

void emulate_call(void *ctx, struct target_thread *thread,
	struct target_emulate *call)
{
	struct session *s = ctx;
	struct worker *w = session_worker(s, thread);
	struct emulation em = { .call = call };

	call->emulate->result = CUSTOS_EMULATE_CANNOT;
	if (!w)
		return;
	pthread_mutex_lock(&s->emulate_mutex);
	em.process = remember_process(s, call->process->id);
	if (!em.process)
		session_say(s, "custos: out of memory for an emulation\n");
	else if (call->emulate->op == CUSTOS_EMULATE_UNDO)
		undo_step(s, em.process, call);
	else
		emulate(w, &em);
	pthread_mutex_unlock(&s->emulate_mutex);
	session_current = NULL;
	request_settle(s);
}
