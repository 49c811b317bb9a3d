/* SPDX-License-Identifier: MIT */
/*
 * Where the bytes of an instruction come from, and go to, that the guest's
 * kernel wants carried out: an entry it serves, a page it opens for it, a page
 * of the process, or nowhere yet.
 */
#include <string.h>

#include "abi/custos_calls.h"
#include "session/session_impl.h"

#define NEED_MAX 64 /* bytes in one need */

_Static_assert(sizeof(((struct custos_emulate *)0)->need.value) == NEED_MAX,
	"abi");

/* ---- pages ---- */

static uint32_t rights_for(enum access_kind kind)
{
	return (access_writes(kind) ? CUSTOS_SEGMENT_WRITE : 0) |
		(kind == ACCESS_FETCH ? CUSTOS_SEGMENT_EXEC : 0) |
		(kind == ACCESS_LOAD || kind == ACCESS_RMW ?
				CUSTOS_SEGMENT_READ :
				0);
}

/* The page at va: the opened one decides alone where there is one. */
static bool find_page(struct worker *w, uint64_t va, enum access_kind kind,
	struct target_page *page, bool *out_open)
{
	const struct target_emulate *call = w->emulation->call;
	const struct custos_emulate *e = call->emulate;
	uint32_t rights = rights_for(kind);
	struct arch_fault fault;

	*out_open = true;
	for (unsigned i = 0; i < e->open_count; i++) {
		if (e->open[i].va != (va & ~ARCH_PAGE_MASK))
			continue;
		*page = call->open[i];
		return (e->open[i].rights & rights) == rights;
	}
	*out_open = false;
	return target_translate(w->session->config.target, w->space, va, kind,
		page, &fault);
}

/* ---- served bytes ---- */

/* The byte at va of an entry of this kind that is for this access. */
static const uint8_t *find_served(
	struct worker *w, uint32_t access, uint32_t kind, uint64_t va)
{
	struct emulation *em = w->emulation;
	const struct custos_emulate *e = em->call->emulate;

	for (unsigned i = 0; i < e->served_count; i++) {
		const struct custos_emulate_served *s = &e->served[i];

		if (s->kind != kind || va < s->va || va - s->va >= s->size)
			continue;
		if (kind != CUSTOS_ACCESS_FETCH) {
			if (em->used[i] && em->used[i] != access + 1)
				continue;
			em->used[i] = access + 1;
		}
		return &s->data[va - s->va];
	}
	return NULL;
}

/* ---- the pieces of an access ---- */

/* What one byte is. */
struct source {
	bool memory, stores_only, open;
	bool lacks_load, lacks_store;
	struct target_page page;
};

/* One access while it is divided. */
struct division {
	struct worker *w;
	struct exec_access *access; /* NULL: the instruction's own bytes */
	uint32_t index;
	enum access_kind kind;
	/* The page last looked at, for loads or all, and for stores alone. */
	struct {
		uint64_t va;
		bool valid, found, open;
		struct target_page page;
	} seen[2];
};

static bool in_memory(struct division *d, uint64_t va, bool store_half,
	struct source *source)
{
	enum access_kind kind = store_half ? ACCESS_STORE : d->kind;
	uint64_t page_va = va & ~ARCH_PAGE_MASK;
	unsigned n = store_half;

	if (!d->seen[n].valid || d->seen[n].va != page_va) {
		d->seen[n].va = page_va;
		d->seen[n].valid = true;
		d->seen[n].found = find_page(d->w, va, kind, &d->seen[n].page,
			&d->seen[n].open);
	}
	source->page = d->seen[n].page;
	source->open = d->seen[n].open;
	return d->seen[n].found;
}

static bool is_selected(const struct exec_access *a, uint32_t at)
{
	return a->size > 64 || (a->byte_mask >> at & 1);
}

/* Is it asked about as a read-modify-write? Large stores leave some of their
 * bytes alone (fxsave). */
static bool has_halves(const struct exec_access *a)
{
	return a->kind == ACCESS_RMW ||
		(a->kind == ACCESS_STORE && a->size > NEED_MAX);
}

/* Both halves of a read-modify-write come from the same page, or the kernel
 * asked for the first: then the second may still find a page. */
static void divide_rmw(
	struct division *d, uint64_t va, uint32_t at, struct source *source)
{
	const uint8_t *served =
		find_served(d->w, d->index, CUSTOS_ACCESS_RMW_LOAD, va);

	if (!served) {
		source->memory = in_memory(d, va, false, source);
		source->lacks_load = !source->memory;
		return;
	}
	d->access->old_bytes[at] = *served;
	if (find_served(d->w, d->index, CUSTOS_ACCESS_RMW_STORE, va))
		return;
	source->memory = in_memory(d, va, true, source);
	source->stores_only = source->memory;
	source->lacks_store = !source->memory;
}

static struct source divide_byte(struct division *d, uint64_t va, uint32_t at)
{
	struct source source = { 0 };
	const uint8_t *served;

	if (!d->access) {
		if (!find_served(d->w, 0, CUSTOS_ACCESS_FETCH, va))
			source.memory = in_memory(d, va, false, &source);
		return source;
	}
	if (!is_selected(d->access, at)) {
		source.memory = in_memory(d, va, false, &source);
		return source;
	}
	if (has_halves(d->access)) {
		divide_rmw(d, va, at, &source);
		return source;
	}
	served = find_served(d->w, d->index,
		d->kind == ACCESS_LOAD ? CUSTOS_ACCESS_LOAD :
					 CUSTOS_ACCESS_STORE,
		va);
	if (served && d->kind == ACCESS_LOAD)
		d->access->old_bytes[at] = *served;
	if (served)
		return source;
	source.memory = in_memory(d, va, false, &source);
	source.lacks_load = !source.memory && d->kind == ACCESS_LOAD;
	source.lacks_store = !source.memory && d->kind == ACCESS_STORE;
	return source;
}

static void note_missing(
	struct missing *missing, uint32_t access, uint32_t at)
{
	if (!missing->size) {
		*missing = (struct missing){ access, at, 1 };
		return;
	}
	if (missing->access == access && missing->at + missing->size == at &&
		missing->size < NEED_MAX)
		missing->size++;
}

/* Add a byte that is memory to the last span, or begin a new one. False: too
 * many pieces. */
static bool add_byte(struct division *d, uint64_t va, uint32_t at,
	const struct source *source)
{
	struct worker *w = d->w;
	struct span *last =
		w->span_count ? &w->spans[w->span_count - 1] : NULL;

	if (last && last->access == d->index && last->at + last->count == at &&
		last->first + last->count < ARCH_PAGE_SIZE &&
		last->va + last->count == va &&
		last->stores_only == source->stores_only) {
		last->count++;
		return true;
	}
	if (w->span_count == SPANS_MAX)
		return false;
	w->spans[w->span_count++] = (struct span){
		.access = d->index,
		.at = at,
		.count = 1,
		.first = (uint32_t)(va & ARCH_PAGE_MASK),
		.va = va,
		.page = source->page,
		.kept = kept_map_find(w->session->map, source->page.frame),
		.stores_only = source->stores_only,
		.open = source->open,
	};
	return true;
}

enum carried emulate_spans(struct worker *w, uint32_t access,
	enum access_kind kind, uint64_t va, uint32_t size)
{
	struct division d = {
		.w = w,
		.access = access == SPAN_FETCH ? NULL : plan_access(w, access),
		.index = access,
		.kind = kind,
	};

	if (d.access && d.access->probe)
		return CARRIED_DONE; /* nothing moves */
	for (uint32_t at = 0; at < size; at++) {
		struct source source = divide_byte(&d, va + at, at);

		if (source.lacks_load)
			note_missing(&w->emulation->load, access, at);
		if (source.lacks_store)
			note_missing(&w->emulation->store, access, at);
		if (source.memory && !add_byte(&d, va + at, at, &source))
			return CARRIED_STEP;
	}
	return CARRIED_DONE;
}

/* ---- what the kernel is told ---- */

static enum carried need(
	struct worker *w, uint64_t va, uint32_t size, uint32_t kind)
{
	struct custos_emulate *e = w->emulation->call->emulate;

	e->result = CUSTOS_EMULATE_NEED;
	e->need.va = va;
	e->need.size = size;
	e->need.kind = kind;
	return CARRIED_BACK;
}

enum carried emulate_loads(struct worker *w)
{
	const struct missing *m = &w->emulation->load;
	const struct exec_access *a;

	if (!m->size)
		return CARRIED_DONE;
	a = plan_access(w, m->access);
	return need(w, a->address + m->at, m->size,
		has_halves(a) ? CUSTOS_ACCESS_RMW_LOAD : CUSTOS_ACCESS_LOAD);
}

enum carried emulate_stores(struct worker *w)
{
	const struct missing *m = &w->emulation->store;
	struct custos_emulate *e = w->emulation->call->emulate;
	const struct exec_access *a;

	if (!m->size)
		return CARRIED_DONE;
	a = plan_access(w, m->access);
	memcpy(e->need.value, a->new_bytes + m->at, m->size);
	if (has_halves(a))
		memcpy(e->need.old, a->old_bytes + m->at, m->size);
	return need(w, a->address + m->at, m->size,
		has_halves(a) ? CUSTOS_ACCESS_RMW_STORE :
				CUSTOS_ACCESS_STORE);
}

/* ---- the instruction itself ---- */

/* One byte of code; false when it is nowhere. */
static bool fetch_byte(struct worker *w, uint64_t va, uint8_t *out)
{
	const uint8_t *served = find_served(w, 0, CUSTOS_ACCESS_FETCH, va);
	struct target_page page;
	bool open;

	if (served) {
		*out = *served;
		return true;
	}
	if (!find_page(w, va, ACCESS_FETCH, &page, &open))
		return false;
	*out = page.bytes ? page.bytes[va & ARCH_PAGE_MASK] : 0;
	return true;
}

void emulate_begin(struct worker *w)
{
	struct emulation *em = w->emulation;

	memset(em->used, 0, sizeof(em->used));
	em->load.size = 0;
	em->store.size = 0;
}

unsigned emulate_fetch(struct worker *w)
{
	unsigned n = 0;

	memset(w->bytes, 0, sizeof(w->bytes));
	while (n < ARCH_INSN_MAX &&
		fetch_byte(w, w->regs.rip + n, &w->bytes[n]))
		n++;
	w->emulation->code_size = n;
	return n;
}

enum carried emulate_lacks_code(struct worker *w, unsigned count)
{
	uint32_t size = 1;
	uint8_t byte;

	while (count + size < ARCH_INSN_MAX &&
		!fetch_byte(w, w->regs.rip + count + size, &byte))
		size++;
	return need(w, w->regs.rip + count, size, CUSTOS_ACCESS_FETCH);
}

enum carried emulate_xstate(struct worker *w)
{
	const struct target_emulate *call = w->emulation->call;

	if (!call->xstate) {
		call->emulate->result = CUSTOS_EMULATE_XSTATE;
		return CARRIED_BACK;
	}
	memcpy(w->xstate->area, call->xstate->area, call->xstate->size);
	w->xstate->size = call->xstate->size;
	w->has_xstate = true;
	return CARRIED_DONE;
}
