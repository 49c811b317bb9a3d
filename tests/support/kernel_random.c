/* SPDX-License-Identifier: MIT */
#include "tests/support/kernel_random.h"

#include <stdio.h>
#include <string.h>

#include "guest/kernel/bank.h"
#include "guest/kernel/call.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/endpoint.h"
#include "guest/kernel/gpt.h"
#include "guest/kernel/object.h"
#include "guest/kernel/process.h"
#include "guest/kernel/sched.h"
#include "guest/kernel/table.h"
#include "guest/kernel/trap.h"
#include "tests/support/kernel_check.h"
#include "tests/support/kernel_machine.h"
#include "tests/support/space_check.h"
#include "tests/support/tests.h"

#define RAM (UINT64_C(5) << 19)
#define PROCESSES 4
#define SLOTS 48 /* of those a process has, most calls use these */
#define CODE (KERNEL_PROGRAM + 3 * PAGE_SIZE)
#define MESSAGES KERNEL_PROGRAM
#define MESSAGE_COUNT 8
#define SPAWN (KERNEL_PROGRAM + PAGE_SIZE)
#define BYTES (KERNEL_PROGRAM + 2 * PAGE_SIZE)
#define SYSCALL_SIZE 2
#define END_PIECES_MAX 100000

uint64_t kernel_random_successes[CUSTOS_OP_MAX];

static struct kernel_random *source;
static struct bank *payer; /* of everything processes can reach to destroy */
static struct cap mailbox; /* an endpoint they share */

static uint32_t any(uint32_t limit)
{
	uint32_t value = 0;

	if (source->size) {
		for (unsigned i = 0; i < 2 && source->size; i++) {
			value = value << 8 | *source->bytes++;
			source->size--;
		}
		return value % limit;
	}
	source->seed ^= source->seed << 13;
	source->seed ^= source->seed >> 7;
	source->seed ^= source->seed << 17;
	return (uint32_t)(source->seed >> 32) % limit;
}

static bool one_in(uint32_t n)
{
	return any(n) == 0;
}

/* ---- the world ---- */

static void give(struct process *process, const char *name, struct cap cap)
{
	char padded[CUSTOS_NAME_MAX] = {0};

	strcpy(padded, name);
	assert_int_equal(
		process_give(process, padded, &cap, CUSTOS_RIGHT_ALL), 0);
}

static void *make(struct bank *bank, enum frame_type type)
{
	uint64_t gpa = bank_alloc(bank, type);

	assert_true(gpa);
	return machine_direct(gpa);
}

/* What is kept from everybody: a page in a page of capabilities that is shown
 * without the right to be strong, and in a node that is opaque. */
struct secrets {
	struct cap cappage, gpt;
};

static struct secrets make_secrets(void)
{
	struct bank *root = bank_root();
	struct cap *slots = make(root, FRAME_CAPPAGE);
	struct gpt *gpt = make(root, FRAME_GPT);
	void *page = make(root, FRAME_PAGE), *endpoint;
	unsigned all = CUSTOS_RIGHTS_MEMORY, weak, opaque;

	weak = CUSTOS_RIGHT_READ | CUSTOS_RIGHT_EXEC | CUSTOS_RIGHT_CALL;
	opaque = all & ~(CUSTOS_RIGHT_INSPECT | CUSTOS_RIGHT_CONTROL |
				CUSTOS_RIGHT_STRONG);
	endpoint = make(root, FRAME_ENDPOINT);
	endpoint_begin(machine_gpa(endpoint));
	gpt_begin(machine_gpa(gpt));
	slots[1] = cap_make(CUSTOS_CAP_PAGE, all, page, 0);
	slots[2] = cap_make(CUSTOS_CAP_GPT, all, gpt, 0);
	gpt->slots[0] = slots[1];
	gpt->slots[1] = cap_make(CUSTOS_CAP_CAPPAGE, all, slots, 0);
	gpt->keeper = cap_make(CUSTOS_CAP_ENTRY, CUSTOS_RIGHT_SEND, endpoint, 3);
	kernel_check_seal(machine_gpa(slots));
	kernel_check_seal(machine_gpa(gpt));
	kernel_check_allow(machine_gpa(page), CUSTOS_CAP_PAGE, weak);
	kernel_check_allow(machine_gpa(slots), CUSTOS_CAP_CAPPAGE, weak);
	kernel_check_allow(machine_gpa(gpt), CUSTOS_CAP_GPT, opaque);
	kernel_check_allow(machine_gpa(endpoint), CUSTOS_CAP_ENTRY, 0);
	return (struct secrets){
		.cappage = cap_make(CUSTOS_CAP_CAPPAGE, CUSTOS_RIGHT_READ,
			slots, 0),
		.gpt = cap_make(CUSTOS_CAP_GPT, opaque, gpt, 0)};
}

static struct cap plain(enum custos_captype type)
{
	return cap_make(type, CUSTOS_RIGHT_ALL, NULL, 0);
}

static void give_all(struct process *process, struct bank *bank,
	const struct secrets *secrets)
{
	struct cap schedule = cap_make(CUSTOS_CAP_SCHEDULE, CUSTOS_RIGHT_ALL,
		NULL, SCHEDULE_PAYLOAD(CUSTOS_ANY_CPU, UINT64_C(1000000)));
	struct cap fixed = cap_make(CUSTOS_CAP_FIXED, CUSTOS_RIGHTS_MEMORY,
		NULL, CUSTOS_DEVICE_BASE);

	fixed.pages = 2;
	give(process, "console", plain(CUSTOS_CAP_CONSOLE));
	give(process, "timer", plain(CUSTOS_CAP_TIMER));
	give(process, "discrim", plain(CUSTOS_CAP_DISCRIM));
	give(process, "program", plain(CUSTOS_CAP_MODULE));
	give(process, "schedule", schedule);
	give(process, "fixed", fixed);
	give(process, "bank", cap_make(CUSTOS_CAP_BANK, CUSTOS_RIGHT_ALL, bank, 0));
	give(process, "mailbox", mailbox);
	give(process, "secret", secrets->cappage);
	give(process, "opaque", secrets->gpt);
}

static struct cap any_entry(void)
{
	unsigned payload = 1 + any(4);

	kernel_check_entry_made(payload);
	return cap_make(CUSTOS_CAP_ENTRY, CUSTOS_RIGHT_SEND, mailbox.object,
		payload);
}

/* Objects of the process's own, and ways to the shared ones. */
static void give_objects(struct process *process, struct bank *bank)
{
	unsigned memory = CUSTOS_RIGHTS_MEMORY, all = CUSTOS_RIGHT_ALL;
	struct gpt *gpt = make(bank, FRAME_GPT);
	void *buffer = make(bank, FRAME_BUFFER);

	gpt_begin(machine_gpa(gpt));
	buffer_begin(machine_gpa(buffer));
	give(process, "gpt", cap_make(CUSTOS_CAP_GPT, memory, gpt, 0));
	give(process, "page",
		cap_make(CUSTOS_CAP_PAGE, memory, make(bank, FRAME_PAGE), 0));
	give(process, "slots",
		cap_make(CUSTOS_CAP_CAPPAGE, memory,
			make(bank, FRAME_CAPPAGE), 0));
	give(process, "buffer", cap_make(CUSTOS_CAP_BUFFER, all, buffer, 0));
	give(process, "entry", any_entry());
	give(process, "notice",
		cap_make(CUSTOS_CAP_NOTICE, CUSTOS_RIGHT_SEND, mailbox.object,
			any(16)));
}

static void start(struct bank *bank, const struct secrets *secrets)
{
	struct process *process = process_create(bank);

	assert_non_null(process);
	assert_int_equal(process_load(process, bank, 0, CUSTOS_ANY_CPU), 0);
	give_all(process, bank, secrets);
	give_objects(process, bank);
	process->frame.rip = CODE;
	process->stays = one_in(2);
	if (one_in(2))
		process->keeper = any_entry();
	process_start(process, 0);
}

static struct bank *child_of(struct bank *parent, uint64_t limit)
{
	struct bank *child;

	assert_int_equal(bank_create_child(parent, limit, &child), 0);
	return child;
}

static void make_world(const struct secrets *secrets)
{
	struct bank *shared;
	struct cap *kept;
	void *endpoint;

	payer = child_of(bank_root(), 0);
	endpoint = make(payer, FRAME_ENDPOINT);
	endpoint_begin(machine_gpa(endpoint));
	mailbox = cap_make(CUSTOS_CAP_ENDPOINT,
		CUSTOS_RIGHT_SEND | CUSTOS_RIGHT_RECEIVE, endpoint, 0);
	kept = make(payer, FRAME_CAPPAGE); /* to be given again */
	kept[1] = mailbox;
	shared = child_of(payer, 250);
	for (unsigned i = 0; i < PROCESSES; i++)
		start(i < 2 ? shared : child_of(payer, 140), secrets);
}

/* ---- arguments ---- */

static struct cap *slots_of(const struct process *process)
{
	return cap_is_live(&process->caps) ? process->caps.object : NULL;
}

/* A slot of that type if there is one, most often. */
static uint64_t slot_of(const struct process *process, unsigned type)
{
	const struct cap *slots = slots_of(process);
	unsigned first = any(SLOTS), tries = one_in(16) ? 0 : SLOTS;

	for (unsigned i = 0; slots && i < tries; i++) {
		const struct cap *cap = &slots[(first + i) % SLOTS];

		if (cap->type == type && cap_is_live(cap))
			return (first + i) % SLOTS;
	}
	return first;
}

static bool has(const struct process *process, unsigned type)
{
	const struct cap *slots = slots_of(process);

	return slots && slots[slot_of(process, type)].type == type;
}

static uint64_t empty_slot(const struct process *process)
{
	return slot_of(process, CUSTOS_CAP_NULL);
}

static uint64_t memory_slot(const struct process *process)
{
	static const uint8_t types[] = {CUSTOS_CAP_PAGE, CUSTOS_CAP_GPT,
		CUSTOS_CAP_GPT, CUSTOS_CAP_CAPPAGE, CUSTOS_CAP_ENTRY,
		CUSTOS_CAP_FIXED};

	return slot_of(process, types[any(sizeof(types))]);
}

static uint64_t any_number(void)
{
	static const uint64_t numbers[] = {0, 1, PAGE_SIZE, UINT64_MAX,
		CUSTOS_USER_END, UINT64_C(1) << 63, CUSTOS_DIRECT_BASE,
		CUSTOS_RAM_BASE};

	if (one_in(4))
		return numbers[any(8)] + any(3) - 1;
	return any(one_in(2) ? 16 : 300);
}

static uint64_t any_address(void)
{
	switch (any(24)) {
	case 0:
		return any_number();
	case 1:
		return CUSTOS_STACK_TOP - any(0x11000);
	case 2:
		return UINT64_C(0x10000000) * any(4) + any(5) * PAGE_SIZE;
	default:
		return BYTES + any(PAGE_SIZE);
	}
}

/* Where nothing is at first. */
static uint64_t any_window(void)
{
	return UINT64_C(0x10000000) * (1 + any(3)) + any(5) * PAGE_SIZE;
}

static uint64_t any_length(void)
{
	return one_in(2) ? any(5) * PAGE_SIZE : any(100);
}

/*
 * What the arguments of a call are, one letter each: e empty slot, s any slot,
 * m memory slot, n entry slot, p process slot, b bank slot, u buffer slot,
 * M address of a message, W of a spawn, a of bytes, P page-aligned address,
 * l length, L in pages, o offset, i index, t type, r rights, 2 an l2v, w which,
 * f flags, 0 zero or one.
 */
static const char *const shapes[CUSTOS_OP_MAX] = {
	[CUSTOS_OP_CONSOLE_WRITE] = "al",
	[CUSTOS_OP_PROCESS_SET_FS_BASE] = "a",
	[CUSTOS_OP_PROCESS_GET_REGS] = "a",
	[CUSTOS_OP_PROCESS_SET_REGS] = "a",
	[CUSTOS_OP_PROCESS_GET_CAP] = "we",
	[CUSTOS_OP_PROCESS_SET_CAP] = "wW",
	[CUSTOS_OP_PROCESS_RESUME] = "0",
	[CUSTOS_OP_PROCESS_PENDING] = "a",
	[CUSTOS_OP_PROCESS_NEXT_ACTIVATION] = "af",
	[CUSTOS_OP_PROCESS_MARK] = "al",
	[CUSTOS_OP_CAPPAGE_COPY] = "ser",
	[CUSTOS_OP_CAPPAGE_DROP] = "s",
	[CUSTOS_OP_CAPPAGE_CLASSIFY] = "s",
	[CUSTOS_OP_CAPPAGE_GET] = "ie",
	[CUSTOS_OP_CAPPAGE_PUT] = "is",
	[CUSTOS_OP_GPT_GET_SLOT] = "ie",
	[CUSTOS_OP_GPT_SET_SLOT] = "im",
	[CUSTOS_OP_GPT_SET_L2V] = "2",
	[CUSTOS_OP_GPT_SET_KEEPER] = "n",
	[CUSTOS_OP_GPT_SET_BANK] = "b",
	[CUSTOS_OP_GPT_MAKE_WINDOW] = "ePLr",
	[CUSTOS_OP_GPT_SPLIT] = "i",
	[CUSTOS_OP_GPT_MAP] = "PmLLr",
	[CUSTOS_OP_GPT_UNMAP] = "PL",
	[CUSTOS_OP_GPT_LOAD_CAP] = "ae",
	[CUSTOS_OP_GPT_STORE_CAP] = "as",
	[CUSTOS_OP_BANK_ALLOC] = "te",
	[CUSTOS_OP_BANK_FREE] = "s",
	[CUSTOS_OP_BANK_CREATE_CHILD] = "ei",
	[CUSTOS_OP_BANK_SET_LIMIT] = "l",
	[CUSTOS_OP_BANK_USAGE] = "i",
	[CUSTOS_OP_BANK_OWNER] = "s",
	[CUSTOS_OP_BANK_SET_KEEPER] = "n",
	[CUSTOS_OP_BANK_CREATE_MEMORY] = "eL",
	[CUSTOS_OP_BANK_FIND_TABLE] = "ie",
	[CUSTOS_OP_PAGE_READ] = "oal",
	[CUSTOS_OP_PAGE_WRITE] = "oal",
	[CUSTOS_OP_PAGE_SET_KEEPER] = "nr",
	[CUSTOS_OP_ENDPOINT_SEND] = "Mf",
	[CUSTOS_OP_ENDPOINT_RECEIVE] = "Mf",
	[CUSTOS_OP_ENDPOINT_MAKE_ENTRY] = "ei",
	[CUSTOS_OP_ENDPOINT_CALL] = "MMf",
	[CUSTOS_OP_ENDPOINT_SET_RECIPIENT] = "p",
	[CUSTOS_OP_ENDPOINT_MAKE_NOTICE] = "ei",
	[CUSTOS_OP_TIMER_SLEEP] = "l",
	[CUSTOS_OP_MODULE_SPAWN] = "S",
	[CUSTOS_OP_DISCRIM_CLASSIFY] = "s",
	[CUSTOS_OP_DISCRIM_SAME] = "ss",
	[CUSTOS_OP_DISCRIM_CONFINED] = "m",
	[CUSTOS_OP_RESUME_VALUE] = "al",
	[CUSTOS_OP_RESUME_FAULT] = "i",
	[CUSTOS_OP_RESUME_STEP] = "mr",
	[CUSTOS_OP_RESUME_GRANT] = "mr0",
	[CUSTOS_OP_RESUME_REPLY] = "M",
	[CUSTOS_OP_RESUME_CAP] = "s",
	[CUSTOS_OP_BUFFER_LOAD] = "M",
	[CUSTOS_OP_BUFFER_TAKE] = "M",
	[CUSTOS_OP_BUFFER_ENQUEUE] = "uf",
	[CUSTOS_OP_BUFFER_SET_THREAD] = "p",
	[CUSTOS_OP_BUFFER_SET_ID] = "i",
	[CUSTOS_OP_NOTICE_POST] = "i",
	[CUSTOS_OP_SCHEDULE_MAKE] = "eil",
};

static uint64_t slot_argument(const struct process *process, char shape)
{
	static const uint8_t own[] = {CUSTOS_CAP_CAPPAGE, CUSTOS_CAP_GPT,
		CUSTOS_CAP_BANK, CUSTOS_CAP_ENTRY, CUSTOS_CAP_SCHEDULE};

	switch (shape) {
	case 'e':
		return empty_slot(process);
	case 'm':
		return memory_slot(process);
	case 'n':
		return slot_of(process, CUSTOS_CAP_ENTRY);
	case 'p':
		return slot_of(process, CUSTOS_CAP_PROCESS);
	case 'b':
		return slot_of(process, CUSTOS_CAP_BANK);
	case 'u':
		return slot_of(process, CUSTOS_CAP_BUFFER);
	case 'W':
		return slot_of(process, own[any(sizeof(own))]);
	default:
		return any(SLOTS);
	}
}

static uint64_t argument(const struct process *process, char shape)
{
	static const uint8_t types[] = {CUSTOS_CAP_PAGE, CUSTOS_CAP_CAPPAGE,
		CUSTOS_CAP_GPT, CUSTOS_CAP_ENDPOINT, CUSTOS_CAP_PROCESS,
		CUSTOS_CAP_BUFFER, CUSTOS_CAP_BANK};

	switch (shape) {
	case 'M':
		return MESSAGES + any(MESSAGE_COUNT) * 128;
	case 'S':
		return SPAWN;
	case 'a':
		return any_address();
	case 'P':
		return one_in(4) ? any_address() & ~PAGE_MASK : any_window();
	case 'l':
		return any_length();
	case 'L':
		return any(6) * PAGE_SIZE;
	case 'o':
		return any(PAGE_SIZE);
	case 'i':
		return any(one_in(4) ? 140 : 8);
	case 't':
		return types[any(sizeof(types))];
	case 'r':
		return one_in(2) ? CUSTOS_RIGHT_ALL : any(0x400);
	case '2':
		return 12 + any(6) * 6;
	case 'w':
		return any(7);
	case 'f':
		return !one_in(12);
	case '0':
		return any(2);
	default:
		return slot_argument(process, shape);
	}
}

/* ---- what processes have in their memory ---- */

/* Bytes of a process, where nobody would be asked. */
static uint8_t *memory_of(const struct process *process, uint64_t va)
{
	struct walk way;

	walk(&process->space, va, &way);
	if (way.end != WALK_PAGE || !(way.rights & CUSTOS_RIGHT_WRITE))
		return NULL;
	return machine_direct(way.gpa);
}

static void write_message(const struct process *process)
{
	uint64_t va = MESSAGES + any(MESSAGE_COUNT) * 128;
	struct custos_message *message = (void *)memory_of(process, va);

	if (!message)
		return;
	memset(message, 0, sizeof(*message));
	message->words[0] = any_number();
	message->string = one_in(4) ? any_address() : BYTES;
	message->string_size = one_in(2) ? 0 : any(300);
	message->cap_count = any(4);
	for (unsigned i = 0; i < CUSTOS_MESSAGE_CAPS; i++)
		message->caps[i] = one_in(2) ? any(SLOTS)
					     : (uint32_t)empty_slot(process);
}

static void write_spawn(const struct process *process)
{
	struct custos_spawn *spawn = (void *)memory_of(process, SPAWN);

	if (!spawn)
		return;
	memset(spawn, 0, sizeof(*spawn));
	spawn->args = BYTES;
	spawn->args_size = any(100);
	spawn->cpu = CUSTOS_ANY_CPU;
	spawn->slot = (uint32_t)empty_slot(process);
	spawn->bank = (uint32_t)slot_of(process, CUSTOS_CAP_BANK);
	spawn->flags = any(4);
	spawn->cap_count = any(CUSTOS_SPAWN_CAPS);
	for (unsigned i = 0; i < spawn->cap_count; i++) {
		spawn->caps[i].slot = any(24);
		spawn->caps[i].rights = CUSTOS_RIGHT_ALL;
	}
}

/* ---- one trap ---- */

/* Ending, waiting and letting go is what calls do best: not too often. */
static bool is_final(unsigned op)
{
	switch (op) {
	case CUSTOS_OP_PROCESS_EXIT:
	case CUSTOS_OP_PROCESS_KILL:
	case CUSTOS_OP_PROCESS_WAIT:
	case CUSTOS_OP_PROCESS_SUSPEND:
	case CUSTOS_OP_PROCESS_SET_CAP:
	case CUSTOS_OP_CAPPAGE_DROP:
	case CUSTOS_OP_CAPPAGE_PUT:
	case CUSTOS_OP_BANK_FREE:
	case CUSTOS_OP_BANK_DESTROY:
	case CUSTOS_OP_BANK_REMOVE:
	case CUSTOS_OP_ENDPOINT_SET_RECIPIENT:
	case CUSTOS_OP_BANK_SET_LIMIT:
	case CUSTOS_OP_GPT_SET_L2V:
	case CUSTOS_OP_GPT_UNMAP:
		return true;
	default:
		return false;
	}
}

/* What makes processes wait for each other, and answers. */
static const uint8_t busy_types[] = {CUSTOS_CAP_ENDPOINT, CUSTOS_CAP_ENDPOINT,
	CUSTOS_CAP_RESUME, CUSTOS_CAP_RESUME, CUSTOS_CAP_BUFFER,
	CUSTOS_CAP_NOTICE, CUSTOS_CAP_GPT, CUSTOS_CAP_PAGE};

static unsigned any_op(const struct process *process)
{
	bool owes = has(process, CUSTOS_CAP_RESUME);
	unsigned op;

	do {
		op = any(CUSTOS_OP_MAX);
		if (one_in(3))
			op = CUSTOS_OP(busy_types[any(sizeof(busy_types))],
				any(CUSTOS_OPS_PER_TYPE));
		if (owes && one_in(3))
			op = CUSTOS_OP(CUSTOS_CAP_RESUME,
				any(CUSTOS_OPS_PER_TYPE));
	} while (!call_name(op) || (is_final(op) && !one_in(8)));
	if (op / CUSTOS_OPS_PER_TYPE == CUSTOS_CAP_RESUME && !owes &&
		!one_in(32))
		return one_in(4) ? CUSTOS_OP_ENDPOINT_RECEIVE
				 : CUSTOS_OP_PROCESS_YIELD;
	return op;
}

static void prepare_call(struct process *process)
{
	static const uint8_t registers[CALL_ARGS] = {
		GPR_RSI, GPR_RDX, GPR_R10, GPR_R8, GPR_R9};
	uint64_t *gpr = process->frame.gpr;
	unsigned op = any_op(process), type = op / CUSTOS_OPS_PER_TYPE;
	const char *shape = shapes[op] ? shapes[op] : "";

	write_message(process);
	if (op == CUSTOS_OP_MODULE_SPAWN)
		write_spawn(process);
	gpr[GPR_RAX] = op;
	gpr[GPR_RDI] = one_in(16) ? slot_of(process, CUSTOS_CAP_ENTRY)
				  : slot_of(process, type);
	for (unsigned i = 0; i < CALL_ARGS; i++)
		gpr[registers[i]] = !shape[0] || one_in(40)
					    ? any_number()
					    : argument(process, *shape++);
}

static void trap(struct process *process)
{
	struct frame *frame = &process->frame;

	/* At CODE + 2 it is behind a call, at CODE it makes one again. */
	if (frame->rip == CODE && frame->vector == VECTOR_SYSCALL &&
		!one_in(16)) {
		frame->rip += SYSCALL_SIZE;
		return;
	}
	frame->rip = CODE + SYSCALL_SIZE;
	if (one_in(16)) {
		frame->vector = VECTOR_PF;
		kernel_machine.cr2 = one_in(4) ? any_address()
					       : any_window() + any(64) * 8;
		frame->error_code = 4 | (any(4) << 1 & 2) | any(2) << 4;
		frame->rip = CODE;
	} else if (one_in(32)) {
		frame->vector = one_in(20) ? any(20) : VECTOR_TIMER;
	} else {
		frame->vector = VECTOR_SYSCALL;
		prepare_call(process);
	}
}

/* The monitor's part: it wants something, or is done. */
static void emulate(struct custos_emulate *emulate)
{
	emulate->stepped_count = 0;
	emulate->result = CUSTOS_EMULATE_DONE;
	if (one_in(2))
		return;
	emulate->result = 1 + any(CUSTOS_EMULATE_XSTATE);
	emulate->vector = VECTOR_PF;
	emulate->cr2 = emulate->need.va = any_address();
	emulate->need.size = 1 + any(16);
	emulate->need.kind = any(5);
}

static void note(unsigned op, const struct process *process, uint64_t payload)
{
	if (process->frame.vector != VECTOR_SYSCALL)
		return;
	if (op == CUSTOS_OP_ENDPOINT_MAKE_ENTRY)
		kernel_check_entry_made(payload);
}

static bool step(void)
{
	struct cpu *cpu = cpu_get(0);
	struct process *process = cpu->current;
	const uint64_t *gpr = process->frame.gpr;
	struct cap self = cap_make(CUSTOS_CAP_PROCESS, 0, process, 0);
	unsigned op;

	trap(process);
	op = (unsigned)gpr[GPR_RAX];
	note(op, process, gpr[GPR_RDX]);
	trap_user(process);
	if (cap_is_live(&self) && process->frame.vector == VECTOR_SYSCALL &&
		(int64_t)gpr[GPR_RAX] >= 0 &&
		process->frame.rip != CODE && op < CUSTOS_OP_MAX)
		kernel_random_successes[op]++;
	kernel_check();
	if (one_in(16))
		space_check_all();
	if (one_in(64))
		endpoint_set_recipient(mailbox.object, NULL);
	return !source->has_bytes || source->size;
}

/* Until enough calls are made; false: every process waits for ever. */
static bool run(unsigned long calls, volatile unsigned long *made)
{
	jmp_buf exited;

	kernel_machine.exited = &exited;
	if (setjmp(exited)) {
		assert_int_equal(kernel_machine.exit_code, CUSTOS_EXIT_STUCK);
		cpu_unlock(); /* where it was left nobody comes back to */
		return false;
	}
	trap_first(cpu_get(0));
	while (*made < calls) {
		++*made;
		if (!step())
			return true;
	}
	return true;
}

static void end_bank(struct bank *bank)
{
	unsigned i;

	bank_end(bank, false);
	for (i = 0; i < END_PIECES_MAX && !bank_end_piece(); i++)
		continue;
	table_flush();
	kernel_check();
}

/* Somebody's bank ends; in another somebody begins. */
static void go_on(const struct secrets *secrets)
{
	struct list *last = payer->children.prev;

	if (last != &payer->children)
		end_bank(LIST_ENTRY(last, struct bank, siblings));
	start(child_of(payer, 140), secrets);
}

static void end_world(uint64_t free)
{
	end_bank(payer);
	assert_int_equal(frame_count_free(), free);
}

/* The end of process 1 is the machine's: nobody here shall be that one. */
static void skip_process_1(void)
{
	bank_free(machine_gpa(process_create(bank_root())));
}

unsigned long kernel_random_episode(
	struct kernel_random *random, unsigned long calls)
{
	static volatile unsigned long made;
	struct secrets secrets;
	uint64_t free;

	source = random;
	kernel_setup_ram(RAM);
	kernel_machine.emulate = emulate;
	kernel_check_init();
	skip_process_1();
	secrets = make_secrets();
	free = frame_count_free();
	make_world(&secrets);
	kernel_check();
	made = 0;
	while (!run(calls, &made))
		go_on(&secrets);
	end_world(free);
	kernel_teardown();
	return made;
}
