/* SPDX-License-Identifier: MIT */
#include "tests/support/vm_kernel.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/custos_abi.h"
#include "base/invariant.h"
#include "tests/support/tests.h"
#include "tests/support/tiny_elf.h"

_Static_assert(CUSTOS_PORT == 0x6375 && CUSTOS_CALL_EXIT == 2 &&
		CUSTOS_CALL_PANIC == 3 && CUSTOS_CALL_PROCESS_START == 4 &&
		CUSTOS_CALL_FAULT == 8,
	"asm");
_Static_assert(offsetof(struct custos_boot_info, cpu_count) == 8, "asm");
_Static_assert(offsetof(struct custos_boot_info, free_base) == 56, "asm");
_Static_assert(offsetof(struct custos_boot_info, cpus) == 96, "asm");

extern const uint8_t vm_kernel[], vm_kernel_data[], vm_kernel_end[];
extern const uint8_t vm_kernel_cpus[], vm_kernel_flags[], vm_kernel_user[];

/* The kernel's bytes with what this test wants patched in. */
static void *make_kernel(const struct vm_code *code,
	const struct vm_options *options, size_t *out_size)
{
	size_t text = (size_t)(vm_kernel_data - vm_kernel);
	size_t total = (size_t)(vm_kernel_end - vm_kernel);
	size_t code_size = (size_t)(code->end - code->start);
	uint32_t cpus = options->cpus ? options->cpus : 1;
	uint64_t flags = options->interrupts ? 0x202 : 0x002;
	uint8_t *bytes = malloc(total);
	struct tiny_segment segments[2];
	void *file;

	invariant(bytes && code_size <= 4096);
	memcpy(bytes, vm_kernel, total);
	memcpy(bytes + (vm_kernel_cpus - vm_kernel), &cpus, sizeof(cpus));
	memcpy(bytes + (vm_kernel_flags - vm_kernel), &flags, sizeof(flags));
	memcpy(bytes + (vm_kernel_user - vm_kernel), code->start, code_size);
	segments[0] = (struct tiny_segment){ VM_KERNEL_BASE, bytes, text, text,
		PF_R | PF_X };
	segments[1] = (struct tiny_segment){ VM_KERNEL_BASE + text,
		bytes + text, total - text, total - text, PF_R | PF_W };
	file = tiny_elf_make(segments, 2, VM_KERNEL_BASE, out_size);
	free(bytes);
	return file;
}

static void on_console(void *ctx, const void *bytes, size_t len)
{
	struct vm *vm = ctx;

	invariant(vm->console_len + len < sizeof(vm->console));
	memcpy(vm->console + vm->console_len, bytes, len);
	vm->console_len += len;
}

static void open_images(struct vm *vm, const struct vm_code *code,
	const struct vm_options *options)
{
	struct tiny_segment segment = { VM_USER, code->start,
		(uint64_t)(code->end - code->start), 4096, PF_R | PF_X };
	struct error err = { 0 };
	size_t size;

	vm->kernel_file = make_kernel(code, options, &size);
	if (image_open_memory(
		    "kernel", vm->kernel_file, size, &vm->kernel, &err))
		fail_msg("kernel: %s", err.text);
	vm->program_file = tiny_elf_make(&segment, 1, VM_USER, &size);
	if (image_open_memory(
		    "test", vm->program_file, size, &vm->program, &err))
		fail_msg("program: %s", err.text);
}

void vm_setup(struct vm *vm, const struct vm_code *code,
	const struct vm_options *options)
{
	struct vmm_config config = VMM_CONFIG_INIT;
	const struct image *modules[1];
	struct error err = { 0 };

	memset(vm, 0, sizeof(*vm));
	if (access("/dev/kvm", R_OK | W_OK))
		test_skip("no /dev/kvm");
	open_images(vm, code, options);
	modules[0] = vm->program;
	config.cpus = options->cpus ? options->cpus : 1;
	config.memory = 8 << 20;
	config.kernel = vm->kernel;
	config.modules = modules;
	config.module_count = 1;
	config.devices = options->devices;
	config.device_count = options->device_count;
	config.console = on_console;
	config.console_ctx = vm;
	if (vmm_create(&config, &vm->target, &err))
		fail_msg("vmm_create: %s", err.text);
}

void vm_teardown(struct vm *vm)
{
	target_destroy(vm->target);
	image_close(vm->kernel);
	image_close(vm->program);
	free(vm->kernel_file);
	free(vm->program_file);
}

static enum target_resume on_access(void *ctx, struct target_thread *thread)
{
	(void)ctx, (void)thread;
	return TARGET_STOP;
}

static enum target_copy_result on_copy(void *ctx, struct target_thread *thread,
	const struct target_copy *copy)
{
	(void)ctx, (void)thread, (void)copy;
	return TARGET_COPY_FAULT;
}

static void on_spaces_changed(void *ctx, struct target_thread *thread)
{
	(void)ctx, (void)thread;
}

static void on_process_start(void *ctx, struct target_thread *thread,
	const struct target_process *process)
{
	(void)ctx, (void)thread, (void)process;
}

static void on_process_exit(void *ctx, struct target_thread *thread,
	const struct target_process *process, int64_t code)
{
	(void)ctx, (void)thread, (void)process, (void)code;
}

static void on_report(void *ctx, const char *text, size_t len)
{
	struct vm *vm = ctx;

	if (len > sizeof(vm->report) - 1 - vm->report_len)
		len = sizeof(vm->report) - 1 - vm->report_len;
	memcpy(vm->report + vm->report_len, text, len);
	vm->report_len += len;
}

struct target_handler vm_handler(struct vm *vm)
{
	return (struct target_handler){
		.ctx = vm,
		.access = on_access,
		.copy = on_copy,
		.spaces_changed = on_spaces_changed,
		.process_start = on_process_start,
		.process_exit = on_process_exit,
		.report = on_report,
	};
}

struct target_result vm_run(struct vm *vm, const struct target_handler *handler)
{
	struct target_result result = { TARGET_FAILED, 0 };
	struct error err = { 0 };

	if (target_run(vm->target, handler, &result, &err))
		fail_msg("%s", err.text);
	return result;
}

static struct target_page page_of(
	struct target *target, space_t space, unsigned n)
{
	struct target_page page;
	struct arch_fault fault;

	assert_true(target_translate(
		target, space, VM_PAGE(n), ACCESS_LOAD, &page, &fault));
	return page;
}

void vm_close_page(struct target *target, space_t space, unsigned n)
{
	struct error err = { 0 };

	if (target_close_page(target, page_of(target, space, n).frame, &err))
		fail_msg("%s", err.text);
}

void vm_open_page(struct target *target, space_t space, unsigned n)
{
	struct error err = { 0 };

	if (target_open_page(target, page_of(target, space, n).frame, &err))
		fail_msg("%s", err.text);
}

uint8_t *vm_page_bytes(struct target *target, space_t space, unsigned n)
{
	return page_of(target, space, n).bytes;
}

frame_t vm_page_frame(struct target *target, space_t space, unsigned n)
{
	return page_of(target, space, n).frame;
}
