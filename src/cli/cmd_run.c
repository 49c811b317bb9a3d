/* SPDX-License-Identifier: MIT */
/* custos run: from a command line to a session, and its summary. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/ticks.h"
#include "cli/cmd.h"
#include "cli/run.h"

/* For the signal handler: the target of the one run of this process. */
static struct target *volatile running;
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	/* The second time we do not wait for an orderly end. */
	if (interrupted)
		_exit(CLI_INTERRUPTED);
	interrupted = signal;
	if (running)
		target_stop(running);
}

void run_catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_interrupt };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	/* A closed pipe is a write error, told where it matters. */
	signal(SIGPIPE, SIG_IGN);
}

bool run_is_interrupted(void)
{
	return interrupted;
}

int run_fail(const struct run *run, const char *format, ...)
{
	char text[ERROR_TEXT_MAX + 256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return cmd_fail(run->options.verb, "%s", text);
}

static int open_code(int err)
{
	switch (err) {
	case -ENOENT:
		return CLI_NOT_FOUND;
	case -ENOEXEC:
	case -EINVAL:
	case -EACCES:
	case -EISDIR:
		return CLI_CANNOT_RUN;
	default:
		return CLI_FAILED;
	}
}

int run_open_image(
	const struct run *run, const char *path, struct image **out)
{
	struct error err = { 0 };
	int ret = image_open(path, out, &err);

	if (!ret)
		return CLI_OK;
	run_fail(run, "%s", err.text);
	return open_code(ret);
}

static int open_images(struct run *run)
{
	const struct run_options *o = &run->options;
	int code;

	if (o->system) {
		code = run_open_system(run);
		if (code || !o->kernel)
			return code;
		return run_open_image(run, o->kernel, &run->kernel);
	}
	code = run_open_image(run, o->args[0], &run->images[0]);
	if (code)
		return code;
	run->paths[0] = o->args[0];
	run->image_count = 1;
	for (size_t i = 0; i < o->modules.count; i++) {
		if (run->image_count == RUN_PROGRAMS_MAX)
			return run_fail(run, "more than %d programs",
				RUN_PROGRAMS_MAX);
		code = run_open_image(run, o->modules.items[i],
			&run->images[run->image_count]);
		if (code)
			return code;
		run->paths[run->image_count++] = o->modules.items[i];
	}
	return o->kernel ? run_open_image(run, o->kernel, &run->kernel) : CLI_OK;
}

int run_open_sink(struct run *run)
{
	const struct run_options *o = &run->options;
	struct error err = { 0 };

	/* Scripts and built-ins speak for themselves, unless more is asked
	 * for. */
	if ((o->script || !o->plain_count || o->record) && !o->output &&
		!o->print && !o->json)
		return CLI_OK;
	if (trace_sink_open(o->output, STDERR_FILENO,
		    o->json ? TRACE_SINK_JSON : TRACE_SINK_TEXT,
		    names_callbacks(run->names), &run->sink, &err))
		return run_fail(run, "%s", err.text);
	return CLI_OK;
}

static int create_target(struct run *run)
{
	const struct image *modules[RUN_PROGRAMS_MAX + 1];
	struct vmm_config config = VMM_CONFIG_INIT;
	struct error err = { 0 };

	config.cpus = run->options.cpus;
	config.memory = run->options.memory;
	config.virtual_time = run->options.virtual_time;
	config.no_table_sharing = run->options.no_table_sharing;
	config.repeated = run->repeats;
	config.ordered = run->repeats || run_order(run);
	config.kernel = run->kernel;
	config.modules = (const struct image *const *)run->images;
	config.module_count = run->image_count;
	if (run->builder) {
		modules[0] = run->builder;
		for (unsigned i = 0; i < run->image_count; i++)
			modules[i + 1] = run->images[i];
		config.modules = modules;
		config.module_count++;
		config.data = run->description.data;
		config.data_size = run->description.len;
		config.data_va = CUSTOS_SYSTEM_VA;
	}
	config.devices = run->devices;
	config.device_count = run->device_count;
	config.args = (const char *const *)run->options.args;
	config.arg_count = run->options.arg_count;
	if (run_status_wants_console(run)) {
		config.console = run_status_console;
		config.console_ctx = run;
	}
	if (vmm_create(&config, &run->target, &err))
		return run_fail(run, "%s", err.text);
	return CLI_OK;
}

static void on_report(void *ctx, const char *text, size_t len)
{
	struct run *run = ctx;

	/* Behind the accesses that led to it. */
	if (run->sink)
		trace_sink_flush(run->sink);
	run_status_write(run, text, len);
}

static void on_decided(
	void *ctx, const struct access *access, enum outcome outcome)
{
	struct run *run = ctx;

	stats_count(run->stats, access, outcome);
}

static int create_session(struct run *run)
{
	const struct session_config config = {
		.target = run->target,
		.ranges = run->ranges,
		.names = run->names,
		.sink = run->sink,
		.timed = run->options.cost,
		.recorder = run->recorder ? run->recorder : run_recorder(run),
		.order = run->order ? run->order : run_order(run),
		.decided = on_decided,
		.report = on_report,
		.ctx = run,
	};
	struct error err = { 0 };

	if (session_create(&config, &run->session, &err))
		return run_fail(run, "%s", err.text);
	return CLI_OK;
}

int run_create_machine(struct run *run)
{
	int code = create_target(run);

	return code ? code : create_session(run);
}

/* ---- the run itself ---- */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double run_seconds(const struct run *run)
{
	return now() - run->started;
}

static void take_numbers(const struct run *run, struct stats_numbers *out)
{
	struct session_summary summary;
	uint64_t ticks = ticks_now() - run->started_ticks;

	session_summary(run->session, &summary);
	*out = (struct stats_numbers){
		.seconds = run_seconds(run),
		.steps = summary.steps,
		.holds = summary.holds,
		.still_held = summary.still_held,
		.verified_bytes = summary.verified_bytes,
		.page_mates = summary.page_mates,
		.waits = summary.waits,
		.keeper_errors = summary.keeper_errors,
		.checked = true,
		.missed = summary.missed,
	};
	for (int i = 0; i < STATS_TRAP_MAX; i++) {
		out->traps[i] = summary.traps[i];
		out->trap_ticks[i] = summary.trap_ticks[i];
	}
	if (run->options.cost && ticks)
		out->ns_per_tick = out->seconds * 1e9 / (double)ticks;
	snprintf(out->missed_why, sizeof(out->missed_why), "%s",
		summary.missed_why);
}

int run_machine(struct run *run)
{
	struct error err = { 0 };
	int ret;

	run->started = now();
	run->started_ticks = ticks_now();
	run_start_keepers(run);
	running = run->target;
	if (interrupted)
		target_stop(running);
	run_status_start(run);
	ret = session_run(run->session, &run->result, &err);
	run_status_stop(run);
	running = NULL;
	run->seconds = run_seconds(run);
	take_numbers(run, &run->numbers);
	run_finish_keepers(run);
	if (ret)
		return run_fail(run, "%s", err.text);
	return CLI_OK;
}

int run_exit_code(const struct run *run)
{
	switch (run->result.end) {
	case TARGET_EXITED:
		return run->result.code & 0xff;
	case TARGET_STOPPED:
		return interrupted ? CLI_INTERRUPTED : CLI_STOPPED;
	case TARGET_CRASHED:
		return CLI_CRASHED;
	case TARGET_FAILED:
		break;
	}
	return CLI_FAILED;
}

static const char *end_name(const struct run *run)
{
	switch (run->result.end) {
	case TARGET_EXITED:
		return "exited";
	case TARGET_STOPPED:
		return interrupted ? "interrupted" : "stopped";
	case TARGET_CRASHED:
		return "crashed";
	case TARGET_FAILED:
		break;
	}
	return "failed";
}

/* How it ended, which the counters do not know. */
void run_describe_end(const struct run *run, struct buf *out)
{
	if (run->options.json)
		buf_printf(out,
			"{\"event\":\"end\",\"end\":\"%s\",\"code\":%d,"
			"\"seconds\":%.6f}\n",
			end_name(run), run_exit_code(run), run->seconds);
	else
		buf_printf(out, "custos: %s with code %d after %.3f s\n",
			end_name(run), run_exit_code(run), run->seconds);
}

static void describe_unmapped_range(
	const struct run *run, const struct range *range, struct buf *out)
{
	if (run->options.json) {
		buf_add_str(out, "{\"event\":\"never_mapped\",\"text\":");
		buf_add_json(out, range->name, strlen(range->name));
		buf_add_str(out, "}\n");
	} else {
		buf_printf(out,
			"custos: `%s' was never mapped by a process of %s: "
			"nothing was kept there\n",
			range->name, image_name(range->image));
	}
}

#define UNMAPPED_SHOWN 10

/* Nothing seen there means nothing: say so. */
static void describe_unmapped(const struct run *run, struct buf *out)
{
	size_t count = 0;

	for (size_t i = 0; i < range_set_count(run->ranges); i++) {
		const struct range *range = range_set_get(run->ranges, i);

		if (range->device || range->ever_bound)
			continue;
		count++;
		if (run->options.json || count <= UNMAPPED_SHOWN)
			describe_unmapped_range(run, range, out);
	}
	if (count > UNMAPPED_SHOWN && !run->options.json)
		buf_printf(out, "custos: and %zu more such ranges\n",
			count - UNMAPPED_SHOWN);
}

#define SUMMARY_SITES 20

void run_describe_counts(struct run *run,
	const struct stats_numbers *numbers, struct buf *out)
{
	const struct run_options *o = &run->options;

	if (!range_set_count(run->ranges) && !o->json) {
		buf_printf(out, "nothing was kept\n");
		return;
	}
	stats_print(run->stats, run->ranges, names_callbacks(run->names),
		numbers, o->json ? TRACE_SINK_JSON : TRACE_SINK_TEXT,
		SUMMARY_SITES, out);
}

void run_print_summary(struct run *run, const struct buf *out)
{
	if (!run->sink) {
		run_status_write(run, buf_str(out), out->len);
		return;
	}
	trace_sink_lines(run->sink, buf_str(out), out->len);
	trace_sink_flush(run->sink);
}

static void summarize(struct run *run)
{
	struct buf out = BUF_INIT;

	if (run->options.quiet)
		return;
	run_describe_end(run, &out);
	describe_unmapped(run, &out);
	run_describe_counts(run, &run->numbers, &out);
	run_print_summary(run, &out);
	buf_fini(&out);
}

void run_summarize_now(struct run *run)
{
	struct stats_numbers numbers;
	struct buf out = BUF_INIT;

	session_check(run->session);
	take_numbers(run, &numbers);
	numbers.running = true;
	if (!run->options.json)
		buf_printf(&out, "custos: running for %.3f s\n",
			numbers.seconds);
	run_describe_counts(run, &numbers, &out);
	run_print_summary(run, &out);
	buf_fini(&out);
}

int run_close_sink(struct run *run)
{
	struct trace_sink *sink = run->sink;
	struct error err = { 0 };

	run->sink = NULL;
	if (sink && trace_sink_close(sink, &err))
		return run_fail(run, "%s", err.text);
	return CLI_OK;
}

static int run_all(struct run *run)
{
	static int (*const steps[])(struct run *run) = {
		open_images, /* who has which symbols */
		run_open_keepers, /* the script says which ranges it wants */
		run_add_ranges, /* resolved against the symbols */
		run_add_system_devices,
		run_collect_devices, /* ranges say which devices there are */
		run_open_sink, /* before the machine: a full disk shows early */
		run_open_record,
		run_create_machine,
		run_machine,
	};
	int code, closed, recorded;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		code = steps[i](run);
		if (code)
			return code;
	}
	summarize(run);
	code = run_exit_code(run);
	closed = run_close_sink(run);
	recorded = run_close_record(run, code);
	closed = closed ? closed : recorded;
	return closed ? closed : code;
}

bool run_create_tables(struct run *run)
{
	run->names = names_create();
	run->ranges = range_set_create();
	run->stats = stats_create();
	return run->names && run->ranges && run->stats;
}

void run_close_tables(struct run *run)
{
	range_set_destroy(run->ranges);
	run_close_keepers(run);
	stats_destroy(run->stats);
	names_destroy(run->names);
	for (unsigned i = 0; i < run->image_count; i++)
		image_close(run->images[i]);
	image_close(run->kernel);
}

static void run_fini(struct run *run)
{
	run_close_sink(run);
	run_close_record(run, CLI_FAILED);
	session_destroy(run->session);
	target_destroy(run->target);
	run_close_tables(run);
	run_close_system(run);
	run_options_free(&run->options);
}

int cmd_run(int argc, char **argv)
{
	struct run run = { .world = &run_live };
	int code = run_options_read(argc, argv, &run.options);

	if (code >= 0) {
		run_options_free(&run.options);
		return code;
	}
	if (run.options.dry_run || run.options.dot) {
		code = run_show_system(&run);
		run_close_system(&run);
		run_options_free(&run.options);
		return code;
	}
	run_catch_signals();
	run_status_init(&run);
	if (run_create_tables(&run))
		code = run_all(&run);
	else
		code = run_fail(&run, "out of memory");
	run_fini(&run);
	return code;
}
