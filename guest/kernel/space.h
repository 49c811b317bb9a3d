/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process as the hardware sees it: a cache of what
 * walk() says. The top table is the process's own for life; those below are
 * derived on demand, shared, and can be taken away at any time (table.h). The
 * upper half is the kernel's and the same in all. Caller holds the big lock.
 */
#ifndef CUSTOS_KERNEL_SPACE_H
#define CUSTOS_KERNEL_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "walk.h"

struct process;

/* Remember the kernel's half, from the page tables now loaded. */
void space_init_kernel(void);
uint64_t space_kernel_cr3(void);

/* Fill the top table (zeros) of a new process. */
void space_init(struct process *process);

/* The page that va leads to in the space with this top table, mapped or not;
 * 0: none. */
uint64_t space_where(uint64_t cr3, uint64_t va);

/* Forget every translation of the process: its root changed, or it ends. */
void space_forget(struct process *process);

/*
 * Make the translation of va that ends in the frame at gpa with rights
 * (CUSTOS_RIGHT_READ, WRITE, EXEC), as found by walk. gpa is walk->gpa, or a
 * page a keeper granted instead. 0; -CUSTOS_E_LIMIT: a table was refused,
 * bank_refusal() says by whom.
 */
int space_fill(struct process *process, uint64_t va, const struct walk *way,
	uint64_t gpa, unsigned rights);

/* Accesses (CUSTOS_RIGHT_READ, WRITE, EXEC) to where the walk ended that need
 * nobody's answer: what a translation may allow. 0: none; a page that is locked
 * or kept, no page. Nothing is possible without READ. */
unsigned space_rights(const struct walk *way);

/*
 * May a translation to a page that the keeper `entry` granted at va be made? Not
 * in a table that others share whose ways do not lead past that keeper.
 */
bool space_can_grant(struct process *process, uint64_t va,
	const struct walk *way, const struct cap *entry);

/* Make the translations of a range that a walk can make now, quietly: where it
 * fails they are left to be made on demand. */
void space_populate(struct process *process, uint64_t va, uint64_t length);

/*
 * The frame behind va if a process may read (or write) there without anybody
 * being asked, making the translation if need be. 0, with *out_gpa exact to the
 * byte; 1: not so, walk() and keep.h know more; -CUSTOS_E_LIMIT as above.
 */
int space_resolve(struct process *process, uint64_t va, bool write,
	uint64_t *out_gpa);

#endif
