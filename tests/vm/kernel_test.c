/* SPDX-License-Identifier: MIT */
/* The guest kernel and a program of its own in the monitor. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/tests.h"
#include "vmm/vmm.h"

/* One run of hello.elf. */
struct run {
	struct image *image;
	struct target *target;
	char text[4096];
	size_t len;
	unsigned steps;
	int64_t exit_code;
	bool started, exited;
};

static void on_console(void *ctx, const void *bytes, size_t len)
{
	struct run *run = ctx;

	if (len > sizeof(run->text) - 1 - run->len)
		len = sizeof(run->text) - 1 - run->len;
	memcpy(run->text + run->len, bytes, len);
	run->len += len;
}

static void on_report(void *ctx, const char *text, size_t len)
{
	on_console(ctx, text, len);
}

static void on_start(void *ctx, struct target_thread *thread,
	const struct target_process *process)
{
	struct run *run = ctx;

	(void)thread, (void)process;
	run->started = true;
}

static void on_process_exit(void *ctx, struct target_thread *thread,
	const struct target_process *process, int64_t code)
{
	struct run *run = ctx;

	(void)thread, (void)process;
	run->exit_code = code;
	run->exited = true;
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

static struct target_handler handler_of(struct run *run)
{
	return (struct target_handler){
		.ctx = run,
		.access = on_access,
		.copy = on_copy,
		.spaces_changed = on_spaces_changed,
		.process_start = on_start,
		.process_exit = on_process_exit,
		.report = on_report,
	};
}

static void setup(struct run *run, unsigned cpus)
{
	struct vmm_config config = VMM_CONFIG_INIT;
	const char *build = getenv("CUSTOS_BUILD");
	const char *args[] = { "hello", "there" };
	const struct image *modules[1];
	struct error err = { 0 };
	char path[512];

	memset(run, 0, sizeof(*run));
	if (access("/dev/kvm", R_OK | W_OK))
		test_skip("no /dev/kvm");
	snprintf(path, sizeof(path), "%s/guest/hello.elf",
		build ? build : "build");
	if (image_open(path, &run->image, &err))
		fail_msg("%s", err.text);
	modules[0] = run->image;
	config.cpus = cpus;
	config.memory = 16 << 20;
	config.modules = modules;
	config.module_count = 1;
	config.args = args;
	config.arg_count = 2;
	config.console = on_console;
	config.console_ctx = run;
	if (vmm_create(&config, &run->target, &err))
		fail_msg("%s", err.text);
}

static void run_to_exit(struct run *run, const struct target_handler *handler)
{
	struct target_result result = { TARGET_FAILED, 0 };
	struct error err = { 0 };

	if (target_run(run->target, handler, &result, &err))
		fail_msg("%s", err.text);
	if (result.end != TARGET_EXITED || result.code)
		fail_msg("end %d, code %d:\n%s", result.end, result.code,
			run->text);
	assert_true(run->started && run->exited);
	assert_int_equal(run->exit_code, 0);
}

static void teardown(struct run *run)
{
	target_destroy(run->target);
	image_close(run->image);
}

static void hello_says_hello(void **state)
{
	struct target_handler handler;
	struct run run;

	(void)state;
	for (unsigned cpus = 1; cpus <= 2; cpus++) {
		setup(&run, cpus);
		handler = handler_of(&run);
		run_to_exit(&run, &handler);
		assert_non_null(strstr(run.text, "hello"));
		teardown(&run);
	}
}

/* ---- every instruction of it stepped ---- */

static void close_code(void *ctx, struct target_thread *thread,
	const struct target_process *process)
{
	struct target *target = target_thread_target(thread);
	struct error err = { 0 };

	on_start(ctx, thread, process);
	for (unsigned i = 0; i < image_segment_count(process->image); i++) {
		const struct image_segment *s =
			image_segment(process->image, i);

		if (!(s->flags & IMAGE_EXEC))
			continue;
		for (uint64_t va = s->address & ~ARCH_PAGE_MASK;
			va < s->address + s->mem_size; va += ARCH_PAGE_SIZE) {
			struct target_page page;
			struct arch_fault fault;

			assert_true(target_translate(target, process->space,
				va, ACCESS_FETCH, &page, &fault));
			assert_int_equal(
				target_close_page(target, page.frame, &err), 0);
		}
	}
}

static enum target_resume step_it(void *ctx, struct target_thread *thread)
{
	uint64_t open[4] = { target_thread_regs(thread)->rip };
	enum target_step step = TARGET_STEP_FAULT;
	struct arch_fault fault = { 0 };
	struct error err = { 0 };
	struct run *run = ctx;

	for (size_t count = 1; count <= 4; count++) {
		step = target_thread_step(thread, open, count, &fault, &err);
		if (step != TARGET_STEP_FAULT || fault.error_code ||
			fault.vector != ARCH_VECTOR_PF || count == 4)
			break;
		open[count] = fault.address;
	}
	run->steps += step == TARGET_STEP_DONE;
	if (step == TARGET_STEP_FAULT)
		target_thread_fault(thread, &fault);
	if (step != TARGET_STEP_CANNOT)
		return TARGET_RESUME;
	on_report(ctx, err.text, strlen(err.text));
	return TARGET_STOP;
}

static void hello_stepped_instruction_by_instruction_is_the_same(void **state)
{
	struct target_handler handler;
	char expected[4096];
	struct run run;

	(void)state;
	setup(&run, 1);
	handler = handler_of(&run);
	run_to_exit(&run, &handler);
	memcpy(expected, run.text, sizeof(expected));
	teardown(&run);

	setup(&run, 2);
	handler = handler_of(&run);
	handler.process_start = close_code;
	handler.access = step_it;
	run_to_exit(&run, &handler);
	assert_string_equal(run.text, expected);
	assert_true(run.steps > 100);
	print_message("# %u instructions stepped\n", run.steps);
	teardown(&run);
}

/* ---- nobody reads what it prints ---- */

static void broken_console_ends_the_run_with_a_reason(void **state)
{
	struct target_result result = { TARGET_EXITED, 0 };
	struct vmm_config config = VMM_CONFIG_INIT;
	struct target_handler handler;
	struct error err = { 0 };
	struct run run;
	int fds[2];

	(void)state;
	setup(&run, 1);
	target_destroy(run.target);
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	config.memory = 16 << 20;
	config.modules = (const struct image *const[]){ run.image };
	config.module_count = 1;
	config.console_fd = fds[1];
	if (vmm_create(&config, &run.target, &err))
		fail_msg("%s", err.text);
	handler = handler_of(&run);
	assert_int_equal(
		target_run(run.target, &handler, &result, &err), -EPIPE);
	assert_int_equal(result.end, TARGET_FAILED);
	assert_non_null(strstr(err.text, "cannot write what the guest prints"));
	close(fds[1]);
	teardown(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello_says_hello),
		cmocka_unit_test(
			hello_stepped_instruction_by_instruction_is_the_same),
		cmocka_unit_test(broken_console_ends_the_run_with_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
