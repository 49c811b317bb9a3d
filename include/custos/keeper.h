/* SPDX-License-Identifier: MIT */
/*
 * Keepers in C: shared objects that answer accesses to kept memory, loaded
 * with `custos run --plugin FILE[:ARGUMENT]'. A plugin needs this header and
 * nothing else: it exports one symbol, custos_plugin, and is linked with no
 * library of custos; what it may ask of custos is in struct custos_host. (So
 * access_kind_name() of arch.h is not there for it.) custos-keeper(3).
 *
 *	static int on_access(void *self, const struct custos_access *access,
 *		struct custos_verdict *verdict) ...
 *	const struct custos_plugin custos_plugin = {
 *		CUSTOS_PLUGIN_HEADER,
 *		.name = "mine",
 *		.open = on_open, // says what to keep: host->keep(...)
 *		.access = on_access,
 *	};
 *
 * How it can grow: structures get new members at their ends only. Each that
 * custos hands out begins with its size as that custos knows it; the plugin's
 * header says which sizes it was built with. custos refuses a plugin that
 * was built for larger ones, and one of another CUSTOS_PLUGIN_VERSION, which
 * changes when something cannot be done by growing.
 */
#ifndef CUSTOS_KEEPER_H
#define CUSTOS_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <custos/arch.h>

#define CUSTOS_PLUGIN_MAGIC 0x6b747363u /* "cstk" */
#define CUSTOS_PLUGIN_VERSION 1u

/* What a keeper answers. See docs/KEEPERS.md, "Verdicts". */
enum custos_verdict_kind {
	CUSTOS_PASS = 0, /* perform it */
	CUSTOS_SERVE = 1, /* with the bytes in value */
	CUSTOS_ABSORB = 2, /* complete the instruction, store nothing */
	CUSTOS_DENY = 3, /* fault: what the fault_ members say */
	CUSTOS_STEP = 4, /* execute it, others excluded; then stepped() */
	CUSTOS_STOP = 5, /* stop the run */
	CUSTOS_HOLD = 6, /* suspend its process until host->resume() */
	CUSTOS_GRANT = 7, /* perform it, and ask no more */
	/* answers of stepped() only, which may also be STEP, DENY and STOP */
	CUSTOS_CONTINUE = 8,
	CUSTOS_ROLLBACK = 9, /* put memory and registers back */
};

/* How an access ended; told() gets it. */
enum custos_outcome {
	CUSTOS_OUTCOME_PASS = 0,
	CUSTOS_OUTCOME_SERVE = 1,
	CUSTOS_OUTCOME_ABSORB = 2,
	CUSTOS_OUTCOME_DENY = 3,
	CUSTOS_OUTCOME_STEP = 4,
	CUSTOS_OUTCOME_ROLLBACK = 5,
	CUSTOS_OUTCOME_STOP = 6,
	CUSTOS_OUTCOME_UNEMULATABLE = 7,
	CUSTOS_OUTCOME_FAULT = 8, /* it faulted by itself; nothing was done */
};

/* One element of a gather, scatter or masked access. Does not grow. */
struct custos_lane {
	uint64_t address;
	uint32_t size;
	uint32_t offset; /* of its bytes in old_bytes and new_bytes */
};

/* One access. All pointers are valid until the callback returns. */
struct custos_access {
	uint64_t struct_size;
	uint64_t seq; /* from 1, in the order accesses are decided */
	uint32_t kind; /* enum access_kind */
	uint32_t atomic; /* 1: lock prefix, or xchg */
	uint64_t address; /* of the first byte the instruction names */
	uint32_t size; /* all bytes of it, kept or not */
	/* Bytes [kept_first, kept_first + kept_count) of it are bytes [offset,
	 * offset + kept_count) of the range. */
	uint32_t kept_first, kept_count;
	uint32_t range; /* number of the range */
	const char *range_name;
	uint64_t offset;
	/* size bytes each. old: what memory holds. new: what would be stored;
	 * NULL for kinds that only read. */
	const uint8_t *old_bytes, *new_bytes;
	const struct custos_lane *lanes; /* NULL: one piece */
	uint32_t lane_count;
	uint32_t cpu;
	uint64_t process; /* number; 0: the guest's kernel */
	const char *process_name;
	uint64_t ip; /* of the instruction; of the system call for copies */
	const uint8_t *insn; /* its bytes; NULL for copies */
	uint32_t insn_len;
	uint32_t reserved;
};

#define CUSTOS_REASON_MAX 128

/* An answer; filled with CUSTOS_PASS (stepped(): CUSTOS_CONTINUE) and all
 * defaults before the plugin is asked. */
struct custos_verdict {
	uint64_t struct_size;
	uint32_t kind; /* enum custos_verdict_kind */
	uint32_t hold_ms; /* HOLD: then the range's default; 0: for ever */
	/* SERVE: access->size bytes to be changed in place; they hold what is
	 * loaded, or stored, without you. Only the kept ones count. */
	uint8_t *value;
	uint32_t grant_all; /* GRANT: 1: to everybody, 0: to this process */
	uint32_t grant_writes; /* GRANT: 1: stores, too (the default) */
	/* DENY: the fault the program gets; a page fault unless changed. */
	uint32_t fault_vector; /* enum arch_vector */
	uint32_t fault_error_code;
	uint64_t fault_address;
	char reason[CUSTOS_REASON_MAX]; /* STOP, DENY: for the report */
};

/* One access a stepped instruction made inside the range. Does not grow. */
struct custos_step_piece {
	uint64_t offset; /* in the range */
	uint32_t size;
	uint32_t kind; /* enum access_kind */
	const uint8_t *old_bytes, *new_bytes;
};

/* What a stepped instruction did. */
struct custos_step {
	uint64_t struct_size;
	uint64_t next_ip; /* where it went */
	uint32_t times; /* 1 for the first step of this access */
	uint32_t faulted; /* 1: it did not retire; why: */
	uint32_t fault_vector;
	uint32_t fault_error_code;
	uint64_t fault_address;
	const struct custos_step_piece *pieces;
	uint64_t piece_count;
};

/*
 * What custos does for a plugin. Every function takes the host itself first
 * and may be called from any callback and any thread, unless it says otherwise.
 */
struct custos_host {
	uint64_t struct_size;
	/* Keep these bytes: a range as on the command line ("counter",
	 * "ring+32+16", "prog!x", "device:uart+16"). Only from open(). 0, or
	 * -1 when it cannot be remembered; wrong ranges end the run later,
	 * with a message. */
	int (*keep)(struct custos_host *host, const char *range);
	/* A line for people (a newline is added), where scripts print. */
	void (*log)(struct custos_host *host, const char *line);
	/* The same for a bug that was found: a note of its own in JSON. */
	void (*finding)(struct custos_host *host, const char *line);
	/* Why the present callback is going to return another value than 0. */
	void (*error)(struct custos_host *host, const char *sentence);
	/* "main+0x1c", "ring.c:41" ("" when unknown) and the disassembly of
	 * an instruction, into text, NUL-terminated, cut at capacity. */
	void (*symbol)(struct custos_host *host, uint64_t process,
		uint64_t address, char *text, size_t capacity);
	void (*line)(struct custos_host *host, uint64_t process,
		uint64_t address, char *text, size_t capacity);
	void (*disassemble)(struct custos_host *host, const uint8_t *insn,
		size_t len, uint64_t ip, char *text, size_t capacity);
	/* Memory of a process, making no access; how many bytes were done,
	 * from the start. 0 outside a run. */
	size_t (*read)(struct custos_host *host, uint64_t process,
		uint64_t address, void *bytes, size_t len);
	size_t (*write)(struct custos_host *host, uint64_t process,
		uint64_t address, const void *bytes, size_t len);
	/* Return addresses of the process whose access is being decided,
	 * innermost (the instruction itself) first; how many. Only in
	 * access(), stepped() and told(). */
	size_t (*stack)(struct custos_host *host, uint64_t *ips, size_t max);
	/*
	 * How a held access ends: verdict->kind is PASS, SERVE (value: all
	 * bytes of the access, value_size of them), ABSORB, DENY, STEP or
	 * STOP. 0; -1: nothing is held with this number, or it is no such
	 * answer.
	 */
	int (*resume)(struct custos_host *host, uint64_t seq,
		const struct custos_verdict *verdict, size_t value_size);
};

/* custos_plugin.flags: callbacks may run on several threads at once. Without
 * it custos calls a plugin by one thread at a time. */
#define CUSTOS_PLUGIN_CONCURRENT 1u

/*
 * What a plugin exports, as `custos_plugin'. Callbacks that return int say 0,
 * or anything else for a failure: it is reported with what was given to
 * host->error(), counted, and the range's default verdict applies.
 */
struct custos_plugin {
	/* CUSTOS_PLUGIN_HEADER */
	uint32_t magic, version;
	uint32_t plugin_size, host_size;
	uint32_t access_size, verdict_size;
	uint32_t step_size, reserved;

	const char *name; /* a word, for reports */
	const char *help; /* one line; may be NULL */
	uint64_t flags;
	/*
	 * Before anything else: make what you need and say what to keep.
	 * argument is what the user wrote behind the colon, "" if nothing.
	 * Stores what the other callbacks get as self. Needed.
	 */
	int (*open)(struct custos_host *host, const char *argument,
		void **out_self);
	void (*close)(void *self); /* last of all; may be NULL */
	/* Before the program runs, after it has ended; may be NULL. */
	int (*start)(void *self);
	int (*finish)(void *self);
	/* Decide about an access: before anything of it has happened, with
	 * everybody else kept out of the page. NULL: a plugin that is only
	 * told. */
	int (*access)(void *self, const struct custos_access *access,
		struct custos_verdict *verdict);
	/* After a STEP; NULL: always CONTINUE. */
	int (*stepped)(void *self, const struct custos_access *access,
		const struct custos_step *step,
		struct custos_verdict *verdict);
	/* An access was decided, by whomever: enum custos_outcome; the bytes
	 * that were loaded or are in memory now, NULL when nothing was done.
	 * May be NULL if there is access(). */
	void (*told)(void *self, const struct custos_access *access,
		uint32_t outcome, const uint8_t *final_bytes);
};

#define CUSTOS_PLUGIN_HEADER                                                   \
	.magic = CUSTOS_PLUGIN_MAGIC, .version = CUSTOS_PLUGIN_VERSION,        \
	.plugin_size = sizeof(struct custos_plugin),                           \
	.host_size = sizeof(struct custos_host),                               \
	.access_size = sizeof(struct custos_access),                           \
	.verdict_size = sizeof(struct custos_verdict),                         \
	.step_size = sizeof(struct custos_step)

#define CUSTOS_PLUGIN_SYMBOL "custos_plugin"
extern __attribute__((visibility("default"))) const struct custos_plugin
	custos_plugin;

/* Version 1 on x86-64: what is laid out stays where it is. */
#define CUSTOS_LAID_OUT(cond) _Static_assert(cond, #cond)
CUSTOS_LAID_OUT(sizeof(struct custos_lane) == 16);
CUSTOS_LAID_OUT(sizeof(struct custos_access) == 136);
CUSTOS_LAID_OUT(offsetof(struct custos_access, insn_len) == 128);
CUSTOS_LAID_OUT(sizeof(struct custos_verdict) == 176);
CUSTOS_LAID_OUT(offsetof(struct custos_verdict, reason) == 48);
CUSTOS_LAID_OUT(sizeof(struct custos_step_piece) == 32);
CUSTOS_LAID_OUT(sizeof(struct custos_step) == 56);
CUSTOS_LAID_OUT(sizeof(struct custos_host) == 96);
CUSTOS_LAID_OUT(offsetof(struct custos_plugin, name) == 32);
CUSTOS_LAID_OUT(sizeof(struct custos_plugin) == 112);
#undef CUSTOS_LAID_OUT

#endif
