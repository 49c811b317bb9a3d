/* SPDX-License-Identifier: MIT */
/* One `custos run', shared by the files that make it up. */
#ifndef CUSTOS_CLI_RUN_H
#define CUSTOS_CLI_RUN_H

#include <pthread.h>

#include "cli/run_options.h"
#include "keeper/builtin.h"
#include "keeper/plugin.h"
#include "keeper/range.h"
#include "keeper/stats.h"
#include "session/session.h"
#include "system/system.h"
#include "vmm/vmm.h"

#define RUN_CPUS_MAX 16
#define RUN_PROGRAMS_MAX 16
#define RUN_BUILTINS_MAX 64 /* plugins included */

/* run_status.c's. */
struct run_status {
	pthread_t thread;
	bool started, live; /* live: a line on the terminal */
	bool ending; /* atomic */
	/* guarded by mutex, as is what goes to the terminal meanwhile */
	pthread_mutex_t mutex;
	bool shown; /* the line is there */
	bool mid_line; /* the program has begun a line on the terminal */
	/* the thread's: as of the latest line */
	double seconds;
	uint64_t accesses;
};

struct run;

/*
 * What keepers may ask of what goes on: a session (run_live.c), or a recorded
 * run. As the session's functions of these names; before there is anything
 * going on there is nothing to read, and nothing held.
 */
struct run_world {
	size_t (*read)(struct run *run, uint64_t process, uint64_t va,
		void *bytes, size_t len);
	size_t (*write)(struct run *run, uint64_t process, uint64_t va,
		const void *bytes, size_t len); /* NULL: not possible */
	size_t (*stack)(struct run *run, uint64_t *out_ips, size_t max);
	int (*keep)(
		struct run *run, struct range *range, struct error *err);
	bool (*release)(
		struct run *run, struct range *range, struct keeper *keeper);
	int (*revoke)(struct run *run, struct range *range);
	size_t (*held_size)(struct run *run, uint64_t seq);
	int (*resume)(struct run *run, uint64_t seq,
		const struct verdict *verdict, const uint8_t *value,
		size_t size);
};

extern const struct run_world run_live; /* run_live.c */

struct run {
	struct run_options options;
	const struct run_world *world;
	struct image *kernel;
	/* Of a system: what is described, the program that builds it, and
	 * what this is given. The images are the other programs. */
	struct system *system;
	struct image *builder;
	struct buf description;
	struct image *images[RUN_PROGRAMS_MAX];
	const char *paths[RUN_PROGRAMS_MAX]; /* of the images; not replay's */
	unsigned image_count;
	struct keeper *keeper; /* the script, or the one that passes */
	struct builtin_host host;
	struct plugin_host plugin_host;
	struct keeper *builtins[RUN_BUILTINS_MAX]; /* and plugins */
	unsigned builtin_count;
	struct range_set *ranges;
	struct vmm_device devices[RUN_PROGRAMS_MAX];
	unsigned device_count;
	struct names *names;
	struct stats *stats;
	struct trace_sink *sink;
	struct run_record *record; /* NULL: nothing is recorded */
	const struct session_recorder *recorder; /* another's; NULL: none */
	const struct session_order *order; /* another's; NULL: none */
	bool repeats; /* order says whose turn it is in the guest's kernel */
	struct target *target;
	struct session *session;
	struct target_result result;
	struct stats_numbers numbers; /* once it has ended */
	struct run_status status;
	double started, seconds; /* monotonic time; how long it ran */
	uint64_t started_ticks;
};

/* cmd_run.c */
/* As cmd_fail(), under the name of the command. */
int run_fail(const struct run *run, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Names, ranges and counts, empty; false: no memory. Closed with the keepers
 * and images that came to them. */
bool run_create_tables(struct run *run);
void run_close_tables(struct run *run);
/* Exit codes: CLI_OK to go on; what is wrong has been said. */
int run_open_image(
	const struct run *run, const char *path, struct image **out);
int run_open_sink(struct run *run); /* as the options want it, if at all */
int run_close_sink(struct run *run);
/* The summary, and to where it goes. */
void run_describe_counts(struct run *run, const struct stats_numbers *numbers,
	struct buf *out);
void run_print_summary(struct run *run, const struct buf *out);
/* How it ended, which the counters do not know. */
void run_describe_end(const struct run *run, struct buf *out);
int run_exit_code(const struct run *run); /* by how it ended */
void run_catch_signals(void);
bool run_is_interrupted(void);
int run_create_machine(struct run *run); /* and its session */
int run_machine(struct run *run); /* to its end, keepers too */
double run_seconds(const struct run *run); /* since the run began */
/* The summary so far, memory checked, to where the last one will go. */
void run_summarize_now(struct run *run);

/* run_status.c */
void run_status_init(struct run *run); /* before there are other threads */
void run_status_start(struct run *run); /* with the session there */
void run_status_stop(struct run *run);
/* To standard error, complete lines, in the status line's place. */
void run_status_write(struct run *run, const char *text, size_t len);
/* The guest's console, when it shares the terminal with the status line. */
bool run_status_wants_console(const struct run *run);
void run_status_console(void *ctx, const void *bytes, size_t len);

/* run_system.c; exit codes as below. */
int run_open_system(struct run *run);
int run_show_system(struct run *run); /* instead of a run */
/* Devices that the description names. */
int run_add_system_devices(struct run *run);
void run_close_system(struct run *run);

/* run_keepers.c: each returns an exit code, CLI_OK to go on; what is wrong has
 * been said. */
int run_open_keepers(struct run *run); /* before ranges: scripts ask for some */
int run_add_ranges(struct run *run);
int run_collect_devices(struct run *run); /* ranges name devices */
void run_start_keepers(struct run *run);
void run_finish_keepers(struct run *run);
void run_close_keepers(struct run *run);

/* run_record.c; exit codes as above. */
int run_open_record(struct run *run); /* when the first ranges are there */
/* NULL: nothing is recorded. */
const struct session_recorder *run_recorder(struct run *run);
/* Of several CPUs, if it can be repeated; NULL: not. */
const struct session_order *run_order(struct run *run);
/* A word of a script. */
void run_record_mark(struct run *run, const char *text);
/* The run has ended with code. */
int run_close_record(struct run *run, int64_t code);

#endif
