/* SPDX-License-Identifier: MIT */
/* One run of a guest program in a machine, with ranges and a keeper. */
#ifndef CUSTOS_TESTS_GUEST_RUN_H
#define CUSTOS_TESTS_GUEST_RUN_H

#include "keeper/range.h"
#include "session/session.h"

#define GUEST_RUN_LIST_MAX 8

struct guest_run {
	/* in */
	const char *program; /* guest program's name, without path and .elf */
	const char *args[GUEST_RUN_LIST_MAX]; /* behind its name; NULL ends */
	const char *keep[GUEST_RUN_LIST_MAX]; /* ranges; NULL ends */
	/* And so many of spread's cells, this many bytes apart. */
	unsigned cells;
	uint64_t stride;
	struct keeper *keeper; /* stays the caller's; NULL: pass */
	unsigned cpus; /* 0: 1 */
	enum verdict_kind fallback;
	/* out */
	char console[4096];
	char said[4096]; /* reports */
	struct target_result result;
	struct session_summary summary;
	double seconds; /* of session_run() alone */
	/* during the run, for keepers */
	struct session *session;
	struct range_set *ranges;
};

/* Ends the process with a message when it cannot. */
void guest_run(struct guest_run *run);

/* Is there a KVM to run on? */
bool guest_run_possible(void);

double guest_run_now(void); /* seconds */

#endif
