/* SPDX-License-Identifier: MIT */
/*
 * The attack: a keeper takes what it is asked and never answers. Who asked
 * waits; nobody else does, and who asked can be helped by others: ended,
 * told to go on without it, or freed by the keeper's end.
 */
#include "attack.h"

static int role_reader(uint64_t argument)
{
	(void)argument;
	attack_map(attack_given(0), WINDOW, 64 * PAGE_SIZE, CUSTOS_RIGHT_ALL);
	return (int)*(volatile uint64_t *)WINDOW;
}

/* Asks by a system call. */
static int role_writer(uint64_t argument)
{
	(void)argument;
	attack_map(attack_given(0), WINDOW, 64 * PAGE_SIZE, CUSTOS_RIGHT_ALL);
	return custos_console_write(cap_find("console"), WINDOW, 8) ==
	       -CUSTOS_E_CANCELLED;
}

static int role_caller(uint64_t argument)
{
	struct custos_message message = {0}, reply = {0};

	(void)argument;
	return message_call(attack_given(1), &message, &reply) ==
	       -CUSTOS_E_PARTNER_GONE;
}

static struct attack_message got;

static uint32_t start(
	const char *role, uint32_t endpoint, uint32_t node, uint32_t entry)
{
	uint32_t process = attack_start(role, 0, CAPS(node, entry));

	EXPECT(0, attack_receive(endpoint, &got));
	attack_wait_state(process, CUSTOS_STATE_ASKING);
	return process;
}

static void others_go_on(void)
{
	uint32_t alive = attack_start("alive", 4, NULL, 0);

	EXPECT(5, wait_exit(alive));
}

void attack(void)
{
	uint32_t endpoint = attack_object(CUSTOS_CAP_ENDPOINT), a, b, c;
	uint32_t entry = (uint32_t)entry_create(endpoint, 1);
	uint32_t node = attack_node(12);

	EXPECT(0, custos_gpt_set_slot(node, 0, entry));
	a = start("reader", endpoint, node, entry);
	others_go_on();
	EXPECT(0, custos_process_kill(a, 3));
	EXPECT(3, wait_exit(a));

	b = start("writer", endpoint, node, entry);
	EXPECT(0, custos_process_resume(b, 1)); /* cancel */
	EXPECT(1, wait_exit(b));

	a = start("reader", endpoint, node, entry);
	c = start("caller", endpoint, node, entry);
	others_go_on();
	EXPECT(0, custos_bank_free(attack_bank, endpoint));
	EXPECT(CUSTOS_EXIT_MEMORY, wait_exit(a));
	EXPECT(1, wait_exit(c));
	cap_slot_free(entry);
	cap_slot_free(endpoint);
	cap_slot_free(node);
}

const struct attack_role attack_roles[] = {
	{"reader", role_reader},
	{"writer", role_writer},
	{"caller", role_caller},
	{NULL, NULL},
};
