/* SPDX-License-Identifier: MIT */
/*
 * Copies the guest's kernel makes on a process's behalf: the same questions,
 * with the kernel as a named actor. A copy is never stepped instruction by
 * instruction: step performs it, and shows it to the keeper afterwards.
 */
#include <string.h>

#include "session/session_impl.h"

struct copying {
	const struct target_copy *copy;
	struct span span;
	uint8_t *bytes; /* what will be copied */
	uint8_t *old_bytes; /* what memory holds */
};

static struct access describe(struct worker *w, const struct copying *c,
	const struct kept_piece *piece, uint64_t seq)
{
	/* Whose memory it is; another process's code may run on this CPU. */
	const struct target_process *process = target_process_of(
		w->session->config.target, c->copy->space);
	uint32_t end = c->span.first + c->span.count;
	uint32_t lo = piece->first, hi = piece->first + piece->count;

	lo = lo > c->span.first ? lo : c->span.first;
	hi = hi < end ? hi : end;
	return (struct access){
		.seq = seq,
		.kind = c->copy->kind,
		.address = c->copy->address,
		.size = c->copy->size,
		.range = piece->range->id,
		.range_name = piece->range->name,
		.offset = piece->offset + (lo - piece->first),
		.kept_first = lo - c->span.first,
		.kept_count = hi - lo,
		.old_bytes = c->old_bytes,
		.new_bytes = access_writes(c->copy->kind) ? c->bytes : NULL,
		.cpu = target_thread_index(w->thread),
		.process = process ? process->id : 0,
		.process_name = process ? process->name : "kernel",
		.ip = c->copy->ip,
	};
}

/* Take what the keeper said into the bytes to be copied. */
static void apply(struct copying *c, const struct event *event)
{
	const struct access *a = &event->access;
	const uint8_t *from = NULL;

	if (event->outcome == OUTCOME_SERVE)
		from = event->verdict.value;
	else if (event->outcome == OUTCOME_ABSORB ||
		event->outcome == OUTCOME_ROLLBACK)
		from = c->old_bytes;
	if (from)
		memcpy(c->bytes + a->kept_first, from + a->kept_first,
			a->kept_count);
}

static enum carried ask_piece(struct worker *w, struct copying *c,
	const struct kept_piece *piece, uint64_t seq)
{
	struct event event = {
		.access = describe(w, c, piece, seq),
		.range = piece->range,
		.outcome = OUTCOME_PASS,
	};
	uint8_t value[ARCH_PAGE_SIZE], new_bytes[ARCH_PAGE_SIZE];
	enum carried carried;

	event.verdict.value = value;
	if (event.access.new_bytes) {
		/* What the record shows must not change when it is applied. */
		memcpy(new_bytes, c->bytes, c->copy->size);
		event.access.new_bytes = new_bytes;
	}
	carried = access_ask(w, &event);
	if (carried == CARRIED_STEP) {
		enum verdict_kind answer = event_ask_stepped_alone(
			w, &event, event.access.ip);

		carried = CARRIED_DONE;
		if (answer == VERDICT_DENY)
			carried = CARRIED_FAULT;
		if (answer == VERDICT_STOP)
			carried = CARRIED_STOP;
		if (answer == VERDICT_ROLLBACK)
			event.outcome = OUTCOME_ROLLBACK;
	}
	if (carried == CARRIED_DONE)
		apply(c, &event);
	event_record(w, &event, carried == CARRIED_DONE ? c->bytes : NULL);
	return carried;
}

static enum carried ask_pieces(struct worker *w, struct copying *c)
{
	const struct kept_page *page = c->span.kept;
	enum carried carried = CARRIED_DONE;
	size_t first = kept_page_lower(page, c->span.first);
	uint64_t seq = 0;

	for (size_t i = first;
		i < kept_page_count(page) && carried == CARRIED_DONE; i++) {
		const struct kept_piece *piece = kept_page_piece(page, i);

		if (piece->first >= c->span.first + c->span.count)
			break;
		if (!range_is_live(piece->range))
			continue; /* about to be released */
		if (!seq)
			seq = atomic_fetch_add(&w->session->seq, 1) + 1;
		carried = ask_piece(w, c, piece, seq);
	}
	if (!seq)
		atomic_fetch_add(&w->session->page_mates, 1);
	atomic_fetch_add(
		&w->session->traps[seq ? TRAP_USEFUL : TRAP_MATE], 1);
	return carried;
}

static enum target_copy_result perform(struct worker *w, struct copying *c)
{
	const struct target_copy *copy = c->copy;
	enum carried carried = CARRIED_DONE;

	if (c->span.page.bytes)
		memcpy(c->old_bytes, c->span.page.bytes + c->span.first,
			copy->size);
	else
		memset(c->old_bytes, 0, copy->size);
	memcpy(c->bytes,
		access_writes(copy->kind) ? copy->kernel_bytes : c->old_bytes,
		copy->size);
	if (c->span.kept)
		carried = ask_pieces(w, c);
	if (carried == CARRIED_STOP) {
		atomic_store(&w->session->stopping, true);
		target_stop(w->session->config.target);
	}
	if (carried != CARRIED_DONE)
		return TARGET_COPY_DENIED;
	if (access_writes(copy->kind))
		commit_span(&c->span, c->bytes, UINT64_MAX);
	else
		memcpy(copy->kernel_bytes, c->bytes, copy->size);
	return TARGET_COPY_DONE;
}

/* Whose stack and registers these are: those of the process, at its call. */
static void take_caller(struct worker *w, const struct target_copy *copy)
{
	w->has_start = copy->regs != NULL;
	if (copy->regs)
		w->start = *copy->regs;
	w->start_space = copy->space;
	w->start_process =
		target_process_of(w->session->config.target, copy->space);
}

static bool is_in_turn(struct worker *w, const struct copying *c)
{
	const struct session_order *order = w->session->config.order;
	const struct target_process *process;

	if (!order || !order->access || !c->span.kept)
		return true;
	process = target_process_of(
		w->session->config.target, c->copy->space);
	return event_bytes_in_turn(w->session, process ? process->id : 0,
		c->span.kept, c->span.first, c->span.count);
}

/* False: another's turn is first. */
static bool try_copy(struct worker *w, struct copying *c,
	enum target_copy_result *out_result)
{
	const struct target_copy *copy = c->copy;
	struct session *s = w->session;
	struct arch_fault fault;
	bool tried = true;

	*out_result = TARGET_COPY_FAULT;
	pthread_rwlock_rdlock(&s->bindings_lock);
	if (target_translate(s->config.target, copy->space, copy->address,
		    access_writes(copy->kind) ? ACCESS_STORE : ACCESS_LOAD,
		    &c->span.page, &fault)) {
		c->span.kept = kept_map_find(s->map, c->span.page.frame);
		tried = is_in_turn(w, c);
		if (tried && c->span.kept)
			kept_page_lock(c->span.kept);
		if (tried)
			*out_result = perform(w, c);
		if (tried && c->span.kept)
			kept_page_unlock(c->span.kept);
	}
	pthread_rwlock_unlock(&s->bindings_lock);
	return tried;
}

enum target_copy_result copy_stop(void *ctx, struct target_thread *thread,
	const struct target_copy *copy)
{
	struct session *s = ctx;
	struct worker *w = session_worker(s, thread);
	uint8_t bytes[ARCH_PAGE_SIZE], old_bytes[ARCH_PAGE_SIZE];
	struct copying c = {
		.copy = copy,
		.bytes = bytes,
		.old_bytes = old_bytes,
		.span = {
			.count = copy->size,
			.first = (uint32_t)(copy->address & ARCH_PAGE_MASK),
			.va = copy->address,
		},
	};
	enum target_copy_result result;

	if (!w || copy->size > ARCH_PAGE_SIZE - c.span.first)
		return TARGET_COPY_FAULT;
	take_caller(w, copy);
	while (!try_copy(w, &c, &result) && !atomic_load(&s->stopping))
		s->config.order->wait(s->config.order->ctx,
			target_thread_index(thread));
	session_current = NULL;
	request_settle(s);
	return result;
}
