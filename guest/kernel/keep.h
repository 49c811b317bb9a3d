/* SPDX-License-Identifier: MIT */
/*
 * Memory that answers: what happens when an access meets an entry, a kept page
 * or nothing, until it is complete. A process asks about one access at a time;
 * all that has to be remembered is in it, so asking allocates nothing and
 * nothing can be dropped. An answer is noted in the process, which goes on with
 * its instruction when it is next chosen to run. Caller holds the big lock.
 */
#ifndef CUSTOS_KERNEL_KEEP_H
#define CUSTOS_KERNEL_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "cap.h"
#include "list.h"

struct process;
struct walk;

/* What two accesses must have in common to exclude each other. */
struct keep_place {
	void *object; /* page, or endpoint; NULL: no lock */
	uint64_t payload; /* of the entry */
	uint64_t page;	  /* offset / 4096 in what the entry stands for */
};

/* A place held: nobody else's access to it goes on meanwhile. */
struct keep_hold {
	struct process *holder; /* NULL: not in use */
	struct list link;	/* holds with the same hash */
	struct list waiters;	/* processes, first come first */
	struct keep_place place;
	uint64_t va;	/* page, as the holder sees it */
	uint64_t gpa;	/* page it is stepped on */
	uint64_t seq;
	struct cap stepper; /* who is told of the step; null: no step */
	bool was_told;	    /* and has said to go on */
	bool is_reserved;   /* the holder was first in line: lock_release */
};

/* More places than that in one instruction: UNEMULATABLE. */
#define KEEP_HOLDS CUSTOS_OPEN_MAX

enum keep_question {
	KEEP_NOTHING,
	KEEP_ACCESS,
	KEEP_STEPPED,
	KEEP_FAULT,
	KEEP_EXHAUSTED,
	KEEP_CALL,    /* an endpoint's call */
	KEEP_FORWARD, /* any other call, of an entry */
	KEEP_CAP      /* capability load or store */
};

struct keep {
	uint64_t nonce;	  /* payload of the resume capability that counts */
	uint8_t question; /* enum keep_question */
	bool used;	  /* there is something for keep_call_over to forget */
	bool goes_on;	  /* its instruction is under way: keep_go_on */
	bool again;	  /* a stepper wants to see the next instruction, too */
	bool undoes;	  /* the step is to be undone first */
	bool ends;	  /* nobody answers for its fault: goes_on to its end */
	uint8_t failed;	  /* the fault to go on with; 0: none */
	uint8_t position; /* of who is asked, among those who can be */
	uint8_t hold;	  /* index of the hold the question is about */
	uint32_t cursor;  /* served pieces this call has found again */
	uint64_t vector;  /* of an exception */
	uint64_t seq;	  /* 0: none given yet */
	uint64_t words[6]; /* EXHAUSTED: type, va; FORWARD: op, arguments */
	uint64_t last_ip; /* of the instruction carried out last */
	struct list owed; /* link in the owes of who got the question */
	struct custos_access access; /* what is asked, or was faulted at */
	struct cap root;  /* CAP: where the walk begins */
	struct cap asked; /* the entry asked now */
	struct process *answerer; /* who got the question; NULL: nobody yet */
	struct keep_place awaited; /* LOCKED */
	bool has_reserved; /* one of its holds is_reserved */
	struct cap cap;	  /* CAP: stored, or the answer.. */
	bool has_cap;	  /* ..which is there */
	struct keep_hold holds[KEEP_HOLDS];
};

void keep_init(struct process *process);

/*
 * The current process faulted at va (error_code as of a page fault).
 * Afterwards it runs on, asks, waits for a lock, or has faulted.
 */
void keep_fault(struct process *process, uint64_t va, uint64_t error_code);

/* The current process, chosen to run, has goes_on set. The same. */
void keep_go_on(struct process *process);

/*
 * A system call of the process must copy size bytes (within a page) at va and
 * space_resolve() said no. kind is CUSTOS_ACCESS_SYSCALL_*, IPC_*. 0: done, by
 * what a keeper served; CALL_RESTART: a keeper is asked (if the process is
 * current; else it must make its call again to ask), the call must return
 * that; -CUSTOS_E_FAULT, -CUSTOS_E_DENIED.
 */
int64_t keep_copy(struct process *process, uint64_t va, void *bytes,
	uint64_t size, unsigned kind);

/* A piece (at most 64 bytes) of a page read (store: write) that was invoked on
 * an entry, at this offset; or on a page (else NULL) that has this keeper. The
 * same results. */
int64_t keep_read(struct process *process, const struct cap *entry, void *page,
	uint64_t offset, void *bytes, uint64_t size, bool store);

/* Load (store NULL) or store a capability at address va of root, where no
 * capability page is: whoever answers there is asked. The same results; *out is
 * what was loaded. */
int64_t keep_cap(struct process *process, const struct cap *root, uint64_t va,
	const struct cap *store, struct cap *out);

/* A system call succeeded or failed for good: what keepers served for it is
 * forgotten and its locks released. */
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

/* The endpoint is gone, or its recipient is: the process, in none of its lines
 * any more, goes on to the next keeper. */
void keep_endpoint_gone(struct process *asking);

/* Its wait for an answer is ended: no answer counts any more, no lock is held.
 * The process is in no list. */
void keep_forget(struct process *process);

/* Its registers have been replaced: no instruction is under way any more. */
void keep_registers_set(struct process *process);

/* It asks or waits for a lock, and shall not: its system call returns
 * CANCELLED, its instruction is tried again. */
void keep_cancel(struct process *process);

/* The process ends: as keep_forget, and those who step it are told. */
void keep_end(struct process *process);

/*
 * It faulted and its keepers have passed: its own keeper is told, or it stays
 * faulted, or ends with a report. vector: of an exception. access says where.
 */
void keep_tell_fault(struct process *process, enum custos_fault_code code,
	uint64_t vector);

/* What a process that asks says: words, flags, payload and a string (valid
 * until the scratch page is used again). */
void keep_describe(struct process *process, struct custos_message *out,
	const void **out_string);

/* ---- answers, keep_reply.c: 0 or -CUSTOS_E_*, then not taken ---- */

struct call;

/* The question the resume capability of the call answers is still open. */
bool keep_is_open(const struct call *call);

int64_t keep_reply_value(struct process *process, const void *bytes,
	uint64_t size);
int64_t keep_reply_done(struct process *process);
int64_t keep_reply_retry(struct process *process);
int64_t keep_reply_pass(struct process *process);
int64_t keep_reply_fault(struct process *process, uint64_t code);
int64_t keep_reply_step(
	struct process *process, const struct cap *page, unsigned rights);
int64_t keep_reply_grant(struct process *process, const struct cap *page,
	unsigned rights, bool once);
int64_t keep_reply_continue(struct process *process);
int64_t keep_reply_rollback(struct process *process);
int64_t keep_reply_cap(struct process *process, const struct cap *cap);

/* ---- inside of keep_*.c ---- */

bool keep_is_call(const struct process *process);
unsigned keep_rights(unsigned kind); /* of an access, CUSTOS_RIGHT_* */
uint64_t keep_new_seq(void);
/* Begin to say what is asked. */
struct custos_access *keep_begin_access(
	struct process *process, uint64_t va, uint64_t size, unsigned kind);

/*
 * Ask who comes at or behind keep.position about keep.access. 0: nobody has to
 * be asked any more, the page is there now; CALL_RESTART: blocked, or done
 * with; or the error a system call of the current process ends with.
 */
int64_t keep_ask(struct process *process);
/* The same: a walk has just led there. */
int64_t keep_ask_on(struct process *process, const struct walk *way);
/* The same of one entry, which nobody follows; about a page, or NULL. */
int64_t keep_ask_only(
	struct process *process, const struct cap *entry, void *page);
/* Whether anybody but the process's keeper would be asked. */
bool keep_has_keeper(const struct walk *way, unsigned need);
/* Whether it is of use that the process, which is not current, tries itself. */
bool keep_may_serve(struct process *process, uint64_t va, unsigned kind);
bool keep_is_plain(const struct walk *way, unsigned need);
enum custos_fault_code keep_fault_of(const struct walk *way, unsigned need);
/* Put the question, whatever it is, to an entry that can answer. */
void keep_put(struct process *process, const struct cap *entry,
	enum keep_question question);
/* The next keeper, because this one has passed or is gone. */
void keep_pass(struct process *process, enum keep_question question);

/* The question is answered: no other answer counts, it is in no line. */
void keep_take_answer(struct process *process);
/* Its instruction fails: steppers are told first. A call asks the process's
 * keeper, or returns error; as keep_ask. */
int64_t keep_fail(struct process *process, enum custos_fault_code code,
	uint64_t vector);
/* A step is done, or failed: the next stepper is told; false: none is left. */
bool keep_ask_stepped(struct process *process);
/* The instruction is complete, or failed. */
void keep_over(struct process *process);
/* Nobody answers for its fault. One that is not current ends when it is chosen
 * to run: ends that bring others about must not pile up on the stack. */
void keep_stay_or_end(struct process *process);
/* A blocked process goes on with its instruction, or makes its call again. */
void keep_run_on(struct process *process);
/* The call of a process, current or not, ends with an error; see keep_ask. */
int64_t keep_end_call(struct process *process, int64_t error);
/* Let the instruction, or call, use that page at va. false: too many. */
bool keep_open(
	struct process *process, uint64_t va, uint64_t gpa, unsigned rights);
bool keep_add_served(
	struct process *process, const void *bytes, uint64_t size);

/* ---- lock.c ---- */

void lock_init(void);

/* Who holds the place; NULL: nobody. */
struct keep_hold *lock_find(const struct keep_place *place);
/* A place nobody holds becomes the process's; NULL: it has too many. */
struct keep_hold *lock_take(
	struct process *process, const struct keep_place *place);
/* The first of its waiters tries again, for whom the place is reserved until
 * then; the others stay in line. */
void lock_release(struct keep_hold *hold);
void lock_release_all(struct process *process);
/* What is reserved for the process, it has not used: the next one's turn. */
void lock_release_reserved(struct process *process);
/* The process, current or in no list, waits. */
void lock_wait(struct process *process, struct keep_hold *hold);
/* Is it held for somebody the process need not wait for: itself, or who has
 * asked it about the place? */
bool lock_is_open_to(
	const struct keep_hold *hold, const struct process *process);
/* Would process, waiting for other, wait for itself? True as well when that
 * takes too long to find out. */
bool lock_is_loop(const struct process *process, const struct process *other);

#endif
