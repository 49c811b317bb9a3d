/* SPDX-License-Identifier: MIT */
/*
 * What the guest kernel and its programs agree on: how to call, capabilities,
 * errors, and the structures passed by address. Freestanding.
 *
 * A call: `syscall` with rax = CUSTOS_OP_*, rdi = slot of the invoked
 * capability in the caller's capability page, rsi rdx r10 r8 r9 = arguments.
 * rax returns the result, or -CUSTOS_E_* when negative; rcx and r11 are lost,
 * every other register stays. What each call does is in captype.def.
 */
#ifndef CUSTOS_ABI_CALLS_H
#define CUSTOS_ABI_CALLS_H

#include "abi/custos_abi.h"

#define CUSTOS_RIGHT_READ 0x01u
#define CUSTOS_RIGHT_WRITE 0x02u
#define CUSTOS_RIGHT_EXEC 0x04u
#define CUSTOS_RIGHT_SEND 0x08u
#define CUSTOS_RIGHT_RECEIVE 0x10u
#define CUSTOS_RIGHT_WAIT 0x20u
#define CUSTOS_RIGHT_CONTROL 0x40u
#define CUSTOS_RIGHT_ALL 0xffffu

enum custos_captype {
#define CAPTYPE(NAME, name, number, counted, help) CUSTOS_CAP_##NAME = number,
#define CAPCALL(TYPE, type, NAME, name, number, argc, rights, help)
#include "abi/captype.def"
	CUSTOS_CAP_MAX
};

#define CUSTOS_OPS_PER_TYPE 16
#define CUSTOS_OP(captype, number) ((captype)*CUSTOS_OPS_PER_TYPE + (number))

enum custos_op {
#define CAPTYPE(NAME, name, number, counted, help)
#define CAPCALL(TYPE, type, NAME, name, number, argc, rights, help)            \
	CUSTOS_OP_##TYPE##_##NAME = CUSTOS_OP(CUSTOS_CAP_##TYPE, number),
#include "abi/captype.def"
	CUSTOS_OP_MAX = CUSTOS_OP(CUSTOS_CAP_MAX, 0)
};

enum custos_error {
#define ERROR(NAME, number, sentence) CUSTOS_E_##NAME = number,
#include "abi/errors.def"
	CUSTOS_E_MAX
};

/* Slots of a capability page. Slot 0 is always empty. */
#define CUSTOS_SLOTS 128

/* What a process is doing: process_state. */
#define CUSTOS_STATE_READY 1 /* waits for a CPU */
#define CUSTOS_STATE_RUNNING 2
#define CUSTOS_STATE_SLEEPING 3
#define CUSTOS_STATE_WAITING 4 /* for another's end */
#define CUSTOS_STATE_SENDING 5 /* for a receiver */
#define CUSTOS_STATE_RECEIVING 6 /* for a sender */
#define CUSTOS_STATE_ENDED 7

/* Exit codes the kernel gives (others are the program's own, low 8 bits). */
#define CUSTOS_EXIT_STUCK 123	   /* machine: every process waits forever */
#define CUSTOS_EXIT_TOO_LARGE 126  /* machine: no room for the program */
#define CUSTOS_EXIT_ILLEGAL 132	   /* #UD */
#define CUSTOS_EXIT_TRAP 133	   /* #DB, #BP */
#define CUSTOS_EXIT_ALIGNMENT 135  /* #AC */
#define CUSTOS_EXIT_ARITHMETIC 136 /* #DE, #MF, #XM */
#define CUSTOS_EXIT_MEMORY 139	   /* #PF, #GP, #SS and all others */

/* Flags of send and receive. */
#define CUSTOS_NO_WAIT 1u /* answer WOULD_BLOCK rather than block */

#define CUSTOS_MESSAGE_WORDS 4
#define CUSTOS_MESSAGE_CAPS 2
#define CUSTOS_STRING_MAX 4096

/*
 * Sent: words, string_size bytes at string, the capabilities in the slots
 * caps[0..cap_count). Received into one whose string, string_size, cap_count
 * and caps say where: a buffer and its size, and empty slots; on return
 * string_size and cap_count say how much came.
 */
struct custos_message {
	uint64_t words[CUSTOS_MESSAGE_WORDS];
	uint64_t string;
	uint32_t string_size;
	uint32_t cap_count;
	uint32_t caps[CUSTOS_MESSAGE_CAPS];
	uint64_t payload; /* received: of the capability used to send */
};

#define CUSTOS_SPAWN_CAPS 16
#define CUSTOS_ANY_CPU UINT32_MAX

struct custos_spawn_cap {
	char name[CUSTOS_NAME_MAX]; /* what the child will know it by */
	uint32_t slot;		    /* the caller's */
	uint32_t rights;	    /* at most these */
};

struct custos_spawn {
	uint64_t args; /* args_size bytes: args_count NUL-terminated strings */
	uint32_t args_size; /* <= CUSTOS_ARGS_MAX */
	uint32_t args_count;
	uint32_t cpu;  /* the only CPU it may run on, or CUSTOS_ANY_CPU */
	uint32_t slot; /* empty: receives the process capability */
	uint32_t cap_count;
	uint32_t reserved;
	struct custos_spawn_cap caps[CUSTOS_SPAWN_CAPS];
};

/*
 * A process starts at its program's entry with rdi = CUSTOS_START_VA, rsp =
 * CUSTOS_STACK_TOP - 8 (a NULL return address), everything else 0, extended
 * state initial. The start info and the arguments are readable pages.
 */
#define CUSTOS_STACK_SIZE UINT64_C(0x10000)
#define CUSTOS_STACK_TOP UINT64_C(0x00007ffff01f0000)
#define CUSTOS_START_VA UINT64_C(0x00007ffff01fe000)
#define CUSTOS_START_ARGS_VA (CUSTOS_START_VA + CUSTOS_ABI_PAGE)

struct custos_named_cap {
	char name[CUSTOS_NAME_MAX];
	uint32_t slot;
	uint32_t type; /* enum custos_captype */
};

#define CUSTOS_START_CAPS 64

/*
 * Everybody has "self" (process), "caps" (cappage), "space". Process 1 also
 * has "console", "bank", "timer", "program" (the module it is made of), each
 * module and each device by name; the others have what their parent gave.
 */
struct custos_start_info {
	uint32_t magic; /* CUSTOS_ABI_MAGIC */
	uint32_t abi_version;
	uint32_t args_count;
	uint32_t args_size; /* the last byte is NUL */
	uint64_t args;	    /* address of the strings */
	uint32_t cap_count;
	uint32_t cpu_count;
	struct custos_named_cap caps[CUSTOS_START_CAPS];
};

_Static_assert(sizeof(struct custos_message) == 64, "abi");
_Static_assert(offsetof(struct custos_message, string_size) == 40, "abi");
_Static_assert(offsetof(struct custos_message, payload) == 56, "abi");
_Static_assert(sizeof(struct custos_spawn) == 32 + 16 * 40, "abi");
_Static_assert(offsetof(struct custos_spawn, slot) == 20, "abi");
_Static_assert(sizeof(struct custos_start_info) == 32 + 64 * 40, "abi");
_Static_assert(sizeof(struct custos_start_info) <= CUSTOS_ABI_PAGE, "abi");
_Static_assert(CUSTOS_START_CAPS >= 7 + CUSTOS_MODULES_MAX + CUSTOS_DEVICES_MAX,
	"abi");

#endif
