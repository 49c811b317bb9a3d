/* SPDX-License-Identifier: MIT */
/*
 * One instruction on a private view (view.h), with TF set and interrupts off.
 * Every exception ends in a gate of the monitor's: #DB says the instruction
 * retired, any other that it did not. Nothing of this depends on how a KVM
 * treats KVM_GUESTDBG_SINGLESTEP, or on the guest's kernel. The exception's
 * frame goes onto the kernel's stack for this CPU, which is empty while user
 * code runs.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

#include "arch/paging.h"
#include "base/log.h"
#include "vmm/step.h"
#include "vmm/view.h"
#include "vmm/vmm_impl.h"

/* What the CPU pushes for an exception, lowest address first. */
struct frame {
	uint64_t rip, cs, rflags, rsp, ss;
};

struct step {
	struct vcpu *vcpu;
	const struct view *view;
	enum step_form form;
	uint8_t code[ARCH_INSN_MAX];
	size_t code_len;
	/* before */
	struct kvm_regs regs;
	struct kvm_sregs sregs;
};

/* ---- leaving for the instruction and coming back ---- */

static void enter(struct step *s)
{
	struct kvm_regs *regs = vcpu_kvm_regs(s->vcpu);
	struct kvm_sregs *sregs = vcpu_kvm_sregs(s->vcpu);

	s->regs = *regs;
	s->sregs = *sregs;
	regs->rflags &= ~(uint64_t)(ARCH_RFLAGS_RF | ARCH_RFLAGS_IF);
	regs->rflags |= ARCH_RFLAGS_TF;
	sregs->cr3 = s->view->root;
	sregs->idt.base = s->view->window;
	sregs->idt.limit = 256 * 16 - 1;
	vcpu_dirty(s->vcpu, KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS);
}

static void restore(struct step *s)
{
	*vcpu_kvm_regs(s->vcpu) = s->regs;
	*vcpu_kvm_sregs(s->vcpu) = s->sregs;
	vcpu_dirty(s->vcpu, KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS);
}

/* Registers after the instruction; the rest of the state as before it. */
static void retire(struct step *s, const struct frame *frame)
{
	struct kvm_regs *regs = vcpu_kvm_regs(s->vcpu);
	struct kvm_sregs *sregs = vcpu_kvm_sregs(s->vcpu);
	struct kvm_segment ds = sregs->ds, es = sregs->es, fs = sregs->fs,
			   gs = sregs->gs;
	/* popf has put its own TF there. */
	uint64_t ours = ARCH_RFLAGS_IF |
		(s->form == STEP_POPF ? 0 : ARCH_RFLAGS_TF);

	regs->rip = frame->rip;
	regs->rsp = frame->rsp;
	regs->rflags = (frame->rflags & ~(ours | ARCH_RFLAGS_RF)) |
		(s->regs.rflags & ours);
	*sregs = s->sregs;
	sregs->ds = ds;
	sregs->es = es;
	sregs->fs = fs;
	sregs->gs = gs;
	vcpu_dirty(s->vcpu, KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS);
}

/* pushf has pushed the flags we lent it: put the program's there. */
static void fix_pushed_flags(struct step *s)
{
	const struct kvm_regs *regs = vcpu_kvm_regs(s->vcpu);
	uint64_t ours = ARCH_RFLAGS_IF | ARCH_RFLAGS_TF, pushed = 0;
	size_t size = s->regs.rsp - regs->rsp;
	space_t space = s->sregs.cr3 & ARCH_PTE_ADDRESS;

	if (size > sizeof(pushed) ||
		vmm_read(s->vcpu->vm, space, regs->rsp, &pushed, size) != size)
		return;
	pushed = (pushed & ~ours) | (s->regs.rflags & ours);
	vmm_write(s->vcpu->vm, space, regs->rsp, &pushed, size);
}

/* ---- how it ended ---- */

static enum target_step done(struct step *s, struct error *err)
{
	struct vcpu *vcpu = s->vcpu;
	struct frame frame;
	uint64_t rsp = vcpu_kvm_regs(vcpu)->rsp;

	if (vmm_read(vcpu->vm, s->sregs.cr3, rsp, &frame, sizeof(frame)) !=
		sizeof(frame)) {
		vmm_fail(vcpu->vm, -EIO,
			"no kernel stack at 0x%" PRIx64 " after a step", rsp);
		error_set(err, -EIO, "the guest's kernel stack is gone");
		return TARGET_STEP_CANNOT;
	}
	retire(s, &frame);
	if (s->form == STEP_PUSHF)
		fix_pushed_flags(s);
	if (s->regs.rflags & ARCH_RFLAGS_TF) {
		/* The program steps itself: its own trap follows. */
		vcpu->fault = (struct arch_fault){ .vector = ARCH_VECTOR_DB };
		vcpu->fault_pending = vcpu->trap_pending = true;
	}
	vcpu->stats.steps++;
	return TARGET_STEP_DONE;
}

static enum target_step faulted(
	struct step *s, int vector, struct arch_fault *fault)
{
	uint64_t rsp = vcpu_kvm_regs(s->vcpu)->rsp, code = 0;

	*fault = (struct arch_fault){
		.vector = (enum arch_vector)vector,
		.address = vector == ARCH_VECTOR_PF ?
			vcpu_kvm_sregs(s->vcpu)->cr2 :
			0,
	};
	if (vmm_vector_has_error_code(fault->vector))
		vmm_read(s->vcpu->vm, s->sregs.cr3, rsp, &code, sizeof(code));
	fault->error_code = (uint32_t)code;
	restore(s);
	return TARGET_STEP_FAULT;
}

/* Another closed page is in the way: find it for the caller. */
static enum target_step blocked(
	struct step *s, struct arch_fault *fault, struct error *err)
{
	struct step_touch touch;

	restore(s);
	if (vmm_step_find_closed(s->vcpu, s->code, s->code_len, s->view->pages,
		    s->view->page_count, &touch)) {
		*fault = (struct arch_fault){ .vector = ARCH_VECTOR_PF,
			.address = touch.va };
		return TARGET_STEP_FAULT;
	}
	error_set(err, -EFAULT,
		"the instruction at 0x%" PRIx64
		" touches a kept page custos cannot find",
		(uint64_t)s->regs.rip);
	return TARGET_STEP_CANNOT;
}

static enum target_step cannot(struct step *s, struct error *err)
{
	uint32_t reason = s->vcpu->run->exit_reason;

	/* A triple fault or an emulated piece of I/O leaves no way back. */
	if (reason != KVM_EXIT_INTERNAL_ERROR)
		vmm_fail(s->vcpu->vm, -EIO,
			"KVM stopped a step at 0x%" PRIx64 " for reason %u",
			(uint64_t)s->regs.rip, reason);
	restore(s);
	error_set(err, -ENOTSUP,
		"KVM cannot execute the instruction at 0x%" PRIx64,
		(uint64_t)s->regs.rip);
	return TARGET_STEP_CANNOT;
}

static enum target_step run(
	struct step *s, struct arch_fault *fault, struct error *err)
{
	struct kvm_run *kvm_run = s->vcpu->run;
	int vector;

	for (;;) {
		/* A kick is for the run loop, which looks at what it means
		 * before the vCPU runs again. */
		__atomic_store_n(&kvm_run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		if (!ioctl(s->vcpu->fd, KVM_RUN, 0))
			break;
		if (errno == EFAULT)
			return blocked(s, fault, err);
		if (errno != EINTR && errno != EAGAIN)
			return cannot(s, err);
	}
	vector = vmm_view_vector(s->view, vcpu_kvm_regs(s->vcpu)->rip);
	if (kvm_run->exit_reason != KVM_EXIT_IO || vector < 0)
		return cannot(s, err);
	return vector == ARCH_VECTOR_DB ? done(s, err) :
					  faulted(s, vector, fault);
}

/* ---- before ---- */

/* The code segment of the kernel, as its own page-fault gate has it. */
static int kernel_selector(struct vcpu *vcpu, uint16_t *out, struct error *err)
{
	const struct kvm_sregs *sregs = vcpu_kvm_sregs(vcpu);
	uint64_t gate = 0;

	if (sregs->idt.limit < (ARCH_VECTOR_PF + 1) * 16 - 1 ||
		vmm_read(vcpu->vm, sregs->cr3,
			sregs->idt.base + ARCH_VECTOR_PF * 16, &gate,
			sizeof(gate)) != sizeof(gate))
		return error_set(err, -ENOTSUP,
			"the guest kernel has no interrupt table yet");
	*out = (uint16_t)(gate >> 16);
	return 0;
}

/* The last reason to refuse: pages without memory behind them. */
static bool names_device(
	struct vcpu *vcpu, const uint64_t *open_va, size_t count)
{
	struct vmm *vm = vcpu->vm;
	struct paging_path path;

	for (size_t i = 0; i < count; i++)
		if (paging_walk(vcpu_kvm_sregs(vcpu)->cr3, open_va[i],
			    vmm_ram_read_word, &vm->ram, &path) &&
			vmm_device_at(vm, path.gpa))
			return true;
	return false;
}

static int check_possible(const struct step *s, const uint64_t *open_va,
	size_t count, struct error *err)
{
	uint64_t rip = vcpu_kvm_regs(s->vcpu)->rip;

	if (s->form == STEP_REFUSED)
		return error_set(err, -ENOTSUP,
			"the instruction at 0x%" PRIx64
			" leaves no single-step trap",
			rip);
	if (names_device(s->vcpu, open_va, count))
		return error_set(err, -ENOTSUP,
			"the instruction at 0x%" PRIx64
			" touches a device, which has no memory to step on",
			rip);
	return 0;
}

enum target_step vmm_step(struct vcpu *vcpu, const uint64_t *open_va,
	size_t count, struct arch_fault *fault, struct error *err)
{
	struct step s = { .vcpu = vcpu };
	uint64_t rip = vcpu_kvm_regs(vcpu)->rip;
	enum target_step result;
	uint16_t selector = 0;

	vcpu->fault_pending = vcpu->trap_pending = false;
	vcpu->stuck_count = 0;
	s.code_len = vmm_read(vcpu->vm, vcpu_kvm_sregs(vcpu)->cr3, rip, s.code,
		sizeof(s.code));
	s.form = vmm_step_classify(s.code, s.code_len);
	if (s.form == STEP_SYSCALL)
		return vmm_step_syscall(vcpu, s.code, err);
	if (check_possible(&s, open_va, count, err) ||
		kernel_selector(vcpu, &selector, err) ||
		vmm_view_get(vcpu, open_va, count, selector, &s.view, err))
		return TARGET_STEP_CANNOT;
	enter(&s);
	result = run(&s, fault, err);
	vcpu->regs_read = false;
	log_trace(LOG_VMM, "cpu %u: step at 0x%" PRIx64 ": %d",
		vcpu->thread.index, rip, result);
	return result;
}

void vmm_step_fini(struct vcpu *vcpu)
{
	vmm_view_fini(vcpu);
}
