/* SPDX-License-Identifier: MIT */
/*
 * KVM emulated an instruction and found no memory: nothing is there, or a
 * closed page is. The guest kernel is written to copy to and from kept frames
 * with CUSTOS_CALL_COPY, so the latter is the rare race of a page closed
 * between its look and its copy (where KVM emulates all kernel code), and is
 * performed on mapping B and counted: the summary says so, nobody is asked.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "vmm/vmm_impl.h"

/* Those at pages open again by now are nobody's business. */
static void count(struct vcpu *vcpu, uint64_t gpa, uint32_t len, bool stored)
{
	if (!vmm_device_at(vcpu->vm, gpa) &&
		!vmm_ram_is_closed(&vcpu->vm->ram, gpa))
		return;
	if (vcpu_is_user(vcpu))
		vcpu->stats.missed_accesses++;
	else
		vcpu->stats.kernel_accesses++;
	vmm_tell_unseen(vcpu, gpa, len, stored);
}

void vmm_exit_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint64_t gpa = run->mmio.phys_addr;
	uint32_t len = run->mmio.len;
	uint8_t *bytes = vmm_gpa_range(&vcpu->vm->ram, gpa, len);

	if (len > sizeof(run->mmio.data)) {
		vmm_fail(vcpu->vm, -EIO, "KVM reports an access of %u bytes",
			len);
		return;
	}
	if (!bytes && !vmm_device_at(vcpu->vm, gpa)) {
		vmm_crash(vcpu,
			"access to guest-physical 0x%" PRIx64
			", where nothing is, on CPU %u",
			gpa, vcpu->thread.index);
		return;
	}
	log_debug(LOG_VMM, "cpu %u: %s of %u bytes at gpa 0x%" PRIx64
		" by way of mmio, rip 0x%" PRIx64,
		vcpu->thread.index, run->mmio.is_write ? "store" : "load", len,
		gpa, (uint64_t)vcpu_kvm_regs(vcpu)->rip);
	/* Registers stay alone: the instruction is not over. */
	if (run->mmio.is_write && bytes)
		memcpy(bytes, run->mmio.data, len);
	else if (bytes)
		memcpy(run->mmio.data, bytes, len);
	else if (!run->mmio.is_write)
		memset(run->mmio.data, 0xff, len);
	count(vcpu, gpa, len, run->mmio.is_write);
}
