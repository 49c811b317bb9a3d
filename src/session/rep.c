/* SPDX-License-Identifier: MIT */
/*
 * One access for a run of elements of rep movs, stos or lods, where the range
 * asks for it: as many elements as lie in the range's bytes of one page on
 * every kept side. What they do is simple enough to be done here at once;
 * where elements depend on each other (a copy onto its own source), or one
 * shall be stepped, they stay single.
 */
#include <string.h>

#include "session/session_impl.h"

/* The opcode behind prefixes; these forms have one-byte opcodes. */
static uint8_t opcode_of(const struct insn *insn)
{
	static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
		0x66, 0xf2, 0xf3 };
	unsigned i = 0;

	while (i < insn->length &&
		(memchr(prefixes, insn->bytes[i], sizeof(prefixes)) ||
			(insn->bytes[i] & 0xf0) == 0x40))
		i++;
	return i < insn->length ? insn->bytes[i] & 0xfe : 0;
}

#define MOVS 0xa4
#define STOS 0xaa
#define LODS 0xac

/* How many bytes of a lie in one piece of a range that wants runs (*asked is
 * set then) or on an open page; 0: these elements must be single. */
static uint64_t joinable(
	struct worker *w, const struct exec_access *a, bool *asked)
{
	uint64_t first = a->address & ARCH_PAGE_MASK;
	uint64_t room = ARCH_PAGE_SIZE - first;
	struct target_page page;
	struct arch_fault fault;
	const struct kept_page *kept;
	const struct kept_piece *piece;
	size_t i;

	if (!target_translate(w->session->config.target, w->space, a->address,
		    a->kind, &page, &fault))
		return 0;
	kept = page.closed ? kept_map_find(w->session->map, page.frame) : NULL;
	if (!kept)
		return room;
	i = kept_page_lower(kept, (uint32_t)first);
	if (i == kept_page_count(kept))
		return 0;
	piece = kept_page_piece(kept, i);
	if (!piece->range->joined || piece->first > first)
		return 0;
	*asked = true;
	return piece->first + piece->count - first;
}

/* Is the instruction itself kept? Then each element is a fetch. */
static bool is_kept(const struct worker *w)
{
	for (unsigned i = 0; i < w->span_count; i++)
		if (w->spans[i].access == SPAN_FETCH && w->spans[i].kept)
			return true;
	return false;
}

/* A copy whose destination lies a little behind its source reads what it has
 * just written. */
static uint64_t independent(struct worker *w)
{
	const struct exec_access *from = exec_access(w->exec, 0);
	const struct exec_access *to = exec_access(w->exec, 1);

	if (from->kind != ACCESS_LOAD) {
		const struct exec_access *t = from;

		from = to;
		to = t;
	}
	return to->address > from->address ? to->address - from->address :
					     UINT64_MAX;
}

/* Elements that can be one access; less than 2: none. */
static uint64_t run_length(struct worker *w)
{
	uint8_t opcode = opcode_of(w->insn);
	uint64_t n = w->regs.gpr[ARCH_RCX];
	bool asked = false;
	uint32_t size;

	if (w->single_elements || w->insn->address32 || is_kept(w) ||
		(w->regs.rflags & (ARCH_RFLAGS_DF | ARCH_RFLAGS_TF)) ||
		(opcode != MOVS && opcode != STOS && opcode != LODS) ||
		!exec_count(w->exec))
		return 0;
	size = exec_access(w->exec, 0)->size;
	n = n < OWN_SIZE_MAX / size ? n : OWN_SIZE_MAX / size;
	for (unsigned i = 0; i < exec_count(w->exec) && n > 1; i++) {
		uint64_t bytes = joinable(w, exec_access(w->exec, i), &asked);

		n = n < bytes / size ? n : bytes / size;
	}
	if (!asked)
		return 0;
	if (n > 1 && exec_count(w->exec) == 2) {
		uint64_t bytes = independent(w);

		n = n < bytes / size ? n : bytes / size;
	}
	return n;
}

bool rep_plan(struct worker *w)
{
	uint64_t n = run_length(w);

	w->joined = 0;
	if (n < 2)
		return false;
	w->joined = n;
	w->element = exec_access(w->exec, 0)->size;
	w->access_count = exec_count(w->exec);
	for (unsigned i = 0; i < w->access_count; i++) {
		const struct exec_access *a = exec_access(w->exec, i);

		w->own[i] = *a;
		w->own[i].size = (uint32_t)(n * a->size);
		w->own[i].byte_mask = UINT64_MAX;
		w->own[i].old_bytes = w->own_bytes[i][0];
		w->own[i].new_bytes = w->own_bytes[i][1];
	}
	return true;
}

static void fill(struct worker *w, struct exec_access *to)
{
	for (uint64_t i = 0; i < w->joined; i++)
		memcpy(to->new_bytes + i * w->element,
			&w->regs.gpr[ARCH_RAX], w->element);
}

void rep_run(struct worker *w)
{
	struct exec_access *from = NULL, *to = NULL;

	for (unsigned i = 0; i < w->access_count; i++) {
		if (w->own[i].kind == ACCESS_LOAD)
			from = &w->own[i];
		else
			to = &w->own[i];
	}
	if (to && from)
		memcpy(to->new_bytes, from->old_bytes, to->size);
	else if (to)
		fill(w, to);
}

/* rax after lods: of 4 bytes the upper half is cleared. */
static uint64_t loaded(const struct worker *w)
{
	uint64_t value = w->element == 4 ? 0 : w->regs.gpr[ARCH_RAX];

	memcpy(&value,
		w->own[0].old_bytes + (w->joined - 1) * w->element,
		w->element);
	return value;
}

void rep_take_result(struct worker *w)
{
	uint64_t *gpr = w->regs.gpr;
	uint64_t bytes = w->joined * w->element;
	uint8_t opcode = opcode_of(w->insn);

	if (opcode == LODS)
		gpr[ARCH_RAX] = loaded(w);
	if (opcode != STOS)
		gpr[ARCH_RSI] += bytes;
	if (opcode != LODS)
		gpr[ARCH_RDI] += bytes;
	gpr[ARCH_RCX] -= w->joined;
	if (!gpr[ARCH_RCX])
		w->regs.rip += w->insn->length;
	target_thread_set_regs(w->thread, &w->regs);
}
