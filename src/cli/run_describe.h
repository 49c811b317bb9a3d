/* SPDX-License-Identifier: MIT */
/* What a trace says of the run that it is of. */
#ifndef CUSTOS_CLI_RUN_DESCRIBE_H
#define CUSTOS_CLI_RUN_DESCRIBE_H

#include <custos/trace.h>

#include "cli/run.h"

struct run_description {
	struct trace_meta meta; /* points into the rest, and into the run */
	struct trace_start start;
	struct buf command;
	struct trace_program *programs;
	struct trace_range *ranges;
	struct trace_start_range *starts;
	char *directory;
};

/* False: out of memory. run_describe_fini() is due in any case. */
bool run_describe(const struct run *run, struct run_description *out);
void run_describe_fini(struct run_description *about);

const char *run_kvm_name(void); /* "svm", "vmx", "pvm", "" */

/* XXH3-64 of a file; 0 when it cannot be read: it is told what it was, not
 * why not. */
uint64_t run_hash_file(const char *path);
uint64_t run_hash_kernel(void); /* of the one inside custos */

/* Index among the run's programs; UINT32_MAX: none of them. */
uint32_t run_program_of(const struct run *run, const struct image *image);
struct trace_range run_range_of(
	const struct run *run, const struct range *range);

#endif
