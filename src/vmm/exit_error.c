/* SPDX-License-Identifier: MIT */
/* KVM_EXIT_INTERNAL_ERROR: what KVM itself could not do. */
#include <errno.h>
#include <inttypes.h>

#include "vmm/vmm_impl.h"

void vmm_exit_internal_error(struct vcpu *vcpu)
{
	vmm_crash(vcpu,
		"KVM cannot emulate what CPU %u does at 0x%" PRIx64
		" (suberror %u)",
		vcpu->thread.index, (uint64_t)vcpu_kvm_regs(vcpu)->rip,
		vcpu->run->internal.suberror);
}
