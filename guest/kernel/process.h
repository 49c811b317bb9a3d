/* SPDX-License-Identifier: MIT */
/*
 * Processes: one thread, one address space, one capability page. Caller holds
 * the big lock. Ids are for people and the monitor; they give no authority.
 */
#ifndef CUSTOS_KERNEL_PROCESS_H
#define CUSTOS_KERNEL_PROCESS_H

#include "abi/custos_calls.h"
#include "cap.h"
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
	PROCESS_NEW = 0, /* being made: in no queue */
	PROCESS_READY = CUSTOS_STATE_READY, /* in a CPU's ready queue */
	PROCESS_RUNNING = CUSTOS_STATE_RUNNING, /* some CPU's current */
	PROCESS_SLEEPING = CUSTOS_STATE_SLEEPING, /* in a CPU's sleepers */
	PROCESS_WAITING = CUSTOS_STATE_WAITING, /* in another process's waiters */
	PROCESS_SENDING = CUSTOS_STATE_SENDING, /* in an endpoint's senders */
	PROCESS_RECEIVING = CUSTOS_STATE_RECEIVING, /* in an endpoint's receivers */
	PROCESS_ENDED = CUSTOS_STATE_ENDED /* only its exit code is left */
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
	uint64_t references; /* capabilities, and one while not ended */
	enum process_state state;
	bool xstate_saved; /* else its extended state is the initial one */
	bool killed;	   /* runs on another CPU, which shall end it */
	int64_t exit_code;
	struct list link;    /* in the queue its state says */
	struct list waiters; /* processes waiting for this one's end */

	struct cpu *cpu;  /* where it runs or ran last */
	uint32_t pinned;  /* CPU index, or CUSTOS_ANY_CPU */
	uint64_t wake_at; /* ns */
	uint64_t fs_base;

	struct space space;
	struct cap *caps; /* CUSTOS_SLOTS of them */

	/* A message under way: as read at send or receive. */
	struct custos_message message;
	uint64_t message_va; /* receiver: where it is written back */

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

/* Frames in the run of one process. */
unsigned process_frames(void);

static inline void *process_xstate(struct process *process)
{
	return (uint8_t *)process + PAGE_SIZE;
}

/*
 * A process in state NEW, with the program's segments, a stack and a start
 * info without capabilities and arguments mapped, that will run on CPU index
 * cpu only unless that is CUSTOS_ANY_CPU. NULL when frames run out. The
 * caller holds a reference.
 */
struct process *process_create(unsigned module, uint32_t cpu);

/* Pages of the start info, for filling before the process is started. */
struct custos_start_info *process_start_info(struct process *process);
char *process_start_args(struct process *process);

/* Give a new process a capability under a name (CUSTOS_NAME_MAX bytes).
 * from is only copied. -CUSTOS_E_LIMIT when there is no room. */
int process_give(struct process *process, const char *name,
	const struct cap *from, unsigned rights);

/* Undo process_create, of a process that has not been started. */
void process_discard(struct process *process);

/* Tell the monitor and let the process run. */
void process_start(struct process *process, unsigned module);

/* Tell the monitor what comes before what: all that one process has done
 * before all that the other will do; how is CUSTOS_ORDER_*. */
void process_order(const struct process *before, const struct process *after,
	unsigned how);

/* End a process that is not running on another CPU. */
void process_end(struct process *process, int64_t code);

/* End a process wherever it is; at once unless another CPU runs it. */
void process_kill(struct process *process, int64_t code);

void process_get(struct process *process);
void process_put(struct process *process);

#endif
