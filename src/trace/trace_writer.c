/* SPDX-License-Identifier: MIT */
/*
 * Adding a record copies it into a stage, under a lock, and that is all; a
 * thread takes full stages, encodes, compresses and writes. There are two
 * stages: when the thread is slower than the run, the run waits, and nothing
 * is lost. What is staged or encoded but not written gets written when it is
 * flush_ms old.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "trace/trace_format.h"
#include "trace/trace_names.h"
#include "trace/trace_output.h"
#include "trace/trace_sites.h"
#include "trace/trace_stage.h"
#include "trace/trace_start.h"

#define FLUSH_MS 100

/* A stage, and the names that its records are the first to use. */
struct half {
	struct trace_stage stage;
	struct pack_out names;
	struct pack_out inputs; /* among its records */
	bool full; /* the thread's */
};

struct trace_writer {
	/* Constant. */
	struct trace_writer_options options;
	char *path;
	struct trace_output *output; /* the thread's */
	pthread_t thread;

	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t work; /* for the thread: something to do */
	pthread_cond_t done; /* for the others: a half is free */
	struct half halves[2];
	unsigned filling; /* the one records are added to */
	bool idle; /* the thread waits for a first record */
	bool closing;
	struct trace_sites *sites;
	uint64_t time; /* of the last record */
	uint64_t added; /* records, so far */
	uint64_t input_at; /* of them, those before the last input */
	int status; /* 0, or the first error */
	uint64_t lost; /* records that never were staged */
	uint64_t output_lost; /* the output's, as known */
};

/* ---- the thread ---- */

static struct timespec later(unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

static bool is_past(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > t->tv_sec ||
		(now.tv_sec == t->tv_sec && now.tv_nsec >= t->tv_nsec);
}

static bool has_half(const struct half *half)
{
	return half->full || half->stage.len || half->names.len ||
		half->inputs.len;
}

/* What was gathered beside the records moves on. */
static void move(struct pack_out *to, struct pack_out *from)
{
	pack_bytes(to, from->data, from->len);
	to->failed |= from->failed;
	from->len = 0;
	from->failed = false;
}

/* Encode a half. Without the lock: it is full, so nobody else's. */
static int encode(struct trace_writer *w, struct half *half)
{
	struct trace_record record;
	size_t at = 0;
	int ret = 0;

	move(trace_output_names(w->output), &half->names);
	move(trace_output_inputs(w->output), &half->inputs);
	while (trace_stage_next(&half->stage, &at, &record))
		ret = trace_output_add(w->output, &record);
	half->stage.len = 0;
	half->stage.records = 0;
	return ret;
}

/* With the lock held, which is given up meanwhile. */
static void serve(struct trace_writer *w, struct half *half, bool flush)
{
	bool taken = has_half(half);
	int ret = 0;

	if (taken) {
		half->full = true;
		if (half == &w->halves[w->filling])
			w->filling ^= 1;
	}
	pthread_mutex_unlock(&w->lock);
	if (taken)
		ret = encode(w, half);
	if (flush)
		ret = trace_output_flush(w->output);
	pthread_mutex_lock(&w->lock);
	/* Else it may have become full meanwhile: its turn is next. */
	if (taken)
		half->full = false;
	if (ret && !w->status)
		w->status = ret;
	w->output_lost = trace_output_lost(w->output);
	pthread_cond_broadcast(&w->done);
}

/* Wait for a full half, or for the time to flush. True: the time is up. */
static bool wait_for_work(struct trace_writer *w, const struct half *half,
	bool pending, const struct timespec *until)
{
	while (!half->full && !w->closing) {
		if (!pending && !has_half(half)) {
			w->idle = true;
			pthread_cond_wait(&w->work, &w->lock);
			w->idle = false;
			return false;
		}
		if (pthread_cond_timedwait(&w->work, &w->lock, until))
			return true;
	}
	return is_past(until);
}

static void *run_thread(void *arg)
{
	struct trace_writer *w = arg;
	unsigned ms = w->options.flush_ms;
	struct timespec until = { 0 };
	bool pending = false; /* something waits to be flushed, until then */
	unsigned next = 0; /* the half whose turn it is */

	pthread_mutex_lock(&w->lock);
	while (!w->closing || has_half(&w->halves[0]) ||
		has_half(&w->halves[1])) {
		struct half *half = &w->halves[next];
		bool due;

		if (!pending && has_half(half)) {
			/* It came just now, or while we wrote. */
			pending = true;
			until = later(ms);
		}
		due = wait_for_work(w, half, pending, &until);
		if (!pending)
			continue;
		if (!half->full && !due && !w->closing)
			continue;
		if (has_half(half))
			next ^= 1;
		serve(w, half, due);
		if (due)
			pending = false;
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* ---- opening ---- */

static void init_sync(struct trace_writer *w)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->work, &attr);
	pthread_cond_init(&w->done, &attr);
	pthread_condattr_destroy(&attr);
}

static void writer_destroy(struct trace_writer *w)
{
	for (int i = 0; i < 2; i++) {
		free(w->halves[i].stage.bytes);
		trace_pack_fini(&w->halves[i].names);
		trace_pack_fini(&w->halves[i].inputs);
	}
	trace_sites_destroy(w->sites);
	trace_output_destroy(w->output);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->work);
	pthread_cond_destroy(&w->done);
	free(w->path);
	free(w);
}

static struct trace_writer *writer_create(
	const char *path, const struct trace_writer_options *options)
{
	struct trace_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	init_sync(w);
	if (options)
		w->options = *options;
	if (!w->options.flush_ms)
		w->options.flush_ms = FLUSH_MS;
	/* Encoding and writing take time, too. */
	w->options.flush_ms = (w->options.flush_ms * 3 + 3) / 4;
	w->path = strdup(path);
	w->sites = trace_sites_create();
	for (int i = 0; i < 2; i++)
		w->halves[i].stage.bytes = malloc(TRACE_STAGE_SIZE);
	if (w->path && w->sites && w->halves[0].stage.bytes &&
		w->halves[1].stage.bytes)
		return w;
	writer_destroy(w);
	return NULL;
}

/* It takes none of our signals: they belong to other threads. */
static int start_thread(struct trace_writer *w)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&w->thread, NULL, run_thread, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret;
}

int trace_writer_open(const char *path, const struct trace_meta *meta,
	const struct trace_writer_options *options, struct trace_writer **out,
	struct error *err)
{
	struct trace_writer *w = writer_create(path, options);
	int ret;

	if (!w)
		return error_set(err, -ENOMEM, "out of memory");
	ret = trace_output_open(path, meta, &w->output, err);
	if (!ret) {
		ret = start_thread(w);
		if (!ret) {
			*out = w;
			return 0;
		}
		error_set_errno(err, ret, "cannot start a thread to record");
	}
	writer_destroy(w);
	return ret;
}

/* ---- adding ---- */

/* The lock is held. Ask for the names of a new site. */
static void add_site(struct trace_writer *w, const struct access *access,
	uint32_t number, const struct trace_site_names *names)
{
	struct trace_site site = {
		.process = access->process,
		.ip = access->ip,
		.symbol = "",
		.line = "",
		.text = "",
	};

	if (access->insn) {
		site.insn_len = access->insn_len < ARCH_INSN_MAX ?
			access->insn_len :
			ARCH_INSN_MAX;
		memcpy(site.insn, access->insn, site.insn_len);
	}
	if (names && names->name)
		names->name(names->ctx, access, &site);
	trace_site_pack(&w->halves[w->filling].names, number, &site);
}

/* The lock is held. */
static int name_record(struct trace_writer *w, const struct trace_record *r,
	const struct trace_site_names *names, uint32_t *out_site)
{
	struct trace_process process;
	bool is_new;
	int ret;

	if (r->kind == TRACE_ACCESS) {
		ret = trace_sites_find(
			w->sites, &r->access, out_site, &is_new);
		if (!ret && is_new)
			add_site(w, &r->access, *out_site, names);
		return ret;
	}
	if (r->kind != TRACE_PROCESS_START)
		return 0;
	process = (struct trace_process){
		.id = r->process,
		.name = r->process_name ? r->process_name : "",
		.program = r->program,
	};
	trace_process_pack(&w->halves[w->filling].names, &process);
	return trace_sites_process(w->sites, r->process, r->program);
}

/* The lock is held. Wait until there is room in the half being filled. */
static struct half *make_room(struct trace_writer *w, size_t need)
{
	for (;;) {
		struct half *half = &w->halves[w->filling];

		if (half->full) {
			pthread_cond_wait(&w->done, &w->lock);
			continue;
		}
		if (half->stage.len + need <= TRACE_STAGE_SIZE &&
			half->inputs.len < TRACE_STAGE_SIZE)
			return half;
		half->full = true;
		w->filling ^= 1;
		pthread_cond_signal(&w->work);
	}
}

static int add_locked(struct trace_writer *w, const struct trace_record *r,
	const struct trace_site_names *names)
{
	size_t need = trace_stage_need(r);
	struct half *half;
	uint32_t site = 0;
	int ret;

	if (w->status) {
		w->lost++;
		return w->status;
	}
	half = make_room(w, need);
	ret = name_record(w, r, names, &site);
	if (ret) {
		w->status = ret;
		w->lost++;
		return ret;
	}
	trace_stage_add(&half->stage, r, need, site);
	w->added++;
	w->time = r->time_ns;
	if (w->idle)
		pthread_cond_signal(&w->work);
	return 0;
}

static int add_one(struct trace_writer *w, const struct trace_record *r,
	const struct trace_site_names *names)
{
	int ret;

	pthread_mutex_lock(&w->lock);
	ret = add_locked(w, r, names);
	pthread_mutex_unlock(&w->lock);
	return ret;
}

/* A long binding is several. */
static int add_bind(struct trace_writer *w, struct trace_record *r)
{
	uint64_t left = r->size;
	int ret;

	do {
		r->size = left < TRACE_BIND_MAX ? left : TRACE_BIND_MAX;
		ret = add_one(w, r, NULL);
		left -= r->size;
		r->offset += r->size;
		r->bytes += r->size;
	} while (left);
	return ret;
}

static bool is_sound(const struct trace_record *r)
{
	const struct access *a = &r->access;

	return a->size <= TRACE_ACCESS_SIZE_MAX && a->kept_first <= a->size &&
		a->kept_count <= a->size - a->kept_first &&
		a->lane_count <= ACCESS_LANES_MAX &&
		a->kind < ACCESS_KIND_MAX && r->outcome < OUTCOME_MAX;
}

static int add_access(struct trace_writer *w, const struct trace_record *record,
	const struct trace_site_names *names)
{
	struct trace_record r;

	if (!is_sound(record))
		return -EINVAL;
	if (!record->regs && !record->stack && !record->stack_count)
		return add_one(w, record, names);
	r = *record;
	if (!w->options.regs)
		r.regs = NULL;
	if (!w->options.stacks || !r.stack)
		r.stack_count = 0;
	if (r.stack_count > TRACE_STACK_MAX)
		r.stack_count = TRACE_STACK_MAX;
	return add_one(w, &r, names);
}

static int add_text(struct trace_writer *w, struct trace_record *r)
{
	char text[TRACE_TEXT_MAX + 1];
	const char **at = r->kind == TRACE_PROCESS_START ? &r->process_name :
							   &r->text;

	if (*at && strnlen(*at, TRACE_TEXT_MAX + 1) > TRACE_TEXT_MAX) {
		memcpy(text, *at, TRACE_TEXT_MAX);
		text[TRACE_TEXT_MAX] = 0;
		*at = text;
	}
	return add_one(w, r, NULL);
}

int trace_writer_add(struct trace_writer *w, const struct trace_record *record,
	const struct trace_site_names *site_names)
{
	struct trace_record r;

	if (record->kind == TRACE_ACCESS)
		return add_access(w, record, site_names);
	r = *record;
	switch (r.kind) {
	case TRACE_BIND:
		if (r.bytes)
			return add_bind(w, &r);
		return add_one(w, &r, NULL);
	case TRACE_UNBIND:
	case TRACE_PROCESS_EXIT:
		return add_one(w, &r, NULL);
	case TRACE_PROCESS_START:
	case TRACE_MARKER:
	case TRACE_LOST:
		return add_text(w, &r);
	case TRACE_ACCESS:
	case TRACE_END: /* trace_writer_close() writes it */
	case TRACE_KIND_MAX:
		break;
	}
	return -EINVAL;
}

int trace_writer_input(
	struct trace_writer *w, const struct trace_input *input)
{
	int ret;

	if (input->size > TRACE_ACCESS_SIZE_MAX)
		return -EINVAL;
	pthread_mutex_lock(&w->lock);
	if (!w->status) {
		struct pack_out *inputs = &make_room(w, 0)->inputs;

		trace_input_pack(inputs, input, w->added - w->input_at);
		w->input_at = w->added;
		if (w->idle)
			pthread_cond_signal(&w->work);
	}
	ret = w->status;
	pthread_mutex_unlock(&w->lock);
	return ret;
}

int trace_writer_range(
	struct trace_writer *w, const struct trace_range *range)
{
	int ret;

	pthread_mutex_lock(&w->lock);
	if (!w->status)
		trace_range_pack(&make_room(w, 0)->names, range);
	ret = w->status;
	pthread_mutex_unlock(&w->lock);
	return ret;
}

uint64_t trace_writer_lost(struct trace_writer *w, int *out_status)
{
	uint64_t lost;

	pthread_mutex_lock(&w->lock);
	lost = w->lost + w->output_lost;
	if (out_status)
		*out_status = w->status;
	pthread_mutex_unlock(&w->lock);
	return lost;
}

int trace_writer_close(
	struct trace_writer *w, int64_t exit_code, struct error *err)
{
	uint64_t lost;
	int ret;

	if (!w)
		return 0;
	pthread_mutex_lock(&w->lock);
	w->closing = true;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	trace_output_flush(w->output);
	lost = w->lost + trace_output_lost(w->output);
	ret = trace_output_finish(w->output, w->time, lost, exit_code);
	w->output = NULL;
	if (!ret)
		ret = w->status;
	if (ret)
		error_set_errno(err, ret, "%s: %" PRIu64 " record%s lost",
			w->path, lost, lost == 1 ? "" : "s");
	writer_destroy(w);
	return ret;
}
