/* SPDX-License-Identifier: MIT */
/*
 * The capability graph for Graphviz. Who pays is where things stand: a bank is
 * a box around what it pays for; arrows are what one can do with another.
 */
#include <inttypes.h>
#include <string.h>

#include "system/system.h"

struct dot {
	const struct system *system;
	struct buf *out;
};

/* Names hold no quotes and backslashes; arguments may. */
static void add_quoted(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, *text < ' ' && *text >= 0 ? ' ' : *text);
	}
}

static const char *style_of(enum system_kind kind)
{
	switch (kind) {
	case SYSTEM_PROCESS:
		return "shape=box, style=\"rounded,filled\", "
		       "fillcolor=\"#dbe9f6\"";
	case SYSTEM_MEMORY:
		return "shape=box, style=filled, fillcolor=\"#e5f2dd\"";
	case SYSTEM_VIRTUAL:
		return "shape=box, style=\"filled,dashed\", "
		       "fillcolor=\"#e5f2dd\"";
	case SYSTEM_NODE:
		return "shape=component, style=filled, fillcolor=\"#e5f2dd\"";
	case SYSTEM_VIEW:
		return "shape=note";
	case SYSTEM_DEVICE:
		return "shape=box3d";
	case SYSTEM_ENDPOINT:
		return "shape=ellipse, style=filled, fillcolor=\"#fbe6cf\"";
	case SYSTEM_ENTRY:
	case SYSTEM_NOTICE:
		return "shape=cds, height=0.3, fontsize=9";
	case SYSTEM_BUFFER:
		return "shape=tab, style=filled, fillcolor=\"#fbe6cf\"";
	case SYSTEM_PROGRAM:
		return "shape=plaintext";
	case SYSTEM_BANK:
		return "shape=folder";
	case SYSTEM_CONSOLE:
	case SYSTEM_TIMER:
	case SYSTEM_SCHEDULE:
	case SYSTEM_DISCRIM:
	case SYSTEM_KIND_MAX:
		break;
	}
	return "shape=plaintext, fontcolor=\"#666666\"";
}

static void add_label(struct dot *d, const struct system_object *o)
{
	const struct system_object *program;

	add_quoted(d->out, o->name);
	if (o->size)
		buf_printf(d->out, "\\n%" PRIu64 " KiB", o->size >> 10);
	if (o->kind == SYSTEM_PROCESS) {
		program = system_object(d->system, o->of);
		buf_add_str(d->out, "\\n");
		add_quoted(d->out, program->name);
		for (size_t i = 0; i < o->arg_count; i++) {
			buf_add_char(d->out, ' ');
			add_quoted(d->out, o->args[i].bytes);
		}
	}
	if (o->kind == SYSTEM_NOTICE)
		buf_printf(d->out, "\\n0x%" PRIx64, o->payload);
}

static bool is_shown(struct dot *d, const struct system_object *o)
{
	if (o->kind == SYSTEM_PROGRAM)
		return false; /* in the label of its processes */
	if (o->line && o->kind != SYSTEM_BANK)
		return true; /* a bank is a box; it is a thing if it is used */
	for (uint32_t i = 0; i < d->system->count; i++) {
		const struct system_object *p = d->system->objects[i];

		for (size_t n = 0; n < p->cap_count; n++)
			if (system_object(d->system, p->caps[n].object) == o)
				return true;
		if (system_object(d->system, p->pays) == o)
			return true;
		if (p == o && p->keeper.object != SYSTEM_NONE)
			return true;
	}
	return false;
}

static void add_node(struct dot *d, const struct system_object *o)
{
	if (!is_shown(d, o))
		return;
	buf_printf(d->out, "\t\"%s\" [%s, label=\"", o->name,
		style_of(o->kind));
	add_label(d, o);
	buf_add_str(d->out, "\"];\n");
}

/* Entries stand where their endpoint stands. */
static const struct system_object *payer_of(
	struct dot *d, const struct system_object *o)
{
	if (o->endpoint.object != SYSTEM_NONE)
		o = system_object(d->system, o->endpoint);
	return system_object(d->system, o->bank);
}

static bool is_root(const struct system_object *o)
{
	return o->kind == SYSTEM_BANK && !o->line;
}

static void add_bank(struct dot *d, const struct system_object *bank);

static void add_members(struct dot *d, const struct system_object *bank)
{
	for (uint32_t i = 0; i < d->system->count; i++) {
		const struct system_object *o = d->system->objects[i];
		const struct system_object *payer = payer_of(d, o);

		if (is_root(bank) && !payer)
			payer = bank;
		if (payer != bank || is_root(o))
			continue;
		if (o->kind == SYSTEM_BANK)
			add_bank(d, o);
		else
			add_node(d, o);
	}
}

/* Banks are at most as deep as there are objects. */
static void add_bank(struct dot *d, const struct system_object *bank)
{
	buf_printf(d->out,
		"\tsubgraph \"cluster %s\" {\n\tlabel=\"bank %s", bank->name,
		bank->name);
	if (bank->limit)
		buf_printf(d->out, ", %" PRIu64 " frames", bank->limit);
	buf_add_str(d->out,
		"\"; style=dotted; fontcolor=\"#666666\"; color=\"#666666\";\n");
	add_node(d, bank);
	add_members(d, bank);
	buf_add_str(d->out, "\t}\n");
}

static const char *edge_style(const struct system_link *link)
{
	if (link->map || !strcmp(link->what, "of"))
		return "penwidth=1.5, color=\"#3a7d1e\", fontcolor=\"#3a7d1e\"";
	if (link->page || !strcmp(link->what, "keeper"))
		return "style=dashed, color=\"#b03020\", "
		       "fontcolor=\"#b03020\"";
	if (link->cap)
		return "color=\"#30507a\", fontcolor=\"#30507a\"";
	return "style=dotted";
}

static void add_edge_label(struct dot *d, const struct system_link *link)
{
	if (link->map) {
		buf_printf(d->out, "0x%" PRIx64 "\\n", link->map->at);
		system_rights_print(link->to->kind, link->rights, d->out);
	} else if (link->page) {
		buf_printf(d->out, "page %" PRIu64, link->page->index);
	} else if (link->cap) {
		if (strcmp(link->cap->name, link->to->name))
			buf_printf(d->out, "%s\\n", link->cap->name);
		if (!system_kind_is_memory(link->to->kind) &&
			link->to->kind != SYSTEM_ENTRY && link->to->line)
			system_rights_print(
				link->to->kind, link->rights, d->out);
	} else {
		buf_add_str(d->out, link->what);
	}
}

static void add_edge(void *ctx, const struct system_link *link)
{
	struct dot *d = ctx;

	if (!strcmp(link->what, "bank") || !strcmp(link->what, "program"))
		return;
	buf_printf(d->out, "\t\"%s\" -> \"%s\" [%s, label=\"", link->from->name,
		link->to->name, edge_style(link));
	add_edge_label(d, link);
	buf_add_str(d->out, "\"];\n");
}

void system_print_dot(const struct system *system, struct buf *out)
{
	struct dot d = { system, out };

	buf_add_str(out, "digraph \"");
	add_quoted(out, system->path);
	buf_add_str(out,
		"\" {\n\trankdir=LR; fontname=\"sans-serif\";\n"
		"\tnode [fontname=\"sans-serif\", fontsize=11];\n"
		"\tedge [fontname=\"sans-serif\", fontsize=9];\n");
	for (uint32_t i = 0; i < system->count; i++)
		if (is_root(system->objects[i]))
			add_members(&d, system->objects[i]);
	for (uint32_t i = 0; i < system->count; i++)
		if (is_root(system->objects[i]))
			add_node(&d, system->objects[i]);
	for (uint32_t i = 0; i < system->count; i++)
		system_each_link(system, system->objects[i], add_edge, &d);
	buf_add_str(out, "}\n");
}
