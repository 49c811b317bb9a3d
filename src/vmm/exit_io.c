/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls: one port, a number in eax, arguments in registers. Everything
 * in them is the guest kernel's word and checked as such.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "arch/paging.h"
#include "base/log.h"
#include "vmm/vmm_impl.h"

/* Arguments in the ABI's order. */
struct call {
	uint64_t rdi, rsi, r8, r9, r10;
};

/* Returns what the guest finds in rax. */
typedef int64_t (*call_fn)(struct vcpu *vcpu, const struct call *call);

/* len bytes at gpa, not crossing a page; NULL when the guest may not. */
static uint8_t *bytes_in_page(struct vcpu *vcpu, uint64_t gpa, uint64_t len)
{
	if (len > CUSTOS_ABI_PAGE || (gpa & ARCH_PAGE_MASK) + len >
			CUSTOS_ABI_PAGE)
		return NULL;
	return vmm_gpa_range(&vcpu->vm->ram, gpa, len);
}

/* ---- console ---- */

static int write_all(struct vmm *vm, const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(vm->console_fd, bytes, len);

		if (n >= 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			struct pollfd fd = { vm->console_fd, POLLOUT, 0 };

			/* A full pipe that nobody empties must not keep ^C
			 * from working. */
			if (vm->stop)
				return 0;
			poll(&fd, 1, 100);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

static int64_t call_console(struct vcpu *vcpu, const struct call *call)
{
	struct vmm *vm = vcpu->vm;
	const uint8_t *bytes = bytes_in_page(vcpu, call->rdi, call->rsi);
	int rc = 0;

	if (!bytes)
		return -CUSTOS_ERR_ARGUMENT;
	pthread_mutex_lock(&vm->console_lock);
	if (vm->console)
		vm->console(vm->console_ctx, bytes, call->rsi);
	else if (vm->console_fd >= 0)
		rc = write_all(vm, bytes, call->rsi);
	pthread_mutex_unlock(&vm->console_lock);
	if (rc)
		vmm_fail(vm, rc, "cannot write what the guest prints: %s",
			strerror(-rc));
	return 0;
}

/* ---- the end ---- */

static int64_t call_exit(struct vcpu *vcpu, const struct call *call)
{
	vmm_end(vcpu->vm, TARGET_EXITED, (int)(call->rdi & 0xff));
	return 0;
}

static int64_t call_panic(struct vcpu *vcpu, const struct call *call)
{
	const uint8_t *bytes = bytes_in_page(vcpu, call->rdi, call->rsi);

	vmm_crash(vcpu, "guest kernel panic on CPU %u: %.*s",
		vcpu->thread.index, bytes ? (int)call->rsi : 0,
		bytes ? (const char *)bytes : "");
	return 0;
}

/* ---- processes ---- */

static int64_t call_process_start(struct vcpu *vcpu, const struct call *call)
{
	struct vmm *vm = vcpu->vm;
	const uint8_t *bytes =
		vmm_gpa_range(&vm->ram, call->r9, TARGET_NAME_MAX);
	const struct target_process *process;
	const struct image *image = NULL;
	char name[TARGET_NAME_MAX];

	if (!bytes ||
		(call->r8 >= vm->module_count && call->r8 != UINT64_MAX) ||
		!vmm_gpa_range(&vm->ram, call->rsi & ARCH_PTE_ADDRESS,
			CUSTOS_ABI_PAGE))
		return -CUSTOS_ERR_ARGUMENT;
	memcpy(name, bytes, sizeof(name));
	if (call->r8 != UINT64_MAX)
		image = vm->modules[call->r8];
	process = vmm_process_add(&vm->processes, call->rdi,
		call->rsi & ARCH_PTE_ADDRESS, name, image);
	if (!process)
		return -CUSTOS_ERR_ARGUMENT;
	vm->handler->process_start(vm->handler->ctx, &vcpu->thread, process);
	return 0;
}

static int64_t call_process_exit(struct vcpu *vcpu, const struct call *call)
{
	struct vmm *vm = vcpu->vm;
	const struct target_process *process =
		vmm_process_find(&vm->processes, call->rdi);

	if (!process || vmm_process_has_ended(process))
		return -CUSTOS_ERR_ARGUMENT;
	vm->handler->process_exit(vm->handler->ctx, &vcpu->thread, process,
		(int64_t)call->rsi);
	vmm_process_end(&vm->processes, call->rdi);
	return 0;
}

static int64_t call_order(struct vcpu *vcpu, const struct call *call)
{
	const struct target_handler *handler = vcpu->vm->handler;
	struct process_table *table = &vcpu->vm->processes;

	if (!vmm_process_find(table, call->rdi) ||
		!vmm_process_find(table, call->rsi) ||
		call->r8 > CUSTOS_ORDER_BOTH)
		return -CUSTOS_ERR_ARGUMENT;
	if (!handler->ordered)
		return 0;
	handler->ordered(handler->ctx, call->rdi, call->rsi);
	if (call->r8 == CUSTOS_ORDER_BOTH)
		handler->ordered(handler->ctx, call->rsi, call->rdi);
	return 0;
}

static int64_t call_mark(struct vcpu *vcpu, const struct call *call)
{
	const struct target_handler *handler = vcpu->vm->handler;
	const struct target_process *process =
		vmm_process_find(&vcpu->vm->processes, call->rdi);
	const uint8_t *bytes = bytes_in_page(vcpu, call->rsi, call->r8);
	char text[CUSTOS_MARK_MAX];

	if (!process || !bytes || call->r8 > CUSTOS_MARK_MAX)
		return -CUSTOS_ERR_ARGUMENT;
	memcpy(text, bytes, call->r8);
	if (handler->mark)
		handler->mark(handler->ctx, process, text, call->r8);
	return 0;
}

static int64_t call_turn(struct vcpu *vcpu, const struct call *call)
{
	const struct target_handler *handler = vcpu->vm->handler;

	if (call->rdi > CUSTOS_TURN_TAKE)
		return -CUSTOS_ERR_ARGUMENT;
	/* Nobody need wait any more when it is over. */
	return !handler->turn || vcpu->vm->stop ||
		handler->turn(handler->ctx, &vcpu->thread,
			call->rdi == CUSTOS_TURN_TAKE);
}

static int64_t call_fault(struct vcpu *vcpu, const struct call *call)
{
	const uint8_t *bytes = vmm_gpa_range(&vcpu->vm->ram, call->rsi,
		sizeof(struct custos_fault_report));
	struct custos_fault_report report;

	if (!bytes)
		return -CUSTOS_ERR_ARGUMENT;
	memcpy(&report, bytes, sizeof(report));
	vmm_report_fault(vcpu,
		vmm_process_find(&vcpu->vm->processes, call->rdi), &report);
	return 0;
}

/* ---- memory ---- */

static struct target_where answer_of(
	struct vmm *vm, const struct custos_where *where)
{
	struct target_where answer = {
		.space = where->cr3,
		.va = where->va,
	};
	uint64_t gpa = where->gpa;

	answer.found = gpa && !(gpa & ARCH_PAGE_MASK) &&
		vmm_fill_page(vm, gpa, &answer.page);
	return answer;
}

/* Pass on what the kernel has answered, and give it the next questions. */
static int64_t where(struct vcpu *vcpu, uint64_t count)
{
	struct target_where answers[CUSTOS_WHERE_MAX];
	struct target_where questions[CUSTOS_WHERE_MAX];
	struct custos_where words[CUSTOS_WHERE_MAX];
	const struct target_handler *handler = vcpu->vm->handler;
	struct custos_boot_info *info = vmm_boot_info(vcpu->vm);
	unsigned asked;

	if (!handler->where)
		return 0;
	memcpy(words, info->where, sizeof(words));
	for (uint64_t i = 0; i < count; i++)
		answers[i] = answer_of(vcpu->vm, &words[i]);
	asked = handler->where(handler->ctx, &vcpu->thread, answers,
		(unsigned)count, questions, CUSTOS_WHERE_MAX);
	for (unsigned i = 0; i < asked; i++)
		words[i] = (struct custos_where){ questions[i].space,
			questions[i].va, 0 };
	memcpy(info->where, words, asked * sizeof(words[0]));
	return asked;
}

static int64_t call_space_changed(struct vcpu *vcpu, const struct call *call)
{
	const struct target_handler *handler = vcpu->vm->handler;

	(void)call;
	handler->spaces_changed(handler->ctx, &vcpu->thread);
	return where(vcpu, 0);
}

static int64_t call_where(struct vcpu *vcpu, const struct call *call)
{
	return call->rdi <= CUSTOS_WHERE_MAX ? where(vcpu, call->rdi) :
					       -CUSTOS_ERR_ARGUMENT;
}

static int64_t call_emulate(struct vcpu *vcpu, const struct call *call)
{
	return vmm_call_emulate(vcpu, call->rdi);
}

static const enum access_kind copy_kinds[] = {
	[CUSTOS_COPY_SYSCALL_LOAD] = ACCESS_SYSCALL_LOAD,
	[CUSTOS_COPY_SYSCALL_STORE] = ACCESS_SYSCALL_STORE,
	[CUSTOS_COPY_IPC_SRC] = ACCESS_IPC_SRC,
	[CUSTOS_COPY_IPC_DST] = ACCESS_IPC_DST,
};

static const int64_t copy_results[] = {
	[TARGET_COPY_DONE] = 0,
	[TARGET_COPY_DENIED] = -CUSTOS_ERR_DENIED,
	[TARGET_COPY_FAULT] = -CUSTOS_ERR_FAULT,
};

/* Where the kernel says that it has saved them. */
static bool saved_regs(struct vcpu *vcpu, struct arch_regs *out)
{
	const struct custos_cpu_state *state = vmm_cpu_state(vcpu);
	struct custos_saved_frame frame;
	const uint8_t *bytes = vmm_gpa_range(
		&vcpu->vm->ram, state->copy_frame, sizeof(frame));

	if (!bytes)
		return false;
	memcpy(&frame, bytes, sizeof(frame));
	*out = (struct arch_regs){ .rip = state->copy_ip,
		.rflags = frame.rflags };
	memcpy(out->gpr, frame.gpr, sizeof(out->gpr));
	out->gpr[ARCH_RSP] = frame.rsp;
	return true;
}

static int64_t call_copy(struct vcpu *vcpu, const struct call *call)
{
	const struct target_handler *handler = vcpu->vm->handler;
	struct arch_regs regs;
	struct target_copy copy = {
		.space = call->rdi & ARCH_PTE_ADDRESS,
		.ip = vmm_cpu_state(vcpu)->copy_ip,
		.address = call->rsi,
		.kernel_bytes = bytes_in_page(vcpu, call->r8, call->r9),
		.size = (uint32_t)call->r9,
	};

	if (!copy.kernel_bytes || !call->r9 ||
		call->r10 >= sizeof(copy_kinds) / sizeof(copy_kinds[0]) ||
		call->rsi >= CUSTOS_USER_END ||
		(call->rsi & ARCH_PAGE_MASK) + call->r9 > CUSTOS_ABI_PAGE)
		return -CUSTOS_ERR_ARGUMENT;
	copy.kind = copy_kinds[call->r10];
	if (saved_regs(vcpu, &regs))
		copy.regs = &regs;
	return copy_results[handler->copy(
		handler->ctx, &vcpu->thread, &copy)];
}

/* ---- dispatch ---- */

static const struct {
	const char *name;
	call_fn fn;
} calls[] = {
	[CUSTOS_CALL_CONSOLE] = { "console", call_console },
	[CUSTOS_CALL_EXIT] = { "exit", call_exit },
	[CUSTOS_CALL_PANIC] = { "panic", call_panic },
	[CUSTOS_CALL_PROCESS_START] = { "process_start", call_process_start },
	[CUSTOS_CALL_PROCESS_EXIT] = { "process_exit", call_process_exit },
	[CUSTOS_CALL_SPACE_CHANGED] = { "space_changed", call_space_changed },
	[CUSTOS_CALL_COPY] = { "copy", call_copy },
	[CUSTOS_CALL_FAULT] = { "fault", call_fault },
	[CUSTOS_CALL_ORDER] = { "order", call_order },
	[CUSTOS_CALL_MARK] = { "mark", call_mark },
	[CUSTOS_CALL_EMULATE] = { "emulate", call_emulate },
	[CUSTOS_CALL_TURN] = { "turn", call_turn },
	[CUSTOS_CALL_WHERE] = { "where", call_where },
};
_Static_assert(sizeof(calls) / sizeof(calls[0]) == CUSTOS_CALL_MAX,
	"a row for every call");

static int64_t dispatch(struct vcpu *vcpu, uint32_t number)
{
	const struct kvm_regs *regs = vcpu_kvm_regs(vcpu);
	struct call call = { regs->rdi, regs->rsi, regs->r8, regs->r9,
		regs->r10 };

	if (number >= CUSTOS_CALL_MAX || !calls[number].fn)
		return -CUSTOS_ERR_CALL;
	log_trace(LOG_VMM, "cpu %u: %s(0x%" PRIx64 ", 0x%" PRIx64 ")",
		vcpu->thread.index, calls[number].name, call.rdi, call.rsi);
	return calls[number].fn(vcpu, &call);
}

/* No device there: reads give ones, as on a PC's empty bus. */
static void exit_other_port(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	size_t len = (size_t)run->io.size * run->io.count;

	log_debug(LOG_VMM, "cpu %u: port 0x%x, %s", vcpu->thread.index,
		run->io.port,
		run->io.direction == KVM_EXIT_IO_IN ? "in" : "out");
	if (run->io.direction == KVM_EXIT_IO_IN &&
		run->io.data_offset + len <= vcpu->vm->kvm.run_size)
		memset((uint8_t *)run + run->io.data_offset, 0xff, len);
}

void vmm_exit_io(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint32_t number;

	if (run->io.port != CUSTOS_PORT || run->io.size != 4 ||
		run->io.count != 1 || run->io.direction != KVM_EXIT_IO_OUT) {
		exit_other_port(vcpu);
		return;
	}
	memcpy(&number, (uint8_t *)run + run->io.data_offset, sizeof(number));
	/*
	 * KVM may still have to move rip behind the out; it compares rip with
	 * where the out was, so changing rax alone does not disturb it.
	 */
	vcpu_kvm_regs(vcpu)->rax = (uint64_t)dispatch(vcpu, number);
	vcpu_dirty(vcpu, KVM_SYNC_X86_REGS);
}
