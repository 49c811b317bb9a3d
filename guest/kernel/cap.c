/* SPDX-License-Identifier: MIT */
/* Capability pages, and what all types have in common. */
#include "cap.h"

#include "frame.h"
#include "machine.h"
#include "process.h"

struct captype {
	const char *name;
	void (*retain)(const struct cap *cap); /* NULL: not counted */
	void (*release)(const struct cap *cap);
};

#define CAP_ROW_plain(name)
#define CAP_ROW_counted(name_)                                                 \
	.retain = name_##_cap_retain, .release = name_##_cap_release,
#define CAPTYPE(NAME, name_, number, counted, help)                            \
	[number] = {.name = #name_, CAP_ROW_##counted(name_)},
#define CAPCALL(TYPE, type, NAME, name, number, argc, rights, help)

static const struct captype types[CUSTOS_CAP_MAX] = {
#include "abi/captype.def"
};

struct cap *cap_page_create(void *owner)
{
	uint64_t gpa = frame_alloc(owner);

	return gpa ? machine_direct(gpa) : NULL;
}

void cap_page_destroy(struct cap *caps)
{
	unsigned i;

	if (!caps)
		return;
	for (i = 0; i < CUSTOS_SLOTS; i++)
		if (caps[i].type)
			cap_drop(&caps[i]);
	frame_free(machine_gpa(caps));
}

struct cap *cap_find(struct process *process, uint64_t slot)
{
	if (slot >= CUSTOS_SLOTS || !process->caps[slot].type)
		return NULL;
	return &process->caps[slot];
}

struct cap *cap_find_empty(struct process *process, uint64_t slot)
{
	if (slot == 0 || slot >= CUSTOS_SLOTS || process->caps[slot].type)
		return NULL;
	return &process->caps[slot];
}

struct cap *cap_find_typed(struct process *process, uint64_t slot,
	enum custos_captype type, unsigned rights)
{
	struct cap *cap = cap_find(process, slot);

	if (!cap || cap->type != type || (cap->rights & rights) != rights)
		return NULL;
	return cap;
}

void cap_set(struct cap *to, enum custos_captype type, unsigned rights,
	void *object, uint64_t payload)
{
	to->type = (uint16_t)type;
	to->rights = (uint16_t)rights;
	to->object = object;
	to->payload = payload;
	if (types[type].retain)
		types[type].retain(to);
}

void cap_copy(struct cap *to, const struct cap *from, unsigned rights)
{
	cap_set(to, from->type, from->rights & rights, from->object,
		from->payload);
}

void cap_drop(struct cap *cap)
{
	struct cap old = *cap;

	*cap = (struct cap){0};
	if (types[old.type].release)
		types[old.type].release(&old);
}

const char *cap_type_name(enum custos_captype type)
{
	return type < CUSTOS_CAP_MAX ? types[type].name : "none";
}
