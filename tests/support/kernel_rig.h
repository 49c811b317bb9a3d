/* SPDX-License-Identifier: MIT */
/*
 * Processes of the guest kernel on the host that make calls and meet keepers
 * one thing at a time, as a test says; and a monitor that carries out
 * instructions made of plain accesses. On kernel_machine.h.
 */
#ifndef CUSTOS_TESTS_KERNEL_RIG_H
#define CUSTOS_TESTS_KERNEL_RIG_H

#include <stdint.h>

#include "guest/kernel/cap.h"
#include "guest/kernel/process.h"

#define RIG_WINDOW UINT64_C(0x10000000) /* where tests put memory */
#define RIG_BUFFER (KERNEL_PROGRAM + 0x1000) /* of each process, two pages */
#define RIG_MESSAGE (KERNEL_PROGRAM + 0x100)
#define RIG_REPLY (KERNEL_PROGRAM + 0x200)
#define RIG_CODE (KERNEL_PROGRAM + 0x3000)
/* Instead of a result: the call has not ended. */
#define RIG_BLOCKED INT64_MAX

/* What the instruction of a process does to memory. */
struct rig_access {
	unsigned kind; /* CUSTOS_ACCESS_LOAD, STORE, RMW_LOAD, FETCH */
	uint64_t va;
	unsigned size; /* up to 8 */
	uint64_t value; /* stored; or what was loaded */
};

#define RIG_ACCESSES 4

struct rig_insn {
	struct process *process;
	unsigned count;
	struct rig_access accesses[RIG_ACCESSES];
	unsigned retired;
};

void rig_setup(void);
void rig_teardown(void);

struct process *rig_process(void);
void *rig_object(enum custos_captype type);
/* An empty slot of the process filled. */
uint32_t rig_give(struct process *process, struct cap cap);
struct cap *rig_slot(struct process *process, uint32_t slot);
struct cap rig_cap(enum custos_captype type, void *object, uint64_t payload);
/* A node in the process's space at va, 64 slots of a page. */
struct gpt *rig_window(struct process *process, uint64_t va);

/* Let it run: it is current afterwards. false: it waits for something. */
bool rig_run(struct process *process);
/* It makes a call; its result, or RIG_BLOCKED. */
int64_t rig_call(struct process *process, uint64_t op, uint64_t slot,
	uint64_t a, uint64_t b, uint64_t c);
/* The result of the call it waited in, RIG_BLOCKED if it still does. A call
 * that is to be made again is. */
int64_t rig_result(struct process *process);

/* Memory of a process that is plain, for the test to use. */
void *rig_memory(struct process *process, uint64_t va);

/* Its instruction from now on, and one try at it: true if it retired. */
struct rig_insn *rig_set_insn(struct process *process, unsigned kind,
	uint64_t va, unsigned size, uint64_t value);
bool rig_step(struct process *process);
/* Has it retired by now? Tries if the process can run. */
bool rig_has_retired(struct process *process);

/* Receive in the keeper at the endpoint in slot: what, or an error. The resume
 * capability is in *out_resume afterwards, the string at RIG_BUFFER. */
int64_t rig_receive(struct process *keeper, uint32_t endpoint,
	struct custos_message *out);
/* Answer the message received last. */
int64_t rig_answer(struct process *keeper, uint64_t op, uint64_t a, uint64_t b,
	uint64_t c);
/* Answer a load with this. */
int64_t rig_answer_value(
	struct process *keeper, uint64_t value, unsigned size);

#endif
