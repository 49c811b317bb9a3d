/* SPDX-License-Identifier: MIT */
/*
 * What the guest kernel does for the things processes do most, counted in its
 * instructions: the portable part as compiled for the host, stepped one by one
 * from each entry to the return to a process. Where a host emulates the
 * kernel's code that is the time these take. What the monitor does for it
 * (carrying out the instruction, EMULATE) is not counted.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/kernel/bank.h"
#include "guest/kernel/call.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/endpoint.h"
#include "guest/kernel/object.h"
#include "guest/kernel/process.h"
#include "guest/kernel/trap.h"
#include "tests/support/kernel_machine.h"
#include "tests/support/tests.h"

#define WINDOW UINT64_C(0x10000000)
#define MESSAGE KERNEL_PROGRAM
#define REPLY (KERNEL_PROGRAM + 256)
#define STRING (KERNEL_PROGRAM + PAGE_SIZE)
#define ROUNDS 3 /* the first ones fill tables */

/* Slots: self, caps and space are 1 to 3. */
#define SELF 1
#define CAPS 2
#define SPACE 3
#define GIVEN 4 /* client: entry; server: endpoint */
#define PAGE 5	/* server */
#define RESUME 20

static struct process *client, *server;

/* Stops the counter and starts it. */
static void mark(void)
{
	__asm__ volatile("int3");
}

static void enter(struct process *process, uint64_t vector)
{
	assert_ptr_equal(cpu_get(0)->current, process);
	process->frame.vector = vector;
	process->frame.rip = KERNEL_PROGRAM + 2;
	mark();
	trap_user(process);
	mark();
}

static void call(struct process *process, uint64_t op, uint64_t slot,
	uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t *gpr = process->frame.gpr;

	gpr[GPR_RAX] = op;
	gpr[GPR_RDI] = slot;
	gpr[GPR_RSI] = a;
	gpr[GPR_RDX] = b;
	gpr[GPR_R10] = c;
	gpr[GPR_R8] = PAGE_SIZE;
	gpr[GPR_R9] = CUSTOS_RIGHT_ALL;
	enter(process, VECTOR_SYSCALL);
}

/* ---- two processes ---- */

static struct process *make(struct cap given, struct cap page)
{
	static const char name[CUSTOS_NAME_MAX] = "given";
	struct process *process = process_create(bank_root());

	assert_non_null(process);
	assert_int_equal(
		process_load(process, bank_root(), 0, CUSTOS_ANY_CPU), 0);
	process_give(process, name, &given, CUSTOS_RIGHT_ALL);
	process_give(process, name, &page, CUSTOS_RIGHT_ALL);
	process_start(process, 0);
	return process;
}

static void *memory_of(struct process *process, uint64_t va)
{
	uint64_t gpa;

	assert_int_equal(space_resolve(process, va, true, &gpa), 0);
	return machine_direct(gpa);
}

static void emulate(struct custos_emulate *e)
{
	e->result = CUSTOS_EMULATE_DONE;
	e->stepped_count = 0;
	if (e->op == CUSTOS_EMULATE_RUN && !e->served_count) {
		e->result = CUSTOS_EMULATE_NEED;
		e->need.va = WINDOW + 8;
		e->need.size = 8;
		e->need.kind = CUSTOS_ACCESS_LOAD;
	}
	if (e->op == CUSTOS_EMULATE_STEP) {
		e->stepped_count = 1;
		e->stepped[0].va = WINDOW + 8;
		e->stepped[0].size = 8;
	}
}

static void receive(void)
{
	struct custos_message *message = memory_of(server, MESSAGE);

	memset(message, 0, sizeof(*message));
	message->string = STRING;
	message->string_size = PAGE_SIZE;
	message->cap_count = 1;
	message->caps[0] = RESUME;
	call(server, CUSTOS_OP_ENDPOINT_RECEIVE, GIVEN, MESSAGE, 0, 0);
}

static void build(void)
{
	uint64_t endpoint, page;
	struct cap receiver, entry;

	kernel_setup();
	kernel_machine.emulate = emulate;
	endpoint = bank_alloc(bank_root(), FRAME_ENDPOINT);
	page = bank_alloc(bank_root(), FRAME_PAGE);
	endpoint_begin(endpoint);
	receiver = cap_make(CUSTOS_CAP_ENDPOINT,
		CUSTOS_RIGHT_SEND | CUSTOS_RIGHT_RECEIVE,
		machine_direct(endpoint), 0);
	entry = cap_make(CUSTOS_CAP_ENTRY, CUSTOS_RIGHTS_MEMORY |
				CUSTOS_RIGHT_SEND, machine_direct(endpoint), 7);
	server = make(receiver, cap_make(CUSTOS_CAP_PAGE, CUSTOS_RIGHTS_MEMORY,
					machine_direct(page), 0));
	client = make(entry, entry);
	trap_first(cpu_get(0));
	receive(); /* and the client runs */
	call(client, CUSTOS_OP_GPT_MAP, SPACE, WINDOW, GIVEN, 0);
	assert_int_equal(client->frame.gpr[GPR_RAX], 0);
}

/* ---- what is measured ---- */

static void null_call(void)
{
	call(client, CUSTOS_OP_PROCESS_STATE, SELF, 0, 0, 0);
}

/* Empty the slot, wait for the next one, while the client goes on. */
static void next_message(void)
{
	call(server, CUSTOS_OP_CAPPAGE_DROP, CAPS, RESUME, 0, 0);
	receive();
}

static void call_and_reply(void)
{
	memset(memory_of(client, MESSAGE), 0, sizeof(struct custos_message));
	memset(memory_of(client, REPLY), 0, sizeof(struct custos_message));
	memset(memory_of(server, REPLY), 0, sizeof(struct custos_message));
	call(client, CUSTOS_OP_ENDPOINT_CALL, GIVEN, MESSAGE, REPLY, 0);
	call(server, CUSTOS_OP_RESUME_REPLY, RESUME, REPLY, 0, 0);
	next_message();
	assert_int_equal(client->frame.gpr[GPR_RAX], 0);
}

static void fault(void)
{
	kernel_machine.cr2 = WINDOW + 8;
	client->frame.error_code = 4;
	enter(client, VECTOR_PF);
}

static void fault_and_value(void)
{
	fault();
	call(server, CUSTOS_OP_RESUME_VALUE, RESUME, STRING, 8, 0);
	next_message();
}

static void fault_and_step(void)
{
	fault();
	call(server, CUSTOS_OP_RESUME_STEP, RESUME, PAGE,
		CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE, 0);
	next_message(); /* the client's instruction; told of it */
	call(server, CUSTOS_OP_RESUME_CONTINUE, RESUME, 0, 0, 0);
	next_message();
}

static const struct {
	const char *name;
	void (*run)(void);
} costs[] = {
	{"null call", null_call},
	{"call of another process and its reply", call_and_reply},
	{"load answered by a keeper", fault_and_value},
	{"load stepped by a keeper", fault_and_step},
};

#define COSTS (sizeof(costs) / sizeof(costs[0]))

/* ---- counting ---- */

static int be_counted(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	build();
	for (unsigned i = 0; i < COSTS; i++) {
		for (unsigned round = 0; round < ROUNDS; round++) {
			if (round == ROUNDS - 1)
				raise(SIGUSR1);
			costs[i].run();
			assert_ptr_equal(cpu_get(0)->current, client);
		}
		raise(SIGUSR1);
	}
	return 0;
}

/* The signal it stops with next; -1: it has ended. */
static int go_on(pid_t pid, bool step)
{
	int status;

	if (ptrace(step ? PTRACE_SINGLESTEP : PTRACE_CONT, pid, NULL, NULL))
		return -1;
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return -1;
	return WSTOPSIG(status);
}

static bool is_mark(pid_t pid)
{
	siginfo_t info;

	return !ptrace(PTRACE_GETSIGINFO, pid, NULL, &info) &&
	       info.si_code != TRAP_TRACE;
}

/* Instructions between pairs of marks, until the next SIGUSR1; 0: ended. */
static unsigned long count_until_signal(pid_t pid)
{
	unsigned long count = 0;
	int signal;

	while ((signal = go_on(pid, false)) == SIGTRAP)
		while (go_on(pid, true) == SIGTRAP && !is_mark(pid))
			count++;
	return signal == SIGUSR1 ? count : 0;
}

int main(void)
{
	unsigned long counts[COSTS] = {0};
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(be_counted());
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	for (unsigned i = 0; i < COSTS; i++) {
		count_until_signal(pid);
		counts[i] = count_until_signal(pid);
		if (!counts[i])
			return 1;
	}
	go_on(pid, false);
	printf("guest kernel, instructions of its own from entry to return:\n");
	for (unsigned i = 0; i < COSTS; i++)
		printf("  %-40s %6lu %6.1f x\n", costs[i].name, counts[i],
			(double)counts[i] / (double)counts[0]);
	return 0;
}
