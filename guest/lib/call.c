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

/* result, or the slot when that is 0; the slot is given back otherwise. */
static int64_t slot_or(uint32_t slot, int64_t result)
{
	if (result == 0)
		return slot;
	cap_slot_free(slot);
	return result;
}

int64_t memory_create(uint64_t length)
{
	uint32_t slot = cap_slot_alloc();

	return slot_or(slot,
		custos_bank_create_memory(cap_find("bank"), slot, length));
}

int64_t memory_map(
	uint32_t memory, const volatile void *address, uint32_t rights)
{
	int64_t length = custos_memory_length(memory);

	if (length < 0)
		return length;
	return custos_space_map(cap_find("space"), (uint64_t)address, memory, 0,
		(uint64_t)length, rights);
}

int64_t endpoint_create(void)
{
	uint32_t slot = cap_slot_alloc();

	return slot_or(
		slot, custos_bank_create_endpoint(cap_find("bank"), slot));
}

int64_t message_send(uint32_t endpoint, struct custos_message *message)
{
	return custos_endpoint_send(endpoint, (uint64_t)message, 0);
}

int64_t message_receive(uint32_t endpoint, struct custos_message *message)
{
	return custos_endpoint_receive(endpoint, (uint64_t)message, 0);
}
