/* SPDX-License-Identifier: MIT */
#include "vmm/step.h"

#include "tests/support/tests.h"

static void instructions_are_classified_behind_their_prefixes(void **state)
{
	static const struct {
		uint8_t code[6];
		uint8_t len;
		enum step_form form;
	} cases[] = {
		{ { 0x48, 0xff, 0x03 }, 3, STEP_PLAIN }, /* inc */
		{ { 0x9c }, 1, STEP_PUSHF },
		{ { 0x66, 0x9c }, 2, STEP_PUSHF },
		{ { 0x48, 0x9d }, 2, STEP_POPF },
		{ { 0x0f, 0x05 }, 2, STEP_SYSCALL },
		{ { 0x0f, 0x0b }, 2, STEP_PLAIN }, /* ud2 faults */
		{ { 0x0f, 0xb2, 0x23 }, 3, STEP_REFUSED }, /* lss */
		{ { 0x8e, 0x13 }, 2, STEP_REFUSED }, /* mov ss */
		{ { 0x41, 0x8e, 0xd0 }, 3, STEP_REFUSED },
		{ { 0x8e, 0x1b }, 2, STEP_PLAIN }, /* mov ds */
		{ { 0xcc }, 1, STEP_REFUSED },
		{ { 0xcd, 0x80 }, 2, STEP_REFUSED },
		{ { 0x48, 0xcf }, 2, STEP_REFUSED }, /* iretq */
		{ { 0xff, 0x13 }, 2, STEP_PLAIN }, /* call [rbx] */
		{ { 0xff, 0x1b }, 2, STEP_REFUSED }, /* far call */
		{ { 0xff, 0x2b }, 2, STEP_REFUSED }, /* far jmp */
		{ { 0xf3, 0x48, 0xa5 }, 3, STEP_PLAIN }, /* rep movsq */
		/* cut short: whatever it is, no opcode was seen */
		{ { 0x66, 0x48 }, 2, STEP_PLAIN },
		{ { 0x0f }, 1, STEP_PLAIN },
		{ { 0x8e }, 1, STEP_PLAIN },
		{ { 0xff }, 1, STEP_PLAIN },
		{ { 0 }, 0, STEP_PLAIN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(
			vmm_step_classify(cases[i].code, cases[i].len),
			cases[i].form);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			instructions_are_classified_behind_their_prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
