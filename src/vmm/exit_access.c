/* SPDX-License-Identifier: MIT */
/*
 * An instruction met a closed page: KVM_RUN said EFAULT, rip is still at it
 * and nothing of it has happened. The hot path of custos: no allocation, no
 * lock and no system call of our own in here.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/ioctl.h>

#include "vmm/vmm_impl.h"

/* So many stops in a row at one instruction that changes nothing: KVM cannot
 * reach some memory for a reason of its own. */
#define STUCK_MAX 1000000

bool vmm_vector_has_error_code(enum arch_vector vector)
{
	return vector == ARCH_VECTOR_DF ||
		(vector >= 10 && vector <= ARCH_VECTOR_PF) ||
		vector == ARCH_VECTOR_AC;
}

/* Hand the fault to the guest when the vCPU runs next. */
static void inject(struct vcpu *vcpu)
{
	struct kvm_vcpu_events events;

	vcpu->fault_pending = false;
	vcpu->stuck_count = 0;
	if (ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events)) {
		vmm_fail(vcpu->vm, -errno, "KVM_GET_VCPU_EVENTS failed");
		return;
	}
	events.flags &= ~(uint32_t)KVM_VCPUEVENT_VALID_PAYLOAD;
	events.exception.injected = 1;
	events.exception.pending = 0;
	events.exception.nr = (uint8_t)vcpu->fault.vector;
	events.exception.has_error_code =
		vmm_vector_has_error_code(vcpu->fault.vector);
	events.exception.error_code = vcpu->fault.error_code;
	if (ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events)) {
		vmm_fail(vcpu->vm, -errno, "KVM_SET_VCPU_EVENTS failed");
		return;
	}
	if (vcpu->fault.vector == ARCH_VECTOR_PF) {
		vcpu_kvm_sregs(vcpu)->cr2 = vcpu->fault.address;
		vcpu_dirty(vcpu, KVM_SYNC_X86_SREGS);
	}
}

static void note_progress(struct vcpu *vcpu)
{
	uint64_t rip = vcpu_kvm_regs(vcpu)->rip;

	if (rip != vcpu->stuck_rip) {
		vcpu->stuck_rip = rip;
		vcpu->stuck_count = 0;
	} else if (++vcpu->stuck_count > STUCK_MAX) {
		vmm_fail(vcpu->vm, -EIO,
			"CPU %u makes no progress at 0x%" PRIx64
			": KVM cannot reach memory there",
			vcpu->thread.index, rip);
	}
}

static void ask(struct vcpu *vcpu)
{
	const struct target_handler *handler = vcpu->vm->handler;

	vcpu->stats.access_stops++;
	if (handler->access(handler->ctx, &vcpu->thread) == TARGET_STOP)
		vmm_end(vcpu->vm, TARGET_STOPPED, 0);
}

void vmm_exit_access(struct vcpu *vcpu)
{
	note_progress(vcpu);
	if (vcpu_is_user(vcpu))
		ask(vcpu);
	else
		vmm_exit_kernel_access(vcpu);
	if (vcpu->fault_pending)
		inject(vcpu);
}
