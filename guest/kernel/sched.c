/* SPDX-License-Identifier: MIT */
/*
 * Extended state is saved only when another process gets the CPU: saving costs
 * much where the host has to do it for us. So a process that does not run may
 * still have its state in the registers of the CPU it ran on last, if that CPU
 * is idle or about to run it again; then it may not go elsewhere.
 */
#include "sched.h"

#include "cpu.h"
#include "panic.h"
#include "process.h"
#include "turn.h"

#define SYSCALL_SIZE 2
#define SLICE_NS UINT64_C(10000000)
#define NS_PER_MS UINT64_C(1000000)
#define TIMER_MAX_NS UINT64_C(1000000000)
#define NEVER UINT64_MAX
#define CLOCK_SHIFT 32
/* What a kernel entry counts for in virtual time: about what a process can do
 * between two system calls, so that a slice is a thousand of them. */
#define ENTRY_NS UINT64_C(10000)

static uint64_t clock_start; /* TSC */
static uint64_t clock_scale; /* ns per TSC tick << CLOCK_SHIFT */
static uint64_t virtual_now; /* ns */

void sched_init(void)
{
	uint32_t khz = boot_info->tsc_khz;

	invariant(khz);
	clock_scale = (NS_PER_MS << CLOCK_SHIFT) / khz;
	clock_start = machine_tsc();
}

bool sched_is_virtual(void)
{
	return boot_info->flags & CUSTOS_BOOT_VIRTUAL_TIME;
}

uint64_t sched_now(void)
{
	unsigned __int128 ticks;

	if (sched_is_virtual())
		return virtual_now;
	ticks = machine_tsc() - clock_start;
	return (uint64_t)(ticks * clock_scale >> CLOCK_SHIFT);
}

static bool is_idle(const struct cpu *cpu)
{
	return !cpu->current && list_is_empty(&cpu->ready);
}

static bool is_bound(const struct process *process)
{
	return process->pinned != CUSTOS_ANY_CPU ||
	       (process->cpu && process->cpu->xstate_owner == process);
}

struct cpu *sched_place(const struct process *process)
{
	struct cpu *home = process->cpu ? process->cpu : cpu_this();
	unsigned i;

	/* Its state is in the registers there: it goes home first. */
	if (process->cpu && process->cpu->xstate_owner == process)
		return home;
	if (process->pinned != CUSTOS_ANY_CPU)
		return cpu_get(process->pinned);
	if (is_idle(home))
		return home;
	for (i = 0; i < boot_info->cpu_count; i++)
		if (is_idle(cpu_get(i)))
			return cpu_get(i);
	return home;
}

static bool can_run(const struct process *process)
{
	return process->schedule.type == CUSTOS_CAP_SCHEDULE;
}

void sched_ready(struct process *process)
{
	struct cpu *cpu = process->cpu;
	bool first = list_is_empty(&cpu->ready);

	if (process->suspended || !can_run(process)) {
		process->state = PROCESS_SUSPENDED;
		if (process->keep.has_reserved)
			lock_release_reserved(process);
		return;
	}
	process->state = PROCESS_READY;
	list_insert(&cpu->ready, &process->link);
	/* It must leave hlt, or start to tick. */
	if (first && cpu != cpu_this())
		machine_ipi(cpu->apic_id);
}

void sched_go_on(struct process *process)
{
	list_remove(&process->link);
	process->cpu = sched_place(process);
	sched_ready(process);
}

void sched_wake(struct process *process, int64_t result)
{
	process->frame.gpr[GPR_RAX] = (uint64_t)result;
	keep_call_over(process);
	sched_go_on(process);
}

void sched_restart(struct process *process)
{
	process->frame.rip -= SYSCALL_SIZE;
	sched_go_on(process);
}

void sched_block(
	struct process *process, enum process_state state, struct list *queue)
{
	struct cpu *cpu = cpu_this();

	invariant(cpu->current == process);
	cpu->current = NULL;
	process->state = state;
	if (queue)
		list_insert(queue, &process->link);
}

void sched_sleep(struct process *process, uint64_t wake_at)
{
	struct list *sleepers = &cpu_this()->sleepers, *at;

	process->wake_at = wake_at;
	for (at = sleepers->next; at != sleepers; at = at->next)
		if (LIST_ENTRY(at, struct process, link)->wake_at > wake_at)
			break;
	sched_block(process, PROCESS_SLEEPING, at);
}

void sched_make_way(struct cpu *cpu)
{
	cpu->reschedule = true;
}

void sched_forget(struct process *process)
{
	struct cpu *cpu = cpu_this();
	unsigned i;

	if (cpu->current == process)
		cpu->current = NULL;
	if (cpu->cr3 == process->cr3) {
		cpu->cr3 = space_kernel_cr3();
		machine_set_cr3(cpu->cr3);
	}
	for (i = 0; i < boot_info->cpu_count; i++)
		if (cpu_get(i)->xstate_owner == process)
			cpu_get(i)->xstate_owner = NULL;
}

static struct process *first_sleeper(const struct cpu *cpu)
{
	if (list_is_empty(&cpu->sleepers))
		return NULL;
	return LIST_ENTRY(cpu->sleepers.next, struct process, link);
}

void sched_tick(struct cpu *cpu)
{
	uint64_t now = sched_now();
	struct process *sleeper;

	cpu->timer_at = 0;
	while ((sleeper = first_sleeper(cpu)) && sleeper->wake_at <= now)
		sched_wake(sleeper, 0);
	if (now >= cpu->slice_end)
		cpu->reschedule = true;
}

void sched_entered(struct cpu *cpu)
{
	if (!sched_is_virtual())
		return;
	virtual_now += ENTRY_NS;
	sched_tick(cpu);
}

/* One shot at the earlier of the slice's end and the first sleeper's time; a
 * shot already due earlier will do, as the tick comes back here. */
static void arm_timer(struct cpu *cpu)
{
	/* Others wait: for the CPU, or for a place it has reserved. */
	bool slices = !list_is_empty(&cpu->ready) ||
		      (cpu->current && cpu->current->keep.has_reserved);
	const struct process *sleeper = first_sleeper(cpu);
	uint64_t now, wait, at;

	if ((!slices && !sleeper) || sched_is_virtual())
		return;
	at = sleeper ? sleeper->wake_at : NEVER;
	if (cpu->current && slices && cpu->slice_end < at)
		at = cpu->slice_end;
	if (at == NEVER || (cpu->timer_at && cpu->timer_at <= at))
		return;
	now = sched_now();
	wait = at > now ? at - now : 1;
	if (wait > TIMER_MAX_NS)
		wait = TIMER_MAX_NS;
	cpu->timer_at = now + wait;
	machine_timer_arm(wait);
}

static struct process *pop_ready(struct cpu *cpu)
{
	struct process *process;

	if (list_is_empty(&cpu->ready))
		return NULL;
	process = LIST_ENTRY(cpu->ready.next, struct process, link);
	list_remove(&process->link);
	return process;
}

/* A process that waits elsewhere and may come here. */
static struct process *find_elsewhere(const struct cpu *thief)
{
	unsigned i;

	for (i = 0; i < boot_info->cpu_count; i++) {
		struct cpu *cpu = cpu_get(i);
		struct list *at;

		for (at = cpu->ready.next; at != &cpu->ready; at = at->next) {
			struct process *process =
				LIST_ENTRY(at, struct process, link);

			if (is_bound(process) ||
				(!cpu->current && cpu != thief))
				continue;
			return process;
		}
	}
	return NULL;
}

static struct process *steal(const struct cpu *thief)
{
	struct process *process = find_elsewhere(thief);

	if (process)
		list_remove(&process->link);
	return process;
}

void sched_save_xstate(struct process *process)
{
	machine_xsave(process_xstate(process), boot_info->xcr0);
	process->xstate_saved = true;
}

void sched_load_xstate(struct process *process)
{
	machine_xrstor(process_xstate(process), boot_info->xcr0);
}

/* A CPU that has run nobody is in the state every process begins with. */
static void load_xstate(struct cpu *cpu, struct process *process)
{
	if (cpu->xstate_owner == process)
		return;
	if (cpu->xstate_owner)
		sched_save_xstate(cpu->xstate_owner);
	if (cpu->xstate_used || process->xstate_saved)
		sched_load_xstate(process);
	cpu->xstate_owner = process;
	cpu->xstate_used = true;
}

/* A process that loads a selector makes its base 0 behind our back; any other
 * base is the one written last. */
static void load_fs_base(struct cpu *cpu, const struct process *process)
{
	if (!process->fs_base && !cpu->fs_base)
		return;
	cpu->fs_base = process->fs_base;
	machine_set_fs_base(process->fs_base);
}

static void load_space(struct cpu *cpu, uint64_t cr3)
{
	if (cpu->cr3 == cr3)
		return;
	cpu->cr3 = cr3;
	machine_set_cr3(cr3);
}

static void switch_to(struct cpu *cpu, struct process *process)
{
	process->state = PROCESS_RUNNING;
	process->cpu = cpu;
	process->kernel_stack = cpu_stack_top(cpu);
	cpu->current = process;
	cpu->tss.rsp0 = (uint64_t)(uintptr_t)(&process->frame + 1);
	load_space(cpu, process->cr3);
	load_xstate(cpu, process);
	load_fs_base(cpu, process);
	boot_info->cpus[cpu->index].process = process->id;
	cpu->slice_end =
		sched_now() + (process->slice ? process->slice : SLICE_NS);
}

/* Nobody runs, nobody is ready, nobody will wake up: it stays so. */
static void check_stuck(void)
{
	unsigned i;

	for (i = 0; i < boot_info->cpu_count; i++)
		if (!is_idle(cpu_get(i)) || first_sleeper(cpu_get(i)))
			return;
	panic_end("custos: every process waits forever\n", CUSTOS_EXIT_STUCK);
}

/* Nobody has anything to do before the first sleeper's time: it is now. */
static bool pass_time(struct cpu *cpu)
{
	const struct process *sleeper = first_sleeper(cpu);

	if (!sched_is_virtual() || !sleeper)
		return false;
	if (sleeper->wake_at > virtual_now)
		virtual_now = sleeper->wake_at;
	return true;
}

/* Nothing to do here: until somebody makes something. Where turns are told,
 * leaving is one, and that of a repeated run comes when it did then. */
static void idle(struct cpu *cpu)
{
	arm_timer(cpu);
	cpu_unlock();
	if (turn_is_repeated())
		turn_wait(cpu);
	else
		machine_halt();
	cpu_lock(cpu);
	if (turn_is_repeated() || !list_is_empty(&cpu->ready) ||
		find_elsewhere(cpu))
		turn_take();
}

/* An idle CPU has no process's tables loaded: nobody needs to interrupt it to
 * flush or free them. */
static struct process *wait_for_work(struct cpu *cpu)
{
	struct process *process;

	boot_info->cpus[cpu->index].process = 0;
	load_space(cpu, space_kernel_cr3());
	while (!(process = pop_ready(cpu)) && !(process = steal(cpu))) {
		check_stuck();
		if (!pass_time(cpu))
			idle(cpu);
		sched_tick(cpu);
	}
	cpu->reschedule = false;
	return process;
}

/* Its schedule has become another CPU's: it leaves nothing here. */
static bool has_moved(struct cpu *cpu, struct process *process)
{
	if (process->pinned == CUSTOS_ANY_CPU || process->pinned == cpu->index)
		return false;
	if (cpu->xstate_owner == process) {
		sched_save_xstate(process);
		cpu->xstate_owner = NULL;
	}
	process->cpu = cpu_get(process->pinned);
	sched_ready(process);
	return true;
}

static void requeue_current(struct cpu *cpu)
{
	struct process *process = cpu->current;

	if (!process)
		return;
	cpu->current = NULL;
	sched_ready(process);
}

static struct process *pick(struct cpu *cpu)
{
	struct process *process;

	do {
		process = pop_ready(cpu);
		if (!process)
			process = steal(cpu);
		if (!process)
			process = wait_for_work(cpu);
	} while (has_moved(cpu, process));
	return process;
}

static bool may_go_on(const struct process *process)
{
	return !process->suspended && can_run(process) &&
	       (process->pinned == CUSTOS_ANY_CPU ||
		       process->pinned == process->cpu->index);
}

void sched_move(struct process *process)
{
	switch (process->state) {
	case PROCESS_RUNNING: /* it will notice */
		if (process->cpu != cpu_this())
			machine_ipi(process->cpu->apic_id);
		break;
	case PROCESS_READY:
		list_remove(&process->link);
		/* fall through */
	case PROCESS_SUSPENDED:
		process->cpu = sched_place(process);
		sched_ready(process);
		break;
	default:
		break;
	}
}

struct process *sched_next(struct cpu *cpu)
{
	struct process *process = cpu->current;

	if (cpu->reschedule || !process || !may_go_on(process)) {
		cpu->reschedule = false;
		requeue_current(cpu);
		process = pick(cpu);
		switch_to(cpu, process);
	}
	arm_timer(cpu);
	return process;
}
