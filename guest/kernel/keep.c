/* SPDX-License-Identifier: MIT */
/* Questions to keepers: putting them, saying them, and their ends. */
#include "keep.h"

#include "bank.h"
#include "call.h"
#include "cpu.h"
#include "endpoint.h"
#include "panic.h"
#include "process.h"
#include "sched.h"

#define SYSCALL_SIZE 2

void keep_init(struct process *process)
{
	process->keep.nonce = 1;
	list_init(&process->keep.owed);
}

bool keep_is_call(const struct process *process)
{
	return process->frame.vector == VECTOR_SYSCALL;
}

uint64_t keep_new_seq(void)
{
	static uint64_t last;

	return ++last;
}

/* ---- putting a question ---- */

void keep_put(struct process *process, const struct cap *entry,
	enum keep_question question)
{
	struct keep *keep = &process->keep;

	keep->question = (uint8_t)question;
	keep->used = true;
	keep->nonce++;
	keep->asked = *entry;
	panic_record(EVENT_ASK, process->id, keep->access.seq);
	endpoint_ask(process, &keep->asked);
}

static void describe_stepped(
	struct process *process, struct custos_message *out)
{
	const struct keep *keep = &process->keep;
	const struct keep_hold *hold = &keep->holds[keep->hold];
	const struct custos_emulate *e = process_emulate(process);
	struct custos_stepped *stepped = cpu_this()->scratch;
	unsigned i;

	machine_zero(stepped, sizeof(*stepped));
	stepped->seq = hold->seq;
	stepped->ip = keep->last_ip;
	stepped->next_ip = process->frame.rip;
	stepped->fault = keep->failed;
	for (i = 0; !keep->failed && i < e->stepped_count; i++) {
		struct custos_stepped_access *to =
			&stepped->accesses[stepped->count];

		if ((e->stepped[i].va & ~PAGE_MASK) != hold->va)
			continue;
		to->offset = e->stepped[i].va & PAGE_MASK;
		to->size = e->stepped[i].size;
		to->kind = e->stepped[i].kind;
		machine_copy(to->old, e->stepped[i].old, sizeof(to->old));
		machine_copy(to->new, e->stepped[i].new, sizeof(to->new));
		stepped->count++;
	}
	out->words[0] = CUSTOS_MESSAGE_STEPPED;
	out->string_size = sizeof(*stepped);
}

void keep_describe(struct process *process, struct custos_message *out,
	const void **out_string)
{
	struct keep *keep = &process->keep;
	unsigned i;

	machine_zero(out, sizeof(*out));
	out->payload = keep->asked.payload;
	out->flags = CUSTOS_MESSAGE_KERNEL | CUSTOS_MESSAGE_RESUME;
	out->cap_count = 1;
	*out_string = &keep->access;
	switch (keep->question) {
	case KEEP_CAP:
		out->cap_count += keep->access.kind == CUSTOS_ACCESS_CSTORE;
		/* fall through */
	case KEEP_ACCESS:
		out->words[0] = CUSTOS_MESSAGE_ACCESS;
		out->string_size = sizeof(keep->access);
		break;
	case KEEP_STEPPED:
		describe_stepped(process, out);
		*out_string = cpu_this()->scratch;
		break;
	case KEEP_FAULT:
		out->words[0] = CUSTOS_MESSAGE_FAULT;
		out->words[1] = keep->access.fault;
		out->words[2] = keep->vector;
		out->string_size = sizeof(keep->access);
		break;
	case KEEP_EXHAUSTED:
		out->words[0] = CUSTOS_MESSAGE_EXHAUSTED;
		out->words[1] = keep->asked.payload;
		out->words[2] = keep->words[0];
		out->words[3] = keep->words[1];
		out->words[4] = keep->seq;
		break;
	default: /* KEEP_FORWARD */
		for (i = 0; i < CALL_ARGS + 1; i++)
			out->words[i] = keep->words[i];
	}
}

/* ---- faults ---- */

static bool can_ask(const struct process *process, const struct cap *entry)
{
	const struct endpoint *endpoint = entry->object;

	return endpoint_can_answer(entry) &&
	       !lock_is_loop(process, endpoint->recipient);
}

void keep_stay_or_end(struct process *process)
{
	struct keep *keep = &process->keep;
	bool is_current = cpu_this()->current == process;

	if (!process->stays && is_current) {
		process_end_faulted(process, keep->vector);
	} else if (!process->stays) {
		keep->ends = keep->goes_on = true;
		sched_go_on(process);
	} else if (is_current) {
		sched_block(process, PROCESS_FAULTED, NULL);
	} else {
		list_remove(&process->link);
		process->state = PROCESS_FAULTED;
	}
}

void keep_tell_fault(struct process *process, enum custos_fault_code code,
	uint64_t vector)
{
	struct keep *keep = &process->keep;

	keep->access.process = process->id;
	keep->access.fault = (uint8_t)code;
	keep->vector = vector;
	if (can_ask(process, &process->keeper))
		keep_put(process, &process->keeper, KEEP_FAULT);
	else
		keep_stay_or_end(process);
}

bool keep_ask_stepped(struct process *process)
{
	struct keep *keep = &process->keep;
	uint8_t i;

	for (i = 0; i < KEEP_HOLDS; i++) {
		struct keep_hold *hold = &keep->holds[i];

		if (!hold->holder || !hold->stepper.type || hold->was_told)
			continue;
		hold->was_told = true;
		if (!endpoint_can_answer(&hold->stepper))
			continue;
		keep->hold = i;
		keep_put(process, &hold->stepper, KEEP_STEPPED);
		return true;
	}
	return false;
}

int64_t keep_fail(struct process *process, enum custos_fault_code code,
	uint64_t vector)
{
	struct keep *keep = &process->keep;

	keep->access.fault = (uint8_t)code;
	keep->vector = vector;
	if (keep_is_call(process)) {
		if (!can_ask(process, &process->keeper))
			return keep_end_call(process, -CUSTOS_E_FAULT);
		keep_put(process, &process->keeper, KEEP_FAULT);
		return CALL_RESTART;
	}
	keep->failed = (uint8_t)code;
	if (!keep_ask_stepped(process))
		keep_over(process);
	return CALL_RESTART;
}

/* ---- ends ---- */

void keep_take_answer(struct process *process)
{
	struct keep *keep = &process->keep;

	keep->question = KEEP_NOTHING;
	keep->nonce++;
	keep->answerer = NULL;
	list_remove(&process->link);
	list_remove(&keep->owed);
}

void keep_run_on(struct process *process)
{
	const struct custos_emulate *e = process_emulate(process);

	process->keep.goes_on = !keep_is_call(process) &&
				(e->served_count || e->open_count);
	sched_go_on(process);
}

static void forget_served(struct process *process)
{
	struct custos_emulate *e = process_emulate(process);

	e->served_count = e->open_count = 0;
	process->keep.cursor = 0;
	process->keep.seq = 0;
}

/* The next instruction is stepped, too: places that are stayed with are kept,
 * as are the pages to use. */
static void step_again(struct process *process)
{
	struct keep *keep = &process->keep;
	unsigned i;

	for (i = 0; i < KEEP_HOLDS; i++) {
		keep->holds[i].was_told = false;
		if (!keep->holds[i].stepper.type && !keep->holds[i].gpa)
			lock_release(&keep->holds[i]);
	}
	process_emulate(process)->served_count = 0;
	keep->again = false;
	keep->seq = 0;
	keep->goes_on = true;
	if (cpu_this()->current != process)
		sched_go_on(process);
}

void keep_over(struct process *process)
{
	struct keep *keep = &process->keep;
	enum custos_fault_code code = keep->failed;

	keep->failed = 0;
	if (keep->again && !code) {
		step_again(process);
		return;
	}
	keep->again = keep->goes_on = keep->undoes = false;
	forget_served(process);
	lock_release_all(process);
	if (code)
		keep_tell_fault(process, code, keep->vector);
	else if (cpu_this()->current != process)
		sched_go_on(process);
}

int64_t keep_end_call(struct process *process, int64_t error)
{
	if (cpu_this()->current == process)
		return error;
	process->frame.rip += SYSCALL_SIZE;
	sched_wake(process, error);
	return CALL_RESTART;
}

void keep_call_over(struct process *process)
{
	struct keep *keep = &process->keep;

	if (!keep->used)
		return;
	keep->used = keep->has_cap = false;
	keep->question = KEEP_NOTHING;
	keep->nonce++;
	keep->answerer = NULL;
	list_remove(&keep->owed);
	forget_served(process);
	lock_release_all(process);
}

void keep_forget(struct process *process)
{
	keep_take_answer(process);
	process->keep.goes_on = process->keep.again = false;
	process->keep.undoes = process->keep.ends = false;
	process->keep.failed = 0;
	process->has_reply = false;
	keep_call_over(process);
}

void keep_registers_set(struct process *process)
{
	process->keep.goes_on = process->keep.ends = false;
	process_emulate(process)->served_count = 0;
	process_emulate(process)->open_count = 0;
}

void keep_cancel(struct process *process)
{
	bool begins_anew = process->keep.question == KEEP_CALL ||
			   process->keep.question == KEEP_FORWARD;

	keep_forget(process);
	if (!keep_is_call(process))
		sched_go_on(process);
	else if (begins_anew)
		sched_wake(process, -CUSTOS_E_CANCELLED);
	else
		keep_end_call(process, -CUSTOS_E_CANCELLED);
}

void keep_end(struct process *process)
{
	struct keep *keep = &process->keep;
	unsigned i;

	for (i = 0; i < KEEP_HOLDS; i++) {
		const struct keep_hold *hold = &keep->holds[i];

		if (hold->holder && hold->stepper.type)
			endpoint_post(&hold->stepper, CUSTOS_MESSAGE_STEPPED,
				hold->seq, process->frame.rip);
	}
	keep_forget(process);
}

void keep_endpoint_gone(struct process *process)
{
	enum keep_question question = process->keep.question;

	keep_take_answer(process);
	keep_pass(process, question);
}

/* ---- banks ---- */

int64_t keep_exhausted(
	struct process *process, enum custos_captype type, uint64_t va)
{
	struct keep *keep = &process->keep;
	const struct bank *bank = bank_refusal();

	if (!bank || !can_ask(process, &bank->keeper))
		return -CUSTOS_E_LIMIT;
	if (!keep->seq)
		keep->seq = keep_new_seq();
	keep->words[0] = type;
	keep->words[1] = va;
	keep_put(process, &bank->keeper, KEEP_EXHAUSTED);
	return CALL_RESTART;
}
