/* SPDX-License-Identifier: MIT */
/*
 * From a stopped thread to the list of bytes its next instruction touches, and
 * the locks of the kept pages among them. Nothing here has an effect the
 * target could see.
 */
#include <errno.h>
#include <string.h>

#include "base/invariant.h"
#include "session/session_impl.h"

static enum carried fault(struct worker *w, enum arch_vector vector)
{
	w->fault = (struct arch_fault){ .vector = vector };
	return CARRIED_FAULT;
}

/* Add the spans of [va, va + size). */
static enum carried add_spans(struct worker *w, uint32_t access,
	enum access_kind kind, uint64_t va, uint32_t size)
{
	uint32_t at = 0;

	if (w->emulation)
		return emulate_spans(w, access, kind, va, size);
	while (at < size) {
		struct span *span = &w->spans[w->span_count];
		uint32_t first = (uint32_t)(va & ARCH_PAGE_MASK);
		uint32_t room = (uint32_t)ARCH_PAGE_SIZE - first;

		invariant(w->span_count < SPANS_MAX);
		*span = (struct span){
			.access = access,
			.at = at,
			.count = size - at < room ? size - at : room,
			.first = first,
			.va = va,
		};
		if (!target_translate(w->session->config.target, w->space, va,
			    kind, &span->page, &w->fault))
			return CARRIED_FAULT;
		if (span->page.closed)
			span->kept = kept_map_find(
				w->session->map, span->page.frame);
		w->span_count++;
		at += span->count;
		va += span->count;
	}
	return CARRIED_DONE;
}

/*
 * Read up to 15 bytes at rip. A second page that is not there is no fault yet:
 * the instruction may end before it.
 */
static enum carried fetch(struct worker *w, unsigned *out_count)
{
	unsigned n = 0;

	if (w->emulation) {
		*out_count = emulate_fetch(w);
		return CARRIED_DONE;
	}
	while (n < ARCH_INSN_MAX) {
		uint64_t va = w->regs.rip + n;
		uint64_t first = va & ARCH_PAGE_MASK;
		unsigned room = (unsigned)(ARCH_PAGE_SIZE - first);
		unsigned count = ARCH_INSN_MAX - n;
		struct target_page page;

		if (!target_translate(w->session->config.target, w->space, va,
			    ACCESS_FETCH, &page, &w->fault))
			break;
		count = count < room ? count : room;
		if (page.bytes)
			memcpy(w->bytes + n, page.bytes + first, count);
		else
			memset(w->bytes + n, 0, count);
		n += count;
	}
	*out_count = n;
	return n ? CARRIED_DONE : CARRIED_FAULT;
}

static enum carried decode(struct worker *w, unsigned count)
{
	int err = 0;

	w->insn = decode_cached(w->exec, w->regs.rip, w->bytes, count, &err);
	if (w->insn)
		return CARRIED_DONE;
	if (err == -EILSEQ)
		return fault(w, ARCH_VECTOR_UD);
	if (count < ARCH_INSN_MAX && w->emulation)
		return emulate_lacks_code(w, count);
	if (count < ARCH_INSN_MAX)
		return CARRIED_FAULT; /* w->fault: of the second page */
	return fault(w, ARCH_VECTOR_GP); /* longer than 15 bytes */
}

static enum carried get_xstate(struct worker *w)
{
	struct error err;

	w->has_xstate = false;
	if (!w->insn->needs_xstate)
		return CARRIED_DONE;
	if (w->emulation)
		return emulate_xstate(w);
	if (target_thread_get_xstate(w->thread, w->xstate, &err)) {
		session_say(w->session, "custos: %s\n", err.text);
		return CARRIED_STOP;
	}
	w->has_xstate = true;
	return CARRIED_DONE;
}

uint32_t plan_count(const struct worker *w)
{
	return w->access_count;
}

struct exec_access *plan_access(struct worker *w, uint32_t index)
{
	invariant(index < w->access_count);
	return w->planned && !w->joined ? exec_access(w->exec, index) :
					  &w->own[index];
}

static uint64_t register_value(const struct worker *w, int reg)
{
	if (reg == INSN_REG_NONE)
		return 0;
	if (reg == INSN_REG_RIP)
		return w->regs.rip + w->insn->length;
	return w->regs.gpr[reg];
}

static uint64_t operand_address(
	const struct worker *w, const struct insn_operand *operand)
{
	uint64_t address = register_value(w, operand->base) +
		register_value(w, operand->index) * operand->scale +
		(uint64_t)operand->displacement;

	if (w->insn->address32)
		address = (uint32_t)address;
	if (operand->segment == INSN_SEGMENT_FS)
		address += w->regs.fs_base;
	if (operand->segment == INSN_SEGMENT_GS)
		address += w->regs.gs_base;
	return address;
}

/* What an instruction that will be stepped touches, by its plain operands. */
static void plan_operands(struct worker *w)
{
	for (unsigned i = 0; i < w->insn->operand_count; i++) {
		const struct insn_operand *operand = &w->insn->operands[i];
		uint32_t n = w->access_count;

		if (!operand->size || operand->size > OWN_SIZE_MAX ||
			operand->vsib)
			continue;
		w->own[n] = (struct exec_access){
			.kind = operand->kind,
			.operand = (uint8_t)i,
			.size = operand->size,
			.address = operand_address(w, operand),
			.byte_mask = UINT64_MAX,
			.old_bytes = w->own_bytes[n][0],
			.new_bytes = w->own_bytes[n][1],
		};
		w->access_count++;
	}
}

/* An operand that cannot be had faults, but a gather or scatter first does
 * the lanes before it (SDM vol. 2, VGATHERDPS). */
static bool does_lanes_before(const struct worker *w, uint32_t access)
{
	return access && w->planned && w->insn->operand_count &&
		w->insn->operands[0].vsib;
}

static enum carried plan_accesses(struct worker *w)
{
	enum exec_status status = exec_plan(w->exec, w->insn, &w->regs,
		w->has_xstate ? w->xstate : NULL);

	w->planned = status == EXEC_OK;
	if (status == EXEC_FAULT) {
		w->fault = *exec_fault(w->exec);
		return CARRIED_FAULT;
	}
	if (!w->planned && w->emulation)
		return CARRIED_STEP;
	if (!w->planned)
		plan_operands(w);
	else if (!w->insn->repeated || !rep_plan(w))
		w->access_count = exec_count(w->exec);
	for (uint32_t i = 0; i < w->access_count; i++) {
		const struct exec_access *a = plan_access(w, i);
		unsigned spans = w->span_count;
		enum carried carried =
			add_spans(w, i, a->kind, a->address, a->size);

		if (carried == CARRIED_FAULT && does_lanes_before(w, i)) {
			w->span_count = spans;
			w->access_count = i;
			w->lane_faults = true;
			break;
		}
		if (carried != CARRIED_DONE)
			return carried;
	}
	return w->emulation ? emulate_loads(w) : CARRIED_DONE;
}

enum carried plan_instruction(struct worker *w, const uint8_t *served)
{
	unsigned count = ARCH_INSN_MAX;
	enum carried carried = CARRIED_DONE;

	w->start = w->regs;
	w->span_count = 0;
	w->planned = false;
	w->lane_faults = false;
	w->joined = 0;
	w->access_count = 0;
	w->insn = NULL;
	if (w->emulation)
		emulate_begin(w);
	if (served)
		memcpy(w->bytes, served, ARCH_INSN_MAX);
	else
		carried = fetch(w, &count);
	if (carried == CARRIED_DONE)
		carried = decode(w, count);
	if (carried == CARRIED_DONE)
		carried = add_spans(w, SPAN_FETCH, ACCESS_FETCH, w->regs.rip,
			w->insn->length);
	if (carried == CARRIED_DONE)
		carried = get_xstate(w);
	if (carried == CARRIED_DONE)
		carried = plan_accesses(w);
	return carried;
}

static bool is_locked(const struct worker *w, const struct kept_page *page)
{
	for (unsigned i = 0; i < w->locked_count; i++)
		if (w->locked[i] == page)
			return true;
	return false;
}

/* Insert into w->locked by frame, once. */
static void collect(struct worker *w, struct kept_page *page)
{
	unsigned i = w->locked_count;

	if (is_locked(w, page))
		return;
	while (i && kept_page_frame(w->locked[i - 1]) > kept_page_frame(page)) {
		w->locked[i] = w->locked[i - 1];
		i--;
	}
	w->locked[i] = page;
	w->locked_count++;
}

void plan_lock(struct worker *w)
{
	w->locked_count = 0;
	for (unsigned i = 0; i < w->span_count; i++)
		if (w->spans[i].kept)
			collect(w, w->spans[i].kept);
	for (unsigned i = 0; i < w->locked_count; i++)
		kept_page_lock(w->locked[i]);
}

bool plan_lock_more(struct worker *w)
{
	for (unsigned i = 0; i < w->span_count; i++) {
		struct kept_page *page = w->spans[i].kept;

		if (!page || is_locked(w, page))
			continue;
		if (!kept_page_trylock(page))
			return false;
		collect(w, page);
	}
	return true;
}

void plan_unlock(struct worker *w)
{
	while (w->locked_count)
		kept_page_unlock(w->locked[--w->locked_count]);
}

/* One look at memory: aligned pieces as the CPU loads them. */
static void load_one(uint8_t *to, const uint8_t *from, uint32_t count)
{
	bool aligned = ((uintptr_t)from & (count - 1)) == 0;

	if (count == 8 && aligned) {
		uint64_t v = __atomic_load_n(
			(const uint64_t *)(const void *)from, __ATOMIC_SEQ_CST);

		memcpy(to, &v, 8);
	} else if (count == 4 && aligned) {
		uint32_t v = __atomic_load_n(
			(const uint32_t *)(const void *)from, __ATOMIC_SEQ_CST);

		memcpy(to, &v, 4);
	} else {
		memcpy(to, from, count);
	}
}

void plan_read(struct worker *w)
{
	for (unsigned i = 0; i < w->span_count; i++) {
		const struct span *span = &w->spans[i];
		uint8_t *to;

		if (span->access == SPAN_FETCH || span->stores_only)
			continue;
		to = plan_access(w, span->access)->old_bytes + span->at;
		if (span->page.bytes)
			load_one(to, span->page.bytes + span->first,
				span->count);
		else
			memset(to, 0, span->count);
	}
}
