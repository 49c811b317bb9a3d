/* SPDX-License-Identifier: MIT */
/*
 * The attack: a process that may send to a keeper pretends to be the kernel. It
 * sends what the kernel would send about an access, a step, a fault, an
 * exhausted bank, with a payload and flags of its choice and a capability of
 * its own where the resume capability would be, by send and by call.
 */
#include "attack.h"

#define KINDS 6

static const uint64_t kinds[KINDS] = {CUSTOS_MESSAGE_ACCESS,
	CUSTOS_MESSAGE_STEPPED, CUSTOS_MESSAGE_FAULT, CUSTOS_MESSAGE_EXHAUSTED,
	CUSTOS_MESSAGE_HOLE, CUSTOS_MESSAGE_NOTICE};

static void forge(struct custos_message *message, uint64_t kind)
{
	static struct custos_access access = {.seq = 1, .va = WINDOW, .size = 8};

	*message = (struct custos_message){
		.words = {kind, 1, 2, 3, 4},
		.string = (uint64_t)&access,
		.string_size = sizeof(access),
		.cap_count = 1,
		.caps = {attack_given(0)},
		.payload = 77,
		.flags = CUSTOS_MESSAGE_KERNEL | CUSTOS_MESSAGE_RESUME,
	};
}

static int role_forger(uint64_t argument)
{
	struct custos_message message, reply;
	unsigned i;

	(void)argument;
	for (i = 0; i < KINDS; i++) {
		forge(&message, kinds[i]);
		EXPECT(0, message_send(attack_given(0), &message));
	}
	for (i = 0; i < KINDS; i++) {
		forge(&message, kinds[i]);
		memset(&reply, 0, sizeof(reply));
		EXPECT(0, message_call(attack_given(0), &message, &reply));
		EXPECT(-CUSTOS_E_UNKNOWN_REQUEST, reply.words[0]);
	}
	return 0;
}

static struct attack_message got;

static void look(uint32_t endpoint, unsigned i)
{
	EXPECT(0, attack_receive(endpoint, &got));
	EXPECT(kinds[i], got.message.words[0]);
	EXPECT(0, got.message.flags & CUSTOS_MESSAGE_KERNEL);
	EXPECT(0, got.message.flags & CUSTOS_MESSAGE_RESUME);
	EXPECT(5, got.message.payload); /* of the entry */
	EXPECT(CUSTOS_CAP_ENTRY, cap_type(got.slots[0]));
}

static unsigned asked;

static void on_access(struct keeper *keeper, const struct custos_access *access)
{
	(void)keeper, (void)access;
	asked++;
}

static void on_fault(struct keeper *keeper, uint64_t code,
	const struct custos_access *access)
{
	(void)keeper, (void)code, (void)access;
	asked++;
}

void attack(void)
{
	static const struct keeper_ops ops = {
		.access = on_access, .fault = on_fault};
	static struct keeper keeper;
	uint32_t endpoint = attack_object(CUSTOS_CAP_ENDPOINT), forger;
	uint32_t entry = (uint32_t)entry_create(endpoint, 5);
	unsigned i;

	forger = attack_start("forger", 0, CAPS(entry));
	for (i = 0; i < KINDS; i++)
		look(endpoint, i);
	keeper_init(&keeper, endpoint, &ops, NULL);
	for (i = 0; i < KINDS; i++)
		EXPECT(0, keeper_once(&keeper, 0));
	EXPECT(0, asked);
	EXPECT(KINDS, keeper.forged);
	EXPECT(0, wait_exit(forger));
	for (i = 0; i < CUSTOS_MESSAGE_CAPS; i++)
		cap_slot_free(keeper.slots[i]);
	cap_slot_free(entry);
	cap_slot_free(endpoint);
}

const struct attack_role attack_roles[] = {
	{"forger", role_forger},
	{NULL, NULL},
};
