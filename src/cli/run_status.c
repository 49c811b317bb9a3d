/* SPDX-License-Identifier: MIT */
/*
 * What a run tells while it runs: a line on a terminal that is written over
 * again and again, and the summary so far whenever SIGUSR1 comes. One thread
 * waits for both; SIGUSR1 is blocked everywhere else.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/run.h"

#define FIRST_MS 1000
#define EVERY_MS 500
#define COLUMNS 79

static bool is_live(const struct run *run)
{
	const struct run_options *o = &run->options;
	const char *term = getenv("TERM");

	/* Accesses that go to the terminal themselves tell more. */
	return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") &&
		!o->quiet && (!run->sink || o->output);
}

/* With the mutex held. */
static void erase(struct run_status *status)
{
	if (!status->shown)
		return;
	fputs("\r\033[K", stderr);
	status->shown = false;
}

void run_status_write(struct run *run, const char *text, size_t len)
{
	struct run_status *status = &run->status;

	pthread_mutex_lock(&status->mutex);
	erase(status);
	fwrite(text, 1, len, stderr);
	pthread_mutex_unlock(&status->mutex);
}

static void write_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd ready = { fd, POLLOUT, 0 };

			poll(&ready, 1, -1);
		} else if (n < 0 && errno != EINTR) {
			return;
		}
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
}

void run_status_console(void *ctx, const void *bytes, size_t len)
{
	struct run *run = ctx;
	struct run_status *status = &run->status;

	if (!len)
		return;
	pthread_mutex_lock(&status->mutex);
	erase(status);
	/* The status line waits for the end of a line begun. */
	status->mid_line = ((const char *)bytes)[len - 1] != '\n';
	write_all(STDOUT_FILENO, bytes, len);
	pthread_mutex_unlock(&status->mutex);
}

bool run_status_wants_console(const struct run *run)
{
	return is_live(run) && isatty(STDOUT_FILENO);
}

/* ---- the line ---- */

static void compose(struct run *run, struct buf *line)
{
	struct session_summary now;
	double seconds = run_seconds(run), since;
	uint64_t rate;

	session_summary(run->session, &now);
	since = seconds - run->status.seconds;
	rate = since > 0 ? (uint64_t)((double)(now.accesses -
					      run->status.accesses) /
				   since) :
			   0;
	run->status.seconds = seconds;
	run->status.accesses = now.accesses;
	buf_printf(line,
		"custos: %.1f s, %" PRIu64 " accesses, %" PRIu64 "/s", seconds,
		now.accesses, rate);
	if (now.steps)
		buf_printf(line, ", %" PRIu64 " steps", now.steps);
	if (now.still_held)
		buf_printf(line, ", %" PRIu64 " held", now.still_held);
	if (now.keeper_errors)
		buf_printf(line, ", %" PRIu64 " keeper errors",
			now.keeper_errors);
	buf_printf(line, ", %" PRIu64 " missed", now.missed);
}

static void show(struct run *run)
{
	struct run_status *status = &run->status;
	struct buf line = BUF_INIT;
	const char *no_color = getenv("NO_COLOR");
	bool plain = no_color && *no_color;

	compose(run, &line);
	pthread_mutex_lock(&status->mutex);
	if (!status->mid_line) {
		status->shown = true;
		/* The cursor stays at its beginning: what others write there
		 * is not appended to it. */
		fprintf(stderr, "\r%s%.*s%s\033[K\r", plain ? "" : "\033[2m",
			COLUMNS, buf_str(&line), plain ? "" : "\033[m");
		fflush(stderr);
	}
	pthread_mutex_unlock(&status->mutex);
	buf_fini(&line);
}

/* ---- the thread ---- */

static bool is_ending(struct run_status *status)
{
	return __atomic_load_n(&status->ending, __ATOMIC_SEQ_CST);
}

static void *watch(void *arg)
{
	struct run *run = arg;
	struct run_status *status = &run->status;
	long wait_ms = FIRST_MS;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	while (!is_ending(status)) {
		const struct timespec limit = {
			.tv_sec = status->live ? wait_ms / 1000 : 3600,
			.tv_nsec = status->live ? wait_ms % 1000 * 1000000 : 0,
		};
		int signal = sigtimedwait(&set, NULL, &limit);

		if (is_ending(status))
			break;
		if (signal == SIGUSR1) {
			run_summarize_now(run);
			continue;
		}
		if (status->live)
			show(run);
		wait_ms = EVERY_MS;
	}
	return NULL;
}

void run_status_init(struct run *run)
{
	sigset_t set;

	pthread_mutex_init(&run->status.mutex, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void run_status_start(struct run *run)
{
	struct run_status *status = &run->status;

	status->live = is_live(run);
	status->started = !pthread_create(&status->thread, NULL, watch, run);
}

void run_status_stop(struct run *run)
{
	struct run_status *status = &run->status;

	if (!status->started)
		return;
	__atomic_store_n(&status->ending, true, __ATOMIC_SEQ_CST);
	pthread_kill(status->thread, SIGUSR1);
	pthread_join(status->thread, NULL);
	status->started = false;
	pthread_mutex_lock(&status->mutex);
	erase(status);
	pthread_mutex_unlock(&status->mutex);
}
