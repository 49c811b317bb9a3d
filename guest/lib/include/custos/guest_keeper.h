/* SPDX-License-Identifier: MIT */
/*
 * Keepers: processes that answer for memory. A keeper receives what the kernel
 * asks about accesses, steps, faults and banks at one endpoint, and what other
 * processes ask; it answers each message once. docs/FIRST-KEEPER.md shows how.
 *
 * A handler is called with the keeper; the answer is one of the keeper_*
 * functions below. What a handler leaves unanswered, or what there is no
 * handler for, is answered so: an access is passed on, a step goes on, a fault
 * stays, a bank stays exhausted, a call gets UNKNOWN_REQUEST. A message that
 * claims to be the kernel's and is not never reaches a handler.
 */
#ifndef CUSTOS_GUEST_KEEPER_H
#define CUSTOS_GUEST_KEEPER_H

#include <custos/guest.h>

struct keeper;

/* EXHAUSTED: what could not be paid, for whom. */
struct keeper_exhausted {
	uint64_t type; /* CUSTOS_CAP_* */
	uint64_t va;   /* 0: no access */
	uint64_t seq;
};

struct keeper_ops {
	void (*access)(struct keeper *keeper,
		const struct custos_access *access);
	void (*stepped)(struct keeper *keeper,
		const struct custos_stepped *stepped);
	void (*fault)(struct keeper *keeper, uint64_t code,
		const struct custos_access *access);
	void (*exhausted)(struct keeper *keeper,
		const struct keeper_exhausted *what);
	void (*hole)(struct keeper *keeper, uint64_t offset, uint64_t length);
	void (*notice)(struct keeper *keeper, uint64_t bits);
	/* Somebody invoked op, which is no send or call, on an entry. */
	void (*call)(struct keeper *keeper, uint64_t op,
		const uint64_t arguments[5]);
	/* A process's own message; keeper_resume() is 0 if it was only sent. */
	void (*message)(struct keeper *keeper,
		const struct custos_message *message);
};

struct keeper {
	const struct keeper_ops *ops;
	void *context;	 /* the handlers' */
	uint64_t payload; /* of the entry the message came by */
	uint64_t forged; /* messages refused because they claimed too much */
	/* the rest is the library's */
	uint32_t endpoint;
	uint32_t slots[CUSTOS_MESSAGE_CAPS];
	bool pending; /* slots[0] is a resume capability not used yet */
	bool stopped;
	struct custos_message message;
	uint8_t string[CUSTOS_STRING_MAX] __attribute__((aligned(16)));
};

/* Reserves slots of the program's. */
void keeper_init(struct keeper *keeper, uint32_t endpoint,
	const struct keeper_ops *ops, void *context);

/* Until keeper_stop, or the endpoint is gone: that error. */
int64_t keeper_run(struct keeper *keeper);
void keeper_stop(struct keeper *keeper); /* after this message */

/* Until that process has ended (or the endpoint is gone: that error). */
int64_t keeper_run_for(struct keeper *keeper, uint32_t process);

/* One message; flags as of endpoint receive. */
int64_t keeper_once(struct keeper *keeper, uint64_t flags);

/* ---- answers to an access ---- */

int64_t keeper_done(struct keeper *keeper);
int64_t keeper_value(struct keeper *keeper, const void *bytes, size_t size);
int64_t keeper_retry(struct keeper *keeper);
int64_t keeper_pass(struct keeper *keeper);
int64_t keeper_fault(struct keeper *keeper, uint64_t code);
int64_t keeper_step(struct keeper *keeper, uint32_t page, uint32_t rights);
int64_t keeper_grant(
	struct keeper *keeper, uint32_t page, uint32_t rights, bool once);
int64_t keeper_cap(struct keeper *keeper, uint32_t slot);

/* ---- to a step ---- */

int64_t keeper_continue(struct keeper *keeper);
int64_t keeper_rollback(struct keeper *keeper);

/* ---- to a call ---- */

/* rax of the caller, or words[0] of its reply. */
int64_t keeper_result(struct keeper *keeper, int64_t result);
int64_t keeper_reply(struct keeper *keeper, struct custos_message *reply);

/* ---- what came ---- */

/* Slot of the resume capability, 0: none or used. */
uint32_t keeper_resume(const struct keeper *keeper);
/* Take it over, to answer later: the slot is the caller's to free. */
uint32_t keeper_defer(struct keeper *keeper);
/* Slots of the capabilities that came with the message, the resume capability
 * not counted; 0: no more. They are emptied after the message: copy. */
uint32_t keeper_received(const struct keeper *keeper, unsigned i);

bool keeper_is_store(const struct custos_access *access);
const char *keeper_kind_name(unsigned kind);
/* "store 0xabc 4 = 44332211": no address, which differs from run to run. */
void keeper_format(char *to, size_t size, const struct custos_access *access);

/* ---- ready-made keepers: ops and their context ---- */

/* Serves a region from these bytes; beyond their end nothing is mapped. */
struct keeper_store {
	uint8_t *bytes;
	uint64_t size;
};
extern const struct keeper_ops keeper_store_ops;

/* Prints every access, then lets other handlers answer. */
struct keeper_log {
	const struct keeper_ops *ops;
	void *context;
	uint64_t count;
};
extern const struct keeper_ops keeper_log_ops;

/* Lets instructions use a page one at a time; seen may be NULL. */
struct keeper_stepper {
	uint32_t page, rights;
	void (*seen)(struct keeper_stepper *stepper,
		const struct custos_stepped *stepped);
	void *context;
	uint64_t steps;
};
extern const struct keeper_ops keeper_stepper_ops;

#endif
