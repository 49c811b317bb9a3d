/* SPDX-License-Identifier: MIT */
/*
 * The attack: every call gets addresses that lead nowhere, to the kernel, to
 * pages of another kind, over the end of one, and sizes that wrap; and calls
 * that take no address get the same numbers as slots, indexes and lengths.
 */
#include "attack.h"

#define EDGE (CUSTOS_STACK_TOP - 4) /* the page after it is nobody's */

static const uint64_t bad[] = {0, 1, PAGE_SIZE - 1, WINDOW, EDGE,
	CUSTOS_USER_END - 4, CUSTOS_USER_END, UINT64_C(0x800000000000),
	UINT64_C(1) << 63, CUSTOS_DIRECT_BASE, CUSTOS_DIRECT_BASE +
	CUSTOS_RAM_BASE, CUSTOS_KERNEL_BASE, UINT64_MAX - 7, UINT64_MAX};

#define BAD (sizeof(bad) / sizeof(bad[0]))

static uint32_t make(enum custos_captype type)
{
	int64_t slot = object_create(cap_find("bank"), type);

	EXPECT(true, slot > 0);
	return (uint32_t)slot;
}

struct world {
	uint32_t page, endpoint, buffer, process;
};

/* Every call that takes an address, with nothing else wrong. */
static void pointers(const struct world *w, uint64_t at)
{
	uint32_t self = cap_find("self");
	struct custos_message good = {0};

	EXPECT_REFUSED(custos_console_write(cap_find("console"), at, 8));
	EXPECT_REFUSED(custos_console_write(cap_find("console"), at, 65536));
	EXPECT_REFUSED(
		custos_console_write(cap_find("console"), at, UINT64_MAX));
	EXPECT_REFUSED(custos_process_get_regs(w->process, at));
	EXPECT_REFUSED(custos_process_set_regs(w->process, at));
	EXPECT_REFUSED(custos_process_mark(self, at, 8));
	EXPECT_REFUSED(custos_process_next_activation(
		self, at, CUSTOS_NO_WAIT));
	EXPECT_REFUSED(custos_process_pending(w->process, at));
	EXPECT_REFUSED(custos_page_read(w->page, 0, at, PAGE_SIZE));
	EXPECT_REFUSED(custos_page_write(w->page, 0, at, PAGE_SIZE));
	EXPECT_REFUSED(custos_page_read(w->page, at, (uint64_t)&good, 4097));
	EXPECT_REFUSED(custos_endpoint_send(w->endpoint, at, CUSTOS_NO_WAIT));
	EXPECT_REFUSED(custos_endpoint_receive(
		w->endpoint, at, CUSTOS_NO_WAIT));
	EXPECT_REFUSED(custos_endpoint_call(
		w->endpoint, at, (uint64_t)&good, CUSTOS_NO_WAIT));
	EXPECT_REFUSED(custos_module_spawn(cap_find("program"), at));
	EXPECT_REFUSED(custos_buffer_load(w->buffer, at));
	EXPECT_REFUSED(custos_buffer_take(w->buffer, at));
	EXPECT_REFUSED(custos_gpt_load_cap(cap_find("space"), at, w->page + 1));
	EXPECT_REFUSED(custos_gpt_store_cap(cap_find("space"), at, w->page));
}

/* Addresses and sizes inside structures. */
static void inner_pointers(const struct world *w, uint64_t at)
{
	struct custos_message message = {
		.string = at, .string_size = CUSTOS_STRING_MAX};
	struct custos_spawn spawn = {.args = at,
		.args_size = CUSTOS_ARGS_MAX,
		.args_count = 1,
		.cpu = CUSTOS_ANY_CPU,
		.slot = cap_slot_alloc(),
		.bank = cap_find("bank")};

	EXPECT_REFUSED(custos_buffer_load(w->buffer, (uint64_t)&message));
	message.string_size = UINT32_MAX;
	EXPECT_REFUSED(custos_endpoint_send(
		w->endpoint, (uint64_t)&message, CUSTOS_NO_WAIT));
	message.string_size = 0;
	message.cap_count = UINT32_MAX;
	EXPECT_REFUSED(custos_endpoint_send(
		w->endpoint, (uint64_t)&message, CUSTOS_NO_WAIT));
	message.cap_count = 1;
	message.caps[0] = (uint32_t)at | 0x80;
	EXPECT_REFUSED(custos_endpoint_send(
		w->endpoint, (uint64_t)&message, CUSTOS_NO_WAIT));
	EXPECT_REFUSED(
		custos_module_spawn(cap_find("program"), (uint64_t)&spawn));
	spawn.cap_count = UINT32_MAX;
	EXPECT_REFUSED(
		custos_module_spawn(cap_find("program"), (uint64_t)&spawn));
	cap_slot_free(spawn.slot);
}

/* They would end the caller, or make it wait long. */
static bool is_final(uint64_t op)
{
	switch (op) {
	case CUSTOS_OP_PROCESS_EXIT:
	case CUSTOS_OP_PROCESS_KILL:
	case CUSTOS_OP_PROCESS_SUSPEND:
	case CUSTOS_OP_PROCESS_WAIT:
	case CUSTOS_OP_PROCESS_SET_CAP:
	case CUSTOS_OP_PROCESS_SET_FS_BASE:
	case CUSTOS_OP_BANK_DESTROY:
	case CUSTOS_OP_BANK_REMOVE:
	case CUSTOS_OP_BANK_FREE:
	case CUSTOS_OP_BANK_SET_LIMIT:
	case CUSTOS_OP_TIMER_SLEEP:
	case CUSTOS_OP_GPT_SET_L2V:
	case CUSTOS_OP_GPT_UNMAP:
	case CUSTOS_OP_GPT_SET_SLOT:
	case CUSTOS_OP_CAPPAGE_DROP:
		return true;
	default:
		return false;
	}
}

/* What comes of it is not said; that the process can go on is. */
static void every_call(uint64_t at)
{
	uint64_t op, slot;

	for (op = 0; op < CUSTOS_OP_MAX; op++) {
		if (is_final(op))
			continue;
		for (slot = 1; slot < 16; slot++)
			guest_call(op, slot, at, at, at, at, at);
		EXPECT_REFUSED(guest_call(op, at | 0x80, 0, 0, 0, 0, 0));
	}
	EXPECT(-CUSTOS_E_UNKNOWN_REQUEST,
		guest_call(CUSTOS_OP_MAX + at, 1, at, at, at, at, at));
}

static int role_prober(uint64_t argument)
{
	struct world w = {.page = make(CUSTOS_CAP_PAGE),
		.endpoint = make(CUSTOS_CAP_ENDPOINT),
		.buffer = make(CUSTOS_CAP_BUFFER),
		.process = make(CUSTOS_CAP_PROCESS)};
	uint64_t i;

	(void)argument;
	for (i = 0; i < BAD; i++) {
		pointers(&w, bad[i]);
		inner_pointers(&w, bad[i]);
	}
	return 0;
}

static int role_caller(uint64_t argument)
{
	every_call(bad[argument]);
	return 0;
}

void attack(void)
{
	uint32_t prober = attack_start("prober", 0, NULL, 0);
	uint64_t i;

	EXPECT(0, wait_exit(prober));
	for (i = 1; i < BAD; i += 3) {
		uint32_t caller = attack_start("caller", i, NULL, 0);

		EXPECT(0, wait_exit(caller));
	}
}

const struct attack_role attack_roles[] = {
	{"prober", role_prober},
	{"caller", role_caller},
	{NULL, NULL},
};
