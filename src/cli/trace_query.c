/* SPDX-License-Identifier: MIT */
#include "cli/trace_query.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/run_describe.h"
#include "trace/trace_format.h"

#define DAMAGE_SHOWN 3
#define PROGRESS_RECORDS 65536 /* between two looks at the clock */

/* ---- ^C and progress ---- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	/* The second time we do not wait for an orderly end. */
	if (interrupted)
		_exit(CLI_INTERRUPTED);
	interrupted = number;
}

void trace_catch_interrupts(void)
{
	struct sigaction action = { .sa_handler = on_interrupt };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool trace_interrupted(void)
{
	return interrupted;
}

void trace_progress(const char *verb, uint64_t done, uint64_t total)
{
	static uint64_t last_ms;
	static bool shown;
	struct timespec t;
	uint64_t ms;

	if (!isatty(STDERR_FILENO))
		return;
	if (!total) {
		if (shown)
			fputs("\r\033[K", stderr);
		shown = false;
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &t);
	ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
	if (!last_ms)
		last_ms = ms + 400; /* what is quick needs no progress */
	if (ms < last_ms + 100)
		return;
	last_ms = ms;
	shown = true;
	fprintf(stderr, "\rcustos %s: %3u %%\033[K", verb,
		(unsigned)((double)done * 100 / (double)total));
}

int trace_query_fail(struct trace_query *q, const char *format, ...)
{
	char text[ERROR_TEXT_MAX + 256];
	va_list args;

	trace_progress(q->verb, 0, 0);
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return q->code = cmd_fail(q->verb, "%s", text);
}

int trace_bad_option(const char *verb)
{
	fprintf(stderr, "Try `custos %s --help'.\n", verb);
	return CLI_FAILED;
}

/* ---- programs that are still there ---- */

static void open_images(struct trace_query *q)
{
	for (uint32_t i = 0; i < q->meta->program_count; i++) {
		const struct trace_program *p = &q->meta->programs[i];

		if (p->path && *p->path && p->hash &&
			run_hash_file(p->path) == p->hash &&
			image_open(p->path, &q->images[i], NULL))
			q->images[i] = NULL;
	}
}

static size_t process_count(const struct trace_query *q)
{
	size_t count = 0;

	while (trace_reader_process(q->reader, count))
		count++;
	return count;
}

static bool name_processes(struct trace_query *q)
{
	size_t count = process_count(q);

	q->processes = calloc(count + 1, sizeof(*q->processes));
	if (!q->processes)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct trace_process *from =
			trace_reader_process(q->reader, i);
		struct target_process *to = &q->processes[i];

		to->id = from->id;
		snprintf(to->name, sizeof(to->name), "%s",
			from->name ? from->name : "?");
		if (from->program < q->meta->program_count)
			to->image = q->images[from->program];
		if (to->id && !names_process(q->names, to->id) &&
			names_add_process(q->names, to))
			return false;
	}
	return true;
}

/* ---- names: what was recorded first, then what the files say ---- */

static void name_symbol(
	void *ctx, uint64_t process, uint64_t address, struct buf *out)
{
	struct trace_query *q = ctx;
	const struct trace_names *names = names_callbacks(q->names);

	if (q->site && q->site->ip == address && q->site->symbol)
		buf_add_str(out, q->site->symbol);
	else
		names->symbol(names->ctx, process, address, out);
}

static void name_line(
	void *ctx, uint64_t process, uint64_t address, struct buf *out)
{
	struct trace_query *q = ctx;
	const struct trace_names *names = names_callbacks(q->names);

	if (q->site && q->site->ip == address && q->site->line)
		buf_add_str(out, q->site->line);
	else
		names->line(names->ctx, process, address, out);
}

static void name_text(void *ctx, const uint8_t *insn, uint8_t len, uint64_t ip,
	struct buf *out)
{
	struct trace_query *q = ctx;
	const struct trace_names *names = names_callbacks(q->names);

	if (q->site && q->site->text && *q->site->text)
		buf_add_str(out, q->site->text);
	else
		names->text(names->ctx, insn, len, ip, out);
}

static void name_data(void *ctx, uint64_t process, uint64_t address,
	uint64_t size, struct buf *out)
{
	struct trace_query *q = ctx;
	const struct trace_names *names = names_callbacks(q->names);

	names->data(names->ctx, process, address, size, out);
}

static void name_inlined(
	void *ctx, uint64_t process, uint64_t address, struct buf *out)
{
	struct trace_query *q = ctx;
	const struct trace_names *names = names_callbacks(q->names);

	names->inlined(names->ctx, process, address, out);
}

/* ---- opening and closing ---- */

bool trace_query_tell_damage(struct trace_query *q)
{
	size_t i = q->damage_told;
	const char *text;

	for (; (text = trace_reader_damage(q->reader, i)); i++)
		if (i < DAMAGE_SHOWN)
			fprintf(stderr, "custos %s: %s: %s\n", q->verb,
				q->path, text);
	if (i > DAMAGE_SHOWN && i > q->damage_told)
		fprintf(stderr,
			"custos %s: and %zu more; see custos trace check\n",
			q->verb, i - DAMAGE_SHOWN);
	q->damage_told = i;
	return i != 0;
}

static void tell_losses(struct trace_query *q)
{
	trace_query_tell_damage(q);
	if (q->totals.lost)
		fprintf(stderr,
			"custos %s: %s: %" PRIu64 " records were lost while "
			"recording\n",
			q->verb, q->path, q->totals.lost);
}

bool trace_query_open(
	struct trace_query *q, const char *verb, const char *path)
{
	struct error err = { 0 };

	*q = (struct trace_query){ .verb = verb, .path = path };
	if (trace_reader_open(path, &q->reader, &err)) {
		trace_query_fail(q, "%s", err.text);
		return false;
	}
	q->meta = trace_reader_meta(q->reader);
	trace_reader_totals(q->reader, &q->totals);
	tell_losses(q);
	q->images = calloc(
		(size_t)q->meta->program_count + 1, sizeof(struct image *));
	q->names = names_create();
	if (q->images && q->names)
		open_images(q);
	if (!q->images || !q->names || !name_processes(q)) {
		trace_query_fail(q, "out of memory");
		trace_query_close(q);
		return false;
	}
	q->callbacks = (struct trace_names){ .ctx = q,
		.symbol = name_symbol,
		.line = name_line,
		.text = name_text,
		.data = name_data,
		.inlined = name_inlined };
	trace_catch_interrupts();
	return true;
}

int trace_query_close(struct trace_query *q)
{
	if (!q->reader)
		return q->code;
	trace_query_tell_damage(q);
	names_destroy(q->names);
	for (uint32_t i = 0; q->images && i < q->meta->program_count; i++)
		image_close(q->images[i]);
	free(q->images);
	free(q->processes);
	trace_reader_close(q->reader);
	q->reader = NULL;
	return q->code;
}

bool trace_query_may_write(struct trace_query *q, const char *path)
{
	struct stat x, y;

	if (stat(path, &x) || stat(q->path, &y) || x.st_dev != y.st_dev ||
		x.st_ino != y.st_ino)
		return true;
	trace_query_fail(q, "%s would be written over itself", path);
	return false;
}

/* ---- records ---- */

static bool go_on(struct trace_query *q)
{
	if (q->done % PROGRESS_RECORDS == 0)
		trace_progress(q->verb, q->done, q->totals.records + 1);
	if (!interrupted)
		return true;
	trace_progress(q->verb, 0, 0);
	fprintf(stderr,
		"custos %s: interrupted after access %" PRIu64
		"; this is about what came before\n",
		q->verb, q->last_seq);
	q->code = CLI_INTERRUPTED;
	return false;
}

bool trace_query_next(struct trace_query *q, struct trace_record *out)
{
	struct error err = { 0 };
	int ret;

	if (q->code == CLI_FAILED || !go_on(q))
		return false;
	ret = trace_reader_next(q->reader, out, &err);
	if (ret < 0)
		trace_query_fail(q, "%s", err.text);
	else if (!ret)
		trace_progress(q->verb, 0, 0);
	if (ret != 1)
		return false;
	q->done++;
	q->last_seq = out->seq;
	return true;
}

bool trace_query_seek(struct trace_query *q, uint64_t seq)
{
	struct error err = { 0 };

	q->done = 0;
	if (!trace_reader_seek(q->reader, seq, &err))
		return true;
	trace_query_fail(q, "%s", err.text);
	return false;
}

int trace_query_finish(struct trace_query *q)
{
	trace_progress(q->verb, 0, 0);
	if ((fflush(stdout) || ferror(stdout)) && q->code != CLI_FAILED)
		trace_query_fail(q, "cannot write: %s", strerror(errno));
	return q->code;
}
