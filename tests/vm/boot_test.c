/* SPDX-License-Identifier: MIT */
/* A machine starts, prints, ends; what a hostile guest says is checked. */
#include <string.h>

#include "abi/custos_abi.h"
#include "tests/support/tests.h"
#include "tests/support/vm_kernel.h"

VM_CODE(exit_code, "xor %eax, %eax; mov $42, %edi; ud2");

static void exit_code_passes_through(void **state)
{
	struct target_handler handler;
	struct target_result result;
	struct vm vm;

	(void)state;
	vm_setup(&vm, &exit_code, &(struct vm_options){ 0 });
	handler = vm_handler(&vm);
	result = vm_run(&vm, &handler);
	assert_string_equal(vm.report, "");
	assert_int_equal(result.end, TARGET_EXITED);
	assert_int_equal(result.code, 42);
	vm_teardown(&vm);
}

/* Page 1 is closed at process start; each store there is skipped. */
VM_CODE(closed_store,
	"mov $0x401008, %ebx; mov $7, %ecx; mov %ecx, (%rbx)\n"
	"xor %eax, %eax; mov %ecx, %edi; ud2");

static void close_page_1(void *ctx, struct target_thread *thread,
	const struct target_process *process)
{
	(void)ctx;
	vm_close_page(target_thread_target(thread), process->space, 1);
}

static enum target_resume skip_store(void *ctx, struct target_thread *thread)
{
	struct arch_regs regs = *target_thread_regs(thread);

	(void)ctx;
	assert_true(target_thread_is_user(thread));
	assert_int_equal(regs.rip, VM_USER + 10);
	assert_int_equal(regs.gpr[ARCH_RBX], VM_PAGE(1) + 8);
	assert_string_equal(target_thread_process(thread)->name, "test");
	regs.rip += 2;
	regs.gpr[ARCH_RCX] = 9;
	target_thread_set_regs(thread, &regs);
	return TARGET_RESUME;
}

static void closed_page_stops_before_the_access(void **state)
{
	struct target_handler handler;
	struct target_result result;
	struct vmm_stats stats;
	struct vm vm;

	(void)state;
	vm_setup(&vm, &closed_store, &(struct vm_options){ 0 });
	handler = vm_handler(&vm);
	handler.process_start = close_page_1;
	handler.access = skip_store;
	result = vm_run(&vm, &handler);
	assert_int_equal(result.end, TARGET_EXITED);
	assert_int_equal(result.code, 9);
	vmm_get_stats(vm.target, &stats);
	assert_int_equal(stats.access_stops, 1);
	vm_teardown(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_code_passes_through),
		cmocka_unit_test(closed_page_stops_before_the_access),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
