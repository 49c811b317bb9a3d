/* SPDX-License-Identifier: MIT */
/*
 * The guest is our own kernel with a program of two instructions that
 * increments a word for ever. Its page is closed; the first stops skip the
 * instruction, the others step it, and the word must count exactly those.
 */
#include "vmm/selftest.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "vmm/vmm.h"

#define STOPS 200u
#define STEPS 200u
#define CODE_VA UINT64_C(0x400000)
#define DATA_VA UINT64_C(0x401000)
#define TIME_LIMIT_S 8

static const uint8_t code[] = {
	0xbb, 0x00, 0x10, 0x40, 0x00, /* mov $DATA_VA, %ebx */
	0x48, 0xff, 0x03, /* 1: incq (%rbx) */
	0xeb, 0xfb, /* jmp 1b */
};
#define INCREMENT_VA (CODE_VA + 5)

struct program {
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr[2];
	uint8_t code[sizeof(code)];
};

struct trial {
	struct selftest *result;
	struct target *target;
	struct error err; /* of the first thing that went wrong */
	double start;
	/* The watchdog sleeps until done. */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool done, late;
};

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static void make_program(struct program *program)
{
	static const Elf64_Ehdr ehdr = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
			ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = CODE_VA,
		.e_phoff = offsetof(struct program, phdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
		.e_shentsize = sizeof(Elf64_Shdr),
	};
	static const Elf64_Phdr text = {
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_X,
		.p_offset = offsetof(struct program, code),
		.p_vaddr = CODE_VA,
		.p_filesz = sizeof(code),
		.p_memsz = sizeof(code),
		.p_align = 1,
	};
	static const Elf64_Phdr data = {
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_W,
		.p_vaddr = DATA_VA,
		.p_memsz = 4096,
		.p_align = 4096,
	};

	memset(program, 0, sizeof(*program));
	program->ehdr = ehdr;
	program->phdr[0] = text;
	program->phdr[1] = data;
	memcpy(program->code, code, sizeof(code));
}

/* ---- callbacks ---- */

static enum target_resume fail(struct trial *trial, const char *what)
{
	error_set(&trial->err, -EIO, "%s", what);
	return TARGET_STOP;
}

static void on_start(void *ctx, struct target_thread *thread,
	const struct target_process *process)
{
	struct trial *trial = ctx;
	struct target_page page;
	struct arch_fault fault;

	(void)thread;
	if (!target_translate(trial->target, process->space, DATA_VA,
		    ACCESS_STORE, &page, &fault))
		error_set(&trial->err, -EIO, "the program's data is missing");
	else
		target_close_page(trial->target, page.frame, &trial->err);
}

static enum target_resume skip(
	struct trial *trial, struct target_thread *thread)
{
	struct arch_regs regs = *target_thread_regs(thread);

	if (!trial->result->stops)
		trial->start = now_us();
	if (++trial->result->stops == STOPS) {
		trial->result->stop_us = (now_us() - trial->start) / STOPS;
		trial->start = now_us();
	}
	regs.rip += 3;
	target_thread_set_regs(thread, &regs);
	return TARGET_RESUME;
}

static enum target_resume step(
	struct trial *trial, struct target_thread *thread)
{
	uint64_t va = DATA_VA, value = 0;
	struct arch_fault fault;

	if (target_thread_step(thread, &va, 1, &fault, &trial->err) !=
		TARGET_STEP_DONE)
		return trial->err.code ?
			TARGET_STOP :
			fail(trial, "a step at a kept page faulted");
	target_read(trial->target, target_thread_space(thread), DATA_VA,
		&value, sizeof(value));
	if (value != ++trial->result->steps ||
		target_thread_regs(thread)->rip != INCREMENT_VA + 3)
		return fail(trial, "a step did not do what it must");
	if (trial->result->steps < STEPS)
		return TARGET_RESUME;
	trial->result->step_us = (now_us() - trial->start) / STEPS;
	return TARGET_STOP;
}

static enum target_resume on_access(void *ctx, struct target_thread *thread)
{
	struct trial *trial = ctx;

	if (trial->err.code)
		return TARGET_STOP;
	if (target_thread_regs(thread)->rip != INCREMENT_VA)
		return fail(trial, "a stop at a kept page is not where the "
				   "access is");
	return trial->result->stops < STOPS ? skip(trial, thread) :
					      step(trial, thread);
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

static void on_process_exit(void *ctx, struct target_thread *thread,
	const struct target_process *process, int64_t exit_code)
{
	(void)ctx, (void)thread, (void)process, (void)exit_code;
}

static void on_report(void *ctx, const char *text, size_t len)
{
	struct trial *trial = ctx;
	size_t line = strcspn(text, "\n");

	if (!trial->err.code)
		error_set(&trial->err, -EIO, "%.*s",
			(int)(line < len ? line : len), text);
}

/* ---- running ---- */

static void *watchdog(void *arg)
{
	struct trial *trial = arg;
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += TIME_LIMIT_S;
	pthread_mutex_lock(&trial->lock);
	while (!trial->done && !trial->late)
		if (pthread_cond_timedwait(&trial->wake, &trial->lock, &end))
			trial->late = true;
	if (!trial->done)
		target_stop(trial->target);
	pthread_mutex_unlock(&trial->lock);
	return NULL;
}

static int run(struct trial *trial, struct error *err)
{
	const struct target_handler handler = {
		.ctx = trial,
		.access = on_access,
		.copy = on_copy,
		.spaces_changed = on_spaces_changed,
		.process_start = on_start,
		.process_exit = on_process_exit,
		.report = on_report,
	};
	struct target_result result;
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, watchdog, trial);

	if (rc)
		return error_set_errno(err, -rc, "cannot start a thread");
	rc = target_run(trial->target, &handler, &result, err);
	pthread_mutex_lock(&trial->lock);
	trial->done = true;
	pthread_cond_signal(&trial->wake);
	pthread_mutex_unlock(&trial->lock);
	pthread_join(thread, NULL);
	if (rc)
		return rc;
	if (trial->err.code)
		return error_set(err, trial->err.code, "%s", trial->err.text);
	if (trial->result->steps != STEPS)
		return error_set(err, -EIO,
			"a small guest did not get anywhere in %d s (%u stops, "
			"%u steps)",
			TIME_LIMIT_S, trial->result->stops,
			trial->result->steps);
	return 0;
}

int vmm_selftest(struct selftest *out, struct error *err)
{
	struct vmm_config config = VMM_CONFIG_INIT;
	struct trial trial = { .result = out };
	const char *args[] = { "selftest" };
	const struct image *modules[1];
	struct program program;
	struct image *image;
	int rc;

	memset(out, 0, sizeof(*out));
	make_program(&program);
	rc = image_open_memory(
		"selftest", &program, sizeof(program), &image, err);
	if (rc)
		return rc;
	modules[0] = image;
	config.memory = 16 << 20;
	config.modules = modules;
	config.module_count = 1;
	config.args = args;
	config.arg_count = 1;
	config.console_fd = -1;
	pthread_mutex_init(&trial.lock, NULL);
	pthread_cond_init(&trial.wake, NULL);
	rc = vmm_create(&config, &trial.target, err);
	if (!rc)
		rc = run(&trial, err);
	target_destroy(trial.target);
	image_close(image);
	pthread_cond_destroy(&trial.wake);
	pthread_mutex_destroy(&trial.lock);
	return rc;
}
