/* SPDX-License-Identifier: MIT */
/* How processes come and go. What is in them when they start: load.c. */
#include "process.h"

#include "bank.h"
#include "buffer.h"
#include "call.h"
#include "cpu.h"
#include "endpoint.h"
#include "object.h"
#include "panic.h"
#include "sched.h"
#include "table.h"

#define XSTATE_MXCSR 24 /* offset in the legacy area (SDM vol. 1, 13.4.1) */
#define MXCSR_DEFAULT 0x1f80u

static uint64_t next_id = 1;

unsigned process_frames(void)
{
	return PROCESS_XSTATE +
	       (unsigned)((boot_info->xsave_size + PAGE_MASK) / PAGE_SIZE);
}

struct process *process_create(struct bank *bank)
{
	uint64_t gpa = bank_alloc(bank, FRAME_PROCESS);
	struct process *process;

	if (!gpa)
		return NULL;
	process = machine_direct(gpa);
	process->id = next_id++;
	process->generation = frame_info(gpa)->generation;
	process->state = PROCESS_NEW;
	process->pinned = CUSTOS_ANY_CPU;
	process->cr3 = gpa + PROCESS_TOP * PAGE_SIZE;
	process->frame.cs = SELECTOR_USER_CODE;
	process->frame.ss = SELECTOR_USER_DATA;
	process->frame.rflags = RFLAGS_FIXED | RFLAGS_IF;
	*(uint32_t *)((uint8_t *)process_xstate(process) + XSTATE_MXCSR) =
		MXCSR_DEFAULT;
	list_init(&process->link);
	list_init(&process->waiters);
	list_init(&process->endpoints);
	list_init(&process->owes);
	list_init(&process->activations);
	keep_init(process);
	space_init(process);
	return process;
}

void process_tell(struct process *process, uint64_t module)
{
	if (process->told)
		return;
	process->told = true;
	panic_record(EVENT_START, process->id, module);
	machine_hypercall(CUSTOS_CALL_PROCESS_START, process->id, process->cr3,
		module, machine_gpa(process->name), 0);
	table_tell();
}

void process_apply_schedule(struct process *process)
{
	uint64_t payload = process->schedule.payload;

	if (process->schedule.type == CUSTOS_CAP_SCHEDULE) {
		process->pinned = SCHEDULE_CPU(payload);
		process->slice = SCHEDULE_SLICE(payload);
	}
	if (process->state != PROCESS_ENDED)
		sched_move(process);
}

void process_go(struct process *process)
{
	process_tell(process, UINT64_MAX);
	process->cpu = sched_place(process);
	sched_ready(process);
}

void process_start(struct process *process, unsigned module)
{
	process_tell(process, module);
	process_go(process);
}

void process_order(
	const struct process *before, const struct process *after, unsigned how)
{
	if (before->told && after->told)
		machine_hypercall(
			CUSTOS_CALL_ORDER, before->id, after->id, how, 0, 0);
}

static void wake_waiters(struct process *process)
{
	while (!list_is_empty(&process->waiters)) {
		struct process *waiter =
			LIST_ENTRY(process->waiters.next, struct process, link);

		process_order(process, waiter, CUSTOS_ORDER_ONE);
		sched_wake(waiter, process->exit_code);
	}
}

static void tell_end(const struct process *process)
{
	if (process->told)
		machine_hypercall(CUSTOS_CALL_PROCESS_EXIT, process->id,
			(uint64_t)process->exit_code, 0, 0, 0);
	if (process->id == 1)
		machine_hypercall(CUSTOS_CALL_EXIT,
			(uint64_t)process->exit_code, 0, 0, 0, 0);
}

/* What it leaves behind is for those who hold capabilities to it: the state,
 * the exit code, and its frames until their bank takes them. */
void process_end(struct process *process, int64_t code)
{
	process->exit_code = code & 0xff;
	panic_record(EVENT_END, process->id, (uint64_t)process->exit_code);
	tell_end(process);
	/* commit */
	list_remove(&process->link);
	sched_forget(process);
	process->state = PROCESS_ENDED;
	process->killed = false;
	keep_end(process);
	endpoint_end_recipient(process);
	buffer_forget_thread(process);
	space_forget(process);
	process->space = process->caps = process->keeper = (struct cap){0};
	process->bank = process->schedule = (struct cap){0};
	wake_waiters(process);
}

static bool runs_elsewhere(const struct process *process)
{
	return process->state == PROCESS_RUNNING && process->cpu != cpu_this();
}

void process_kill(struct process *process, int64_t code)
{
	if (process->state == PROCESS_ENDED)
		return;
	panic_record(EVENT_KILL, process->id,
		process->cpu ? process->cpu->index : 0);
	if (runs_elsewhere(process)) {
		process->killed = true;
		process->exit_code = code & 0xff;
		machine_ipi(process->cpu->apic_id);
		return;
	}
	process_end(process, code);
}

/* Its frames are taken away. */
bool process_object_end(uint64_t gpa)
{
	struct process *process = machine_direct(gpa);

	if (process->state == PROCESS_ENDED)
		return true;
	if (!process->killed)
		process_kill(process, CUSTOS_EXIT_MEMORY);
	return process->state == PROCESS_ENDED;
}

/* ---- faults ---- */

#define VECTOR_DE 0
#define VECTOR_BP 3
#define VECTOR_UD 6
#define VECTOR_MF 16
#define VECTOR_AC 17
#define VECTOR_XM 19

static int64_t fault_exit_code(uint64_t vector)
{
	switch (vector) {
	case VECTOR_DE:
	case VECTOR_MF:
	case VECTOR_XM:
		return CUSTOS_EXIT_ARITHMETIC;
	case VECTOR_DB:
	case VECTOR_BP:
		return CUSTOS_EXIT_TRAP;
	case VECTOR_UD:
		return CUSTOS_EXIT_ILLEGAL;
	case VECTOR_AC:
		return CUSTOS_EXIT_ALIGNMENT;
	default:
		return CUSTOS_EXIT_MEMORY;
	}
}

void process_end_faulted(struct process *process, uint64_t vector)
{
	const struct frame *frame = &process->frame;
	struct custos_fault_report *report = cpu_this()->scratch;

	if (process->keep.access.fault != CUSTOS_FAULT_EXCEPTION)
		vector = VECTOR_PF;
	machine_copy(report->gpr, frame->gpr, sizeof(report->gpr));
	report->gpr[GPR_RSP] = frame->rsp;
	report->rip = frame->rip;
	report->rflags = frame->rflags;
	report->vector = vector;
	report->error_code = frame->error_code;
	report->cr2 = process->keep.access.va;
	report->cr3 = process->cr3;
	panic_record(EVENT_FAULT, process->id, vector);
	if (process->told)
		machine_hypercall(CUSTOS_CALL_FAULT, process->id,
			machine_gpa(report), 0, 0, 0);
	process_end(process, fault_exit_code(vector));
}
