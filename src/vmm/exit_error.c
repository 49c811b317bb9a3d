/* SPDX-License-Identifier: MIT */
/*
 * KVM_EXIT_INTERNAL_ERROR. A KVM that emulates the guest's kernel does not
 * know XSAVE and XRSTOR: they are finished here, from the vCPU's state. Any
 * other instruction it cannot emulate ends the run with a report.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/operand.h"
#include "vmm/vmm_impl.h"
#include "vmm/xsave.h"

enum xsave_form { XSAVE_NONE, XSAVE_SAVE, XSAVE_RESTORE };

/* XSAVE, XSAVEOPT (allowed to save everything) and XRSTOR; the compacted
 * forms are nothing the boot info offers. */
static enum xsave_form classify(const struct insn *insn)
{
	const uint8_t *p = insn->bytes;

	if ((*p & 0xf0) == 0x40)
		p++;
	if (p[0] != 0x0f || p[1] != 0xae || insn->operand_count != 1)
		return XSAVE_NONE;
	switch (p[2] >> 3 & 7) {
	case 4:
	case 6:
		return XSAVE_SAVE;
	case 5:
		return XSAVE_RESTORE;
	default:
		return XSAVE_NONE;
	}
}

static uint64_t mask_of(const struct vcpu *vcpu)
{
	const struct kvm_regs *regs = vcpu_kvm_regs(vcpu);

	return ((uint32_t)regs->rax | regs->rdx << 32) & vcpu->vm->kvm.xcr0;
}

static bool save(struct vcpu *vcpu, uint64_t address, struct error *err)
{
	struct vmm *vm = vcpu->vm;
	size_t size = vm->kvm.xsave_size;
	struct arch_xstate state, memory;
	space_t space = vcpu_kvm_sregs(vcpu)->cr3;

	if (vmm_xstate_get(vcpu, &state, err))
		return false;
	memory.size = size;
	if (vmm_read(vm, space, address, memory.area, size) != size ||
		!vmm_xsave_merge(&vm->kvm.xsave, mask_of(vcpu), &state,
			&memory) ||
		vmm_write(vm, space, address, memory.area, size) != size) {
		error_set(err, -EFAULT, "no memory at 0x%" PRIx64, address);
		return false;
	}
	return true;
}

static bool restore(struct vcpu *vcpu, uint64_t address, struct error *err)
{
	struct vmm *vm = vcpu->vm;
	size_t size = vm->kvm.xsave_size;
	struct arch_xstate state, memory;

	if (vmm_xstate_get(vcpu, &state, err))
		return false;
	memory.size = size;
	if (vmm_read(vm, vcpu_kvm_sregs(vcpu)->cr3, address, memory.area,
		    size) != size) {
		error_set(err, -EFAULT, "no memory at 0x%" PRIx64, address);
		return false;
	}
	if (!vmm_xrstor_merge(
		    &vm->kvm.xsave, mask_of(vcpu), &memory, &state)) {
		error_set(err, -EINVAL, "a malformed XSAVE area at 0x%" PRIx64,
			address);
		return false;
	}
	return !vmm_xstate_set(vcpu, &state, err);
}

/* KVM has queued #UD for what it could not emulate: take it back. */
static bool forget_exception(struct vcpu *vcpu, struct error *err)
{
	struct kvm_vcpu_events events;

	if (ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events)) {
		error_set_errno(err, -errno, "KVM_GET_VCPU_EVENTS");
		return false;
	}
	if (!events.exception.injected && !events.exception.pending)
		return true;
	events.exception.injected = events.exception.pending = 0;
	if (ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events)) {
		error_set_errno(err, -errno, "KVM_SET_VCPU_EVENTS");
		return false;
	}
	return true;
}

static bool finish(
	struct vcpu *vcpu, const struct insn *insn, struct error *err)
{
	enum xsave_form form = classify(insn);
	uint64_t address;

	if (form == XSAVE_NONE || vcpu_is_user(vcpu)) {
		error_set(err, -ENOTSUP, "not an instruction custos knows");
		return false;
	}
	address = vmm_operand_address(
		insn, &insn->operands[0], vmm_vcpu_regs(vcpu));
	if (!(form == XSAVE_SAVE ? save(vcpu, address, err) :
				   restore(vcpu, address, err)) ||
		!forget_exception(vcpu, err))
		return false;
	vcpu_kvm_regs(vcpu)->rip += insn->length;
	vcpu_dirty(vcpu, KVM_SYNC_X86_REGS);
	vcpu->stats.xsaves++;
	return true;
}

void vmm_exit_internal_error(struct vcpu *vcpu)
{
	uint32_t suberror = vcpu->run->internal.suberror;
	uint64_t rip = vcpu_kvm_regs(vcpu)->rip;
	uint8_t code[ARCH_INSN_MAX];
	struct error err = { 0 };
	struct insn insn;
	size_t len;

	/* The bytes are where rip is; not every KVM puts them into run. */
	len = vmm_read(vcpu->vm, vcpu_kvm_sregs(vcpu)->cr3, rip, code,
		sizeof(code));
	if (suberror == KVM_INTERNAL_ERROR_EMULATION &&
		!decode_insn(code, len, &insn) && finish(vcpu, &insn, &err))
		return;
	vmm_crash(vcpu,
		"KVM cannot execute what CPU %u does at 0x%" PRIx64
		" (suberror %u%s%s)",
		vcpu->thread.index, rip, suberror, err.code ? "; " : "",
		err.text);
}
