/* SPDX-License-Identifier: MIT */
/* What is in a process when it starts, and that a refused one leaves nothing. */
#include <string.h>

#include "guest/kernel/bank.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/gpt.h"
#include "guest/kernel/process.h"
#include "tests/support/kernel_machine.h"
#include "tests/support/space_check.h"
#include "tests/support/tests.h"

static struct custos_segment *segment(unsigned i)
{
	return &boot_info->modules[0].segments[i];
}

static void add_segment(uint64_t va, uint64_t pages, unsigned flags)
{
	struct custos_segment *to =
		segment(boot_info->modules[0].segment_count++);

	to->va = va;
	to->mem_size = pages * PAGE_SIZE;
	to->data = CUSTOS_RAM_BASE + 8 * PAGE_SIZE;
	to->data_size = PAGE_SIZE;
	to->flags = flags;
}

static struct process *load(struct bank *bank)
{
	struct process *process = process_create(bank);

	assert_non_null(process);
	assert_int_equal(process_load(process, bank, 0, 0), 0);
	assert_true(space_check(process) > 0);
	return process;
}

static unsigned rights_at(const struct process *process, uint64_t va)
{
	uint64_t gpa;

	return space_model(process, va, &gpa) &
	       (CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE | CUSTOS_RIGHT_EXEC);
}

static void everything_is_in_its_place(void **state)
{
	const unsigned rw = CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE;
	const unsigned rx = CUSTOS_RIGHT_READ | CUSTOS_RIGHT_EXEC;
	uint8_t *file = machine_direct(CUSTOS_RAM_BASE + 8 * PAGE_SIZE);
	struct process *process;
	uint64_t text = 0, data = 0;
	struct custos_start_info *info;

	(void)state;
	file[5] = 7;
	add_segment(0x800000, 1, CUSTOS_SEGMENT_READ | CUSTOS_SEGMENT_EXEC);
	add_segment(0x900000, 3, CUSTOS_SEGMENT_READ | CUSTOS_SEGMENT_WRITE);
	process = load(bank_root());
	assert_int_equal(rights_at(process, KERNEL_PROGRAM), rw);
	assert_int_equal(rights_at(process, 0x800000), rx);
	assert_int_equal(rights_at(process, 0x801000), 0);
	assert_int_equal(rights_at(process, 0x902000), rw);
	assert_int_equal(rights_at(process, 0x903000), 0);
	assert_int_equal(rights_at(process, CUSTOS_STACK_TOP - 8), rw);
	assert_int_equal(rights_at(process, CUSTOS_STACK_TOP), 0);
	assert_int_equal(
		rights_at(process, CUSTOS_STACK_TOP - CUSTOS_STACK_SIZE), rw);
	assert_int_equal(
		rights_at(process, CUSTOS_START_VA), CUSTOS_RIGHT_READ);
	/* Bytes that can be written are copied, others not. */
	space_model(process, 0x800000, &text);
	space_model(process, 0x900000, &data);
	assert_ptr_equal(machine_direct(text), file);
	assert_ptr_not_equal(machine_direct(data), file);
	assert_int_equal(((uint8_t *)machine_direct(data))[5], 7);
	info = process_start_info(process);
	assert_int_equal(info->cap_count, 3);
	assert_string_equal(info->caps[2].name, "space");
	assert_int_equal(info->caps[2].type, CUSTOS_CAP_GPT);
}

/* Programs far apart, or where the stack's slot of the root is. */
static void programs_may_lie_anywhere(void **state)
{
	static const uint64_t places[] = {0x1000, 0x3ffff000, 0x7fffff000,
		UINT64_C(0x3fffffff000), UINT64_C(0x500000000000),
		UINT64_C(0x7ffff0000000), UINT64_C(0x7fffffffd000)};

	(void)state;
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct process *process;

		boot_info->modules[0].segment_count = i % 2;
		add_segment(places[i], 2,
			CUSTOS_SEGMENT_READ | CUSTOS_SEGMENT_WRITE);
		process = load(bank_root());
		assert_true(rights_at(process, places[i]));
		assert_true(rights_at(process, places[i] + PAGE_SIZE));
		assert_false(rights_at(process, places[i] + 2 * PAGE_SIZE));
		assert_true(rights_at(process, CUSTOS_STACK_TOP - 8));
		assert_true(rights_at(process, CUSTOS_START_VA));
		process_unload(process);
	}
}

static void a_refused_process_leaves_nothing(void **state)
{
	struct bank *bank;
	unsigned refused = 0, frames = process_frames(), limit;
	struct process *process;

	(void)state;
	assert_int_equal(bank_create_child(bank_root(), 0, &bank), 0);
	for (limit = 1 + frames;; limit++) {
		bank->limit = limit;
		process = process_create(bank);
		assert_non_null(process);
		if (!process_load(process, bank, 0, 0))
			break;
		assert_ptr_equal(bank_refusal(), bank);
		process_unload(process);
		assert_int_equal(bank->own, 1);
		refused++;
	}
	assert_true(refused > 20);
	/* Tables can wait. */
	assert_int_equal(space_check(process), 0);
	process_unload(process);
	assert_int_equal(bank->own, 1);
	bank->limit = 0;
	process_unload(load(bank));
	assert_int_equal(bank->own, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KERNEL_TEST(everything_is_in_its_place),
		KERNEL_TEST(programs_may_lie_anywhere),
		KERNEL_TEST(a_refused_process_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
