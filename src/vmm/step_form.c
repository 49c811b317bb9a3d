/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include <custos/decode.h>

#include "arch/paging.h"
#include "vmm/operand.h"
#include "vmm/step.h"
#include "vmm/vmm_impl.h"

#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_SFMASK 0xc0000084u

/* ---- what kind of instruction it is ---- */

static bool is_prefix(uint8_t byte)
{
	static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
		0x66, 0x67, 0xf0, 0xf2, 0xf3 };

	return memchr(prefixes, byte, sizeof(prefixes)) != NULL ||
		(byte & 0xf0) == 0x40;
}

static enum step_form classify_0f(const uint8_t *code, size_t len)
{
	if (len < 2)
		return STEP_PLAIN;
	switch (code[1]) {
	case 0x05:
		return STEP_SYSCALL;
	case 0x34: /* sysenter */
	case 0xb2: /* lss: blocks traps for an instruction, as mov ss */
		return STEP_REFUSED;
	default:
		return STEP_PLAIN;
	}
}

/* The reg field of the ModRM byte behind a one-byte opcode. */
static int modrm_reg(const uint8_t *code, size_t len)
{
	return len < 2 ? -1 : code[1] >> 3 & 7;
}

enum step_form vmm_step_classify(const uint8_t *code, size_t len)
{
	size_t i = 0;

	while (i < len && is_prefix(code[i]))
		i++;
	if (i == len)
		return STEP_PLAIN;
	code += i;
	len -= i;
	switch (code[0]) {
	case 0x0f:
		return classify_0f(code, len);
	case 0x9c:
		return STEP_PUSHF;
	case 0x9d:
		return STEP_POPF;
	case 0x8e: /* mov ss */
		return modrm_reg(code, len) == 2 ? STEP_REFUSED : STEP_PLAIN;
	case 0xff: /* far call, far jmp */
		return modrm_reg(code, len) == 3 || modrm_reg(code, len) == 5 ?
			STEP_REFUSED :
			STEP_PLAIN;
	case 0xcc: /* int3, int n, int1: end in the kernel */
	case 0xcd:
	case 0xf1:
	case 0xca: /* far returns */
	case 0xcb:
	case 0xcf:
		return STEP_REFUSED;
	default:
		return STEP_PLAIN;
	}
}

/* ---- syscall ---- */

struct syscall_msrs {
	struct kvm_msrs head;
	struct kvm_msr_entry entries[3];
};

static struct kvm_segment flat_segment(uint16_t selector, bool code)
{
	return (struct kvm_segment){
		.limit = ~0u,
		.selector = selector,
		.type = code ? 11 : 3,
		.present = 1,
		.s = 1,
		.l = code,
		.db = !code,
		.g = 1,
	};
}

enum target_step vmm_step_syscall(
	struct vcpu *vcpu, const uint8_t *code, struct error *err)
{
	struct syscall_msrs msrs = {
		.head.nmsrs = 3,
		.entries = { { .index = MSR_STAR }, { .index = MSR_LSTAR },
			{ .index = MSR_SFMASK } },
	};
	struct kvm_regs *regs = vcpu_kvm_regs(vcpu);
	struct kvm_sregs *sregs = vcpu_kvm_sregs(vcpu);
	uint16_t selector;

	/* With prefixes it is as long as they are; nobody writes them. */
	if (code[0] != 0x0f || ioctl(vcpu->fd, KVM_GET_MSRS, &msrs) != 3 ||
		!paging_is_canonical(msrs.entries[1].data)) {
		error_set(err, -ENOTSUP,
			"this system call cannot be single-stepped");
		return TARGET_STEP_CANNOT;
	}
	regs->rcx = regs->rip + 2;
	regs->r11 = regs->rflags & ~(uint64_t)ARCH_RFLAGS_RF;
	regs->rip = msrs.entries[1].data;
	regs->rflags = (regs->r11 & ~msrs.entries[2].data) | ARCH_RFLAGS_FIXED;
	selector = (uint16_t)(msrs.entries[0].data >> 32 & 0xfffc);
	sregs->cs = flat_segment(selector, true);
	sregs->ss = flat_segment((uint16_t)(selector + 8), false);
	vcpu_dirty(vcpu, KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS);
	vcpu->regs_read = false;
	vcpu->stats.steps++;
	return TARGET_STEP_DONE;
}

/* ---- what is in the way of a step ---- */

struct search {
	struct vcpu *vcpu;
	const uint64_t *open_pages;
	size_t open_count;
};

/* Is the byte at out->va in the way? Then fills out->gpa. */
static bool is_closed_at(const struct search *s, struct step_touch *out)
{
	struct paging_path path;
	struct vmm *vm = s->vcpu->vm;

	for (size_t i = 0; i < s->open_count; i++)
		if (s->open_pages[i] == (out->va & ~ARCH_PAGE_MASK))
			return false;
	if (!paging_walk(vcpu_kvm_sregs(s->vcpu)->cr3, out->va,
		    vmm_ram_read_word, &vm->ram, &path))
		return false;
	out->gpa = path.gpa;
	return vmm_device_at(vm, path.gpa) ||
		vmm_ram_is_closed(&vm->ram, path.gpa);
}

/* The first part of [va, va + size) in a closed page. */
static bool find_in(const struct search *s, uint64_t va, uint64_t size,
	struct step_touch *out)
{
	uint64_t last = va + size - 1;

	for (out->va = va;;) {
		uint64_t next = (out->va & ~ARCH_PAGE_MASK) + ARCH_PAGE_SIZE;

		if (is_closed_at(s, out)) {
			out->size = (next - 1 < last ? next - 1 : last) -
				out->va + 1;
			return true;
		}
		if (next > last || next <= va)
			return false;
		out->va = next;
	}
}

static bool find_operand(const struct search *s, const struct insn *insn,
	const struct insn_operand *op, struct step_touch *out)
{
	uint32_t size = op->size ? op->size : s->vcpu->vm->kvm.xsave_size;

	out->stores = access_writes(op->kind);
	return find_in(s,
		vmm_operand_address(insn, op, vmm_vcpu_regs(s->vcpu)), size,
		out);
}

bool vmm_step_find_closed(struct vcpu *vcpu, const uint8_t *code, size_t len,
	const uint64_t *open_pages, size_t open_count, struct step_touch *out)
{
	struct search s = { vcpu, open_pages, open_count };
	const struct arch_regs *regs;
	struct insn insn;

	vcpu->regs_read = false;
	regs = vmm_vcpu_regs(vcpu);
	out->stores = false;
	if (decode_insn(code, len, &insn))
		return find_in(&s, regs->rip, len ? len : 1, out);
	if (find_in(&s, regs->rip, insn.length, out))
		return true;
	for (unsigned i = 0; i < insn.operand_count; i++)
		if (find_operand(&s, &insn, &insn.operands[i], out))
			return true;
	/* Implicit uses of the stack. */
	out->stores = false;
	return find_in(&s, regs->gpr[ARCH_RSP] - 8, 16, out);
}
