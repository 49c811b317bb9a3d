/* SPDX-License-Identifier: MIT */
/*
 * A system description as the program that builds it reads it: read-only pages
 * at CUSTOS_SYSTEM_VA of process 1. Made by the monitor from what the user
 * wrote, custos-system(5). Freestanding.
 *
 * The description is a list of steps, each of which makes an object or changes
 * one made before, in an order in which that works. Objects have numbers below
 * object_count. Everything else is found by its offset from the start of the
 * description: names and texts end with a NUL, and so does the whole of it.
 */
#ifndef CUSTOS_ABI_SYSTEM_H
#define CUSTOS_ABI_SYSTEM_H

#include "abi/custos_calls.h"

#define CUSTOS_SYSTEM_MAGIC UINT32_C(0x73797363) /* "csys" */
#define CUSTOS_SYSTEM_VERSION 1
#define CUSTOS_SYSTEM_VA UINT64_C(0x0000600000000000)
#define CUSTOS_SYSTEM_SIZE_MAX (UINT64_C(256) << 20)
#define CUSTOS_SYSTEM_OBJECTS_MAX 4096
#define CUSTOS_SYSTEM_STEPS_MAX 65536
#define CUSTOS_SYSTEM_NONE UINT32_MAX /* instead of an object */

struct custos_system {
	uint32_t magic;
	uint32_t version;
	uint64_t size;	   /* bytes of all of it */
	uint64_t checksum; /* custos_system_checksum() */
	uint32_t flags;	   /* CUSTOS_SYSTEM_* */
	uint32_t object_count;
	uint32_t step_count;
	uint32_t path;	/* what the user called the description */
	uint64_t steps; /* offset of step_count struct custos_system_step */
};

#define CUSTOS_SYSTEM_QUIET 1u /* do not tell how processes ended */

/* Fields a step does not use are 0; a and b: CUSTOS_SYSTEM_NONE. */
struct custos_system_step {
	uint32_t op;	 /* enum custos_system_op */
	uint32_t line;	 /* of the description */
	uint32_t object; /* made or changed */
	uint32_t a, b;	 /* objects */
	uint32_t rights;
	uint32_t flags;
	uint32_t name; /* of the object, for messages */
	uint64_t x, y, z;
	uint64_t data, data_size; /* offset of bytes */
};

/*
 * SYSTEM_STEP(NAME, number, makes, a, b, "what"): makes 1: the object is new;
 * a, b: 0 not used, 1 an object, 2 an object or NONE.
 */
#define CUSTOS_SYSTEM_STEPS                                                    \
	SYSTEM_STEP(GIVEN, 1, 1, 0, 0, "the process's own of that name")       \
	SYSTEM_STEP(PROGRAM, 2, 1, 0, 0, "module x, from 0")                   \
	SYSTEM_STEP(BANK, 3, 1, 1, 0, "below bank a, limit x")                 \
	SYSTEM_STEP(ENDPOINT, 4, 1, 1, 0, "from bank a")                       \
	SYSTEM_STEP(ENTRY, 5, 1, 1, 0, "of endpoint a, payload x")             \
	SYSTEM_STEP(NOTICE, 6, 1, 1, 0, "of endpoint a, mask x")               \
	SYSTEM_STEP(BUFFER, 7, 1, 1, 0, "from bank a, id x")                   \
	SYSTEM_STEP(MEMORY, 8, 1, 1, 0, "from bank a, x bytes, data first")    \
	SYSTEM_STEP(NODE, 9, 1, 1, 0, "from bank a, l2v x")                    \
	SYSTEM_STEP(PAGE, 10, 0, 1, 2,                                         \
		"in node object at x: y new pages of bank a, data first, all"  \
		" with keeper b, who is told of accesses that need rights")    \
	SYSTEM_STEP(POSITION, 11, 0, 1, 0, "entry a in slot x of node object") \
	SYSTEM_STEP(WINDOW, 12, 0, 0, 0,                                       \
		"object becomes its own window: x bytes of it, with rights")   \
	SYSTEM_STEP(MAP, 13, 0, 1, 0,                                          \
		"in node object at x: z bytes of a from byte y, rights")       \
	SYSTEM_STEP(NODE_KEEPER, 14, 0, 1, 0, "entry a")                       \
	SYSTEM_STEP(NODE_BANK, 15, 0, 1, 0, "bank a pays for what it needs")   \
	SYSTEM_STEP(BANK_KEEPER, 16, 0, 1, 0, "entry a")                       \
	SYSTEM_STEP(PROCESS, 17, 1, 1, 1,                                      \
		"of program a, from bank b, spawn flags; data: struct"         \
		" custos_system_process")                                      \
	SYSTEM_STEP(SPACE, 18, 0, 1, 0,                                        \
		"in the space of process object, as MAP")                      \
	SYSTEM_STEP(PROCESS_KEEPER, 19, 0, 1, 0, "entry a")                    \
	SYSTEM_STEP(SCHEDULE, 20, 0, 1, 0,                                     \
		"process object has one of schedule a: cpu x, slice y ns")     \
	SYSTEM_STEP(RECIPIENT, 21, 0, 1, 0, "of endpoint object: process a")   \
	SYSTEM_STEP(THREAD, 22, 0, 1, 0, "of buffer object: process a")        \
	SYSTEM_STEP(START, 23, 0, 0, 0, "the process may run")                 \
	SYSTEM_STEP(WAIT, 24, 0, 0, 0, "until the process ends")

enum custos_system_op {
#define SYSTEM_STEP(NAME, number, makes, a, b, what)                           \
	CUSTOS_SYSTEM_##NAME = number,
	CUSTOS_SYSTEM_STEPS
#undef SYSTEM_STEP
	CUSTOS_SYSTEM_OP_MAX
};

struct custos_system_cap {
	uint32_t name; /* what the process will know it by */
	uint32_t object;
	uint32_t rights; /* at most these */
	uint32_t reserved;
};

struct custos_system_process {
	uint32_t args; /* args_size bytes: args_count strings */
	uint32_t args_size;
	uint32_t args_count;
	uint32_t cpu; /* or CUSTOS_ANY_CPU */
	uint32_t cap_count;
	uint32_t reserved;
	struct custos_system_cap caps[];
};

/* FNV-1a of everything from flags on, eight bytes at a time; size: of all of
 * it, a multiple of 8. */
static inline uint64_t custos_system_checksum(
	const struct custos_system *system, uint64_t size)
{
	const uint64_t *words = (const uint64_t *)system;
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (uint64_t i = offsetof(struct custos_system, flags) / 8;
		i < size / 8; i++)
		sum = (sum ^ words[i]) * UINT64_C(0x100000001b3);
	return sum;
}

_Static_assert(sizeof(struct custos_system) == 48, "abi");
_Static_assert(offsetof(struct custos_system, flags) == 24, "abi");
_Static_assert(sizeof(struct custos_system_step) == 72, "abi");
_Static_assert(offsetof(struct custos_system_step, x) == 32, "abi");
_Static_assert(sizeof(struct custos_system_cap) == 16, "abi");
_Static_assert(sizeof(struct custos_system_process) == 24, "abi");

#endif
