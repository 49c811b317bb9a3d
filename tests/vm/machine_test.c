/* SPDX-License-Identifier: MIT */
/* How a machine ends, what it reports, and what a hostile one may not do. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "abi/custos_abi.h"
#include "tests/support/tests.h"
#include "tests/support/vm_kernel.h"

/* What the callbacks of a test leave behind. */
struct watch {
	struct vm vm; /* first: vm_handler()'s context */
	_Atomic unsigned stops;
	struct target *target;
	_Atomic bool open_asked;
	space_t _Atomic space;
};

static void watch_setup(struct watch *w, const struct vm_code *code,
	const struct vm_options *options, struct target_handler *handler)
{
	memset(w, 0, sizeof(*w));
	vm_setup(&w->vm, code, options);
	w->target = w->vm.target;
	*handler = vm_handler(&w->vm);
}

static void close_page_1(void *ctx, struct target_thread *thread,
	const struct target_process *process)
{
	struct watch *w = ctx;

	w->space = process->space;
	vm_close_page(target_thread_target(thread), process->space, 1);
}

static void note_space(void *ctx, struct target_thread *thread,
	const struct target_process *process)
{
	struct watch *w = ctx;

	(void)thread;
	w->space = process->space;
}

/* ---- ^C ---- */

VM_CODE(spins, "1: jmp 1b");
/* Only CPU 0 says done: the others spin; it sleeps for good. */
VM_CODE(halts, "test %edi, %edi; jz 2f; 1: jmp 1b\n"
	       "2: xor %eax, %eax; ud2");

static void *stop_soon(void *arg)
{
	usleep(100 * 1000);
	target_stop(arg);
	return NULL;
}

static void run_and_stop(const struct vm_code *code, unsigned cpus)
{
	struct target_handler handler;
	struct target_result result;
	pthread_t stopper;
	struct watch w;

	watch_setup(&w, code,
		&(struct vm_options){ .cpus = cpus, .interrupts = true },
		&handler);
	assert_int_equal(
		pthread_create(&stopper, NULL, stop_soon, w.target), 0);
	result = vm_run(&w.vm, &handler);
	pthread_join(stopper, NULL);
	assert_int_equal(result.end, TARGET_STOPPED);
	vm_teardown(&w.vm);
}

static void stop_ends_a_machine_that_runs_or_sleeps(void **state)
{
	(void)state;
	run_and_stop(&spins, 1);
	run_and_stop(&halts, 2);
}

/* ---- crashes ---- */

VM_CODE(triples, "mov $4, %eax; ud2");

static void triple_fault_is_reported(void **state)
{
	struct target_handler handler;
	struct target_result result;
	struct watch w;

	(void)state;
	watch_setup(&w, &triples, &(struct vm_options){ 0 }, &handler);
	result = vm_run(&w.vm, &handler);
	assert_int_equal(result.end, TARGET_CRASHED);
	assert_non_null(strstr(w.vm.report, "triple fault on CPU 0"));
	assert_non_null(strstr(w.vm.report, "rax "));
	assert_non_null(strstr(w.vm.report, "backtrace"));
	vm_teardown(&w.vm);
}

VM_CODE(panics, "mov $6, %eax; ud2");

static void panic_is_reported_with_message_code_and_backtrace(void **state)
{
	struct target_handler handler;
	struct target_result result;
	struct watch w;

	(void)state;
	watch_setup(&w, &panics, &(struct vm_options){ 0 }, &handler);
	result = vm_run(&w.vm, &handler);
	assert_int_equal(result.end, TARGET_CRASHED);
	assert_non_null(strstr(w.vm.report, "the test asked for it"));
	assert_non_null(strstr(w.vm.report, "rip ffffffff800"));
	assert_non_null(strstr(w.vm.report, " code:\n  0xffffffff800"));
	assert_non_null(strstr(w.vm.report, "#0  "));
	vm_teardown(&w.vm);
}

VM_CODE(faults, "mov $0x12345678, %ecx; mov %ecx, 0x123");

static void fault_of_a_process_is_reported(void **state)
{
	struct target_handler handler;
	struct target_result result;
	struct watch w;

	(void)state;
	watch_setup(&w, &faults, &(struct vm_options){ 0 }, &handler);
	result = vm_run(&w.vm, &handler);
	assert_int_equal(result.end, TARGET_EXITED);
	assert_int_equal(result.code, 0x80 + ARCH_VECTOR_PF);
	assert_non_null(strstr(w.vm.report, "test: page fault"));
	assert_non_null(
		strstr(w.vm.report, "store to 0x123, which is not mapped"));
	assert_non_null(strstr(w.vm.report, "rcx 0000000012345678"));
	assert_non_null(strstr(w.vm.report, "0x400005: mov"));
	vm_teardown(&w.vm);
}

/* ---- faults for the guest ---- */

VM_CODE(loads, "mov 0x401234, %eax");

static enum target_resume deny(void *ctx, struct target_thread *thread)
{
	struct arch_fault fault = { ARCH_VECTOR_PF,
		ARCH_PF_USER | ARCH_PF_PRESENT, 0x401234 };

	(void)ctx;
	target_thread_fault(thread, &fault);
	return TARGET_RESUME;
}

static void injected_page_fault_reaches_the_kernel(void **state)
{
	struct target_handler handler;
	struct target_result result;
	struct watch w;

	(void)state;
	watch_setup(&w, &loads, &(struct vm_options){ 0 }, &handler);
	handler.process_start = close_page_1;
	handler.access = deny;
	result = vm_run(&w.vm, &handler);
	assert_int_equal(result.code, 0x80 + ARCH_VECTOR_PF);
	assert_non_null(strstr(
		w.vm.report, "load from 0x401234, which is protected"));
	assert_non_null(strstr(w.vm.report, "code 0x5"));
	vm_teardown(&w.vm);
}

/* ---- the kernel at a closed page ---- */

VM_CODE(peeks, "mov $5, %eax; mov $0x401008, %edi; ud2\n"
	       "mov %eax, %edi; xor %eax, %eax; ud2");

static void fill_and_close(void *ctx, struct target_thread *thread,
	const struct target_process *process)
{
	vm_page_bytes(target_thread_target(thread), process->space, 1)[8] = 77;
	close_page_1(ctx, thread, process);
}

static void note_unseen(void *ctx, struct target_thread *thread, frame_t frame,
	uint32_t offset, uint32_t size, bool stored)
{
	struct watch *w = ctx;

	(void)thread;
	if (frame == vm_page_frame(w->target, w->space, 1) && offset == 8 &&
		size == 8 && !stored)
		w->stops++;
}

static void kernels_access_is_performed_and_counted(void **state)
{
	struct target_handler handler;
	struct target_result result;
	struct vmm_stats stats;
	struct watch w;

	(void)state;
	watch_setup(&w, &peeks, &(struct vm_options){ 0 }, &handler);
	handler.process_start = fill_and_close;
	handler.unseen = note_unseen;
	result = vm_run(&w.vm, &handler);
	assert_int_equal(result.end, TARGET_EXITED);
	assert_int_equal(result.code, 77);
	vmm_get_stats(w.target, &stats);
	assert_int_equal(stats.kernel_accesses, 1);
	assert_int_equal(stats.missed_accesses, 0);
	assert_int_equal(w.stops, 1);
	vm_teardown(&w.vm);
}

/* ---- closing under a running CPU ---- */

VM_CODE(counts, "mov $0x401000, %ebx; 1: incq (%rbx); jmp 1b");

static enum target_resume open_when_asked(
	void *ctx, struct target_thread *thread)
{
	struct watch *w = ctx;

	w->stops++;
	while (!w->open_asked)
		usleep(200);
	w->open_asked = false;
	vm_open_page(target_thread_target(thread), w->space, 1);
	return TARGET_RESUME;
}

static uint64_t count_now(struct watch *w)
{
	uint64_t value;

	memcpy(&value, vm_page_bytes(w->target, w->space, 1), sizeof(value));
	return value;
}

#define ROUNDS 20

static void *close_and_open(void *arg)
{
	struct watch *w = arg;
	uint64_t last = 0;

	while (!w->space || !count_now(w))
		usleep(200);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t before;

		vm_close_page(w->target, w->space, 1);
		before = count_now(w);
		assert_true(before > last);
		usleep(500);
		assert_int_equal(count_now(w), before);
		while (w->stops <= i)
			usleep(200);
		w->open_asked = true;
		while (count_now(w) == before)
			usleep(200);
		last = before;
	}
	target_stop(w->target);
	return NULL;
}

static void nothing_gets_through_a_page_just_closed(void **state)
{
	struct target_handler handler;
	struct target_result result;
	pthread_t closer;
	struct watch w;

	(void)state;
	watch_setup(&w, &counts, &(struct vm_options){ 0 }, &handler);
	handler.process_start = note_space;
	handler.access = open_when_asked;
	assert_int_equal(pthread_create(&closer, NULL, close_and_open, &w), 0);
	result = vm_run(&w.vm, &handler);
	pthread_join(closer, NULL);
	assert_int_equal(result.end, TARGET_STOPPED);
	assert_int_equal(w.stops, ROUNDS);
	vm_teardown(&w.vm);
}

/* ---- what must not be closed ---- */

static void refuse_tables(void *ctx, struct target_thread *thread,
	const struct target_process *process)
{
	struct target *target = target_thread_target(thread);
	struct error err = { 0 };
	struct watch *w = ctx;

	/* The root is among what the monitor itself put there. */
	assert_int_equal(target_close_page(target,
				 process->space >> ARCH_PAGE_SHIFT, &err),
		-ENOENT);
	/* The leaf table of the user's pages lies one page before them. */
	vm_close_page(target, process->space, 2);
	assert_int_equal(
		target_close_page(target,
			vm_page_frame(target, process->space, 0) - 1, &err),
		-ENOENT);
	assert_non_null(strstr(err.text, "page table of process test"));
	assert_int_equal(target_close_page(target, 1, &err), -ENOENT);
	assert_int_equal(target_close_page(target, UINT64_MAX, &err), -ENOENT);
	w->stops = 99;
}

VM_CODE(exits, "xor %eax, %eax; xor %edi, %edi; ud2");

static void page_tables_cannot_be_closed(void **state)
{
	struct target_handler handler;
	struct watch w;

	(void)state;
	watch_setup(&w, &exits, &(struct vm_options){ 0 }, &handler);
	handler.process_start = refuse_tables;
	vm_run(&w.vm, &handler);
	assert_int_equal(w.stops, 99);
	vm_teardown(&w.vm);
}

/* ---- devices ---- */

static enum target_resume stop_at_device(
	void *ctx, struct target_thread *thread)
{
	(void)thread;
	((struct watch *)ctx)->stops++;
	return TARGET_STOP;
}

static void device_frames_are_found_by_name(void **state)
{
	static const struct vmm_device devices[] = { { "timer", 1 },
		{ "uart", 8192 } };
	struct target_handler handler;
	struct error err = { 0 };
	frame_t first, other;
	uint64_t count;
	struct watch w;

	(void)state;
	watch_setup(&w, &exits,
		&(struct vm_options){ .devices = devices, .device_count = 2 },
		&handler);
	handler.access = stop_at_device;
	assert_true(target_device(w.target, "timer", &first, &count));
	assert_int_equal(count, 1);
	assert_true(target_device(w.target, "uart", &other, &count));
	assert_int_equal(other, first + 1);
	assert_int_equal(count, 2);
	assert_false(target_device(w.target, "disk", &first, &count));
	assert_int_equal(target_close_page(w.target, other, &err), 0);
	assert_int_equal(target_open_page(w.target, other, &err), -ENOENT);
	vm_run(&w.vm, &handler);
	vm_teardown(&w.vm);
}

/* ---- extended state ---- */

/* Saves xmm0 at 0x410000, changes it and restores it, by the kernel. */
VM_CODE(saves,
	"mov $0x1122334455667788, %rax; movq %rax, %xmm0\n"
	"mov $2, %eax; mov $7, %edi; xor %edx, %edx; ud2\n"
	"pxor %xmm0, %xmm0\n"
	"mov 0x410000 + 160, %rax; mov $0x1122334455667788, %rcx\n"
	"mov $1, %edi; cmp %rax, %rcx; jne 1f\n"
	/* only x87 asked for: xmm0 stays zero */
	"mov $3, %eax; mov $1, %edi; xor %edx, %edx; ud2\n"
	"movq %xmm0, %rax; mov $2, %edi; test %rax, %rax; jnz 1f\n"
	"mov $3, %eax; mov $7, %edi; xor %edx, %edx; ud2\n"
	"movq %xmm0, %rax; mov $0x1122334455667788, %rcx\n"
	"mov $3, %edi; cmp %rax, %rcx; jne 1f\n"
	/* SSE not in XSTATE_BV: initial */
	"andl $~2, 0x410000 + 512\n"
	"mov $3, %eax; mov $7, %edi; xor %edx, %edx; ud2\n"
	"movq %xmm0, %rax; mov $4, %edi; test %rax, %rax; jnz 1f\n"
	"mov $42, %edi\n"
	"1: xor %eax, %eax; ud2");

static void kernels_xsave_and_xrstor_work(void **state)
{
	struct target_handler handler;
	struct target_result result;
	struct watch w;

	(void)state;
	watch_setup(&w, &saves, &(struct vm_options){ 0 }, &handler);
	result = vm_run(&w.vm, &handler);
	assert_string_equal(w.vm.report, "");
	assert_int_equal(result.end, TARGET_EXITED);
	assert_int_equal(result.code, 42);
	vm_teardown(&w.vm);
}

static enum target_resume change_xmm(void *ctx, struct target_thread *thread)
{
	struct arch_regs regs = *target_thread_regs(thread);
	static const uint64_t value = 0x55;
	struct arch_xstate xstate;
	struct error err = { 0 };

	(void)ctx;
	assert_int_equal(target_thread_get_xstate(thread, &xstate, &err), 0);
	assert_int_equal(xstate.area[160], 0x77);
	memcpy(xstate.area + 160, &value, sizeof(value));
	xstate.area[512] |= 2;
	assert_int_equal(target_thread_set_xstate(thread, &xstate, &err), 0);
	regs.rip += 7;
	target_thread_set_regs(thread, &regs);
	return TARGET_RESUME;
}

VM_CODE(vector, "mov $0x77, %eax; movq %rax, %xmm0\n"
		"mov %eax, 0x401000\n"
		"movq %xmm0, %rdi; xor %eax, %eax; ud2");

static void extended_state_is_seen_and_set_at_a_stop(void **state)
{
	struct target_handler handler;
	struct target_result result;
	struct watch w;

	(void)state;
	watch_setup(&w, &vector, &(struct vm_options){ 0 }, &handler);
	handler.process_start = close_page_1;
	handler.access = change_xmm;
	result = vm_run(&w.vm, &handler);
	assert_int_equal(result.code, 0x55);
	vm_teardown(&w.vm);
}

/* ---- a hostile guest ---- */

/*
 * Each row of 7 words is a hypercall: number, rdi, rsi, r8, r9, r10, and the
 * result it must have; ends with number 0x1000. Exit code: 42, or the number
 * of the first row with another result.
 */
VM_CODE(hostile,
	"lea hostile_rows(%rip), %r12; xor %r13d, %r13d\n"
	"1: mov (%r12), %rbx; cmp $0x1000, %rbx; je 2f\n"
	"mov 8(%r12), %rdi; mov 16(%r12), %rsi; mov 24(%r12), %r8\n"
	"mov 32(%r12), %r9; mov 40(%r12), %r10; mov $1, %eax; ud2\n"
	"cmp 48(%r12), %rax; mov %r13, %rdi; jne 3f\n"
	"add $56, %r12; inc %r13; jmp 1b\n"
	"2: mov $42, %edi\n"
	"3: xor %eax, %eax; ud2\n"
	".balign 8\n"
	"hostile_rows:\n"
	/* no such call */
	".quad 0, 0, 0, 0, 0, 0, -1\n"
	".quad 4000, 0, 0, 0, 0, 0, -1\n"
	".quad 0xffffffff, 0, 0, 0, 0, 0, -1\n"
	/* console: outside RAM, wrapping, crossing a page, too long */
	".quad 1, 0, 1, 0, 0, 0, -2\n"
	".quad 1, 0xffffffffffffffff, 2, 0, 0, 0, -2\n"
	".quad 1, 0x100000000, 0xffffffffffffffff, 0, 0, 0, -2\n"
	".quad 1, 0x100000fff, 2, 0, 0, 0, -2\n"
	".quad 1, 0x100000000, 4097, 0, 0, 0, -2\n"
	".quad 1, 0x100800000, 1, 0, 0, 0, -2\n"
	".quad 1, 0x4000000000, 1, 0, 0, 0, -2\n"
	".quad 1, 0x100000000, 0, 0, 0, 0, 0\n"
	/* process_start: used id, id 0, no such module, names, roots */
	".quad 4, 1, 0x100000000, 0, 0x100000000, 0, -2\n"
	".quad 4, 0, 0x100000000, 0, 0x100000000, 0, -2\n"
	".quad 4, 2, 0x100000000, 1, 0x100000000, 0, -2\n"
	".quad 4, 2, 0x100000000, 0, 0x1007ffff0, 0, -2\n"
	".quad 4, 2, 0, 0, 0x100000000, 0, -2\n"
	/* process_exit: nobody */
	".quad 5, 77, 0, 0, 0, 0, -2\n"
	/* where: nothing was asked, more than there is room for */
	".quad 6, 0, 0, 0, 0, 0, 0\n"
	".quad 13, 0, 0, 0, 0, 0, 0\n"
	".quad 13, 33, 0, 0, 0, 0, -2\n"
	".quad 13, 0xffffffffffffffff, 0, 0, 0, 0, -2\n"
	/* copy: kind, lengths, places */
	".quad 7, 0, 0x1000, 0x100000000, 8, 4, -2\n"
	".quad 7, 0, 0x1000, 0x100000000, 0, 0, -2\n"
	".quad 7, 0, 0x1ffc, 0x100000000, 8, 0, -2\n"
	".quad 7, 0, 0x1000, 0x100000ffc, 8, 0, -2\n"
	".quad 7, 0, 0x1000, 0x10, 8, 0, -2\n"
	".quad 7, 0, 0xffff800000000000, 0x100000000, 8, 0, -2\n"
	".quad 7, 0, 0x1000, 0x100000000, 0xfffffffffffffff8, 0, -2\n"
	".quad 7, 0, 0x1000, 0x100000000, 8, 0, -3\n"
	/* fault: a report beyond the end of RAM */
	".quad 8, 1, 0x1007fff80, 0, 0, 0, -2\n"
	/* order: nobody, no such way */
	".quad 9, 1, 77, 0, 0, 0, -2\n"
	".quad 9, 77, 1, 0, 0, 0, -2\n"
	".quad 9, 1, 1, 2, 0, 0, -2\n"
	".quad 9, 1, 1, 1, 0, 0, 0\n"
	/* mark: nobody */
	".quad 10, 77, 0x100000000, 1, 0, 0, -2\n"
	/* emulate: nobody who would do it */
	".quad 11, 0x100000000, 0, 0, 0, 0, -1\n"
	/* turn: no such question; nobody keeps an order: go on */
	".quad 12, 2, 0, 0, 0, 0, -2\n"
	".quad 12, 0xffffffffffffffff, 0, 0, 0, 0, -2\n"
	".quad 12, 1, 0, 0, 0, 0, 1\n"
	".quad 0x1000");

static void hostile_hypercalls_are_refused(void **state)
{
	struct target_handler handler;
	struct target_result result;
	struct watch w;

	(void)state;
	watch_setup(&w, &hostile, &(struct vm_options){ 0 }, &handler);
	result = vm_run(&w.vm, &handler);
	assert_string_equal(w.vm.report, "");
	assert_int_equal(result.end, TARGET_EXITED);
	assert_int_equal(result.code, 42);
	assert_int_equal(w.vm.console_len, 0);
	vm_teardown(&w.vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stop_ends_a_machine_that_runs_or_sleeps),
		cmocka_unit_test(triple_fault_is_reported),
		cmocka_unit_test(
			panic_is_reported_with_message_code_and_backtrace),
		cmocka_unit_test(fault_of_a_process_is_reported),
		cmocka_unit_test(injected_page_fault_reaches_the_kernel),
		cmocka_unit_test(kernels_access_is_performed_and_counted),
		cmocka_unit_test(nothing_gets_through_a_page_just_closed),
		cmocka_unit_test(page_tables_cannot_be_closed),
		cmocka_unit_test(device_frames_are_found_by_name),
		cmocka_unit_test(kernels_xsave_and_xrstor_work),
		cmocka_unit_test(extended_state_is_seen_and_set_at_a_stop),
		cmocka_unit_test(hostile_hypercalls_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
