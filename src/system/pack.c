/* SPDX-License-Identifier: MIT */
/*
 * From a checked description to the steps the guest builds it by. Names, texts
 * and contents come first, so that steps can be written in one go behind them.
 */
#include <errno.h>
#include <string.h>

#include "system/system.h"

#define PAGE CUSTOS_ABI_PAGE
#define BLOCK (CUSTOS_GPT_SLOTS * PAGE) /* what a node of pages spans */

struct packer {
	const struct system *system;
	const struct system_object *object; /* being made */
	uint32_t number; /* its; or of a part of it that has its own */
	uint32_t next_number; /* for parts */
	struct buf *out; /* header, then data */
	struct buf steps;
};

/* ---- data ---- */

static uint64_t add_data(struct packer *p, const void *bytes, size_t len)
{
	uint64_t at = p->out->len;

	buf_add(p->out, bytes, len);
	return at;
}

static uint32_t add_text(struct packer *p, const char *text)
{
	return (uint32_t)add_data(p, text, strlen(text) + 1);
}

static void align(struct buf *buf)
{
	while (buf->len % 8 && !buf->failed)
		buf_add_char(buf, '\0');
}

/* ---- steps ---- */

static struct custos_system_step step_init(
	const struct packer *p, enum custos_system_op op)
{
	return (struct custos_system_step){
		.op = op,
		.line = p->object->line,
		.object = p->number,
		.a = CUSTOS_SYSTEM_NONE,
		.b = CUSTOS_SYSTEM_NONE,
	};
}

static void add_step(struct packer *p, struct custos_system_step step)
{
	step.name = add_text(p, p->object->name);
	buf_add(&p->steps, &step, sizeof(step));
}

/* Most steps: an object, another one, a number. */
static void add_simple(struct packer *p, enum custos_system_op op, uint32_t a,
	uint64_t x)
{
	struct custos_system_step step = step_init(p, op);

	step.a = a;
	step.x = x;
	add_step(p, step);
}

static void add_map(
	struct packer *p, enum custos_system_op op, const struct system_map *map)
{
	struct custos_system_step step = step_init(p, op);

	step.a = map->object.object;
	step.rights = map->rights;
	step.x = map->at;
	step.y = map->offset;
	step.z = map->length;
	add_step(p, step);
}

static void add_window(struct packer *p, uint64_t length)
{
	struct custos_system_step step = step_init(p, CUSTOS_SYSTEM_WINDOW);

	step.rights = p->object->rights;
	step.x = length;
	add_step(p, step);
}

/* The smallest l2v with which slots many slots span size bytes. */
static uint64_t l2v_for(uint64_t size, uint64_t slots)
{
	uint64_t l2v = CUSTOS_GPT_L2V_MIN;

	while (l2v < CUSTOS_GPT_L2V_MAX && slots << l2v < size)
		l2v += CUSTOS_GPT_L2V_STEP;
	return l2v;
}

static void add_node(struct packer *p, uint64_t l2v)
{
	add_simple(p, CUSTOS_SYSTEM_NODE, p->object->bank.object, l2v);
}

/* ---- memory ---- */

static void add_contents(struct packer *p, struct custos_system_step *step,
	uint64_t offset, uint64_t length)
{
	const struct system_text *from = &p->object->contents;

	if (offset >= from->len)
		return;
	step->data_size = from->len - offset;
	if (step->data_size > length)
		step->data_size = length;
	step->data = add_data(p, from->bytes + offset, step->data_size);
}

/* count pages of the object from page first on; at: in the node. */
static void add_pages(struct packer *p, uint64_t at, uint64_t first,
	uint64_t count, const struct system_page *special)
{
	struct custos_system_step step = step_init(p, CUSTOS_SYSTEM_PAGE);

	if (!count)
		return;
	step.a = p->object->bank.object;
	if (special) {
		step.b = special->keeper.object;
		step.rights = special->rights;
	}
	step.x = at;
	step.y = count;
	add_contents(p, &step, first * PAGE, count * PAGE);
	add_step(p, step);
}

/* Pages [first, end) into the present node, whose first page is base; those
 * with a keeper and those that are none are special, from index *s on. */
static void add_block(struct packer *p, uint64_t base, uint64_t first,
	uint64_t end, size_t *s)
{
	const struct system_object *o = p->object;

	while (first < end) {
		const struct system_page *special =
			*s < o->page_count ? &o->pages[*s] : NULL;
		uint64_t plain = special && special->index < end
			? special->index
			: end;

		add_pages(p, (first - base) * PAGE, first, plain - first, NULL);
		first = plain;
		if (first == end)
			break;
		if (special->virtual)
			add_simple(p, CUSTOS_SYSTEM_POSITION,
				special->keeper.object, first - base);
		else
			add_pages(p, (first - base) * PAGE, first, 1, special);
		first++;
		++*s;
	}
}

/* A block of 64 pages as a node of its own, put into the object's node. */
static void add_part(struct packer *p, uint64_t first, uint64_t end, size_t *s)
{
	uint32_t whole = p->number;
	struct custos_system_step step;

	p->number = p->next_number++;
	add_node(p, CUSTOS_GPT_L2V_MIN);
	add_block(p, first, first, end, s);
	step = step_init(p, CUSTOS_SYSTEM_MAP);
	step.object = whole;
	step.a = p->number;
	step.rights = CUSTOS_RIGHTS_MEMORY;
	step.x = first * PAGE;
	step.z = (end - first) * PAGE;
	p->number = whole;
	add_step(p, step);
}

/* Memory some of whose pages are special is made of nodes by us. */
static void add_special_memory(struct packer *p)
{
	const struct system_object *o = p->object;
	uint64_t pages = o->size / PAGE, end;
	size_t s = 0;

	add_node(p, l2v_for(o->size, CUSTOS_GPT_SLOTS));
	if (o->size <= BLOCK) {
		add_block(p, 0, 0, pages, &s);
	} else {
		for (uint64_t at = 0; at < pages; at = end) {
			end = at + CUSTOS_GPT_SLOTS;
			if (end > pages)
				end = pages;
			if (s < o->page_count && o->pages[s].index < end)
				add_part(p, at, end, &s);
			else
				add_pages(p, at * PAGE, at, end - at, NULL);
		}
	}
	add_window(p, o->size);
}

static void add_memory(struct packer *p)
{
	struct custos_system_step step = step_init(p, CUSTOS_SYSTEM_MEMORY);

	if (p->object->page_count) {
		add_special_memory(p);
		return;
	}
	step.a = p->object->bank.object;
	step.x = p->object->size;
	add_contents(p, &step, 0, p->object->size);
	add_step(p, step);
}

static void add_virtual(struct packer *p)
{
	add_node(p, l2v_for(p->object->size, 1));
	add_simple(p, CUSTOS_SYSTEM_POSITION, p->object->keeper.object, 0);
	add_window(p, p->object->size);
}

static void add_own_node(struct packer *p)
{
	const struct system_object *o = p->object;

	add_node(p, l2v_for(o->size, CUSTOS_GPT_SLOTS));
	if (o->pays.object != SYSTEM_NONE)
		add_simple(p, CUSTOS_SYSTEM_NODE_BANK, o->pays.object, 0);
	for (size_t i = 0; i < o->map_count; i++)
		add_map(p, CUSTOS_SYSTEM_MAP, &o->maps[i]);
	if (o->keeper.object != SYSTEM_NONE)
		add_simple(p, CUSTOS_SYSTEM_NODE_KEEPER, o->keeper.object, 0);
	add_window(p, o->size);
}

static void add_view(struct packer *p)
{
	const struct system_object *o = p->object;
	const struct system_map map = {
		.object = o->of,
		.offset = o->offset,
		.length = o->size,
		.rights = o->rights,
	};

	add_node(p, l2v_for(o->size, CUSTOS_GPT_SLOTS));
	add_map(p, CUSTOS_SYSTEM_MAP, &map);
	add_window(p, o->size);
}

/* ---- processes ---- */

static uint64_t add_process_data(struct packer *p, uint64_t *out_size)
{
	const struct system_object *o = p->object;
	struct custos_system_process process = {
		.args_count = (uint32_t)o->arg_count + 1,
		.cpu = (uint32_t)o->cpu,
		.cap_count = (uint32_t)o->cap_count,
	};
	struct custos_system_cap caps[CUSTOS_SPAWN_CAPS];
	uint64_t at;

	process.args = add_text(p, o->name);
	for (size_t i = 0; i < o->arg_count; i++)
		add_data(p, o->args[i].bytes, o->args[i].len + 1);
	process.args_size = (uint32_t)p->out->len - process.args;
	for (size_t i = 0; i < o->cap_count; i++)
		caps[i] = (struct custos_system_cap){
			.name = add_text(p, o->caps[i].name),
			.object = o->caps[i].object.object,
			.rights = o->caps[i].rights,
		};
	align(p->out);
	at = add_data(p, &process, sizeof(process));
	add_data(p, caps, o->cap_count * sizeof(caps[0]));
	*out_size = p->out->len - at;
	return at;
}

static void add_process(struct packer *p)
{
	const struct system_object *o = p->object;
	struct custos_system_step step = step_init(p, CUSTOS_SYSTEM_PROCESS);

	step.a = o->of.object;
	step.b = o->bank.object;
	step.flags =
		CUSTOS_SPAWN_NEW | (o->stays ? CUSTOS_SPAWN_STAYS : 0);
	step.data = add_process_data(p, &step.data_size);
	add_step(p, step);
	for (size_t i = 0; i < o->map_count; i++)
		add_map(p, CUSTOS_SYSTEM_SPACE, &o->maps[i]);
	if (o->keeper.object != SYSTEM_NONE)
		add_simple(
			p, CUSTOS_SYSTEM_PROCESS_KEEPER, o->keeper.object, 0);
	if (o->slice) {
		step = step_init(p, CUSTOS_SYSTEM_SCHEDULE);
		step.a = system_find(p->system, "schedule");
		step.x = o->cpu;
		step.y = o->slice;
		add_step(p, step);
	}
}

/* ---- all objects ---- */

static bool refers(const struct system_object *o, uint32_t to)
{
	if (o->bank.object == to || o->of.object == to ||
		o->pays.object == to || o->keeper.object == to ||
		o->endpoint.object == to || o->process.object == to)
		return true;
	for (size_t i = 0; i < o->map_count; i++)
		if (o->maps[i].object.object == to)
			return true;
	for (size_t i = 0; i < o->cap_count; i++)
		if (o->caps[i].object.object == to)
			return true;
	return false;
}

/* What is always there is named only if somebody uses it. */
static void add_given(struct packer *p)
{
	for (uint32_t i = 0; i < p->system->count; i++) {
		const struct system_object *o = p->system->objects[i];

		if (refers(o, p->number) ||
			(p->object->kind == SYSTEM_SCHEDULE && o->slice)) {
			add_step(p, step_init(p, CUSTOS_SYSTEM_GIVEN));
			return;
		}
	}
}

/* Among the programs. */
static uint64_t program_number(const struct packer *p)
{
	uint64_t number = 0;

	for (uint32_t i = 0; i < p->number; i++)
		number += p->system->objects[i]->kind == SYSTEM_PROGRAM;
	return number;
}

static void add_object(struct packer *p)
{
	const struct system_object *o = p->object;

	switch (o->kind) {
	case SYSTEM_CONSOLE:
	case SYSTEM_TIMER:
	case SYSTEM_SCHEDULE:
	case SYSTEM_DISCRIM:
	case SYSTEM_DEVICE:
		add_given(p);
		break;
	case SYSTEM_BANK:
		if (o->line)
			add_simple(p, CUSTOS_SYSTEM_BANK, o->bank.object,
				o->limit);
		else
			add_given(p);
		break;
	case SYSTEM_MEMORY:
		add_memory(p);
		break;
	case SYSTEM_VIRTUAL:
		add_virtual(p);
		break;
	case SYSTEM_NODE:
		add_own_node(p);
		break;
	case SYSTEM_VIEW:
		add_view(p);
		break;
	case SYSTEM_ENDPOINT:
		add_simple(p, CUSTOS_SYSTEM_ENDPOINT, o->bank.object, 0);
		break;
	case SYSTEM_ENTRY:
		add_simple(p, CUSTOS_SYSTEM_ENTRY, o->endpoint.object,
			o->payload);
		break;
	case SYSTEM_NOTICE:
		add_simple(p, CUSTOS_SYSTEM_NOTICE, o->endpoint.object,
			o->payload);
		break;
	case SYSTEM_BUFFER:
		add_simple(p, CUSTOS_SYSTEM_BUFFER, o->bank.object, o->payload);
		break;
	case SYSTEM_PROGRAM:
		add_simple(p, CUSTOS_SYSTEM_PROGRAM, CUSTOS_SYSTEM_NONE,
			program_number(p));
		break;
	case SYSTEM_PROCESS:
		add_process(p);
		break;
	case SYSTEM_KIND_MAX:
		break;
	}
}

/* What needs everything to be there. */
static void add_late(struct packer *p)
{
	const struct system_object *o = p->object;

	if (o->kind == SYSTEM_BANK && o->keeper.object != SYSTEM_NONE)
		add_simple(p, CUSTOS_SYSTEM_BANK_KEEPER, o->keeper.object, 0);
	if (o->process.object == SYSTEM_NONE)
		return;
	if (o->kind == SYSTEM_ENDPOINT)
		add_simple(p, CUSTOS_SYSTEM_RECIPIENT, o->process.object, 0);
	else
		add_simple(p, CUSTOS_SYSTEM_THREAD, o->process.object, 0);
}

static void add_start(struct packer *p)
{
	if (p->object->kind == SYSTEM_PROCESS && !p->object->suspended)
		add_step(p, step_init(p, CUSTOS_SYSTEM_START));
}

static bool has_main(const struct system *system)
{
	for (uint32_t i = 0; i < system->count; i++)
		if (system->objects[i]->main)
			return true;
	return false;
}

/* All but services, or the one that is main. */
static void add_wait(struct packer *p)
{
	const struct system_object *o = p->object;

	if (o->kind == SYSTEM_PROCESS &&
		(has_main(p->system) ? o->main : !o->service))
		add_step(p, step_init(p, CUSTOS_SYSTEM_WAIT));
}

/* ordered: objects as they can be made, else as they are written. */
static void for_each(
	struct packer *p, bool ordered, void (*add)(struct packer *p))
{
	for (uint32_t i = 0; i < p->system->count; i++) {
		p->number = ordered ? p->system->order[i] : i;
		p->object = p->system->objects[p->number];
		add(p);
	}
}

static int finish(struct packer *p, uint32_t flags, uint32_t path,
	struct error *err)
{
	struct custos_system *header;
	uint64_t steps;

	align(p->out);
	steps = p->out->len;
	buf_add(p->out, buf_str(&p->steps), p->steps.len);
	buf_add(p->out, "\0\0\0\0\0\0\0", 8); /* so a text ends before the end */
	if (p->out->failed || p->steps.failed)
		return error_set(err, -ENOMEM, "out of memory");
	if (p->out->len > CUSTOS_SYSTEM_SIZE_MAX ||
		p->next_number > CUSTOS_SYSTEM_OBJECTS_MAX ||
		p->steps.len >
			CUSTOS_SYSTEM_STEPS_MAX *
				sizeof(struct custos_system_step))
		return error_set(err, -E2BIG,
			"%s: the system is too large to be handed to the guest",
			p->system->path);
	header = (struct custos_system *)p->out->data;
	*header = (struct custos_system){
		.magic = CUSTOS_SYSTEM_MAGIC,
		.version = CUSTOS_SYSTEM_VERSION,
		.size = p->out->len,
		.flags = flags,
		.object_count = p->next_number,
		.step_count = (uint32_t)(p->steps.len /
			sizeof(struct custos_system_step)),
		.path = path,
		.steps = steps,
	};
	header->checksum = custos_system_checksum(header, header->size);
	return 0;
}

int system_pack(const struct system *system, uint32_t flags, struct buf *out,
	struct error *err)
{
	struct packer p = { .system = system, .out = out, .steps = BUF_INIT,
		.next_number = system->count };
	const struct custos_system header = { 0 };
	uint32_t path;
	int ret;

	buf_reset(out);
	add_data(&p, &header, sizeof(header));
	path = add_text(&p, system->path);
	for_each(&p, true, add_object);
	for_each(&p, false, add_late);
	for_each(&p, false, add_start);
	for_each(&p, false, add_wait);
	ret = finish(&p, flags, path, err);
	buf_fini(&p.steps);
	return ret;
}
