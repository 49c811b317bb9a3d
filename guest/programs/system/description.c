/* SPDX-License-Identifier: MIT */
/*
 * Is a description what it should be? Needs neither kernel nor library, so that
 * it is tested on the host.
 */
#include "description.h"

#define HEADER sizeof(struct custos_system)

enum use { NOT_USED, USED, OPTIONAL };

/* What a step of each op needs. */
struct shape {
	uint8_t known, makes, a, b;
};

static const struct shape shapes[CUSTOS_SYSTEM_OP_MAX] = {
#define SYSTEM_STEP(NAME, number, makes, a, b, what)                           \
	[number] = {1, makes, a, b},
	CUSTOS_SYSTEM_STEPS
#undef SYSTEM_STEP
};

static int is_inside(
	const struct custos_system *d, uint64_t offset, uint64_t size)
{
	return offset >= HEADER && offset <= d->size &&
		size <= d->size - offset;
}

/* The whole ends with a NUL. */
static int is_text(const struct custos_system *d, uint64_t offset)
{
	return is_inside(d, offset, 1);
}

static int is_object(
	const struct custos_system *d, uint32_t object, enum use use)
{
	if (object == CUSTOS_SYSTEM_NONE)
		return use != USED;
	return use != NOT_USED && object < d->object_count;
}

static const char *check_process(
	const struct custos_system *d, const struct custos_system_step *step)
{
	const struct custos_system_process *p = description_at(d, step->data);

	if (step->data % 8 || step->data_size < sizeof(*p))
		return "a process without its data";
	if (p->cap_count > CUSTOS_SPAWN_CAPS ||
		step->data_size !=
			sizeof(*p) + p->cap_count * sizeof(p->caps[0]))
		return "a process with too many capabilities";
	if (p->args_size > CUSTOS_ARGS_MAX ||
		!is_inside(d, p->args, p->args_size))
		return "a process with wrong arguments";
	for (uint32_t i = 0; i < p->cap_count; i++)
		if (!is_text(d, p->caps[i].name) ||
			!is_object(d, p->caps[i].object, USED))
			return "a process with a wrong capability";
	return 0;
}

static const char *check_step(
	const struct custos_system *d, const struct custos_system_step *step)
{
	const struct shape *shape;

	if (step->op >= CUSTOS_SYSTEM_OP_MAX || !shapes[step->op].known)
		return "an unknown step";
	shape = &shapes[step->op];
	if (!is_object(d, step->object, USED) ||
		!is_object(d, step->a, shape->a) ||
		!is_object(d, step->b, shape->b))
		return "a step with a wrong object";
	if (!is_text(d, step->name) ||
		(step->data_size && !is_inside(d, step->data, step->data_size)))
		return "a step with wrong data";
	return step->op == CUSTOS_SYSTEM_PROCESS ? check_process(d, step) : 0;
}

static const char *check_header(const struct custos_system *d, uint64_t room)
{
	if (room < HEADER || d->magic != CUSTOS_SYSTEM_MAGIC)
		return "no description is there";
	if (d->version != CUSTOS_SYSTEM_VERSION)
		return "a description of another version";
	if (d->size < HEADER + 8 || d->size > room || d->size % 8)
		return "a description of a wrong size";
	if (d->checksum != custos_system_checksum(d, d->size))
		return "a damaged description";
	if (((const char *)d)[d->size - 1] || !is_text(d, d->path))
		return "a description whose texts do not end";
	if (d->object_count > CUSTOS_SYSTEM_OBJECTS_MAX ||
		d->step_count > CUSTOS_SYSTEM_STEPS_MAX || d->steps % 8 ||
		!is_inside(d, d->steps,
			d->step_count * sizeof(struct custos_system_step)))
		return "a description with too many steps";
	return 0;
}

const char *description_check(const struct custos_system *d, uint64_t room)
{
	const char *wrong = check_header(d, room);

	for (uint32_t i = 0; !wrong && i < d->step_count; i++)
		wrong = check_step(d, description_step(d, i));
	return wrong;
}
