/* SPDX-License-Identifier: MIT */
/* What can be wrong with a description whose names are resolved: sizes,
 * addresses, counts, and whether the banks can pay. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "system/system.h"

#define PAGE CUSTOS_ABI_PAGE
#define SIZE_MAX_OBJECT (UINT64_C(1) << 40)
/* A process has at least its own run of frames, a page of capabilities, a node,
 * its start information and its stack. */
#define PROCESS_FRAMES (10 + CUSTOS_STACK_SIZE / PAGE)

struct checker {
	struct system *system;
	const struct system_machine *machine;
	struct system_object *object;
	struct error *err;
};

#define FAIL(c, format, ...)                                                   \
	system_fail((c)->system, (c)->object->line, (c)->err,                  \
		"%s `%s'" format, system_kind_name((c)->object->kind),         \
		(c)->object->name, ##__VA_ARGS__)

static uint64_t pages_of(uint64_t size)
{
	return size / PAGE + (size % PAGE != 0);
}

/* ---- mappings ---- */

/* Bytes of a space that are taken. */
struct extent {
	uint64_t at, length;
	const char *what, *name; /* name may be NULL */
};

struct extents {
	struct extent *items;
	size_t count;
};

static int add_extent(struct checker *c, struct extents *to, struct extent new)
{
	for (size_t i = 0; i < to->count; i++) {
		const struct extent *old = &to->items[i];

		if (!ranges_overlap(
			    old->at, old->length, new.at, new.length))
			continue;
		return FAIL(c,
			": %s%s%s at 0x%" PRIx64 " to 0x%" PRIx64
			" overlaps %s%s%s at 0x%" PRIx64 " to 0x%" PRIx64,
			new.what, new.name ? " " : "", new.name ? new.name : "",
			new.at, new.at + new.length, old->what,
			old->name ? " " : "", old->name ? old->name : "",
			old->at, old->at + old->length);
	}
	to->items[to->count++] = new;
	return 0;
}

/* Fills in the length that was not given. */
static int check_map(struct checker *c, struct system_map *map, uint64_t first,
	uint64_t end)
{
	const struct system_object *of = system_object(c->system, map->object);
	uint64_t size = of->size;

	if ((map->at | map->offset | map->length) & (PAGE - 1))
		return FAIL(c,
			": map `%s': at, offset and length must be whole pages "
			"of %d bytes",
			of->name, (int)PAGE);
	if (!checked_range(map->offset, map->length, size) ||
		map->offset == size)
		return FAIL(c,
			": map `%s': offset 0x%" PRIx64 ", length 0x%" PRIx64
			": it has only 0x%" PRIx64 " bytes (line %u)",
			of->name, map->offset, map->length, size, of->line);
	if (!map->length)
		map->length = size - map->offset;
	if (map->at < first || !checked_range(map->at, map->length, end))
		return FAIL(c,
			": map `%s' at 0x%" PRIx64 " to 0x%" PRIx64
			" is outside of 0x%" PRIx64 " to 0x%" PRIx64,
			of->name, map->at, map->at + map->length, first, end);
	return 0;
}

static int check_maps(struct checker *c, struct extents *taken, uint64_t first,
	uint64_t end)
{
	struct system_object *o = c->object;
	int ret = 0;

	for (size_t i = 0; i < o->map_count && !ret; i++) {
		struct system_map *map = &o->maps[i];

		ret = check_map(c, map, first, end);
		if (ret)
			break;
		ret = add_extent(c, taken,
			(struct extent){ map->at, map->length, "map",
				system_object(c->system, map->object)->name });
	}
	return ret;
}

/* What the kernel and the program's file put into a space. */
static int add_program(struct checker *c, struct extents *taken)
{
	const struct image *image =
		system_object(c->system, c->object->of)->image;
	int ret;

	if ((ret = add_extent(c, taken,
		     (struct extent){ CUSTOS_STACK_TOP - CUSTOS_STACK_SIZE,
			     CUSTOS_STACK_SIZE, "the stack", NULL })) ||
		(ret = add_extent(c, taken,
			 (struct extent){ CUSTOS_START_VA,
				 CUSTOS_USER_END - CUSTOS_START_VA,
				 "the start information", NULL })))
		return ret;
	for (unsigned i = 0; image && i < image_segment_count(image); i++) {
		const struct image_segment *s = image_segment(image, i);
		uint64_t at = s->address & ~(PAGE - 1), end;

		if (!checked_add(s->address, s->mem_size, &end) ||
			end > CUSTOS_USER_END)
			return FAIL(c, ": %s does not fit into a process",
				image_name(image));
		ret = add_extent(c, taken,
			(struct extent){ at, pages_of(end - at) * PAGE,
				"the program", image_name(image) });
		if (ret)
			return ret;
	}
	return 0;
}

static int check_space(struct checker *c)
{
	struct extents taken = { NULL, 0 };
	bool process = c->object->kind == SYSTEM_PROCESS;
	int ret;

	taken.items = calloc(c->object->map_count + IMAGE_SEGMENTS_MAX + 2,
		sizeof(*taken.items));
	if (!taken.items)
		return error_set(c->err, -ENOMEM, "out of memory");
	ret = process ? add_program(c, &taken) : 0;
	if (!ret)
		ret = check_maps(c, &taken, process ? PAGE : 0,
			process ? CUSTOS_USER_END : c->object->size);
	free(taken.items);
	return ret;
}

/* ---- one object of each kind ---- */

static int check_size(struct checker *c)
{
	uint64_t size = c->object->size;

	if (!size)
		return FAIL(c, " has no size");
	if (size > SIZE_MAX_OBJECT)
		return FAIL(c, ": 0x%" PRIx64 " bytes are too many", size);
	c->object->size = pages_of(size) * PAGE;
	return 0;
}

static int compare_pages(const void *a, const void *b)
{
	const struct system_page *x = a, *y = b;

	return (x->index > y->index) - (x->index < y->index);
}

static int check_memory(struct checker *c)
{
	struct system_object *o = c->object;
	int ret;

	if (o->size && o->contents.len > o->size)
		return FAIL(c, ": %zu bytes of contents, but a size of %" PRIu64,
			o->contents.len, o->size);
	ret = check_size(c);
	if (ret)
		return ret;
	if (o->page_count)
		qsort(o->pages, o->page_count, sizeof(*o->pages),
			compare_pages);
	for (size_t i = 0; i < o->page_count; i++) {
		if (o->pages[i].index >= pages_of(o->size))
			return FAIL(c,
				": there is no page %" PRIu64
				" (they are 0 to %" PRIu64 ")",
				o->pages[i].index, pages_of(o->size) - 1);
		if (i && o->pages[i].index == o->pages[i - 1].index)
			return FAIL(c, ": page %" PRIu64 " is there twice",
				o->pages[i].index);
	}
	return 0;
}

static int check_view(struct checker *c)
{
	struct system_object *o = c->object;
	const struct system_object *of = system_object(c->system, o->of);

	if (!of)
		return FAIL(c, " is a view of nothing: of = ... is missing");
	if (!o->size)
		o->size = o->offset < of->size ? of->size - o->offset : 0;
	if ((o->offset | o->size) & (PAGE - 1))
		return FAIL(c, ": offset and length must be whole pages");
	if (!o->size || !checked_range(o->offset, o->size, of->size))
		return FAIL(c,
			": offset 0x%" PRIx64 ", length 0x%" PRIx64
			": `%s' has only 0x%" PRIx64 " bytes (line %u)",
			o->offset, o->size, of->name, of->size, of->line);
	return 0;
}

static int check_args(struct checker *c)
{
	size_t size = 0;

	for (size_t i = 0; i < c->object->arg_count; i++)
		size += c->object->args[i].len + 1;
	if (size > CUSTOS_ARGS_MAX)
		return FAIL(c, ": its arguments are longer than %d bytes",
			CUSTOS_ARGS_MAX);
	return 0;
}

static int check_caps(struct checker *c)
{
	struct system_object *o = c->object;

	if (o->cap_count > CUSTOS_SPAWN_CAPS)
		return FAIL(c, " has more than %d capabilities",
			CUSTOS_SPAWN_CAPS);
	for (size_t i = 0; i < o->cap_count; i++) {
		const char *name = o->caps[i].name;

		if (!name[0] || strlen(name) >= CUSTOS_NAME_MAX)
			return FAIL(c,
				": `%.40s' cannot be the name of a capability: "
				"1 to %d characters",
				name, CUSTOS_NAME_MAX - 1);
		if (!strcmp(name, "self") || !strcmp(name, "caps") ||
			!strcmp(name, "space"))
			return FAIL(c,
				": capability `%s' is everybody's own; give "
				"this one another name",
				name);
		for (size_t n = 0; n < i; n++)
			if (!strcmp(name, o->caps[n].name))
				return FAIL(c, " has two capabilities `%s'",
					name);
	}
	return 0;
}

static int check_process(struct checker *c)
{
	struct system_object *o = c->object;
	int ret;

	if (o->of.object == SYSTEM_NONE)
		return FAIL(c, " has no program");
	if (o->cpu != CUSTOS_ANY_CPU && o->cpu >= c->machine->cpus)
		return FAIL(c,
			": there is no CPU %" PRIu64
			": the machine has %u (--cpus)",
			o->cpu, c->machine->cpus);
	if (o->main && o->service)
		return FAIL(c, " cannot be main and a service");
	if ((ret = check_args(c)) || (ret = check_caps(c)))
		return ret;
	return check_space(c);
}

static int check_endpoint_given(struct checker *c)
{
	if (c->object->endpoint.object == SYSTEM_NONE)
		return FAIL(c, " has no endpoint");
	return 0;
}

static int check_object(struct checker *c)
{
	struct system_object *o = c->object;
	int ret;

	switch (o->kind) {
	case SYSTEM_MEMORY:
		return check_memory(c);
	case SYSTEM_VIRTUAL:
		if (o->keeper.object == SYSTEM_NONE)
			return FAIL(c, " has no keeper");
		return check_size(c);
	case SYSTEM_NODE:
		ret = check_size(c);
		return ret ? ret : check_space(c);
	case SYSTEM_DEVICE:
		return check_size(c);
	case SYSTEM_VIEW:
		return check_view(c);
	case SYSTEM_ENTRY:
	case SYSTEM_NOTICE:
		return check_endpoint_given(c);
	case SYSTEM_PROCESS:
		return check_process(c);
	case SYSTEM_CONSOLE:
	case SYSTEM_TIMER:
	case SYSTEM_SCHEDULE:
	case SYSTEM_DISCRIM:
	case SYSTEM_BANK:
	case SYSTEM_ENDPOINT:
	case SYSTEM_BUFFER:
	case SYSTEM_PROGRAM:
	case SYSTEM_KIND_MAX:
		break;
	}
	return 0;
}

/* ---- banks ---- */

/* Frames an object takes for sure; what hardware tables and the program's own
 * doings need comes on top. */
static uint64_t frames_of(const struct system_object *o)
{
	uint64_t frames = 0, level;

	switch (o->kind) {
	case SYSTEM_MEMORY:
		level = pages_of(o->size);
		frames = level;
		for (size_t i = 0; i < o->page_count; i++)
			frames -= o->pages[i].virtual;
		while (level > 1) {
			level = (level + CUSTOS_GPT_SLOTS - 1) /
				CUSTOS_GPT_SLOTS;
			frames += level;
		}
		return frames;
	case SYSTEM_PROCESS:
		return PROCESS_FRAMES;
	case SYSTEM_BANK:
	case SYSTEM_NODE:
	case SYSTEM_VIEW:
	case SYSTEM_VIRTUAL:
	case SYSTEM_ENDPOINT:
	case SYSTEM_BUFFER:
		return 1;
	default:
		return 0;
	}
}

/* The kernel's limit, the root included. */
#define BANK_DEPTH_MAX 16

static int check_depth(struct checker *c)
{
	const struct system_object *bank = c->object;
	unsigned depth = 0;

	for (; bank; bank = system_object(c->system, bank->bank))
		depth++;
	if (depth > BANK_DEPTH_MAX)
		return FAIL(c, " is too deep: %d banks below the root at most",
			BANK_DEPTH_MAX - 1);
	return 0;
}

static int check_bank(struct checker *c)
{
	struct system_object *bank = c->object;
	uint32_t number = system_number(c->system, bank);
	uint64_t promised = 1;
	int ret = check_depth(c);

	if (ret)
		return ret;
	bank->frames = 1;
	for (uint32_t i = 0; i < c->system->count; i++) {
		const struct system_object *o = c->system->objects[i];
		uint64_t need = frames_of(o);

		if (o->bank.object != number || o == bank)
			continue;
		if (o->kind == SYSTEM_BANK)
			need = o->frames;
		bank->frames += need;
		promised += o->kind == SYSTEM_BANK && o->limit ? o->limit
								 : need;
	}
	if (bank->limit && bank->frames > bank->limit)
		return FAIL(c,
			" has a limit of %" PRIu64
			" frames, but what it is to pay for takes at least %"
			PRIu64,
			bank->limit, bank->frames);
	if (bank->limit && promised > bank->limit && !bank->overcommit)
		return FAIL(c,
			" has a limit of %" PRIu64
			" frames, but may have to pay for %" PRIu64
			": its own objects and the limits of the banks below "
			"it (overcommit = true allows it)",
			bank->limit, promised);
	return 0;
}

static int check_machine(struct checker *c)
{
	const struct system_object *root =
		c->system->objects[system_find(c->system, "bank")];
	uint64_t frames = c->machine->memory / PAGE;

	if (root->frames <= frames)
		return 0;
	return system_fail(c->system, 0, c->err,
		"the system needs at least %" PRIu64
		" MiB, the machine has %" PRIu64 " MiB (--memory)",
		(root->frames >> 8) + 1, frames >> 8);
}

/* ---- all ---- */

static int check_processes(struct checker *c)
{
	const struct system_object *main = NULL;
	bool waited = false;

	for (uint32_t i = 0; i < c->system->count; i++) {
		c->object = c->system->objects[i];
		if (c->object->kind != SYSTEM_PROCESS)
			continue;
		waited |= !c->object->service;
		if (c->object->main && main)
			return FAIL(c, " is main, but so is `%s' (line %u)",
				main->name, main->line);
		if (c->object->main)
			main = c->object;
	}
	if (!waited)
		return system_fail(c->system, 0, c->err,
			"there is no process to wait for (processes with "
			"service = true do not count)");
	return 0;
}

int system_check(struct system *system, const struct system_machine *machine,
	struct error *err)
{
	struct checker c = { system, machine, NULL, err };
	int ret;

	for (uint32_t i = 0; i < system->count; i++) {
		c.object = system->objects[system->order[i]];
		ret = check_object(&c);
		if (ret)
			return ret;
	}
	/* A bank comes before those below it. */
	for (uint32_t i = system->count; i > 0; i--) {
		c.object = system->objects[system->order[i - 1]];
		ret = c.object->kind == SYSTEM_BANK ? check_bank(&c) : 0;
		if (ret)
			return ret;
	}
	ret = check_processes(&c);
	return ret ? ret : check_machine(&c);
}
