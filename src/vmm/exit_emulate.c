/* SPDX-License-Identifier: MIT */
/*
 * CUSTOS_CALL_EMULATE: between the guest kernel's structures and the handler.
 * All of it is copied before it is looked at (another CPU of the guest may
 * write there meanwhile), checked, and only what the monitor answers is
 * written back.
 */
#include <string.h>

#include "abi/custos_calls.h"
#include "arch/paging.h"
#include "vmm/vmm_impl.h"

/* The kernel's trap frame. */
struct frame {
	uint64_t gpr[ARCH_GPR_MAX]; /* rsp's means nothing */
	uint64_t vector, error_code;
	uint64_t rip, cs, rflags, rsp, ss;
};

_Static_assert(sizeof(struct frame) == 23 * 8, "abi");

/* One call, on its thread's stack. */
struct call {
	struct vcpu *vcpu;
	struct custos_emulate emulate;
	struct frame frame;
	struct arch_xstate xstate;
	/* in guest RAM */
	uint8_t *emulate_bytes, *frame_bytes, *xstate_bytes;
	struct target_emulate target;
};

static bool served_is_valid(const struct custos_emulate_served *s)
{
	return s->size >= 1 && s->size <= sizeof(s->data) &&
		s->va + (s->size - 1) >= s->va &&
		s->kind <= CUSTOS_ACCESS_FETCH;
}

static bool open_is_valid(struct call *c, unsigned i)
{
	const struct custos_emulate_open *o = &c->emulate.open[i];
	const uint32_t rights = CUSTOS_SEGMENT_READ | CUSTOS_SEGMENT_WRITE |
		CUSTOS_SEGMENT_EXEC;
	struct target_page *page = &c->target.open[i];

	/* Pages of devices have no bytes and are nothing to open. */
	return !(o->va & ARCH_PAGE_MASK) && !(o->gpa & ARCH_PAGE_MASK) &&
		!(o->rights & ~rights) &&
		vmm_fill_page(c->vcpu->vm, o->gpa, page) && page->bytes;
}

static bool lists_are_valid(struct call *c)
{
	const struct custos_emulate *e = &c->emulate;

	if (e->served_count > CUSTOS_SERVED_MAX ||
		e->open_count > CUSTOS_OPEN_MAX)
		return false;
	for (unsigned i = 0; i < e->served_count; i++)
		if (!served_is_valid(&e->served[i]))
			return false;
	for (unsigned i = 0; i < e->open_count; i++)
		if (!open_is_valid(c, i))
			return false;
	return true;
}

static bool copy_emulate(struct call *c, uint64_t gpa)
{
	const struct ram *ram = &c->vcpu->vm->ram;

	if (gpa & ARCH_PAGE_MASK)
		return false;
	c->emulate_bytes = vmm_gpa_range(ram, gpa, sizeof(c->emulate));
	if (!c->emulate_bytes)
		return false;
	memcpy(&c->emulate, c->emulate_bytes, sizeof(c->emulate));
	return c->emulate.op >= CUSTOS_EMULATE_RUN &&
		c->emulate.op <= CUSTOS_EMULATE_UNDO && lists_are_valid(c);
}

static bool copy_frame(struct call *c)
{
	uint64_t gpa = c->emulate.frame;
	struct arch_regs *regs = &c->target.regs;

	if ((gpa & 7) || (gpa & ARCH_PAGE_MASK) + sizeof(c->frame) >
			ARCH_PAGE_SIZE)
		return false;
	c->frame_bytes = vmm_gpa_range(
		&c->vcpu->vm->ram, gpa, sizeof(c->frame));
	if (!c->frame_bytes)
		return false;
	memcpy(&c->frame, c->frame_bytes, sizeof(c->frame));
	memcpy(regs->gpr, c->frame.gpr, sizeof(regs->gpr));
	regs->gpr[ARCH_RSP] = c->frame.rsp;
	regs->rip = c->frame.rip;
	regs->rflags = c->frame.rflags | ARCH_RFLAGS_FIXED;
	regs->fs_base = c->emulate.fs_base;
	return true;
}

static bool copy_xstate(struct call *c)
{
	size_t size = c->vcpu->vm->kvm.xsave_size;

	if (!c->emulate.xstate)
		return true;
	if (size > sizeof(c->xstate.area))
		return false;
	c->xstate_bytes =
		vmm_gpa_range(&c->vcpu->vm->ram, c->emulate.xstate, size);
	if (!c->xstate_bytes)
		return false;
	memcpy(c->xstate.area, c->xstate_bytes, size);
	c->xstate.size = size;
	c->target.xstate = &c->xstate;
	return true;
}

static bool find_process(struct call *c)
{
	const struct target_process *process = vmm_process_find(
		&c->vcpu->vm->processes, c->emulate.process);

	if (!process || vmm_process_has_ended(process))
		return false;
	c->target.process = process;
	c->emulate.cr3 &= ARCH_PTE_ADDRESS;
	return true;
}

static void write_back(struct call *c)
{
	const struct arch_regs *regs = &c->target.regs;
	const size_t first = offsetof(struct custos_emulate, result);
	const size_t end = offsetof(struct custos_emulate, open);

	memcpy(c->frame.gpr, regs->gpr, sizeof(c->frame.gpr));
	c->frame.gpr[ARCH_RSP] = 0;
	c->frame.rsp = regs->gpr[ARCH_RSP];
	c->frame.rip = regs->rip;
	c->frame.rflags = regs->rflags;
	memcpy(c->frame_bytes, &c->frame, sizeof(c->frame));
	if (c->emulate.xstate_changed && c->xstate_bytes)
		memcpy(c->xstate_bytes, c->xstate.area, c->xstate.size);
	memcpy(c->emulate_bytes + first, (uint8_t *)&c->emulate + first,
		end - first);
}

static void clear_results(struct custos_emulate *e)
{
	const size_t first = offsetof(struct custos_emulate, result);

	memset((uint8_t *)e + first, 0,
		offsetof(struct custos_emulate, open) - first);
}

int64_t vmm_call_emulate(struct vcpu *vcpu, uint64_t gpa)
{
	const struct target_handler *handler = vcpu->vm->handler;
	struct call c;

	c.vcpu = vcpu;
	c.xstate_bytes = NULL;
	memset(&c.target, 0, sizeof(c.target));
	c.target.emulate = &c.emulate;
	if (!handler->emulate)
		return -CUSTOS_ERR_CALL;
	if (!copy_emulate(&c, gpa) || !find_process(&c) || !copy_frame(&c) ||
		!copy_xstate(&c))
		return -CUSTOS_ERR_ARGUMENT;
	clear_results(&c.emulate);
	handler->emulate(handler->ctx, &vcpu->thread, &c.target);
	write_back(&c);
	return 0;
}
