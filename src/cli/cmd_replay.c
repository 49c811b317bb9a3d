/* SPDX-License-Identifier: MIT */
/* custos replay: a recorded run once more, through keepers. */
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/replay.h"
#include "cli/replay_check.h"

/* Names of addresses are looked up by process. */
static int name_processes(struct replay *replay)
{
	const struct trace_query *q = &replay->query;
	struct run *run = &replay->run;
	size_t count = 0;

	while (trace_reader_process(q->reader, count))
		count++;
	replay->processes = calloc(count + 1, sizeof(*replay->processes));
	if (!replay->processes)
		return run_fail(run, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const struct trace_process *from =
			trace_reader_process(q->reader, i);
		struct target_process *to = &replay->processes[i];

		to->id = from->id;
		snprintf(to->name, sizeof(to->name), "%s", from->name);
		if (from->program < run->image_count)
			to->image = run->images[from->program];
		if (names_add_process(run->names, to))
			return run_fail(run, "out of memory");
	}
	return CLI_OK;
}

/* Who keeps nothing in particular sees everything. */
static int add_ranges(struct replay *replay)
{
	struct run *run = &replay->run;
	int code = run_add_ranges(run);

	if (code || range_set_count(run->ranges))
		return code;
	return replay_add_ranges(replay, run->keeper);
}

static int open_sink(struct replay *replay)
{
	struct run_options *o = &replay->run.options;

	/* Without keepers to speak for themselves, accesses are printed. */
	o->print |= !o->script && !o->keep_count;
	return run_open_sink(&replay->run);
}

static int open_keepers(struct replay *replay)
{
	return run_open_keepers(&replay->run);
}

static int replay_all(struct replay *replay)
{
	static int (*const steps[])(struct replay *replay) = {
		name_processes,
		open_keepers,
		add_ranges,
		open_sink,
		replay_run_past,
	};
	int code = replay_open_programs(replay), closed;

	if (replay->run.options.again)
		return code ? code : replay_run_again(replay);

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !code; i++)
		code = steps[i](replay);
	closed = run_close_sink(&replay->run);
	return closed ? closed : code;
}

static void replay_fini(struct replay *replay)
{
	struct run *run = &replay->run;

	session_destroy(run->session);
	target_destroy(run->target);
	replay_check_destroy(replay->check);
	run_close_tables(run);
	run_options_free(&run->options);
	free(replay->processes);
	trace_query_close(&replay->query);
}

int cmd_replay(int argc, char **argv)
{
	struct replay replay = { .run.world = &replay_past_world };
	struct run *run = &replay.run;
	int code = replay_options_read(argc, argv, &run->options);

	if (code >= 0) {
		run_options_free(&run->options);
		return code;
	}
	if (run->options.again)
		run->world = &run_live;
	run_status_init(run);
	if (!run_create_tables(run))
		code = run_fail(run, "out of memory");
	else if (trace_query_open(&replay.query, "replay", run->options.trace))
		code = replay_all(&replay);
	else
		code = replay.query.code;
	replay_fini(&replay);
	return code;
}
