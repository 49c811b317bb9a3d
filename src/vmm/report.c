/* SPDX-License-Identifier: MIT */
/*
 * What people read when the guest, or a process in it, broke: what happened,
 * registers, the code there, and who called it. Every part does without what
 * it cannot find.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <custos/decode.h>

#include "vmm/vmm_impl.h"

#define CODE_LINES 4
#define FRAMES_MAX 32

/* Who a report is about. */
struct subject {
	struct vmm *vm;
	const struct image *image; /* of the code at rip; may be NULL */
	space_t space;
	struct arch_regs regs;
};

static const struct image *image_of(
	struct vmm *vm, const struct target_process *process, uint64_t rip)
{
	if (rip >= CUSTOS_KERNEL_BASE)
		return vm->kernel;
	return process ? process->image : NULL;
}

/* ---- parts ---- */

static void add_registers(struct buf *out, const struct subject *s)
{
	static const char *const names[ARCH_GPR_MAX] = { "rax", "rcx", "rdx",
		"rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11",
		"r12", "r13", "r14", "r15" };

	for (int i = 0; i < ARCH_GPR_MAX; i++)
		buf_printf(out, "  %-3s %016" PRIx64 "%s", names[i],
			s->regs.gpr[i], i % 4 == 3 ? "\n" : "");
	buf_printf(out,
		"  rip %016" PRIx64 "  flags %08" PRIx64 "    cr3 %016" PRIx64
		"\n",
		s->regs.rip, s->regs.rflags, s->space);
}

static void add_place(
	struct buf *out, const struct subject *s, uint64_t address)
{
	const struct image *image = s->image;
	const char *file;
	int line;

	if (!image) {
		buf_printf(out, "0x%" PRIx64, address);
		return;
	}
	image_describe(image, address, out);
	if (image_line_at(image, address, &file, &line))
		buf_printf(out, " (%s:%d)", file, line);
}

static void add_code(struct buf *out, const struct subject *s)
{
	uint64_t at = s->regs.rip;
	uint8_t bytes[ARCH_INSN_MAX];
	struct insn insn;
	char text[128];

	for (int i = 0; i < CODE_LINES; i++) {
		size_t n = vmm_read(s->vm, s->space, at, bytes, sizeof(bytes));

		if (!n) {
			buf_printf(out, "  0x%" PRIx64 ": not readable\n", at);
			return;
		}
		if (decode_insn(bytes, n, &insn)) {
			buf_printf(out, "  0x%" PRIx64 ": ", at);
			buf_add_hex(out, bytes, n < 8 ? n : 8);
			buf_add_str(out, "... (no instruction)\n");
			return;
		}
		decode_text(&insn, at, text, sizeof(text));
		buf_printf(out, "  0x%" PRIx64 ": %s\n", at, text);
		at += insn.length;
	}
}

static bool read_stack(void *ctx, uint64_t va, uint64_t *out)
{
	const struct subject *s = ctx;

	return vmm_read(s->vm, s->space, va, out, sizeof(*out)) ==
		sizeof(*out);
}

static void add_backtrace(struct buf *out, struct subject *s)
{
	const uint64_t *g = s->regs.gpr;
	struct image_frame frame = { s->regs.rip, g[ARCH_RSP], g[ARCH_RBP],
		g[ARCH_RBX], g[ARCH_R12], g[ARCH_R13], g[ARCH_R14],
		g[ARCH_R15], .interrupted = true };

	if (!s->image)
		return;
	for (int i = 0; i < FRAMES_MAX; i++) {
		/* A return address is behind its call, perhaps in another
		 * function. */
		buf_printf(out, "  #%-2d ", i);
		add_place(out, s,
			frame.interrupted ? frame.rip : frame.rip - 1);
		buf_add_char(out, '\n');
		if (!image_unwind(s->image, &frame, i == 0, read_stack, s))
			return;
	}
}

static void add_body(struct buf *out, struct subject *s)
{
	buf_add_str(out, " registers:\n");
	add_registers(out, s);
	buf_add_str(out, " code:\n");
	add_code(out, s);
	buf_add_str(out, " backtrace:\n");
	add_backtrace(out, s);
}

static void send(struct vmm *vm, struct buf *text)
{
	static const char no_memory[] = "custos: no memory for a report\n";
	const struct target_handler *handler = vm->handler;

	if (text->failed)
		handler->report(
			handler->ctx, no_memory, sizeof(no_memory) - 1);
	else
		handler->report(handler->ctx, text->data, text->len);
}

/* ---- the guest broke ---- */

void vmm_crash(struct vcpu *vcpu, const char *format, ...)
{
	struct target_thread *thread = &vcpu->thread;
	struct buf text = BUF_INIT;
	struct subject s = { .vm = vcpu->vm };
	const struct target_process *process;
	va_list args;

	if (!vmm_end(vcpu->vm, TARGET_CRASHED, 0))
		return;
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	buf_add_char(&text, '\n');
	process = vmm_ops.thread_process(thread);
	if (process)
		buf_printf(&text, " process: %s (%" PRIu64 ")\n",
			process->name, process->id);
	s.space = vmm_ops.thread_space(thread);
	s.regs = *vmm_vcpu_regs(vcpu);
	s.image = image_of(vcpu->vm, process, s.regs.rip);
	add_body(&text, &s);
	send(vcpu->vm, &text);
	buf_fini(&text);
}

/* ---- a process faulted ---- */

static const char *const vector_names[] = {
	[ARCH_VECTOR_DE] = "division error",
	[ARCH_VECTOR_DB] = "debug trap",
	[ARCH_VECTOR_BP] = "breakpoint",
	[ARCH_VECTOR_UD] = "invalid instruction",
	[ARCH_VECTOR_NM] = "no floating-point unit",
	[ARCH_VECTOR_DF] = "double fault",
	[ARCH_VECTOR_SS] = "stack fault",
	[ARCH_VECTOR_GP] = "general protection fault",
	[ARCH_VECTOR_PF] = "page fault",
	[ARCH_VECTOR_MF] = "floating-point error",
	[ARCH_VECTOR_AC] = "misaligned access",
	[ARCH_VECTOR_XM] = "SIMD floating-point error",
};

static const char *vector_name(uint64_t vector)
{
	if (vector >= sizeof(vector_names) / sizeof(vector_names[0]) ||
		!vector_names[vector])
		return "fault";
	return vector_names[vector];
}

static void add_page_fault(
	struct buf *out, const struct custos_fault_report *fault)
{
	const char *what = fault->error_code & ARCH_PF_FETCH ? "fetch from" :
		fault->error_code & ARCH_PF_WRITE	     ? "store to" :
							       "load from";

	buf_printf(out, ": %s 0x%" PRIx64 ", which %s", what, fault->cr2,
		fault->error_code & ARCH_PF_RSVD    ? "a keeper refused" :
		fault->error_code & ARCH_PF_PRESENT ? "is protected" :
						      "is not mapped");
}

static void add_headline(struct buf *out, const struct subject *s,
	const char *name, const struct custos_fault_report *fault)
{
	buf_printf(out, "%s: %s (vector %" PRIu64 ", code 0x%" PRIx64 ") at ",
		name, vector_name(fault->vector), fault->vector,
		fault->error_code);
	add_place(out, s, fault->rip);
	if (fault->vector == ARCH_VECTOR_PF)
		add_page_fault(out, fault);
	buf_add_char(out, '\n');
}

void vmm_report_fault(struct vcpu *vcpu, const struct target_process *process,
	const struct custos_fault_report *fault)
{
	struct subject s = {
		.vm = vcpu->vm,
		.image = image_of(vcpu->vm, process, fault->rip),
		.space = fault->cr3 & ARCH_PTE_ADDRESS,
		.regs = { .rip = fault->rip, .rflags = fault->rflags },
	};
	struct buf text = BUF_INIT;

	memcpy(s.regs.gpr, fault->gpr, sizeof(s.regs.gpr));
	add_headline(&text, &s, process ? process->name : "a process", fault);
	add_body(&text, &s);
	send(vcpu->vm, &text);
	buf_fini(&text);
}
