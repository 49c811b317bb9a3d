/* SPDX-License-Identifier: MIT */
/*
 * Accesses the kernel makes for a system call: in pieces a keeper can be asked
 * about. The call is made again after each answer, and finds its answers.
 */
#include "call.h"
#include "copy.h"
#include "cpu.h"
#include "endpoint.h"
#include "keep.h"
#include "process.h"
#include "space.h"

#define PIECE 64

static bool is_equal(const uint8_t *a, const uint8_t *b, uint64_t size)
{
	uint64_t i;

	for (i = 0; i < size; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

static bool matches(const struct custos_emulate_served *served, uint64_t va,
	const uint8_t *bytes, uint64_t size, unsigned kind)
{
	return served->va == va && served->size == size &&
	       served->kind == kind &&
	       (!custos_access_is_store(kind) || is_equal(served->data, bytes, size));
}

/* Calls that are made again come by in the same order. */
static struct custos_emulate_served *find_served(struct process *process,
	uint64_t va, const uint8_t *bytes, uint64_t size, unsigned kind)
{
	struct custos_emulate *e = process_emulate(process);
	uint32_t i, at = process->keep.cursor;

	for (i = 0; i < e->served_count; i++, at++) {
		if (at >= e->served_count)
			at = 0;
		if (matches(&e->served[at], va, bytes, size, kind)) {
			process->keep.cursor = at + 1;
			return &e->served[at];
		}
	}
	return NULL;
}

bool keep_add_served(struct process *process, const void *bytes, uint64_t size)
{
	struct custos_emulate *e = process_emulate(process);
	const struct custos_access *access = &process->keep.access;
	struct custos_emulate_served *served;

	if (e->served_count >= CUSTOS_SERVED_MAX)
		return false;
	served = &e->served[e->served_count++];
	served->va = access->va;
	served->size = (uint32_t)size;
	served->kind = access->kind;
	machine_copy(served->data, bytes, size);
	process->keep.used = true;
	return true;
}

/* A page a keeper granted for this call. */
static uint8_t *find_granted(
	struct process *process, uint64_t va, unsigned rights)
{
	struct custos_emulate *e = process_emulate(process);
	uint32_t i;

	for (i = 0; i < e->open_count; i++)
		if (e->open[i].va == (va & ~PAGE_MASK) &&
			(e->open[i].rights & rights) == rights &&
			!copy_is_monitors(e->open[i].gpa))
			return (uint8_t *)machine_direct(e->open[i].gpa) +
			       (va & PAGE_MASK);
	return NULL;
}

static void move(
	uint8_t *memory, uint8_t *bytes, uint64_t size, bool store)
{
	if (store)
		machine_copy(memory, bytes, size);
	else
		machine_copy(bytes, memory, size);
}

/* What answers are there for the piece. */
static bool copy_served(struct process *process, uint64_t va, uint8_t *bytes,
	uint64_t size, unsigned kind)
{
	bool store = custos_access_is_store(kind);
	struct custos_emulate_served *served =
		find_served(process, va, bytes, size, kind);
	uint8_t *page;

	if (served) {
		if (!store)
			machine_copy(bytes, served->data, size);
		return true;
	}
	page = find_granted(process, va, keep_rights(kind));
	if (!page)
		return false;
	move(page, bytes, size, store);
	return true;
}

/* 0: may be asked about. */
static int64_t begin_piece(struct process *process, uint64_t va,
	const uint8_t *bytes, uint64_t size, unsigned kind)
{
	struct custos_access *access;

	if (process != cpu_this()->current)
		return keep_may_serve(process, va, kind) ? CALL_RESTART
							 : -CUSTOS_E_FAULT;
	if (process_emulate(process)->served_count == CUSTOS_SERVED_MAX)
		return -CUSTOS_E_FAULT;
	process->keep.seq = 0;
	process->keep.cursor = 0;
	access = keep_begin_access(process, va, size, kind);
	access->ip = process->frame.rip - 2;
	if (custos_access_is_store(kind) && size)
		machine_copy(access->value, bytes, size);
	return 0;
}

static int64_t copy_piece(struct process *process, uint64_t va, uint8_t *bytes,
	uint64_t size, unsigned kind)
{
	bool store = custos_access_is_store(kind);
	uint64_t gpa;
	int64_t error;

	if (copy_served(process, va, bytes, size, kind))
		return 0;
	error = begin_piece(process, va, bytes, size, kind);
	if (!error)
		error = keep_ask(process);
	if (error || copy_served(process, va, bytes, size, kind))
		return error;
	/* It is plain memory by now. */
	if (space_resolve(process, va, store, &gpa) || copy_is_monitors(gpa))
		return -CUSTOS_E_FAULT;
	move(machine_direct(gpa), bytes, size, store);
	return 0;
}

int64_t keep_copy(struct process *process, uint64_t va, void *bytes,
	uint64_t size, unsigned kind)
{
	uint8_t *at = bytes;
	uint64_t piece;
	int64_t error = 0;

	for (; size && !error; size -= piece, va += piece, at += piece) {
		piece = size < PIECE ? size : PIECE;
		error = copy_piece(process, va, at, piece, kind);
	}
	return error;
}

int64_t keep_read(struct process *process, const struct cap *entry, void *page,
	uint64_t offset, void *bytes, uint64_t size, bool store)
{
	unsigned kind = store ? CUSTOS_ACCESS_SYSCALL_STORE
			      : CUSTOS_ACCESS_SYSCALL_LOAD;
	int64_t error;

	if (copy_served(process, offset, bytes, size, kind))
		return 0;
	error = begin_piece(process, offset, bytes, size, kind);
	return error ? error : keep_ask_only(process, entry, page);
}

int64_t keep_cap(struct process *process, const struct cap *root, uint64_t va,
	const struct cap *store, struct cap *out)
{
	struct keep *keep = &process->keep;
	unsigned kind = store ? CUSTOS_ACCESS_CSTORE : CUSTOS_ACCESS_CLOAD;
	int64_t error;

	if (keep->has_cap) {
		if (out)
			*out = keep->cap;
		return 0;
	}
	error = begin_piece(process, va, NULL, 0, kind);
	if (error)
		return error;
	keep->access.size = sizeof(struct cap);
	keep->root = *root;
	keep->cap = store ? *store : (struct cap){0};
	return keep_ask(process);
}
