/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keeper/range.h"
#include "keeper/script.h"
#include "session/session.h"
#include "tests/bench/bench.h"
#include "vmm/vmm.h"

double bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

const char *bench_program(const char *name)
{
	static char path[512];
	const char *build = getenv("CUSTOS_BUILD");

	snprintf(path, sizeof(path), "%s/guest/%s.elf",
		build ? build : "build", name);
	return path;
}

struct state {
	struct bench_run *run;
	struct image *image;
	struct keeper *keeper;
	struct range_set *ranges;
	struct names *names;
	struct target *target;
	struct session *session;
	double started;
};

static void need(int rc, const struct error *err)
{
	if (!rc)
		return;
	fprintf(stderr, "bench: %s\n", err->text);
	exit(1);
}

static void on_console(void *ctx, const void *bytes, size_t len)
{
	struct bench_run *run = ((struct state *)ctx)->run;
	size_t used = strlen(run->console);

	if (used + len < sizeof(run->console))
		memcpy(run->console + used, bytes, len);
}

static void on_report(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	fwrite(text, 1, len, stderr);
}

static void create_keeper(struct state *s, struct error *err)
{
	struct script_options options = { .names = names_callbacks(s->names) };
	const struct image *images[] = { s->image };
	struct range *range;

	if (s->run->script)
		need(script_open(s->run->script, &options, &s->keeper, err),
			err);
	else
		s->keeper = keeper_pass_create();
	if (s->run->keep)
		need(range_set_add(s->ranges, s->run->keep, images, 1,
			     s->keeper, VERDICT_PASS, &range, err),
			err);
}

static void create_target(struct state *s, struct error *err)
{
	struct vmm_config config = VMM_CONFIG_INIT;
	const struct image *images[] = { s->image };
	char count[32];
	const char *args[] = { "hammer", s->run->what, count };

	snprintf(count, sizeof(count), "%llu",
		(unsigned long long)s->run->count);
	config.modules = images;
	config.module_count = 1;
	config.args = args;
	config.arg_count = 3;
	config.console = on_console;
	config.console_ctx = s;
	need(vmm_create(&config, &s->target, err), err);
}

static void create_session(struct state *s, struct error *err)
{
	struct session_config config = {
		.target = s->target,
		.ranges = s->ranges,
		.names = s->names,
		.report = on_report,
	};

	need(session_create(&config, &s->session, err), err);
}

static void destroy(struct state *s)
{
	session_destroy(s->session);
	target_destroy(s->target);
	range_set_destroy(s->ranges);
	keeper_destroy(s->keeper);
	names_destroy(s->names);
	image_close(s->image);
}

void bench_run(struct bench_run *run)
{
	struct state s = { .run = run };
	struct session_summary summary;
	struct target_result result;
	struct error err = { 0 };

	run->console[0] = '\0';
	memset(run->console, 0, sizeof(run->console));
	need(image_open(bench_program("hammer"), &s.image, &err), &err);
	s.names = names_create();
	s.ranges = range_set_create();
	create_keeper(&s, &err);
	create_target(&s, &err);
	create_session(&s, &err);
	run->seconds = bench_now();
	need(session_run(s.session, &result, &err), &err);
	run->seconds = bench_now() - run->seconds;
	session_summary(s.session, &summary);
	run->accesses = summary.accesses;
	destroy(&s);
}
