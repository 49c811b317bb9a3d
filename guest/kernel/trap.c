/* SPDX-License-Identifier: MIT */
/*
 * What entry.S calls. A trap from user mode is a call, an interrupt or a
 * fault; whatever a process's registers hold, it can only hurt itself.
 */
#include "trap.h"

#include "bank.h"
#include "call.h"
#include "copy.h"
#include "cpu.h"
#include "panic.h"
#include "process.h"
#include "sched.h"
#include "table.h"
#include "turn.h"

#define VECTOR_GP 13
#define VECTOR_UD 6
#define VECTORS_EXCEPTION 32

/* Error code: a reserved bit in a table. None of ours has one; the monitor
 * marks the faults so that its keepers want. */
#define PAGE_FAULT_RESERVED 0x8u

/* A keeper of the monitor's refused: the mapping may be as good as it was. */
static void tell_refusal(struct process *process)
{
	struct custos_access *access = &process->keep.access;

	machine_zero(access, sizeof(*access));
	access->ip = process->frame.rip;
	access->va = machine_cr2();
	keep_tell_fault(process, CUSTOS_FAULT_ACCESS_VIOLATION, VECTOR_PF);
}

static void fault(struct process *process, uint64_t vector)
{
	if (vector == VECTOR_PF &&
		process->frame.error_code & PAGE_FAULT_RESERVED) {
		tell_refusal(process);
		return;
	}
	if (vector == VECTOR_PF) {
		process->page_faults++;
		keep_fault(process, machine_cr2(), process->frame.error_code);
		return;
	}
	machine_zero(&process->keep.access, sizeof(process->keep.access));
	process->keep.access.ip = process->frame.rip;
	keep_tell_fault(process, CUSTOS_FAULT_EXCEPTION, vector);
}

/* A host that leaves CPL at 3 for SYSCALL: the fetch at the entry faulted. */
static bool is_faulted_syscall(const struct frame *frame)
{
	return frame->rip == machine_syscall_entry() &&
	       (frame->vector == VECTOR_PF || frame->vector == VECTOR_GP ||
		       frame->vector == VECTOR_UD);
}

/* Bytes of an RDTSC, or of an RDTSCP, which ends with more; 0: neither. */
static uint64_t rdtsc_size(const uint8_t *code, uint64_t room)
{
	if (room >= 2 && code[0] == 0x0f && code[1] == 0x31)
		return 2;
	if (room >= 3 && code[0] == 0x0f && code[1] == 0x01 && code[2] == 0xf9)
		return 3;
	return 0;
}

/* Where time is virtual a program's RDTSC shows it, if the KVM lets us. */
static bool answer_rdtsc(struct process *process)
{
	struct frame *frame = &process->frame;
	uint64_t gpa, size, now = sched_now();

	if (!sched_is_virtual() ||
		space_resolve(process, frame->rip, false, &gpa) ||
		copy_is_monitors(gpa))
		return false;
	size = rdtsc_size(
		machine_direct(gpa), PAGE_SIZE - (gpa & PAGE_MASK));
	if (!size)
		return false;
	frame->gpr[GPR_RAX] = (uint32_t)now;
	frame->gpr[GPR_RDX] = now >> 32;
	if (size == 3)
		frame->gpr[GPR_RCX] = process->cpu->index;
	frame->rip += size;
	return true;
}

static void dispatch(struct cpu *cpu, struct process *process)
{
	uint64_t vector = process->frame.vector;

	/* First of all: what follows may end the process and never come back
	 * here, and an interrupt left in service keeps all others out. */
	if (vector == VECTOR_TIMER || vector == VECTOR_IPI)
		machine_eoi();
	if (process->killed)
		process_end(process, process->exit_code);
	else if (vector == VECTOR_SYSCALL)
		call_dispatch(process);
	else if (vector == VECTOR_TIMER)
		sched_tick(cpu);
	else if (vector == VECTOR_GP && answer_rdtsc(process))
		return;
	else if (vector < VECTORS_EXCEPTION)
		fault(process, vector);
}

static bool is_canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static void go_on(struct process *process)
{
	keep_go_on(process);
	if (process->keep.has_reserved)
		lock_release_reserved(process);
}

/* Some who are chosen have to be ended, or go on with an instruction they asked
 * a keeper about. A process that cannot be returned to has faulted. */
static struct process *choose(struct cpu *cpu)
{
	for (;;) {
		struct process *process = sched_next(cpu);

		if (process->killed)
			process_end(process, process->exit_code);
		else if (process->keep.goes_on)
			go_on(process);
		else if (!is_canonical(process->frame.rip))
			fault(process, VECTOR_GP);
		else
			return process;
	}
}

/* It did not use a place that was reserved for its next instruction; unless
 * an interrupt came before that. */
static bool has_tried(const struct process *process)
{
	const struct frame *frame = &process->frame;

	return (frame->vector != VECTOR_TIMER && frame->vector != VECTOR_IPI) ||
	       frame->rip != process->keep.last_ip;
}

/*
 * An interrupt from another CPU, for a flush that cpu_lock() answers, at an
 * instruction that no second run would be interrupted at: where the order of
 * CPUs is told, nothing else may come of it.
 */
static bool is_only_nudged(const struct process *process)
{
	return turn_is_ordered() && process->frame.vector == VECTOR_IPI &&
	       !__atomic_load_n(&process->killed, __ATOMIC_ACQUIRE);
}

struct process *trap_user(struct process *process)
{
	struct cpu *cpu = process->cpu;
	struct frame *frame = &process->frame;

	bool is_nudge = is_only_nudged(process);

	if (!is_nudge)
		turn_wait(cpu);
	cpu_lock(cpu);
	if (is_faulted_syscall(frame)) {
		frame->vector = VECTOR_SYSCALL;
		frame->rip = frame->gpr[GPR_RCX];
		frame->rflags = frame->gpr[GPR_R11];
	}
	frame->cs = SELECTOR_USER_CODE;
	frame->ss = SELECTOR_USER_DATA;
	frame->rflags &= RFLAGS_USER;
	frame->rflags |= RFLAGS_FIXED | RFLAGS_IF;
	if (is_nudge) {
		machine_eoi();
		cpu_unlock();
		return process;
	}
	turn_take();
	sched_entered(cpu);
	dispatch(cpu, process);
	if (process->keep.has_reserved && has_tried(process))
		lock_release_reserved(process);
	table_flush();
	bank_end_piece();
	process = choose(cpu);
	cpu_unlock();
	return process;
}

/*
 * At the first instruction of a vector's entry, interrupts off: a second
 * delivery of the event that has just been delivered. QEMU's emulated SVM does
 * that now and then, when the machine exits between delivery and entry and the
 * hypervisor injects again. The first one goes on and does the work.
 */
static bool is_delivered_twice(const struct frame *frame)
{
	return machine_is_vector_entry(frame->rip);
}

void trap_kernel(struct frame *frame)
{
	if (is_delivered_twice(frame))
		return; /* one event, one end of interrupt: the first's */
	if (frame->vector < VECTORS_EXCEPTION)
		panic_frame(frame);
	frame->rip = machine_leave_halt(frame->rip);
	if (frame->vector != VECTOR_SPURIOUS)
		machine_eoi();
}

struct process *trap_first(struct cpu *cpu)
{
	struct process *process;

	turn_wait(cpu);
	cpu_lock(cpu);
	turn_take();
	process = choose(cpu);
	cpu_unlock();
	return process;
}
