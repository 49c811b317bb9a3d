/* SPDX-License-Identifier: MIT */
/* Node: a part of an address space, or all of it. */
#include "call.h"
#include "gpt.h"
#include "keep.h"
#include "process.h"
#include "table.h"
#include "walk.h"

#define UNMAP_MAX (UINT64_C(1) << 30)

static struct gpt *target(const struct call *call)
{
	return call->cap->object;
}

/* Is all of the node to be seen? Only then are its slots the holder's. */
static bool is_whole(const struct cap *cap)
{
	return !cap->pages && (int64_t)cap->payload <= 0;
}

/* 0, or why slot `index` of the node is not the caller's to look at. */
static int64_t check_index(const struct call *call, uint64_t index)
{
	if (index >= CUSTOS_GPT_SLOTS)
		return -CUSTOS_E_REQUEST;
	return is_whole(call->cap) ? 0 : -CUSTOS_E_NO_ACCESS;
}

int64_t gpt_call_get_slot(const struct call *call)
{
	struct cap *to = cap_find_empty(call->caller, call->args[1]);
	int64_t error = check_index(call, call->args[0]);
	const struct cap *from;

	if (error)
		return error;
	if (!to)
		return -CUSTOS_E_REQUEST;
	from = &target(call)->slots[call->args[0]];
	if (!cap_is_live(from))
		return 0;
	if (from->type == CUSTOS_CAP_GPT)
		((struct gpt *)from->object)->inner = false;
	/* commit */
	*to = *from;
	if (!(call->cap->rights & CUSTOS_RIGHT_STRONG))
		cap_weaken(to);
	return 0;
}

/* What an argument names; slot 0: Null. NULL: there is nothing. */
static const struct cap *argument(const struct call *call, uint64_t slot)
{
	static const struct cap null;

	return slot ? cap_find(call->caller, slot) : &null;
}

int64_t gpt_call_set_slot(const struct call *call)
{
	const struct cap *cap = argument(call, call->args[1]);
	unsigned index = (unsigned)call->args[0];
	int64_t error = check_index(call, call->args[0]);

	if (error)
		return error;
	if (!cap)
		return -CUSTOS_E_INVALID_CAP;
	if (!gpt_free_below(target(call), index))
		return CALL_RESTART;
	/* commit */
	gpt_set(target(call), index, cap);
	table_flush();
	return 0;
}

static void forget_all(struct gpt *gpt)
{
	table_changed();
	table_unmap_node(gpt, 0, gpt_span(gpt));
	table_flush();
}

int64_t gpt_call_set_l2v(const struct call *call)
{
	struct gpt *gpt = target(call);
	uint64_t l2v = call->args[0];

	if (!is_whole(call->cap))
		return -CUSTOS_E_NO_ACCESS;
	if (l2v < CUSTOS_GPT_L2V_MIN || l2v > CUSTOS_GPT_L2V_MAX ||
		(l2v - CUSTOS_GPT_L2V_MIN) % CUSTOS_GPT_L2V_STEP)
		return -CUSTOS_E_REQUEST;
	if (!table_end_produced(&gpt->tables))
		return CALL_RESTART;
	/* commit */
	forget_all(gpt);
	gpt->l2v = (uint8_t)l2v;
	return 0;
}

/* 0 if the argument may become what must be of this type, with these rights. */
static int64_t check_own(const struct call *call, const struct cap *cap,
	enum custos_captype type, unsigned rights)
{
	if (!is_whole(call->cap))
		return -CUSTOS_E_NO_ACCESS;
	if (!cap)
		return -CUSTOS_E_INVALID_CAP;
	if (cap->type == CUSTOS_CAP_NULL)
		return 0;
	if (cap->type != type)
		return -CUSTOS_E_INVALID_CAP;
	return (cap->rights & rights) == rights ? 0 : -CUSTOS_E_NO_ACCESS;
}

int64_t gpt_call_set_keeper(const struct call *call)
{
	const struct cap *keeper = argument(call, call->args[0]);
	int64_t error = check_own(
		call, keeper, CUSTOS_CAP_ENTRY, CUSTOS_RIGHT_SEND);

	if (error)
		return error;
	/* commit: what the last one granted is forgotten */
	target(call)->keeper = *keeper;
	forget_all(target(call));
	return 0;
}

int64_t gpt_call_set_bank(const struct call *call)
{
	const struct cap *bank = argument(call, call->args[0]);
	int64_t error =
		check_own(call, bank, CUSTOS_CAP_BANK, CUSTOS_RIGHT_WRITE);

	if (error)
		return error;
	/* Those it has were paid by another. */
	if (!table_end_produced(&target(call)->tables))
		return CALL_RESTART;
	/* commit */
	target(call)->bank = *bank;
	return 0;
}

int64_t gpt_call_make_window(const struct call *call)
{
	struct cap *to = cap_find_empty(call->caller, call->args[0]);
	uint64_t offset = call->args[1], length = call->args[2];
	struct cap window;

	if (!to)
		return -CUSTOS_E_REQUEST;
	if (!length)
		length = memory_length(call->cap) - offset;
	if (!memory_window(call->cap, offset, length,
		    (unsigned)call->args[3], &window))
		return -CUSTOS_E_REQUEST;
	/* commit */
	*to = window;
	return 0;
}

/* An operation on the node came to an end so, at this address of it. */
static int64_t outcome(const struct call *call, int64_t result, uint64_t va)
{
	if (result == -CUSTOS_E_LIMIT)
		return keep_exhausted(call->caller, CUSTOS_CAP_GPT, va);
	return result;
}

int64_t gpt_call_split(const struct call *call)
{
	struct gpt *gpt = target(call);
	int64_t error = check_index(call, call->args[0]);

	if (error)
		return error;
	return outcome(call, gpt_split(gpt, (unsigned)call->args[0]),
		call->args[0] << gpt->l2v);
}

/* Does the capability show the range? *va becomes the node's own. */
static bool shows(const struct cap *cap, uint64_t *va, uint64_t length)
{
	uint64_t all = memory_length(cap);

	if (!length || *va >= all || length > all - *va)
		return false;
	*va += cap->payload;
	return true;
}

int64_t gpt_call_map(const struct call *call)
{
	const struct cap *memory = cap_find(call->caller, call->args[1]);
	uint64_t va = call->args[0], offset = call->args[2];
	uint64_t length = call->args[3];

	if (!memory || !cap_is_memory(memory))
		return -CUSTOS_E_INVALID_CAP;
	if (!length && offset < memory_length(memory))
		length = memory_length(memory) - offset;
	if (!shows(call->cap, &va, length))
		return -CUSTOS_E_REQUEST;
	return outcome(call,
		gpt_map(target(call), va, memory, offset, length,
			(unsigned)call->args[4]),
		call->args[0]);
}

int64_t gpt_call_unmap(const struct call *call)
{
	uint64_t va = call->args[0], length = call->args[1];

	if (length > UNMAP_MAX || !shows(call->cap, &va, length))
		return -CUSTOS_E_REQUEST;
	return outcome(call, gpt_unmap(target(call), va, length),
		call->args[0]);
}

int64_t gpt_call_length(const struct call *call)
{
	return (int64_t)memory_length(call->cap);
}

/* The slot of a capability page below the node that may be used so; NULL: there
 * is none. */
static struct cap *slot_below(
	const struct call *call, unsigned right, struct walk *way)
{
	struct cap *slots;

	walk(call->cap, call->args[0], way);
	slots = way->cap.object;
	if (way->end != WALK_CAPPAGE || !(way->rights & right))
		return NULL;
	return &slots[way->offset / sizeof(struct cap)];
}

int64_t gpt_call_load_cap(const struct call *call)
{
	struct cap *to = cap_find_empty(call->caller, call->args[1]);
	const struct cap *from;
	struct walk way;
	struct cap cap;
	int64_t error;

	if (!to || call->args[0] % sizeof(struct cap))
		return -CUSTOS_E_REQUEST;
	from = slot_below(call, CUSTOS_RIGHT_READ, &way);
	if (from) {
		cap = *from;
	} else {
		error = keep_cap(call->caller, call->cap, call->args[0], NULL,
			&cap);
		if (error)
			return error;
	}
	/* commit */
	if (cap_is_live(&cap))
		*to = cap;
	if (!(way.rights & CUSTOS_RIGHT_STRONG))
		cap_weaken(to);
	return 0;
}

int64_t gpt_call_store_cap(const struct call *call)
{
	const struct cap *from = argument(call, call->args[1]);
	struct walk way;
	struct cap *to;

	if (!from)
		return -CUSTOS_E_INVALID_CAP;
	if (call->args[0] % sizeof(struct cap))
		return -CUSTOS_E_REQUEST;
	to = slot_below(call, CUSTOS_RIGHT_WRITE, &way);
	if (!to)
		return keep_cap(
			call->caller, call->cap, call->args[0], from, NULL);
	if (way.offset < sizeof(struct cap))
		return -CUSTOS_E_REQUEST; /* slot 0 is always empty */
	/* commit */
	*to = *from;
	return 0;
}
