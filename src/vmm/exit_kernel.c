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

void vmm_exit_kernel_access(struct vcpu *vcpu)
{
	uint64_t rip = vcpu_kvm_regs(vcpu)->rip, open[PAGES_MAX];
	enum target_step step = TARGET_STEP_CANNOT;
	struct error err = { 0 };
	struct arch_fault fault = { 0 };
	uint8_t code[ARCH_INSN_MAX];
	size_t count = 0, len;

	len = vmm_read(vcpu->vm, vcpu_kvm_sregs(vcpu)->cr3, rip, code,
		sizeof(code));
	while (count < PAGES_MAX &&
		vmm_step_find_closed(
			vcpu, code, len, open, count, &open[count])) {
		open[count++] &= ~ARCH_PAGE_MASK;
		step = vmm_step(vcpu, open, count, &fault, &err);
		if (step != TARGET_STEP_FAULT || fault.error_code ||
			fault.vector != ARCH_VECTOR_PF)
			break;
	}
	if (!count)
		return; /* open again by now: it goes through */
	switch (step) {
	case TARGET_STEP_DONE:
		vcpu->stats.kernel_accesses++;
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
