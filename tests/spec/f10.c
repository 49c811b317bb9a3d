/* SPDX-License-Identifier: MIT */
/*
 * F10: keepers whose own memory is kept by keepers, eight deep; code and stack,
 * too. A keeper that comes to wait for itself gets KEEPER_LOOP; the system goes
 * on.
 */
#include "tests/spec/spec.h"

#define DEPTH 8
#define AT WINDOW
#define READY 64 /* board: + level */
#define STACK_AT WINDOW_3
#define CODE_AT (WINDOW_3 + 8 * PAGE_SIZE)

/* Serve from the first word of one's own window, which the next level keeps;
 * the last one from its own. */
static void on_access(struct keeper *keeper, const struct custos_access *access)
{
	uint64_t level = *(uint64_t *)keeper->context, value;

	if (keeper_is_store(access)) {
		memcpy(&value, access->value, 8);
		if (level == DEPTH)
			board[READY + 20] = value;
		else
			spec_store8(AT, value + 1);
		keeper_done(keeper);
		return;
	}
	value = level == DEPTH ? board[READY + 20] : spec_load8(AT);
	keeper_value(keeper, &value, 8);
}

/* Endpoint to receive from; node with the next one's entry. */
static int role_level(uint64_t level)
{
	static const struct keeper_ops ops = {.access = on_access};
	static struct keeper keeper;

	spec_map(spec_given(1), AT, 64 * PAGE_SIZE);
	keeper_init(&keeper, spec_given(0), &ops, &level);
	board[READY + level] = 1;
	keeper_run(&keeper);
	return 0;
}

static int role_user(uint64_t count)
{
	spec_map(spec_given(0), AT, 64 * PAGE_SIZE);
	for (uint64_t i = 0; i < count; i++) {
		spec_store8(AT, 100 * i);
		EXPECT(100 * i + DEPTH, spec_load8(AT));
	}
	return 0;
}

static uint32_t node_with(uint32_t slot)
{
	uint32_t node = spec_node(spec_bank(), 12);

	EXPECT(0, custos_gpt_set_slot(node, 0, slot));
	return node;
}

static void deep(uint64_t count)
{
	uint32_t endpoint[DEPTH + 1], node[DEPTH + 1], process[DEPTH + 1], a;

	for (unsigned i = 0; i <= DEPTH; i++) {
		endpoint[i] = (uint32_t)endpoint_create();
		node[i] = node_with((uint32_t)entry_create(endpoint[i], i));
	}
	for (unsigned i = 0; i <= DEPTH; i++)
		process[i] = spec_start("level", i, i % cpu_count(),
			CAPS(endpoint[i], i < DEPTH ? node[i + 1] : node[0]));
	a = spec_start("user", count, spec_last_cpu(), CAPS(node[0]));
	EXPECT(0, wait_exit(a));
	for (unsigned i = 0; i <= DEPTH; i++) {
		EXPECT(0, custos_process_kill(process[i], 1));
		EXPECT(1, wait_exit(process[i]));
	}
}

/* ---- a keeper whose code and stack are kept ---- */

/* The stack pointer moves to the kept stack, then the kept code is called with
 * the value; it adds 3. */
uint64_t call_kept(uint64_t stack, uint64_t code, uint64_t value);
__asm__("call_kept: push %rbx\n mov %rsp, %rbx\n mov %rdi, %rsp\n"
	" mov %rdx, %rax\n call *%rsi\n mov %rbx, %rsp\n pop %rbx\n ret\n");

static const uint8_t add_three[] = {0x50, 0x58, 0x48, 0x83, 0xc0, 3, 0xc3};

static void on_strange(
	struct keeper *keeper, const struct custos_access *access)
{
	uint64_t value = access->offset;

	value = call_kept(STACK_AT + PAGE_SIZE, CODE_AT, value);
	keeper_value(keeper, &value, 8);
}

static int role_strange(uint64_t argument)
{
	static const struct keeper_ops ops = {.access = on_strange};
	static struct keeper keeper;

	(void)argument;
	spec_map(spec_given(1), STACK_AT, 64 * PAGE_SIZE);
	keeper_init(&keeper, spec_given(0), &ops, NULL);
	keeper_run(&keeper);
	return 0;
}

static int role_load(uint64_t offset)
{
	spec_map(spec_given(0), AT, 64 * PAGE_SIZE);
	EXPECT(offset + 3, spec_load8(AT + offset));
	return 0;
}

static int role_store(uint64_t argument)
{
	static struct keeper keeper;
	static uint8_t bytes[9 * PAGE_SIZE];
	struct keeper_store store = {bytes, sizeof(bytes)};

	(void)argument;
	memcpy(bytes + 8 * PAGE_SIZE, add_three, sizeof(add_three));
	keeper_init(&keeper, spec_given(0), &keeper_store_ops, &store);
	keeper_run(&keeper);
	return 0;
}

static void code_and_stack(void)
{
	uint32_t e1 = (uint32_t)endpoint_create();
	uint32_t e2 = (uint32_t)endpoint_create();
	uint32_t kept = spec_node(spec_bank(), 12);
	uint32_t strange, store;

	/* The node has a keeper and nothing in it: offsets are the node's. */
	EXPECT(0, custos_gpt_set_keeper(kept, (uint32_t)entry_create(e2, 0)));
	store = spec_start("store", 0, 0, CAPS(e2));
	strange = spec_start("strange", 0, spec_last_cpu(), CAPS(e1, kept));
	EXPECT(0, wait_exit(spec_start("load", 0x120, 0,
			  CAPS(node_with((uint32_t)entry_create(e1, 0))))));
	EXPECT(0, custos_process_kill(strange, 1));
	EXPECT(1, wait_exit(strange));
	EXPECT(0, custos_process_kill(store, 1));
	EXPECT(1, wait_exit(store));
}

/* ---- loops ---- */

/* Touches what it keeps itself (directly, or by its partner) and never could
 * answer; its own keeper is told. */
static void on_loop(struct keeper *keeper, const struct custos_access *access)
{
	uint64_t value = spec_load8(AT + 64);

	(void)access;
	keeper_value(keeper, &value, 8);
}

static int role_loop(uint64_t argument)
{
	static const struct keeper_ops ops = {.access = on_loop};
	static struct keeper keeper;

	(void)argument;
	spec_map(spec_given(1), AT, 64 * PAGE_SIZE);
	keeper_init(&keeper, spec_given(0), &ops, NULL);
	keeper_run(&keeper);
	return 0;
}

/* count keepers in a ring; a user asks the first. */
static void ring(unsigned count)
{
	static struct spec_message m;
	uint32_t faults = (uint32_t)endpoint_create();
	uint32_t entry = (uint32_t)entry_create(faults, 1);
	uint32_t endpoint[3], node[3], process[3], a;

	for (unsigned i = 0; i < count; i++) {
		endpoint[i] = (uint32_t)endpoint_create();
		node[i] = node_with((uint32_t)entry_create(endpoint[i], i));
	}
	for (unsigned i = 0; i < count; i++) {
		process[i] = spec_start_kept("loop", 0, i % cpu_count(), entry,
			CAPS(endpoint[i], node[(i + 1) % count]));
		EXPECT(0, custos_endpoint_set_recipient(
				  endpoint[i], process[i]));
	}
	a = spec_start("load", 0, spec_last_cpu(), CAPS(node[0]));
	spec_expect(faults, CUSTOS_MESSAGE_FAULT, &m);
	EXPECT(CUSTOS_FAULT_KEEPER_LOOP, m.message.words[1]);
	EXPECT(AT + 64, m.access.va);
	for (unsigned i = 0; i < count; i++) {
		EXPECT(0, custos_process_kill(process[i], 1));
		EXPECT(1, wait_exit(process[i]));
	}
	EXPECT(CUSTOS_EXIT_MEMORY, wait_exit(a));
	spec_drop(&m);
}

const struct spec_role spec_roles[] = {
	{"level", role_level},
	{"user", role_user},
	{"strange", role_strange},
	{"load", role_load},
	{"store", role_store},
	{"loop", role_loop},
	{NULL, NULL},
};

void spec_test(uint64_t scale)
{
	spec_size("depth %u, %lu times; code and stack; rings of 1 to 3", DEPTH,
		scale);
	deep(scale);
	code_and_stack();
	for (unsigned i = 1; i <= 3; i++)
		ring(i);
}
