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

#include <stdbool.h>

#include "abi/custos_abi.h"

#define CUSTOS_RIGHT_READ 0x01u
#define CUSTOS_RIGHT_WRITE 0x02u
#define CUSTOS_RIGHT_EXEC 0x04u
#define CUSTOS_RIGHT_SEND 0x08u
#define CUSTOS_RIGHT_RECEIVE 0x10u
#define CUSTOS_RIGHT_WAIT 0x20u
#define CUSTOS_RIGHT_CONTROL 0x40u
/*
 * Of memory capabilities, and ANDed along the way from the root of a space to
 * the page like all others: accesses below may call an entry or a keeper;
 * capabilities loaded from below keep their rights (without it the link is
 * weak: they lose WRITE, CONTROL and INSPECT and are weak themselves); a
 * node's slots can be looked at (without it the node is opaque).
 */
#define CUSTOS_RIGHT_CALL 0x80u
#define CUSTOS_RIGHT_STRONG 0x100u
#define CUSTOS_RIGHT_INSPECT 0x200u
#define CUSTOS_RIGHT_ALL 0xffffu
#define CUSTOS_RIGHTS_MEMORY                                                   \
	(CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE | CUSTOS_RIGHT_EXEC |          \
		CUSTOS_RIGHT_CONTROL | CUSTOS_RIGHT_CALL |                     \
		CUSTOS_RIGHT_STRONG | CUSTOS_RIGHT_INSPECT)

enum custos_captype {
#define CAPTYPE(NAME, name, number, kind, help) CUSTOS_CAP_##NAME = number,
#define CAPCALL(TYPE, type, NAME, name, number, argc, rights, help)
#include "abi/captype.def"
	CUSTOS_CAP_MAX
};

#define CUSTOS_OPS_PER_TYPE 16
#define CUSTOS_OP(captype, number) ((captype)*CUSTOS_OPS_PER_TYPE + (number))

enum custos_op {
#define CAPTYPE(NAME, name, number, kind, help)
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

/* FAULT(..) of faults.def */
enum custos_fault_code {
#define FAULT(NAME, number, sentence) CUSTOS_FAULT_##NAME = number,
#include "abi/faults.def"
	CUSTOS_FAULT_MAX
};

/* Slots of a capability page. Slot 0 is always empty. */
#define CUSTOS_SLOTS 128

/*
 * A node: 64 slots, each spanning 2^l2v bytes. What a slot holds is found at
 * the first of them: a page, a capability page, a smaller node, an entry, a
 * window of any of these, fixed pages; accesses behind its end find nothing.
 */
#define CUSTOS_GPT_SLOTS 64
#define CUSTOS_GPT_L2V_MIN 12
#define CUSTOS_GPT_L2V_MAX 42 /* the root of a whole space */
#define CUSTOS_GPT_L2V_STEP 6
#define CUSTOS_WALK_NODES 16 /* a longer way is TRAVERSE_LIMIT */

/* What PROCESS get_cap and set_cap name. */
#define CUSTOS_PROCESS_SPACE 1	  /* root of its address space: any memory */
#define CUSTOS_PROCESS_CAPS 2	  /* cappage its slots are */
#define CUSTOS_PROCESS_KEEPER 3	  /* entry told of its faults */
#define CUSTOS_PROCESS_BANK 4	  /* pays for tables no node pays for */
#define CUSTOS_PROCESS_SCHEDULE 5 /* Null: it does not run */

/* What BANK usage names. */
#define CUSTOS_USAGE_OWN 0	/* frames of its own objects, itself included */
#define CUSTOS_USAGE_ALL 1	/* and of the banks below */
#define CUSTOS_USAGE_LIMIT 2	/* 0: none */
#define CUSTOS_USAGE_FREE 3	/* what could still be had now */
#define CUSTOS_USAGE_TABLES 4	/* own mapping tables */
#define CUSTOS_USAGE_MACHINE 5	/* free frames of the machine */

/* What a process is doing: process_state. */
#define CUSTOS_STATE_READY 1 /* waits for a CPU */
#define CUSTOS_STATE_RUNNING 2
#define CUSTOS_STATE_SLEEPING 3
#define CUSTOS_STATE_WAITING 4 /* for another's end */
#define CUSTOS_STATE_SENDING 5 /* for a receiver */
#define CUSTOS_STATE_RECEIVING 6 /* for a sender */
#define CUSTOS_STATE_ENDED 7
#define CUSTOS_STATE_NEW 8	 /* never resumed */
#define CUSTOS_STATE_SUSPENDED 9 /* by suspend, or without a schedule */
#define CUSTOS_STATE_FAULTED 10	 /* nobody would answer for its fault */
#define CUSTOS_STATE_ASKING 11	 /* a keeper, or whom it called */
#define CUSTOS_STATE_LOCKED 12	 /* for a page another one's keeper holds */
#define CUSTOS_STATE_ACTIVATION 13 /* for news of its message buffers */

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

#define CUSTOS_MESSAGE_WORDS 8
#define CUSTOS_MESSAGE_CAPS 4
#define CUSTOS_STRING_MAX 4096

/*
 * Sent: words, string_size bytes at string, the capabilities in the slots
 * caps[0..cap_count). Received into one whose string, string_size, cap_count
 * and caps say where: a buffer and its size, and empty slots; on return
 * string_size and cap_count say how much came. A call and the kernel's own
 * messages bring a resume capability, in front of the others; flags tells.
 */
struct custos_message {
	uint64_t words[CUSTOS_MESSAGE_WORDS];
	uint64_t string;
	uint32_t string_size;
	uint32_t cap_count;
	uint32_t caps[CUSTOS_MESSAGE_CAPS];
	uint64_t payload; /* received: of the capability used to send */
	uint32_t flags;	  /* received: CUSTOS_MESSAGE_* */
	uint32_t reserved;
};

#define CUSTOS_MESSAGE_RESUME 1u /* caps[0] is a resume capability */
#define CUSTOS_MESSAGE_KERNEL 2u /* the kernel made it: nobody can forge it */

/*
 * What words[0] of a kernel's message is; a call of an entry that is no send
 * or call of an endpoint has its CUSTOS_OP_* there and its arguments in
 * words[1..5], below these numbers. Its reply: words[0] is the result, and the
 * n-th capability (from 0) goes to the caller's empty slot words[1 + n], which
 * must be one of the arguments.
 *
 * ACCESS:	string a struct custos_access; answer by the resume capability
 * STEPPED:	string a struct custos_stepped; the same, or continue, rollback
 * FAULT:	string a struct custos_access, words[1] the fault code, words[2]
 *		the processor's vector when that is EXCEPTION
 * EXHAUSTED:	words[1] the bank keeper's payload again, words[2] type of
 *		object or CUSTOS_CAP_TABLE, words[3] va or 0, words[4] seq;
 *		retry, or fault to refuse
 * HOLE:	no resume. words[1] offset, words[2] length: nodes below this
 *		one went away with their bank
 * NOTICE:	no resume, no string. words[1] the bits posted since
 */
#define CUSTOS_MESSAGE_ACCESS 0x10001u
#define CUSTOS_MESSAGE_STEPPED 0x10002u
#define CUSTOS_MESSAGE_FAULT 0x10003u
#define CUSTOS_MESSAGE_EXHAUSTED 0x10004u
#define CUSTOS_MESSAGE_HOLE 0x10005u
#define CUSTOS_MESSAGE_NOTICE 0x10006u

/* Why a keeper is asked about an access. */
#define CUSTOS_REASON_ENTRY 1u	/* the position holds an entry */
#define CUSTOS_REASON_PAGE 2u	/* the page has a keeper */
#define CUSTOS_REASON_FAULT 3u	/* the walk ended with access.fault */
#define CUSTOS_REASON_CALL 4u	/* page read or write invoked on an entry */

/*
 * One access put to a keeper. The same seq at every keeper asked about the
 * access, for both halves of a read-modify-write, and in what is stepped.
 */
struct custos_access {
	uint64_t seq;
	uint64_t process; /* id, for people; gives no authority */
	uint64_t ip;
	uint64_t va;
	uint64_t offset; /* of the first byte, as the asked level sees it */
	uint32_t size;
	uint8_t kind;	/* CUSTOS_ACCESS_* */
	uint8_t reason; /* CUSTOS_REASON_* */
	uint8_t fault;	/* CUSTOS_FAULT_*, or 0 */
	uint8_t level;	/* keepers that passed before */
	uint32_t rights; /* what the way there left over */
	uint8_t insn_size;
	uint8_t insn[15]; /* as far as known */
	uint32_t reserved;
	uint8_t old[64]; /* store half of an rmw: what the load half gave */
	uint8_t value[64]; /* stores: what is stored */
};

#define CUSTOS_ACCESS_LOAD 0u
#define CUSTOS_ACCESS_STORE 1u
#define CUSTOS_ACCESS_RMW_LOAD 2u  /* answer with the old value, then.. */
#define CUSTOS_ACCESS_RMW_STORE 3u /* ..comes the new one; locked between */
#define CUSTOS_ACCESS_FETCH 4u
#define CUSTOS_ACCESS_CLOAD 5u
#define CUSTOS_ACCESS_CSTORE 6u	      /* the message brings the capability */
#define CUSTOS_ACCESS_SYSCALL_LOAD 7u /* the kernel for the process */
#define CUSTOS_ACCESS_SYSCALL_STORE 8u
#define CUSTOS_ACCESS_IPC_SRC 9u
#define CUSTOS_ACCESS_IPC_DST 10u

static inline bool custos_access_is_store(unsigned kind)
{
	return kind == CUSTOS_ACCESS_STORE || kind == CUSTOS_ACCESS_RMW_STORE ||
	       kind == CUSTOS_ACCESS_CSTORE ||
	       kind == CUSTOS_ACCESS_SYSCALL_STORE ||
	       kind == CUSTOS_ACCESS_IPC_DST;
}

#define CUSTOS_STEPPED_MAX 8

struct custos_stepped {
	uint64_t seq;
	uint64_t ip, next_ip;
	uint32_t fault; /* CUSTOS_FAULT_*: the instruction did not retire */
	uint32_t count; /* accesses to the stepped page */
	struct custos_stepped_access {
		uint64_t offset; /* in the page */
		uint32_t size;
		uint32_t kind;
		uint8_t old[64], new[64];
	} accesses[CUSTOS_STEPPED_MAX];
};

/* Registers of a process that does not run. */
struct custos_regs {
	uint64_t gpr[16]; /* hardware order: rax rcx rdx rbx rsp rbp rsi.. */
	uint64_t rip, rflags, fs_base;
};

/* What next_activation stores. */
struct custos_activation {
	uint32_t kind; /* CUSTOS_ACTIVATION_* */
	uint32_t cap_count;
	uint64_t id;	  /* of the buffer, as set_id set it */
	uint64_t payload; /* received: words[0] of the message */
};

#define CUSTOS_ACTIVATION_SENT 1u
#define CUSTOS_ACTIVATION_RECEIVED 2u
#define CUSTOS_ACTIVATION_GONE 3u /* the partner went away */
#define CUSTOS_ACTIVATION_CANCELLED 4u

#define CUSTOS_BUFFER_BLOCKED 1u /* holds a message nobody unblocked */
#define CUSTOS_BUFFER_WAITS 2u	 /* is in another one's line */
#define CUSTOS_BUFFER_QUEUE 4u	 /* others are in its line */
#define CUSTOS_BUFFER_STRING 2048u /* bytes of string it can hold */

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
	uint32_t bank;	/* slot of the bank that pays for the process */
	uint32_t flags; /* CUSTOS_SPAWN_* */
	uint32_t reserved;
	struct custos_spawn_cap caps[CUSTOS_SPAWN_CAPS];
};

#define CUSTOS_SPAWN_NEW 1u /* leave it new: resume lets it run */
/* Without a keeper it stays where it faulted instead of ending. */
#define CUSTOS_SPAWN_STAYS 2u


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
 * Everybody has "self" (process), "caps" (cappage), "space" (the GPT its
 * address space begins with). Process 1 also has "console", "bank" (all free
 * frames), "timer", "schedule", "discrim", "program" (the module it is made
 * of), each module and each device (fixed pages) by name; the others have what
 * their parent gave.
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

_Static_assert(sizeof(struct custos_message) == 112, "abi");
_Static_assert(offsetof(struct custos_message, string_size) == 72, "abi");
_Static_assert(offsetof(struct custos_message, payload) == 96, "abi");
_Static_assert(sizeof(struct custos_spawn) == 40 + 16 * 40, "abi");
_Static_assert(offsetof(struct custos_spawn, slot) == 20, "abi");
_Static_assert(sizeof(struct custos_access) == 200, "abi");
_Static_assert(offsetof(struct custos_access, old) == 72, "abi");
_Static_assert(sizeof(struct custos_stepped) == 32 + 8 * 144, "abi");
_Static_assert(sizeof(struct custos_activation) == 24, "abi");
_Static_assert(sizeof(struct custos_start_info) == 32 + 64 * 40, "abi");
_Static_assert(sizeof(struct custos_start_info) <= CUSTOS_ABI_PAGE, "abi");
_Static_assert(CUSTOS_START_CAPS >= 9 + CUSTOS_MODULES_MAX + CUSTOS_DEVICES_MAX,
	"abi");

#endif
