/* SPDX-License-Identifier: MIT */
#include "tests/support/guest_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/vmm.h"

double guest_run_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

bool guest_run_possible(void)
{
	return access("/dev/kvm", R_OK | W_OK) == 0;
}

struct state {
	struct guest_run *run;
	struct image *image;
	struct keeper *keeper;
	struct range_set *ranges;
	struct names *names;
	struct target *target;
};

static void need(int rc, const struct error *err)
{
	if (!rc)
		return;
	fprintf(stderr, "%s\n", err->text);
	exit(1);
}

static void append(char *text, size_t capacity, const void *bytes, size_t len)
{
	size_t used = strlen(text);

	if (used + len < capacity)
		memcpy(text + used, bytes, len);
}

static void on_console(void *ctx, const void *bytes, size_t len)
{
	struct guest_run *run = ctx;

	append(run->console, sizeof(run->console), bytes, len);
}

static void on_report(void *ctx, const char *text, size_t len)
{
	struct guest_run *run = ctx;

	append(run->said, sizeof(run->said), text, len);
}

static void open_image(struct state *s, struct error *err)
{
	const char *build = getenv("CUSTOS_BUILD");
	char path[512];

	snprintf(path, sizeof(path), "%s/guest/%s.elf",
		build ? build : "build", s->run->program);
	need(image_open(path, &s->image, err), err);
}

static void add_range(struct state *s, const char *text, struct error *err)
{
	const struct image *images[] = { s->image };
	enum verdict_kind fallback = s->run->fallback;
	struct range *range;

	need(range_set_add(s->ranges, text, images, 1, s->keeper,
		     fallback == VERDICT_DENY ? fallback : VERDICT_PASS, &range,
		     err),
		err);
}

static void add_ranges(struct state *s, struct error *err)
{
	char text[64];

	for (int i = 0; i < GUEST_RUN_LIST_MAX && s->run->keep[i]; i++)
		add_range(s, s->run->keep[i], err);
	for (unsigned i = 0; i < s->run->cells; i++) {
		snprintf(text, sizeof(text), "cells+%llu+4",
			(unsigned long long)(i * s->run->stride));
		add_range(s, text, err);
	}
}

static void create_target(struct state *s, struct error *err)
{
	struct vmm_config config = VMM_CONFIG_INIT;
	const struct image *images[] = { s->image };
	const char *args[GUEST_RUN_LIST_MAX + 1] = { s->run->program };

	config.arg_count = 1;
	for (int i = 0; i < GUEST_RUN_LIST_MAX && s->run->args[i]; i++)
		args[config.arg_count++] = s->run->args[i];
	config.args = args;
	config.cpus = s->run->cpus ? s->run->cpus : 1;
	config.modules = images;
	config.module_count = 1;
	config.console = on_console;
	config.console_ctx = s->run;
	need(vmm_create(&config, &s->target, err), err);
}

static void create_session(struct state *s, struct error *err)
{
	struct session_config config = {
		.target = s->target,
		.ranges = s->ranges,
		.names = s->names,
		.report = on_report,
		.ctx = s->run,
	};

	need(session_create(&config, &s->run->session, err), err);
}

static void destroy(struct state *s)
{
	session_destroy(s->run->session);
	s->run->session = NULL;
	target_destroy(s->target);
	range_set_destroy(s->ranges);
	if (!s->run->keeper)
		keeper_destroy(s->keeper);
	names_destroy(s->names);
	image_close(s->image);
}

void guest_run(struct guest_run *run)
{
	struct state s = { .run = run, .keeper = run->keeper };
	struct error err = { 0 };
	double started;

	memset(run->console, 0, sizeof(run->console));
	memset(run->said, 0, sizeof(run->said));
	s.names = names_create();
	s.ranges = range_set_create();
	if (!s.keeper)
		s.keeper = keeper_pass_create();
	if (!s.names || !s.ranges || !s.keeper)
		exit(1);
	run->ranges = s.ranges;
	open_image(&s, &err);
	add_ranges(&s, &err);
	create_target(&s, &err);
	create_session(&s, &err);
	started = guest_run_now();
	need(session_run(run->session, &run->result, &err), &err);
	run->seconds = guest_run_now() - started;
	session_summary(run->session, &run->summary);
	destroy(&s);
}
