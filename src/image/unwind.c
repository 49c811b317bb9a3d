/* SPDX-License-Identifier: MIT */
/*
 * From a frame to its caller's. CFI first; code without it is taken to keep a
 * frame pointer. The stack may hold anything: every step must move up it.
 */
#include <dwarf.h>

#include "image/image_impl.h"

#define STACK_MAX 16

/* A DWARF expression (DWARF 5, 2.5) being evaluated. */
struct expression {
	const struct image_frame *frame;
	image_read_fn read;
	void *ctx;
	struct cfi_cursor code;
	uint64_t stack[STACK_MAX];
	unsigned depth;
};

/* Where a column lives in a frame; NULL: not followed. */
static uint64_t *frame_column(struct image_frame *frame, uint64_t column)
{
	switch (column) {
	case CFI_RBX:
		return &frame->rbx;
	case CFI_RBP:
		return &frame->rbp;
	case CFI_RSP:
		return &frame->rsp;
	case 12:
		return &frame->r12;
	case 13:
		return &frame->r13;
	case 14:
		return &frame->r14;
	case 15:
		return &frame->r15;
	case CFI_RIP:
		return &frame->rip;
	default:
		return NULL;
	}
}

static bool get_column(
	const struct image_frame *frame, uint64_t column, uint64_t *out)
{
	struct image_frame copy = *frame;
	const uint64_t *value = frame_column(&copy, column);

	*out = value ? *value : 0;
	return value != NULL;
}

static bool push(struct expression *e, uint64_t value)
{
	if (e->depth == STACK_MAX)
		return false;
	e->stack[e->depth++] = value;
	return true;
}

static bool push_column(struct expression *e, uint64_t column)
{
	uint64_t offset = (uint64_t)cfi_read_sleb(&e->code), value;

	return get_column(e->frame, column, &value) && push(e, value + offset);
}

static bool apply_binary(struct expression *e, uint8_t op)
{
	uint64_t b, *a;

	if (e->depth < 2)
		return false;
	b = e->stack[--e->depth];
	a = &e->stack[e->depth - 1];
	switch (op) {
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

static bool apply_constant(struct expression *e, uint8_t op)
{
	switch (op) {
	case DW_OP_const1u:
	case DW_OP_const2u:
	case DW_OP_const4u:
	case DW_OP_const8u:
		return push(e,
			cfi_read(&e->code, 1u << ((op - DW_OP_const1u) / 2)));
	case DW_OP_const1s:
	case DW_OP_const2s:
	case DW_OP_const4s:
	case DW_OP_const8s:
		return push(e,
			(uint64_t)cfi_read_signed(&e->code,
				1u << ((op - DW_OP_const1s) / 2)));
	case DW_OP_constu:
		return push(e, cfi_read_uleb(&e->code));
	case DW_OP_consts:
		return push(e, (uint64_t)cfi_read_sleb(&e->code));
	default:
		return false;
	}
}

static bool apply(struct expression *e, uint8_t op)
{
	uint64_t *top = e->depth ? &e->stack[e->depth - 1] : NULL;

	if (op >= DW_OP_lit0 && op <= DW_OP_lit31)
		return push(e, op - DW_OP_lit0);
	if (op >= DW_OP_breg0 && op <= DW_OP_breg31)
		return push_column(e, op - DW_OP_breg0);
	if (op == DW_OP_bregx)
		return push_column(e, cfi_read_uleb(&e->code));
	if (op >= DW_OP_const1u && op <= DW_OP_consts)
		return apply_constant(e, op);
	if (op == DW_OP_deref)
		return top && e->read(e->ctx, *top, top);
	if (op == DW_OP_dup)
		return top && push(e, *top);
	if (op == DW_OP_plus_uconst) {
		uint64_t number = cfi_read_uleb(&e->code);

		return top && (*top += number, true);
	}
	return apply_binary(e, op);
}

static bool evaluate(struct expression *e, uint64_t *out)
{
	while (e->code.at < e->code.end)
		if (!apply(e, (uint8_t)cfi_read(&e->code, 1)) || e->code.bad)
			return false;
	if (e->depth == 0)
		return false;
	*out = e->stack[e->depth - 1];
	return true;
}

/* The caller's column, in *out, which holds this frame's. */
static bool restore_column(const struct expression *with,
	const struct cfi_rule *rule, uint64_t cfa, uint64_t *out)
{
	struct expression e = *with;
	uint64_t place = cfa + (uint64_t)rule->number;

	switch (rule->kind) {
	case CFI_UNSPECIFIED:
	case CFI_SAME:
		return true;
	case CFI_UNDEFINED:
		return false;
	case CFI_AT_OFFSET:
		return e.read(e.ctx, place, out);
	case CFI_IS_OFFSET:
		*out = place;
		return true;
	case CFI_REGISTER:
		return get_column(e.frame, (uint64_t)rule->number, out);
	case CFI_AT_EXPRESSION:
	case CFI_IS_EXPRESSION:
		break;
	}
	e.code = rule->expression;
	if (!push(&e, cfa) || !evaluate(&e, &place))
		return false;
	if (rule->kind == CFI_AT_EXPRESSION)
		return e.read(e.ctx, place, out);
	*out = place;
	return true;
}

static bool find_cfa(const struct expression *with, const struct cfi_row *row,
	uint64_t *out)
{
	struct expression e = *with;

	if (row->cfa.kind == CFI_IS_EXPRESSION) {
		e.code = row->cfa.expression;
		return evaluate(&e, out);
	}
	if (!get_column(e.frame, row->cfa_register, out))
		return false;
	*out += (uint64_t)row->cfa.number;
	return true;
}

/* frame is the caller's on success, else unchanged. */
static bool unwind_cfi(const struct cfi_row *row, struct image_frame *frame,
	image_read_fn read, void *ctx)
{
	static const uint8_t saved[] = { CFI_RBX, CFI_RBP, 12, 13, 14, 15 };
	const struct expression e = { .frame = frame,
		.read = read,
		.ctx = ctx };
	struct image_frame caller = *frame;
	uint64_t cfa;

	if (!find_cfa(&e, row, &cfa) || cfa <= frame->rsp ||
		row->columns[CFI_RIP].kind == CFI_UNSPECIFIED ||
		!restore_column(&e, &row->columns[CFI_RIP], cfa, &caller.rip))
		return false;
	caller.rsp = cfa;
	for (size_t i = 0; i < sizeof(saved); i++)
		restore_column(&e, &row->columns[saved[i]], cfa,
			frame_column(&caller, saved[i]));
	restore_column(&e, &row->columns[CFI_RSP], cfa, &caller.rsp);
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
	frame->interrupted = false;
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
	frame->interrupted = false;
	frame->rsp += 8;
	frame->rip = rip;
	return true;
}

bool image_unwind(const struct image *image, struct image_frame *frame,
	bool innermost, image_read_fn read, void *ctx)
{
	/* A call may be a function's last instruction: look at the call. */
	bool exact = innermost || frame->interrupted;
	uint64_t at = exact ? frame->rip : frame->rip - 1;
	const struct cfi_entry *entry = cfi_table_find(&image->cfi, at);
	struct cfi_row row;

	if (entry && cfi_entry_run(entry, at, &row)) {
		if (!unwind_cfi(&row, frame, read, ctx))
			return false;
		/* Not every assembler writes the mark into .debug_frame; a
		 * stack pointer that was saved tells as much. */
		frame->interrupted = entry->is_signal ||
			row.columns[CFI_RSP].kind == CFI_AT_OFFSET;
		return true;
	}
	if (exact && unwind_entry(image, frame, read, ctx))
		return true;
	return unwind_rbp(image, frame, read, ctx);
}
