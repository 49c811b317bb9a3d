/* SPDX-License-Identifier: MIT */
/* One `custos run', shared by the files that make it up. */
#ifndef CUSTOS_CLI_RUN_H
#define CUSTOS_CLI_RUN_H

#include "cli/run_options.h"
#include "keeper/builtin.h"
#include "keeper/plugin.h"
#include "keeper/range.h"
#include "keeper/stats.h"
#include "session/session.h"
#include "vmm/vmm.h"

#define RUN_PROGRAMS_MAX 16
#define RUN_BUILTINS_MAX 64 /* plugins included */

struct run {
	struct run_options options;
	struct image *kernel;
	struct image *images[RUN_PROGRAMS_MAX];
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
	struct target *target;
	struct session *session;
	struct target_result result;
	struct stats_numbers numbers; /* once it has ended */
	double seconds;
};

/* run_keepers.c: each returns an exit code, CLI_OK to go on; what is wrong has
 * been said. */
int run_open_keepers(struct run *run); /* before ranges: scripts ask for some */
int run_add_ranges(struct run *run);
int run_collect_devices(struct run *run); /* ranges name devices */
void run_start_keepers(struct run *run);
void run_finish_keepers(struct run *run);
void run_close_keepers(struct run *run);

#endif
