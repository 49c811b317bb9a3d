/* SPDX-License-Identifier: MIT */
/*
 * What a kept access costs, as a ratio to the least a monitor could do: a
 * closed page's exit and the way back. Rounds of all kinds take turns, and
 * each kind's best counts: a busy machine only ever adds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keeper/plugin.h"
#include "keeper/script.h"
#include "tests/bench/bench.h"
#include "tests/support/guest_run.h"

#define ROUNDS 5

static unsigned accesses = 20000;

struct kind {
	const char *name;
	const char *what; /* hammer's verb, or spread's; NULL: the bare exit */
	const char *script;
	double best; /* seconds an access */
	double best_few, best_all; /* seconds of a run */
	unsigned cells; /* spread's: kept ranges */
	bool plugin;
};

static const char script[] =
	"local n = 0\n"
	"function load(a) n = n + a.value end\n"
	"function store(a) n = n + a.new end\n"
	"function rmw(a) n = n + a.new end\n";

static struct keeper *open_script(const char *path)
{
	const struct script_options options = { 0 };
	struct keeper *keeper;
	struct error err = { 0 };

	if (script_open(path, &options, &keeper, &err)) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	return keeper;
}

static struct keeper *open_plugin(void)
{
	static const struct plugin_host host;
	const char *build = getenv("CUSTOS_BUILD");
	struct keeper *keeper;
	struct error err = { 0 };
	char path[512];

	snprintf(path, sizeof(path), "%s/tests/plugins/passer.so",
		build ? build : "build");
	if (plugin_open(path, "", &host, &keeper, &err)) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	return keeper;
}

static void spread(
	const struct kind *kind, struct guest_run *run, const char *count)
{
	static char places[16];

	snprintf(places, sizeof(places), "%u", kind->cells);
	run->program = "spread";
	run->args[1] = places;
	run->args[2] = count;
	run->keep[0] = NULL;
	run->cells = kind->cells;
	run->stride = strcmp(kind->what, "pages") ? 4 : 4096;
}

static double seconds(const struct kind *kind, unsigned count)
{
	char text[16];
	struct guest_run run = {
		.program = "hammer",
		.args = { kind->what, text },
		.keep = { "word" },
	};

	if (kind->script)
		run.keeper = open_script(kind->script);
	if (kind->plugin)
		run.keeper = open_plugin();
	if (kind->cells)
		spread(kind, &run, text);
	snprintf(text, sizeof(text), "%u", count);
	guest_run(&run);
	keeper_destroy(run.keeper);
	if (run.summary.accesses == count)
		return run.seconds;
	fprintf(stderr, "bench: %llu of %u accesses seen\n",
		(unsigned long long)run.summary.accesses, count);
	exit(1);
}

static void keep_best(double *best, double t)
{
	if (!*best || t < *best)
		*best = t;
}

/* Starting and ending a machine is no part of an access's cost: the best run
 * of few accesses is taken from the best run of all. */
static void measure(struct kind *kind)
{
	unsigned few = accesses / 10;

	if (!kind->what) {
		keep_best(&kind->best, bench_bare_exit(accesses));
		return;
	}
	keep_best(&kind->best_few, seconds(kind, few));
	keep_best(&kind->best_all, seconds(kind, accesses));
	kind->best = (kind->best_all - kind->best_few) / (accesses - few);
}

static const char *write_script(void)
{
	static char path[] = "/tmp/custos-bench-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0 || write(fd, script, sizeof(script) - 1) < 0) {
		perror(path);
		exit(1);
	}
	close(fd);
	return path;
}

int main(void)
{
	const char *lua = write_script();
	struct kind kinds[] = {
		{ .name = "bare exit, skip" },
		{ .name = "load, pass keeper", .what = "load" },
		{ .name = "lock inc, pass keeper", .what = "inc" },
		{ .name = "vector load, pass keeper", .what = "vector" },
		{ .name = "load, C plugin", .what = "load", .plugin = true },
		{ .name = "load, Lua callback", .what = "load", .script = lua },
		{ .name = "lock inc, Lua callback", .what = "inc",
			.script = lua },
		{ .name = "load, 1 range", .what = "pages", .cells = 1 },
		{ .name = "load, 1000 pages", .what = "pages", .cells = 1000 },
		{ .name = "load, 1000 in 1 page", .what = "words",
			.cells = 1000 },
	};
	const unsigned count = sizeof(kinds) / sizeof(kinds[0]);

	if (getenv("CUSTOS_TEST_SCALE"))
		accesses /= 10;
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned i = 0; i < count; i++)
			measure(&kinds[i]);
	printf("kept access, best of %d rounds of %u:\n", ROUNDS, accesses);
	for (unsigned i = 0; i < count; i++)
		printf("  %-26s %8.2f us  %5.2f x\n", kinds[i].name,
			kinds[i].best * 1e6, kinds[i].best / kinds[0].best);
	unlink(lua);
	return 0;
}
