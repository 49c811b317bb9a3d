/* SPDX-License-Identifier: MIT */
/*
 * Memory that answers: what happens when an access meets an entry, a kept page
 * or nothing, until it is complete. A process asks about one access at a time;
 * all that has to be remembered is in it, so asking allocates nothing and
 * nothing can be dropped. Caller holds the big lock.
 */
#ifndef CUSTOS_KERNEL_KEEP_H
#define CUSTOS_KERNEL_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "cap.h"
#include "list.h"

struct process;
struct walk;

/* The keepers of one access: entry, page, nodes (innermost first), process. */
#define KEEP_ASKABLE (CUSTOS_WALK_NODES + 3)

/* What two accesses must have in common to exclude each other. */
struct keep_place {
	void *object; /* page, or endpoint; NULL: no lock */
	uint64_t payload; /* of the entry */
	uint64_t page;	  /* offset / 4096 in what the entry stands for */
};

struct keep {
	uint64_t nonce; /* payload of the resume capability that counts */
	uint8_t question; /* enum keep_question */
	uint8_t stepping; /* the STEP has been carried out */
	bool restarts;	  /* the answer makes a system call start again */
	struct custos_access access; /* what is asked, or was faulted at */
	uint8_t level;	  /* how many passed */
	struct cap asked; /* the entry asked now */
	struct list lock; /* link: holders with the same hash */
	struct list waiters; /* for its place */
	struct keep_place place;
};

enum keep_question {
	KEEP_NOTHING,
	KEEP_ACCESS,
	KEEP_STEPPED,
	KEEP_FAULT,
	KEEP_EXHAUSTED,
	KEEP_CALL, /* an endpoint's call, or a forwarded one */
	KEEP_CAP   /* capability load or store */
};

/*
 * The process faulted at va (error_code as of a page fault). Afterwards it runs
 * on, asks, waits for a lock, or has faulted.
 */
void keep_fault(struct process *process, uint64_t va, uint64_t error_code);

/*
 * A system call of the process must copy size bytes (within a page) at va and
 * space_resolve() said no. kind is CUSTOS_ACCESS_SYSCALL_*, IPC_*. 0: done, by
 * what a keeper served; CALL_RESTART: a keeper is asked, the call must return
 * that; -CUSTOS_E_FAULT, -CUSTOS_E_DENIED.
 */
int64_t keep_copy(struct process *process, uint64_t va, void *bytes,
	uint64_t size, unsigned kind);

/* A system call succeeded or failed for good: what keepers served for it is
 * forgotten and its lock released. */
void keep_call_over(struct process *process);

/*
 * An allocation for the process was refused by bank_refusal(). If that bank has
 * a keeper it is asked, and the process does again what it did when told to
 * retry: CALL_RESTART (or the faulting instruction). Else -CUSTOS_E_LIMIT.
 */
int64_t keep_exhausted(
	struct process *process, enum custos_captype type, uint64_t va);

/* Is the position of va, which a walk ended at, held for somebody else? Then
 * process waits in line for it and will try again; true. */
bool keep_is_locked(struct process *process, const struct walk *way);

/* Nobody may have translations for the page meanwhile. */
bool keep_page_is_locked(uint64_t gpa);

/* The endpoint is gone, or its recipient is: whoever asks it goes on to the
 * next keeper. */
void keep_endpoint_gone(struct process *asking);

/* The process ends: locks it holds are released, it leaves every line. */
void keep_forget(struct process *process);

#endif
