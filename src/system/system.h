/* SPDX-License-Identifier: MIT */
/*
 * A system as a user describes it: what objects there are and who can do what
 * with whom. Made by a reader (keeper/script_system.h), checked here, shown to
 * people, and turned into what the guest builds it from.
 *
 * Life: system_create(), then objects are added and filled; system_resolve()
 * finds what names mean; system_open_programs(); system_check(). After that it
 * is not changed any more.
 */
#ifndef CUSTOS_SYSTEM_SYSTEM_H
#define CUSTOS_SYSTEM_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/custos_system.h"
#include "base/buf.h"
#include "base/error.h"
#include "image/image.h"

#define SYSTEM_NONE UINT32_MAX
#define SYSTEM_OBJECTS_MAX 1024 /* of people's; the guest may need more */
#define SYSTEM_LIST_MAX 4096 /* mappings, pages, ... of one object */
#define SYSTEM_CONTENTS_MAX (UINT64_C(64) << 20)
#define SYSTEM_PROGRAMS_MAX (CUSTOS_MODULES_MAX - 1)

/* KIND(NAME, "word", "a word", cap type, is memory) */
#define SYSTEM_KINDS                                                           \
	KIND(CONSOLE, "console", "the console", CONSOLE, false)                \
	KIND(TIMER, "timer", "the timer", TIMER, false)                        \
	KIND(SCHEDULE, "schedule", "the schedule", SCHEDULE, false)            \
	KIND(DISCRIM, "discrim", "the discriminator", DISCRIM, false)          \
	KIND(BANK, "bank", "a bank", BANK, false)                              \
	KIND(MEMORY, "memory", "a memory object", GPT, true)                   \
	KIND(VIRTUAL, "virtual", "virtual memory", GPT, true)                  \
	KIND(NODE, "node", "a node", GPT, true)                                \
	KIND(VIEW, "view", "a view", GPT, true)                                \
	KIND(DEVICE, "device", "a device", FIXED, true)                        \
	KIND(ENDPOINT, "endpoint", "an endpoint", ENDPOINT, false)             \
	KIND(ENTRY, "entry", "an entry", ENTRY, false)                         \
	KIND(NOTICE, "notice", "a notice", NOTICE, false)                      \
	KIND(BUFFER, "buffer", "a message buffer", BUFFER, false)              \
	KIND(PROGRAM, "program", "a program", MODULE, false)                   \
	KIND(PROCESS, "process", "a process", PROCESS, false)

enum system_kind {
#define KIND(NAME, word, phrase, type, memory) SYSTEM_##NAME,
	SYSTEM_KINDS
#undef KIND
	SYSTEM_KIND_MAX
};

/* Another object: by its number, or by its name until that is resolved.
 * Neither: not given. */
struct system_ref {
	const char *name;
	uint32_t object;
};

#define SYSTEM_REF_INIT ((struct system_ref){ NULL, SYSTEM_NONE })

struct system_map {
	struct system_ref object;
	uint64_t at, offset;
	uint64_t length; /* 0: all there is from offset on */
	const char *rights_text; /* NULL: rw */
	uint32_t rights; /* resolved */
};

struct system_cap {
	const char *name; /* what the process knows it by */
	struct system_ref object;
	const char *rights_text; /* NULL: all */
	uint32_t rights;
};

/* What is special about one page of a memory object. */
struct system_page {
	uint64_t index;
	struct system_ref keeper; /* entry */
	bool virtual; /* no page: the position holds the entry */
	const char *rights_text; /* accesses the keeper is told of; NULL: rwx */
	uint32_t rights;
};

struct system_text {
	const char *bytes;
	size_t len;
};

struct system_object {
	enum system_kind kind;
	const char *name;
	unsigned line; /* of its statement; 0: always there */
	struct system_ref bank; /* pays for it; of a bank: its parent */
	struct system_ref keeper; /* bank, node, virtual, process */
	struct system_ref endpoint; /* entry, notice */
	struct system_ref process; /* endpoint: recipient; buffer */
	struct system_ref of; /* view; process: program */
	struct system_ref pays; /* node: for what is made below it */
	uint64_t size; /* memory, virtual, node, device, view */
	uint64_t offset; /* view */
	uint64_t limit; /* bank: frames; 0: none */
	uint64_t payload; /* entry; notice: mask; buffer: id */
	const char *rights_text; /* view; NULL: rw */
	uint32_t rights; /* what a capability to it can have */
	const char *file; /* program, memory: contents; as written */
	struct system_text contents;
	struct system_map *maps;
	size_t map_count;
	struct system_cap *caps;
	size_t cap_count;
	struct system_page *pages; /* by index, once checked */
	size_t page_count;
	struct system_text *args;
	size_t arg_count;
	uint64_t cpu; /* CUSTOS_ANY_CPU */
	uint64_t slice; /* ns; 0: the usual */
	bool service; /* nobody waits for its end */
	bool main; /* its exit code is the system's */
	bool suspended; /* never started */
	bool stays; /* where it faulted */
	bool unnamed; /* its name was made up */
	bool overcommit; /* bank: those below may promise more than it has */
	const char *path; /* program, once opened: where its file is */
	struct image *image; /* program, once opened; the system's */
	uint64_t frames; /* bank, checked: what it and those below need */
};

struct system {
	const char *path; /* of the description, as messages name it */
	struct system_object **objects;
	uint32_t count;
	uint32_t *order; /* resolved: all numbers, what is needed before */
	struct system_block *blocks; /* memory */
	size_t bytes; /* of memory */
};

/* What it will run on. */
struct system_machine {
	uint64_t memory; /* bytes */
	unsigned cpus;
};

/* Holds the objects that are always there. NULL: out of memory. */
struct system *system_create(const char *path);
void system_destroy(struct system *system); /* images too; NULL is fine */

/* Zeroed memory that lives as long as system; NULL: there is none. */
void *system_alloc(struct system *system, size_t size);
/* A copy with a NUL behind it. */
char *system_copy(struct system *system, const char *bytes, size_t len);

/* A new object; name NULL: one is made up. -EINVAL with file:line and a
 * sentence when the name is taken or cannot be one, or there are too many. */
int system_add(struct system *system, enum system_kind kind, const char *name,
	unsigned line, struct system_object **out, struct error *err);
uint32_t system_number(
	const struct system *system, const struct system_object *object);

const char *system_kind_name(enum system_kind kind);
const char *system_kind_phrase(enum system_kind kind); /* "a bank" */
bool system_kind_is_memory(enum system_kind kind);
enum custos_captype system_kind_type(enum system_kind kind);

/* The object of that name, SYSTEM_NONE: there is none. */
uint32_t system_find(const struct system *system, const char *name);
static inline struct system_object *system_object(
	const struct system *system, struct system_ref ref)
{
	return ref.object == SYSTEM_NONE ? NULL : system->objects[ref.object];
}

/* -EINVAL with "PATH:LINE: text". */
int system_fail(const struct system *system, unsigned line, struct error *err,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Numbers for all names, kinds that fit, rights; makes the entries and
 * programs that were named without a statement of their own. */
int system_resolve(struct system *system, struct error *err);

/*
 * Find and open the programs' files: one of given whose base name it is, or
 * that is a directory which has it, else in the description's own directory.
 * -ENOENT, -ENOEXEC, ... with a sentence.
 */
int system_open_programs(struct system *system, const char *const *given,
	size_t given_count, struct error *err);
/* path as written in the description: from its directory. */
char *system_path(struct system *system, const char *path);

/* Everything else that can be wrong. */
int system_check(struct system *system, const struct system_machine *machine,
	struct error *err);

/* ---- rights ---- */

/* All that a capability of an object of this kind can have. */
uint32_t system_kind_rights(enum system_kind kind);
/* "rw nocall", "send receive"; false when text is no such thing. what: the
 * wrong word, into out. */
bool system_rights_parse(enum system_kind kind, const char *text,
	uint32_t *out, struct buf *what);
void system_rights_print(
	enum system_kind kind, uint32_t rights, struct buf *out);

/* ---- what it looks like: of a checked system ---- */

/* Who can do what with whom. */
struct system_link {
	const struct system_object *from, *to;
	/* "map", "cap", "keeper", "page", "bank", "pays", "endpoint",
	 * "recipient", "activates", "of", "program" */
	const char *what;
	uint32_t rights; /* of map, cap, page, of */
	const struct system_cap *cap;
	const struct system_map *map;
	const struct system_page *page;
};
typedef void (*system_link_fn)(void *ctx, const struct system_link *link);
/* Those that begin at object. */
void system_each_link(const struct system *system,
	const struct system_object *object, system_link_fn fn, void *ctx);

void system_print(const struct system *system, struct buf *out);
void system_print_json(const struct system *system, struct buf *out);
void system_print_dot(const struct system *system, struct buf *out);

/* ---- what the guest gets ---- */

/* The program that builds a system, an ELF file inside custos. */
extern const uint8_t system_program_elf[];
extern const uint8_t system_program_elf_end[];

/* The description, struct custos_system first, into out; flags:
 * CUSTOS_SYSTEM_*. -E2BIG, -ENOMEM. */
int system_pack(const struct system *system, uint32_t flags, struct buf *out,
	struct error *err);

#endif
