/* SPDX-License-Identifier: MIT */
/*
 * The writer's numbers of instructions. Two processes of one program share
 * theirs; the same address in two programs does not mean the same.
 */
#ifndef CUSTOS_TRACE_TRACE_SITES_H
#define CUSTOS_TRACE_TRACE_SITES_H

#include <custos/trace.h>

struct trace_sites;

struct trace_sites *trace_sites_create(void); /* NULL: out of memory */
void trace_sites_destroy(struct trace_sites *sites);

/* A process of a program (UINT32_MAX: unknown) has started. 0 or -ENOMEM. */
int trace_sites_process(
	struct trace_sites *sites, uint64_t process, uint32_t program);

/*
 * The number of access's instruction; *out_new: it is the first time. -ENOMEM;
 * -EOVERFLOW: more instructions than a trace may have.
 */
int trace_sites_find(struct trace_sites *sites, const struct access *access,
	uint32_t *out_number, bool *out_new);

#endif
