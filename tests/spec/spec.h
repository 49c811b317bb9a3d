/* SPDX-License-Identifier: MIT */
/*
 * Programs that check one statement each about keepers and banks (the rows F1
 * to F20). A row is a program: tests/spec/fNN.c with spec_test(), which runs as
 * process 1, and roles that it starts as further processes of itself.
 * spec.c is the rest. tests/spec/run runs them and prints the table.
 */
#ifndef CUSTOS_SPEC_H
#define CUSTOS_SPEC_H

#include <custos/guest_keeper.h>

#include "guest/programs/testing.h"

/* ---- a row's own ---- */

struct spec_role {
	const char *name;
	int (*run)(uint64_t argument);
};

extern const struct spec_role spec_roles[]; /* ended by a NULL name */

/* scale: the number the runner gives for this machine; see the row. */
void spec_test(uint64_t scale);

/* ---- results ---- */

/* What was tried, for the table. */
void spec_size(const char *format, ...) __attribute__((format(printf, 1, 2)));

unsigned spec_failures(void);

/* ---- processes ---- */

/*
 * One page that all processes of the row share. Words 0 to 63 are spec.c's.
 */
extern volatile uint64_t board[PAGE_SIZE / 8];

#define SPEC_CAPS 8

/* Start a role with capabilities "0", "1", ... ; cap(i) finds them there. */
uint32_t spec_start(const char *role, uint64_t argument, uint32_t cpu,
	const uint32_t *caps, uint32_t count);
uint32_t spec_start_as(const char *role, uint64_t argument,
	const struct spawn_how *how, const uint32_t *caps, uint32_t count);
/* With an entry that is told of its faults. */
uint32_t spec_start_kept(const char *role, uint64_t argument, uint32_t cpu,
	uint32_t keeper, const uint32_t *caps, uint32_t count);
uint32_t spec_given(unsigned i);

uint32_t spec_last_cpu(void);

/* Until it does that; fails after ten seconds. */
void spec_wait_state(uint32_t process, int64_t state);

/* Until the word of the board has this value; fails after ten seconds. */
void spec_wait_word(unsigned word, uint64_t value);

/* ---- memory ---- */

#define WINDOW UINT64_C(0x10000000)
#define WINDOW_2 UINT64_C(0x20000000)
#define WINDOW_3 UINT64_C(0x30000000)

uint32_t spec_bank(void);

/* A new node whose slots span 2^l2v each. */
uint32_t spec_node(uint32_t bank, unsigned l2v);
uint32_t spec_page(uint32_t bank);

/* Map all of a node (l2v 12: 64 pages) in the caller's own space. */
void spec_map(uint32_t node, uint64_t va, uint64_t length);

/* Frames it and the banks below it use, mapping tables not counted. */
int64_t spec_frames(uint32_t bank);

/* ---- single instructions, whose address is the function's ---- */

void spec_store1(uint64_t va, uint64_t value);
void spec_store2(uint64_t va, uint64_t value);
void spec_store4(uint64_t va, uint64_t value);
void spec_store8(uint64_t va, uint64_t value);
uint64_t spec_load1(uint64_t va); /* into rax, all ones before */
uint64_t spec_load2(uint64_t va);
uint64_t spec_load4(uint64_t va);
uint64_t spec_load8(uint64_t va);
uint64_t spec_xadd8(uint64_t va, uint64_t value); /* lock */
/* rep stosb */
void spec_fill(uint64_t va, uint64_t byte, uint64_t count);
/* movsb */
void spec_move1(uint64_t to, uint64_t from);

/* ---- messages, by hand ---- */

/* Receive one and expect it to be the kernel's `kind`; a resume capability
 * comes in `slot`. */
struct spec_message {
	struct custos_message message;
	uint32_t resume;
	union {
		struct custos_access access;
		struct custos_stepped stepped;
		uint8_t bytes[CUSTOS_STRING_MAX];
	};
};

void spec_drop(struct spec_message *message); /* its slot is free */
int64_t spec_receive(uint32_t endpoint, struct spec_message *to);
void spec_expect(uint32_t endpoint, uint64_t kind, struct spec_message *to);

/* The same without waiting: -WOULD_BLOCK. */
int64_t spec_try(uint32_t endpoint, struct spec_message *to);

/* Nobody waits at the endpoint; who does is turned away. */
bool spec_is_quiet(uint32_t endpoint);

void spec_value(struct spec_message *to, uint64_t value, unsigned size);

#endif
