/* SPDX-License-Identifier: MIT */
/*
 * Processes: one thread, one address space, one capability page. Caller holds
 * the big lock. Ids are for people and the monitor; they give no authority.
 */
#ifndef CUSTOS_KERNEL_PROCESS_H
#define CUSTOS_KERNEL_PROCESS_H

#include "abi/custos_calls.h"
#include "cap.h"
#include "keep.h"
#include "list.h"
#include "machine.h"
#include "space.h"

/* Hardware order of the registers in struct frame. */
#define GPR_RAX 0
#define GPR_RCX 1
#define GPR_RDX 2
#define GPR_RSP 4
#define GPR_RSI 6
#define GPR_RDI 7
#define GPR_R8 8
#define GPR_R9 9
#define GPR_R10 10
#define GPR_R11 11

/* As entry.S pushes it. */
struct frame {
	uint64_t gpr[16]; /* gpr[GPR_RSP] means nothing: see rsp */
	uint64_t vector;
	uint64_t error_code;
	uint64_t rip, cs, rflags, rsp, ss;
};

enum process_state {
	PROCESS_READY = CUSTOS_STATE_READY, /* in a CPU's ready queue */
	PROCESS_RUNNING = CUSTOS_STATE_RUNNING, /* some CPU's current */
	PROCESS_SLEEPING = CUSTOS_STATE_SLEEPING, /* in a CPU's sleepers */
	PROCESS_WAITING = CUSTOS_STATE_WAITING, /* in another process's waiters */
	PROCESS_SENDING = CUSTOS_STATE_SENDING, /* in an endpoint's senders */
	PROCESS_RECEIVING = CUSTOS_STATE_RECEIVING, /* in an endpoint's receivers */
	PROCESS_ENDED = CUSTOS_STATE_ENDED, /* only its exit code is left */
	PROCESS_NEW = CUSTOS_STATE_NEW, /* in no queue */
	PROCESS_SUSPENDED = CUSTOS_STATE_SUSPENDED, /* in no queue */
	PROCESS_FAULTED = CUSTOS_STATE_FAULTED,	    /* in no queue */
	PROCESS_ASKING = CUSTOS_STATE_ASKING, /* in an endpoint's senders, or
					       * in none: somebody has its
					       * resume capability */
	PROCESS_LOCKED = CUSTOS_STATE_LOCKED, /* in a lock's waiters */
	PROCESS_ACTIVATION = CUSTOS_STATE_ACTIVATION /* in no queue */
};

#define PROCESS_FRAME 776

/* The first frame of a run; the extended state fills the others. */
struct process {
	/* Known to entry.S: the frame ends 16-aligned. An event that comes
	 * while the CPU is still on the frame pushes below it. */
	uint8_t below_frame[PROCESS_FRAME];
	struct frame frame;
	void *kernel_stack; /* of the CPU it runs on */

	uint64_t id;
	uint64_t generation;
	enum process_state state;
	bool xstate_saved; /* else its extended state is the initial one */
	bool killed;	   /* runs on another CPU, which shall end it */
	bool suspended;	   /* shall run no further */
	bool stays;	   /* faulted without a keeper: is not ended */
	bool told;	   /* the monitor knows of it */
	int64_t exit_code;
	uint64_t page_faults; /* taken */
	struct list link;    /* in the queue its state says */
	struct list waiters; /* processes waiting for this one's end */

	struct cpu *cpu;  /* where it runs or ran last */
	uint32_t pinned;  /* CPU index, or CUSTOS_ANY_CPU */
	uint64_t slice;	  /* ns */
	uint64_t wake_at; /* ns */
	uint64_t fs_base;

	/* Its own capabilities, CUSTOS_PROCESS_*. */
	struct cap space, caps, keeper, bank, schedule;

	struct cap ends; /* the bank its call is ending; or null */

	/* The memory its call is making, so far; or null. */
	struct cap made;
	uint64_t made_length, made_pages;

	uint64_t cr3;	      /* its top table, for life */
	uint32_t tables;      /* frame number: tables only it can use */
	uint64_t near;	      /* start of the 2 MiB looked at last */
	uint64_t *near_table; /* their table; NULL: nothing looked at */
	uint64_t near_epoch;  /* of table.c: near_table may be gone if older */

	/* A message under way: as read at send, receive or call. */
	struct custos_message message;
	uint64_t message_va; /* receiver: where it is written back */
	uint64_t reply_va;   /* call: where the reply goes */
	bool has_reply;	     /* call: it is in message, reply_caps and
			      * process_reply() */
	struct cap reply_caps[CUSTOS_MESSAGE_CAPS];
	struct list owes; /* processes that wait for an answer it shall give */
	struct list endpoints; /* it is the recipient of */

	/* Buffers with news for it, in order; see buffer.h. */
	struct list activations;

	/* What it asks a keeper, and which answer it takes: keep.h. */
	struct keep keep;

	char name[CUSTOS_NAME_MAX];
};

_Static_assert(offsetof(struct process, frame) == PROCESS_FRAME, "entry.S");
_Static_assert(offsetof(struct process, kernel_stack) ==
		PROCESS_FRAME + sizeof(struct frame),
	"entry.S");
_Static_assert((PROCESS_FRAME + sizeof(struct frame)) % 16 == 0, "entry.S");
_Static_assert(sizeof(struct frame) == 184, "FRAME_SIZE of entry.S");
_Static_assert(offsetof(struct frame, cs) == 152, "entry.S");
_Static_assert(sizeof(struct frame) == sizeof(struct custos_saved_frame) &&
		offsetof(struct frame, rip) ==
			offsetof(struct custos_saved_frame, rip),
	"abi");
_Static_assert(sizeof(struct process) <= PAGE_SIZE, "one frame");

/* Frames in the run of one process: this, its top table, its struct
 * custos_emulate, the string of a reply that could not be written to it at
 * once, its extended state. */
#define PROCESS_TOP 1
#define PROCESS_EMULATE 2
#define PROCESS_REPLY (PROCESS_EMULATE + CUSTOS_EMULATE_PAGES)
#define PROCESS_XSTATE (PROCESS_REPLY + 1)
unsigned process_frames(void);

static inline void *process_xstate(struct process *process)
{
	return (uint8_t *)process + PROCESS_XSTATE * PAGE_SIZE;
}

static inline struct custos_emulate *process_emulate(struct process *process)
{
	return (void *)((uint8_t *)process + PROCESS_EMULATE * PAGE_SIZE);
}

static inline uint8_t *process_reply(struct process *process)
{
	return (uint8_t *)process + PROCESS_REPLY * PAGE_SIZE;
}

/* A process in state NEW, without anything, paid by bank; NULL: refused. */
struct process *process_create(struct bank *bank);

/*
 * Give a new process a program's segments, a stack and a start info without
 * arguments, its own cappage and what everybody has; it will run on CPU index
 * cpu only unless that is CUSTOS_ANY_CPU. -CUSTOS_E_LIMIT: refused, unload
 * it.
 */
int process_load(struct process *process, struct bank *bank, unsigned module,
	uint32_t cpu);

/* Destroy it and what process_load made. */
void process_unload(struct process *process);

/* Pages of the start info, for filling before the process is started. */
struct custos_start_info *process_start_info(struct process *process);
char *process_start_args(struct process *process);

/* Give a new process a capability under a name (CUSTOS_NAME_MAX bytes).
 * from is only copied. -CUSTOS_E_LIMIT when there is no room. */
int process_give(struct process *process, const char *name,
	const struct cap *from, unsigned rights);

/* Tell the monitor, unless it knows. A process of no module: UINT64_MAX. */
void process_tell(struct process *process, uint64_t module);

/* Tell the monitor and let the process run. */
void process_start(struct process *process, unsigned module);

/* A process that is not running becomes ready, if it has a schedule and is not
 * suspended. */
void process_go(struct process *process);

/* What the schedule capability of the process says holds from now on. */
void process_apply_schedule(struct process *process);

/* A schedule's payload. */
#define SCHEDULE_CPU(payload) ((uint32_t)(payload))
#define SCHEDULE_SLICE(payload) ((payload) >> 32)
#define SCHEDULE_PAYLOAD(cpu, slice) ((uint64_t)(uint32_t)(cpu) | (slice) << 32)

/* Tell the monitor what comes before what: all that one process has done
 * before all that the other will do; how is CUSTOS_ORDER_*. */
void process_order(const struct process *before, const struct process *after,
	unsigned how);

/* End a process that is not running on another CPU. */
void process_end(struct process *process, int64_t code);

/* End a process wherever it is; at once unless another CPU runs it. */
void process_kill(struct process *process, int64_t code);

/* End a process that faulted and is not running on another CPU, with a report.
 * Its keep.access says where, vector is of an exception, 0: a page fault. */
void process_end_faulted(struct process *process, uint64_t vector);

#endif
