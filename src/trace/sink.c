/* SPDX-License-Identifier: MIT */
/*
 * A sink collects complete lines and writes them in one go: when much is
 * there, when a terminal watches, and at least every FLUSH_MS by a thread of
 * its own, so that a slow program's accesses are seen when they happen and a
 * killed custos has lost little. The first write error stays: after it lines
 * are counted as lost and nothing is written any more.
 */
#include "trace/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "trace/sink_impl.h"

#define FLUSH_BYTES ((size_t)64 * 1024)
#define FLUSH_MS 100

struct trace_sink {
	/* Constant. */
	const struct sink_format *format;
	const struct trace_names *names;
	char *path; /* NULL: fd is the caller's */
	int fd;
	bool terminal;
	pthread_t flusher;

	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t wake; /* something is pending, or closing is set */
	struct buf pending; /* complete lines */
	struct buf field; /* of the line being made */
	struct site_cache *sites;
	bool closing;
	int status; /* 0, or the first error */
	uint64_t lost; /* lines */
};

/*
 * write(2) without its SIGPIPE: the signal is blocked for this thread, and
 * the one that we caused is taken away again.
 */
static ssize_t write_quietly(int fd, const void *bytes, size_t len)
{
	const struct timespec none = { 0 };
	sigset_t pipe_set, old, pending;
	bool was_pending;
	ssize_t n;
	int code;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE);
	n = write(fd, bytes, len);
	code = errno;
	if (n < 0 && code == EPIPE && !was_pending)
		while (sigtimedwait(&pipe_set, NULL, &none) < 0 &&
			errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = code;
	return n;
}

/* Returns 0 or -errno; *out_done: bytes written. */
static int write_all(int fd, const char *bytes, size_t len, size_t *out_done)
{
	size_t done = 0;
	int rc = 0;

	while (done < len && !rc) {
		ssize_t n = write_quietly(fd, bytes + done, len - done);
		struct pollfd pollfd = { .fd = fd, .events = POLLOUT };

		if (n > 0)
			done += (size_t)n;
		else if (n == 0)
			rc = -EIO;
		else if (errno == EAGAIN)
			poll(&pollfd, 1, -1);
		else if (errno != EINTR)
			rc = -errno;
	}
	*out_done = done;
	return rc;
}

static uint64_t count_lines(const char *bytes, size_t len)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < len; i++)
		lines += bytes[i] == '\n';
	return lines;
}

/* The lock is held. */
static void flush(struct trace_sink *sink)
{
	struct buf *pending = &sink->pending;
	size_t done = 0;

	if (!pending->len)
		return;
	if (!sink->status)
		sink->status = write_all(
			sink->fd, pending->data, pending->len, &done);
	sink->lost += count_lines(pending->data + done, pending->len - done);
	buf_reset(pending);
}

static void wait_flush_time(struct trace_sink *sink)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += FLUSH_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	while (!sink->closing && sink->pending.len)
		if (pthread_cond_timedwait(&sink->wake, &sink->lock, &until))
			break;
}

static void *run_flusher(void *arg)
{
	struct trace_sink *sink = arg;

	pthread_mutex_lock(&sink->lock);
	while (!sink->closing) {
		if (!sink->pending.len) {
			pthread_cond_wait(&sink->wake, &sink->lock);
			continue;
		}
		wait_flush_time(sink);
		flush(sink);
	}
	pthread_mutex_unlock(&sink->lock);
	return NULL;
}

/* After a line was added behind the first before bytes. The lock is held. */
static int line_added(struct trace_sink *sink, size_t before)
{
	struct buf *pending = &sink->pending;

	if (pending->failed) {
		/* Part of a line may be there: take it back. */
		pending->len = before;
		pending->failed = false;
		sink->lost++;
		if (!sink->status)
			sink->status = -ENOMEM;
	}
	if (sink->status || sink->terminal || pending->len >= FLUSH_BYTES)
		flush(sink);
	else if (!before)
		pthread_cond_signal(&sink->wake);
	return sink->status;
}

int trace_sink_write(struct trace_sink *sink, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	const struct buf *site;
	size_t before;
	int rc;

	pthread_mutex_lock(&sink->lock);
	if (sink->status) {
		sink->lost++;
		rc = sink->status;
	} else {
		before = sink->pending.len;
		site = site_cache_get(
			sink->sites, sink->format, sink->names, access);
		sink_name_field(sink->names, access, &sink->field);
		sink->format->access(access, outcome, final_bytes, site,
			&sink->field, &sink->pending);
		rc = line_added(sink, before);
	}
	pthread_mutex_unlock(&sink->lock);
	return rc;
}

int trace_sink_lines(struct trace_sink *sink, const char *text, size_t len)
{
	size_t before;
	int rc;

	pthread_mutex_lock(&sink->lock);
	before = sink->pending.len;
	buf_add(&sink->pending, text, len);
	rc = line_added(sink, before);
	pthread_mutex_unlock(&sink->lock);
	return rc;
}

int trace_sink_note(
	struct trace_sink *sink, const char *kind, const char *text)
{
	size_t before;
	int rc;

	pthread_mutex_lock(&sink->lock);
	if (sink->status) {
		sink->lost++;
		rc = sink->status;
	} else {
		before = sink->pending.len;
		sink->format->note(kind, text, &sink->pending);
		rc = line_added(sink, before);
	}
	pthread_mutex_unlock(&sink->lock);
	return rc;
}

int trace_sink_flush(struct trace_sink *sink)
{
	int rc;

	pthread_mutex_lock(&sink->lock);
	flush(sink);
	rc = sink->status;
	pthread_mutex_unlock(&sink->lock);
	return rc;
}

static void init_sync(struct trace_sink *sink)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&sink->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&sink->wake, &attr);
	pthread_condattr_destroy(&attr);
}

static int open_file(struct trace_sink *sink, const char *path, int fd,
	struct error *err)
{
	sink->fd = fd;
	if (path) {
		sink->path = strdup(path);
		if (!sink->path)
			return error_set(err, -ENOMEM, "out of memory");
		sink->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			0666);
		if (sink->fd < 0)
			return error_set_errno(
				err, -errno, "cannot write %s", path);
	}
	sink->terminal = isatty(sink->fd);
	return 0;
}

static void dispose(struct trace_sink *sink)
{
	site_cache_destroy(sink->sites);
	buf_fini(&sink->pending);
	buf_fini(&sink->field);
	pthread_mutex_destroy(&sink->lock);
	pthread_cond_destroy(&sink->wake);
	free(sink->path);
	free(sink);
}

/* The flusher takes none of our signals: they belong to other threads. */
static int start_flusher(struct trace_sink *sink)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = -pthread_create(&sink->flusher, NULL, run_flusher, sink);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

int trace_sink_open(const char *path, int fd, enum trace_sink_format format,
	const struct trace_names *names, struct trace_sink **out,
	struct error *err)
{
	struct trace_sink *sink = calloc(1, sizeof(*sink));
	int rc;

	if (!sink)
		return error_set(err, -ENOMEM, "out of memory");
	init_sync(sink);
	sink->fd = -1;
	sink->names = names;
	sink->format = format == TRACE_SINK_JSON ? &sink_format_json
						 : &sink_format_text;
	sink->sites = site_cache_create();
	rc = sink->sites ? open_file(sink, path, fd, err)
			 : error_set(err, -ENOMEM, "out of memory");
	if (!rc) {
		rc = start_flusher(sink);
		if (!rc) {
			*out = sink;
			return 0;
		}
		error_set_errno(err, rc, "cannot start a thread for output");
		if (path)
			close(sink->fd);
	}
	dispose(sink);
	return rc;
}

int trace_sink_close(struct trace_sink *sink, struct error *err)
{
	int rc;

	if (!sink)
		return 0;
	pthread_mutex_lock(&sink->lock);
	sink->closing = true;
	pthread_cond_signal(&sink->wake);
	pthread_mutex_unlock(&sink->lock);
	pthread_join(sink->flusher, NULL);
	flush(sink);
	if (sink->path && close(sink->fd) && !sink->status)
		sink->status = -errno;
	rc = sink->status;
	if (rc)
		error_set(err, rc, "cannot write %s: %s; %" PRIu64
			" line%s lost", sink->path ? sink->path : "the output",
			strerror(-rc), sink->lost, sink->lost == 1 ? "" : "s");
	dispose(sink);
	return rc;
}
