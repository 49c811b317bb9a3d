/* SPDX-License-Identifier: MIT */
/* Capabilities, and arguments no call may believe. */
#include "tests.h"

#define UNMAPPED UINT64_C(0x10000000)
#define NON_CANONICAL UINT64_C(0x8000000000000000)

static void unknown_calls_are_refused(void)
{
	uint32_t self = cap_find("self");

	EXPECT(-CUSTOS_E_UNKNOWN_REQUEST,
		guest_call(CUSTOS_OP_MAX, self, 0, 0, 0, 0, 0));
	EXPECT(-CUSTOS_E_UNKNOWN_REQUEST,
		guest_call(UINT64_MAX, self, 0, 0, 0, 0, 0));
	EXPECT(-CUSTOS_E_UNKNOWN_REQUEST,
		guest_call(CUSTOS_OP(CUSTOS_CAP_TIMER, 15), self, 0, 0, 0, 0,
			0));
}

static void slots_must_hold_the_type(void)
{
	EXPECT(-CUSTOS_E_INVALID_CAP, custos_console_write(0, 0, 0));
	EXPECT(-CUSTOS_E_INVALID_CAP, custos_console_write(CUSTOS_SLOTS, 0, 0));
	EXPECT(-CUSTOS_E_INVALID_CAP, custos_console_write(UINT32_MAX, 0, 0));
	EXPECT(-CUSTOS_E_INVALID_CAP,
		custos_console_write(cap_find("self"), 0, 0));
	EXPECT(-CUSTOS_E_INVALID_CAP,
		guest_call(CUSTOS_OP_CONSOLE_WRITE, UINT64_MAX, 0, 0, 0, 0, 0));
}

static void rights_only_shrink(void)
{
	uint32_t caps = cap_find("caps"), slot = cap_slot_alloc();
	uint32_t again = cap_slot_alloc();

	EXPECT(0, custos_cappage_copy(caps, cap_find("console"), slot, 0));
	EXPECT(-CUSTOS_E_NO_ACCESS, custos_console_write(slot, 0, 0));
	EXPECT(0, custos_cappage_copy(caps, slot, again, CUSTOS_RIGHT_ALL));
	EXPECT(-CUSTOS_E_NO_ACCESS, custos_console_write(again, 0, 0));
	EXPECT(CUSTOS_CAP_CONSOLE, custos_cappage_classify(caps, again));
	cap_slot_free(slot);
	cap_slot_free(again);
	EXPECT(CUSTOS_CAP_NULL, custos_cappage_classify(caps, again));
}

static void copies_need_an_empty_slot(void)
{
	uint32_t caps = cap_find("caps"), console = cap_find("console");
	uint32_t slot = cap_slot_alloc();

	EXPECT(-CUSTOS_E_REQUEST,
		custos_cappage_copy(caps, console, caps, CUSTOS_RIGHT_ALL));
	EXPECT(-CUSTOS_E_REQUEST,
		custos_cappage_copy(caps, console, 0, CUSTOS_RIGHT_ALL));
	EXPECT(-CUSTOS_E_REQUEST, custos_cappage_copy(caps, console,
					  CUSTOS_SLOTS, CUSTOS_RIGHT_ALL));
	EXPECT(-CUSTOS_E_INVALID_CAP, custos_cappage_copy(caps, 0, slot, 0));
	cap_slot_free(slot);
	EXPECT(-CUSTOS_E_REQUEST, custos_cappage_drop(caps, 0));
	EXPECT(-CUSTOS_E_REQUEST, custos_cappage_classify(caps, CUSTOS_SLOTS));
}

static void console_checks_pointers(void)
{
	static const char text[] = "  (console_checks_pointers prints this)\n";
	uint32_t console = cap_find("console");

	EXPECT(-CUSTOS_E_FAULT, custos_console_write(console, 0, 1));
	EXPECT(-CUSTOS_E_FAULT, custos_console_write(console, UNMAPPED, 1));
	EXPECT(-CUSTOS_E_FAULT,
		custos_console_write(console, CUSTOS_KERNEL_BASE, 8));
	EXPECT(-CUSTOS_E_FAULT,
		custos_console_write(console, CUSTOS_DIRECT_BASE, 8));
	EXPECT(-CUSTOS_E_FAULT,
		custos_console_write(console, NON_CANONICAL, 8));
	EXPECT(-CUSTOS_E_FAULT, custos_console_write(console, UINT64_MAX, 8));
	EXPECT(-CUSTOS_E_REQUEST,
		custos_console_write(console, (uint64_t)text, UINT64_MAX));
	EXPECT(0, custos_console_write(console, 0, 0));
	flush();
	EXPECT(sizeof(text) - 1, custos_console_write(console, (uint64_t)text,
					 sizeof(text) - 1));
}

const struct test cap_tests[] = {
	{"unknown_calls_are_refused", unknown_calls_are_refused},
	{"slots_must_hold_the_type", slots_must_hold_the_type},
	{"rights_only_shrink", rights_only_shrink},
	{"copies_need_an_empty_slot", copies_need_an_empty_slot},
	{"console_checks_pointers", console_checks_pointers},
	{NULL, NULL},
};
