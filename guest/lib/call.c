/* SPDX-License-Identifier: MIT */
/* Calls, and the helpers that are little more than one. */
#include <custos/guest.h>

#include "guest_impl.h"

static uint8_t slot_used[CUSTOS_SLOTS];

int64_t guest_call(uint64_t op, uint64_t slot, uint64_t a, uint64_t b,
	uint64_t c, uint64_t d, uint64_t e)
{
	register uint64_t r10 __asm__("r10") = c;
	register uint64_t r8 __asm__("r8") = d;
	register uint64_t r9 __asm__("r9") = e;
	int64_t result;

	__asm__ volatile(
		"syscall"
		: "=a"(result)
		: "a"(op), "D"(slot), "S"(a), "d"(b), "r"(r10), "r"(r8), "r"(r9)
		: "rcx", "r11", "memory");
	return result;
}

const char *error_name(int64_t result)
{
	static const char *const names[CUSTOS_E_MAX] = {
#define ERROR(NAME, number, sentence) [number] = #NAME,
#include "abi/errors.def"
	};

	if (result >= 0)
		return "OK";
	if (result <= -CUSTOS_E_MAX || !names[-result])
		return "UNKNOWN";
	return names[-result];
}

void guest_caps_init(void)
{
	uint32_t i;

	slot_used[0] = 1;
	for (i = 0; i < guest_info->cap_count; i++)
		slot_used[guest_info->caps[i].slot % CUSTOS_SLOTS] = 1;
}

uint32_t cap_find(const char *name)
{
	uint32_t i;

	for (i = 0; i < guest_info->cap_count; i++)
		if (!strcmp(guest_info->caps[i].name, name))
			return guest_info->caps[i].slot;
	return 0;
}

uint32_t cap_slot_alloc(void)
{
	uint32_t slot;

	for (slot = 1; slot < CUSTOS_SLOTS; slot++)
		if (!slot_used[slot])
			break;
	assert(slot < CUSTOS_SLOTS);
	slot_used[slot] = 1;
	return slot;
}

void cap_slot_free(uint32_t slot)
{
	assert(slot < CUSTOS_SLOTS);
	custos_cappage_drop(cap_find("caps"), slot);
	slot_used[slot] = 0;
}

uint32_t cpu_count(void)
{
	return guest_info->cpu_count;
}

void yield(void)
{
	custos_process_yield(cap_find("self"));
}

void sleep_ms(uint64_t ms)
{
	custos_timer_sleep(cap_find("timer"), ms * 1000000);
}

uint64_t time_ns(void)
{
	return (uint64_t)custos_timer_now(cap_find("timer"));
}

const char *fault_name(uint64_t code)
{
	static const char *const names[CUSTOS_FAULT_MAX] = {
#define FAULT(NAME, number, sentence) [number] = #NAME,
#include "abi/faults.def"
	};

	return code < CUSTOS_FAULT_MAX && names[code] ? names[code] : "NONE";
}

enum custos_captype cap_type(uint32_t slot)
{
	int64_t class = custos_cappage_classify(cap_find("caps"), slot);

	return class < 0 ? CUSTOS_CAP_NULL
			 : (enum custos_captype)(class & 0xffff);
}

/* result, or the slot when that is 0; the slot is given back otherwise. */
static int64_t slot_or(uint32_t slot, int64_t result)
{
	if (result == 0)
		return slot;
	cap_slot_free(slot);
	return result;
}

int64_t cap_copy(uint32_t slot, uint32_t rights)
{
	uint32_t to = cap_slot_alloc();

	return slot_or(to,
		custos_cappage_copy(cap_find("caps"), slot, to, rights));
}

int64_t object_create(uint32_t bank, enum custos_captype type)
{
	uint32_t slot = cap_slot_alloc();

	return slot_or(slot, custos_bank_alloc(bank, type, slot));
}

int64_t bank_create(uint64_t limit)
{
	uint32_t slot = cap_slot_alloc();

	return slot_or(slot,
		custos_bank_create_child(cap_find("bank"), slot, limit));
}

void bank_end(uint32_t bank)
{
	custos_bank_destroy(bank);
	cap_slot_free(bank);
}

int64_t memory_create(uint64_t length)
{
	uint32_t slot = cap_slot_alloc();

	return slot_or(slot,
		custos_bank_create_memory(cap_find("bank"), slot, length));
}

int64_t memory_length(uint32_t memory)
{
	switch (cap_type(memory)) {
	case CUSTOS_CAP_GPT:
		return custos_gpt_length(memory);
	case CUSTOS_CAP_FIXED:
		return custos_fixed_length(memory);
	case CUSTOS_CAP_PAGE:
	case CUSTOS_CAP_CAPPAGE:
	case CUSTOS_CAP_ENTRY:
		return (int64_t)PAGE_SIZE;
	default:
		return -CUSTOS_E_INVALID_CAP;
	}
}

int64_t memory_map_part(uint32_t memory, const volatile void *address,
	uint64_t offset, uint64_t length, uint32_t rights)
{
	return custos_gpt_map(cap_find("space"), (uint64_t)address, memory,
		offset, length, rights);
}

int64_t memory_map(
	uint32_t memory, const volatile void *address, uint32_t rights)
{
	int64_t length = memory_length(memory);

	if (length < 0)
		return length;
	return memory_map_part(memory, address, 0, (uint64_t)length, rights);
}

int64_t memory_unmap(const volatile void *address, uint64_t length)
{
	return custos_gpt_unmap(
		cap_find("space"), (uint64_t)address, length);
}

int64_t endpoint_create(void)
{
	return object_create(cap_find("bank"), CUSTOS_CAP_ENDPOINT);
}

int64_t entry_create(uint32_t endpoint, uint64_t payload)
{
	uint32_t slot = cap_slot_alloc();

	return slot_or(
		slot, custos_endpoint_make_entry(endpoint, slot, payload));
}

int64_t message_send(uint32_t endpoint, struct custos_message *message)
{
	return custos_endpoint_send(endpoint, (uint64_t)message, 0);
}

int64_t message_call(uint32_t endpoint, struct custos_message *message,
	struct custos_message *reply)
{
	return custos_endpoint_call(
		endpoint, (uint64_t)message, (uint64_t)reply, 0);
}

int64_t message_receive(uint32_t endpoint, struct custos_message *message)
{
	return custos_endpoint_receive(endpoint, (uint64_t)message, 0);
}
