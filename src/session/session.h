/* SPDX-License-Identifier: MIT */
/*
 * A session: one run of one target with its kept ranges. It binds ranges to
 * the frames that hold them, and for every stop at a closed page works out
 * what the instruction does, asks the keepers, carries it out, tells sink and
 * statistics, and lets the thread go on.
 */
#ifndef CUSTOS_SESSION_SESSION_H
#define CUSTOS_SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "keeper/range.h"
#include "session/names.h"
#include "session/order.h"
#include "session/recorder.h"
#include "target/target.h"
#include "trace/sink.h"

struct session;

struct session_config {
	struct target *target;
	struct range_set *ranges;
	struct names *names; /* learns the processes as they start */
	bool timed; /* measure what stops cost (ticks below) */
	struct trace_sink *sink; /* NULL: accesses are not written */
	const struct session_recorder *recorder; /* NULL: nobody records */
	const struct session_order *order; /* NULL: as it comes */
	/* An access has been decided; for statistics. Any thread, several at
	 * once. May be NULL. */
	void (*decided)(void *ctx, const struct access *access,
		enum outcome outcome);
	/* Complete lines for people: faults, keeper errors, stops. */
	void (*report)(void *ctx, const char *text, size_t len);
	void *ctx;
};

/* What a stop at a closed page turned out to be. */
enum session_trap {
	TRAP_USEFUL, /* it touched a kept byte */
	TRAP_MATE, /* it missed every kept byte of its pages */
	TRAP_SPURIOUS, /* the page was open again by then */
	TRAP_MAX
};

struct session_summary {
	uint64_t accesses; /* accesses to kept bytes, each told to a keeper */
	uint64_t by_kind[ACCESS_KIND_MAX];
	uint64_t by_outcome[OUTCOME_MAX];
	uint64_t stops; /* instructions that stopped at a closed page */
	uint64_t page_mates; /* of them, those that missed every kept byte */
	uint64_t spurious; /* of them, those at a page open again by then */
	uint64_t steps; /* instructions single-stepped */
	uint64_t holds; /* accesses left suspended for a while */
	uint64_t still_held; /* of them, those never resumed */
	uint64_t waits; /* times a thread waited for another's decision */
	uint64_t keeper_errors; /* answers that were not had */
	uint64_t never_bound; /* ranges that no process ever had mapped */
	/* Completeness: stores to kept bytes that were not seen. */
	uint64_t missed;
	char missed_why[512]; /* the first of them, and known reasons */
	uint64_t verified_bytes; /* kept bytes compared with their shadow */
	/* Stops by what they were, and base/ticks.h ticks from a stop to the
	 * thread's going on, keepers included (0 unless timed). */
	uint64_t traps[TRAP_MAX], trap_ticks[TRAP_MAX];
};

/* config is copied; what it points to must outlive the session. */
int session_create(const struct session_config *config, struct session **out,
	struct error *err);
void session_destroy(struct session *session);

/* Run the target to its end. Once per session. */
int session_run(struct session *session, struct target_result *out_result,
	struct error *err);

/* Counters so far (any thread), complete after session_run(). */
void session_summary(struct session *session, struct session_summary *out);

/*
 * Compare all kept bytes with what the accesses seen so far leave, now: then
 * the summary's missed is of this moment. From any thread but one that is
 * inside a keeper's callback; accesses wait meanwhile.
 */
void session_check(struct session *session);

/*
 * How a held access ends: value (size bytes, the access's) for serve. From any
 * thread, keepers' callbacks included. -ENOENT: no access with this number is
 * held; -EMSGSIZE: it has another size; -EINVAL: not a verdict to resume with.
 * For deny with a #PF at address 0 the fault is the access's own.
 */
int session_resume(struct session *session, uint64_t seq,
	const struct verdict *verdict, const uint8_t *value, size_t size);

/* Bytes of the held access with this number; 0: none is held. */
size_t session_held_size(struct session *session, uint64_t seq);

/*
 * The following may be called on any thread. In a keeper's callback they are
 * noted, and done before the instruction that is being decided is over for
 * its process: the next one finds it done. Elsewhere they are done at once
 * (never with a keeper's lock held while the target runs).
 */

/* Take back everything granted of a range. */
int session_revoke(struct session *session, struct range *range);

/*
 * Keep a range that was added to the set after session_create(), wherever it
 * is mapped. -ENODEV: the target has no such device; -ENOMEM.
 */
int session_keep(
	struct session *session, struct range *range, struct error *err);

/*
 * keeper lets go of range: it is not asked any more; the accesses it held
 * are performed. When it was the last one, the pages open. False: it did not
 * keep it.
 */
bool session_release(
	struct session *session, struct range *range, struct keeper *keeper);

/*
 * Return addresses of the process whose access is being decided, innermost
 * first; how many. Only on the thread that decides, i.e. from a keeper.
 */
size_t session_stack(struct session *session, uint64_t *out_ips, size_t max);

/* Its registers before the instruction; of a copy by the guest's kernel, at its
 * system call. False: they are not known. From a keeper, or the recorder. */
bool session_regs(struct session *session, struct arch_regs *out);

/* Memory of a process behind everybody's back, for keepers' scripts. Returns
 * the bytes done. */
size_t session_read(struct session *session, uint64_t process, uint64_t va,
	void *bytes, size_t len);
size_t session_write(struct session *session, uint64_t process, uint64_t va,
	const void *bytes, size_t len);

#endif
