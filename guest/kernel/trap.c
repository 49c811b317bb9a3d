/* SPDX-License-Identifier: MIT */
/*
 * What entry.S calls. A trap from user mode is a call, an interrupt or a
 * fault; whatever a process's registers hold, it can only hurt itself.
 */
#include "trap.h"

#include "call.h"
#include "copy.h"
#include "cpu.h"
#include "panic.h"
#include "process.h"
#include "sched.h"
#include "turn.h"

#define VECTOR_DE 0
#define VECTOR_BP 3
#define VECTOR_UD 6
#define VECTOR_GP 13
#define VECTOR_MF 16
#define VECTOR_AC 17
#define VECTOR_XM 19
#define VECTORS_EXCEPTION 32

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

static void fault(struct process *process, uint64_t vector)
{
	const struct frame *frame = &process->frame;
	struct custos_fault_report *report = cpu_this()->scratch;

	machine_copy(report->gpr, frame->gpr, sizeof(report->gpr));
	report->gpr[GPR_RSP] = frame->rsp;
	report->rip = frame->rip;
	report->rflags = frame->rflags;
	report->vector = vector;
	report->error_code = frame->error_code;
	report->cr2 = machine_cr2();
	report->cr3 = process->space.cr3;
	panic_record(EVENT_FAULT, process->id, vector);
	machine_hypercall(
		CUSTOS_CALL_FAULT, process->id, machine_gpa(report), 0, 0, 0);
	process_end(process, fault_exit_code(vector));
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
		!space_resolve(&process->space, frame->rip, false, &gpa) ||
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

/* A process that cannot be returned to has faulted. */
static struct process *choose(struct cpu *cpu)
{
	struct process *process;

	while (!is_canonical((process = sched_next(cpu))->frame.rip))
		fault(process, VECTOR_GP);
	return process;
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
