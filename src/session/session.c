/* SPDX-License-Identifier: MIT */
#include "session/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/invariant.h"
#include "base/log.h"
#include "session/session_impl.h"

void session_say(struct session *s, const char *format, ...)
{
	struct buf line = BUF_INIT;
	va_list args;

	va_start(args, format);
	buf_vprintf(&line, format, args);
	va_end(args);
	if (s->config.report)
		s->config.report(s->config.ctx, buf_str(&line), line.len);
	buf_fini(&line);
}

_Thread_local struct worker *session_current;

static void worker_destroy(struct worker *w)
{
	if (!w)
		return;
	exec_destroy(w->exec);
	free(w->xstate);
	free(w->events);
	free(w->arena);
	free(w);
}

static struct worker *worker_create(struct session *s)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->session = s;
	w->exec = exec_create();
	w->xstate = aligned_alloc(64, sizeof(*w->xstate));
	if (!w->exec || !w->xstate) {
		worker_destroy(w);
		return NULL;
	}
	memset(w->xstate, 0, sizeof(*w->xstate));
	return w;
}

struct worker *session_worker(struct session *s, struct target_thread *thread)
{
	unsigned index = target_thread_index(thread);
	struct worker *w;

	invariant(index < SESSION_WORKERS_MAX);
	w = s->workers[index]; /* only this host thread ever looks at it */
	if (!w) {
		w = worker_create(s);
		if (!w) {
			session_say(s, "custos: out of memory; stopping\n");
			return NULL;
		}
		s->workers[index] = w;
	}
	session_current = w;
	w->thread = thread;
	w->regs = *target_thread_regs(thread);
	/* Set by some CPUs when they fault; no instruction starts with it. */
	w->regs.rflags &= ~(uint64_t)ARCH_RFLAGS_RF;
	w->process = target_thread_process(thread);
	w->space = target_thread_space(thread);
	w->start = w->regs;
	w->has_start = true;
	w->start_process = w->process;
	w->start_space = w->space;
	return w;
}

int session_create(const struct session_config *config, struct session **out,
	struct error *err)
{
	struct session *s = calloc(1, sizeof(*s));
	pthread_rwlockattr_t attr;
	pthread_condattr_t cond_attr;

	if (!s)
		return error_set(err, -ENOMEM, "out of memory");
	s->config = *config;
	s->map = kept_map_create();
	if (!s->map) {
		free(s);
		return error_set(err, -ENOMEM, "out of memory");
	}
	/* Else a hammered page could keep a mapping change waiting for ever. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(
		&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&s->bindings_lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&s->report_mutex, NULL);
	pthread_mutex_init(&s->grant_mutex, NULL);
	pthread_mutex_init(&s->hold_mutex, NULL);
	pthread_mutex_init(&s->request_mutex, NULL);
	pthread_mutex_init(&s->emulate_mutex, NULL);
	s->requests_end = &s->requests;
	pthread_condattr_init(&cond_attr);
	pthread_condattr_setclock(&cond_attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->hold_changed, &cond_attr);
	pthread_condattr_destroy(&cond_attr);
	*out = s;
	return 0;
}

void session_destroy(struct session *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < SESSION_WORKERS_MAX; i++)
		worker_destroy(s->workers[i]);
	hold_destroy_all(s);
	emulate_destroy_all(s);
	request_destroy_all(s);
	kept_map_destroy(s->map);
	free(s->ordered);
	free(s->granted);
	free(s->bindings);
	free(s->live);
	pthread_rwlock_destroy(&s->bindings_lock);
	pthread_mutex_destroy(&s->report_mutex);
	pthread_mutex_destroy(&s->grant_mutex);
	pthread_mutex_destroy(&s->hold_mutex);
	pthread_mutex_destroy(&s->request_mutex);
	pthread_mutex_destroy(&s->emulate_mutex);
	pthread_cond_destroy(&s->hold_changed);
	free(s);
}

static void on_spaces_changed(void *ctx, struct target_thread *thread)
{
	(void)thread;
	bind_changed(ctx);
}

static unsigned on_where(void *ctx, struct target_thread *thread,
	const struct target_where *answers, unsigned count,
	struct target_where *questions, unsigned max)
{
	(void)thread;
	bind_where(ctx, answers, count);
	return bind_ask(ctx, questions, max);
}

static void on_process_start(void *ctx, struct target_thread *thread,
	const struct target_process *process)
{
	struct session *s = ctx;

	(void)thread;
	log_debug(LOG_SESSION, "process %llu `%s' starts",
		(unsigned long long)process->id, process->name);
	if (s->config.recorder)
		s->config.recorder->process_start(
			s->config.recorder->ctx, process);
	if (names_add_process(s->config.names, process) ||
		bind_process(s, process))
		session_say(s,
			"custos: out of memory: nothing is kept in process "
			"`%s'\n",
			process->name);
	if (s->config.sink)
		trace_sink_note(s->config.sink, "process_start", process->name);
}

static void on_process_exit(void *ctx, struct target_thread *thread,
	const struct target_process *process, int64_t code)
{
	struct session *s = ctx;

	(void)thread;
	log_debug(LOG_SESSION, "process %llu `%s' exits with %lld",
		(unsigned long long)process->id, process->name,
		(long long)code);
	bind_exit(s, process);
	hold_exit(s, process->id);
	emulate_exit(s, process->id);
	grant_exit(s, process->id);
	if (s->config.recorder)
		s->config.recorder->process_exit(
			s->config.recorder->ctx, process, code);
	if (s->config.sink)
		trace_sink_note(s->config.sink, "process_exit", process->name);
}

static bool is_in(struct keeper *const *keepers, size_t count,
	const struct keeper *keeper)
{
	for (size_t i = 0; i < count; i++)
		if (keepers[i] == keeper)
			return true;
	return false;
}

static int add_ordered(struct session *s, const struct range *range)
{
	for (unsigned i = 0; i < range->link_count; i++) {
		struct keeper *keeper = range->links[i].keeper;
		struct keeper **grown;

		if (!keeper->ops->ordered ||
			is_in(s->ordered, s->ordered_count, keeper))
			continue;
		grown = reallocarray(
			s->ordered, s->ordered_count + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->ordered = grown;
		grown[s->ordered_count++] = keeper;
	}
	return 0;
}

static int find_ordered(struct session *s, struct error *err)
{
	for (size_t i = 0; i < range_set_count(s->config.ranges); i++)
		if (add_ordered(s, range_set_get(s->config.ranges, i)))
			return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static void on_ordered(void *ctx, uint64_t before, uint64_t after)
{
	struct session *s = ctx;
	const struct session_recorder *recorder = s->config.recorder;

	if (recorder && recorder->ordered)
		recorder->ordered(recorder->ctx, before, after);
	for (size_t i = 0; i < s->ordered_count; i++)
		keeper_tell_ordered(s->ordered[i], before, after);
}

/* A process's own word: told like an access, with who said it. */
static void on_mark(void *ctx, const struct target_process *process,
	const char *text, size_t len)
{
	struct session *s = ctx;
	struct buf word = BUF_INIT, note = BUF_INIT;

	buf_add(&word, text, strnlen(text, len));
	if (s->config.recorder)
		s->config.recorder->mark(
			s->config.recorder->ctx, process, buf_str(&word));
	buf_printf(&note, "%s #%llu: %s", process->name,
		(unsigned long long)process->id, buf_str(&word));
	if (s->config.sink)
		trace_sink_note(s->config.sink, "marker", buf_str(&note));
	buf_fini(&word);
	buf_fini(&note);
}

static bool on_turn(void *ctx, struct target_thread *thread, bool begins)
{
	struct session *s = ctx;
	const struct session_order *order = s->config.order;

	return !order || !order->turn ||
		order->turn(order->ctx, target_thread_index(thread), begins);
}

/* A load of kept bytes that no keeper saw; a store shows in the shadow, where
 * there is one. */
static void on_unseen(void *ctx, struct target_thread *thread, frame_t frame,
	uint32_t offset, uint32_t size, bool stored)
{
	struct session *s = ctx;
	struct kept_page *page = kept_map_find(s->map, frame);
	const struct kept_piece *piece = NULL;
	size_t i;

	(void)thread;
	if (!page)
		return;
	kept_page_lock(page);
	i = kept_page_lower(page, offset);
	if (i < kept_page_count(page))
		piece = kept_page_piece(page, i);
	if (piece && piece->first < offset + size &&
		!(stored && piece->shadow)) {
		pthread_mutex_lock(&s->report_mutex);
		if (!s->missed++)
			snprintf(s->missed_why, sizeof(s->missed_why),
				"the guest's kernel itself %s `%s', where no "
				"keeper could be asked",
				stored ? "stored to" : "loaded from",
				piece->range->name);
		pthread_mutex_unlock(&s->report_mutex);
	}
	kept_page_unlock(page);
}

static void on_report(void *ctx, const char *text, size_t len)
{
	struct session *s = ctx;

	if (s->config.report)
		s->config.report(s->config.ctx, text, len);
}

int session_run(
	struct session *s, struct target_result *out_result, struct error *err)
{
	const struct target_handler handler = {
		.ctx = s,
		.access = access_stop,
		.copy = copy_stop,
		.emulate = emulate_call,
		.spaces_changed = on_spaces_changed,
		.where = on_where,
		.process_start = on_process_start,
		.process_exit = on_process_exit,
		.ordered = on_ordered,
		.mark = on_mark,
		.turn = on_turn,
		.unseen = on_unseen,
		.report = on_report,
	};
	int ret = bind_devices(s, err);

	if (!ret)
		ret = find_ordered(s, err);
	if (!ret)
		ret = target_run(s->config.target, &handler, out_result, err);
	bind_verify_all(s, true);
	return ret;
}

static void add_waits(void *ctx, struct kept_page *page)
{
	*(uint64_t *)ctx += kept_page_waits(page);
}

void session_check(struct session *s)
{
	bind_verify_all(s, false);
}

void session_summary(struct session *s, struct session_summary *out)
{
	*out = (struct session_summary){
		.page_mates = atomic_load(&s->page_mates),
		.steps = atomic_load(&s->steps),
		.holds = atomic_load(&s->holds),
		.still_held = atomic_load(&s->held_count),
		.keeper_errors = atomic_load(&s->keeper_errors),
	};
	for (int i = 0; i < TRAP_MAX; i++) {
		out->traps[i] = atomic_load(&s->traps[i]);
		out->stops += out->traps[i];
		out->trap_ticks[i] = atomic_load(&s->trap_ticks[i]);
	}
	out->spurious = out->traps[TRAP_SPURIOUS];
	for (int i = 0; i < ACCESS_KIND_MAX; i++) {
		out->by_kind[i] = atomic_load(&s->by_kind[i]);
		out->accesses += out->by_kind[i];
	}
	for (int i = 0; i < OUTCOME_MAX; i++)
		out->by_outcome[i] = atomic_load(&s->by_outcome[i]);
	for (size_t i = 0; i < range_set_count(s->config.ranges); i++)
		out->never_bound +=
			!range_set_get(s->config.ranges, i)->ever_bound;
	kept_map_each(s->map, add_waits, &out->waits);
	pthread_mutex_lock(&s->report_mutex);
	out->missed = s->missed;
	out->verified_bytes = s->verified_bytes;
	memcpy(out->missed_why, s->missed_why, sizeof(out->missed_why));
	pthread_mutex_unlock(&s->report_mutex);
}

size_t session_read(struct session *s, uint64_t process, uint64_t va,
	void *bytes, size_t len)
{
	const struct target_process *p =
		names_process(s->config.names, process);

	return p ? target_read(s->config.target, p->space, va, bytes, len) : 0;
}

/* Kept bytes among [first, end) of a page are others now; bytes is what
 * first is. */
static void record_change(struct session *s, uint64_t process,
	const struct kept_page *page, uint32_t first, uint32_t end,
	const uint8_t *bytes)
{
	const struct session_recorder *recorder = s->config.recorder;

	for (size_t i = kept_page_lower(page, first);
		recorder && i < kept_page_count(page); i++) {
		const struct kept_piece *p = kept_page_piece(page, i);
		uint32_t from = p->first > first ? p->first : first;
		uint32_t to = p->first + p->count < end ? p->first + p->count :
							  end;

		if (from >= to)
			return;
		recorder->bind(recorder->ctx, process, p->range,
			p->offset + (from - p->first), to - from,
			bytes + (from - first), kept_page_frame(page));
	}
}

/* What a script stores is no access, and no store that slipped past either:
 * tell the shadow. The page may be locked, by this very thread, for which the
 * script decides. */
static void tell_shadow(struct session *s,
	const struct target_process *process, uint64_t va,
	const uint8_t *bytes, size_t len)
{
	while (len) {
		uint32_t first = (uint32_t)(va & ARCH_PAGE_MASK);
		size_t room = ARCH_PAGE_SIZE - first;
		size_t count = len < room ? len : room;
		struct kept_page *page = NULL;
		struct target_page to;
		struct arch_fault fault;

		if (target_translate(s->config.target, process->space, va,
			    ACCESS_LOAD, &to, &fault))
			page = kept_map_find(s->map, to.frame);
		if (page) {
			kept_page_stored(page, first, (uint32_t)count, bytes);
			record_change(s, process->id, page, first,
				first + (uint32_t)count, bytes);
		}
		va += count;
		bytes += count;
		len -= count;
	}
}

size_t session_write(struct session *s, uint64_t process, uint64_t va,
	const void *bytes, size_t len)
{
	const struct target_process *p =
		names_process(s->config.names, process);
	size_t done;

	if (!p)
		return 0;
	done = target_write(s->config.target, p->space, va, bytes, len);
	if (s->config.recorder && s->config.recorder->written)
		s->config.recorder->written(s->config.recorder->ctx,
			session_current ? session_current->asking : 0, process,
			va, bytes, done);
	tell_shadow(s, p, va, bytes, done);
	return done;
}
