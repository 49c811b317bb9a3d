/* SPDX-License-Identifier: MIT */
/*
 * One instruction that meets keepers, from its fault to its end. The monitor
 * carries it out when it has all it needs; until then it says what is missing,
 * and nothing has happened.
 */
#include "call.h"
#include "cpu.h"
#include "keep.h"
#include "process.h"
#include "sched.h"
#include "space.h"
#include "walk.h"

#define ERROR_WRITE 0x02u /* of a page fault */
#define ERROR_FETCH 0x10u
/* No instruction needs so many pages; one whose pages go away as fast as they
 * come begins anew. */
#define TRIES 200

struct custos_access *keep_begin_access(
	struct process *process, uint64_t va, uint64_t size, unsigned kind)
{
	struct keep *keep = &process->keep;
	struct custos_access *access = &keep->access;

	machine_zero(access, sizeof(*access));
	if (!keep->seq)
		keep->seq = keep_new_seq();
	access->seq = keep->seq;
	access->process = process->id;
	access->ip = process->frame.rip;
	access->va = va;
	access->size = (uint32_t)size;
	access->kind = (uint8_t)kind;
	keep->position = 0;
	return access;
}

/* What is missing, as far as one page. */
static void begin_need(struct process *process)
{
	const struct custos_emulate *e = process_emulate(process);
	uint64_t size = e->need.size, left;
	struct custos_access *access;

	if (size > sizeof(e->need.value))
		size = sizeof(e->need.value);
	left = PAGE_SIZE - (e->need.va & PAGE_MASK);
	if (size > left)
		size = left;
	access = keep_begin_access(process, e->need.va, size, e->need.kind);
	access->insn_size = (uint8_t)(e->insn_size < sizeof(access->insn)
			? e->insn_size
			: sizeof(access->insn));
	machine_copy(access->insn, e->insn, access->insn_size);
	if (!custos_access_is_store(e->need.kind))
		return;
	machine_copy(access->value, e->need.value, size);
	machine_copy(access->old, e->need.old, size);
}

static bool is_stepped(const struct keep *keep)
{
	unsigned i;

	for (i = 0; i < KEEP_HOLDS; i++)
		if (keep->holds[i].holder && keep->holds[i].stepper.type)
			return true;
	return false;
}

/* The process is current: its extended state is in the registers. */
static void emulate(struct process *process, uint32_t op)
{
	struct custos_emulate *e = process_emulate(process);

	e->process = process->id;
	e->cr3 = process->cr3;
	e->frame = machine_gpa(&process->frame);
	e->xstate = 0;
	e->fs_base = process->fs_base;
	e->op = op;
	for (;;) {
		e->result = CUSTOS_EMULATE_CANNOT;
		e->xstate_changed = 0;
		machine_hypercall(CUSTOS_CALL_EMULATE, machine_gpa(e), 0, 0, 0,
			0);
		if (e->result != CUSTOS_EMULATE_XSTATE || e->xstate)
			break;
		sched_save_xstate(process);
		e->xstate = machine_gpa(process_xstate(process));
	}
	if (e->result == CUSTOS_EMULATE_DONE && e->xstate_changed)
		sched_load_xstate(process);
}

/* A system call in memory that is not there as memory. */
static bool is_syscall(const struct custos_emulate *e)
{
	return e->insn_size >= 2 && e->insn[0] == 0x0f && e->insn[1] == 0x05;
}

static void do_syscall(struct process *process)
{
	struct frame *frame = &process->frame;

	keep_over(process);
	if (cpu_this()->current != process)
		return;
	frame->rip += 2;
	frame->gpr[GPR_RCX] = frame->rip;
	frame->gpr[GPR_R11] = frame->rflags;
	frame->vector = VECTOR_SYSCALL;
	call_dispatch(process);
}

static void fail_exception(struct process *process)
{
	const struct custos_emulate *e = process_emulate(process);

	process->frame.error_code = e->error_code;
	keep_begin_access(process, e->cr2, 0, CUSTOS_ACCESS_LOAD);
	keep_fail(process,
		e->vector == VECTOR_PF ? CUSTOS_FAULT_INVALID_ADDRESS
				       : CUSTOS_FAULT_EXCEPTION,
		e->vector);
}

static void cannot(struct process *process)
{
	const struct custos_emulate *e = process_emulate(process);

	if (is_syscall(e)) {
		do_syscall(process);
		return;
	}
	process->keep.access.insn_size = (uint8_t)(e->insn_size & 15);
	machine_copy(process->keep.access.insn, e->insn,
		process->keep.access.insn_size);
	keep_fail(process, CUSTOS_FAULT_UNEMULATABLE, 0);
}

static void done(struct process *process)
{
	if (is_stepped(&process->keep) && keep_ask_stepped(process))
		return;
	keep_over(process);
}

/* way: a walk to va that has just been made; NULL: none. */
static int64_t ask(
	struct process *process, const struct walk *way, uint64_t va)
{
	begin_need(process);
	if (way && process->keep.access.va == va)
		return keep_ask_on(process, way);
	return keep_ask(process);
}

static void run(
	struct process *process, const struct walk *way, uint64_t va)
{
	struct custos_emulate *e = process_emulate(process);
	unsigned tries;

	process->keep.last_ip = process->frame.rip;
	for (tries = 0; tries < TRIES; tries++) {
		emulate(process, is_stepped(&process->keep)
				? CUSTOS_EMULATE_STEP
				: CUSTOS_EMULATE_RUN);
		switch (e->result) {
		case CUSTOS_EMULATE_DONE:
			done(process);
			return;
		case CUSTOS_EMULATE_NEED:
			if (ask(process, way, va))
				return;
			way = NULL;
			break;
		case CUSTOS_EMULATE_FAULT:
			fail_exception(process);
			return;
		case CUSTOS_EMULATE_DENIED:
			keep_fail(process, CUSTOS_FAULT_ACCESS_VIOLATION, 0);
			return;
		default:
			cannot(process);
			return;
		}
	}
	keep_over(process);
}

static void undo(struct process *process)
{
	struct keep *keep = &process->keep;
	unsigned i;

	keep->undoes = false;
	emulate(process, CUSTOS_EMULATE_UNDO);
	keep_registers_set(process);
	keep->seq = keep->holds[keep->hold].seq;
	for (i = 0; i < KEEP_HOLDS; i++)
		keep->holds[i].stepper = (struct cap){0};
}

void keep_go_on(struct process *process)
{
	struct keep *keep = &process->keep;

	keep->goes_on = false;
	if (keep->ends) {
		process_end_faulted(process, keep->vector);
		return;
	}
	if (keep->undoes)
		undo(process);
	if (keep->failed)
		keep_over(process);
	else
		run(process, NULL, 0);
}

static unsigned kind_of(uint64_t error_code)
{
	if (error_code & ERROR_FETCH)
		return CUSTOS_ACCESS_FETCH;
	return error_code & ERROR_WRITE ? CUSTOS_ACCESS_STORE
					: CUSTOS_ACCESS_LOAD;
}

/* Nobody keeps it, or steps somebody there. */
static bool is_mappable(const struct walk *way, unsigned need)
{
	need |= CUSTOS_RIGHT_READ;
	return (space_rights(way) & need) == need;
}

/* Nearly always memory that is there and not mapped yet, or nothing. */
void keep_fault(struct process *process, uint64_t va, uint64_t error_code)
{
	unsigned kind = kind_of(error_code), need = keep_rights(kind);
	struct keep *keep = &process->keep;
	bool is_carried_out = false;
	struct walk way;

	if (keep->used && !keep->has_reserved)
		keep_call_over(process);
	keep->seq = 0;
	if (va < CUSTOS_USER_END) {
		bool mappable;

		walk(&process->space, va, &way);
		if (keep->has_reserved && keep_is_plain(&way, need))
			lock_release_reserved(process);
		mappable = is_mappable(&way, need);
		if (mappable &&
			!space_fill(process, va, &way, way.gpa & ~PAGE_MASK,
				space_rights(&way)))
			return;
		is_carried_out = !mappable && (keep_is_plain(&way, need) ||
						      keep_has_keeper(&way, need));
	}
	keep_begin_access(process, va, 0, kind);
	if (is_carried_out)
		run(process, &way, va);
	else if (!keep_ask(process))
		keep_call_over(process);
}
