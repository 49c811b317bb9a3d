/* SPDX-License-Identifier: MIT */
#include "cli/run_describe.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "trace/trace_format.h"
#include "vmm/kernel_elf.h"

uint64_t run_hash_file(const char *path)
{
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	uint64_t hash = 0;
	struct stat st;
	void *bytes;

	if (fd < 0)
		return 0;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0) {
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

uint64_t run_hash_kernel(void)
{
	return trace_hash(
		vmm_kernel_elf, (size_t)(vmm_kernel_elf_end - vmm_kernel_elf));
}

uint32_t run_program_of(const struct run *run, const struct image *image)
{
	for (unsigned i = 0; image && i < run->image_count; i++)
		if (run->images[i] == image)
			return i;
	return UINT32_MAX;
}

struct trace_range run_range_of(
	const struct run *run, const struct range *range)
{
	return (struct trace_range){
		.id = range->id,
		.name = range->name,
		.device = range->device,
		.program = range->device ? 0 : run_program_of(run, range->image),
		.address = range->address,
		.length = range->length,
	};
}

const char *run_kvm_name(void)
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

/* What it takes to start it again. */
static void describe_start(
	const struct run *run, struct run_description *out)
{
	const struct run_options *o = &run->options;
	size_t count = range_set_count(run->ranges);

	for (size_t i = 0; i < count; i++) {
		const struct range *range = range_set_get(run->ranges, i);

		out->starts[i] = (struct trace_start_range){
			.id = range->id,
			.joined = range->joined,
			.device = range->device ? range->device_name : "",
		};
	}
	out->start = (struct trace_start){
		.directory = out->directory ? out->directory : "",
		.memory = o->memory,
		.flags = o->virtual_time ? TRACE_START_VIRTUAL_TIME : 0,
		.kernel = o->kernel ? o->kernel : "",
		.kernel_hash = o->kernel ? run_hash_file(o->kernel) :
					   run_hash_kernel(),
		.args = (const char *const *)o->args,
		.arg_count = o->arg_count,
		.ranges = out->starts,
		.range_count = (uint32_t)count,
	};
}

static void describe_programs(
	const struct run *run, struct run_description *out)
{
	for (unsigned i = 0; i < run->image_count; i++)
		out->programs[i] = (struct trace_program){
			.name = image_name(run->images[i]),
			.path = run->paths[i],
			.hash = run_hash_file(run->paths[i]),
		};
	for (size_t i = 0; i < range_set_count(run->ranges); i++)
		out->ranges[i] =
			run_range_of(run, range_set_get(run->ranges, i));
}

bool run_describe(const struct run *run, struct run_description *out)
{
	size_t count = range_set_count(run->ranges);
	struct timespec now;

	*out = (struct run_description){ .command = BUF_INIT };
	out->programs = calloc(RUN_PROGRAMS_MAX, sizeof(*out->programs));
	out->ranges = calloc(count + 1, sizeof(*out->ranges));
	out->starts = calloc(count + 1, sizeof(*out->starts));
	out->directory = getcwd(NULL, 0);
	if (!out->programs || !out->ranges || !out->starts)
		return false;
	describe_command(run, &out->command);
	describe_programs(run, out);
	describe_start(run, out);
	clock_gettime(CLOCK_REALTIME, &now);
	out->meta = (struct trace_meta){
		.command = buf_str(&out->command),
		.kvm = run_kvm_name(),
		.cpus = run->options.cpus,
		.started_ns = (uint64_t)now.tv_sec * 1000000000 +
			(uint64_t)now.tv_nsec,
		.script_hash = run_hash_file(run->options.script),
		.programs = out->programs,
		.program_count = run->image_count,
		.ranges = out->ranges,
		.range_count = (uint32_t)count,
		.start = &out->start,
	};
	return true;
}

void run_describe_fini(struct run_description *about)
{
	buf_fini(&about->command);
	free(about->programs);
	free(about->ranges);
	free(about->starts);
	free(about->directory);
}
