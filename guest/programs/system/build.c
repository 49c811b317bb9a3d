/* SPDX-License-Identifier: MIT */
/*
 * Every step has a function. What the step names is in slots before it is
 * called: a, b, and the object; a step that makes its object finds an empty
 * slot there, and fills it.
 */
#include "build.h"

#include <custos/guest.h>

#include "description.h"
#include "store.h"

/* Where memory is mapped while it gets its contents. */
#define FILL_VA UINT64_C(0x0000500000000000)
#define FILL_MAX (UINT64_C(16) << 20)

struct work {
	const struct custos_system *description;
	const struct custos_system_step *step;
	uint32_t object, a, b; /* slots */
};

static int64_t do_given(const struct work *w)
{
	const char *name = description_at(w->description, w->step->name);
	uint32_t own = cap_find(name);

	if (!own)
		return -CUSTOS_E_INVALID_CAP;
	return custos_cappage_copy(
		cap_find("caps"), own, w->object, CUSTOS_RIGHT_ALL);
}

/* Modules are in the start information in the order the machine has them, this
 * program's own first. */
static int64_t do_program(const struct work *w)
{
	const struct custos_start_info *info =
		(const struct custos_start_info *)CUSTOS_START_VA;
	uint64_t before = 0;

	for (uint32_t i = 0; i < info->cap_count; i++) {
		if (info->caps[i].type != CUSTOS_CAP_MODULE ||
			!strcmp(info->caps[i].name, "program"))
			continue;
		if (before++ == w->step->x + 1)
			return custos_cappage_copy(cap_find("caps"),
				info->caps[i].slot, w->object,
				CUSTOS_RIGHT_ALL);
	}
	return -CUSTOS_E_INVALID_CAP;
}

static int64_t do_bank(const struct work *w)
{
	return custos_bank_create_child(w->a, w->object, w->step->x);
}

static int64_t do_endpoint(const struct work *w)
{
	return custos_bank_alloc(w->a, CUSTOS_CAP_ENDPOINT, w->object);
}

static int64_t do_entry(const struct work *w)
{
	return custos_endpoint_make_entry(w->a, w->object, w->step->x);
}

static int64_t do_notice(const struct work *w)
{
	return custos_endpoint_make_notice(w->a, w->object, w->step->x);
}

static int64_t do_buffer(const struct work *w)
{
	int64_t result =
		custos_bank_alloc(w->a, CUSTOS_CAP_BUFFER, w->object);

	return result ? result : custos_buffer_set_id(w->object, w->step->x);
}

/* ---- memory ---- */

static int64_t fill(uint32_t memory, const char *bytes, uint64_t size)
{
	int64_t result = 0;

	for (uint64_t at = 0; at < size && !result; at += FILL_MAX) {
		uint64_t part = size - at < FILL_MAX ? size - at : FILL_MAX;
		uint64_t whole = (part + PAGE_SIZE - 1) & -PAGE_SIZE;

		result = memory_map_part(memory, (void *)FILL_VA, at, whole,
			CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE);
		if (result)
			break;
		memcpy((void *)FILL_VA, bytes + at, part);
		result = memory_unmap((void *)FILL_VA, whole);
	}
	return result;
}

static int64_t do_memory(const struct work *w)
{
	const struct custos_system_step *s = w->step;
	int64_t result = custos_bank_create_memory(w->a, w->object, s->x);

	if (result)
		return result;
	return fill(w->object, description_at(w->description, s->data),
		s->data_size);
}

static int64_t do_node(const struct work *w)
{
	int64_t result = custos_bank_alloc(w->a, CUSTOS_CAP_GPT, w->object);

	return result ? result : custos_gpt_set_l2v(w->object, w->step->x);
}

/* The i-th page of the step into the slot. */
static int64_t make_page(const struct work *w, uint64_t i, uint32_t slot)
{
	const struct custos_system_step *s = w->step;
	uint64_t at = i * PAGE_SIZE, size = 0;
	int64_t result = custos_bank_alloc(w->a, CUSTOS_CAP_PAGE, slot);

	if (at < s->data_size)
		size = s->data_size - at < PAGE_SIZE ? s->data_size - at
						     : PAGE_SIZE;
	if (!result && size)
		result = custos_page_write(slot, 0,
			(uint64_t)description_at(w->description, s->data + at),
			size);
	if (result < 0)
		return result;
	if (s->b != CUSTOS_SYSTEM_NONE)
		return custos_page_set_keeper(slot, w->b, s->rights);
	return 0;
}

static int64_t do_page(const struct work *w)
{
	int64_t result = 0;

	for (uint64_t i = 0; i < w->step->y && !result; i++) {
		uint32_t slot = cap_slot_alloc();

		result = make_page(w, i, slot);
		if (!result)
			result = custos_gpt_map(w->object,
				w->step->x + i * PAGE_SIZE, slot, 0, PAGE_SIZE,
				CUSTOS_RIGHT_ALL);
		cap_slot_free(slot);
	}
	return result;
}

static int64_t do_position(const struct work *w)
{
	return custos_gpt_set_slot(w->object, w->step->x, w->a);
}

/* What is kept under the number from now on. */
static int64_t do_window(const struct work *w)
{
	uint32_t slot = cap_slot_alloc();
	int64_t result = custos_gpt_make_window(
		w->object, slot, 0, w->step->x, w->step->rights);

	if (!result)
		result = store_put(w->step->object, slot);
	cap_slot_free(slot);
	return result;
}

static int64_t do_map(const struct work *w)
{
	const struct custos_system_step *s = w->step;

	return custos_gpt_map(w->object, s->x, w->a, s->y, s->z, s->rights);
}

static int64_t do_node_keeper(const struct work *w)
{
	return custos_gpt_set_keeper(w->object, w->a);
}

static int64_t do_node_bank(const struct work *w)
{
	return custos_gpt_set_bank(w->object, w->a);
}

static int64_t do_bank_keeper(const struct work *w)
{
	return custos_bank_set_keeper(w->object, w->a);
}

/* ---- processes ---- */

static struct custos_spawn request;

static void free_caps(void)
{
	for (uint32_t i = 0; i < request.cap_count; i++)
		cap_slot_free(request.caps[i].slot);
}

static int64_t put_caps(
	const struct work *w, const struct custos_system_process *process)
{
	for (uint32_t i = 0; i < process->cap_count; i++) {
		const struct custos_system_cap *from = &process->caps[i];
		int64_t slot = store_get(from->object);

		if (slot < 0)
			return slot;
		request.caps[i].slot = (uint32_t)slot;
		request.caps[i].rights = from->rights;
		snprintf(request.caps[i].name, CUSTOS_NAME_MAX, "%s",
			(const char *)description_at(
				w->description, from->name));
		request.cap_count++;
	}
	return 0;
}

static int64_t do_process(const struct work *w)
{
	const struct custos_system_process *process =
		description_at(w->description, w->step->data);
	int64_t result;

	request = (struct custos_spawn){
		.args = (uint64_t)description_at(w->description, process->args),
		.args_size = process->args_size,
		.args_count = process->args_count,
		.cpu = process->cpu,
		.slot = w->object,
		.bank = w->b,
		.flags = w->step->flags,
	};
	result = put_caps(w, process);
	if (!result)
		result = custos_module_spawn(w->a, (uint64_t)&request);
	free_caps();
	return result;
}

static int64_t do_space(const struct work *w)
{
	const struct custos_system_step *s = w->step;
	uint32_t space = cap_slot_alloc();
	int64_t result = custos_process_get_cap(
		w->object, CUSTOS_PROCESS_SPACE, space);

	if (!result)
		result = custos_gpt_map(
			space, s->x, w->a, s->y, s->z, s->rights);
	cap_slot_free(space);
	return result;
}

static int64_t do_process_keeper(const struct work *w)
{
	return custos_process_set_cap(w->object, CUSTOS_PROCESS_KEEPER, w->a);
}

static int64_t do_schedule(const struct work *w)
{
	uint32_t schedule = cap_slot_alloc();
	int64_t result = custos_schedule_make(
		w->a, schedule, w->step->x, w->step->y);

	if (!result)
		result = custos_process_set_cap(
			w->object, CUSTOS_PROCESS_SCHEDULE, schedule);
	cap_slot_free(schedule);
	return result;
}

static int64_t do_recipient(const struct work *w)
{
	return custos_endpoint_set_recipient(w->object, w->a);
}

static int64_t do_thread(const struct work *w)
{
	return custos_buffer_set_thread(w->object, w->a);
}

static int64_t do_start(const struct work *w)
{
	return custos_process_resume(w->object, 0);
}

static int64_t do_wait(const struct work *w)
{
	return custos_process_wait(w->object);
}

/* ---- all of them ---- */

static const struct {
	const char *name;
	int64_t (*run)(const struct work *w);
	bool makes;
} ops[CUSTOS_SYSTEM_OP_MAX] = {
	[CUSTOS_SYSTEM_GIVEN] = {"given", do_given, true},
	[CUSTOS_SYSTEM_PROGRAM] = {"find", do_program, true},
	[CUSTOS_SYSTEM_BANK] = {"make", do_bank, true},
	[CUSTOS_SYSTEM_ENDPOINT] = {"make", do_endpoint, true},
	[CUSTOS_SYSTEM_ENTRY] = {"make", do_entry, true},
	[CUSTOS_SYSTEM_NOTICE] = {"make", do_notice, true},
	[CUSTOS_SYSTEM_BUFFER] = {"make", do_buffer, true},
	[CUSTOS_SYSTEM_MEMORY] = {"make", do_memory, true},
	[CUSTOS_SYSTEM_NODE] = {"make", do_node, true},
	[CUSTOS_SYSTEM_PAGE] = {"pages of", do_page, false},
	[CUSTOS_SYSTEM_POSITION] = {"position of", do_position, false},
	[CUSTOS_SYSTEM_WINDOW] = {"length of", do_window, false},
	[CUSTOS_SYSTEM_MAP] = {"map in", do_map, false},
	[CUSTOS_SYSTEM_NODE_KEEPER] = {"keeper of", do_node_keeper, false},
	[CUSTOS_SYSTEM_NODE_BANK] = {"payer of", do_node_bank, false},
	[CUSTOS_SYSTEM_BANK_KEEPER] = {"keeper of", do_bank_keeper, false},
	[CUSTOS_SYSTEM_PROCESS] = {"make", do_process, true},
	[CUSTOS_SYSTEM_SPACE] = {"map in", do_space, false},
	[CUSTOS_SYSTEM_PROCESS_KEEPER] = {"keeper of", do_process_keeper,
		false},
	[CUSTOS_SYSTEM_SCHEDULE] = {"schedule of", do_schedule, false},
	[CUSTOS_SYSTEM_RECIPIENT] = {"recipient of", do_recipient, false},
	[CUSTOS_SYSTEM_THREAD] = {"thread of", do_thread, false},
	[CUSTOS_SYSTEM_START] = {"start", do_start, false},
	[CUSTOS_SYSTEM_WAIT] = {"wait for", do_wait, false},
};

const char *build_op_name(uint32_t op)
{
	return ops[op].name;
}

/* A slot with the object; 0: the step has none there. */
static int64_t take(uint32_t object, uint32_t *slot)
{
	int64_t result = 0;

	*slot = 0;
	if (object == CUSTOS_SYSTEM_NONE)
		return 0;
	result = store_get(object);
	if (result < 0)
		return result;
	*slot = (uint32_t)result;
	return 0;
}

static void give_back(uint32_t slot)
{
	if (slot)
		cap_slot_free(slot);
}

int64_t build_step(const struct custos_system *description,
	const struct custos_system_step *step)
{
	struct work w = {.description = description, .step = step};
	bool makes = ops[step->op].makes;
	int64_t result;

	if (makes)
		w.object = cap_slot_alloc();
	result = makes ? 0 : take(step->object, &w.object);
	if (!result)
		result = take(step->a, &w.a);
	if (!result)
		result = take(step->b, &w.b);
	if (!result)
		result = ops[step->op].run(&w);
	if (result >= 0 && makes)
		result = store_put(step->object, w.object);
	give_back(w.b);
	give_back(w.a);
	give_back(w.object);
	return result;
}
