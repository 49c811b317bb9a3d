/* SPDX-License-Identifier: MIT */
/* What people read when the guest, or a process in it, broke. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "vmm/vmm_impl.h"

/* What the parts of a report need to know. */
struct subject {
	struct vmm *vm;
	const struct image *image; /* of the code at rip; may be NULL */
	space_t space;
	struct arch_regs regs;
};

static void add_registers(struct buf *out, const struct arch_regs *regs)
{
	static const char *const names[ARCH_GPR_MAX] = { "rax", "rcx", "rdx",
		"rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11",
		"r12", "r13", "r14", "r15" };

	for (int i = 0; i < ARCH_GPR_MAX; i++)
		buf_printf(out, "%s%-3s %016" PRIx64 "%s",
			i % 4 ? "  " : "  ", names[i], regs->gpr[i],
			i % 4 == 3 ? "\n" : "");
	buf_printf(out, "  rip %016" PRIx64 "  rflags %08" PRIx64 "\n",
		regs->rip, regs->rflags);
}

static void send(struct vmm *vm, struct buf *text)
{
	const struct target_handler *handler = vm->handler;

	if (text->len && !text->failed)
		handler->report(handler->ctx, text->data, text->len);
}

void vmm_crash(struct vcpu *vcpu, const char *format, ...)
{
	struct buf text = BUF_INIT;
	va_list args;

	if (!vmm_end(vcpu->vm, TARGET_CRASHED, 0))
		return;
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	buf_add_char(&text, '\n');
	add_registers(&text, vmm_vcpu_regs(vcpu));
	send(vcpu->vm, &text);
	buf_fini(&text);
}

void vmm_report_fault(struct vcpu *vcpu, const struct target_process *process,
	const struct custos_fault_report *fault)
{
	struct buf text = BUF_INIT;

	buf_printf(&text, "%s: fault %" PRIu64 " at 0x%" PRIx64 "\n",
		process ? process->name : "?", fault->vector, fault->rip);
	send(vcpu->vm, &text);
	buf_fini(&text);
}
