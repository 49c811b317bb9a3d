/* SPDX-License-Identifier: MIT */
/* A description as a graph: its edges, for those who show them. */
#include "system/system.h"

static void link_ref(const struct system *system,
	const struct system_object *from, struct system_ref to,
	const char *what, system_link_fn fn, void *ctx)
{
	const struct system_link link = {
		.from = from,
		.to = system_object(system, to),
		.what = what,
		.rights = from->rights,
	};

	if (link.to)
		fn(ctx, &link);
}

static void link_lists(const struct system *system,
	const struct system_object *o, system_link_fn fn, void *ctx)
{
	for (size_t i = 0; i < o->map_count; i++)
		fn(ctx, &(struct system_link){
				.from = o,
				.to = system_object(system, o->maps[i].object),
				.what = "map",
				.rights = o->maps[i].rights,
				.map = &o->maps[i],
			});
	for (size_t i = 0; i < o->cap_count; i++)
		fn(ctx, &(struct system_link){
				.from = o,
				.to = system_object(system, o->caps[i].object),
				.what = "cap",
				.rights = o->caps[i].rights,
				.cap = &o->caps[i],
			});
	for (size_t i = 0; i < o->page_count; i++)
		fn(ctx, &(struct system_link){
				.from = o,
				.to = system_object(system, o->pages[i].keeper),
				.what = "page",
				.rights = o->pages[i].rights,
				.page = &o->pages[i],
			});
}

void system_each_link(const struct system *system,
	const struct system_object *o, system_link_fn fn, void *ctx)
{
	link_ref(system, o, o->of,
		o->kind == SYSTEM_PROCESS ? "program" : "of", fn, ctx);
	link_lists(system, o, fn, ctx);
	link_ref(system, o, o->endpoint, "endpoint", fn, ctx);
	link_ref(system, o, o->keeper, "keeper", fn, ctx);
	link_ref(system, o, o->process,
		o->kind == SYSTEM_ENDPOINT ? "recipient" : "activates", fn,
		ctx);
	link_ref(system, o, o->pays, "pays", fn, ctx);
	link_ref(system, o, o->bank, "bank", fn, ctx);
}
