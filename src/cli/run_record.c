/* SPDX-License-Identifier: MIT */
/* custos run -r: what the session tells becomes a trace. */
#include <custos/trace.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cmd.h"
#include "cli/run.h"
#include "cli/run_describe.h"
#include "cli/run_state.h"

struct run_record {
	struct run *run;
	struct trace_writer *writer;
	struct session_recorder recorder;
	struct session_order order;
	struct trace_site_names names;
	struct run_state *state; /* NULL: several CPUs */
	uint64_t started_ns;
	size_t range_count; /* of the set; those behind came later */
	pthread_mutex_t range_mutex; /* guards it */
	struct buf symbol, line, text; /* of one site; the writer's lock */
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int open_writer(struct run *run, struct run_record *record)
{
	const struct run_options *o = &run->options;
	const struct trace_writer_options options = {
		.regs = o->record_regs,
		.stacks = o->record_stacks,
	};
	struct run_description about;
	struct error err = { 0 };
	int ret = -ENOMEM;

	if (run_describe(run, &about)) {
		record->started_ns = now_ns(CLOCK_MONOTONIC);
		ret = trace_writer_open(o->record, &about.meta, &options,
			&record->writer, &err);
	} else {
		error_set(&err, ret, "out of memory");
	}
	run_describe_fini(&about);
	return ret ? run_fail(run, "%s", err.text) : CLI_OK;
}

/* ---- what the session tells ---- */

static void add(struct run_record *record, struct trace_record *r)
{
	r->time_ns = now_ns(CLOCK_MONOTONIC) - record->started_ns;
	/* An error stays: told when the trace is closed. */
	trace_writer_add(record->writer, r, &record->names);
}

static void name_site(
	void *ctx, const struct access *access, struct trace_site *site)
{
	struct run_record *record = ctx;
	const struct trace_names *names = names_callbacks(record->run->names);

	buf_reset(&record->symbol);
	buf_reset(&record->line);
	buf_reset(&record->text);
	names->symbol(names->ctx, access->process, access->ip, &record->symbol);
	names->line(names->ctx, access->process, access->ip, &record->line);
	if (access->insn)
		names->text(names->ctx, access->insn, access->insn_len,
			access->ip, &record->text);
	site->symbol = buf_str(&record->symbol);
	site->line = buf_str(&record->line);
	site->text = buf_str(&record->text);
}

static bool get_regs(struct run_record *record, uint64_t *out)
{
	struct arch_regs regs;

	if (!session_regs(record->run->session, &regs))
		return false;
	memcpy(out, regs.gpr, sizeof(regs.gpr));
	out[ARCH_GPR_MAX] = regs.rip;
	out[ARCH_GPR_MAX + 1] = regs.rflags;
	return true;
}

static void on_access(void *ctx, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	struct run_record *record = ctx;
	const struct run_options *o = &record->run->options;
	uint64_t regs[TRACE_REGS], stack[TRACE_STACK_MAX + 1];
	struct trace_record r = {
		.kind = TRACE_ACCESS,
		.access = *access,
		.outcome = outcome,
		.final_bytes = final_bytes,
	};

	if (o->record_regs && get_regs(record, regs))
		r.regs = regs;
	if (o->record_stacks) {
		/* The first is the instruction itself. */
		r.stack = stack + 1;
		r.stack_count = (uint32_t)session_stack(record->run->session,
			stack, TRACE_STACK_MAX + 1);
		r.stack_count -= r.stack_count > 0;
	}
	if (record->state)
		run_state_access(record->state, record->run, access);
	add(record, &r);
}

static void on_start(void *ctx, const struct target_process *process)
{
	struct run_record *record = ctx;
	struct trace_record r = {
		.kind = TRACE_PROCESS_START,
		.process = process->id,
		.process_name = process->name,
		.program = run_program_of(record->run, process->image),
	};

	if (record->state)
		run_state_start(record->state, process);
	add(record, &r);
}

static void on_exit_of(
	void *ctx, const struct target_process *process, int64_t code)
{
	struct run_record *record = ctx;
	struct trace_record r = {
		.kind = TRACE_PROCESS_EXIT,
		.process = process->id,
		.exit_code = code,
	};

	if (record->state)
		run_state_exit(record->state, record->run, process, code);
	add(record, &r);
}

static void on_mark(
	void *ctx, const struct target_process *process, const char *text)
{
	struct trace_record r = {
		.kind = TRACE_MARKER,
		.process = process->id,
		.text = text,
	};

	add(ctx, &r);
}

/* Ranges that scripts made since. */
static void add_ranges(struct run_record *record, const struct range *range)
{
	pthread_mutex_lock(&record->range_mutex);
	while (record->range_count <= range->id) {
		const struct range *next = range_set_get(
			record->run->ranges, record->range_count++);
		const struct trace_range later = run_range_of(record->run, next);
		const struct trace_input input = {
			.kind = TRACE_INPUT_KEEP,
			.range = next->id,
			.value = next->joined,
		};

		trace_writer_range(record->writer, &later);
		trace_writer_input(record->writer, &input);
	}
	pthread_mutex_unlock(&record->range_mutex);
}

static void on_bind(void *ctx, uint64_t process, const struct range *range,
	uint64_t offset, uint32_t size, const uint8_t *bytes, frame_t frame)
{
	struct trace_record r = {
		.kind = TRACE_BIND,
		.process = process,
		.range = range->id,
		.offset = offset,
		.size = size,
		.bytes = bytes,
		.frame = frame,
	};

	add_ranges(ctx, range);
	add(ctx, &r);
}

static void on_unbind(void *ctx, uint64_t process, const struct range *range,
	uint64_t offset, uint32_t size)
{
	struct trace_record r = {
		.kind = TRACE_UNBIND,
		.process = process,
		.range = range->id,
		.offset = offset,
		.size = size,
	};

	add(ctx, &r);
}

/* ---- what the run cannot be repeated without ---- */

static void on_ordered(void *ctx, uint64_t before, uint64_t after)
{
	struct run_record *record = ctx;
	const struct trace_input input = {
		.kind = TRACE_INPUT_ORDER,
		.process = before,
		.other = after,
	};

	trace_writer_input(record->writer, &input);
}

static bool on_turn(void *ctx, unsigned cpu, bool begins)
{
	struct run_record *record = ctx;
	const struct trace_input input = {
		.kind = TRACE_INPUT_TURN,
		.cpu = cpu,
	};

	if (begins)
		trace_writer_input(record->writer, &input);
	return true;
}

static void on_written(void *ctx, uint64_t seq, uint64_t process, uint64_t va,
	const uint8_t *bytes, size_t len)
{
	struct run_record *record = ctx;

	while (len) {
		struct trace_input input = {
			.kind = TRACE_INPUT_WRITE,
			.seq = seq,
			.process = process,
			.address = va,
			.bytes = bytes,
		};

		input.size = len < TRACE_ACCESS_SIZE_MAX ?
			(uint32_t)len :
			TRACE_ACCESS_SIZE_MAX;
		trace_writer_input(record->writer, &input);
		va += input.size;
		bytes += input.size;
		len -= input.size;
	}
}

static void add_range_input(struct run_record *record,
	enum trace_input_kind kind, const struct range *range)
{
	const struct trace_input input = { .kind = kind, .range = range->id };

	trace_writer_input(record->writer, &input);
}

static void on_kept(void *ctx, const struct range *range)
{
	add_ranges(ctx, range);
}

static void on_released(void *ctx, const struct range *range)
{
	add_range_input(ctx, TRACE_INPUT_RELEASE, range);
}

static void on_revoked(void *ctx, const struct range *range)
{
	add_range_input(ctx, TRACE_INPUT_REVOKE, range);
}

/* False: the record of the access says it all. */
static bool describe_answer(const struct access *access, bool stepped,
	const struct verdict *verdict, struct trace_input *out)
{
	switch (verdict->kind) {
	case VERDICT_SERVE:
		out->answer = TRACE_ANSWER_VALUE;
		out->bytes = verdict->value;
		out->size = access->size;
		return access->kind == ACCESS_RMW;
	case VERDICT_DENY:
		out->answer = TRACE_ANSWER_FAULT;
		out->address = verdict->fault.address;
		out->value = verdict->fault.vector |
			(uint64_t)verdict->fault.error_code << 32;
		return true;
	case VERDICT_GRANT:
		out->answer = TRACE_ANSWER_GRANT;
		out->value = (verdict->grant_writes ? 1 : 0) |
			(verdict->grant == GRANT_ALL ? 2 : 0);
		return true;
	case VERDICT_HOLD:
		out->answer = TRACE_ANSWER_HELD;
		return true;
	case VERDICT_STEP:
		out->answer = TRACE_ANSWER_STEPS;
		return stepped;
	default:
		return false;
	}
}

static void on_answered(void *ctx, const struct access *access, bool stepped,
	const struct verdict *verdict)
{
	struct run_record *record = ctx;
	struct trace_input input = {
		.kind = TRACE_INPUT_ANSWER,
		.seq = access->seq,
		.range = access->range,
	};

	if (describe_answer(access, stepped, verdict, &input))
		trace_writer_input(record->writer, &input);
}

/* ---- opening and closing ---- */

static struct run_record *record_create(struct run *run)
{
	struct run_record *record = calloc(1, sizeof(*record));

	if (!record)
		return NULL;
	record->run = run;
	if (run->options.cpus == 1)
		record->state = run_state_create();
	record->range_count = range_set_count(run->ranges);
	pthread_mutex_init(&record->range_mutex, NULL);
	record->names = (struct trace_site_names){ record, name_site };
	record->recorder = (struct session_recorder){
		.ctx = record,
		.access = on_access,
		.process_start = on_start,
		.process_exit = on_exit_of,
		.mark = on_mark,
		.bind = on_bind,
		.unbind = on_unbind,
		.answered = on_answered,
		.ordered = on_ordered,
		.written = on_written,
		.kept = on_kept,
		.released = on_released,
		.revoked = on_revoked,
	};
	record->order = (struct session_order){
		.ctx = record,
		.turn = on_turn,
	};
	return record;
}

static void record_destroy(struct run_record *record)
{
	pthread_mutex_destroy(&record->range_mutex);
	run_state_destroy(record->state);
	buf_fini(&record->symbol);
	buf_fini(&record->line);
	buf_fini(&record->text);
	free(record);
}

int run_open_record(struct run *run)
{
	struct run_record *record;
	int code;

	if (!run->options.record)
		return CLI_OK;
	record = record_create(run);
	code = record ? open_writer(run, record) :
			run_fail(run, "out of memory");
	if (code == CLI_OK)
		run->record = record;
	else if (record)
		record_destroy(record);
	return code;
}

const struct session_recorder *run_recorder(struct run *run)
{
	return run->record ? &run->record->recorder : NULL;
}

const struct session_order *run_order(struct run *run)
{
	return run->record && run->options.virtual_time &&
			run->options.cpus > 1 ?
		&run->record->order :
		NULL;
}

void run_record_mark(struct run *run, const char *text)
{
	struct trace_record r = { .kind = TRACE_MARKER, .text = text };

	if (run->record)
		add(run->record, &r);
}

static void add_state(struct run_record *record)
{
	struct trace_input input = { .kind = TRACE_INPUT_STATE };

	if (!record->state || !record->run->target)
		return;
	input.value = run_state_finish(record->state, record->run);
	trace_writer_input(record->writer, &input);
}

int run_close_record(struct run *run, int64_t code)
{
	struct run_record *record = run->record;
	struct error err = { 0 };
	int ret;

	if (!record)
		return CLI_OK;
	run->record = NULL;
	add_state(record);
	ret = trace_writer_close(record->writer, code, &err);
	record_destroy(record);
	return ret ? run_fail(run, "%s", err.text) : CLI_OK;
}
