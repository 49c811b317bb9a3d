/* SPDX-License-Identifier: MIT */
/*
 * Keepers answer accesses. This header is the engine's side: what a keeper
 * is, what it can answer, how it is asked. Which bytes are kept is in range.h.
 * A keeper decides; it resumes nothing and knows no target.
 */
#ifndef CUSTOS_KEEPER_KEEPER_H
#define CUSTOS_KEEPER_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "trace/access.h"
#include "trace/sink.h"

enum verdict_kind {
	VERDICT_PASS, /* perform it on the backing */
	VERDICT_SERVE, /* with the bytes in value */
	VERDICT_ABSORB, /* complete the instruction, store nothing */
	VERDICT_DENY, /* fault */
	VERDICT_STEP, /* really execute it, others excluded; then stepped() */
	VERDICT_STOP, /* stop the target */
	/*
	 * Leave the process that made the access suspended, for at most
	 * hold_ms (0: for ever); others go on. Somebody says later how its
	 * access ends.
	 */
	VERDICT_HOLD,
	VERDICT_GRANT, /* perform it, and ask no more (grant says for whom) */
	/* answers to stepped() only, which also takes STEP, DENY and STOP */
	VERDICT_CONTINUE,
	VERDICT_ROLLBACK, /* put the old bytes and registers back */
	VERDICT_KIND_MAX
};

const char *verdict_name(enum verdict_kind kind);

/*
 * value: access->size bytes, the engine's buffer, filled with old_bytes (loads
 * and rmw) or new_bytes (stores) before the keeper is asked. serve on a load:
 * the program sees value. On a store: value is stored. On an rmw: the
 * instruction computes on value as if memory had held it, and its result is
 * stored. Only kept bytes of value count; others come from memory.
 */
enum grant {
	GRANT_PROCESS, /* the process that made the access */
	GRANT_ALL, /* everybody; the pages open if they hold nothing else */
};

struct verdict {
	enum verdict_kind kind;
	uint32_t hold_ms;
	enum grant grant;
	bool grant_writes; /* else loads and fetches only */
	uint8_t *value;
	struct arch_fault fault; /* deny: default #PF at the address */
	char reason[128]; /* stop, deny: for the report; may be "" */
};

/* One access the stepped instruction made inside the range. */
struct step_piece {
	uint64_t offset; /* in the range */
	uint32_t size;
	enum access_kind kind;
	const uint8_t *old_bytes, *new_bytes;
};

/* What a stepped instruction did (only what lies in the range: the keeper of
 * a range has no business with the rest). */
struct step_report {
	uint64_t next_ip; /* where it went */
	unsigned times; /* 1 for the first step of this access */
	bool faulted; /* did not retire; fault says why */
	struct arch_fault fault;
	const struct step_piece *pieces;
	unsigned count;
};

struct keeper;

/* How a keeper failed to answer. */
enum keeper_status {
	KEEPER_OK,
	KEEPER_ERROR, /* raised an error or gave an impossible answer */
	KEEPER_TIMEOUT, /* ran out of its budget */
	KEEPER_GONE, /* cannot be asked any more */
};

/*
 * access and stepped fill *verdict; both are NULL for a keeper that is only
 * told. Called with the keeper's lock held unless
 * the keeper says it is concurrent. On failure fill err; the engine applies
 * the range's default verdict, counts and reports it. */
struct keeper_ops {
	const char *name;
	const char *help; /* one line */
	bool concurrent;
	enum keeper_status (*access)(struct keeper *keeper,
		const struct access *access, struct verdict *verdict,
		struct error *err);
	enum keeper_status (*stepped)(struct keeper *keeper,
		const struct access *access, const struct step_report *report,
		struct verdict *verdict, struct error *err);
	/* An access was decided, by whomever; final_bytes as for
	 * trace_sink_write(). For keepers that only watch: they have this and
	 * no access(). May be NULL if there is access(). */
	void (*told)(struct keeper *keeper, const struct access *access,
		enum outcome outcome, const uint8_t *final_bytes);
	/* It has become a keeper of the range with this id, which may have
	 * others and their name; in the order the ranges were asked for. May
	 * be NULL. */
	void (*kept)(struct keeper *keeper, uint32_t range);
	/* All that process `before' has done happened before anything that
	 * process `after' will do: a message, a start, an end waited for.
	 * May be NULL. */
	void (*ordered)(
		struct keeper *keeper, uint64_t before, uint64_t after);
	/* Both may be NULL. Before the target runs; after it has ended. */
	enum keeper_status (*start)(struct keeper *keeper, struct error *err);
	enum keeper_status (*finish)(struct keeper *keeper, struct error *err);
	void (*destroy)(struct keeper *keeper);
};

/* Embedded first in a keeper's own structure. */
struct keeper {
	const struct keeper_ops *ops;
	void *lock; /* the engine's; taken by the functions below */
	uint64_t asked, failed; /* under the lock, or atomic if concurrent */
	bool timed; /* set before the run: measure ticks */
	uint64_t ticks; /* spent in access(), stepped() and told(); atomic */
};

/* For implementers: at creation; -ENOMEM. */
int keeper_init(struct keeper *keeper, const struct keeper_ops *ops);
/* For implementers whose creation fails after keeper_init(). */
void keeper_fini(struct keeper *keeper);
void keeper_destroy(struct keeper *keeper); /* calls ops->destroy; NULL ok */

/* Can a keeper answer an access of this kind, or a step, with kind? */
bool verdict_answers_access(enum verdict_kind kind, enum access_kind access);
bool verdict_answers_stepped(enum verdict_kind kind);

/*
 * Ask, taking the lock unless the keeper is concurrent. verdict->value is the
 * caller's, all else is filled: on KEEPER_OK kind is one that answers the
 * question (keeper_ask_stepped() never gives PASS: CONTINUE is meant). On
 * failure it is fallback (PASS or DENY; PASS is CONTINUE for a step), and the
 * bytes of value are not meant. The fault is the default one, #PF at the first
 * kept byte, unless the keeper chose another.
 */
enum keeper_status keeper_ask(struct keeper *keeper,
	const struct access *access, enum verdict_kind fallback,
	struct verdict *verdict, struct error *err);
/* Tell, with the lock. */
void keeper_tell(struct keeper *keeper, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes);

/* The optional news of the ops table, with the lock. */
void keeper_tell_kept(struct keeper *keeper, uint32_t range);
void keeper_tell_ordered(
	struct keeper *keeper, uint64_t before, uint64_t after);

enum keeper_status keeper_ask_stepped(struct keeper *keeper,
	const struct access *access, const struct step_report *report,
	enum verdict_kind fallback, struct verdict *verdict,
	struct error *err);

/* Before the target runs; after it has ended. Nothing to do is KEEPER_OK. */
enum keeper_status keeper_start(struct keeper *keeper, struct error *err);
enum keeper_status keeper_finish(struct keeper *keeper, struct error *err);

/* The keeper that always passes: ranges that are only watched. NULL: out of
 * memory. */
struct keeper *keeper_pass_create(void);

#endif
