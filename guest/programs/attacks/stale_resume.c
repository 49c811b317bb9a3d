/* SPDX-License-Identifier: MIT */
/*
 * The attack: a keeper keeps copies of the resume capabilities it gets, and
 * answers the same access twice, an old one instead of a new one, and one of a
 * process that is gone.
 */
#include "attack.h"

static int role_reader(uint64_t argument)
{
	volatile uint64_t *window = (volatile uint64_t *)WINDOW;

	attack_map(attack_given(0), WINDOW, 64 * PAGE_SIZE,
		RIGHTS_RW | CUSTOS_RIGHT_CALL);
	EXPECT(argument, window[0]);
	EXPECT(argument + 1, window[1]);
	return (int)window[2];
}

static int role_caller(uint64_t argument)
{
	struct custos_message message = {.words = {1}}, reply = {0};

	(void)argument;
	EXPECT(0, message_call(attack_given(0), &message, &reply));
	return (int)reply.words[0];
}

static struct attack_message got;

static uint32_t next_resume(uint32_t endpoint)
{
	EXPECT(0, attack_receive(endpoint, &got));
	EXPECT(CUSTOS_CAP_RESUME, cap_type(got.slots[0]));
	return (uint32_t)cap_copy(got.slots[0], CUSTOS_RIGHT_ALL);
}

static int64_t value(uint32_t resume, uint64_t bytes)
{
	return custos_resume_value(resume, (uint64_t)&bytes, sizeof(bytes));
}

static void answer_twice(uint32_t endpoint, uint32_t old[3])
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		old[i] = next_resume(endpoint);
		if (i)
			EXPECT(-CUSTOS_E_STALE, value(old[0], 13));
		EXPECT(0, value(got.slots[0], 100 + i));
		EXPECT(-CUSTOS_E_STALE, value(got.slots[0], 14));
		EXPECT(-CUSTOS_E_STALE, value(old[i], 15));
		EXPECT(-CUSTOS_E_STALE, custos_resume_fault(old[i], 1));
		EXPECT(-CUSTOS_E_STALE, custos_resume_step(old[i], 0, 3));
	}
	old[2] = next_resume(endpoint);
}

static void of_a_gone_process(uint32_t endpoint, uint32_t entry)
{
	uint32_t node = attack_node(12), reader, old[3], i;

	EXPECT(0, custos_gpt_set_slot(node, 0, entry));
	reader = attack_start("reader", 100, CAPS(node));
	answer_twice(endpoint, old);
	EXPECT(0, custos_process_kill(reader, 3));
	EXPECT(-CUSTOS_E_STALE, value(old[2], 16));
	EXPECT(3, wait_exit(reader)); /* its bank is gone, too */
	for (i = 0; i < 3; i++) {
		EXPECT(-CUSTOS_E_INVALID_CAP, value(old[i], 17));
		EXPECT(CUSTOS_CAP_NULL, cap_type(old[i]));
		cap_slot_free(old[i]);
	}
	cap_slot_free(node);
}

static void of_a_call(uint32_t endpoint, uint32_t entry)
{
	uint32_t caller = attack_start("caller", 0, CAPS(entry));
	uint32_t resume = next_resume(endpoint);
	struct custos_message reply = {.words = {33}}, other = {.words = {44}};

	EXPECT(0, custos_resume_reply(resume, (uint64_t)&reply));
	EXPECT(-CUSTOS_E_STALE, custos_resume_reply(resume, (uint64_t)&other));
	EXPECT(-CUSTOS_E_STALE,
		custos_resume_reply(got.slots[0], (uint64_t)&other));
	EXPECT(33, wait_exit(caller));
	cap_slot_free(resume);
}

void attack(void)
{
	uint32_t endpoint = attack_object(CUSTOS_CAP_ENDPOINT);
	uint32_t entry = (uint32_t)entry_create(endpoint, 1);

	of_a_gone_process(endpoint, entry);
	of_a_call(endpoint, entry);
	cap_slot_free(entry);
	cap_slot_free(endpoint);
}

const struct attack_role attack_roles[] = {
	{"reader", role_reader},
	{"caller", role_caller},
	{NULL, NULL},
};
