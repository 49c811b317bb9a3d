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
#define STRING 80
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
		.string = DATA_AT + 100, .string_size = STRING};

	memset((void *)(DATA_AT + 100), 0x5a, STRING);
	EXPECT(0, message_send(spec_given(1), &message));
	memset((void *)(DATA_AT + 100), 0, STRING);
	message.string_size = STRING;
	EXPECT(0, message_receive(spec_given(1), &message));
	EXPECT(STRING, message.string_size);
	for (unsigned i = 0; i < STRING; i++)
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

static uint8_t model[AUDITED];
static uint32_t scratch; /* a page of one's own */
static uint64_t done[CUSTOS_ACCESS_IPC_DST + 1];

/* One operation at that offset, and the same on the model. */
static void operate(uint64_t at, uint64_t what, uint64_t value)
{
	uint64_t old, buffer[2] = {value, ~value};

	memcpy(&old, model + at, 8);
	switch (what) {
	case 0:
		EXPECT(old, spec_load8(DATA_AT + at));
		done[CUSTOS_ACCESS_LOAD]++;
		return;
	case 1:
		spec_store4(DATA_AT + at, value);
		memcpy(model + at, &value, 4);
		done[CUSTOS_ACCESS_STORE]++;
		return;
	case 2:
		EXPECT(old, spec_xadd8(DATA_AT + at, value));
		old += value;
		memcpy(model + at, &old, 8);
		done[CUSTOS_ACCESS_RMW_LOAD]++;
		done[CUSTOS_ACCESS_RMW_STORE]++;
		return;
	case 3: /* the kernel stores */
		EXPECT(0, custos_page_write(scratch, 0, (uint64_t)buffer, 16));
		EXPECT(0, custos_page_read(scratch, 0, DATA_AT + at, 16));
		memcpy(model + at, buffer, 16);
		done[CUSTOS_ACCESS_SYSCALL_STORE]++;
		return;
	default: /* it loads */
		EXPECT(0, custos_page_write(scratch, 0, DATA_AT + at, 16));
		EXPECT(0, custos_page_read(scratch, 0, (uint64_t)buffer, 16));
		EXPECT(0, memcmp(model + at, buffer, 16));
		done[CUSTOS_ACCESS_SYSCALL_LOAD]++;
	}
}

static void look_at_all(void)
{
	for (unsigned i = 0; i < AUDITED; i += 8)
		operate(i, 0, 0);
}

/* Random operations beside a model of one's own. */
static void audit(uint64_t count)
{
	uint64_t seed = 1;

	scratch = spec_page(spec_bank());
	for (unsigned i = 0; i < AUDITED; i += 8) {
		uint64_t word = spec_load8(DATA_AT + i);

		done[CUSTOS_ACCESS_LOAD]++;
		memcpy(model + i, &word, 8);
	}
	for (uint64_t i = 0; i < count; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		operate((seed >> 33) % (AUDITED - 16), (seed >> 20) % 5,
			seed >> 10);
	}
	look_at_all();
	for (unsigned i = 0; i <= CUSTOS_ACCESS_IPC_DST; i++)
		board[100 + i] = done[i];
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
	static uint8_t string[STRING];
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

/* The page itself is as it was. */
static void nothing_went_behind(uint32_t page)
{
	static uint64_t words[PAGE_SIZE / 8];

	EXPECT(0, custos_page_clear_keeper(page));
	EXPECT(0, custos_page_read(page, 0, (uint64_t)words, PAGE_SIZE));
	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		if (words[i])
			EXPECT(0, words[i]);
}

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
	uint32_t page = spec_page(spec_bank());
	uint64_t before[CUSTOS_ACCESS_IPC_DST + 1];

	spec_size("fetches, 9 kinds, %lu random operations", scale);
	for (unsigned i = 0; i < STORE_PAGES; i++)
		EXPECT(0, custos_gpt_set_slot(node, i,
				  (uint32_t)entry_create(endpoint, i)));
	/* Where the data is, there is a page, too: its keeper serves. */
	EXPECT(0, custos_page_set_keeper(
			  page, (uint32_t)entry_create(endpoint, 4), RIGHTS_RW));
	EXPECT(0, custos_gpt_set_slot(node, 4, page));
	memcpy(bytes + PAGE_SIZE - 7, code, sizeof(code));
	b = spec_start("peer", 0, CUSTOS_ANY_CPU, CAPS(mailbox));
	a = spec_start("use", scale, spec_last_cpu(),
		CAPS(node, mailbox, known_process(), endpoint));
	keeper_init(&keeper, endpoint, &ops, NULL);
	keeper_run(&keeper);
	memcpy(before, seen, sizeof(seen));
	keeper.stopped = false;
	keeper_run(&keeper);
	EXPECT(0, wait_exit(a));
	EXPECT(0, wait_exit(b));
	expect_kinds();
	for (unsigned i = 0; i <= CUSTOS_ACCESS_IPC_DST; i++)
		EXPECT(board[100 + i], seen[i] - before[i]);
	nothing_went_behind(page);
}
