/* SPDX-License-Identifier: MIT */
/* Keepers: who is asked, every answer, and who waits meanwhile. */
#include "guest/kernel/keep.h"

#include <string.h>

#include "guest/kernel/bank.h"
#include "guest/kernel/endpoint.h"
#include "guest/kernel/gpt.h"
#include "guest/kernel/object.h"
#include "guest/kernel/trap.h"
#include "guest/kernel/walk.h"
#include "tests/support/kernel_machine.h"
#include "tests/support/kernel_rig.h"
#include "tests/support/tests.h"

#define AT (RIG_WINDOW + 3 * PAGE_SIZE + 0xab8)
#define VALUE UINT64_C(0x1122334455667788)
#define RW (CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE)
#define A w.process[0]
#define B w.process[1]
#define C w.process[2]

static struct {
	struct process *keeper, *process[3];
	struct endpoint *endpoint;
	uint32_t slot;	    /* the keeper's, of the endpoint */
	uint32_t page_slot; /* the keeper's, of the page */
	void *page;
	struct gpt *window;
	struct custos_message message;
} w;

static struct cap entry(uint64_t payload)
{
	return rig_cap(CUSTOS_CAP_ENTRY, w.endpoint, payload);
}

static const struct custos_access *access(void)
{
	return rig_memory(w.keeper, RIG_BUFFER);
}

static const struct custos_stepped *stepped(void)
{
	return rig_memory(w.keeper, RIG_BUFFER);
}

static uint64_t receive(void)
{
	assert_int_equal(rig_receive(w.keeper, w.slot, &w.message), 0);
	return w.message.words[0];
}

static void assert_quiet(void)
{
	struct custos_message message;

	assert_int_equal(rig_receive(w.keeper, w.slot, &message),
		-CUSTOS_E_WOULD_BLOCK);
}

static int64_t answer(uint64_t op)
{
	return rig_answer(w.keeper, op, 0, 0, 0);
}

static int64_t answer_step(void)
{
	return rig_answer(
		w.keeper, CUSTOS_OP_RESUME_STEP, w.page_slot, RW, 0);
}

/* One node in three spaces; slot 3 of it is an entry. */
static int setup(void **state)
{
	struct cap node;

	(void)state;
	rig_setup();
	memset(&w, 0, sizeof(w));
	w.keeper = rig_process();
	w.endpoint = rig_object(CUSTOS_CAP_ENDPOINT);
	w.slot = rig_give(
		w.keeper, rig_cap(CUSTOS_CAP_ENDPOINT, w.endpoint, 0));
	endpoint_set_recipient(w.endpoint, w.keeper);
	w.page = rig_object(CUSTOS_CAP_PAGE);
	w.page_slot = rig_give(w.keeper, rig_cap(CUSTOS_CAP_PAGE, w.page, 0));
	A = rig_process();
	w.window = rig_window(A, RIG_WINDOW);
	node = entry(0x77);
	gpt_set(w.window, 3, &node);
	node = rig_cap(CUSTOS_CAP_GPT, w.window, 0);
	for (unsigned i = 1; i < 3; i++) {
		w.process[i] = rig_process();
		assert_int_equal(gpt_map(w.process[i]->space.object, RIG_WINDOW,
					 &node, 0, 64 * PAGE_SIZE,
					 CUSTOS_RIGHTS_MEMORY),
			0);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_teardown();
	return 0;
}

static void start(struct process *process, unsigned kind, uint64_t value)
{
	rig_set_insn(process, kind, AT, 8, value);
	assert_false(rig_step(process));
}

/* ---- serving ---- */

static void store_is_served_once(void **state)
{
	(void)state;
	start(A, CUSTOS_ACCESS_STORE, VALUE);
	assert_int_equal(A->state, PROCESS_ASKING);
	assert_int_equal(receive(), CUSTOS_MESSAGE_ACCESS);
	assert_int_equal(w.message.payload, 0x77);
	assert_int_equal(w.message.flags,
		CUSTOS_MESSAGE_KERNEL | CUSTOS_MESSAGE_RESUME);
	assert_int_equal(access()->kind, CUSTOS_ACCESS_STORE);
	assert_int_equal(access()->va, AT);
	assert_int_equal(access()->offset, 0xab8);
	assert_int_equal(access()->size, 8);
	assert_int_equal(access()->ip, RIG_CODE);
	assert_int_equal(access()->reason, CUSTOS_REASON_ENTRY);
	assert_memory_equal(access()->value, &(uint64_t){VALUE}, 8);
	assert_int_equal(answer(CUSTOS_OP_RESUME_CONTINUE), -CUSTOS_E_REQUEST);
	assert_int_equal(answer(CUSTOS_OP_RESUME_DONE), 0);
	assert_int_equal(answer(CUSTOS_OP_RESUME_DONE), -CUSTOS_E_STALE);
	assert_int_equal(answer(CUSTOS_OP_RESUME_FAULT), -CUSTOS_E_STALE);
	assert_true(rig_has_retired(A));
	assert_quiet();
}

static void load_gets_what_is_said(void **state)
{
	struct rig_insn *insn = rig_set_insn(A, CUSTOS_ACCESS_LOAD, AT, 8, 0);

	(void)state;
	rig_step(A);
	receive();
	/* In two parts. */
	assert_int_equal(rig_answer_value(w.keeper, VALUE, 9),
		-CUSTOS_E_REQUEST);
	assert_int_equal(rig_answer_value(w.keeper, VALUE, 5), 0);
	assert_false(rig_has_retired(A));
	assert_int_equal(receive(), CUSTOS_MESSAGE_ACCESS);
	assert_int_equal(access()->offset, 0xabd);
	assert_int_equal(access()->size, 3);
	assert_int_equal(rig_answer_value(w.keeper, VALUE >> 40, 3), 0);
	assert_true(rig_has_retired(A));
	assert_int_equal(insn->accesses[0].value, VALUE);
}

static void retry_finds_what_is_there_now(void **state)
{
	struct cap page = rig_cap(CUSTOS_CAP_PAGE, w.page, 0);
	struct rig_insn *insn = rig_set_insn(A, CUSTOS_ACCESS_LOAD, AT, 8, 0);

	(void)state;
	memcpy((uint8_t *)w.page + 0xab8, &(uint64_t){VALUE}, 8);
	rig_step(A);
	receive();
	gpt_set(w.window, 3, &page);
	assert_int_equal(answer(CUSTOS_OP_RESUME_RETRY), 0);
	assert_true(rig_has_retired(A));
	assert_int_equal(insn->accesses[0].value, VALUE);
	assert_quiet();
}

static void fault_ends_or_stays(void **state)
{
	(void)state;
	B->stays = true;
	start(A, CUSTOS_ACCESS_STORE, 1);
	receive();
	assert_int_equal(rig_answer(w.keeper, CUSTOS_OP_RESUME_FAULT,
				 CUSTOS_FAULT_ACCESS_VIOLATION, 0, 0),
		0);
	assert_false(rig_run(A));
	assert_int_equal(A->state, PROCESS_ENDED);
	assert_int_equal(A->exit_code, CUSTOS_EXIT_MEMORY);
	start(B, CUSTOS_ACCESS_STORE, 1);
	receive();
	rig_answer(w.keeper, CUSTOS_OP_RESUME_FAULT, CUSTOS_FAULT_MAX, 0, 0);
	rig_answer(w.keeper, CUSTOS_OP_RESUME_FAULT,
		CUSTOS_FAULT_ACCESS_VIOLATION, 0, 0);
	assert_int_equal(B->state, PROCESS_FAULTED);
	assert_int_equal(
		B->keep.access.fault, CUSTOS_FAULT_ACCESS_VIOLATION);
}

/* ---- who ---- */

static void passing_goes_outwards(void **state)
{
	struct gpt *outer = A->space.object, *inner;
	struct cap cap, other = entry(3);
	struct walk way;
	uint64_t seq = 0;

	(void)state;
	A->keeper = entry(4);
	w.window->keeper = entry(2);
	walk(&A->space, AT, &way);
	assert_true(way.count >= 2);
	inner = way.levels[way.count - 2].gpt;
	assert_ptr_not_equal(inner, w.window);
	inner->keeper = entry(1);
	(void)outer;
	gpt_set(w.window, 3, &other);
	start(A, CUSTOS_ACCESS_STORE, 1);
	for (unsigned i = 3; i > 0; i--) {
		assert_int_equal(receive(), CUSTOS_MESSAGE_ACCESS);
		assert_int_equal(w.message.payload, i);
		assert_int_equal(access()->level, 3 - i);
		if (!seq)
			seq = access()->seq;
		assert_int_equal(access()->seq, seq);
		if (i == 2)
			assert_int_equal(access()->offset, 0x3ab8);
		assert_int_equal(answer(CUSTOS_OP_RESUME_PASS), 0);
	}
	assert_int_equal(receive(), CUSTOS_MESSAGE_FAULT);
	assert_int_equal(w.message.payload, 4);
	assert_int_equal(access()->seq, seq);
	/* A link that lets nobody write skips who is below it. */
	cap = cap_make(CUSTOS_CAP_GPT,
		CUSTOS_RIGHTS_MEMORY & ~CUSTOS_RIGHT_WRITE, w.window, 0);
	for (unsigned i = 0; i < CUSTOS_GPT_SLOTS; i++)
		if (inner->slots[i].object == w.window)
			gpt_set(inner, i, &cap);
	assert_int_equal(answer(CUSTOS_OP_RESUME_RETRY), 0);
	assert_false(rig_has_retired(A));
	assert_int_equal(receive(), CUSTOS_MESSAGE_ACCESS);
	assert_int_equal(w.message.payload, 1);
	assert_int_equal(access()->fault, CUSTOS_FAULT_ACCESS_VIOLATION);
}

static void nobody_is_called_without_the_right(void **state)
{
	struct cap cap = cap_make(CUSTOS_CAP_GPT,
		CUSTOS_RIGHTS_MEMORY & ~CUSTOS_RIGHT_CALL, w.window, 0);

	(void)state;
	A->stays = true;
	w.window->keeper = entry(2);
	assert_int_equal(gpt_map(A->space.object, RIG_WINDOW, &cap, 0,
				 64 * PAGE_SIZE, CUSTOS_RIGHTS_MEMORY &
						 ~CUSTOS_RIGHT_CALL),
		0);
	start(A, CUSTOS_ACCESS_LOAD, 0);
	assert_int_equal(A->state, PROCESS_FAULTED);
	assert_int_equal(A->keep.access.fault, CUSTOS_FAULT_NO_CALL);
	assert_quiet();
}

static void keepers_do_not_ask_themselves(void **state)
{
	struct cap node = rig_cap(CUSTOS_CAP_GPT, w.window, 0);

	(void)state;
	w.keeper->stays = true;
	gpt_map(w.keeper->space.object, RIG_WINDOW, &node, 0, 64 * PAGE_SIZE,
		CUSTOS_RIGHTS_MEMORY);
	start(w.keeper, CUSTOS_ACCESS_LOAD, 0);
	assert_int_equal(w.keeper->state, PROCESS_FAULTED);
	assert_int_equal(
		w.keeper->keep.access.fault, CUSTOS_FAULT_KEEPER_LOOP);
}

/* ---- steps and grants ---- */

static void step_excludes_the_others(void **state)
{
	uint8_t *word = (uint8_t *)w.page + 0xab8;
	uint64_t seq;

	(void)state;
	start(A, CUSTOS_ACCESS_STORE, VALUE);
	start(B, CUSTOS_ACCESS_STORE, 2);
	assert_int_equal(B->state, PROCESS_LOCKED);
	receive();
	seq = access()->seq;
	assert_int_equal(answer_step(), 0);
	assert_true(rig_has_retired(A));
	assert_memory_equal(word, &(uint64_t){VALUE}, 8);
	assert_int_equal(A->state, PROCESS_ASKING);
	assert_int_equal(receive(), CUSTOS_MESSAGE_STEPPED);
	assert_int_equal(stepped()->seq, seq);
	assert_int_equal(stepped()->ip, RIG_CODE);
	assert_int_equal(stepped()->next_ip, RIG_CODE + 4);
	assert_int_equal(stepped()->count, 1);
	assert_int_equal(stepped()->accesses[0].offset, 0xab8);
	assert_int_equal(stepped()->fault, 0);
	assert_int_equal(B->state, PROCESS_LOCKED);
	assert_int_equal(answer(CUSTOS_OP_RESUME_CONTINUE), 0);
	assert_false(rig_has_retired(B));
	assert_int_equal(receive(), CUSTOS_MESSAGE_ACCESS);
	assert_int_equal(answer(CUSTOS_OP_RESUME_DONE), 0);
	assert_true(rig_has_retired(B));
}

static void rollback_asks_anew(void **state)
{
	uint8_t *word = (uint8_t *)w.page + 0xab8;
	uint64_t seq, zero = 0;

	(void)state;
	A->stays = true;
	start(A, CUSTOS_ACCESS_STORE, VALUE);
	receive();
	seq = access()->seq;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(answer_step(), 0);
		assert_true(rig_has_retired(A));
		assert_int_equal(receive(), CUSTOS_MESSAGE_STEPPED);
		assert_int_equal(answer(CUSTOS_OP_RESUME_ROLLBACK), 0);
		assert_false(rig_run(A));
		assert_int_equal(receive(), CUSTOS_MESSAGE_ACCESS);
		assert_int_equal(access()->seq, seq);
		assert_memory_equal(word, &zero, 8);
	}
	assert_int_equal(answer_step(), 0);
	rig_has_retired(A);
	receive();
	assert_int_equal(rig_answer(w.keeper, CUSTOS_OP_RESUME_FAULT,
				 CUSTOS_FAULT_ACCESS_VIOLATION, 0, 0),
		0);
	assert_false(rig_run(A));
	assert_int_equal(A->state, PROCESS_FAULTED);
	assert_int_equal(A->frame.rip, RIG_CODE);
	assert_memory_equal(word, &zero, 8);
}

static void grants_last_once_or_longer(void **state)
{
	struct rig_insn *insn = rig_set_insn(A, CUSTOS_ACCESS_LOAD, AT, 8, 0);

	(void)state;
	memcpy((uint8_t *)w.page + 0xab8, &(uint64_t){VALUE}, 8);
	rig_step(A);
	receive();
	assert_int_equal(rig_answer(w.keeper, CUSTOS_OP_RESUME_GRANT,
				 w.page_slot, RW, 1),
		0);
	assert_true(rig_has_retired(A));
	assert_int_equal(insn->accesses[0].value, VALUE);
	start(A, CUSTOS_ACCESS_LOAD, 0);
	assert_int_equal(receive(), CUSTOS_MESSAGE_ACCESS);
	assert_int_equal(rig_answer(w.keeper, CUSTOS_OP_RESUME_GRANT,
				 w.page_slot, RW, 0),
		0);
	assert_true(rig_has_retired(A));
	insn = rig_set_insn(A, CUSTOS_ACCESS_LOAD, AT, 8, 0);
	assert_true(rig_step(A));
	assert_int_equal(insn->accesses[0].value, VALUE);
	assert_quiet();
}

static void kept_page_is_asked_about(void **state)
{
	struct cap page = rig_cap(CUSTOS_CAP_PAGE, w.page, 0);
	uint32_t slot;

	(void)state;
	gpt_set(w.window, 3, &page);
	slot = rig_give(w.keeper, entry(5));
	start(A, CUSTOS_ACCESS_STORE, 1);
	assert_true(rig_has_retired(A));
	assert_int_equal(rig_call(w.keeper, CUSTOS_OP_PAGE_SET_KEEPER,
				 w.page_slot, slot, CUSTOS_RIGHT_WRITE, 0),
		0);
	rig_set_insn(A, CUSTOS_ACCESS_LOAD, AT, 8, 0);
	rig_step(A);
	assert_true(rig_has_retired(A)); /* reading is free */
	start(A, CUSTOS_ACCESS_STORE, 2);
	assert_int_equal(receive(), CUSTOS_MESSAGE_ACCESS);
	assert_int_equal(w.message.payload, 5);
	assert_int_equal(access()->reason, CUSTOS_REASON_PAGE);
	/* Meanwhile nobody reads, but for the one who was asked. */
	start(B, CUSTOS_ACCESS_LOAD, 0);
	assert_int_equal(B->state, PROCESS_LOCKED);
	assert_int_equal(rig_call(w.keeper, CUSTOS_OP_PAGE_READ, w.page_slot,
				 0xab8, RIG_REPLY, 8),
		0);
	assert_int_equal(answer_step(), 0);
	assert_true(rig_has_retired(A));
	assert_int_equal(receive(), CUSTOS_MESSAGE_STEPPED);
	assert_int_equal(stepped()->accesses[0].old[0], 1);
	assert_int_equal(stepped()->accesses[0].new[0], 2);
	assert_int_equal(answer(CUSTOS_OP_RESUME_CONTINUE), 0);
	assert_true(rig_has_retired(B));
}

/* ---- waiting and ends ---- */

static void first_come_first_served(void **state)
{
	struct process *more[4];

	(void)state;
	start(A, CUSTOS_ACCESS_STORE, 0);
	for (unsigned i = 0; i < 4; i++) {
		struct cap node = rig_cap(CUSTOS_CAP_GPT, w.window, 0);

		more[i] = rig_process();
		gpt_map(more[i]->space.object, RIG_WINDOW, &node, 0,
			64 * PAGE_SIZE, CUSTOS_RIGHTS_MEMORY);
		start(more[i], CUSTOS_ACCESS_STORE, i);
		assert_int_equal(more[i]->state, PROCESS_LOCKED);
	}
	process_kill(more[1], 9);
	receive();
	answer(CUSTOS_OP_RESUME_DONE);
	assert_true(rig_has_retired(A));
	/* It runs first, and comes last. */
	start(A, CUSTOS_ACCESS_STORE, 99);
	assert_int_equal(A->state, PROCESS_LOCKED);
	for (unsigned i = 0; i < 4; i++) {
		if (i == 1)
			continue;
		assert_false(rig_has_retired(more[i]));
		assert_int_equal(receive(), CUSTOS_MESSAGE_ACCESS);
		assert_int_equal(access()->value[0], i);
		assert_int_equal(answer(CUSTOS_OP_RESUME_DONE), 0);
		assert_true(rig_has_retired(more[i]));
	}
	assert_false(rig_has_retired(A));
	assert_int_equal(receive(), CUSTOS_MESSAGE_ACCESS);
	assert_int_equal(access()->value[0], 99);
}

static void end_of_the_stepped_is_told(void **state)
{
	uint64_t seq;

	(void)state;
	start(A, CUSTOS_ACCESS_STORE, 1);
	start(B, CUSTOS_ACCESS_STORE, 2);
	receive();
	seq = access()->seq;
	assert_int_equal(answer_step(), 0);
	assert_true(rig_has_retired(A));
	process_kill(A, 9);
	assert_int_equal(receive(), CUSTOS_MESSAGE_STEPPED);
	assert_int_equal(w.message.flags, CUSTOS_MESSAGE_KERNEL);
	assert_int_equal(stepped()->seq, seq);
	assert_int_equal(stepped()->fault, CUSTOS_FAULT_GONE);
	assert_false(rig_has_retired(B));
	assert_int_equal(receive(), CUSTOS_MESSAGE_ACCESS);
	assert_int_equal(access()->value[0], 2);
}

static void end_of_the_keeper_is_passing(void **state)
{
	(void)state;
	A->stays = B->stays = C->stays = true;
	start(A, CUSTOS_ACCESS_STORE, 1);
	receive(); /* A's is with it, B waits for A, C for nobody */
	start(B, CUSTOS_ACCESS_STORE, 2);
	rig_set_insn(C, CUSTOS_ACCESS_STORE, AT - PAGE_SIZE, 8, 3);
	rig_run(A->state == PROCESS_READY ? A : C);
	process_kill(w.keeper, 1);
	assert_int_equal(A->state, PROCESS_FAULTED);
	assert_false(rig_has_retired(B));
	assert_int_equal(B->state, PROCESS_FAULTED);
	start(C, CUSTOS_ACCESS_STORE, 3);
	assert_int_equal(C->state, PROCESS_FAULTED);
}

static void end_of_the_endpoint_is_passing(void **state)
{
	(void)state;
	A->stays = B->stays = true;
	start(A, CUSTOS_ACCESS_STORE, 1);
	start(B, CUSTOS_ACCESS_STORE, 2);
	receive();
	while (!object_destroy(machine_gpa(w.endpoint)))
		;
	assert_int_equal(A->state, PROCESS_FAULTED);
	assert_false(rig_has_retired(B));
	assert_int_equal(B->state, PROCESS_FAULTED);
	assert_int_equal(answer(CUSTOS_OP_RESUME_DONE), -CUSTOS_E_STALE);
}

/* Each keeps the next one, and all end with the first; on one small stack. */
static void ends_do_not_pile_up(void **state)
{
	struct endpoint *before = NULL, *endpoint;
	struct process *chain[15];
	const unsigned count = sizeof(chain) / sizeof(chain[0]);

	(void)state;
	for (unsigned i = 0; i < count; i++, before = endpoint) {
		endpoint = rig_object(CUSTOS_CAP_ENDPOINT);
		chain[i] = rig_process();
		endpoint_set_recipient(endpoint, chain[i]);
		if (!before)
			continue;
		chain[i]->keeper = rig_cap(CUSTOS_CAP_ENTRY, before, 0);
		rig_set_insn(
			chain[i], CUSTOS_ACCESS_LOAD, RIG_WINDOW, 8, 0);
		assert_false(rig_step(chain[i]));
		assert_int_equal(chain[i]->state, PROCESS_ASKING);
	}
	process_kill(chain[0], 1);
	assert_int_equal(chain[1]->state, PROCESS_READY);
	assert_int_equal(chain[2]->state, PROCESS_ASKING);
	for (unsigned i = 1; i < count; i++) {
		assert_false(rig_run(chain[i]));
		assert_int_equal(chain[i]->state, PROCESS_ENDED);
		assert_int_equal(chain[i]->exit_code, CUSTOS_EXIT_MEMORY);
	}
}

/* ---- halves, banks, faults of processes ---- */

static void halves_are_bound(void **state)
{
	struct rig_insn *insn =
		rig_set_insn(A, CUSTOS_ACCESS_RMW_LOAD, AT, 8, 0);
	uint64_t seq;

	(void)state;
	insn->count = 2;
	insn->accesses[1] = (struct rig_access){
		.kind = CUSTOS_ACCESS_RMW_STORE, .va = AT, .size = 8,
		.value = 6};
	rig_step(A);
	start(B, CUSTOS_ACCESS_LOAD, 0);
	receive();
	seq = access()->seq;
	assert_int_equal(access()->kind, CUSTOS_ACCESS_RMW_LOAD);
	assert_int_equal(rig_answer_value(w.keeper, 5, 8), 0);
	assert_false(rig_has_retired(A));
	assert_int_equal(B->state, PROCESS_LOCKED);
	assert_int_equal(receive(), CUSTOS_MESSAGE_ACCESS);
	assert_int_equal(access()->kind, CUSTOS_ACCESS_RMW_STORE);
	assert_int_equal(access()->seq, seq);
	assert_int_equal(answer(CUSTOS_OP_RESUME_DONE), 0);
	assert_true(rig_has_retired(A));
	assert_false(rig_has_retired(B));
	assert_int_equal(B->state, PROCESS_ASKING);
}

static void banks_ask_when_they_are_empty(void **state)
{
	struct bank *bank;
	uint32_t slot;

	(void)state;
	assert_int_equal(bank_create_child(bank_root(), 2, &bank), 0);
	bank->keeper = entry(8);
	slot = rig_give(A, rig_cap(CUSTOS_CAP_BANK, bank, 0));
	assert_int_equal(rig_call(A, CUSTOS_OP_BANK_ALLOC, slot,
				 CUSTOS_CAP_PAGE, 60, 0),
		0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(rig_call(A, CUSTOS_OP_BANK_ALLOC, slot,
					 CUSTOS_CAP_PAGE, 61, 0),
			RIG_BLOCKED);
		assert_int_equal(receive(), CUSTOS_MESSAGE_EXHAUSTED);
		assert_int_equal(w.message.words[1], 8);
		assert_int_equal(w.message.words[2], CUSTOS_CAP_PAGE);
		assert_int_equal(rig_answer(w.keeper, CUSTOS_OP_RESUME_FAULT,
					 CUSTOS_FAULT_LIMIT_REACHED, 0, 0),
			0);
		assert_int_equal(rig_result(A), -CUSTOS_E_LIMIT);
	}
	assert_int_equal(rig_call(A, CUSTOS_OP_BANK_ALLOC, slot,
				 CUSTOS_CAP_PAGE, 61, 0),
		RIG_BLOCKED);
	receive();
	bank->limit = 3;
	assert_int_equal(answer(CUSTOS_OP_RESUME_RETRY), 0);
	assert_int_equal(rig_result(A), 0);
	assert_int_equal(rig_slot(A, 61)->type, CUSTOS_CAP_PAGE);
}

static void faults_go_to_the_processs_keeper(void **state)
{
	struct cap page = rig_cap(CUSTOS_CAP_PAGE, w.page, 0);

	(void)state;
	A->keeper = entry(4);
	rig_set_insn(A, CUSTOS_ACCESS_LOAD, AT + PAGE_SIZE, 8, 0);
	rig_step(A);
	assert_int_equal(receive(), CUSTOS_MESSAGE_FAULT);
	assert_int_equal(w.message.words[1], CUSTOS_FAULT_INVALID_ADDRESS);
	assert_int_equal(access()->va, AT + PAGE_SIZE);
	gpt_set(w.window, 4, &page);
	assert_int_equal(answer(CUSTOS_OP_RESUME_RETRY), 0);
	assert_true(rig_has_retired(A));
	/* An exception. */
	rig_run(A);
	A->frame.vector = 6;
	trap_user(A);
	assert_int_equal(receive(), CUSTOS_MESSAGE_FAULT);
	assert_int_equal(w.message.words[1], CUSTOS_FAULT_EXCEPTION);
	assert_int_equal(w.message.words[2], 6);
	assert_int_equal(answer(CUSTOS_OP_RESUME_PASS), 0);
	assert_false(rig_run(A));
	assert_int_equal(A->state, PROCESS_ENDED);
	assert_int_equal(A->exit_code, CUSTOS_EXIT_ILLEGAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(store_is_served_once),
		TEST(load_gets_what_is_said),
		TEST(retry_finds_what_is_there_now),
		TEST(fault_ends_or_stays),
		TEST(passing_goes_outwards),
		TEST(nobody_is_called_without_the_right),
		TEST(keepers_do_not_ask_themselves),
		TEST(step_excludes_the_others),
		TEST(rollback_asks_anew),
		TEST(grants_last_once_or_longer),
		TEST(kept_page_is_asked_about),
		TEST(first_come_first_served),
		TEST(end_of_the_stepped_is_told),
		TEST(end_of_the_keeper_is_passing),
		TEST(end_of_the_endpoint_is_passing),
		TEST(ends_do_not_pile_up),
		TEST(halves_are_bound),
		TEST(banks_ask_when_they_are_empty),
		TEST(faults_go_to_the_processs_keeper),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
