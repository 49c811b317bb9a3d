/* SPDX-License-Identifier: MIT */
/*
 * Kernel calls, made by setting a process's registers. What single calls do
 * is tested by programs (guest/programs/usertests); here it is that no order
 * of calls, however senseless, breaks the kernel or loses a frame.
 */
#include "guest/kernel/call.h"

#include <stdlib.h>
#include <string.h>

#include "guest/kernel/copy.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/endpoint.h"
#include "guest/kernel/frame.h"
#include "guest/kernel/process.h"
#include "guest/kernel/sched.h"
#include "tests/support/kernel_machine.h"
#include "tests/support/tests.h"

#define EPISODES 200
#define STEPS 3000
#define PROCESSES_MAX 4096

/* Every process there ever was in an episode; the test holds a reference. */
static struct process *processes[PROCESSES_MAX];
static unsigned process_count;

static void start_process(struct endpoint *mailbox)
{
	static const char names[][CUSTOS_NAME_MAX] = {
		"console", "bank", "timer", "program", "mailbox"};
	static const enum custos_captype types[] = {CUSTOS_CAP_CONSOLE,
		CUSTOS_CAP_BANK, CUSTOS_CAP_TIMER, CUSTOS_CAP_MODULE,
		CUSTOS_CAP_ENDPOINT};
	struct process *process = process_create(0, CUSTOS_ANY_CPU);

	assert_non_null(process);
	for (unsigned i = 0; i < 5; i++) {
		struct cap cap = {.type = (uint16_t)types[i],
			.rights = CUSTOS_RIGHT_ALL,
			.object = i == 4 ? mailbox : NULL};

		assert_int_equal(
			process_give(process, names[i], &cap, CUSTOS_RIGHT_ALL),
			0);
	}
	process_start(process, 0);
	processes[process_count++] = process;
}

static uint64_t any_argument(unsigned *seed)
{
	switch (rand_r(seed) % 8) {
	case 0:
		return 0;
	case 1:
		return KERNEL_PROGRAM + (unsigned)rand_r(seed) % 0x5000;
	case 2:
	case 3:
		return KERNEL_PROGRAM + (unsigned)rand_r(seed) % 5 * PAGE_SIZE;
	case 4:
		return ((unsigned)rand_r(seed) % 3) * PAGE_SIZE;
	case 5:
		return (uint64_t)rand_r(seed) << (rand_r(seed) % 40);
	default:
		return (unsigned)rand_r(seed) % 24;
	}
}

/* Requests that are often right, where arguments often point. */
static void write_requests(struct process *process, unsigned *seed)
{
	struct custos_message message = {
		.string = rand_r(seed) % 4 ? KERNEL_PROGRAM + PAGE_SIZE
					   : any_argument(seed),
		.string_size = (unsigned)rand_r(seed) % 5 * 1024,
		.cap_count = (unsigned)rand_r(seed) % 6 % 3,
		.caps = {(unsigned)rand_r(seed) % 24,
			(unsigned)rand_r(seed) % 24},
	};
	struct custos_spawn spawn = {
		.args = KERNEL_PROGRAM,
		.args_size = (unsigned)rand_r(seed) % 100,
		.cpu = CUSTOS_ANY_CPU,
		.slot = 8 + (unsigned)rand_r(seed) % 16,
		.cap_count = (unsigned)rand_r(seed) % CUSTOS_SPAWN_CAPS,
	};

	for (unsigned i = 0; i < spawn.cap_count; i++) {
		spawn.caps[i].slot = 1 + (unsigned)rand_r(seed) % 24;
		spawn.caps[i].rights = CUSTOS_RIGHT_ALL;
	}
	copy_to_process(process, KERNEL_PROGRAM, &message, sizeof(message), 0);
	copy_to_process(
		process, KERNEL_PROGRAM + PAGE_SIZE, &spawn, sizeof(spawn), 0);
}

static unsigned any_op(unsigned *seed)
{
	unsigned op = (unsigned)rand_r(seed) % CUSTOS_OP_MAX;

	while (!call_name(op))
		op = (unsigned)rand_r(seed) % CUSTOS_OP_MAX;
	/* Ending, waiting and letting go is what they do best: not too
	 * often. */
	if ((op == CUSTOS_OP_PROCESS_EXIT || op == CUSTOS_OP_PROCESS_KILL ||
		    op == CUSTOS_OP_PROCESS_WAIT ||
		    op == CUSTOS_OP_CAPPAGE_DROP) &&
		rand_r(seed) % 8)
		return CUSTOS_OP_PROCESS_YIELD;
	return op;
}

/* A slot of that type if there is one, most often. */
static uint64_t any_slot(
	const struct process *process, unsigned type, unsigned *seed)
{
	unsigned first = (unsigned)rand_r(seed) % 24;

	for (unsigned i = 0; i < 24 && rand_r(seed) % 32; i++)
		if (process->caps[(first + i) % 24].type == type)
			return (first + i) % 24;
	return first;
}

/* Make the arguments of calls that need several right ones likely. */
static void aim(struct process *process, unsigned *seed)
{
	uint64_t *gpr = process->frame.gpr;

	switch (gpr[GPR_RAX]) {
	case CUSTOS_OP_MODULE_SPAWN:
		gpr[GPR_RSI] = KERNEL_PROGRAM + PAGE_SIZE;
		break;
	case CUSTOS_OP_ENDPOINT_SEND:
	case CUSTOS_OP_ENDPOINT_RECEIVE:
		gpr[GPR_RSI] = KERNEL_PROGRAM;
		gpr[GPR_RDX] = rand_r(seed) % 3 != 0; /* CUSTOS_NO_WAIT */
		break;
	case CUSTOS_OP_SPACE_MAP:
		gpr[GPR_RDX] = any_slot(process, CUSTOS_CAP_MEMORY, seed);
		gpr[GPR_R10] &= PAGE_SIZE;
		gpr[GPR_R9] |= CUSTOS_RIGHT_READ;
		break;
	default:
		break;
	}
}

static void any_call(struct process *process, unsigned *seed)
{
	uint64_t *gpr = process->frame.gpr;
	unsigned op = any_op(seed);

	write_requests(process, seed);
	gpr[GPR_RAX] = op;
	gpr[GPR_RDI] = any_slot(process, op / CUSTOS_OPS_PER_TYPE, seed);
	gpr[GPR_RSI] = any_argument(seed);
	gpr[GPR_RDX] = any_argument(seed);
	gpr[GPR_R10] = any_argument(seed);
	gpr[GPR_R8] = any_argument(seed);
	gpr[GPR_R9] = any_argument(seed) % 8;
	aim(process, seed);
	call_dispatch(process);
}

static void make_calls(unsigned *seed)
{
	jmp_buf stuck;

	kernel_machine.stuck = &stuck;
	if (setjmp(stuck))
		return;
	for (unsigned step = 0; step < STEPS; step++)
		any_call(sched_next(cpu_get(0)), seed);
}

/* Those that other processes started are found through the scheduler, or are
 * blocked somewhere and known by nobody but their own capabilities. */
static void note(struct process *process)
{
	for (unsigned i = 0; i < process_count; i++)
		if (processes[i] == process)
			return;
	assert_true(process_count < PROCESSES_MAX);
	process_get(process);
	processes[process_count++] = process;
}

static void note_children(void)
{
	for (unsigned i = 0; i < process_count; i++) {
		const struct cap *caps = processes[i]->caps;

		for (unsigned slot = 0; caps && slot < CUSTOS_SLOTS; slot++)
			if (caps[slot].type == CUSTOS_CAP_PROCESS ||
				caps[slot].type == CUSTOS_CAP_CAPPAGE ||
				caps[slot].type == CUSTOS_CAP_SPACE)
				note(caps[slot].object);
	}
}

static void end_all(void)
{
	note_children();
	for (unsigned i = 0; i < process_count; i++) {
		if (processes[i]->state != PROCESS_ENDED)
			process_end(processes[i], 0);
		process_put(processes[i]);
	}
	process_count = 0;
}

static void senseless_calls_lose_nothing(void **state)
{
	unsigned seed = 1, complete = 0;

	(void)state;
	for (unsigned episode = 0; episode < EPISODES; episode++) {
		struct endpoint *mailbox;
		uint64_t all, starts, ends;

		kernel_setup();
		all = frame_count_free();
		mailbox = endpoint_create();
		start_process(mailbox);
		start_process(mailbox);
		make_calls(&seed);
		end_all();
		starts = kernel_machine.hypercalls[CUSTOS_CALL_PROCESS_START];
		ends = kernel_machine.hypercalls[CUSTOS_CALL_PROCESS_EXIT];
		/* A child whose parent let go of it cannot be found here. */
		if (starts == ends) {
			assert_int_equal(frame_count_free(), all);
			complete++;
		}
		kernel_teardown();
	}
	assert_true(complete > EPISODES / 2);
}

static void names_come_from_the_table(void **state)
{
	(void)state;
	assert_string_equal(
		call_name(CUSTOS_OP_CONSOLE_WRITE), "console_write");
	assert_string_equal(call_name(CUSTOS_OP_MODULE_SPAWN), "module_spawn");
	assert_null(call_name(CUSTOS_OP_CONSOLE_WRITE + 1));
	assert_null(call_name(CUSTOS_OP_MAX));
	assert_string_equal(cap_type_name(CUSTOS_CAP_ENDPOINT), "endpoint");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(senseless_calls_lose_nothing),
		cmocka_unit_test(names_come_from_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
