/* SPDX-License-Identifier: MIT */
/* custos run SYSTEM.lua: from a description to programs and devices. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/run.h"
#include "keeper/script_system.h"

static int fail(int ret, const struct error *err)
{
	cmd_fail("run", "%s", err->text);
	switch (ret) {
	case -ENOENT:
		return CLI_NOT_FOUND;
	case -ENOMEM:
	case -EIO:
		return CLI_FAILED;
	default:
		return CLI_CANNOT_RUN;
	}
}

static void on_print(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	fwrite(text, 1, len, stderr);
}

/* Read and check; nothing of the machine is there yet. */
static int read_system(struct run *run, struct error *err)
{
	const struct run_options *o = &run->options;
	const struct script_system_options options = {
		.args = (const char *const *)o->args,
		.arg_count = o->arg_count,
		.budget_ms = o->budget_ms,
		.print = on_print,
	};
	const struct system_machine machine = { o->memory, o->cpus };
	FILE *there = fopen(o->args[0], "rb");
	int ret;

	if (!there)
		return error_set_errno(
			err, -errno, "cannot open %s", o->args[0]);
	fclose(there);
	if ((ret = script_system_read(
		     o->args[0], &options, &run->system, err)) ||
		(ret = system_resolve(run->system, err)) ||
		(ret = system_open_programs(run->system, o->modules.items,
			 o->modules.count, err)))
		return ret;
	return system_check(run->system, &machine, err);
}

/* The run's from now on: all that have images look there. */
static void take_images(struct run *run)
{
	for (uint32_t i = 0; i < run->system->count; i++) {
		struct system_object *o = run->system->objects[i];

		if (!o->image)
			continue;
		run->paths[run->image_count] = o->path;
		run->images[run->image_count++] = o->image;
		o->image = NULL;
	}
}

int run_open_system(struct run *run)
{
	struct error err = { 0 };
	int ret = read_system(run, &err);

	_Static_assert(SYSTEM_PROGRAMS_MAX < RUN_PROGRAMS_MAX, "they fit");
	if (ret)
		return fail(ret, &err);
	ret = system_pack(run->system,
		run->options.quiet ? CUSTOS_SYSTEM_QUIET : 0,
		&run->description, &err);
	if (ret)
		return fail(ret, &err);
	if (image_open_memory("system", system_program_elf,
		    (size_t)(system_program_elf_end - system_program_elf),
		    &run->builder, &err))
		return cmd_fail("run", "%s", err.text);
	take_images(run);
	return CLI_OK;
}

static int write_all(const struct run *run, const struct buf *text)
{
	const char *path = run->options.output;
	FILE *out = path ? fopen(path, "w") : stdout;
	bool failed;

	if (!out)
		return cmd_fail(
			"run", "cannot open %s: %s", path, strerror(errno));
	failed = fwrite(buf_str(text), 1, text->len, out) != text->len;
	failed |= path ? fclose(out) : fflush(out);
	return failed ? cmd_fail("run", "cannot write: %s", strerror(errno))
		      : CLI_OK;
}

int run_show_system(struct run *run)
{
	struct buf text = BUF_INIT;
	struct error err = { 0 };
	int ret = read_system(run, &err), code;

	if (ret)
		return fail(ret, &err);
	if (run->options.dot)
		system_print_dot(run->system, &text);
	else if (run->options.json)
		system_print_json(run->system, &text);
	else
		system_print(run->system, &text);
	code = text.failed ? cmd_fail("run", "out of memory")
			   : write_all(run, &text);
	buf_fini(&text);
	return code;
}

int run_add_system_devices(struct run *run)
{
	for (uint32_t i = 0; run->system && i < run->system->count; i++) {
		const struct system_object *o = run->system->objects[i];

		if (o->kind != SYSTEM_DEVICE)
			continue;
		if (run->device_count == RUN_PROGRAMS_MAX)
			return cmd_fail("run", "more than %d devices",
				RUN_PROGRAMS_MAX);
		run->devices[run->device_count++] = (struct vmm_device){
			.name = o->name,
			.size = o->size,
		};
	}
	return CLI_OK;
}

void run_close_system(struct run *run)
{
	image_close(run->builder);
	system_destroy(run->system);
	buf_fini(&run->description);
}
