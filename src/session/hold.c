/* SPDX-License-Identifier: MIT */
/*
 * Accesses left suspended. Not the CPU is suspended but the process: its
 * thread stops at the same instruction again and again, and in between its
 * CPU takes interrupts, by which the guest's kernel gives it to others. What
 * keepers answered about the instruction's other accesses is kept, so that
 * nobody is asked twice, and so is each access's number.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "session/session_impl.h"

/* How long a CPU stays deaf to interrupts; short against any timer tick. */
#define HOLD_WAIT_NS 1000000

struct answer {
	uint64_t seq;
	struct range *range;
	struct range_link *link;
	struct verdict verdict; /* value: own */
	enum access_kind kind;
	uint32_t size;
};

struct held {
	struct held *next;
	uint64_t process;
	uint64_t rip;
	size_t count; /* answers; the last one is what was held */
	struct answer *answers;
	bool listed; /* in the session's list: waits for a word */
	bool resolved;
	struct timespec until; /* tv_sec 0: no limit */
};

static void held_destroy(struct held *h)
{
	for (size_t i = 0; i < h->count; i++)
		free(h->answers[i].verdict.value);
	free(h->answers);
	free(h);
}

static struct timespec after(const struct timespec *from, uint64_t ns)
{
	struct timespec t = *from;

	t.tv_sec += (time_t)(ns / 1000000000);
	t.tv_nsec += (long)(ns % 1000000000);
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	return t;
}

static bool is_past(const struct timespec *t, const struct timespec *now)
{
	return t->tv_sec &&
		(now->tv_sec > t->tv_sec ||
			(now->tv_sec == t->tv_sec &&
				now->tv_nsec >= t->tv_nsec));
}

/* With the mutex held. */
static struct held *find(struct session *s, uint64_t process)
{
	struct held *h = s->held;

	while (h && h->process != process)
		h = h->next;
	return h;
}

/* With the mutex held: take it out of the list. */
static void unlink_held(struct session *s, struct held *h)
{
	struct held **at = &s->held;

	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	atomic_fetch_sub(&s->held_count, 1);
}

/* With the mutex held: still nobody's word, and not too late? */
static bool must_wait(struct session *s, struct held *h)
{
	struct timespec now, until;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (h->resolved || atomic_load(&s->stopping))
		return false;
	if (!is_past(&h->until, &now)) {
		until = after(&now, HOLD_WAIT_NS);
		pthread_cond_timedwait(&s->hold_changed, &s->hold_mutex, &until);
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!h->resolved && is_past(&h->until, &now)) {
		/* Its time is over: the declared default. */
		struct answer *last = &h->answers[h->count - 1];

		last->verdict.kind = last->link->fallback;
		h->resolved = true;
	}
	return !h->resolved;
}

bool hold_wait(struct worker *w)
{
	struct session *s = w->session;
	struct held *h;
	bool waits = false;

	w->held = NULL;
	if (!atomic_load_explicit(&s->held_count, memory_order_relaxed) ||
		!w->process)
		return false;
	pthread_mutex_lock(&s->hold_mutex);
	h = find(s, w->process->id);
	if (h && h->rip == w->regs.rip) {
		waits = must_wait(s, h);
		if (!waits)
			w->held = h;
	} else if (h) {
		/* A signal or a debugger moved it: what was held is void. */
		unlink_held(s, h);
		held_destroy(h);
	}
	pthread_mutex_unlock(&s->hold_mutex);
	return waits && !atomic_load(&s->stopping);
}

void hold_done(struct worker *w)
{
	struct session *s = w->session;

	if (!w->held)
		return;
	pthread_mutex_lock(&s->hold_mutex);
	if (w->held->listed)
		unlink_held(s, w->held);
	pthread_mutex_unlock(&s->hold_mutex);
	held_destroy(w->held);
	w->held = NULL;
}

static bool copy_answer(struct answer *to, const struct event *event)
{
	*to = (struct answer){
		.seq = event->access.seq,
		.range = event->range,
		.link = event->link,
		.verdict = event->verdict,
		.kind = event->access.kind,
		.size = event->access.size,
	};
	to->verdict.value = malloc(to->size);
	if (to->verdict.value)
		memcpy(to->verdict.value, event->verdict.value, to->size);
	return to->verdict.value != NULL;
}

/* Answers are kept in the order of the events, up to the one held. */
static struct held *held_create(const struct worker *w)
{
	struct held *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->process = w->process->id;
	/* Not where regs are: it may have been stepped, to be taken back. */
	h->rip = w->events[0].access.ip;
	h->answers = calloc(w->event_count, sizeof(*h->answers));
	for (size_t i = 0; h->answers && i < w->event_count; i++) {
		if (!w->events[i].decided)
			continue;
		h->count = i + 1;
		if (!copy_answer(&h->answers[i], &w->events[i])) {
			held_destroy(h);
			return NULL;
		}
	}
	return h;
}

enum carried hold_process(struct worker *w)
{
	struct session *s = w->session;
	struct held *h = w->process ? held_create(w) : NULL;
	struct timespec now;
	uint32_t ms;

	if (!h) {
		session_say(s, "custos: an access cannot be held; stopping\n");
		return CARRIED_STOP;
	}
	ms = h->answers[h->count - 1].verdict.hold_ms;
	if (ms) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		h->until = after(&now, (uint64_t)ms * 1000000);
	}
	hold_done(w);
	pthread_mutex_lock(&s->hold_mutex);
	h->listed = true;
	h->next = s->held;
	s->held = h;
	atomic_fetch_add(&s->held_count, 1);
	pthread_mutex_unlock(&s->hold_mutex);
	atomic_fetch_add(&s->holds, 1);
	return CARRIED_HOLD;
}

void hold_numbers(struct worker *w)
{
	struct held *h = calloc(1, sizeof(*h));

	if (!h)
		return; /* they get new ones */
	h->answers = calloc(w->event_count, sizeof(*h->answers));
	h->count = h->answers ? w->event_count : 0;
	for (size_t i = 0; i < h->count; i++)
		h->answers[i].seq = w->events[i].access.seq;
	hold_done(w);
	w->held = h;
}

void hold_answers(struct worker *w)
{
	struct held *h = w->event_count ? held_create(w) : NULL;

	hold_done(w);
	w->held = h; /* NULL: they are asked again */
}

void hold_forget(struct held *held)
{
	if (held)
		held_destroy(held);
}

uint64_t hold_seq(const struct worker *w, size_t event)
{
	return w->held && event < w->held->count ?
		w->held->answers[event].seq :
		0;
}

bool hold_answer(struct worker *w, struct event *event)
{
	size_t i = (size_t)(event - w->events);
	const struct answer *answer;
	uint8_t *value = event->verdict.value;

	if (!w->held || i >= w->held->count)
		return false;
	answer = &w->held->answers[i];
	if (!answer->verdict.value || answer->size != event->access.size ||
		answer->range != event->range ||
		answer->kind != event->access.kind)
		return false;
	event->link = answer->link;
	event->verdict = answer->verdict;
	event->verdict.value = value;
	memcpy(value, answer->verdict.value, answer->size);
	return true;
}

static int resolve(struct held *h, const struct verdict *verdict,
	const uint8_t *value, size_t size)
{
	struct answer *last = &h->answers[h->count - 1];
	const struct arch_fault own = last->verdict.fault;
	uint8_t *bytes = last->verdict.value;

	if (verdict->kind == VERDICT_HOLD ||
		!verdict_answers_access(verdict->kind, last->kind))
		return -EINVAL;
	if (verdict->kind == VERDICT_SERVE) {
		if (size != last->size)
			return -EMSGSIZE;
		memcpy(bytes, value, size);
	}
	last->verdict = *verdict;
	last->verdict.value = bytes;
	if (verdict->fault.vector == ARCH_VECTOR_PF && !verdict->fault.address)
		last->verdict.fault = own;
	h->resolved = true;
	return 0;
}

/* With the mutex held. */
static struct held *find_seq(struct session *s, uint64_t seq)
{
	struct held *h = s->held;

	while (h && (h->resolved || h->answers[h->count - 1].seq != seq))
		h = h->next;
	return h;
}

int session_resume(struct session *s, uint64_t seq,
	const struct verdict *verdict, const uint8_t *value, size_t size)
{
	struct held *h;
	int ret = -ENOENT;

	pthread_mutex_lock(&s->hold_mutex);
	h = find_seq(s, seq);
	if (h)
		ret = resolve(h, verdict, value, size);
	if (!ret)
		pthread_cond_broadcast(&s->hold_changed);
	pthread_mutex_unlock(&s->hold_mutex);
	return ret;
}

size_t session_held_size(struct session *s, uint64_t seq)
{
	struct held *h;
	size_t size = 0;

	pthread_mutex_lock(&s->hold_mutex);
	h = find_seq(s, seq);
	if (h)
		size = h->answers[h->count - 1].size;
	pthread_mutex_unlock(&s->hold_mutex);
	return size;
}

void hold_release(struct session *s, const struct range *range,
	const struct keeper *keeper, bool passes)
{
	if (!atomic_load(&s->held_count))
		return;
	pthread_mutex_lock(&s->hold_mutex);
	for (struct held *h = s->held; h; h = h->next) {
		struct answer *last = &h->answers[h->count - 1];

		if (h->resolved || last->link->keeper != keeper ||
			(range && last->range != range))
			continue;
		last->verdict.kind =
			passes ? VERDICT_PASS : last->link->fallback;
		h->resolved = true;
	}
	pthread_cond_broadcast(&s->hold_changed);
	pthread_mutex_unlock(&s->hold_mutex);
}

void hold_exit(struct session *s, uint64_t process)
{
	struct held *h;

	pthread_mutex_lock(&s->hold_mutex);
	h = find(s, process);
	if (h)
		unlink_held(s, h);
	pthread_mutex_unlock(&s->hold_mutex);
	if (h)
		held_destroy(h);
}

void hold_destroy_all(struct session *s)
{
	struct held *next;

	for (struct held *h = s->held; h; h = next) {
		next = h->next;
		held_destroy(h);
	}
}
