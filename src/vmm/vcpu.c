/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/paging.h"
#include "base/invariant.h"
#include "vmm/kick.h"
#include "vmm/vmm_impl.h"

#define EFER (UINT64_C(0xd01)) /* SCE LME LMA NXE */
#define CR0 (UINT64_C(0x80010033)) /* PG WP NE ET MP PE */
#define CR4 (UINT64_C(0x40620)) /* OSXSAVE OSXMMEXCPT OSFXSR PAE */
#define CR4_TSD (UINT64_C(1) << 2)
#define APIC_BASE UINT64_C(0xfee00000)
#define APIC_ENABLE (UINT64_C(1) << 11)
#define APIC_X2APIC (UINT64_C(1) << 10)
#define APIC_BSP (UINT64_C(1) << 8)

/* ---- the state a vCPU starts in: abi/custos_abi.h ---- */

static const struct kvm_segment boot_code = {
	.limit = ~0u,
	.selector = 0x08,
	.type = 11,
	.present = 1,
	.s = 1,
	.l = 1,
	.g = 1,
};

static const struct kvm_segment boot_data = {
	.limit = ~0u,
	.selector = 0x10,
	.type = 3,
	.present = 1,
	.db = 1,
	.s = 1,
	.g = 1,
};

static int set_sregs(struct vcpu *vcpu, struct error *err)
{
	const struct boot *boot = &vcpu->vm->boot;
	struct kvm_sregs s;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &s))
		return error_set_errno(err, -errno, "KVM_GET_SREGS");
	s.cs = boot_code;
	s.ds = s.es = s.fs = s.gs = s.ss = boot_data;
	s.gdt.base = CUSTOS_DIRECT_BASE + boot->gdt;
	s.gdt.limit = 3 * 8 - 1;
	s.idt.base = 0;
	s.idt.limit = 0;
	s.cr0 = CR0;
	s.cr3 = boot->cr3;
	s.cr4 = CR4 | (vcpu->vm->virtual_time ? CR4_TSD : 0);
	s.efer = EFER;
	s.apic_base = APIC_BASE | APIC_ENABLE | APIC_X2APIC |
		(vcpu->thread.index ? 0 : APIC_BSP);
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &s))
		return error_set_errno(err, -errno, "KVM_SET_SREGS");
	return 0;
}

static int set_start_regs(struct vcpu *vcpu, struct error *err)
{
	struct kvm_regs regs = {
		.rip = vcpu->vm->boot.entry,
		.rdi = CUSTOS_DIRECT_BASE + vcpu->vm->boot.info,
		.rsi = vcpu->thread.index,
		.rflags = ARCH_RFLAGS_FIXED,
	};
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
	struct kvm_xcrs xcrs = {
		.nr_xcrs = 1,
		.xcrs[0].value = vcpu->vm->kvm.xcr0,
	};

	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs))
		return error_set_errno(err, -errno, "KVM_SET_REGS");
	if (ioctl(vcpu->fd, KVM_SET_XCRS, &xcrs))
		return error_set_errno(err, -errno, "KVM_SET_XCRS");
	if (ioctl(vcpu->fd, KVM_SET_MP_STATE, &runnable))
		return error_set_errno(err, -errno, "KVM_SET_MP_STATE");
	return 0;
}

int vmm_vcpu_init(struct vmm *vm, unsigned index, struct error *err)
{
	struct vcpu *vcpu = &vm->cpus[index];
	int rc;

	vcpu->vm = vm;
	vcpu->thread.target = &vm->target;
	vcpu->thread.index = index;
	rc = vmm_kvm_create_vcpu(&vm->kvm, index, &vcpu->fd, &vcpu->run, err);
	if (rc || (rc = set_sregs(vcpu, err)) ||
		(rc = set_start_regs(vcpu, err)))
		return rc;
	vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	return 0;
}

void vmm_vcpu_fini(struct vcpu *vcpu)
{
	vmm_step_fini(vcpu);
	if (vcpu->run)
		munmap(vcpu->run, vcpu->vm->kvm.run_size);
	if (vcpu->fd > 0)
		close(vcpu->fd);
}

/* ---- registers ---- */

static void read_regs(struct vcpu *vcpu)
{
	const struct kvm_regs *k = vcpu_kvm_regs(vcpu);
	const struct kvm_sregs *s = vcpu_kvm_sregs(vcpu);

	vcpu->regs = (struct arch_regs){
		.gpr = { k->rax, k->rcx, k->rdx, k->rbx, k->rsp, k->rbp, k->rsi,
			k->rdi, k->r8, k->r9, k->r10, k->r11, k->r12, k->r13,
			k->r14, k->r15 },
		.rip = k->rip,
		/* RF is the fault's trace, not the program's state. */
		.rflags = k->rflags & ~(uint64_t)ARCH_RFLAGS_RF,
		.fs_base = s->fs.base,
		.gs_base = s->gs.base,
	};
	vcpu->regs_read = true;
}

const struct arch_regs *vmm_vcpu_regs(struct vcpu *vcpu)
{
	if (!vcpu->regs_read)
		read_regs(vcpu);
	return &vcpu->regs;
}

/* What user code can change of RFLAGS. */
#define USER_FLAGS                                                             \
	(ARCH_RFLAGS_CF | ARCH_RFLAGS_PF | ARCH_RFLAGS_AF | ARCH_RFLAGS_ZF |   \
		ARCH_RFLAGS_SF | ARCH_RFLAGS_TF | ARCH_RFLAGS_DF |             \
		ARCH_RFLAGS_OF | ARCH_RFLAGS_NT | ARCH_RFLAGS_AC |             \
		ARCH_RFLAGS_ID | ARCH_RFLAGS_RF)

static void write_regs(struct vcpu *vcpu, const struct arch_regs *regs)
{
	const uint64_t *g = regs->gpr;
	struct kvm_regs *k = vcpu_kvm_regs(vcpu);

	*k = (struct kvm_regs){
		.rax = g[ARCH_RAX],
		.rcx = g[ARCH_RCX],
		.rdx = g[ARCH_RDX],
		.rbx = g[ARCH_RBX],
		.rsp = g[ARCH_RSP],
		.rbp = g[ARCH_RBP],
		.rsi = g[ARCH_RSI],
		.rdi = g[ARCH_RDI],
		.r8 = g[ARCH_R8],
		.r9 = g[ARCH_R9],
		.r10 = g[ARCH_R10],
		.r11 = g[ARCH_R11],
		.r12 = g[ARCH_R12],
		.r13 = g[ARCH_R13],
		.r14 = g[ARCH_R14],
		.r15 = g[ARCH_R15],
		.rip = regs->rip,
		.rflags = (k->rflags & ~(uint64_t)USER_FLAGS) |
			(regs->rflags & USER_FLAGS) | ARCH_RFLAGS_FIXED,
	};
	vcpu_dirty(vcpu, KVM_SYNC_X86_REGS);
}

void vmm_vcpu_set_regs(struct vcpu *vcpu, const struct arch_regs *regs)
{
	struct kvm_sregs *s = vcpu_kvm_sregs(vcpu);

	if (!paging_is_canonical(regs->rip)) {
		/* No CPU gets there: the jump itself faults, with the state
		 * before it. */
		vcpu->fault = (struct arch_fault){ .vector = ARCH_VECTOR_GP };
		vcpu->fault_pending = true;
		return;
	}
	if (vcpu->trap_pending) /* what was stepped is being undone */
		vcpu->fault_pending = vcpu->trap_pending = false;
	write_regs(vcpu, regs);
	if (s->fs.base != regs->fs_base || s->gs.base != regs->gs_base) {
		s->fs.base = regs->fs_base;
		s->gs.base = regs->gs_base;
		vcpu_dirty(vcpu, KVM_SYNC_X86_SREGS);
	}
	vcpu->regs = *regs;
	vcpu->regs_read = true;
	vcpu->stuck_count = 0;
}

/* ---- the host thread ---- */

static void run_once(struct vcpu *vcpu)
{
	int rc = ioctl(vcpu->fd, KVM_RUN, 0);

	vcpu->regs_read = false;
	if (!rc) {
		vmm_exit_handle(vcpu);
		return;
	}
	switch (errno) {
	case EFAULT:
		vmm_exit_access(vcpu);
		return;
	case EINTR: /* kicked: the caller looks why */
	case EAGAIN:
		return;
	default:
		vmm_fail(vcpu->vm, -errno, "KVM cannot run CPU %u: %s",
			vcpu->thread.index, strerror(errno));
	}
}

void *vmm_vcpu_main(void *arg)
{
	struct vcpu *vcpu = arg;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", vcpu->thread.index);
	prctl(PR_SET_NAME, name);
	vmm_kick_enter(&vcpu->run->immediate_exit);
	vcpu->tid = (pid_t)syscall(SYS_gettid);
	for (;;) {
		/*
		 * Clear, then look: a kick that comes after the look sets
		 * immediate_exit again and KVM_RUN does not begin; one that
		 * came before the clear set stop first.
		 */
		__atomic_store_n(
			&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		if (vcpu->vm->stop)
			break;
		run_once(vcpu);
	}
	vcpu->tid = 0;
	vmm_kick_leave();
	return NULL;
}
