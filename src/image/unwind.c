/* SPDX-License-Identifier: MIT */
/*
 * From a frame to its caller's. CFI first; code without it is taken to keep a
 * frame pointer. The stack may hold anything: every step must move up it.
 */
#include <dwarf.h>
#include <stdlib.h>

#include "image/image_impl.h"

#define STACK_MAX 16
#define COLUMN_RSP 7 /* psABI figure 3.36 */
#define COLUMN_RIP 16

struct expression {
	const struct image_frame *frame;
	image_read_fn read;
	void *ctx;
	uint64_t cfa;
	uint64_t stack[STACK_MAX];
	unsigned depth;
};

/* Where a DWARF register number lives in a frame; NULL: not tracked. */
static uint64_t *frame_column(struct image_frame *frame, uint64_t column)
{
	switch (column) {
	case 3:
		return &frame->rbx;
	case 6:
		return &frame->rbp;
	case COLUMN_RSP:
		return &frame->rsp;
	case 12:
		return &frame->r12;
	case 13:
		return &frame->r13;
	case 14:
		return &frame->r14;
	case 15:
		return &frame->r15;
	case COLUMN_RIP:
		return &frame->rip;
	default:
		return NULL;
	}
}

static bool push(struct expression *e, uint64_t value)
{
	if (e->depth == STACK_MAX)
		return false;
	e->stack[e->depth++] = value;
	return true;
}

static bool push_column(
	struct expression *e, uint64_t column, uint64_t offset)
{
	struct image_frame frame = *e->frame;
	const uint64_t *value = frame_column(&frame, column);

	return value && push(e, *value + offset);
}

static bool apply_binary(struct expression *e, uint8_t atom)
{
	uint64_t b, *a;

	if (e->depth < 2)
		return false;
	b = e->stack[--e->depth];
	a = &e->stack[e->depth - 1];
	switch (atom) {
	case DW_OP_plus:
		*a += b;
		return true;
	case DW_OP_minus:
		*a -= b;
		return true;
	case DW_OP_and:
		*a &= b;
		return true;
	case DW_OP_or:
		*a |= b;
		return true;
	case DW_OP_mul:
		*a *= b;
		return true;
	case DW_OP_shl:
		*a = b < 64 ? *a << b : 0;
		return true;
	case DW_OP_ge:
		*a = (int64_t)*a >= (int64_t)b;
		return true;
	default:
		return false;
	}
}

static bool apply_unary(struct expression *e, const Dwarf_Op *op)
{
	uint64_t *top;

	if (e->depth == 0)
		return false;
	top = &e->stack[e->depth - 1];
	if (op->atom == DW_OP_plus_uconst) {
		*top += op->number;
		return true;
	}
	return op->atom == DW_OP_deref && e->read(e->ctx, *top, top);
}

static bool apply_push(struct expression *e, const Dwarf_Op *op)
{
	uint8_t atom = op->atom;

	if (atom >= DW_OP_lit0 && atom <= DW_OP_lit31)
		return push(e, atom - DW_OP_lit0);
	if (atom >= DW_OP_breg0 && atom <= DW_OP_breg31)
		return push_column(e, atom - DW_OP_breg0, op->number);
	if (atom == DW_OP_bregx)
		return push_column(e, op->number, op->number2);
	if (atom == DW_OP_call_frame_cfa)
		return push(e, e->cfa);
	if (atom >= DW_OP_const1u && atom <= DW_OP_consts)
		return push(e, op->number); /* libdw has extended it */
	return false;
}

static bool apply(struct expression *e, const Dwarf_Op *op)
{
	if (op->atom == DW_OP_deref || op->atom == DW_OP_plus_uconst)
		return apply_unary(e, op);
	if ((op->atom >= DW_OP_and && op->atom <= DW_OP_shl) ||
		op->atom == DW_OP_ge)
		return apply_binary(e, op->atom);
	return apply_push(e, op);
}

/* What the expression yields; *out_is_value: a value, else an address. */
static bool evaluate(struct expression *e, const Dwarf_Op *ops, size_t count,
	uint64_t *out, bool *out_is_value)
{
	e->depth = 0;
	*out_is_value = false;
	for (size_t i = 0; i < count; i++) {
		if (ops[i].atom == DW_OP_stack_value && i == count - 1)
			*out_is_value = true;
		else if (!apply(e, &ops[i]))
			return false;
	}
	if (e->depth == 0)
		return false;
	*out = e->stack[e->depth - 1];
	return true;
}

static bool restore_column(struct expression *e, Dwarf_Frame *cfi,
	unsigned column, uint64_t *out)
{
	Dwarf_Op simple[3], *ops;
	size_t count;
	uint64_t result;
	bool is_value;

	if (dwarf_frame_register(cfi, (int)column, simple, &ops, &count))
		return false;
	if (count == 0)
		return ops == NULL; /* same value, or undefined */
	if (count == 1 && ops[0].atom >= DW_OP_reg0 &&
		ops[0].atom <= DW_OP_reg31) {
		struct image_frame frame = *e->frame;
		const uint64_t *from =
			frame_column(&frame, ops[0].atom - DW_OP_reg0);

		*out = from ? *from : *out;
		return from != NULL;
	}
	if (!evaluate(e, ops, count, &result, &is_value))
		return false;
	if (is_value)
		*out = result;
	return is_value || e->read(e->ctx, result, out);
}

/* frame is that of the caller on success, else unchanged. */
static bool unwind_cfi(Dwarf_Frame *cfi, struct image_frame *frame,
	image_read_fn read, void *ctx)
{
	static const uint8_t saved[] = { 3, 6, 12, 13, 14, 15 };
	struct image_frame caller = *frame;
	struct expression e = { .frame = frame, .read = read, .ctx = ctx };
	Dwarf_Op *ops;
	size_t count;
	bool is_value;

	if (dwarf_frame_cfa(cfi, &ops, &count) ||
		!evaluate(&e, ops, count, &e.cfa, &is_value))
		return false;
	if (e.cfa <= frame->rsp ||
		!restore_column(&e, cfi, COLUMN_RIP, &caller.rip))
		return false;
	caller.rsp = e.cfa;
	for (size_t i = 0; i < sizeof(saved); i++)
		restore_column(
			&e, cfi, saved[i], frame_column(&caller, saved[i]));
	restore_column(&e, cfi, COLUMN_RSP, &caller.rsp);
	if (caller.rip == 0 || caller.rsp <= frame->rsp)
		return false;
	*frame = caller;
	return true;
}

static bool is_code(const struct image *image, uint64_t address)
{
	for (unsigned i = 0; i < image->segment_count; i++) {
		const struct image_segment *segment = &image->segments[i];

		if ((segment->flags & IMAGE_EXEC) &&
			address - segment->address < segment->mem_size)
			return true;
	}
	return false;
}

/* push rbp; mov rbp, rsp: the frame pointer is good behind these. */
static bool unwind_rbp(const struct image *image, struct image_frame *frame,
	image_read_fn read, void *ctx)
{
	uint64_t rbp, rip;

	if (frame->rbp < frame->rsp || frame->rbp > UINT64_MAX - 16 ||
		!read(ctx, frame->rbp, &rbp) ||
		!read(ctx, frame->rbp + 8, &rip) || !is_code(image, rip))
		return false;
	frame->rsp = frame->rbp + 16;
	frame->rbp = rbp;
	frame->rip = rip;
	return true;
}

/* At a function's first instruction the return address is on top. */
static bool unwind_entry(const struct image *image, struct image_frame *frame,
	image_read_fn read, void *ctx)
{
	struct image_symbol symbol;
	uint64_t rip;

	if (!image_symbol_at(image, frame->rip, &symbol) ||
		symbol.address != frame->rip ||
		!read(ctx, frame->rsp, &rip) || !is_code(image, rip))
		return false;
	frame->rsp += 8;
	frame->rip = rip;
	return true;
}

/* Caller holds the lock. */
static Dwarf_Frame *find_cfi(const struct debug_info *debug, uint64_t address)
{
	Dwarf_Frame *frame = NULL;

	if (debug->eh_frame &&
		dwarf_cfi_addrframe(debug->eh_frame, address, &frame) == 0)
		return frame;
	if (debug->debug_frame &&
		dwarf_cfi_addrframe(debug->debug_frame, address, &frame) == 0)
		return frame;
	return NULL;
}

bool image_unwind(const struct image *image, struct image_frame *frame,
	bool innermost, image_read_fn read, void *ctx)
{
	/* Only the cache behind the lock changes. */
	struct image *cached = (struct image *)image;
	/* A call may be a function's last instruction: look at the call. */
	uint64_t at = innermost ? frame->rip : frame->rip - 1;
	Dwarf_Frame *cfi;
	bool found = false;

	pthread_mutex_lock(&cached->lock);
	cfi = find_cfi(image_debug(cached), at);
	if (cfi)
		found = unwind_cfi(cfi, frame, read, ctx);
	free(cfi);
	pthread_mutex_unlock(&cached->lock);
	if (cfi)
		return found;
	if (innermost && unwind_entry(image, frame, read, ctx))
		return true;
	return unwind_rbp(image, frame, read, ctx);
}
