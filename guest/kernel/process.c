/* SPDX-License-Identifier: MIT */
/* How processes come and go. */
#include "process.h"

#include "copy.h"
#include "cpu.h"
#include "frame.h"
#include "panic.h"
#include "sched.h"

#define XSTATE_MXCSR 24 /* offset in the legacy area (SDM vol. 1, 13.4.1) */
#define MXCSR_DEFAULT 0x1f80u

#define STACK_BASE (CUSTOS_STACK_TOP - CUSTOS_STACK_SIZE)
#define SETUP_LENGTH (CUSTOS_START_VA + 2 * PAGE_SIZE - STACK_BASE)

static uint64_t next_id = 1;

unsigned process_frames(void)
{
	return 1 + (unsigned)((boot_info->xsave_size + PAGE_MASK) / PAGE_SIZE);
}

static unsigned segment_rights(const struct custos_segment *segment)
{
	unsigned rights = CUSTOS_RIGHT_READ;

	if (segment->flags & CUSTOS_SEGMENT_WRITE)
		rights |= CUSTOS_RIGHT_WRITE;
	if (segment->flags & CUSTOS_SEGMENT_EXEC)
		rights |= CUSTOS_RIGHT_EXEC;
	return rights;
}

/* Pages from the file that nobody may write are shared by all processes of
 * the program; the others are the process's own. */
static int map_segment_page(struct space *space,
	const struct custos_segment *segment, uint64_t offset)
{
	unsigned rights = segment_rights(segment);
	uint64_t va = segment->va + offset, gpa;
	bool from_file = offset < segment->data_size;

	if (from_file && !(rights & CUSTOS_RIGHT_WRITE)) {
		space_set(space, va, segment->data + offset,
			SPACE_PAGE_BORROWED, rights);
		return 0;
	}
	gpa = from_file ? frame_alloc_dirty(space->owner)
			: frame_alloc(space->owner);
	if (!gpa)
		return -CUSTOS_E_LIMIT;
	if (from_file)
		machine_copy(machine_direct(gpa),
			machine_direct(segment->data + offset), PAGE_SIZE);
	space_set(space, va, gpa, SPACE_PAGE_OWN, rights);
	return 0;
}

static int map_segment(
	struct space *space, const struct custos_segment *segment)
{
	uint64_t offset;
	int error = space_prepare(space, segment->va, segment->mem_size);

	for (offset = 0; !error && offset < segment->mem_size;
		offset += PAGE_SIZE)
		error = map_segment_page(space, segment, offset);
	return error;
}

static int map_own(
	struct space *space, uint64_t va, uint64_t length, unsigned rights)
{
	for (; length; length -= PAGE_SIZE, va += PAGE_SIZE) {
		uint64_t gpa = frame_alloc(space->owner);

		if (!gpa)
			return -CUSTOS_E_LIMIT;
		space_set(space, va, gpa, SPACE_PAGE_OWN, rights);
	}
	return 0;
}

/* Stack and start info, which share one page table. */
static int map_setup(struct space *space)
{
	int error = space_prepare(space, STACK_BASE, SETUP_LENGTH);

	if (!error)
		error = map_own(space, STACK_BASE, CUSTOS_STACK_SIZE,
			CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE);
	if (!error)
		error = map_own(space, CUSTOS_START_VA, 2 * PAGE_SIZE,
			CUSTOS_RIGHT_READ);
	return error;
}

static int map_program(
	struct process *process, const struct custos_module *module)
{
	int error = space_init(&process->space, process);
	unsigned i;

	for (i = 0; !error && i < module->segment_count; i++)
		error = map_segment(&process->space, &module->segments[i]);
	return error ? error : map_setup(&process->space);
}

static void init_state(
	struct process *process, const struct custos_module *module)
{
	uint8_t *xstate = process_xstate(process);

	*(uint32_t *)(xstate + XSTATE_MXCSR) = MXCSR_DEFAULT;
	process->frame.rip = module->entry;
	process->frame.cs = SELECTOR_USER_CODE;
	process->frame.ss = SELECTOR_USER_DATA;
	process->frame.rflags = RFLAGS_FIXED | RFLAGS_IF;
	process->frame.rsp = CUSTOS_STACK_TOP - 8;
	process->frame.gpr[GPR_RDI] = CUSTOS_START_VA;
}

static void init_start_info(struct process *process)
{
	struct custos_start_info *info = process_start_info(process);

	info->magic = CUSTOS_ABI_MAGIC;
	info->abi_version = CUSTOS_ABI_VERSION;
	info->args = CUSTOS_START_ARGS_VA;
	info->cpu_count = boot_info->cpu_count;
}

static void give_own(struct process *process)
{
	static const struct {
		char name[CUSTOS_NAME_MAX];
		struct cap cap;
	} own[] = {
		{"self", {.type = CUSTOS_CAP_PROCESS}},
		{"caps", {.type = CUSTOS_CAP_CAPPAGE}},
		{"space", {.type = CUSTOS_CAP_SPACE}},
	};
	unsigned i;

	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		struct cap cap = own[i].cap;

		cap.rights = CUSTOS_RIGHT_ALL;
		cap.object = process;
		process_give(process, own[i].name, &cap, CUSTOS_RIGHT_ALL);
	}
}

/* Everything but the struct itself. */
static void release(struct process *process)
{
	struct cap *caps = process->caps;

	process->caps = NULL;
	cap_page_destroy(caps);
	space_fini(&process->space);
}

struct process *process_create(unsigned index, uint32_t cpu)
{
	const struct custos_module *module = &boot_info->modules[index];
	uint64_t gpa = frame_run_alloc(NULL);
	struct process *process;

	if (!gpa)
		return NULL;
	process = machine_direct(gpa);
	process->references = 1;
	process->pinned = cpu;
	list_init(&process->link);
	list_init(&process->waiters);
	process->caps = cap_page_create(process);
	if (!process->caps || map_program(process, module)) {
		process_discard(process);
		return NULL;
	}
	machine_copy(process->name, module->name, CUSTOS_NAME_MAX);
	init_state(process, module);
	init_start_info(process);
	give_own(process);
	return process;
}

static void *setup_page(struct process *process, uint64_t va)
{
	uint64_t gpa = 0;

	invariant(space_resolve(&process->space, va, false, &gpa));
	return machine_direct(gpa);
}

struct custos_start_info *process_start_info(struct process *process)
{
	return setup_page(process, CUSTOS_START_VA);
}

char *process_start_args(struct process *process)
{
	return setup_page(process, CUSTOS_START_ARGS_VA);
}

int process_give(struct process *process, const char *name,
	const struct cap *from, unsigned rights)
{
	struct custos_start_info *info = process_start_info(process);
	struct custos_named_cap *named;
	uint32_t slot = info->cap_count + 1;
	struct cap *to = cap_find_empty(process, slot);

	if (!to || info->cap_count >= CUSTOS_START_CAPS)
		return -CUSTOS_E_LIMIT;
	cap_copy(to, from, rights);
	named = &info->caps[info->cap_count++];
	machine_copy(named->name, name, CUSTOS_NAME_MAX);
	named->name[CUSTOS_NAME_MAX - 1] = '\0';
	named->slot = slot;
	named->type = from->type;
	return 0;
}

void process_start(struct process *process, unsigned module)
{
	process->id = next_id++;
	process_get(process); /* until it ends */
	panic_record(EVENT_START, process->id, module);
	machine_hypercall(CUSTOS_CALL_PROCESS_START, process->id,
		process->space.cr3, module, machine_gpa(process->name), 0);
	process->cpu = sched_place(process);
	sched_ready(process);
}

void process_get(struct process *process)
{
	process->references++;
}

void process_order(
	const struct process *before, const struct process *after, unsigned how)
{
	machine_hypercall(CUSTOS_CALL_ORDER, before->id, after->id, how, 0, 0);
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

void process_put(struct process *process)
{
	invariant(process->references);
	if (--process->references == 0)
		frame_run_free(machine_gpa(process));
}

void process_discard(struct process *process)
{
	release(process);
	process_put(process);
}

void process_end(struct process *process, int64_t code)
{
	process->exit_code = code & 0xff;
	panic_record(EVENT_END, process->id, (uint64_t)process->exit_code);
	machine_hypercall(CUSTOS_CALL_PROCESS_EXIT, process->id,
		(uint64_t)process->exit_code, 0, 0, 0);
	if (process->id == 1)
		machine_hypercall(CUSTOS_CALL_EXIT,
			(uint64_t)process->exit_code, 0, 0, 0, 0);
	/* commit */
	list_remove(&process->link);
	sched_forget(process);
	process->state = PROCESS_ENDED;
	release(process);
	wake_waiters(process);
	process_put(process);
}

void process_kill(struct process *process, int64_t code)
{
	if (process->state == PROCESS_ENDED)
		return;
	panic_record(EVENT_KILL, process->id, process->cpu->index);
	if (process->state == PROCESS_RUNNING && process->cpu != cpu_this()) {
		process->killed = true;
		process->exit_code = code & 0xff;
		machine_ipi(process->cpu->apic_id);
		return;
	}
	process_end(process, code);
}
