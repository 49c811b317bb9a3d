/* SPDX-License-Identifier: MIT */
/*
 * The guest's kernel met a closed page at an instruction of its own. It is
 * written not to (CUSTOS_CALL_COPY), so this is the rare race of a page that
 * was closed between its look and its copy: the instruction is stepped with
 * what it touches open, and counted; the summary says so, nobody is asked.
 * (Where KVM emulates all kernel code, exit_mmio.c does the same.)
 */
#include <errno.h>
#include <inttypes.h>

#include "vmm/step.h"
#include "vmm/vmm_impl.h"

#define PAGES_MAX 4

void vmm_tell_unseen(
	struct vcpu *vcpu, uint64_t gpa, uint64_t len, bool stored)
{
	const struct target_handler *handler = vcpu->vm->handler;

	if (handler->unseen)
		handler->unseen(handler->ctx, &vcpu->thread,
			gpa >> ARCH_PAGE_SHIFT,
			(uint32_t)(gpa & ARCH_PAGE_MASK), (uint32_t)len,
			stored);
}

/* What is in its way, and the pages of it. */
struct obstacles {
	struct step_touch touch[PAGES_MAX];
	uint64_t pages[PAGES_MAX];
	size_t count;
};

/* Step, each time with one more page open, until nothing is in the way. */
static enum target_step step_through(struct vcpu *vcpu, struct obstacles *o,
	struct arch_fault *fault, struct error *err)
{
	uint64_t rip = vcpu_kvm_regs(vcpu)->rip;
	enum target_step step = TARGET_STEP_CANNOT;
	uint8_t code[ARCH_INSN_MAX];
	size_t len = vmm_read(vcpu->vm, vcpu_kvm_sregs(vcpu)->cr3, rip, code,
		sizeof(code));

	while (o->count < PAGES_MAX &&
		vmm_step_find_closed(vcpu, code, len, o->pages, o->count,
			&o->touch[o->count])) {
		o->pages[o->count] = o->touch[o->count].va & ~ARCH_PAGE_MASK;
		o->count++;
		step = vmm_step(vcpu, o->pages, o->count, fault, err);
		if (step != TARGET_STEP_FAULT || fault->error_code ||
			fault->vector != ARCH_VECTOR_PF)
			break;
	}
	return step;
}

void vmm_exit_kernel_access(struct vcpu *vcpu)
{
	struct arch_fault fault = { 0 };
	struct obstacles o = { .count = 0 };
	struct error err = { 0 };
	enum target_step step = step_through(vcpu, &o, &fault, &err);

	if (!o.count)
		return; /* open again by now: it goes through */
	switch (step) {
	case TARGET_STEP_DONE:
		vcpu->stats.kernel_accesses++;
		for (size_t i = 0; i < o.count; i++)
			vmm_tell_unseen(vcpu, o.touch[i].gpa, o.touch[i].size,
				o.touch[i].stores);
		return;
	case TARGET_STEP_FAULT:
		vcpu->fault = fault;
		vcpu->fault_pending = true;
		return;
	case TARGET_STEP_CANNOT:
		vmm_crash(vcpu,
			"the guest kernel touches a kept page on CPU %u in a "
			"way custos cannot perform%s%s",
			vcpu->thread.index, err.code ? ": " : "", err.text);
	}
}
