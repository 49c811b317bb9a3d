/* SPDX-License-Identifier: MIT */
/* Capabilities, whatever their type. */
#include "cap.h"

#include "frame.h"
#include "machine.h"
#include "process.h"

#define CAPTYPE(NAME, name, number, kind, help) [number] = #name,
#define CAPCALL(TYPE, type, NAME, name, number, argc, rights, help)

static const char *const names[CUSTOS_CAP_MAX] = {
#include "abi/captype.def"
};

/* A process can do with its slots what it likes: only a page that would let
 * anybody do so may be its slots. */
#define SLOTS_RIGHTS                                                           \
	(CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE | CUSTOS_RIGHT_STRONG)

bool cap_is_live(const struct cap *cap)
{
	if (!cap->object)
		return cap->type != CUSTOS_CAP_NULL;
	return frame_is_live(cap->object, cap->generation);
}

static struct cap *slots_of(const struct process *process)
{
	const struct cap *caps = &process->caps;

	if (caps->type != CUSTOS_CAP_CAPPAGE ||
		(caps->rights & SLOTS_RIGHTS) != SLOTS_RIGHTS ||
		!cap_is_live(caps))
		return NULL;
	return caps->object;
}

struct cap *cap_find(struct process *process, uint64_t slot)
{
	struct cap *slots = slots_of(process);

	if (slot >= CUSTOS_SLOTS || !slots || !cap_is_live(&slots[slot]))
		return NULL;
	return &slots[slot];
}

struct cap *cap_find_empty(struct process *process, uint64_t slot)
{
	struct cap *slots = slots_of(process);

	if (slot - 1 >= CUSTOS_SLOTS - 1 || !slots || cap_is_live(&slots[slot]))
		return NULL;
	return &slots[slot];
}

struct cap *cap_find_typed(struct process *process, uint64_t slot,
	enum custos_captype type, unsigned rights)
{
	struct cap *cap = cap_find(process, slot);

	if (!cap || cap->type != type || (cap->rights & rights) != rights)
		return NULL;
	return cap;
}

struct cap cap_make(enum custos_captype type, unsigned rights, void *object,
	uint64_t payload)
{
	return (struct cap){.type = (uint16_t)type,
		.rights = (uint16_t)rights,
		.payload = payload,
		.object = object,
		.generation = object ? frame_info(machine_gpa(object))->generation
				     : 0};
}

void cap_copy(struct cap *to, const struct cap *from, unsigned rights)
{
	*to = *from;
	to->rights &= (uint16_t)rights;
}

void cap_weaken(struct cap *cap)
{
	cap->rights &= (uint16_t) ~(CUSTOS_RIGHT_WRITE | CUSTOS_RIGHT_CONTROL |
				    CUSTOS_RIGHT_INSPECT | CUSTOS_RIGHT_STRONG);
}

bool cap_is_memory(const struct cap *cap)
{
	switch (cap->type) {
	case CUSTOS_CAP_PAGE:
	case CUSTOS_CAP_CAPPAGE:
	case CUSTOS_CAP_GPT:
	case CUSTOS_CAP_FIXED:
	case CUSTOS_CAP_ENTRY:
		return true;
	default:
		return false;
	}
}

bool cap_is_same(const struct cap *a, const struct cap *b)
{
	return a->type == b->type && a->rights == b->rights &&
	       a->pages == b->pages && a->payload == b->payload &&
	       a->object == b->object && a->generation == b->generation;
}

const char *cap_type_name(enum custos_captype type)
{
	return type < CUSTOS_CAP_MAX ? names[type] : "none";
}
