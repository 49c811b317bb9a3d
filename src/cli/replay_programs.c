/* SPDX-License-Identifier: MIT */
/* The programs of a trace, found again, and its ranges in them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/replay.h"
#include "cli/run_describe.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The command line's word on where a program is; of two with its name the one
 * that is what it was. NULL: where it was. */
static const char *given_path(
	const struct replay *replay, const struct trace_program *program)
{
	const struct run_options *o = &replay->run.options;
	const char *found = NULL;

	for (unsigned i = 0; i < o->arg_count; i++) {
		const char *path = o->args[i];

		if (run_hash_file(path) == program->hash)
			return path;
		if (!strcmp(base_name(path), program->name))
			found = path;
	}
	return found;
}

/* Where it was: a relative path is the recording's. malloc()ed. */
static char *old_path(
	const struct replay *replay, const struct trace_program *program)
{
	const struct trace_start *start = replay->query.meta->start;
	char *path;

	if (*program->path == '/' || !start || !*start->directory ||
		!access(program->path, F_OK))
		return strdup(program->path);
	return asprintf(&path, "%s/%s", start->directory, program->path) < 0 ?
		NULL :
		path;
}

static int open_program(struct replay *replay, const char *path,
	const struct trace_program *program, struct image **out)
{
	struct run *run = &replay->run;
	uint64_t hash = run_hash_file(path);

	if (hash && hash != program->hash && !run->options.changed) {
		run_fail(run,
			"%s is not the program that was recorded: its hash is "
			"%016" PRIx64 ", that of %s was %016" PRIx64
			"; name where that is behind the trace, or accept this "
			"one with --changed",
			path, hash, program->name, program->hash);
		return CLI_CANNOT_RUN;
	}
	return run_open_image(run, path, out);
}

/* Has every file named on the command line been of use? */
static int check_given(const struct replay *replay)
{
	const struct run_options *o = &replay->run.options;
	const struct trace_meta *meta = replay->query.meta;

	for (unsigned i = 0; i < o->arg_count; i++) {
		uint32_t n = 0;

		while (n < meta->program_count &&
			given_path(replay, &meta->programs[n]) != o->args[i])
			n++;
		if (n == meta->program_count)
			return run_fail(&replay->run,
				"%s is none of the programs of %s",
				o->args[i], o->trace);
	}
	return CLI_OK;
}

int replay_open_programs(struct replay *replay)
{
	const struct trace_meta *meta = replay->query.meta;
	struct run *run = &replay->run;
	int code = check_given(replay);

	if (code)
		return code;
	if (!meta->program_count || meta->program_count > RUN_PROGRAMS_MAX)
		return run_fail(run, "%s does not say which program ran",
			run->options.trace);
	for (uint32_t i = 0; i < meta->program_count && !code; i++) {
		const char *given = given_path(replay, &meta->programs[i]);
		char *path = given ? strdup(given) :
				     old_path(replay, &meta->programs[i]);

		if (!path)
			return run_fail(run, "out of memory");
		code = open_program(
			replay, path, &meta->programs[i], &run->images[i]);
		free(path);
		run->image_count += !code;
	}
	return code;
}

void replay_device_name(const struct replay *replay,
	const struct trace_range *range, char *out, size_t size)
{
	const struct trace_start *start = replay->query.meta->start;

	*out = '\0';
	if (!range->device)
		return;
	for (uint32_t i = 0; start && i < start->range_count; i++)
		if (start->ranges[i].id == range->id)
			snprintf(out, size, "%s", start->ranges[i].device);
	/* As it was written, which is its name unless a script gave another. */
	if (!*out && !strncmp(range->name, "device:", 7))
		snprintf(out, size, "%.*s",
			(int)strcspn(range->name + 7, "+"), range->name + 7);
}

static bool describe_range(const struct replay *replay,
	const struct trace_range *range, struct buf *out)
{
	char device[32];

	replay_device_name(replay, range, device, sizeof(device));
	if (range->device)
		buf_printf(out, "device:%s+0x%" PRIx64, device, range->length);
	else if (range->program < replay->run.image_count)
		buf_printf(out, "%s!0x%" PRIx64 "+0x%" PRIx64,
			image_name(replay->run.images[range->program]),
			range->address, range->length);
	return !out->failed && out->len;
}

static const struct trace_range *find_range(
	const struct trace_meta *meta, uint32_t id)
{
	for (uint32_t i = 0; i < meta->range_count; i++)
		if (meta->ranges[i].id == id)
			return &meta->ranges[i];
	return NULL;
}

int replay_add_range(struct replay *replay, uint32_t id,
	struct keeper *keeper, struct range **out, struct error *err)
{
	const struct trace_range *range =
		find_range(replay->query.meta, id);
	struct run *run = &replay->run;
	struct buf text = BUF_INIT;
	int ret;

	if (range && describe_range(replay, range, &text))
		ret = range_set_add_as(run->ranges, buf_str(&text),
			range->name, run->host.images, run->image_count,
			keeper, run->options.fallback, NULL, out, err);
	else
		ret = error_set(err, -EINVAL,
			"range %" PRIu32 " of the trace is not known", id);
	buf_fini(&text);
	return ret;
}

int replay_add_ranges(struct replay *replay, struct keeper *keeper)
{
	const struct trace_meta *meta = replay->query.meta;
	struct error err = { 0 };
	struct range *range;

	for (uint32_t i = 0; i < meta->range_count; i++)
		if (replay_add_range(replay, meta->ranges[i].id, keeper,
			    &range, &err))
			return run_fail(&replay->run, "%s", err.text);
	return CLI_OK;
}
