/* SPDX-License-Identifier: MIT */
/*
 * F4: instructions are fetched from a keeper, what the kernel copies for a
 * process and the capabilities it loads and stores are asked, too, each with a
 * kind of its own; no path goes behind the keeper's back.
 */
#include "tests/spec/spec.h"

#define CODE_AT (WINDOW + PAGE_SIZE - 7)
#define DATA_AT (WINDOW + 4 * PAGE_SIZE)
#define CAPS_AT (WINDOW + 8 * PAGE_SIZE)
#define STORE_PAGES 16
#define AUDITED 256 /* bytes */
#define SEEN 64 /* board words: how often each kind was seen */

static uint8_t bytes[STORE_PAGES * PAGE_SIZE];
static uint64_t seen[CUSTOS_ACCESS_IPC_DST + 1];
static uint32_t stored_cap;

/* mov $0x11223344, %eax; movabs $.., %rdx; add %rdx, %rax; ret: over a page
 * border, in a page that nobody could read. */
static const uint8_t code[] = {0xb8, 0x44, 0x33, 0x22, 0x11, 0x48, 0xba, 1, 0,
	0, 0, 1, 0, 0, 0, 0x48, 0x01, 0xd0, 0xc3};

static void run_code(void)
{
	uint64_t (*function)(void) = (uint64_t (*)(void))CODE_AT;

	EXPECT(UINT64_C(0x111223345), function());
}

static void system_calls(void)
{
	static const char text[] = "  (F4 prints this from kept memory)\n";
	struct custos_regs regs;

	flush();
	memcpy((void *)DATA_AT, text, sizeof(text));
	EXPECT(sizeof(text) - 1,
		custos_console_write(
			cap_find("console"), DATA_AT, sizeof(text) - 1));
	EXPECT(0, custos_process_get_regs(spec_given(2), DATA_AT));
	memcpy(&regs, (void *)DATA_AT, sizeof(regs));
	EXPECT(0x123456, regs.rip);
}

static void messages(void)
{
	struct custos_message message = {
		.string = DATA_AT + 100, .string_size = 200};

	memset((void *)(DATA_AT + 100), 0x5a, 200);
	EXPECT(0, message_send(spec_given(1), &message));
	memset((void *)(DATA_AT + 100), 0, 200);
	message.string_size = 200;
	EXPECT(0, message_receive(spec_given(1), &message));
	EXPECT(200, message.string_size);
	for (unsigned i = 0; i < 200; i++)
		if (((uint8_t *)DATA_AT)[100 + i] != 0xa5)
			EXPECT(0xa5, ((uint8_t *)DATA_AT)[100 + i]);
}

static void capabilities(void)
{
	uint32_t space = cap_find("space"), slot = cap_slot_alloc();

	EXPECT(0, custos_gpt_store_cap(
			  space, CAPS_AT + 64, cap_find("console")));
	EXPECT(0, custos_gpt_load_cap(space, CAPS_AT + 64, slot));
	EXPECT(CUSTOS_CAP_CONSOLE, cap_type(slot));
}

/* Random loads and stores beside a model of one's own. */
static void audit(uint64_t count)
{
	static uint8_t model[AUDITED];
	uint64_t seed = 1, loads = 0, stores = 0;

	for (unsigned i = 0; i < AUDITED; i += 8)
		memcpy(model + i, (uint64_t[]){spec_load8(DATA_AT + i)}, 8);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t at = (seed >> 33) % (AUDITED - 8);

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		if (seed >> 63) {
			spec_store4(DATA_AT + at, seed >> 17);
			memcpy(model + at, (uint32_t[]){
				(uint32_t)(seed >> 17)}, 4);
			stores++;
		} else {
			uint64_t want;

			memcpy(&want, model + at, 8);
			EXPECT(want, spec_load8(DATA_AT + at));
			loads++;
		}
	}
	board[100] = loads;
	board[101] = stores;
	for (unsigned i = 0; i < AUDITED; i += 8)
		EXPECT(0, memcmp(model + i,
				  (uint64_t[]){spec_load8(DATA_AT + i)}, 8));
}

static int role_use(uint64_t count)
{
	struct custos_message message = {.words = {1}};

	spec_map(spec_given(0), WINDOW, 64 * PAGE_SIZE);
	run_code();
	system_calls();
	messages();
	capabilities();
	message_send(spec_given(3), &message);
	audit(count);
	message_send(spec_given(3), &message);
	return 0;
}

/* The other side of the messages. */
static int role_peer(uint64_t argument)
{
	static uint8_t string[200];
	struct custos_message message = {
		.string = (uint64_t)string, .string_size = sizeof(string)};

	(void)argument;
	EXPECT(0, message_receive(spec_given(0), &message));
	for (unsigned i = 0; i < sizeof(string); i++)
		if (string[i] != 0x5a)
			EXPECT(0x5a, string[i]);
	memset(string, 0xa5, sizeof(string));
	message.string_size = sizeof(string);
	EXPECT(0, message_send(spec_given(0), &message));
	return 0;
}

/* An entry each for pages 0.., with its number as payload. */
static void on_access(struct keeper *keeper, const struct custos_access *access)
{
	struct keeper_store store = {bytes + keeper->payload * PAGE_SIZE,
		PAGE_SIZE};

	EXPECT(true, access->kind <= CUSTOS_ACCESS_IPC_DST);
	seen[access->kind]++;
	if (access->kind == CUSTOS_ACCESS_FETCH)
		EXPECT(true, access->size <= 15);
	if (access->kind == CUSTOS_ACCESS_CSTORE) {
		stored_cap = (uint32_t)cap_copy(
			keeper_received(keeper, 0), CUSTOS_RIGHT_ALL);
		keeper_done(keeper);
		return;
	}
	if (access->kind == CUSTOS_ACCESS_CLOAD) {
		keeper_cap(keeper, stored_cap);
		return;
	}
	keeper->context = &store;
	keeper_store_ops.access(keeper, access);
}

/* Between the phases of the process, and at its end. */
static void on_message(
	struct keeper *keeper, const struct custos_message *message)
{
	(void)message;
	keeper_stop(keeper);
}

static void expect_kinds(void)
{
	static const uint8_t kinds[] = {CUSTOS_ACCESS_LOAD, CUSTOS_ACCESS_STORE,
		CUSTOS_ACCESS_FETCH, CUSTOS_ACCESS_CLOAD, CUSTOS_ACCESS_CSTORE,
		CUSTOS_ACCESS_SYSCALL_LOAD, CUSTOS_ACCESS_SYSCALL_STORE,
		CUSTOS_ACCESS_IPC_SRC, CUSTOS_ACCESS_IPC_DST};

	for (unsigned i = 0; i < sizeof(kinds); i++)
		if (!seen[kinds[i]]) {
			printf("  no %s\n", keeper_kind_name(kinds[i]));
			EXPECT(true, seen[kinds[i]] != 0);
		}
}

const struct spec_role spec_roles[] = {
	{"use", role_use},
	{"peer", role_peer},
	{NULL, NULL},
};

/* A process that never runs, with a known rip. */
static uint32_t known_process(void)
{
	uint32_t p = (uint32_t)object_create(spec_bank(), CUSTOS_CAP_PROCESS);
	struct custos_regs regs = {.rip = 0x123456};

	EXPECT(0, custos_process_set_regs(p, (uint64_t)&regs));
	return p;
}

void spec_test(uint64_t scale)
{
	static const struct keeper_ops ops = {
		.access = on_access, .message = on_message};
	static struct keeper keeper;
	uint32_t endpoint = (uint32_t)endpoint_create();
	uint32_t mailbox = (uint32_t)endpoint_create();
	uint32_t node = spec_node(spec_bank(), 12), a, b;
	uint64_t loads, stores;

	spec_size("fetches, 9 kinds, %lu random accesses", scale);
	for (unsigned i = 0; i < STORE_PAGES; i++)
		EXPECT(0, custos_gpt_set_slot(node, i,
				  (uint32_t)entry_create(endpoint, i)));
	memcpy(bytes + PAGE_SIZE - 7, code, sizeof(code));
	b = spec_start("peer", 0, CUSTOS_ANY_CPU, CAPS(mailbox));
	a = spec_start("use", scale, spec_last_cpu(),
		CAPS(node, mailbox, known_process(), endpoint));
	keeper_init(&keeper, endpoint, &ops, NULL);
	keeper_run(&keeper);
	loads = seen[CUSTOS_ACCESS_LOAD];
	stores = seen[CUSTOS_ACCESS_STORE];
	keeper.stopped = false;
	keeper_run(&keeper);
	EXPECT(0, wait_exit(a));
	EXPECT(0, wait_exit(b));
	expect_kinds();
	EXPECT(board[101], seen[CUSTOS_ACCESS_STORE] - stores);
	/* the model is copied first and compared at the end */
	EXPECT(board[100] + 2 * AUDITED / 8, seen[CUSTOS_ACCESS_LOAD] - loads);
}
