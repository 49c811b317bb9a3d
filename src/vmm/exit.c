/* SPDX-License-Identifier: MIT */
/* Why KVM_RUN came back, and who deals with it. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/log.h"
#include "vmm/vmm_impl.h"

typedef void (*exit_fn)(struct vcpu *vcpu);

/* A signal, or nothing at all: go round the loop. */
static void exit_nothing(struct vcpu *vcpu)
{
	(void)vcpu;
}

static void exit_shutdown(struct vcpu *vcpu)
{
	/* SVM's KVM resets such a CPU before it tells us: no guest of ours
	 * runs at the reset vector without page tables. */
	bool reset = vmm_vcpu_regs(vcpu)->rip == 0xfff0 &&
		!vmm_ops.thread_space(&vcpu->thread);

	vmm_crash(vcpu, "triple fault on CPU %u%s", vcpu->thread.index,
		reset ? " (what it did is not known: KVM has reset it)" : "");
}

static void exit_fail_entry(struct vcpu *vcpu)
{
	uint64_t why = vcpu->run->fail_entry.hardware_entry_failure_reason;

	vmm_fail(vcpu->vm, -EIO,
		"the CPU refuses the state of guest CPU %u (reason 0x%" PRIx64
		")",
		vcpu->thread.index, why);
}

static void exit_system_event(struct vcpu *vcpu)
{
	vmm_crash(vcpu, "system event %u on CPU %u",
		vcpu->run->system_event.type, vcpu->thread.index);
}

static void exit_debug(struct vcpu *vcpu)
{
	vmm_fail(vcpu->vm, -EIO,
		"KVM reports a debug exception nobody asked for on CPU %u",
		vcpu->thread.index);
}

static const struct {
	const char *name;
	exit_fn handle; /* NULL: we cannot go on after it */
} exits[] = {
	[KVM_EXIT_UNKNOWN] = { "unknown", NULL },
	[KVM_EXIT_EXCEPTION] = { "exception", NULL },
	[KVM_EXIT_IO] = { "io", vmm_exit_io },
	[KVM_EXIT_HYPERCALL] = { "hypercall", NULL },
	[KVM_EXIT_DEBUG] = { "debug", exit_debug },
	[KVM_EXIT_HLT] = { "hlt", NULL },
	[KVM_EXIT_MMIO] = { "mmio", vmm_exit_mmio },
	[KVM_EXIT_IRQ_WINDOW_OPEN] = { "irq window", exit_nothing },
	[KVM_EXIT_SHUTDOWN] = { "shutdown", exit_shutdown },
	[KVM_EXIT_FAIL_ENTRY] = { "failed entry", exit_fail_entry },
	[KVM_EXIT_INTR] = { "signal", exit_nothing },
	[KVM_EXIT_INTERNAL_ERROR] = { "internal error",
		vmm_exit_internal_error },
	[KVM_EXIT_SYSTEM_EVENT] = { "system event", exit_system_event },
};

void vmm_exit_handle(struct vcpu *vcpu)
{
	uint32_t reason = vcpu->run->exit_reason;
	const char *name = "?";

	if (reason < sizeof(exits) / sizeof(exits[0])) {
		if (exits[reason].handle) {
			exits[reason].handle(vcpu);
			return;
		}
		if (exits[reason].name)
			name = exits[reason].name;
	}
	vmm_fail(vcpu->vm, -EIO,
		"KVM stopped CPU %u for a reason custos does not handle: %s "
		"(%u)",
		vcpu->thread.index, name, reason);
}
