/* SPDX-License-Identifier: MIT */
/* The guest's processes, as its kernel announced them. Entries live as long
 * as the table; lookups take no lock and may run on any thread. */
#ifndef CUSTOS_VMM_PROCESS_H
#define CUSTOS_VMM_PROCESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "target/target.h"

#define PROCESS_BUCKETS 256
/* More than this many in one run: the guest is told it made a mistake. */
#define PROCESS_MAX 65536

struct process {
	struct target_process public; /* first; constant */
	_Atomic bool ended;
	struct process *next_id; /* in its bucket, older ones */
	struct process *next_space;
};

struct process_table {
	pthread_mutex_t lock; /* held by those who add */
	unsigned count; /* under lock */
	struct process *_Atomic by_id[PROCESS_BUCKETS];
	struct process *_Atomic by_space[PROCESS_BUCKETS];
};

void vmm_process_init(struct process_table *table);
void vmm_process_fini(struct process_table *table);

/*
 * Add one. name is the guest's: cut and cleaned of what cannot be printed.
 * NULL when id is 0 or was used before, or there are too many, or no memory.
 */
const struct target_process *vmm_process_add(struct process_table *table,
	uint64_t id, space_t space, const char name[TARGET_NAME_MAX],
	const struct image *image);

/* It will not run again. */
void vmm_process_end(struct process_table *table, uint64_t id);

const struct target_process *vmm_process_find(
	struct process_table *table, uint64_t id);
bool vmm_process_has_ended(const struct target_process *process);
/* Those that have not ended only. */
const struct target_process *vmm_process_of_space(
	struct process_table *table, space_t space);

/* Call visit for each that has not ended until it returns false. */
void vmm_process_each(struct process_table *table,
	bool (*visit)(void *ctx, const struct target_process *process),
	void *ctx);

#endif
