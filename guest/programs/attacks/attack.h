/* SPDX-License-Identifier: MIT */
/*
 * Programs that attack the kernel, one attack each. A file has attack(), which
 * runs as process 1 and starts the attackers as further processes of itself;
 * attack.c is the rest: it runs the attack twice and looks whether the machine
 * has as many free frames after the second time as before.
 */
#ifndef CUSTOS_ATTACK_H
#define CUSTOS_ATTACK_H

#include <custos/guest_keeper.h>

#include "guest/programs/testing.h"

/* ---- an attack's own ---- */

struct attack_role {
	const char *name;
	int (*run)(uint64_t argument);
};

extern const struct attack_role attack_roles[]; /* ended by a NULL name */

void attack(void);

/* ---- what it may use ---- */

/* Below zero, whatever it is. */
#define EXPECT_REFUSED(expression) EXPECT(true, (int64_t)(expression) < 0)

/* Pays for what the attack makes; destroyed after it. */
extern uint32_t attack_bank;

uint32_t attack_object(enum custos_captype type);

/* A node whose slots are pages, mapped at WINDOW with these rights. */
#define WINDOW UINT64_C(0x10000000)
#define WINDOW_2 UINT64_C(0x20000000)
uint32_t attack_node(unsigned l2v);
void attack_map(uint32_t memory, uint64_t va, uint64_t length, uint32_t rights);

/* Start a role with capabilities "0", "1", ..; attack_given(i) finds them. Its
 * bank is its own. Attackers run on the last CPU. */
uint32_t attack_start(const char *role, uint64_t argument, const uint32_t *caps,
	uint32_t count);
uint32_t attack_start_new(const char *role, uint64_t argument,
	const uint32_t *caps, uint32_t count); /* resume lets it run */
uint32_t attack_given(unsigned i);

/* Until it does that; fails after ten seconds. */
void attack_wait_state(uint32_t process, int64_t state);

/* Receive a message; its resume capability comes in resume, others in caps[0]
 * on. */
struct attack_message {
	struct custos_message message;
	uint32_t slots[CUSTOS_MESSAGE_CAPS];
	uint8_t string[CUSTOS_STRING_MAX] __attribute__((aligned(8)));
};
int64_t attack_receive(uint32_t endpoint, struct attack_message *to);

#endif
