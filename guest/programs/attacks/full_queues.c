/* SPDX-License-Identifier: MIT */
/*
 * The attack: a process takes all that its bank allows, of every type, fills
 * every queue it can find and the lines of others, and stays. Others have what
 * they had.
 */
#include "attack.h"

#define LIMIT 150
#define SENDERS 5

static uint32_t bank;

/* Until it is refused. The capabilities are dropped: that frees nothing. */
static void take_all(enum custos_captype type)
{
	uint32_t slot = cap_slot_alloc();
	int64_t result;

	do {
		result = custos_bank_alloc(bank, type, slot);
		custos_cappage_drop(cap_find("caps"), slot);
	} while (result == 0);
	EXPECT(-CUSTOS_E_LIMIT, result);
	cap_slot_free(slot);
}

static void fill_slots(void)
{
	uint32_t caps = cap_find("caps"), slot;

	for (slot = 1; slot < CUSTOS_SLOTS; slot++)
		custos_cappage_copy(caps, bank, slot, CUSTOS_RIGHT_ALL);
	EXPECT_REFUSED(custos_bank_create_child(bank, CUSTOS_SLOTS, 0));
	EXPECT_REFUSED(custos_bank_create_child(bank, bank, 0));
}

static void nest_banks(void)
{
	uint32_t slots[2] = {cap_slot_alloc(), cap_slot_alloc()}, i;
	uint32_t parent = bank;
	int64_t result;

	for (i = 0;; i++) {
		uint32_t slot = slots[i % 2];

		if (slot == parent)
			break;
		custos_cappage_drop(cap_find("caps"), slot);
		result = custos_bank_create_child(parent, slot, 0);
		if (result)
			break;
		parent = slot;
	}
	EXPECT(-CUSTOS_E_LIMIT, result);
	cap_slot_free(slots[0]);
	cap_slot_free(slots[1]);
}

/* Buffers in each other's lines, bits in a notice, posts nobody takes. */
static void fill_lines(void)
{
	uint32_t notice = cap_slot_alloc(), i, buffers[20];
	int64_t endpoint = object_create(bank, CUSTOS_CAP_ENDPOINT);
	struct custos_message message = {.words = {1}};

	EXPECT(0, custos_endpoint_make_notice(
			  (uint32_t)endpoint, notice, UINT64_MAX));
	for (i = 0; i < 1000; i++)
		EXPECT(0, custos_notice_post(notice, UINT64_C(1) << i % 64));
	for (i = 0; i < 20; i++) {
		buffers[i] = (uint32_t)object_create(bank, CUSTOS_CAP_BUFFER);
		EXPECT(0, custos_buffer_load(buffers[i], (uint64_t)&message));
	}
	for (i = 0; i < 400; i++)
		custos_buffer_enqueue(buffers[i / 20], buffers[i % 20], 0);
	cap_slot_free(notice);
}

static int role_hog(uint64_t argument)
{
	static const enum custos_captype types[] = {CUSTOS_CAP_PROCESS,
		CUSTOS_CAP_ENDPOINT, CUSTOS_CAP_BUFFER, CUSTOS_CAP_GPT,
		CUSTOS_CAP_CAPPAGE, CUSTOS_CAP_PAGE};

	bank = attack_given(0);
	nest_banks();
	fill_lines();
	take_all(types[argument]);
	take_all(CUSTOS_CAP_PAGE);
	fill_slots();
	while (bank) /* always */
		yield();
	return 0;
}

static int role_sender(uint64_t argument)
{
	struct custos_message message = {.words = {argument}};

	return message_send(attack_given(0), &message) ==
	       -CUSTOS_E_PARTNER_GONE;
}

static void hogs(void)
{
	uint64_t i;

	for (i = 0; i < 6; i++) {
		int64_t limited = bank_create(LIMIT);
		uint32_t hog = attack_start("hog", i, CAPS((uint32_t)limited));
		uint32_t alive;

		while (custos_bank_usage((uint32_t)limited,
			       CUSTOS_USAGE_FREE) > 0)
			sleep_ms(1);
		alive = attack_start("alive", i, NULL, 0);
		EXPECT(i + 1, wait_exit(alive));
		EXPECT(LIMIT, custos_bank_usage((uint32_t)limited,
				      CUSTOS_USAGE_ALL));
		EXPECT(0, custos_process_kill(hog, 3));
		EXPECT(3, wait_exit(hog));
		bank_end((uint32_t)limited);
	}
}

static void senders(void)
{
	uint32_t endpoint = attack_object(CUSTOS_CAP_ENDPOINT);
	uint32_t entry = (uint32_t)entry_create(endpoint, 9);
	uint32_t children[SENDERS], i;

	for (i = 0; i < SENDERS; i++) {
		children[i] = attack_start("sender", i, CAPS(entry));
		attack_wait_state(children[i], CUSTOS_STATE_SENDING);
	}
	EXPECT(0, custos_bank_free(attack_bank, endpoint));
	for (i = 0; i < SENDERS; i++)
		EXPECT(1, wait_exit(children[i]));
	cap_slot_free(entry);
	cap_slot_free(endpoint);
}

void attack(void)
{
	hogs();
	senders();
}

const struct attack_role attack_roles[] = {
	{"hog", role_hog},
	{"sender", role_sender},
	{NULL, NULL},
};
