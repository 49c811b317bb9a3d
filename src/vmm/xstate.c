/* SPDX-License-Identifier: MIT */
/* Extended state of a vCPU, in the standard XSAVE layout. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/invariant.h"
#include "vmm/vmm_impl.h"

_Static_assert(ARCH_XSTATE_CAPACITY >= sizeof(struct kvm_xsave),
	"room for what KVM gives");

int vmm_xstate_get(
	struct vcpu *vcpu, struct arch_xstate *xstate, struct error *err)
{
	size_t capacity = vcpu->vm->kvm.xsave_capacity;
	unsigned long request = capacity ? KVM_GET_XSAVE2 : KVM_GET_XSAVE;

	if (capacity > sizeof(xstate->area))
		return error_set(err, -E2BIG,
			"this KVM's vector state has %zu bytes; custos takes "
			"%zu",
			capacity, sizeof(xstate->area));
	if (ioctl(vcpu->fd, request, xstate->area))
		return error_set_errno(err, -errno, "KVM_GET_XSAVE");
	xstate->size = vcpu->vm->kvm.xsave_size;
	return 0;
}

int vmm_xstate_set(
	struct vcpu *vcpu, const struct arch_xstate *xstate, struct error *err)
{
	/* KVM reads as many bytes as KVM_GET_XSAVE2 gives. */
	if (ioctl(vcpu->fd, KVM_SET_XSAVE, xstate->area))
		return error_set_errno(err, -errno, "KVM_SET_XSAVE");
	return 0;
}
