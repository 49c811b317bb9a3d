/* SPDX-License-Identifier: MIT */
/* Discrim: looks at capabilities, not at what they name. */
#include "call.h"
#include "cpu.h"
#include "gpt.h"
#include "machine.h"
#include "page.h"

/* Nodes and capability pages looked at by one call. */
#define NODES_MAX 128

/* What is still to be looked at: a list in the CPU's scratch frame. */
struct search {
	unsigned count, done;
	struct cap nodes[NODES_MAX - 1];
};

_Static_assert(sizeof(struct search) <= PAGE_SIZE, "one frame");

static struct cap look(const struct call *call, uint64_t slot)
{
	const struct cap *cap = cap_find(call->caller, slot);

	return cap ? *cap : (struct cap){0};
}

int64_t discrim_call_classify(const struct call *call)
{
	struct cap cap = look(call, call->args[0]);

	if (call->args[0] >= CUSTOS_SLOTS)
		return -CUSTOS_E_REQUEST;
	return cap.type | (int64_t)cap.rights << 16;
}

int64_t discrim_call_same(const struct call *call)
{
	struct cap a = look(call, call->args[0]), b = look(call, call->args[1]);

	if (call->args[0] >= CUSTOS_SLOTS || call->args[1] >= CUSTOS_SLOTS)
		return -CUSTOS_E_REQUEST;
	return cap_is_same(&a, &b);
}

/* 1: it can call nobody by itself. rights: of the way to it. */
static int64_t check(
	struct search *search, const struct cap *cap, unsigned rights)
{
	bool calls = rights & cap->rights & CUSTOS_RIGHT_CALL;

	if (!cap_is_live(cap))
		return 1;
	switch (cap->type) {
	case CUSTOS_CAP_FIXED:
		return 1;
	case CUSTOS_CAP_PAGE:
		return !(calls && page_kept(machine_gpa(cap->object)));
	case CUSTOS_CAP_GPT:
	case CUSTOS_CAP_CAPPAGE:
		if (search->count == NODES_MAX - 1)
			return -CUSTOS_E_LIMIT;
		search->nodes[search->count] = *cap;
		search->nodes[search->count++].rights &= (uint16_t)rights;
		return 1;
	case CUSTOS_CAP_ENTRY:
		return !calls;
	default:
		return 0;
	}
}

static int64_t check_node(struct search *search, const struct cap *cap)
{
	const struct gpt *gpt = cap->object;
	int64_t result = 1;
	unsigned i;

	if (cap->rights & CUSTOS_RIGHT_CALL && cap_is_live(&gpt->keeper))
		return 0;
	for (i = 0; i < CUSTOS_GPT_SLOTS && result == 1; i++)
		result = check(search, &gpt->slots[i], cap->rights);
	return result;
}

/* What can be loaded from it can be invoked, whatever the way to it lacks. */
static int64_t check_cappage(struct search *search, const struct cap *cap)
{
	const struct cap *slots = cap->object;
	int64_t result = 1;
	unsigned i;

	for (i = 0; i < CUSTOS_SLOTS && result == 1; i++)
		result = check(search, &slots[i], CUSTOS_RIGHT_ALL);
	return result;
}

int64_t discrim_call_confined(const struct call *call)
{
	struct search *search = cpu_this()->scratch;
	struct cap cap = look(call, call->args[0]);
	int64_t result;

	search->count = search->done = 0;
	if (!cap.type)
		return -CUSTOS_E_INVALID_CAP;
	result = check(search, &cap, CUSTOS_RIGHT_ALL);
	while (result == 1 && search->done < search->count) {
		const struct cap *node = &search->nodes[search->done++];

		result = node->type == CUSTOS_CAP_GPT
				 ? check_node(search, node)
				 : check_cappage(search, node);
	}
	return result;
}
