/* SPDX-License-Identifier: MIT */
/*
 * Answers. Each is checked against what was asked, taken, and noted in the
 * process that asked; that goes on with its instruction itself.
 */
#include "bank.h"
#include "call.h"
#include "cpu.h"
#include "endpoint.h"
#include "keep.h"
#include "panic.h"
#include "page.h"
#include "process.h"
#include "sched.h"
#include "space.h"
#include "table.h"
#include "walk.h"

bool keep_is_open(const struct call *call)
{
	const struct process *process = call->cap->object;

	return call->cap->payload == process->keep.nonce &&
	       process->keep.question != KEEP_NOTHING;
}

/* ---- serving ---- */

static struct keep_hold *hold_of_question(struct process *process)
{
	struct keep_hold *hold = &process->keep.holds[process->keep.hold];

	return hold->holder && !hold->stepper.type ? hold : NULL;
}

static bool is_rmw(unsigned kind)
{
	return kind == CUSTOS_ACCESS_RMW_LOAD ||
	       kind == CUSTOS_ACCESS_RMW_STORE;
}

/* A place is free again when its access is complete. Between the halves of a
 * read-modify-write it is not. */
static int64_t serve(struct process *process, const void *bytes, uint64_t size)
{
	struct keep *keep = &process->keep;
	struct keep_hold *hold = hold_of_question(process);

	keep_take_answer(process);
	if (!keep_add_served(process, bytes, size)) {
		keep_fail(process, CUSTOS_FAULT_UNEMULATABLE, 0);
		return 0;
	}
	if (!is_rmw(keep->access.kind)) {
		keep->seq = 0;
		if (hold)
			lock_release(hold);
	}
	keep_run_on(process);
	return 0;
}

int64_t keep_reply_value(
	struct process *process, const void *bytes, uint64_t size)
{
	const struct keep *keep = &process->keep;
	const struct custos_access *access = &keep->access;

	if (keep->question != KEEP_ACCESS || custos_access_is_store(access->kind) ||
		!size || size > access->size)
		return -CUSTOS_E_REQUEST;
	if (keep_is_call(process) && size != access->size)
		return -CUSTOS_E_REQUEST;
	return serve(process, bytes, size);
}

static int64_t answer_cap(struct process *process)
{
	struct keep_hold *hold = hold_of_question(process);

	keep_take_answer(process);
	process->keep.has_cap = true;
	if (hold)
		lock_release(hold);
	keep_run_on(process);
	return 0;
}

int64_t keep_reply_cap(struct process *process, const struct cap *cap)
{
	if (process->keep.question != KEEP_CAP ||
		process->keep.access.kind != CUSTOS_ACCESS_CLOAD)
		return -CUSTOS_E_REQUEST;
	process->keep.cap = *cap;
	return answer_cap(process);
}

int64_t keep_reply_done(struct process *process)
{
	static const uint8_t zeros[sizeof(process->keep.access.value)];
	const struct keep *keep = &process->keep;

	if (keep->question == KEEP_CAP)
		return answer_cap(process);
	if (keep->question != KEEP_ACCESS ||
		keep->access.kind == CUSTOS_ACCESS_FETCH)
		return -CUSTOS_E_REQUEST;
	return serve(process,
		custos_access_is_store(keep->access.kind) ? keep->access.value : zeros,
		keep->access.size);
}

/* ---- not serving ---- */

int64_t keep_reply_retry(struct process *process)
{
	struct keep_hold *hold = hold_of_question(process);

	switch (process->keep.question) {
	case KEEP_ACCESS:
	case KEEP_CAP:
		keep_take_answer(process);
		if (hold)
			lock_release(hold);
		keep_run_on(process);
		return 0;
	case KEEP_FAULT:
	case KEEP_EXHAUSTED:
		keep_take_answer(process);
		keep_run_on(process);
		return 0;
	default:
		return -CUSTOS_E_REQUEST;
	}
}

static void refuse_storage(struct process *process)
{
	if (keep_is_call(process))
		keep_end_call(process, -CUSTOS_E_LIMIT);
	else
		keep_fail(process, CUSTOS_FAULT_LIMIT_REACHED, 0);
}

/* The access goes on to the next; a result there is, is noted there. */
static void pass_access(struct process *process)
{
	struct keep *keep = &process->keep;
	int64_t error;

	keep->access.level++;
	if (keep->access.reason == CUSTOS_REASON_CALL) {
		keep_end_call(process, -CUSTOS_E_FAULT);
		return;
	}
	if (keep->position < UINT8_MAX)
		keep->position++;
	error = keep_ask(process);
	invariant(error == CALL_RESTART);
}

void keep_pass(struct process *process, enum keep_question question)
{
	switch (question) {
	case KEEP_ACCESS:
	case KEEP_CAP:
		pass_access(process);
		break;
	case KEEP_FAULT:
		if (keep_is_call(process))
			keep_end_call(process, -CUSTOS_E_FAULT);
		else
			keep_stay_or_end(process);
		break;
	case KEEP_EXHAUSTED:
		refuse_storage(process);
		break;
	case KEEP_STEPPED:
		if (keep_is_call(process))
			keep_run_on(process);
		else if (!keep_ask_stepped(process))
			keep_over(process);
		break;
	default:
		break;
	}
}

int64_t keep_reply_pass(struct process *process)
{
	enum keep_question question = process->keep.question;

	if (question == KEEP_STEPPED || question == KEEP_CALL ||
		question == KEEP_FORWARD)
		return -CUSTOS_E_REQUEST;
	keep_take_answer(process);
	keep_pass(process, question);
	return 0;
}

/* ---- pages to use ---- */

static int check_page(const struct cap *page, unsigned rights)
{
	const unsigned all = CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE |
			     CUSTOS_RIGHT_EXEC;

	if (page->type != CUSTOS_CAP_PAGE || page->payload)
		return -CUSTOS_E_INVALID_CAP;
	if (!rights || (rights & ~all))
		return -CUSTOS_E_REQUEST;
	if ((page->rights & rights) != rights)
		return -CUSTOS_E_NO_ACCESS;
	return 0;
}

/* The page becomes the process's alone until the instruction is over. */
static int close_page(struct process *process, const struct cap *page)
{
	struct keep_place place = {.object = page->object};
	struct keep_hold *hold = lock_find(&place);

	if (hold)
		return hold->holder == process ? 0 : -CUSTOS_E_BUSY;
	hold = lock_take(process, &place);
	if (!hold)
		return -CUSTOS_E_LIMIT;
	hold->gpa = machine_gpa(page->object);
	table_unmap_frame(hold->gpa);
	table_flush();
	return 0;
}

/* A piece of a system call's copy is stepped here and now. */
static void step_copy(
	struct process *process, struct keep_hold *hold, uint8_t *page)
{
	struct keep *keep = &process->keep;
	const struct custos_access *access = &keep->access;
	struct custos_emulate *e = process_emulate(process);
	uint8_t *bytes = page + (access->va & PAGE_MASK);
	bool store = custos_access_is_store(access->kind);

	e->stepped_count = 1;
	e->stepped[0].va = access->va;
	e->stepped[0].size = access->size;
	e->stepped[0].kind = access->kind;
	machine_copy(e->stepped[0].old, bytes, access->size);
	if (store)
		machine_copy(bytes, access->value, access->size);
	machine_copy(e->stepped[0].new, bytes, access->size);
	keep_add_served(process, bytes, access->size);
	keep->last_ip = access->ip;
	keep->failed = 0;
	hold->was_told = true;
	keep_put(process, &hold->stepper, KEEP_STEPPED);
}

static int64_t step_access(
	struct process *process, const struct cap *page, unsigned rights)
{
	struct keep *keep = &process->keep;
	struct keep_hold *hold = &keep->holds[keep->hold];
	uint64_t gpa = machine_gpa(page->object);
	bool is_call = keep_is_call(process);
	int error = close_page(process, page);

	if (error)
		return error;
	if (!is_call && !keep_open(process, keep->access.va, gpa, rights))
		return -CUSTOS_E_LIMIT;
	/* commit */
	hold->stepper = keep->asked;
	hold->was_told = false;
	hold->seq = keep->access.seq;
	hold->gpa = gpa;
	keep_take_answer(process);
	keep->seq = 0;
	if (is_call)
		step_copy(process, hold, page->object);
	else
		keep_run_on(process);
	return 0;
}

static int64_t step_again(
	struct process *process, const struct cap *page, unsigned rights)
{
	struct keep *keep = &process->keep;
	struct keep_hold *hold = &keep->holds[keep->hold];
	uint64_t gpa = machine_gpa(page->object);
	int error;

	if (keep_is_call(process))
		return -CUSTOS_E_REQUEST;
	error = close_page(process, page);
	if (error)
		return error;
	if (!keep_open(process, hold->va, gpa, rights))
		return -CUSTOS_E_LIMIT;
	/* commit */
	hold->gpa = gpa;
	keep->again = true;
	keep_take_answer(process);
	if (!keep_ask_stepped(process))
		keep_over(process);
	return 0;
}

int64_t keep_reply_step(
	struct process *process, const struct cap *page, unsigned rights)
{
	const struct keep *keep = &process->keep;
	int error = check_page(page, rights);

	if (error)
		return error;
	if (keep->question == KEEP_STEPPED)
		return step_again(process, page, rights);
	if (keep->question != KEEP_ACCESS ||
		!keep->holds[keep->hold].holder ||
		keep->access.reason == CUSTOS_REASON_CALL)
		return -CUSTOS_E_REQUEST;
	if ((keep_rights(keep->access.kind) & rights) !=
		keep_rights(keep->access.kind))
		return -CUSTOS_E_NO_ACCESS;
	return step_access(process, page, rights);
}

/* From now on the page is there like any other, as long as the translation
 * lasts. */
static int64_t grant_for_good(
	struct process *process, const struct cap *page, unsigned rights)
{
	struct keep *keep = &process->keep;
	struct keep_hold *hold = hold_of_question(process);
	struct walk way;

	if (!(rights & CUSTOS_RIGHT_READ))
		return -CUSTOS_E_REQUEST;
	walk(&process->space, keep->access.va, &way);
	if (space_fill(process, keep->access.va & ~PAGE_MASK, &way,
		    machine_gpa(page->object), rights & way.rights))
		return -CUSTOS_E_LIMIT;
	/* commit */
	keep_take_answer(process);
	if (hold)
		lock_release(hold);
	keep_run_on(process);
	return 0;
}

/* Else others would have it who do not come past this keeper. */
static bool may_stay(struct process *process)
{
	const struct keep *keep = &process->keep;
	struct walk way;

	walk(&process->space, keep->access.va, &way);
	return space_can_grant(process, keep->access.va, &way, &keep->asked);
}

int64_t keep_reply_grant(struct process *process, const struct cap *page,
	unsigned rights, bool once)
{
	const struct keep *keep = &process->keep;
	int error = check_page(page, rights);

	if (error)
		return error;
	if (keep->question != KEEP_ACCESS ||
		keep->access.reason == CUSTOS_REASON_CALL)
		return -CUSTOS_E_REQUEST;
	if ((keep_rights(keep->access.kind) & rights) !=
		keep_rights(keep->access.kind))
		return -CUSTOS_E_NO_ACCESS;
	if (!once && may_stay(process))
		return grant_for_good(process, page, rights);
	if (!keep_open(process, keep->access.va, machine_gpa(page->object),
		    rights))
		return -CUSTOS_E_LIMIT;
	/* commit */
	keep_take_answer(process);
	keep_run_on(process);
	return 0;
}

/* ---- after a step ---- */

int64_t keep_reply_continue(struct process *process)
{
	struct keep *keep = &process->keep;

	if (keep->question != KEEP_STEPPED)
		return -CUSTOS_E_REQUEST;
	keep_take_answer(process);
	if (keep_is_call(process)) {
		lock_release_all(process);
		keep_run_on(process);
	} else if (!keep_ask_stepped(process)) {
		keep_over(process);
	}
	return 0;
}

/* The piece is not copied after all. */
static void undo_copy(struct process *process)
{
	struct keep *keep = &process->keep;
	struct keep_hold *hold = &keep->holds[keep->hold];
	struct custos_emulate *e = process_emulate(process);
	uint8_t *page = machine_direct(hold->gpa);

	machine_copy(page + (e->stepped[0].va & PAGE_MASK), e->stepped[0].old,
		e->stepped[0].size);
	e->served_count--;
	hold->stepper = (struct cap){0};
}

/* Undone by the process itself, before it goes on. */
static void undo_later(struct process *process, enum custos_fault_code code)
{
	struct keep *keep = &process->keep;

	keep->undoes = !keep->failed;
	keep->failed = (uint8_t)code;
	keep->again = false;
	keep->goes_on = true;
	sched_go_on(process);
}

int64_t keep_reply_rollback(struct process *process)
{
	struct keep *keep = &process->keep;

	if (keep->question != KEEP_STEPPED)
		return -CUSTOS_E_REQUEST;
	keep_take_answer(process);
	if (keep_is_call(process)) {
		undo_copy(process);
		keep_run_on(process);
	} else {
		undo_later(process, 0);
	}
	return 0;
}

static void fault_after_step(
	struct process *process, enum custos_fault_code code)
{
	if (!keep_is_call(process)) {
		undo_later(process, code);
		return;
	}
	undo_copy(process);
	keep_end_call(process, -CUSTOS_E_DENIED);
}

int64_t keep_reply_fault(struct process *process, uint64_t code)
{
	struct keep *keep = &process->keep;
	enum keep_question question = keep->question;

	if (!code || code >= CUSTOS_FAULT_MAX || question == KEEP_CALL ||
		question == KEEP_FORWARD)
		return -CUSTOS_E_REQUEST;
	keep_take_answer(process);
	switch (question) {
	case KEEP_EXHAUSTED:
		refuse_storage(process);
		break;
	case KEEP_STEPPED:
		fault_after_step(process, (enum custos_fault_code)code);
		break;
	case KEEP_FAULT:
		keep->access.fault = (uint8_t)code;
		keep_pass(process, question);
		break;
	default:
		if (keep_is_call(process))
			keep_end_call(process, -CUSTOS_E_DENIED);
		else
			keep_fail(process, (enum custos_fault_code)code, 0);
	}
	return 0;
}
