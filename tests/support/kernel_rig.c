/* SPDX-License-Identifier: MIT */
#include "tests/support/kernel_rig.h"

#include <string.h>

#include "guest/kernel/bank.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/gpt.h"
#include "guest/kernel/object.h"
#include "guest/kernel/sched.h"
#include "guest/kernel/trap.h"
#include "tests/support/kernel_machine.h"
#include "tests/support/tests.h"

#define RAM (UINT64_C(48) << 20)
#define PROCESSES 32
#define RESUME_SLOT 100 /* and the next ones */

static struct rig_insn insns[PROCESSES];
static unsigned insn_count;
static struct process *idle;

/* ---- the monitor's part ---- */

static struct {
	struct process *process;
	uint8_t *bytes;
	uint8_t old[8];
	unsigned size;
} last_step;

static struct rig_insn *insn_of(uint64_t id)
{
	for (unsigned i = 0; i < insn_count; i++)
		if (insns[i].process->id == id)
			return &insns[i];
	fail_msg("no instruction");
	return NULL;
}

static uint8_t *open_byte(
	const struct custos_emulate *e, uint64_t va, unsigned need)
{
	for (uint32_t i = 0; i < e->open_count; i++)
		if (e->open[i].va == (va & ~PAGE_MASK) &&
			(e->open[i].rights & need) == need)
			return (uint8_t *)machine_direct(e->open[i].gpa) +
			       (va & PAGE_MASK);
	return NULL;
}

static uint8_t *mapped_byte(const struct custos_emulate *e, uint64_t va,
	bool write)
{
	const uint64_t need = write ? 7 : 5;
	uint64_t table = e->cr3;

	for (int shift = 39; shift >= 12; shift -= 9) {
		const uint64_t *entries =
			machine_direct(table & UINT64_C(0xffffffffff000));
		uint64_t entry = entries[va >> shift & 511];

		if ((entry & need) != need)
			return NULL;
		table = entry;
	}
	return (uint8_t *)machine_direct(table & UINT64_C(0xffffffffff000)) +
	       (va & PAGE_MASK);
}

static const uint8_t *served_byte(
	const struct custos_emulate *e, uint64_t va, unsigned kind)
{
	for (uint32_t i = 0; i < e->served_count; i++)
		if (e->served[i].kind == kind &&
			va - e->served[i].va < e->served[i].size)
			return &e->served[i].data[va - e->served[i].va];
	return NULL;
}

/* Where the bytes of one access are; false: something is missing. */
static bool have(struct custos_emulate *e, const struct rig_access *access,
	unsigned kind, uint8_t *places[8])
{
	bool write = kind != CUSTOS_ACCESS_LOAD && kind != CUSTOS_ACCESS_FETCH;

	for (unsigned i = 0; i < access->size; i++) {
		uint64_t va = access->va + i;

		places[i] = (uint8_t *)(uintptr_t)served_byte(e, va, kind);
		if (!places[i])
			places[i] = open_byte(e, va, write ? 3 : 1);
		if (!places[i])
			places[i] = mapped_byte(e, va, write);
		if (places[i])
			continue;
		e->result = CUSTOS_EMULATE_NEED;
		e->need.va = va;
		e->need.size = access->size - i;
		e->need.kind = kind;
		memcpy(e->need.value, (const uint8_t *)&access->value + i,
			access->size - i);
		return false;
	}
	return true;
}

static void do_load(struct rig_access *access, uint8_t *places[8])
{
	access->value = 0;
	for (unsigned i = 0; i < access->size; i++)
		((uint8_t *)&access->value)[i] = *places[i];
}

static void note_step(struct custos_emulate *e, const struct rig_access *access,
	uint8_t *bytes, unsigned kind)
{
	if (e->op != CUSTOS_EMULATE_STEP || !open_byte(e, access->va, 1))
		return;
	last_step.bytes = bytes;
	last_step.size = access->size;
	memcpy(last_step.old, bytes, access->size);
	memcpy(e->stepped[e->stepped_count].old, bytes, access->size);
	if (kind != CUSTOS_ACCESS_LOAD)
		memcpy(bytes, &access->value, access->size);
	memcpy(e->stepped[e->stepped_count].new, bytes, access->size);
	e->stepped[e->stepped_count].va = access->va;
	e->stepped[e->stepped_count].size = access->size;
	e->stepped[e->stepped_count++].kind = kind;
}

/* A store to what was served has been made by the keeper. */
static void do_store(struct custos_emulate *e, const struct rig_access *access,
	uint8_t *places[8], unsigned kind)
{
	for (unsigned i = 0; i < access->size; i++)
		if (!served_byte(e, access->va + i, kind))
			*places[i] = ((const uint8_t *)&access->value)[i];
}

static bool carry_out(
	struct custos_emulate *e, struct rig_access *access, bool commit)
{
	uint8_t *places[8];
	unsigned kind = access->kind;

	if (!have(e, access, kind, places))
		return false;
	if (commit && kind == CUSTOS_ACCESS_STORE)
		note_step(e, access, places[0], kind);
	if (commit && kind == CUSTOS_ACCESS_STORE)
		do_store(e, access, places, kind);
	if (commit && kind != CUSTOS_ACCESS_STORE && kind != CUSTOS_ACCESS_FETCH)
		do_load(access, places);
	return true;
}

static void emulate(struct custos_emulate *e)
{
	struct rig_insn *insn = insn_of(e->process);
	struct frame *frame = &insn->process->frame;

	e->stepped_count = 0;
	if (e->op == CUSTOS_EMULATE_UNDO) {
		memcpy(last_step.bytes, last_step.old, last_step.size);
		frame->rip -= 4;
		insn->retired--;
		e->result = CUSTOS_EMULATE_DONE;
		return;
	}
	for (unsigned i = 0; i < insn->count; i++)
		if (!carry_out(e, &insn->accesses[i], false))
			return;
	for (unsigned i = 0; i < insn->count; i++)
		carry_out(e, &insn->accesses[i], true);
	e->result = CUSTOS_EMULATE_DONE;
	frame->rip += 4;
	insn->retired++;
}

/* ---- the world ---- */

void rig_setup(void)
{
	kernel_setup_ram(RAM);
	kernel_machine.emulate = emulate;
	insn_count = 0;
	/* The end of process 1 is the machine's. */
	bank_free(machine_gpa(process_create(bank_root())));
	idle = rig_process();
	trap_first(cpu_get(0));
}

void rig_teardown(void)
{
	cpu_unlock();
	kernel_teardown();
}

struct process *rig_process(void)
{
	struct process *process = process_create(bank_root());

	assert_non_null(process);
	assert_int_equal(process_load(process, bank_root(), 0, CUSTOS_ANY_CPU),
		0);
	process_start(process, 0);
	process->frame.rip = RIG_CODE;
	return process;
}

void *rig_object(enum custos_captype type)
{
	static const enum frame_type types[CUSTOS_CAP_MAX] = {
		[CUSTOS_CAP_PAGE] = FRAME_PAGE,
		[CUSTOS_CAP_CAPPAGE] = FRAME_CAPPAGE,
		[CUSTOS_CAP_GPT] = FRAME_GPT,
		[CUSTOS_CAP_ENDPOINT] = FRAME_ENDPOINT,
		[CUSTOS_CAP_BUFFER] = FRAME_BUFFER,
	};
	uint64_t gpa = bank_alloc(bank_root(), types[type]);

	assert_true(gpa);
	if (type == CUSTOS_CAP_GPT)
		gpt_begin(gpa);
	if (type == CUSTOS_CAP_ENDPOINT)
		endpoint_begin(gpa);
	if (type == CUSTOS_CAP_BUFFER)
		buffer_begin(gpa);
	return machine_direct(gpa);
}

struct cap rig_cap(enum custos_captype type, void *object, uint64_t payload)
{
	return cap_make(type, CUSTOS_RIGHT_ALL, object, payload);
}

struct cap *rig_slot(struct process *process, uint32_t slot)
{
	return (struct cap *)process->caps.object + slot;
}

uint32_t rig_give(struct process *process, struct cap cap)
{
	uint32_t slot = 20;

	while (rig_slot(process, slot)->type)
		slot++;
	assert_true(slot < RESUME_SLOT);
	*rig_slot(process, slot) = cap;
	return slot;
}

struct gpt *rig_window(struct process *process, uint64_t va)
{
	struct gpt *gpt = rig_object(CUSTOS_CAP_GPT);
	struct cap cap = rig_cap(CUSTOS_CAP_GPT, gpt, 0);
	int64_t error;

	gpt->l2v = 12;
	do
		error = gpt_map(process->space.object, va, &cap, 0,
			64 * PAGE_SIZE, CUSTOS_RIGHTS_MEMORY);
	while (error > 0 || error == INT64_MIN + 1);
	assert_int_equal(error, 0);
	return gpt;
}

/* ---- running ---- */

static bool can_run(const struct process *process)
{
	return process->state == PROCESS_READY ||
	       process->state == PROCESS_RUNNING;
}

bool rig_run(struct process *process)
{
	struct cpu *cpu = cpu_get(0);

	for (unsigned i = 0; cpu->current != process; i++) {
		struct process *other = cpu->current;

		if (!can_run(process))
			return false;
		assert_true(i < 200);
		if (!other) { /* the test ended it */
			trap_first(cpu);
			continue;
		}
		sched_make_way(cpu);
		other->frame.vector = VECTOR_TIMER;
		trap_user(other);
	}
	return true;
}

int64_t rig_result(struct process *process)
{
	const struct frame *frame = &process->frame;

	for (unsigned i = 0; i < 200; i++) {
		if (!can_run(process))
			return RIG_BLOCKED;
		if (frame->rip != RIG_CODE)
			return (int64_t)frame->gpr[GPR_RAX];
		if (!rig_run(process))
			return RIG_BLOCKED;
		process->frame.rip += 2;
		process->frame.vector = VECTOR_SYSCALL;
		trap_user(process);
	}
	fail_msg("a call is made again for ever");
	return 0;
}

int64_t rig_call(struct process *process, uint64_t op, uint64_t slot,
	uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t *gpr = process->frame.gpr;

	assert_true(rig_run(process));
	gpr[GPR_RAX] = op;
	gpr[GPR_RDI] = slot;
	gpr[GPR_RSI] = a;
	gpr[GPR_RDX] = b;
	gpr[GPR_R10] = c;
	gpr[GPR_R8] = gpr[GPR_R9] = 0;
	process->frame.rip = RIG_CODE + 2;
	process->frame.vector = VECTOR_SYSCALL;
	trap_user(process);
	return rig_result(process);
}

void *rig_memory(struct process *process, uint64_t va)
{
	uint64_t gpa;

	assert_int_equal(space_resolve(process, va, true, &gpa), 0);
	return machine_direct(gpa);
}

/* ---- instructions ---- */

struct rig_insn *rig_set_insn(struct process *process, unsigned kind,
	uint64_t va, unsigned size, uint64_t value)
{
	struct rig_insn *insn = NULL;

	for (unsigned i = 0; i < insn_count; i++)
		if (insns[i].process == process)
			insn = &insns[i];
	if (!insn) {
		assert_true(insn_count < PROCESSES);
		insn = &insns[insn_count++];
	}
	*insn = (struct rig_insn){.process = process, .count = 1};
	insn->accesses[0] = (struct rig_access){
		.kind = kind, .va = va, .size = size, .value = value};
	process->frame.rip = RIG_CODE;
	return insn;
}

/* Natively it is done when everything is mapped, else the first is missed. */
bool rig_step(struct process *process)
{
	struct rig_insn *insn = insn_of(process->id);
	struct custos_emulate native = {.cr3 = process->cr3};

	if (!rig_run(process))
		return insn->retired;
	if (process->frame.rip != RIG_CODE)
		return true;
	for (unsigned i = 0; i < insn->count; i++)
		if (!carry_out(&native, &insn->accesses[i], false)) {
			bool store = insn->accesses[i].kind ==
				     CUSTOS_ACCESS_STORE;

			kernel_machine.cr2 = native.need.va;
			process->frame.vector = VECTOR_PF;
			process->frame.error_code = store ? 6 : 4;
			trap_user(process);
			return process->frame.rip != RIG_CODE;
		}
	for (unsigned i = 0; i < insn->count; i++)
		carry_out(&native, &insn->accesses[i], true);
	process->frame.rip += 4;
	insn->retired++;
	return true;
}

bool rig_has_retired(struct process *process)
{
	const struct rig_insn *insn = insn_of(process->id);

	for (unsigned i = 0; i < 20 && !insn->retired; i++) {
		if (!can_run(process))
			return false;
		rig_step(process);
	}
	return insn->retired;
}

/* ---- keepers ---- */

int64_t rig_receive(struct process *keeper, uint32_t endpoint,
	struct custos_message *out)
{
	struct custos_message *message = rig_memory(keeper, RIG_MESSAGE);
	int64_t result;

	*message = (struct custos_message){.string = RIG_BUFFER,
		.string_size = CUSTOS_STRING_MAX,
		.cap_count = CUSTOS_MESSAGE_CAPS};
	for (uint32_t i = 0; i < CUSTOS_MESSAGE_CAPS; i++) {
		message->caps[i] = RESUME_SLOT + i;
		*rig_slot(keeper, RESUME_SLOT + i) = (struct cap){0};
	}
	result = rig_call(keeper, CUSTOS_OP_ENDPOINT_RECEIVE, endpoint,
		RIG_MESSAGE, CUSTOS_NO_WAIT, 0);
	*out = *message;
	return result;
}

int64_t rig_answer(struct process *keeper, uint64_t op, uint64_t a, uint64_t b,
	uint64_t c)
{
	return rig_call(keeper, op, RESUME_SLOT, a, b, c);
}

int64_t rig_answer_value(
	struct process *keeper, uint64_t value, unsigned size)
{
	memcpy(rig_memory(keeper, RIG_REPLY), &value, sizeof(value));
	return rig_answer(keeper, CUSTOS_OP_RESUME_VALUE, RIG_REPLY, size, 0);
}
