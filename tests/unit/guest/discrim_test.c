/* SPDX-License-Identifier: MIT */
/* What Discrim says about capabilities, and what a weak page shows of them. */
#include "guest/kernel/call.h"

#include "guest/kernel/bank.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/endpoint.h"
#include "guest/kernel/gpt.h"
#include "guest/kernel/machine.h"
#include "guest/kernel/object.h"
#include "guest/kernel/process.h"
#include "guest/kernel/trap.h"
#include "tests/support/kernel_machine.h"
#include "tests/support/tests.h"

#define ALL CUSTOS_RIGHTS_MEMORY
#define DISCRIM 100
#define A 101
#define B 102
#define EMPTY 103

static struct process *process;
static struct cap *slots;

static int setup(void **state)
{
	(void)state;
	kernel_setup();
	process = process_create(bank_root());
	process_load(process, bank_root(), 0, CUSTOS_ANY_CPU);
	process_start(process, 0);
	trap_first(cpu_get(0));
	slots = process->caps.object;
	slots[DISCRIM] =
		cap_make(CUSTOS_CAP_DISCRIM, CUSTOS_RIGHT_ALL, NULL, 0);
	return 0;
}

static int64_t call(uint64_t op, uint64_t slot, uint64_t a, uint64_t b)
{
	uint64_t *gpr = process->frame.gpr;

	gpr[GPR_RAX] = op;
	gpr[GPR_RDI] = slot;
	gpr[GPR_RSI] = a;
	gpr[GPR_RDX] = b;
	gpr[GPR_R10] = CUSTOS_RIGHT_ALL;
	call_dispatch(process);
	return (int64_t)gpr[GPR_RAX];
}

static void *make(enum frame_type type)
{
	uint64_t gpa = bank_alloc(bank_root(), type);

	assert_true(gpa);
	if (type == FRAME_GPT)
		gpt_begin(gpa);
	if (type == FRAME_ENDPOINT)
		endpoint_begin(gpa);
	return machine_direct(gpa);
}

static struct cap entry(void)
{
	return cap_make(CUSTOS_CAP_ENTRY, CUSTOS_RIGHT_SEND | ALL,
		make(FRAME_ENDPOINT), 1);
}

static int64_t confined(struct cap cap)
{
	slots[A] = cap;
	return call(CUSTOS_OP_DISCRIM_CONFINED, DISCRIM, A, 0);
}

static void memory_alone_is_confined(void **state)
{
	struct gpt *gpt = make(FRAME_GPT);

	(void)state;
	assert_int_equal(
		confined(cap_make(CUSTOS_CAP_PAGE, ALL, make(FRAME_PAGE), 0)),
		1);
	gpt->slots[3] = slots[A];
	assert_int_equal(confined(cap_make(CUSTOS_CAP_GPT, ALL, gpt, 0)), 1);
	assert_int_equal(call(CUSTOS_OP_DISCRIM_CONFINED, DISCRIM, EMPTY, 0),
		-CUSTOS_E_INVALID_CAP);
}

static void entries_call_unless_the_way_forbids(void **state)
{
	struct gpt *gpt = make(FRAME_GPT);
	struct cap node = cap_make(CUSTOS_CAP_GPT, ALL, gpt, 0);

	(void)state;
	assert_int_equal(confined(entry()), 0);
	gpt->slots[63] = entry();
	assert_int_equal(confined(node), 0);
	node.rights &= (uint16_t)~CUSTOS_RIGHT_CALL;
	assert_int_equal(confined(node), 1);
}

static void keepers_call(void **state)
{
	struct gpt *gpt = make(FRAME_GPT);
	struct cap page = cap_make(CUSTOS_CAP_PAGE, ALL, make(FRAME_PAGE), 0);

	(void)state;
	gpt->keeper = entry();
	assert_int_equal(confined(cap_make(CUSTOS_CAP_GPT, ALL, gpt, 0)), 0);
	slots[A] = page;
	slots[B] = entry();
	assert_int_equal(
		call(CUSTOS_OP_PAGE_SET_KEEPER, A, B, CUSTOS_RIGHT_WRITE), 0);
	assert_int_equal(confined(page), 0);
	assert_int_equal(call(CUSTOS_OP_PAGE_CLEAR_KEEPER, A, 0, 0), 0);
	assert_int_equal(confined(page), 1);
}

static void what_can_be_loaded_counts(void **state)
{
	struct cap *page = make(FRAME_CAPPAGE);
	unsigned weak = CUSTOS_RIGHT_READ;

	(void)state;
	page[5] = entry();
	assert_int_equal(
		confined(cap_make(CUSTOS_CAP_CAPPAGE, weak, page, 0)), 0);
	page[5] = cap_make(CUSTOS_CAP_TIMER, weak, NULL, 0);
	assert_int_equal(
		confined(cap_make(CUSTOS_CAP_CAPPAGE, weak, page, 0)), 0);
	page[5] = (struct cap){0};
	assert_int_equal(
		confined(cap_make(CUSTOS_CAP_CAPPAGE, weak, page, 0)), 1);
}

static void cycles_are_too_large(void **state)
{
	struct gpt *gpt = make(FRAME_GPT);

	(void)state;
	gpt->slots[0] = cap_make(CUSTOS_CAP_GPT, ALL, gpt, 0);
	assert_int_equal(confined(gpt->slots[0]), -CUSTOS_E_LIMIT);
}

static void same_means_all_of_it(void **state)
{
	void *page = make(FRAME_PAGE);

	(void)state;
	slots[A] = slots[B] = cap_make(CUSTOS_CAP_PAGE, ALL, page, 0);
	assert_int_equal(call(CUSTOS_OP_DISCRIM_SAME, DISCRIM, A, B), 1);
	slots[B].rights = CUSTOS_RIGHT_READ;
	assert_int_equal(call(CUSTOS_OP_DISCRIM_SAME, DISCRIM, A, B), 0);
	slots[B] = slots[A];
	slots[B].pages = 1;
	assert_int_equal(call(CUSTOS_OP_DISCRIM_SAME, DISCRIM, A, B), 0);
	/* Of a gone object nothing is left to tell apart. */
	slots[B] = (struct cap){0};
	assert_true(object_destroy(machine_gpa(page)));
	assert_int_equal(call(CUSTOS_OP_DISCRIM_SAME, DISCRIM, A, B), 1);
	assert_int_equal(call(CUSTOS_OP_DISCRIM_CLASSIFY, DISCRIM, A, 0), 0);
}

static void a_weak_page_weakens(void **state)
{
	struct cap *page = make(FRAME_CAPPAGE);

	(void)state;
	page[1] = cap_make(CUSTOS_CAP_PAGE, ALL, make(FRAME_PAGE), 0);
	slots[A] = cap_make(CUSTOS_CAP_CAPPAGE, CUSTOS_RIGHT_READ, page, 0);
	assert_int_equal(call(CUSTOS_OP_CAPPAGE_GET, A, 1, EMPTY), 0);
	assert_int_equal(slots[EMPTY].rights,
		ALL & ~(CUSTOS_RIGHT_WRITE | CUSTOS_RIGHT_CONTROL |
			      CUSTOS_RIGHT_INSPECT | CUSTOS_RIGHT_STRONG));
	assert_int_equal(
		call(CUSTOS_OP_CAPPAGE_PUT, A, 2, EMPTY), -CUSTOS_E_NO_ACCESS);
	/* Nobody has such a page for its own slots. */
	process->caps.rights = CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE;
	assert_null(cap_find(process, A));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KERNEL_TEST_AFTER(setup, memory_alone_is_confined),
		KERNEL_TEST_AFTER(setup, entries_call_unless_the_way_forbids),
		KERNEL_TEST_AFTER(setup, keepers_call),
		KERNEL_TEST_AFTER(setup, what_can_be_loaded_counts),
		KERNEL_TEST_AFTER(setup, cycles_are_too_large),
		KERNEL_TEST_AFTER(setup, same_means_all_of_it),
		KERNEL_TEST_AFTER(setup, a_weak_page_weakens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
