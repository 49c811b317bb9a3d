/* SPDX-License-Identifier: MIT */
/* custos replay --run: the same programs on the same machine, checked. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/replay.h"
#include "cli/replay_check.h"
#include "cli/replay_scan.h"
#include "cli/run_describe.h"

/* What may make it another run, through no fault of the program's. */
void replay_note(struct replay *replay, const char *format, ...)
{
	struct run *run = &replay->run;
	struct buf line = BUF_INIT;
	va_list args;

	va_start(args, format);
	buf_vprintf(&line, format, args);
	va_end(args);
	if (run->options.json && run->sink)
		trace_sink_note(run->sink, "note", buf_str(&line));
	else if (!run->options.quiet)
		fprintf(stderr, "custos: note: %s\n", buf_str(&line));
	buf_fini(&line);
}

static int open_kernel(struct replay *replay)
{
	const struct trace_start *start = replay->query.meta->start;
	struct run *run = &replay->run;
	uint64_t hash = *start->kernel ? run_hash_file(start->kernel) :
					 run_hash_kernel();

	if (hash != start->kernel_hash && !run->options.changed) {
		run_fail(run,
			"the guest's kernel %sis not the one of the recording: "
			"its hash is %016" PRIx64 ", it was %016" PRIx64
			"; accept it with --changed",
			*start->kernel ? "" : "inside this custos ", hash,
			start->kernel_hash);
		return CLI_CANNOT_RUN;
	}
	return *start->kernel ?
		run_open_image(run, start->kernel, &run->kernel) :
		CLI_OK;
}

/* The machine as it was. */
static int take_start(struct replay *replay)
{
	const struct trace_meta *meta = replay->query.meta;
	const struct trace_start *start = meta->start;
	struct run *run = &replay->run;

	if (!start || !start->arg_count || !meta->cpus ||
		meta->cpus > 16)
		return run_fail(run,
			"%s does not say how the run was started: it is a part "
			"of a trace, or not of custos run",
			run->options.trace);
	run->options.cpus = meta->cpus;
	run->options.memory = start->memory;
	run->options.virtual_time = start->flags & TRACE_START_VIRTUAL_TIME;
	run->options.args = (char **)(uintptr_t)start->args;
	run->options.arg_count = start->arg_count;
	return open_kernel(replay);
}

/* Those there were at the start, behind what the user wants to keep. */
static int add_range(
	struct replay *replay, const struct trace_start_range *start)
{
	struct run *run = &replay->run;
	size_t before = range_set_count(run->ranges);
	struct error err = { 0 };
	struct range *range;

	if (replay_add_range(replay, start->id,
		    replay_check_keeper(replay->check), &range, &err))
		return run_fail(run, "%s", err.text);
	if (replay_check_range(replay->check, range, start->id))
		return run_fail(run, "out of memory");
	range->joined = start->joined;
	if (range_set_count(run->ranges) > before)
		range->silent = !run->options.print && !run->options.output;
	return CLI_OK;
}

static int add_ranges(struct replay *replay)
{
	const struct trace_start *start = replay->query.meta->start;
	int code = run_add_ranges(&replay->run);

	replay->check = replay_check_create(replay);
	if (!replay->check)
		return run_fail(&replay->run, "out of memory");
	replay->run.recorder = replay_check_recorder(replay->check);
	replay->run.order = replay_check_order(replay->check);
	replay->run.repeats =
		replay->run.order && replay->run.options.virtual_time;
	for (uint32_t i = 0; i < start->range_count && !code; i++)
		code = add_range(replay, &start->ranges[i]);
	return code;
}

static void warn(struct replay *replay)
{
	const struct trace_meta *meta = replay->query.meta;
	struct run *run = &replay->run;

	if (!run->options.virtual_time)
		replay_note(replay,
			"recorded without --virtual-time: clocks, and which "
			"process runs when, may differ");
	if (meta->cpus > 1)
		replay_note(replay,
			"%" PRIu32 " CPUs: accesses to kept bytes%s come in "
			"their order, others as they will",
			meta->cpus,
			run->options.virtual_time ?
				" and work in the guest's kernel" :
				"");
	if (strcmp(meta->kvm, run_kvm_name()))
		replay_note(replay,
			"recorded on another kind of KVM (%s; this is %s): "
			"what CPUID tells may differ",
			meta->kvm, run_kvm_name());
	for (unsigned i = 0; i < run->image_count; i++)
		replay_scan_program(replay, run->images[i]);
}

/* ---- how it ended ---- */

static void describe_state(const struct replay_verdict *v, struct buf *out)
{
	if (!v->has_state)
		return;
	buf_printf(out, "state         %016" PRIx64, v->state);
	if (v->has_recorded_state && v->state == v->recorded_state)
		buf_add_str(out, ", as recorded");
	else if (v->has_recorded_state && !v->diverged && !v->cut)
		buf_printf(out, ", recorded %016" PRIx64, v->recorded_state);
	buf_add_char(out, '\n');
}

static void describe_people(const struct replay *replay,
	const struct replay_verdict *v, struct buf *out)
{
	buf_printf(out, "custos: replayed %s: %" PRIu64 " accesses as recorded",
		replay->run.options.trace, v->accesses);
	if (v->diverged)
		buf_add_str(out, ", then it diverged");
	else if (v->cut)
		buf_add_str(out, ", and nothing more is recorded");
	else if (v->stopped)
		buf_add_str(out, ", as far as it went");
	buf_add_char(out, '\n');
	describe_state(v, out);
}

static void describe_programs(const struct replay_verdict *v, struct buf *out)
{
	buf_printf(out,
		"{\"event\":\"replayed\",\"accesses\":%" PRIu64
		",\"diverged\":%s,\"cut\":%s",
		v->accesses, v->diverged ? "true" : "false",
		v->cut ? "true" : "false");
	if (v->has_state)
		buf_printf(out, ",\"state\":\"%016" PRIx64 "\"", v->state);
	if (v->has_recorded_state)
		buf_printf(out, ",\"recorded_state\":\"%016" PRIx64 "\"",
			v->recorded_state);
	buf_add_str(out, "}\n");
}

static void summarize(struct replay *replay, const struct replay_verdict *v)
{
	struct run *run = &replay->run;
	struct buf out = BUF_INIT;

	if (run->options.quiet)
		return;
	if (!v->diverged && !v->cut)
		run_describe_end(run, &out);
	if (run->options.json)
		describe_programs(v, &out);
	else
		describe_people(replay, v, &out);
	if (run->options.keep_count || run->options.script ||
		run->options.json)
		run_describe_counts(run, &run->numbers, &out);
	run_print_summary(run, &out);
	buf_fini(&out);
}

static int exit_code(
	const struct replay *replay, const struct replay_verdict *v)
{
	if (v->failed)
		return CLI_FAILED;
	if (v->diverged)
		return CLI_NO;
	return v->stopped ? run_exit_code(&replay->run) : CLI_OK;
}

int replay_run_again(struct replay *replay)
{
	struct run *run = &replay->run;
	struct replay_verdict verdict;
	int code = take_start(replay), closed;

	if (!code)
		code = run_open_keepers(run);
	if (!code)
		code = add_ranges(replay);
	if (!code)
		code = run_collect_devices(run);
	if (!code)
		code = run_open_sink(run);
	if (!code)
		code = run_create_machine(run);
	if (code)
		return code;
	warn(replay);
	run_catch_signals();
	replay_check_begin(replay->check);
	code = run_machine(run);
	if (code)
		return code;
	replay_check_end(replay->check, run_exit_code(run),
		run->result.end == TARGET_STOPPED);
	replay_check_verdict(replay->check, &verdict);
	summarize(replay, &verdict);
	closed = run_close_sink(run);
	return closed ? closed : exit_code(replay, &verdict);
}
