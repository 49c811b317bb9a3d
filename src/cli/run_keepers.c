/* SPDX-License-Identifier: MIT */
/* The keepers of a run and what they keep. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/run.h"
#include "keeper/script.h"

/* ---- what a script may ask of us ---- */

/* In its place among the accesses, when these go to standard error, too. */
static void script_print(void *ctx, const char *text, size_t len)
{
	struct run *run = ctx;
	struct buf line = BUF_INIT;

	if (!run->sink || run->options.output) {
		run_status_write(run, text, len);
	} else if (run->options.json) {
		buf_add(&line, text, len - 1); /* without its newline */
		trace_sink_note(run->sink, "print", buf_str(&line));
		buf_fini(&line);
	} else {
		trace_sink_lines(run->sink, text, len);
	}
}

static void script_mark(void *ctx, const char *text)
{
	run_record_mark(ctx, text);
}

static size_t script_read(
	void *ctx, uint64_t process, uint64_t va, void *bytes, size_t len)
{
	struct run *run = ctx;

	return run->world->read(run, process, va, bytes, len);
}

static size_t script_write(
	void *ctx, uint64_t process, uint64_t va, const void *bytes, size_t len)
{
	struct run *run = ctx;

	return run->world->write ?
		run->world->write(run, process, va, bytes, len) :
		0;
}

static int script_keep(void *ctx, struct range *range, struct error *err)
{
	struct run *run = ctx;

	return run->world->keep(run, range, err);
}

static bool script_release(
	void *ctx, struct range *range, struct keeper *keeper)
{
	struct run *run = ctx;

	return run->world->release(run, range, keeper);
}

static int script_revoke(void *ctx, struct range *range)
{
	struct run *run = ctx;

	return run->world->revoke(run, range);
}

static size_t script_held_size(void *ctx, uint64_t seq)
{
	struct run *run = ctx;

	return run->world->held_size(run, seq);
}

/* From any callback of a plugin, too; before the run, nothing is held. */
static int script_resume(void *ctx, uint64_t seq,
	const struct verdict *verdict, const uint8_t *value, size_t size)
{
	struct run *run = ctx;

	return run->world->resume(run, seq, verdict, value, size);
}

static int open_script(struct run *run)
{
	const struct run_options *o = &run->options;
	const struct script_options options = {
		.trusted = o->trusted,
		.budget_ms = o->budget_ms,
		.fallback = o->fallback,
		.names = names_callbacks(run->names),
		.print = script_print,
		.mark = script_mark,
		.read = script_read,
		.write = run->world->write ? script_write : NULL,
		.keep = script_keep,
		.release = script_release,
		.revoke = script_revoke,
		.held_size = script_held_size,
		.resume = script_resume,
		.ctx = run,
	};
	struct error err = { 0 };

	if (!o->script) {
		run->keeper = keeper_pass_create();
		return run->keeper ? CLI_OK : run_fail(run, "out of memory");
	}
	if (script_open(o->script, &options, &run->keeper, &err))
		return run_fail(run, "%s", err.text);
	script_set_summary(run->keeper, run->stats, &run->numbers);
	return CLI_OK;
}

/* ---- built-in keepers ---- */

/* Where people look, behind the accesses that led to it. */
static void on_finding(void *ctx, const char *keeper, const char *text)
{
	struct run *run = ctx;

	struct buf line = BUF_INIT;

	if (run->sink && (run->options.json || run->options.output)) {
		buf_add(&line, text, strlen(text) - 1); /* no newline */
		trace_sink_note(run->sink, keeper, buf_str(&line));
		buf_fini(&line);
	}
	if (run->options.json && !run->options.output)
		return;
	if (run->sink)
		trace_sink_flush(run->sink);
	run_status_write(run, text, strlen(text));
}

static size_t on_stack(void *ctx, uint64_t *out_ips, size_t max)
{
	struct run *run = ctx;

	return run->world->stack(run, out_ips, max);
}

static void set_hosts(struct run *run)
{
	run->host = (struct builtin_host){
		.names = names_callbacks(run->names),
		.images = (const struct image *const *)run->images,
		.image_count = run->image_count,
		.finding = on_finding,
		.stack = on_stack,
		.ctx = run,
	};
	run->plugin_host = (struct plugin_host){
		.names = names_callbacks(run->names),
		.log = script_print,
		.finding = on_finding,
		.read = script_read,
		.write = script_write,
		.stack = on_stack,
		.resume = script_resume,
		.ctx = run,
	};
}

int run_open_keepers(struct run *run)
{
	set_hosts(run);
	return open_script(run);
}

/* ---- ranges ---- */

static int add_filter(
	struct run *run, const struct run_keep *keep, struct range *range)
{
	struct filter *filter;
	struct error err = { 0 };

	if (!keep->when)
		return CLI_OK;
	filter = calloc(1, sizeof(*filter));
	if (!filter)
		return run_fail(run, "out of memory");
	if (filter_parse(keep->when, run->host.images, run->image_count, filter,
		    &err)) {
		free(filter);
		return run_fail(run, "--when: %s", err.text);
	}
	range_set_filter(range, filter);
	return CLI_OK;
}

/* -k: the script's, or printed. */
static int add_plain(struct run *run, const struct run_keep *keep)
{
	struct error err = { 0 };
	struct range *range;

	if (range_set_add(run->ranges, keep->text, run->host.images,
		    run->image_count, run->keeper, run->options.fallback,
		    &range, &err))
		return run_fail(run, "-k %s", err.text);
	range->silent = false; /* a built-in may have been there before */
	range->joined = run->options.joined;
	return add_filter(run, keep, range);
}

/* option: whose range it is, for messages. */
static int add_range_of(struct run *run, const struct run_keep *keep,
	const char *option, const char *text, struct keeper *keeper)
{
	const struct run_options *o = &run->options;
	size_t before = range_set_count(run->ranges);
	struct error err = { 0 };
	struct range *range;

	if (range_set_add(run->ranges, text, run->host.images, run->image_count,
		    keeper, o->fallback, &range, &err))
		return run_fail(run, "--%s: %s", option, err.text);
	if (range_set_count(run->ranges) > before)
		range->silent = !o->output && !o->print && !o->json;
	return add_filter(run, keep, range);
}

static int add_builtin(struct run *run, const struct run_keep *keep)
{
	struct builtin_ranges ranges = { .count = 0 };
	struct keeper *keeper = NULL;
	struct error err = { 0 };
	int code = CLI_OK;

	if (run->builtin_count == RUN_BUILTINS_MAX)
		return run_fail(run, "more than %d built-in keepers",
			RUN_BUILTINS_MAX);
	if (keep->builtin->create(
		    keep->text, &run->host, &keeper, &ranges, &err))
		return run_fail(run, "--%s: %s", keep->builtin->name,
			err.text);
	run->builtins[run->builtin_count++] = keeper;
	for (size_t i = 0; i < ranges.count && !code; i++)
		code = add_range_of(run, keep, keep->builtin->name,
			ranges.text[i], keeper);
	return code;
}

/* FILE[:ARGUMENT] */
static int open_plugin(
	struct run *run, const char *text, struct keeper **out)
{
	const char *argument = strchr(text, ':');
	struct error err = { 0 };
	char *path;
	int ret;

	path = argument ? strndup(text, (size_t)(argument - text)) :
			  strdup(text);
	if (!path)
		return run_fail(run, "out of memory");
	ret = plugin_open(path, argument ? argument + 1 : "",
		&run->plugin_host, out, &err);
	free(path);
	return ret ? run_fail(run, "--plugin: %s", err.text) : CLI_OK;
}

static int add_plugin(struct run *run, const struct run_keep *keep)
{
	struct keeper *keeper = NULL;
	int code;

	if (run->builtin_count == RUN_BUILTINS_MAX)
		return run_fail(run, "more than %d keepers",
			RUN_BUILTINS_MAX);
	code = open_plugin(run, keep->text, &keeper);
	if (code)
		return code;
	run->builtins[run->builtin_count++] = keeper;
	for (size_t i = 0; i < plugin_range_count(keeper) && !code; i++)
		code = add_range_of(run, keep, "plugin",
			plugin_range(keeper, i), keeper);
	return code;
}

/* In the order of the command line: so the keepers of a range are asked. */
int run_add_ranges(struct run *run)
{
	const struct run_options *o = &run->options;
	struct error err = { 0 };

	for (size_t i = 0; i < o->keep_count; i++) {
		const struct run_keep *keep = &o->keeps[i];
		int code = keep->plugin ? add_plugin(run, keep) :
			keep->builtin	? add_builtin(run, keep) :
					  add_plain(run, keep);

		if (code)
			return code;
	}
	if (o->script && script_add_ranges(run->keeper, run->ranges,
				 run->host.images, run->image_count, &err))
		return run_fail(run, "%s", err.text);
	return CLI_OK;
}

/* Device ranges name the machine's devices; the longest of a name counts. */
int run_collect_devices(struct run *run)
{
	for (size_t i = 0; i < range_set_count(run->ranges); i++) {
		const struct range *range = range_set_get(run->ranges, i);
		unsigned n = 0;

		if (!range->device)
			continue;
		while (n < run->device_count &&
			strcmp(run->devices[n].name, range->device_name))
			n++;
		if (n == RUN_PROGRAMS_MAX)
			return run_fail(run, "more than %d devices",
				RUN_PROGRAMS_MAX);
		if (n == run->device_count)
			run->devices[run->device_count++] = (struct vmm_device){
				.name = range->device_name,
			};
		if (run->devices[n].size < range->length)
			run->devices[n].size = range->length;
	}
	return CLI_OK;
}

/* ---- the run's start and end ---- */

static void tell_keeper(struct keeper *keeper,
	enum keeper_status (*event)(struct keeper *keeper, struct error *err))
{
	struct error err = { 0 };

	if (event(keeper, &err) != KEEPER_OK)
		fprintf(stderr, "custos: %s\n", err.text);
}

void run_start_keepers(struct run *run)
{
	run->keeper->timed = run->options.cost;
	for (unsigned i = 0; i < run->builtin_count; i++)
		run->builtins[i]->timed = run->options.cost;
	for (unsigned i = 0; i < run->builtin_count; i++)
		tell_keeper(run->builtins[i], keeper_start);
	tell_keeper(run->keeper, keeper_start);
}

void run_finish_keepers(struct run *run)
{
	for (unsigned i = 0; i < run->builtin_count; i++)
		tell_keeper(run->builtins[i], keeper_finish);
	tell_keeper(run->keeper, keeper_finish);
}

void run_close_keepers(struct run *run)
{
	for (unsigned i = 0; i < run->builtin_count; i++)
		keeper_destroy(run->builtins[i]);
	keeper_destroy(run->keeper);
}
