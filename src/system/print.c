/* SPDX-License-Identifier: MIT */
/* The capability graph as text for people, and as JSON. */
#include <inttypes.h>
#include <string.h>

#include "system/system.h"

/* ---- text ---- */

static void print_size(uint64_t size, struct buf *out)
{
	if (size % (1 << 20) == 0)
		buf_printf(out, "%" PRIu64 " MiB", size >> 20);
	else
		buf_printf(out, "%" PRIu64 " KiB", size >> 10);
}

static void print_args(const struct system_object *o, struct buf *out)
{
	for (size_t i = 0; i < o->arg_count; i++)
		buf_printf(out, " %s", o->args[i].bytes);
}

static void print_process_facts(
	const struct system *system, const struct system_object *o,
	struct buf *out)
{
	buf_printf(out, ": %s", system_object(system, o->of)->name);
	print_args(o, out);
	if (o->cpu != CUSTOS_ANY_CPU)
		buf_printf(out, "; CPU %" PRIu64, o->cpu);
	if (o->slice)
		buf_printf(out, "; slices of %" PRIu64 " ns", o->slice);
	if (o->main)
		buf_add_str(out, "; main");
	if (o->service)
		buf_add_str(out, "; service");
	if (o->suspended)
		buf_add_str(out, "; not started");
	if (o->stays)
		buf_add_str(out, "; stays where it faults");
}

static void print_facts(const struct system *system,
	const struct system_object *o, struct buf *out)
{
	if (o->size) {
		buf_add_str(out, ": ");
		print_size(o->size, out);
	}
	if (o->contents.len)
		buf_printf(out, ", %zu bytes given", o->contents.len);
	if (o->kind == SYSTEM_BANK && o->limit)
		buf_printf(out,
			": %" PRIu64 " frames, at least %" PRIu64 " needed",
			o->limit, o->frames);
	else if (o->kind == SYSTEM_BANK)
		buf_printf(out,
			": %s, at least %" PRIu64 " frames needed",
			o->line ? "no limit" : "all of the machine",
			o->frames);
	if (o->kind == SYSTEM_ENTRY)
		buf_printf(out, ": payload %" PRIu64, o->payload);
	if (o->kind == SYSTEM_NOTICE)
		buf_printf(out, ": bits 0x%" PRIx64, o->payload);
	if (o->kind == SYSTEM_BUFFER)
		buf_printf(out, ": id %" PRIu64, o->payload);
	if (o->kind == SYSTEM_PROCESS)
		print_process_facts(system, o, out);
}

static void print_rights(const struct system_link *link, struct buf *out)
{
	buf_add_str(out, " (");
	system_rights_print(link->to->kind, link->rights, out);
	buf_add_char(out, ')');
}

static void print_map(const struct system_link *link, struct buf *out)
{
	const struct system_map *map = link->map;

	buf_printf(out, "0x%08" PRIx64 "..0x%08" PRIx64 "  ", map->at,
		map->at + map->length);
	system_rights_print(link->to->kind, link->rights, out);
	buf_printf(out, "  %s %s", system_kind_name(link->to->kind),
		link->to->name);
	if (map->offset)
		buf_printf(out, " from 0x%" PRIx64, map->offset);
}

static void print_page(const struct system_link *link, struct buf *out)
{
	buf_printf(out, "page %" PRIu64 "%s: entry %s", link->page->index,
		link->page->virtual ? " (virtual)" : "", link->to->name);
	if (!link->page->virtual)
		print_rights(link, out);
}

static void print_link(void *ctx, const struct system_link *link)
{
	struct buf *out = ctx;

	if (!strcmp(link->what, "program") ||
		(!strcmp(link->what, "bank") && !link->to->line))
		return; /* told with the facts; the usual */
	buf_add_str(out, "  ");
	if (link->map) {
		print_map(link, out);
	} else if (link->page) {
		print_page(link, out);
	} else if (link->cap) {
		buf_printf(out, "cap %s: %s %s", link->cap->name,
			system_kind_name(link->to->kind), link->to->name);
		print_rights(link, out);
	} else {
		buf_printf(out, "%s: %s %s",
			!strcmp(link->what, "bank") &&
					link->from->kind == SYSTEM_BANK
				? "parent"
				: link->what,
			system_kind_name(link->to->kind), link->to->name);
		if (!strcmp(link->what, "of"))
			print_rights(link, out);
	}
	buf_add_char(out, '\n');
}

static void print_object(const struct system *system,
	const struct system_object *o, struct buf *out)
{
	buf_printf(out, "%s %s", system_kind_name(o->kind), o->name);
	print_facts(system, o, out);
	if (o->line)
		buf_printf(out, "  [%s:%u]", system->path, o->line);
	buf_add_char(out, '\n');
	system_each_link(system, o, print_link, out);
}

void system_print(const struct system *system, struct buf *out)
{
	/* Processes first: they are what it is all for. */
	for (int kind = SYSTEM_KIND_MAX - 1; kind >= SYSTEM_BANK; kind--)
		for (uint32_t i = 0; i < system->count; i++)
			if ((int)system->objects[i]->kind == kind)
				print_object(
					system, system->objects[i], out);
}

/* ---- JSON ---- */

static void add_string(struct buf *out, const char *key, const char *text)
{
	buf_printf(out, ",\"%s\":", key);
	buf_add_json(out, text, strlen(text));
}

static void add_number(struct buf *out, const char *key, uint64_t value)
{
	buf_printf(out, ",\"%s\":%" PRIu64, key, value);
}

static void add_flag(struct buf *out, const char *key, bool value)
{
	if (value)
		buf_printf(out, ",\"%s\":true", key);
}

static void add_args(struct buf *out, const struct system_object *o)
{
	buf_add_str(out, ",\"args\":[");
	for (size_t i = 0; i < o->arg_count; i++) {
		buf_add_str(out, i ? "," : "");
		buf_add_json(out, o->args[i].bytes, o->args[i].len);
	}
	buf_add_char(out, ']');
}

static void json_object(const struct system_object *o, struct buf *out)
{
	buf_printf(out, "{\"kind\":\"%s\"", system_kind_name(o->kind));
	add_string(out, "name", o->name);
	if (o->line)
		add_number(out, "line", o->line);
	if (o->size)
		add_number(out, "size", o->size);
	if (o->kind == SYSTEM_BANK) {
		add_number(out, "frames", o->frames);
		if (o->limit)
			add_number(out, "limit", o->limit);
	}
	if (o->kind == SYSTEM_ENTRY || o->kind == SYSTEM_NOTICE ||
		o->kind == SYSTEM_BUFFER)
		add_number(out, "payload", o->payload);
	if (o->kind == SYSTEM_PROGRAM)
		add_string(out, "file", o->file);
	if (o->kind == SYSTEM_PROCESS) {
		add_args(out, o);
		if (o->cpu != CUSTOS_ANY_CPU)
			add_number(out, "cpu", o->cpu);
		add_flag(out, "main", o->main);
		add_flag(out, "service", o->service);
	}
	buf_add_char(out, '}');
}

static void json_link(void *ctx, const struct system_link *link)
{
	struct buf *out = ctx, rights = BUF_INIT;

	/* The first follows "[": see system_print_json(). */
	if (out->len && out->data[out->len - 1] == '}')
		buf_add_str(out, ",\n");
	buf_printf(out, "{\"link\":\"%s\"", link->what);
	add_string(out, "from", link->from->name);
	add_string(out, "to", link->to->name);
	if (link->cap)
		add_string(out, "name", link->cap->name);
	if (link->map) {
		add_number(out, "at", link->map->at);
		add_number(out, "offset", link->map->offset);
		add_number(out, "length", link->map->length);
	}
	if (link->page) {
		add_number(out, "page", link->page->index);
		add_flag(out, "virtual", link->page->virtual);
	}
	if (link->cap || link->map || link->page || !strcmp(link->what, "of")) {
		system_rights_print(link->to->kind, link->rights, &rights);
		add_string(out, "rights", buf_str(&rights));
	}
	buf_fini(&rights);
	buf_add_char(out, '}');
}

void system_print_json(const struct system *system, struct buf *out)
{
	buf_add_str(out, "{\"system\":");
	buf_add_json(out, system->path, strlen(system->path));
	buf_add_str(out, ",\n\"objects\":[");
	for (uint32_t i = 0; i < system->count; i++) {
		buf_add_str(out, i ? ",\n" : "");
		json_object(system->objects[i], out);
	}
	buf_add_str(out, "],\n\"links\":[");
	for (uint32_t i = 0; i < system->count; i++)
		system_each_link(system, system->objects[i], json_link, out);
	buf_add_str(out, "]}\n");
}
