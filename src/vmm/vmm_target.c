/* SPDX-License-Identifier: MIT */
/* The machine as a target: running it to its end, and the ops table. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "arch/paging.h"
#include "base/invariant.h"
#include "vmm/kick.h"
#include "vmm/vmm_impl.h"

/* ---- ending ---- */

void vmm_stop_all(struct vmm *vm)
{
	vm->stop = true;
	for (unsigned i = 0; i < vm->cpu_count; i++) {
		pid_t tid = vm->cpus[i].tid;

		if (tid)
			vmm_kick(tid);
	}
}

bool vmm_end(struct vmm *vm, enum target_end end, int code)
{
	bool first;

	pthread_mutex_lock(&vm->end_lock);
	first = !vm->ended;
	if (first) {
		vm->ended = true;
		vm->result.end = end;
		vm->result.code = code;
	}
	pthread_mutex_unlock(&vm->end_lock);
	vmm_stop_all(vm);
	return first;
}

void vmm_fail(struct vmm *vm, int code, const char *format, ...)
{
	va_list args;
	char text[512];

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (vmm_end(vm, TARGET_FAILED, 0))
		error_set(&vm->error, code, "%s", text);
}

/* ---- running ---- */

static int start_threads(struct vmm *vm, struct error *err)
{
	static const int own_faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL,
		SIGTRAP, SIGABRT };
	sigset_t all, old;
	int rc = 0;

	/* ^C and its like are for the thread that started us; what a thread
	 * raises by its own doing (the decoder executes instructions) is for
	 * itself. */
	sigfillset(&all);
	for (size_t i = 0; i < sizeof(own_faults) / sizeof(own_faults[0]); i++)
		sigdelset(&all, own_faults[i]);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	for (unsigned i = 0; !rc && i < vm->cpu_count; i++) {
		struct vcpu *vcpu = &vm->cpus[i];

		rc = pthread_create(&vcpu->host, NULL, vmm_vcpu_main, vcpu);
		vcpu->started = !rc;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!rc)
		return 0;
	vmm_stop_all(vm);
	return error_set_errno(err, -rc, "cannot start a thread per CPU");
}

static void join_threads(struct vmm *vm)
{
	for (unsigned i = 0; i < vm->cpu_count; i++) {
		if (vm->cpus[i].started)
			pthread_join(vm->cpus[i].host, NULL);
		vm->cpus[i].started = false;
	}
}

static int run(struct target *target, const struct target_handler *handler,
	struct target_result *out_result, struct error *err)
{
	struct vmm *vm = vmm_of(target);
	int rc = vmm_kick_init();

	out_result->end = TARGET_FAILED;
	out_result->code = 0;
	if (rc)
		return error_set_errno(err, rc, "cannot use signals");
	vm->handler = handler;
	rc = start_threads(vm, err);
	join_threads(vm);
	vm->handler = NULL;
	if (rc)
		return rc;
	*out_result = vm->result;
	if (vm->result.end == TARGET_FAILED && err)
		*err = vm->error;
	return vm->result.end == TARGET_FAILED ? vm->error.code : 0;
}

static void stop(struct target *target)
{
	vmm_stop_all(vmm_of(target));
}

/* ---- memory ---- */

static const struct target_process *process_of(
	struct target *target, space_t space)
{
	return vmm_process_of_space(&vmm_of(target)->processes, space);
}

static int close_page(struct target *target, frame_t frame, struct error *err)
{
	return vmm_close_frame(vmm_of(target), frame, err);
}

static int open_page(struct target *target, frame_t frame, struct error *err)
{
	return vmm_open_frame(vmm_of(target), frame, err);
}

static bool device(struct target *target, const char *name, frame_t *out_first,
	uint64_t *out_count)
{
	const struct vmm *vm = vmm_of(target);

	for (unsigned i = 0; i < vm->device_count; i++) {
		const struct custos_device *d = &vm->devices[i];

		if (strcmp(d->name, name))
			continue;
		*out_first = d->gpa >> ARCH_PAGE_SHIFT;
		*out_count = d->size >> ARCH_PAGE_SHIFT;
		return true;
	}
	return false;
}

static bool translate(struct target *target, space_t space, uint64_t va,
	enum access_kind kind, struct target_page *page,
	struct arch_fault *fault)
{
	return vmm_translate(vmm_of(target), space, va, kind, page, fault);
}

static bool find_page(struct target *target, space_t space, uint64_t va,
	struct target_page *page)
{
	return vmm_find_page(vmm_of(target), space, va, page);
}

struct custos_boot_info *vmm_boot_info(const struct vmm *vm)
{
	struct custos_boot_info *info = (void *)vmm_gpa_range(
		&vm->ram, vm->boot.info, sizeof(*info));

	invariant(info);
	return info;
}

static void watch_spaces(struct target *target, bool watch, bool asks)
{
	struct custos_boot_info *info = vmm_boot_info(vmm_of(target));

	__atomic_store_n(&info->watch,
		(watch ? CUSTOS_WATCH_CHANGES : 0) |
			(asks ? CUSTOS_WATCH_ASKS : 0),
		__ATOMIC_SEQ_CST);
}

static size_t read_memory(struct target *target, space_t space, uint64_t va,
	void *bytes, size_t len)
{
	return vmm_read(vmm_of(target), space, va, bytes, len);
}

static size_t write_memory(struct target *target, space_t space, uint64_t va,
	const void *bytes, size_t len)
{
	return vmm_write(vmm_of(target), space, va, bytes, len);
}

static bool next_page(struct target *target, space_t space, uint64_t va,
	uint64_t *out_va, const uint8_t **out_bytes)
{
	return vmm_next_page(vmm_of(target), space, va, out_va, out_bytes);
}

/* ---- threads ---- */

static space_t thread_space(struct target_thread *thread)
{
	return vcpu_kvm_sregs(vcpu_of(thread))->cr3 & ARCH_PTE_ADDRESS;
}

const struct custos_cpu_state *vmm_cpu_state(const struct vcpu *vcpu)
{
	return &vmm_boot_info(vcpu->vm)->cpus[vcpu->thread.index];
}

/* The kernel's word for who runs here; its cr3 when it has none. */
static const struct target_process *thread_process(struct target_thread *thread)
{
	struct vmm *vm = vcpu_of(thread)->vm;
	const struct target_process *process;
	uint64_t id = __atomic_load_n(
		&vmm_cpu_state(vcpu_of(thread))->process, __ATOMIC_RELAXED);

	process = id ? vmm_process_find(&vm->processes, id) : NULL;
	if (process && process->space == thread_space(thread))
		return process;
	return vmm_process_of_space(&vm->processes, thread_space(thread));
}

static bool thread_is_user(struct target_thread *thread)
{
	return vcpu_is_user(vcpu_of(thread));
}

static const struct arch_regs *thread_regs(struct target_thread *thread)
{
	return vmm_vcpu_regs(vcpu_of(thread));
}

static void thread_set_regs(
	struct target_thread *thread, const struct arch_regs *regs)
{
	vmm_vcpu_set_regs(vcpu_of(thread), regs);
}

static int thread_get_xstate(struct target_thread *thread,
	struct arch_xstate *xstate, struct error *err)
{
	return vmm_xstate_get(vcpu_of(thread), xstate, err);
}

static int thread_set_xstate(struct target_thread *thread,
	const struct arch_xstate *xstate, struct error *err)
{
	return vmm_xstate_set(vcpu_of(thread), xstate, err);
}

static void thread_fault(
	struct target_thread *thread, const struct arch_fault *fault)
{
	struct vcpu *vcpu = vcpu_of(thread);

	vcpu->fault = *fault;
	vcpu->fault_pending = true;
	vcpu->trap_pending = false;
}

static enum target_step thread_step(struct target_thread *thread,
	const uint64_t *open_va, size_t count, struct arch_fault *fault,
	struct error *err)
{
	return vmm_step(vcpu_of(thread), open_va, count, fault, err);
}

const struct target_ops vmm_ops = {
	.kind = "vm",
	.destroy = vmm_destroy,
	.run = run,
	.stop = stop,
	.process_of = process_of,
	.close_page = close_page,
	.open_page = open_page,
	.device = device,
	.translate = translate,
	.find_page = find_page,
	.watch_spaces = watch_spaces,
	.read = read_memory,
	.write = write_memory,
	.next_page = next_page,
	.thread_process = thread_process,
	.thread_space = thread_space,
	.thread_is_user = thread_is_user,
	.thread_regs = thread_regs,
	.thread_set_regs = thread_set_regs,
	.thread_get_xstate = thread_get_xstate,
	.thread_set_xstate = thread_set_xstate,
	.thread_fault = thread_fault,
	.thread_step = thread_step,
};
