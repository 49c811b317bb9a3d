/* SPDX-License-Identifier: MIT */
/*
 * Who is asked about an access: the entry in its position or the keeper of its
 * page, then the keepers of the nodes on the way, innermost first, as far as
 * the way to them allows the access and to call; then the process's own.
 */
#include "call.h"
#include "cpu.h"
#include "endpoint.h"
#include "keep.h"
#include "page.h"
#include "process.h"
#include "space.h"
#include "table.h"
#include "walk.h"

struct choice {
	const struct cap *entry;
	uint64_t offset;
	unsigned rights;
	uint8_t reason;
	bool is_page; /* place is one */
	struct keep_place place;
};

unsigned keep_rights(unsigned kind)
{
	switch (kind) {
	case CUSTOS_ACCESS_FETCH:
		return CUSTOS_RIGHT_EXEC;
	case CUSTOS_ACCESS_RMW_LOAD:
	case CUSTOS_ACCESS_RMW_STORE:
		return CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE;
	default:
		return custos_access_is_store(kind) ? CUSTOS_RIGHT_WRITE
					   : CUSTOS_RIGHT_READ;
	}
}

static bool is_kept(const struct walk *way, unsigned need)
{
	return way->end == WALK_PAGE && (page_kept(way->gpa) & need);
}

bool keep_is_plain(const struct walk *way, unsigned need)
{
	return (way->end == WALK_PAGE || way->end == WALK_FIXED) &&
	       (way->rights & need) == need && !is_kept(way, need);
}

enum custos_fault_code keep_fault_of(const struct walk *way, unsigned need)
{
	unsigned missing = need & ~way->rights;

	if (way->end == WALK_FAULT)
		return way->fault;
	if (way->end == WALK_CAPPAGE)
		return CUSTOS_FAULT_DATA_TYPE;
	if (missing & CUSTOS_RIGHT_EXEC)
		return CUSTOS_FAULT_NO_EXECUTE;
	if (missing)
		return CUSTOS_FAULT_ACCESS_VIOLATION;
	if (!(way->rights & CUSTOS_RIGHT_CALL))
		return CUSTOS_FAULT_NO_CALL;
	return way->end == WALK_ENTRY ? CUSTOS_FAULT_INVALID_ADDRESS
				      : CUSTOS_FAULT_ACCESS_VIOLATION;
}

/* ---- who ---- */

static struct keep_place entry_place(const struct cap *entry, uint64_t offset)
{
	return (struct keep_place){.object = entry->object,
		.payload = entry->payload,
		.page = offset / PAGE_SIZE};
}

/* What the position holds: the same for all who are asked about it. */
static bool choose_position(
	const struct walk *way, unsigned need, struct choice *out)
{
	out->rights = way->rights;
	out->offset = way->offset;
	out->is_page = false;
	if (way->end == WALK_ENTRY) {
		out->entry = &way->cap;
		out->reason = CUSTOS_REASON_ENTRY;
		out->place = entry_place(out->entry, out->offset);
		return true;
	}
	if (!is_kept(way, need))
		return false;
	out->entry = page_keeper(way->gpa);
	out->reason = CUSTOS_REASON_PAGE;
	out->is_page = true;
	out->place = (struct keep_place){
		.object = machine_direct(way->gpa & ~PAGE_MASK)};
	return true;
}

static bool choose_at(const struct walk *way, unsigned position, unsigned need,
	struct choice *out)
{
	const unsigned all = need | CUSTOS_RIGHT_CALL;
	bool is_position = choose_position(way, need, out);

	if (position) {
		const struct walk_level *level =
			&way->levels[way->count - position];

		out->entry = &level->gpt->keeper;
		out->offset = level->offset;
		out->rights = level->rights;
		if (!is_position) {
			out->reason = CUSTOS_REASON_FAULT;
			out->place = entry_place(out->entry, out->offset);
		}
	} else if (!is_position) {
		return false;
	}
	return (out->rights & all) == all && endpoint_can_answer(out->entry);
}

bool keep_has_keeper(const struct walk *way, unsigned need)
{
	struct choice choice;
	unsigned i;

	for (i = 0; i <= way->count; i++)
		if (choose_at(way, i, need, &choice))
			return true;
	return false;
}

bool keep_may_serve(struct process *process, uint64_t va, unsigned kind)
{
	unsigned need = keep_rights(kind);
	struct walk way;

	if (va >= CUSTOS_USER_END)
		return false;
	if (endpoint_can_answer(&process->keeper))
		return true;
	walk(&process->space, va, &way);
	return keep_is_plain(&way, need) || keep_has_keeper(&way, need);
}

/* ---- asking ---- */

/* Somebody else's: in line. Who waits for us must not make us wait for him:
 * then what we have is given back, and the instruction begins anew. */
static int64_t wait_for(struct process *process, struct keep_hold *hold)
{
	struct keep *keep = &process->keep;
	const struct custos_emulate *e = process_emulate(process);

	if (lock_is_loop(process, hold->holder)) {
		if (keep_is_call(process))
			return keep_fail(process, CUSTOS_FAULT_KEEPER_LOOP, 0);
		keep_registers_set(process);
		lock_release_all(process);
		if (lock_is_loop(process, hold->holder))
			return keep_fail(process, CUSTOS_FAULT_KEEPER_LOOP, 0);
	}
	keep->goes_on = !keep_is_call(process) &&
			(e->served_count || e->open_count);
	lock_wait(process, hold);
	return CALL_RESTART;
}

/* Nobody else from here on. *out_hold NULL: more places than can be held. */
static void hold_place(struct process *process, const struct choice *choice,
	struct keep_hold **out_hold)
{
	struct keep *keep = &process->keep;
	struct keep_hold *hold = lock_find(&choice->place);
	struct keep_hold *before = &keep->holds[keep->hold];

	if (!hold) {
		/* The place of one who passed. */
		if (keep->access.level && before->holder && !before->stepper.type)
			lock_release(before);
		hold = lock_take(process, &choice->place);
		if (hold && choice->is_page) {
			table_unmap_frame(machine_gpa(choice->place.object));
			table_flush();
		}
	}
	*out_hold = hold;
	if (!hold)
		return;
	hold->is_reserved = false;
	hold->va = keep->access.va & ~PAGE_MASK;
	hold->seq = keep->access.seq;
	keep->hold = (uint8_t)(hold - keep->holds);
}

static bool is_cap(const struct custos_access *access)
{
	return access->kind == CUSTOS_ACCESS_CLOAD ||
	       access->kind == CUSTOS_ACCESS_CSTORE;
}

static int64_t ask(struct process *process, const struct choice *choice)
{
	struct keep *keep = &process->keep;
	const struct endpoint *endpoint = choice->entry->object;
	struct keep_hold *hold = lock_find(&choice->place);

	if (hold && hold->holder != process)
		return wait_for(process, hold);
	if (lock_is_loop(process, endpoint->recipient))
		return keep_fail(process, CUSTOS_FAULT_KEEPER_LOOP, 0);
	hold_place(process, choice, &hold);
	if (!hold)
		return keep_fail(process, CUSTOS_FAULT_UNEMULATABLE, 0);
	keep->access.offset = choice->offset;
	keep->access.rights = choice->rights;
	keep->access.reason = choice->reason;
	keep_put(process, choice->entry, is_cap(&keep->access) ? KEEP_CAP : KEEP_ACCESS);
	return CALL_RESTART;
}

int64_t keep_ask_only(
	struct process *process, const struct cap *entry, void *page)
{
	struct choice choice = {.entry = entry,
		.offset = process->keep.access.va,
		.rights = entry->rights,
		.reason = CUSTOS_REASON_CALL,
		.place = entry_place(entry, process->keep.access.va)};

	if (page) {
		choice.place = (struct keep_place){.object = page};
		choice.is_page = true;
	}
	if (!endpoint_can_answer(entry))
		return -CUSTOS_E_PARTNER_GONE;
	return ask(process, &choice);
}

/* Who may do what there is more than hardware can tell: written or executed but
 * not read; by one process. The monitor can. */
static int64_t open_page(struct process *process, const struct walk *way,
	uint64_t va, unsigned rights)
{
	if (keep_open(process, va, way->gpa, rights))
		return 0;
	return keep_fail(process, CUSTOS_FAULT_UNEMULATABLE, 0);
}

bool keep_open(
	struct process *process, uint64_t va, uint64_t gpa, unsigned rights)
{
	struct custos_emulate *e = process_emulate(process);
	uint32_t i;

	va &= ~PAGE_MASK;
	for (i = 0; i < e->open_count; i++)
		if (e->open[i].va == va)
			break;
	if (i == CUSTOS_OPEN_MAX)
		return false;
	if (i == e->open_count)
		e->open_count++;
	e->open[i] = (struct custos_emulate_open){.va = va,
		.gpa = gpa & ~PAGE_MASK,
		.rights = rights};
	process->keep.used = true;
	return true;
}

/* Only the process itself fills its tables: others let it try again. */
static int64_t fill(
	struct process *process, const struct walk *way, uint64_t va)
{
	struct keep_place place = {.object = way->cap.object};
	struct keep_hold *hold =
		way->end == WALK_PAGE ? lock_find(&place) : NULL;
	unsigned rights = way->rights;
	int64_t error;

	if (cpu_this()->current != process) {
		keep_run_on(process);
		return CALL_RESTART;
	}
	if (hold && !lock_is_open_to(hold, process))
		return wait_for(process, hold);
	if (way->end == WALK_PAGE)
		rights &= ~page_kept(way->gpa);
	/* A held page is for this one instruction, not for all who see it. */
	if (hold || !(rights & CUSTOS_RIGHT_READ))
		return open_page(process, way, va, rights);
	if (!space_fill(process, va, way, way->gpa & ~PAGE_MASK, rights))
		return 0;
	error = keep_exhausted(process, CUSTOS_CAP_TABLE, va);
	if (error == CALL_RESTART)
		return error;
	return keep_fail(process, CUSTOS_FAULT_LIMIT_REACHED, 0);
}

int64_t keep_ask_on(struct process *process, const struct walk *way)
{
	struct keep *keep = &process->keep;
	struct custos_access *access = &keep->access;
	unsigned need = keep_rights(access->kind);
	struct choice choice;

	if (!is_cap(access) && keep_is_plain(way, need))
		return fill(process, way, access->va);
	access->fault = (uint8_t)keep_fault_of(way, need);
	if (is_cap(access) &&
		(way->end == WALK_PAGE || way->end == WALK_FIXED))
		access->fault = CUSTOS_FAULT_CAP_TYPE;
	if (access->fault == CUSTOS_FAULT_NO_CALL)
		keep->position = UINT8_MAX;
	for (; keep->position <= way->count; keep->position++)
		if (choose_at(way, keep->position, need, &choice))
			return ask(process, &choice);
	return keep_fail(process, access->fault, 0);
}

int64_t keep_ask(struct process *process)
{
	const struct custos_access *access = &process->keep.access;
	const struct cap *root = &process->space;
	struct walk way;

	if (is_cap(access))
		root = &process->keep.root;
	else if (access->va >= CUSTOS_USER_END)
		return keep_fail(process, CUSTOS_FAULT_INVALID_ADDRESS, 0);
	walk(root, access->va, &way);
	return keep_ask_on(process, &way);
}

/* ---- locks, for others ---- */

bool keep_is_locked(struct process *process, const struct walk *way)
{
	struct choice choice;
	struct keep_hold *hold;

	if (way->end == WALK_PAGE)
		choice.place = (struct keep_place){
			.object = machine_direct(way->gpa & ~PAGE_MASK)};
	else if (!choose_position(way, 0, &choice))
		return false;
	hold = lock_find(&choice.place);
	if (!hold || lock_is_open_to(hold, process) ||
		lock_is_loop(process, hold->holder))
		return false;
	lock_wait(process, hold);
	return true;
}

bool keep_page_is_locked(uint64_t gpa)
{
	struct keep_place place = {.object = machine_direct(gpa & ~PAGE_MASK)};

	return lock_find(&place) != NULL;
}
