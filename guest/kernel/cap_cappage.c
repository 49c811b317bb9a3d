/* SPDX-License-Identifier: MIT */
/* CapPage: slots that hold capabilities. */
#include "call.h"
#include "frame.h"
#include "machine.h"
#include "object.h"

/* Nothing lists capabilities: they go with the frame. */
bool cappage_end(uint64_t gpa)
{
	(void)gpa;
	return true;
}

/* Its slot, whatever is there; NULL: slot 0, out of range, or seen through a
 * window that does not show the page. */
static struct cap *slot_at(const struct call *call, uint64_t slot)
{
	struct cap *slots = call->cap->object;

	if (slot - 1 >= CUSTOS_SLOTS - 1 || call->cap->payload)
		return NULL;
	return &slots[slot];
}

/* What the slot holds, as the invoked capability shows it. */
static struct cap look(const struct call *call, const struct cap *slot)
{
	struct cap cap = {0};

	if (!slot || !cap_is_live(slot))
		return cap;
	cap = *slot;
	if (!(call->cap->rights & CUSTOS_RIGHT_STRONG))
		cap_weaken(&cap);
	return cap;
}

int64_t cappage_call_copy(const struct call *call)
{
	struct cap *to = slot_at(call, call->args[1]);
	struct cap from = look(call, slot_at(call, call->args[0]));

	if (!from.type)
		return -CUSTOS_E_INVALID_CAP;
	if (!to || cap_is_live(to))
		return -CUSTOS_E_REQUEST;
	/* commit */
	cap_copy(to, &from, (unsigned)call->args[2] & CUSTOS_RIGHT_ALL);
	return 0;
}

int64_t cappage_call_drop(const struct call *call)
{
	struct cap *slot = slot_at(call, call->args[0]);

	if (!slot)
		return -CUSTOS_E_REQUEST;
	/* commit */
	*slot = (struct cap){0};
	return 0;
}

int64_t cappage_call_classify(const struct call *call)
{
	struct cap cap;

	if (call->args[0] >= CUSTOS_SLOTS)
		return -CUSTOS_E_REQUEST;
	cap = look(call, slot_at(call, call->args[0]));
	return cap.type | (int64_t)cap.rights << 16;
}

int64_t cappage_call_get(const struct call *call)
{
	struct cap from = look(call, slot_at(call, call->args[0]));
	struct cap *to = cap_find_empty(call->caller, call->args[1]);

	if (!from.type)
		return -CUSTOS_E_INVALID_CAP;
	if (!to)
		return -CUSTOS_E_REQUEST;
	/* commit */
	*to = from;
	return 0;
}

int64_t cappage_call_put(const struct call *call)
{
	struct cap *to = slot_at(call, call->args[0]);
	const struct cap *from = cap_find(call->caller, call->args[1]);

	if (!from)
		return -CUSTOS_E_INVALID_CAP;
	if (!to)
		return -CUSTOS_E_REQUEST;
	/* commit */
	*to = *from;
	return 0;
}
