/* SPDX-License-Identifier: MIT */
/* The KVM at hand: what it must offer, what it offers, a machine made of it. */
#ifndef CUSTOS_VMM_KVM_H
#define CUSTOS_VMM_KVM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "vmm/xsave.h"

/* One thing asked of KVM: KVM_CHECK_EXTENSION(cap) & mask >= minimum. */
struct kvm_need {
	int cap;
	int mask; /* 0: the whole value */
	int minimum;
	const char *name; /* as KVM's documentation has it */
	const char *purpose; /* what custos does with it */
	bool optional;
};
extern const struct kvm_need vmm_kvm_needs[];
extern const size_t vmm_kvm_need_count;

#define KVM_CPUID_MAX 256

/* Room for what KVM_GET_SUPPORTED_CPUID gives. */
struct kvm_cpuid_set {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[KVM_CPUID_MAX];
};

struct kvm {
	int fd;
	int vm_fd; /* -1 when only probed */
	size_t run_size; /* of struct kvm_run with its pages */
	size_t xsave_capacity; /* of KVM_GET_XSAVE2; 0: only GET_XSAVE */
	uint64_t xcr0; /* what guests may enable, AMX left out */
	uint32_t xsave_size; /* of an XSAVE area with all of xcr0 */
	struct xsave_layout xsave;
	unsigned phys_bits;
	struct kvm_cpuid_set *cpuid;
};

/* "/dev/kvm", unless CUSTOS_KVM in the environment names another (tests). */
const char *vmm_kvm_path(void);

/* Open path ("/dev/kvm"). The sentence says what the user can do about it. */
int vmm_kvm_open(struct kvm *kvm, const char *path, struct error *err);
void vmm_kvm_close(struct kvm *kvm);

/* What need is met with; negative when it is not. */
int vmm_kvm_check(const struct kvm *kvm, const struct kvm_need *need);

/* Every need that is not met, in one sentence. 0 when all are. */
int vmm_kvm_check_all(const struct kvm *kvm, struct error *err);

/* Fill the fields below vm_fd. */
int vmm_kvm_read_cpuid(struct kvm *kvm, struct error *err);

/* A machine with interrupt controllers and no memory. */
int vmm_kvm_create_vm(struct kvm *kvm, struct error *err);

/* Have guest-physical [gpa, gpa + size) be the host's memory at bytes; size
 * 0 removes the slot. */
int vmm_kvm_set_slot(const struct kvm *kvm, unsigned slot, uint64_t gpa,
	void *bytes, uint64_t size, struct error *err);

/* A vCPU with the id, its CPUID set. */
int vmm_kvm_create_vcpu(const struct kvm *kvm, unsigned id, int *out_fd,
	struct kvm_run **out_run, struct error *err);

/* The entry of leaf function.index, or NULL. */
const struct kvm_cpuid_entry2 *vmm_kvm_cpuid_entry(
	const struct kvm_cpuid_set *cpuid, uint32_t function, uint32_t index);

#endif
