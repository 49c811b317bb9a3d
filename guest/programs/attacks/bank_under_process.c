/* SPDX-License-Identifier: MIT */
/*
 * The attack: banks are destroyed, and objects freed, under running processes:
 * the memory one uses, its own space, slots and self, the bank of the one that
 * destroys, one bank by two at a time.
 */
#include "attack.h"

#define PAGES 200

/* Reads all of it until it is gone. */
static int role_reader(uint64_t argument)
{
	volatile uint64_t *at = (volatile uint64_t *)WINDOW;
	uint64_t i;

	(void)argument;
	attack_map(attack_given(0), WINDOW, PAGES * PAGE_SIZE,
		CUSTOS_RIGHT_READ);
	for (i = 0; i < PAGES; i++)
		if (at[i * PAGE_SIZE / 8])
			return 1;
	message_send(attack_given(1), &(struct custos_message){0});
	for (i = 0;; i = (i + 1) % PAGES)
		if (at[i * PAGE_SIZE / 8])
			return 1;
}

/* Frees something it stands on; does it come back? */
static int role_sawyer(uint64_t argument)
{
	static const char *const what[] = {"space", "caps", "self"};
	uint32_t bank = cap_find("bank");

	if (argument == 3)
		custos_bank_destroy(bank);
	else
		custos_bank_free(bank, cap_find(what[argument]));
	__builtin_trap(); /* without slots there is no other end */
}

static int role_destroyer(uint64_t argument)
{
	int64_t result = custos_bank_destroy(attack_given(0));

	(void)argument;
	return result && result != -CUSTOS_E_INVALID_CAP;
}

static uint32_t memory_of(uint32_t bank)
{
	uint32_t slot = cap_slot_alloc();

	EXPECT(0, custos_bank_create_memory(bank, slot, PAGES * PAGE_SIZE));
	return slot;
}

static void memory_goes(void)
{
	uint32_t bank = (uint32_t)bank_create(0), memory = memory_of(bank);
	uint32_t endpoint = attack_object(CUSTOS_CAP_ENDPOINT), reader;
	struct custos_message message = {0};

	reader = attack_start("reader", 0, CAPS(memory, endpoint));
	EXPECT(0, message_receive(endpoint, &message));
	EXPECT(0, custos_bank_destroy(bank));
	EXPECT(CUSTOS_CAP_NULL, cap_type(memory));
	EXPECT(-CUSTOS_E_INVALID_CAP, custos_bank_destroy(bank));
	EXPECT(CUSTOS_EXIT_MEMORY, wait_exit(reader));
	cap_slot_free(bank);
	cap_slot_free(memory);
	cap_slot_free(endpoint);
}

static void ground_goes(void)
{
	uint64_t i;

	for (i = 0; i < 4; i++) {
		uint32_t sawyer = attack_start("sawyer", i, NULL, 0);
		int64_t code = wait_exit(sawyer);

		/* A fault, or it is gone. */
		EXPECT(true, code == CUSTOS_EXIT_MEMORY ||
				     code == CUSTOS_EXIT_ILLEGAL ||
				     code == -CUSTOS_E_INVALID_CAP);
	}
}

static void two_destroy(void)
{
	uint32_t bank = (uint32_t)bank_create(0), memory = memory_of(bank);
	uint32_t other = attack_start("destroyer", 0, CAPS(bank));
	int64_t result = custos_bank_destroy(bank);

	EXPECT(true, result == 0 || result == -CUSTOS_E_INVALID_CAP);
	EXPECT(0, wait_exit(other));
	cap_slot_free(bank);
	cap_slot_free(memory);
}

/* The destroyer dies with its work half done. */
static void destroyer_dies(void)
{
	uint32_t bank = (uint32_t)bank_create(0), memory = memory_of(bank);
	uint32_t other = attack_start("destroyer", 0, CAPS(bank));

	custos_process_kill(other, 9);
	custos_bank_destroy(bank);
	while (cap_type(bank) != CUSTOS_CAP_NULL)
		yield();
	wait_exit(other);
	cap_slot_free(bank);
	cap_slot_free(memory);
}

void attack(void)
{
	memory_goes();
	ground_goes();
	two_destroy();
	destroyer_dies();
	EXPECT(-CUSTOS_E_REQUEST, custos_bank_destroy(cap_find("bank")));
	EXPECT(-CUSTOS_E_REQUEST, custos_bank_remove(cap_find("bank")));
}

const struct attack_role attack_roles[] = {
	{"reader", role_reader},
	{"sawyer", role_sawyer},
	{"destroyer", role_destroyer},
	{NULL, NULL},
};
