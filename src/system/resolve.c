/* SPDX-License-Identifier: MIT */
/* What names in a description mean, which rights words grant, and in which
 * order the objects can be made. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "system/system.h"

#define SUGGESTIONS 3
#define BIT(kind) (1u << (kind))

struct resolver {
	struct system *system;
	struct system_object *object; /* whose references these are */
	struct error *err;
};

static uint32_t memory_kinds(void)
{
	uint32_t bits = 0;

	for (int i = 0; i < SYSTEM_KIND_MAX; i++)
		if (system_kind_is_memory((enum system_kind)i))
			bits |= BIT(i);
	return bits;
}

/* ---- names ---- */

static int unknown_name(struct resolver *r, const char *what, const char *name)
{
	struct buf near = BUF_INIT;
	struct nearest nearest;
	int ret;

	nearest_init(&nearest, name, SUGGESTIONS);
	for (uint32_t i = 0; i < r->system->count; i++)
		nearest_offer(&nearest, r->system->objects[i]->name);
	if (nearest_print(&nearest, &near))
		ret = system_fail(r->system, r->object->line, r->err,
			"%s `%s': %s: there is no `%s'; did you mean %s?",
			system_kind_name(r->object->kind), r->object->name,
			what, name, buf_str(&near));
	else
		ret = system_fail(r->system, r->object->line, r->err,
			"%s `%s': %s: there is no `%s'",
			system_kind_name(r->object->kind), r->object->name,
			what, name);
	buf_fini(&near);
	return ret;
}

static int wrong_kind(struct resolver *r, const char *what,
	const struct system_object *found, uint32_t want)
{
	struct buf wanted = BUF_INIT;
	const char *between = "";
	char line[40] = ", which is always there";
	int ret;

	if (found->line)
		snprintf(line, sizeof(line), " (line %u)", found->line);

	for (int i = 0; i < SYSTEM_KIND_MAX && want < UINT32_MAX; i++) {
		uint32_t after = want >> (i + 1);

		if (!(want & BIT(i)))
			continue;
		buf_printf(&wanted, "%s%s", between,
			system_kind_phrase((enum system_kind)i));
		between = after & (after - 1) ? ", " : " or ";
	}
	ret = system_fail(r->system, r->object->line, r->err,
		"%s `%s': %s must be %s; `%s' is %s%s",
		system_kind_name(r->object->kind), r->object->name, what,
		buf_str(&wanted), found->name, system_kind_phrase(found->kind),
		line);
	buf_fini(&wanted);
	return ret;
}

/* want: kinds, as bits. A reference that was not given stays so. */
static int resolve_ref(struct resolver *r, struct system_ref *ref,
	const char *what, uint32_t want)
{
	const struct system_object *found;

	if (ref->object == SYSTEM_NONE) {
		if (!ref->name)
			return 0;
		ref->object = system_find(r->system, ref->name);
		if (ref->object == SYSTEM_NONE)
			return unknown_name(r, what, ref->name);
	}
	found = system_object(r->system, *ref);
	if (!(want & BIT(found->kind)))
		return wrong_kind(r, what, found, want);
	return 0;
}

/* ---- what stands for an entry, a program ---- */

/* An entry of that endpoint that was made for another reference. */
static struct system_object *find_entry(
	struct system *system, uint32_t endpoint, uint64_t payload)
{
	for (uint32_t i = 0; i < system->count; i++) {
		struct system_object *o = system->objects[i];

		if (o->kind == SYSTEM_ENTRY && o->unnamed &&
			o->endpoint.object == endpoint && o->payload == payload)
			return o;
	}
	return NULL;
}

/* An endpoint instead of an entry means one with payload 0. */
static int resolve_entry(
	struct resolver *r, struct system_ref *ref, const char *what)
{
	int ret = resolve_ref(
		r, ref, what, BIT(SYSTEM_ENTRY) | BIT(SYSTEM_ENDPOINT));
	struct system_object *found, *entry;

	found = ret ? NULL : system_object(r->system, *ref);
	if (!found || found->kind == SYSTEM_ENTRY)
		return ret;
	entry = find_entry(r->system, ref->object, 0);
	if (!entry) {
		ret = system_add(r->system, SYSTEM_ENTRY, NULL, r->object->line,
			&entry, r->err);
		if (ret)
			return ret;
		entry->endpoint.object = ref->object;
	}
	ref->object = system_number(r->system, entry);
	return 0;
}

/* Entries without a name of their own are called after their endpoint. */
static int name_entry(struct resolver *r, struct system_object *entry)
{
	const struct system_object *endpoint =
		system_object(r->system, entry->endpoint);
	char name[CUSTOS_NAME_MAX];
	int len;

	if (!entry->unnamed || !endpoint)
		return 0;
	len = snprintf(name, sizeof(name), "%s/%" PRIu64, endpoint->name,
		entry->payload);
	if (len >= (int)sizeof(name) ||
		system_find(r->system, name) != SYSTEM_NONE)
		return 0;
	entry->name = system_copy(r->system, name, strlen(name));
	return entry->name ? 0 : error_set(r->err, -ENOMEM, "out of memory");
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* program = "x.elf": a program of that name, or of that file. */
static int resolve_program(struct resolver *r)
{
	struct system_ref *ref = &r->object->of;
	struct system_object *program;
	uint32_t found;
	int ret;

	if (ref->object != SYSTEM_NONE || !ref->name)
		return resolve_ref(r, ref, "program", BIT(SYSTEM_PROGRAM));
	found = system_find(r->system, ref->name);
	if (found == SYSTEM_NONE)
		found = system_find(r->system, base_name(ref->name));
	if (found != SYSTEM_NONE &&
		r->system->objects[found]->kind == SYSTEM_PROGRAM &&
		(!strchr(ref->name, '/') ||
			!strcmp(r->system->objects[found]->file, ref->name))) {
		ref->object = found;
		return 0;
	}
	ret = system_add(r->system, SYSTEM_PROGRAM, base_name(ref->name),
		r->object->line, &program, r->err);
	if (ret)
		return ret;
	program->file = ref->name;
	ref->object = system_number(r->system, program);
	return 0;
}

/* ---- rights ---- */

/* text, or the usual ones, of a capability to object. */
static int resolve_rights(struct resolver *r, const struct system_object *to,
	const char *what, const char *text, uint32_t usual, uint32_t *out)
{
	struct buf wrong = BUF_INIT;
	struct buf have = BUF_INIT, asked = BUF_INIT;
	int ret = 0;

	*out = usual & to->rights;
	if (!text)
		return 0;
	if (!system_rights_parse(to->kind, text, out, &wrong)) {
		system_rights_print(
			to->kind, system_kind_rights(to->kind), &have);
		ret = system_fail(r->system, r->object->line, r->err,
			"%s `%s': %s `%s': `%s' is no right of %s (%s)",
			system_kind_name(r->object->kind), r->object->name,
			what, to->name, buf_str(&wrong),
			system_kind_phrase(to->kind), buf_str(&have));
	} else if (*out & ~to->rights) {
		system_rights_print(to->kind, to->rights, &have);
		system_rights_print(to->kind, *out, &asked);
		ret = system_fail(r->system, r->object->line, r->err,
			"%s `%s': %s `%s' asks for `%s', more than there is: "
			"%s `%s' (line %u) has `%s'",
			system_kind_name(r->object->kind), r->object->name,
			what, to->name, buf_str(&asked),
			system_kind_name(to->kind), to->name, to->line,
			buf_str(&have));
	}
	buf_fini(&wrong);
	buf_fini(&have);
	buf_fini(&asked);
	return ret;
}

#define ACCESSES (CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE | CUSTOS_RIGHT_EXEC)
#define USUAL_MAP                                                              \
	(CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE | CUSTOS_RIGHT_CALL |          \
		CUSTOS_RIGHT_STRONG | CUSTOS_RIGHT_INSPECT)

/* Not what the keeper may do, but what it is asked about. */
static int rights_of_page(struct resolver *r, struct system_page *page)
{
	int ret = resolve_rights(r, system_object(r->system, page->keeper),
		"page", page->rights_text, ACCESSES, &page->rights);

	page->rights &= ACCESSES;
	if (!ret && !page->rights)
		ret = system_fail(r->system, r->object->line, r->err,
			"memory `%s': page %" PRIu64
			": rights must be some of r, w and x",
			r->object->name, page->index);
	return ret;
}

static int rights_of_object(struct resolver *r)
{
	struct system_object *o = r->object;
	int ret = 0;

	if (o->kind == SYSTEM_VIEW && o->of.object != SYSTEM_NONE)
		ret = resolve_rights(r, system_object(r->system, o->of), "of",
			o->rights_text, USUAL_MAP, &o->rights);
	for (size_t i = 0; i < o->map_count && !ret; i++)
		ret = resolve_rights(r,
			system_object(r->system, o->maps[i].object), "map",
			o->maps[i].rights_text, USUAL_MAP, &o->maps[i].rights);
	for (size_t i = 0; i < o->cap_count && !ret; i++)
		ret = resolve_rights(r,
			system_object(r->system, o->caps[i].object), "cap",
			o->caps[i].rights_text, CUSTOS_RIGHT_ALL,
			&o->caps[i].rights);
	for (size_t i = 0; i < o->page_count && !ret; i++)
		ret = rights_of_page(r, &o->pages[i]);
	return ret;
}

/* ---- all references of one object ---- */

static int resolve_lists(struct resolver *r)
{
	struct system_object *o = r->object;
	int ret = 0;

	for (size_t i = 0; i < o->map_count && !ret; i++)
		ret = resolve_ref(
			r, &o->maps[i].object, "map", memory_kinds());
	for (size_t i = 0; i < o->cap_count && !ret; i++)
		ret = resolve_ref(r, &o->caps[i].object, "caps", UINT32_MAX);
	for (size_t i = 0; i < o->page_count && !ret; i++)
		ret = resolve_entry(r, &o->pages[i].keeper, "pages");
	return ret;
}

static bool is_paid(enum system_kind kind)
{
	return kind >= SYSTEM_BANK && kind != SYSTEM_DEVICE &&
		kind != SYSTEM_ENTRY && kind != SYSTEM_NOTICE &&
		kind != SYSTEM_PROGRAM;
}

static int resolve_object(struct resolver *r)
{
	struct system_object *o = r->object;
	int ret;

	if (o->line && is_paid(o->kind) && !o->bank.name &&
		o->bank.object == SYSTEM_NONE)
		o->bank.name = "bank";
	if ((ret = resolve_ref(r, &o->bank,
		     o->kind == SYSTEM_BANK ? "parent" : "bank",
		     BIT(SYSTEM_BANK))) ||
		(ret = resolve_ref(r, &o->endpoint, "endpoint",
			 BIT(SYSTEM_ENDPOINT))) ||
		(ret = resolve_ref(r, &o->process,
			 o->kind == SYSTEM_ENDPOINT ? "recipient" : "process",
			 BIT(SYSTEM_PROCESS))) ||
		(ret = resolve_ref(r, &o->pays, "pays", BIT(SYSTEM_BANK))) ||
		(ret = resolve_entry(r, &o->keeper, "keeper")))
		return ret;
	if (o->kind == SYSTEM_PROCESS)
		ret = resolve_program(r);
	else
		ret = resolve_ref(r, &o->of, "of", memory_kinds());
	return ret ? ret : resolve_lists(r);
}

/* ---- order ---- */

enum state { UNSEEN, ENTERED, DONE };

struct walk {
	struct resolver *r;
	uint8_t *state;
	uint32_t done;
};

static int order_object(struct walk *walk, uint32_t number);

static int order_ref(struct walk *walk, uint32_t of, struct system_ref ref)
{
	const struct system_object *o = walk->r->system->objects[of], *to;

	if (ref.object == SYSTEM_NONE)
		return 0;
	if (walk->state[ref.object] != ENTERED)
		return order_object(walk, ref.object);
	to = walk->r->system->objects[ref.object];
	if (ref.object == of)
		return system_fail(walk->r->system, o->line, walk->r->err,
			"%s `%s' refers to itself", system_kind_name(o->kind),
			o->name);
	return system_fail(walk->r->system, o->line, walk->r->err,
		"%s `%s' needs `%s' (line %u), which needs it in turn: "
		"neither can be made first",
		system_kind_name(o->kind), o->name, to->name, to->line);
}

/* Keepers of banks, recipients and threads are set when everything is there:
 * they may be anybody. */
static int order_needs(struct walk *walk, uint32_t number)
{
	struct system_object *o = walk->r->system->objects[number];
	int ret;

	if ((ret = order_ref(walk, number, o->bank)) ||
		(ret = order_ref(walk, number, o->pays)) ||
		(ret = order_ref(walk, number, o->endpoint)) ||
		(ret = order_ref(walk, number, o->of)))
		return ret;
	if (o->kind != SYSTEM_BANK &&
		(ret = order_ref(walk, number, o->keeper)))
		return ret;
	for (size_t i = 0; i < o->map_count && !ret; i++)
		ret = order_ref(walk, number, o->maps[i].object);
	for (size_t i = 0; i < o->cap_count && !ret; i++)
		ret = order_ref(walk, number, o->caps[i].object);
	for (size_t i = 0; i < o->page_count && !ret; i++)
		ret = order_ref(walk, number, o->pages[i].keeper);
	return ret;
}

/* Recursion is as deep as a chain of objects, at most all of them. */
static int order_object(struct walk *walk, uint32_t number)
{
	int ret;

	if (walk->state[number] == DONE)
		return 0;
	walk->state[number] = ENTERED;
	ret = order_needs(walk, number);
	walk->state[number] = DONE;
	walk->r->system->order[walk->done++] = number;
	return ret;
}

static int order_all(struct resolver *r)
{
	struct walk walk = { r,
		system_alloc(r->system, r->system->count), 0 };
	int ret = 0;

	r->system->order = system_alloc(
		r->system, r->system->count * sizeof(*r->system->order));
	if (!walk.state || !r->system->order)
		return error_set(r->err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < r->system->count && !ret; i++)
		ret = order_object(&walk, i);
	return ret;
}

/* The only process that was given the right to receive, when nobody said
 * otherwise: so its end is noticed. */
static void default_recipient(struct system *system, uint32_t endpoint)
{
	struct system_object *o = system->objects[endpoint];
	uint32_t only = SYSTEM_NONE;

	for (uint32_t i = 0; i < system->count; i++) {
		const struct system_object *p = system->objects[i];

		for (size_t n = 0; n < p->cap_count; n++) {
			if (p->caps[n].object.object != endpoint ||
				!(p->caps[n].rights & CUSTOS_RIGHT_RECEIVE))
				continue;
			if (only != SYSTEM_NONE && only != i)
				return;
			only = i;
		}
	}
	o->process.object = only;
}

int system_resolve(struct system *system, struct error *err)
{
	struct resolver r = { system, NULL, err };
	int ret;

	/* Grows meanwhile: entries and programs without statements. */
	for (uint32_t i = 0; i < system->count; i++) {
		r.object = system->objects[i];
		ret = resolve_object(&r);
		if (ret)
			return ret;
	}
	for (uint32_t i = 0; i < system->count; i++)
		if (system->objects[i]->kind == SYSTEM_ENTRY &&
			(ret = name_entry(&r, system->objects[i])))
			return ret;
	ret = order_all(&r);
	for (uint32_t i = 0; i < system->count && !ret; i++) {
		r.object = system->objects[system->order[i]];
		ret = rights_of_object(&r);
	}
	for (uint32_t i = 0; i < system->count && !ret; i++)
		if (system->objects[i]->kind == SYSTEM_ENDPOINT &&
			system->objects[i]->process.object == SYSTEM_NONE)
			default_recipient(system, i);
	return ret;
}
