/* SPDX-License-Identifier: MIT */
/* Shared by the files of this module only. */
#ifndef CUSTOS_SESSION_SESSION_IMPL_H
#define CUSTOS_SESSION_SESSION_IMPL_H

#include <custos/decode.h>
#include <pthread.h>
#include <stdatomic.h>

#include "keeper/kept_page.h"
#include "session/session.h"

/*
 * The pieces an instruction's bytes and operands fall into, page by page. An
 * access of n bytes touches at most n / 4096 + 2 pages; the largest operand
 * (an XSAVE area) is smaller than 4 pages.
 */
#define SPANS_MAX (EXEC_ACCESSES_MAX * 2 + 8)
#define SPAN_FETCH UINT32_MAX

struct span {
	uint32_t access; /* index of the exec access, or SPAN_FETCH */
	uint32_t at; /* first byte of the access in this span */
	uint32_t count;
	uint32_t first; /* its offset in the page */
	uint64_t va;
	struct target_page page;
	struct kept_page *kept; /* NULL: no kept byte was ever there */
	/* emulation: what an rmw loads there comes from elsewhere; the page
	 * is one of those opened for the instruction */
	bool stores_only, open;
};

/* The largest operand of an instruction that only the CPU can execute, and the
 * longest run of a rep form's elements. */
#define OWN_SIZE_MAX 4096

/*
 * One question to one keeper: a group of exec accesses (one, or all lanes of a
 * gather or scatter) as far as it touches one range.
 */
struct event {
	struct access access;
	struct range *range;
	struct range_link *link; /* whose answer verdict is; NULL: nobody's */
	uint32_t first, count; /* exec accesses; first SPAN_FETCH for a fetch */
	struct verdict verdict;
	bool decided; /* the keeper has answered */
	bool left_out; /* some condition, and nobody who wanted to know */
	enum outcome outcome;
};

/* What became of a stop, or of one instruction. */
enum carried {
	CARRIED_DONE, /* performed; registers are those after it */
	CARRIED_FAULT, /* the target gets worker->fault, nothing happened */
	CARRIED_AGAIN, /* memory changed, or a lock is missing: from the start */
	CARRIED_STEP, /* cannot be, or shall not be, emulated */
	CARRIED_STOP, /* the target stops here, nothing happened */
	CARRIED_WAIT, /* another's turn is first, nothing happened */
	CARRIED_HOLD, /* the process waits here, nothing happened */
	/* emulation: the guest's kernel has to do something first; the result
	 * says what */
	CARRIED_BACK,
};

struct emulated;

/* Bytes [at, at + size) of an access that are nowhere; size 0: all are. */
struct missing {
	uint32_t access, at, size;
};

/*
 * An instruction that the guest's kernel wants carried out, in the place of
 * the one that a thread stopped at: its state is not the thread's, and bytes
 * of it come from lists before they come from the page tables.
 */
struct emulation {
	struct target_emulate *call;
	struct emulated *process; /* what is remembered of it */
	/* Accesses that entries of served are for, plus 1; 0: none yet. Two
	 * accesses of one instruction at the same place are two questions. */
	uint32_t used[CUSTOS_SERVED_MAX];
	struct missing load, store; /* the first in the CPU's order */
	unsigned code_size; /* instruction bytes that were found */
};

/* What serving one target thread needs; used by its host thread only. */
struct worker {
	struct session *session;
	struct target_thread *thread;
	struct exec *exec;
	struct arch_xstate *xstate; /* before the instruction */
	bool has_xstate;
	struct arch_regs regs; /* before the instruction, and then after it */
	/* Before it, until the next one; or those of the process for which
	 * the guest's kernel copies. For stacks. */
	struct arch_regs start;
	bool has_start;
	const struct target_process *start_process;
	space_t start_space;
	struct arch_fault fault; /* the target's to see, when CARRIED_FAULT */
	struct arch_fault step_fault; /* of the last answer to stepped() */
	const struct target_process *process;
	space_t space;

	uint8_t bytes[ARCH_INSN_MAX];
	const struct insn *insn;
	bool planned; /* the executor has it planned, and can run it */
	/* Accesses that count: all, or those of a gather or scatter before
	 * the lane that faults (then fault says how). */
	uint32_t access_count;
	bool lane_faults;
	/* Accesses of an instruction that the executor does not plan. */
	struct exec_access own[INSN_OPERANDS_MAX];
	/* rep.c: own[] is a run of so many elements of so many bytes; 0: none */
	uint64_t joined;
	uint32_t element;
	bool single_elements; /* for the rest of this stop: no runs */
	uint8_t own_bytes[INSN_OPERANDS_MAX][2][OWN_SIZE_MAX];

	struct span spans[SPANS_MAX];
	unsigned span_count;
	struct kept_page *locked[SPANS_MAX]; /* ascending frames */
	unsigned locked_count;

	struct event *events;
	size_t event_count, event_capacity;
	size_t fetch_count; /* the first of them are fetches */
	/* Copies of bytes for one instruction's events. */
	uint8_t *arena;
	size_t arena_used, arena_capacity;

	uint64_t asking; /* number of the access being asked about, or 0 */
	uint64_t spurious_ip, spurious_run;
	enum session_trap trap; /* this stop, so far */
	struct held *held; /* this stop's earlier answers, or NULL */
	struct emulation *emulation; /* NULL: the thread's own instruction */
};

/* One page of a range as it is bound for one process. */
struct binding {
	const struct target_process *process; /* NULL: a device */
	struct range *range;
	uint64_t page_va; /* page aligned */
	uint32_t first, count; /* in the page */
	uint64_t offset; /* in the range */
	bool bound;
	/* It is not mapped: the target will be, or has been, asked where the
	 * page leads. Until then it stays bound as it was. */
	bool unknown, asked;
	frame_t frame;
	uint8_t *bytes; /* of the frame; NULL for a device */
};

struct session {
	struct session_config config;
	struct kept_map *map;
	/*
	 * Held for reading while an instruction is carried out, for writing
	 * while bindings change: a page can not become kept between the
	 * moment an instruction's operands are looked up and its stores.
	 */
	pthread_rwlock_t bindings_lock;
	struct binding *bindings;
	size_t binding_count, binding_capacity;
	bool watching, asking; /* guarded by it, too */
	const struct target_process **live; /* guarded by it, too */
	size_t live_count, live_capacity;

	/* What keepers asked for; count (not yet carried out) is read
	 * without the mutex. */
	pthread_mutex_t request_mutex;
	struct request *requests, **requests_end;
	_Atomic size_t request_count;

	/* Those of the ranges' keepers that want to know of order; fixed
	 * before the target runs. */
	struct keeper **ordered;
	size_t ordered_count;

	struct worker *workers[64]; /* by thread index; made at first stop */
	atomic_bool stopping;

	_Atomic uint64_t seq;
	_Atomic uint64_t by_kind[ACCESS_KIND_MAX];
	_Atomic uint64_t by_outcome[OUTCOME_MAX];
	_Atomic uint64_t page_mates, steps, keeper_errors;
	_Atomic uint64_t traps[TRAP_MAX], trap_ticks[TRAP_MAX];
	_Atomic uint64_t holds;

	/* Suspended accesses; count is read without the mutex. */
	pthread_mutex_t hold_mutex;
	pthread_cond_t hold_changed;
	struct held *held;
	_Atomic unsigned held_count;

	/* Instructions for the guest's kernel, one at a time. */
	pthread_mutex_t emulate_mutex;
	struct emulated *emulated;

	/* What keepers granted; count is read without the mutex. */
	pthread_mutex_t grant_mutex;
	struct granted *granted;
	size_t granted_capacity;
	_Atomic size_t granted_count;

	/* guarded by report_mutex */
	pthread_mutex_t report_mutex;
	uint64_t missed, verified_bytes;
	char missed_why[512];
	uint64_t errors_shown, denials_shown;
};

#define SESSION_WORKERS_MAX                                                    \
	(sizeof(((struct session *)0)->workers) / sizeof(struct worker *))

/* session.c */
void session_say(struct session *session, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The worker of a thread, with regs, process and space of this stop; NULL when
 * out of memory (the session is being stopped then). */
struct worker *session_worker(
	struct session *session, struct target_thread *thread);

/* The worker that this host thread is for while it decides, or NULL. */
extern _Thread_local struct worker *session_current;

/* bind.c; each takes the bindings lock itself, unless it says otherwise */
int bind_process(struct session *session, const struct target_process *process);
/* Look where bindings lead now; what is not mapped is asked about. */
void bind_changed(struct session *session);
void bind_where(struct session *session, const struct target_where *answers,
	unsigned count);
/* At most max questions; how many. */
unsigned bind_ask(struct session *session, struct target_where *questions,
	unsigned max);
void bind_exit(struct session *session, const struct target_process *process);
int bind_devices(struct session *session, struct error *err);
/* A page was open for a while: what it holds now is what it shall hold. */
void bind_resync(struct session *session, struct kept_page *page);
/* With the lock held for writing: bind a range in every process it is for;
 * take back all its bindings. */
int bind_live(struct session *session, struct range *range, struct error *err);
void bind_release(struct session *session, const struct range *range);
/* Compare what is bound with its shadow. last: the run is over. */
void bind_verify_all(struct session *session, bool last);

/* plan.c */
/*
 * Fetch and decode the instruction at regs.rip (or take the served bytes) and
 * look up every page it touches. CARRIED_DONE: worker->insn, spans and, if
 * planned, exec's accesses are set. CARRIED_FAULT: it cannot go on.
 */
enum carried plan_instruction(struct worker *worker, const uint8_t *served);
/* The accesses of the planned instruction. */
uint32_t plan_count(const struct worker *worker);
struct exec_access *plan_access(struct worker *worker, uint32_t index);
/* Sort and lock the closed pages among the spans. */
void plan_lock(struct worker *worker);
void plan_unlock(struct worker *worker);
/* Lock those not locked yet without waiting; false when one is taken. */
bool plan_lock_more(struct worker *worker);
/* Old bytes of every exec access, from memory. */
void plan_read(struct worker *worker);

/* rep.c */
/* Make the planned rep form a run of elements, if the ranges want that. */
bool rep_plan(struct worker *worker);
/* What the run stores, from what it loads. */
void rep_run(struct worker *worker);
/* The registers behind it. */
void rep_take_result(struct worker *worker);

/* event.c */
/* The questions this instruction raises, with pages locked and old bytes
 * read. 0 or -ENOMEM. */
int event_build(struct worker *worker);
/* Replace all but the fetches: the instruction is another one now. */
int event_build_data(struct worker *worker);
/* Room for size bytes until the next event_build(); NULL: out of memory. */
uint8_t *event_alloc(struct worker *worker, size_t size);
/* Ask the event's keeper; its answer is in event->verdict. */
void event_ask(struct worker *worker, struct event *event);
/* Put kept bytes of event->verdict.value into the exec accesses' old bytes
 * (loads, rmw) or new bytes (stores). */
void event_apply_value(struct worker *worker, struct event *event, bool to_new);
/* Put what memory holds into the kept bytes of the new bytes: storing them
 * changes nothing. */
void event_apply_absorb(struct worker *worker, struct event *event);
/* Count and write it. final_bytes may be NULL. */
void event_record(struct worker *worker, struct event *event,
	const uint8_t *final_bytes);
/* Show the keeper that wanted a step what came of it; its answer. */
enum verdict_kind event_ask_stepped(struct worker *worker, struct event *event,
	const struct step_report *report);
/* The same for an instruction that did nothing but this access. */
enum verdict_kind event_ask_stepped_alone(
	struct worker *worker, struct event *event, uint64_t next_ip);
void event_keeper_failed(struct worker *worker, const struct event *event,
	enum keeper_status status, const struct error *err);
/* To people: that and why it was stopped or denied; nothing else. */
void event_say_verdict(struct worker *worker, const struct event *event);

/* access.c */
enum target_resume access_stop(void *ctx, struct target_thread *thread);
/* Ask, and say what the answer means for the instruction. */
enum carried access_ask(struct worker *worker, struct event *event);
/* Record the events that were decided. */
void access_record(struct worker *worker, enum carried carried);
/* The steps of carrying a planned instruction out, in this order: ask about
 * fetches and loads (CARRIED_FAULT: denied); compute; ask about stores; put
 * what keepers said into the bytes to be stored; store. */
enum carried access_ask_reads(struct worker *worker);
enum carried access_run(struct worker *worker);
enum carried access_ask_writes(struct worker *worker);
void access_apply_writes(struct worker *worker);
enum carried access_commit(struct worker *worker);

/* step.c: carry the planned instruction out on the real CPU. Pages are locked,
 * events built; answered ones have decided set. */
enum carried step_instruction(struct worker *worker);

/* Is it the turn of every access that the planned instruction makes to a kept
 * byte? Looks at no memory, with no page locked. */
bool event_is_in_turn(struct worker *worker);
/* The same for bytes [first, first + count) of a page. */
bool event_bytes_in_turn(struct session *session, uint64_t process,
	const struct kept_page *page, uint32_t first, uint32_t count);

/* hold.c */
/*
 * A process that was held and stopped again, at the same instruction. Returns
 * true when it must go on waiting: some time has passed, let its thread look
 * at interrupts. Else worker->held has its answers, or is NULL.
 */
bool hold_wait(struct worker *worker);
/* The instruction's fate is decided: forget what was held. */
void hold_done(struct worker *worker);
/* Keep what has been answered so far; the last event asked is the held one. */
enum carried hold_process(struct worker *worker);
/* The instruction starts over, and its keepers are asked again about what is
 * there now: its accesses keep their numbers. */
void hold_numbers(struct worker *worker);
/* Keep what has been answered so far for when the instruction is planned
 * again. */
void hold_answers(struct worker *worker);
void hold_forget(struct held *held); /* NULL is fine */
/* The number this access had when it was held or asked before, or 0. */
uint64_t hold_seq(const struct worker *worker, size_t event);
/* An earlier answer to it; false: ask. */
bool hold_answer(struct worker *worker, struct event *event);
void hold_exit(struct session *session, uint64_t process);
/* A keeper that will not answer any more: what it held (on this range, or on
 * any: NULL) ends with its default, or passes. */
void hold_release(struct session *session, const struct range *range,
	const struct keeper *keeper, bool passes);
void hold_destroy_all(struct session *session);

/* grant.c */
/* May this access be made without asking the link's keeper? */
bool grant_covers(struct session *session, const struct range_link *link,
	const struct access *access);
/* The keeper granted it. */
void grant_give(struct worker *worker, const struct event *event);
void grant_exit(struct session *session, uint64_t process);
/* Open the pages of this stop that hold nothing but what is granted to all;
 * their locks are held. */
void grant_open_pages(struct worker *worker);

/* Forget what was granted of a range. */
void grant_forget(struct session *session, const struct range *range);
/* Close the pages again that were open for a range; with the bindings lock
 * held for writing. */
void grant_close_pages(struct session *session, const struct range *range);

/* request.c */
/* Carry out what was asked for, in its order; with the bindings lock held for
 * writing. */
void request_carry_out(struct session *session);
/* The same with nothing held; at once when there is nothing. On return
 * everything this thread asked for has been done. */
void request_settle(struct session *session);
void request_destroy_all(struct session *session);

/* copy.c */
enum target_copy_result copy_stop(void *ctx, struct target_thread *thread,
	const struct target_copy *copy);

/* emulate_plan.c: for plan.c, when there is an emulation */
void emulate_begin(struct worker *worker);
/* Instruction bytes at regs.rip as far as there are any. */
unsigned emulate_fetch(struct worker *worker);
/* They do not suffice. */
enum carried emulate_lacks_code(struct worker *worker, unsigned count);
enum carried emulate_xstate(struct worker *worker);
/* Add the spans of what is memory among [va, va + size); put what is served
 * into the access's old bytes; note what is missing. */
enum carried emulate_spans(struct worker *worker, uint32_t access,
	enum access_kind kind, uint64_t va, uint32_t size);
/* Is there all that the instruction loads? */
enum carried emulate_loads(struct worker *worker);
/* Is there a place for all that it stores? Its values are known. */
enum carried emulate_stores(struct worker *worker);

/* emulate.c */
void emulate_call(void *ctx, struct target_thread *thread,
	struct target_emulate *call);
void emulate_exit(struct session *session, uint64_t process);
void emulate_destroy_all(struct session *session);

/* commit.c */
/* Store bytes of one span, aligned ones in one piece, and tell the shadow. */
void commit_span(const struct span *span, const uint8_t *bytes, uint64_t mask);
/* Store an atomic's result if memory still holds old; false when it does not.
 */
bool commit_exchange(const struct span *span, const uint8_t *old_bytes,
	const uint8_t *new_bytes);

#endif
