/* SPDX-License-Identifier: MIT */
/*
 * What a kept access costs, as a ratio to the least a monitor could do: a
 * closed page's exit and the way back. Rounds of all kinds take turns, and
 * each kind's best counts: a busy machine only ever adds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "keeper/script.h"
#include "tests/bench/bench.h"
#include "tests/support/guest_run.h"

#define ROUNDS 7

static unsigned accesses = 20000;

struct kind {
	const char *name;
	const char *what; /* hammer's verb; NULL: the bare exit */
	const char *script;
	double best; /* seconds an access */
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

static double seconds(const struct kind *kind, unsigned count)
{
	char text[16];
	struct guest_run run = {
		.program = "hammer",
		.args = { kind->what, text },
		.keep = { "word" },
		.keeper = kind->script ? open_script(kind->script) : NULL,
	};

	snprintf(text, sizeof(text), "%u", count);
	guest_run(&run);
	keeper_destroy(run.keeper);
	if (run.summary.accesses == count)
		return run.seconds;
	fprintf(stderr, "bench: %llu of %u accesses seen\n",
		(unsigned long long)run.summary.accesses, count);
	exit(1);
}

/* Starting and ending a machine is no part of an access's cost. */
static double per_access(const struct kind *kind)
{
	unsigned few = accesses / 10;
	double start = seconds(kind, few);

	return (seconds(kind, accesses) - start) / (accesses - few);
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
		{ "bare exit, skip", NULL, NULL, 1 },
		{ "load, pass keeper", "load", NULL, 1 },
		{ "lock inc, pass keeper", "inc", NULL, 1 },
		{ "vector load, pass keeper", "vector", NULL, 1 },
		{ "load, Lua callback", "load", lua, 1 },
		{ "lock inc, Lua callback", "inc", lua, 1 },
	};
	const unsigned count = sizeof(kinds) / sizeof(kinds[0]);

	if (getenv("CUSTOS_TEST_SCALE"))
		accesses /= 10;
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned i = 0; i < count; i++) {
			double t = kinds[i].what ?
				per_access(&kinds[i]) :
				bench_bare_exit(accesses);

			if (t < kinds[i].best)
				kinds[i].best = t;
		}
	printf("kept access, best of %d rounds of %u:\n", ROUNDS, accesses);
	for (unsigned i = 0; i < count; i++)
		printf("  %-26s %8.2f us  %5.2f x\n", kinds[i].name,
			kinds[i].best * 1e6, kinds[i].best / kinds[0].best);
	unlink(lua);
	return 0;
}
