/* SPDX-License-Identifier: MIT */
/* custos run -r: what the session tells becomes a trace. */
#include <custos/trace.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/run.h"
#include "trace/trace_format.h"

struct run_record {
	struct run *run;
	struct trace_writer *writer;
	struct session_recorder recorder;
	struct trace_site_names names;
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

/* ---- what the trace is about ---- */

/* 0 when the file cannot be read: it is told what it was, not why not. */
static uint64_t hash_file(const char *path)
{
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	uint64_t hash = 0;
	struct stat st;
	void *bytes;

	if (fd < 0)
		return 0;
	if (!fstat(fd, &st) && st.st_size > 0) {
		bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE,
			fd, 0);
		if (bytes != MAP_FAILED) {
			hash = trace_hash(bytes, (size_t)st.st_size);
			munmap(bytes, (size_t)st.st_size);
		}
	}
	close(fd);
	return hash;
}

static uint32_t program_of(const struct run *run, const struct image *image)
{
	for (unsigned i = 0; image && i < run->image_count; i++)
		if (run->images[i] == image)
			return i;
	return UINT32_MAX;
}

static struct trace_range range_of(
	const struct run *run, const struct range *range)
{
	return (struct trace_range){
		.id = range->id,
		.name = range->name,
		.device = range->device,
		.program = range->device ? 0 : program_of(run, range->image),
		.address = range->address,
		.length = range->length,
	};
}

static const char *kvm_name(void)
{
	if (!access("/sys/module/kvm_pvm", F_OK))
		return "pvm";
	if (!access("/sys/module/kvm_amd", F_OK))
		return "svm";
	return access("/sys/module/kvm_intel", F_OK) ? "" : "vmx";
}

/* As a shell would want it. */
static void add_word(struct buf *out, const char *word)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789+-_./,:=@%!";

	if (*word && !word[strspn(word, plain)]) {
		buf_add_str(out, word);
		return;
	}
	buf_add_char(out, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			buf_add_str(out, "'\\'");
		buf_add_char(out, *word);
	}
	buf_add_char(out, '\'');
}

static void describe_command(const struct run *run, struct buf *out)
{
	char *const *line = run->options.line;

	buf_add_str(out, line[0]);
	for (size_t i = 1; line[i]; i++) {
		buf_add_char(out, ' ');
		add_word(out, line[i]);
	}
}

static const char *program_path(const struct run *run, unsigned index)
{
	return index ? run->options.modules.items[index - 1] :
		       run->options.args[0];
}

static int open_writer(struct run *run, struct run_record *record,
	struct trace_program *programs, struct trace_range *ranges,
	const char *command)
{
	const struct run_options *o = &run->options;
	const struct trace_writer_options options = {
		.regs = o->record_regs,
		.stacks = o->record_stacks,
	};
	const struct trace_meta meta = {
		.command = command,
		.kvm = kvm_name(),
		.cpus = o->cpus,
		.started_ns = now_ns(CLOCK_REALTIME),
		.script_hash = hash_file(o->script),
		.programs = programs,
		.program_count = run->image_count,
		.ranges = ranges,
		.range_count = (uint32_t)record->range_count,
	};
	struct error err = { 0 };

	for (unsigned i = 0; i < run->image_count; i++)
		programs[i] = (struct trace_program){
			.name = image_name(run->images[i]),
			.path = program_path(run, i),
			.hash = hash_file(program_path(run, i)),
		};
	for (size_t i = 0; i < record->range_count; i++)
		ranges[i] = range_of(run, range_set_get(run->ranges, i));
	record->started_ns = now_ns(CLOCK_MONOTONIC);
	if (trace_writer_open(
		    o->record, &meta, &options, &record->writer, &err))
		return cmd_fail("run", "%s", err.text);
	return CLI_OK;
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

	/* Copies are the guest kernel's: it has other registers. */
	if (o->record_regs && access->insn && get_regs(record, regs))
		r.regs = regs;
	if (o->record_stacks && access->insn) {
		/* The first is the instruction itself. */
		r.stack = stack + 1;
		r.stack_count = (uint32_t)session_stack(record->run->session,
			stack, TRACE_STACK_MAX + 1);
		r.stack_count -= r.stack_count > 0;
	}
	add(record, &r);
}

static void on_start(void *ctx, const struct target_process *process)
{
	struct run_record *record = ctx;
	struct trace_record r = {
		.kind = TRACE_PROCESS_START,
		.process = process->id,
		.process_name = process->name,
		.program = program_of(record->run, process->image),
	};

	add(record, &r);
}

static void on_exit_of(
	void *ctx, const struct target_process *process, int64_t code)
{
	struct trace_record r = {
		.kind = TRACE_PROCESS_EXIT,
		.process = process->id,
		.exit_code = code,
	};

	add(ctx, &r);
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
		const struct trace_range later = range_of(record->run,
			range_set_get(record->run->ranges,
				record->range_count++));

		trace_writer_range(record->writer, &later);
	}
	pthread_mutex_unlock(&record->range_mutex);
}

static void on_bind(void *ctx, uint64_t process, const struct range *range,
	uint64_t offset, uint32_t size, const uint8_t *bytes)
{
	struct trace_record r = {
		.kind = TRACE_BIND,
		.process = process,
		.range = range->id,
		.offset = offset,
		.size = size,
		.bytes = bytes,
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

/* ---- opening and closing ---- */

static struct run_record *record_create(struct run *run)
{
	struct run_record *record = calloc(1, sizeof(*record));

	if (!record)
		return NULL;
	record->run = run;
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
	};
	return record;
}

static void record_destroy(struct run_record *record)
{
	pthread_mutex_destroy(&record->range_mutex);
	buf_fini(&record->symbol);
	buf_fini(&record->line);
	buf_fini(&record->text);
	free(record);
}

int run_open_record(struct run *run)
{
	struct run_record *record;
	struct trace_program *programs;
	struct trace_range *ranges;
	struct buf command = BUF_INIT;
	int code;

	if (!run->options.record)
		return CLI_OK;
	record = record_create(run);
	programs = calloc(RUN_PROGRAMS_MAX, sizeof(*programs));
	ranges = calloc(range_set_count(run->ranges) + 1, sizeof(*ranges));
	describe_command(run, &command);
	code = record && programs && ranges ?
		open_writer(run, record, programs, ranges, buf_str(&command)) :
		cmd_fail("run", "out of memory");
	buf_fini(&command);
	free(programs);
	free(ranges);
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

void run_record_mark(struct run *run, const char *text)
{
	struct trace_record r = { .kind = TRACE_MARKER, .text = text };

	if (run->record)
		add(run->record, &r);
}

int run_close_record(struct run *run, int64_t code)
{
	struct run_record *record = run->record;
	struct error err = { 0 };
	int ret;

	if (!record)
		return CLI_OK;
	run->record = NULL;
	ret = trace_writer_close(record->writer, code, &err);
	record_destroy(record);
	return ret ? cmd_fail("run", "%s", err.text) : CLI_OK;
}
