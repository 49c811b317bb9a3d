/* SPDX-License-Identifier: MIT */
/*
 * Keepers that come with custos, each one flag of `custos run': --watch
 * counter. One keeper, one builtin_<name>.c, one row of the table in
 * builtin.c, from which the options, their help and the manual's list come.
 * They compose: with each other and with scripts, on one range.
 */
#ifndef CUSTOS_KEEPER_BUILTIN_H
#define CUSTOS_KEEPER_BUILTIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "image/image.h"
#include "keeper/keeper.h"
#include "trace/sink.h"

/* What a built-in keeper may use of its surroundings. Lives longer than it. */
struct builtin_host {
	const struct trace_names *names;
	const struct image *const *images; /* the programs */
	size_t image_count;
	/*
	 * A bug, or what the user asked to be told: complete lines for
	 * people. keeper is the built-in's name; programs get it as a note
	 * of this kind.
	 */
	void (*finding)(void *ctx, const char *keeper, const char *text);
	/*
	 * Return addresses of the process whose access is being decided,
	 * innermost (the accessing instruction) first. Only from access(),
	 * stepped() and told().
	 */
	size_t (*stack)(void *ctx, uint64_t *out_ips, size_t max);
	void *ctx;
};

#define BUILTIN_RANGES_MAX 8
#define BUILTIN_RANGE_TEXT_MAX 160

/* The ranges a built-in wants to keep, as range_set_add() takes them. */
struct builtin_ranges {
	char text[BUILTIN_RANGES_MAX][BUILTIN_RANGE_TEXT_MAX];
	size_t count;
};

struct builtin {
	const char *name; /* of the option, too */
	const char *argument; /* "RANGE", "LOCK:DATA", ... */
	const char *help; /* one line: what it does */
	const char *finds; /* the bug it is for, for the manual */
	/*
	 * argument: the user's. On success stores a keeper, to be destroyed
	 * with keeper_destroy(), and the ranges to put it on, in order.
	 * -EINVAL with a sentence when the argument is wrong.
	 */
	int (*create)(const char *argument, const struct builtin_host *host,
		struct keeper **out, struct builtin_ranges *out_ranges,
		struct error *err);
};

extern const struct builtin builtin_table[]; /* ends with a NULL name */

const struct builtin *builtin_find(const char *name); /* NULL: none */

/* ---- for the built-ins ---- */

/* Append a range's text; -EINVAL when it is too long or they are too many. */
int builtin_ranges_add(struct builtin_ranges *ranges, struct error *err,
	const char *format, ...) __attribute__((format(printf, 3, 4)));

/* What the structure of a built-in begins with. */
struct builtin_state {
	struct keeper keeper;
	const struct builtin_host *host;
	struct buf line; /* what is being composed; under the keeper's lock */
};

/*
 * A zeroed structure of `size' bytes that begins with a struct builtin_state,
 * initialized; NULL and -ENOMEM in *err. Its ops->destroy ends with
 * builtin_destroy(), or is it.
 */
void *builtin_create(size_t size, const struct keeper_ops *ops,
	const struct builtin_host *host, struct error *err);
void builtin_destroy(struct keeper *keeper);

/* Give what is in state->line away as a finding, and empty it. */
void builtin_say(struct builtin_state *state);

/*
 * Split an argument at separator: the range before it (all, when it is NULL)
 * into out_range, of BUILTIN_RANGE_TEXT_MAX bytes, what is behind it ("" when
 * there is none) to *out_rest. -EINVAL when the range is too long.
 */
int builtin_split(const char *argument, const char *separator, char *out_range,
	const char **out_rest, struct error *err);

/* Take the next of the words separated by commas off *rest. False at the
 * end; a word is cut at `size' bytes, its NUL included. */
bool builtin_next_word(const char **rest, char *out_word, size_t size);

/* Is word "KEY=...", key being "KEY="? Then the number behind it to *out, or
 * -EINVAL into err->code. */
bool builtin_number(const char *word, const char *key, uint64_t *out,
	struct error *err);

#define BUILTIN_BYTES_MAX (UINT64_C(1) << 28)

/* A zero for every byte of a range, to be free()d; -EINVAL when it is too
 * long for that. */
int builtin_bytes(const char *range, uint64_t length, uint8_t **out,
	struct error *err);

/* Address of the first kept byte of an access. */
uint64_t builtin_address(const struct access *access);

/* As told() gets it: was it performed, and not undone? Were its bytes stored?
 */
bool builtin_is_performed(enum outcome outcome, const uint8_t *final_bytes);
bool builtin_is_stored(const struct access *access, enum outcome outcome,
	const uint8_t *final_bytes);

/* What stands for the place in the program that made the access: the
 * instruction and the calls that led to it. */
uint64_t builtin_site(
	const struct builtin_host *host, const struct access *access);

/* "who did it": "ring.elf#1 at main+0x1c (ring.c:12)" */
void builtin_describe_who(const struct builtin_host *host,
	const struct access *access, struct buf *out);

/* What the debug information calls the kept bytes ("ctx.lock.owner"), else the
 * range and the offset of the first of them ("counter+4"). */
void builtin_describe_where(const struct builtin_host *host,
	const struct access *access, struct buf *out);

/* Kept bytes as people read them: 0x2a up to 8 bytes, else hex digits. */
void builtin_describe_bytes(
	const uint8_t *bytes, uint32_t count, struct buf *out);

/* The accessing process's stack, a line a frame, indented; nothing for copies,
 * which the kernel makes. */
void builtin_describe_stack(const struct builtin_host *host,
	const struct access *access, struct buf *out);

int builtin_log_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err);
int builtin_watch_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err);
int builtin_who_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err);
int builtin_guard_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err);
int builtin_freeze_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err);
int builtin_uninit_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err);
int builtin_inject_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err);
int builtin_race_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err);
int builtin_lockcheck_create(const char *argument,
	const struct builtin_host *host, struct keeper **out,
	struct builtin_ranges *out_ranges, struct error *err);
int builtin_share_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err);
int builtin_device_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err);

#endif
