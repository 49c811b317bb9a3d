/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "vmm/vmm_impl.h"

enum target_step vmm_step(struct vcpu *vcpu, const uint64_t *open_va,
	size_t count, struct arch_fault *fault, struct error *err)
{
	(void)vcpu, (void)open_va, (void)count, (void)fault;
	error_set(err, -ENOTSUP, "not yet");
	return TARGET_STEP_CANNOT;
}

void vmm_step_fini(struct vcpu *vcpu)
{
	(void)vcpu;
}
