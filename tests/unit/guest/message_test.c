/* SPDX-License-Identifier: MIT */
/* Messages: calls, memory that keepers answer for, notices, buffers. */
#include "guest/kernel/endpoint.h"

#include <string.h>

#include "guest/kernel/bank.h"
#include "guest/kernel/buffer.h"
#include "guest/kernel/gpt.h"
#include "guest/kernel/object.h"
#include "tests/support/kernel_machine.h"
#include "tests/support/kernel_rig.h"
#include "tests/support/tests.h"

#define SERVER w.server
#define CLIENT w.client
#define KEEPER w.keeper
#define VIRTUAL (RIG_WINDOW + 0x800) /* in an entry's position */

static struct {
	struct process *server, *client, *keeper;
	struct endpoint *mailbox, *faults; /* the server's, the keeper's */
	uint32_t mailbox_slot, entry_slot, faults_slot;
	struct custos_message message;
} w;

static int setup(void **state)
{
	struct gpt *window;
	struct cap entry;

	(void)state;
	rig_setup();
	memset(&w, 0, sizeof(w));
	SERVER = rig_process();
	CLIENT = rig_process();
	KEEPER = rig_process();
	w.mailbox = rig_object(CUSTOS_CAP_ENDPOINT);
	w.faults = rig_object(CUSTOS_CAP_ENDPOINT);
	w.mailbox_slot = rig_give(
		SERVER, rig_cap(CUSTOS_CAP_ENDPOINT, w.mailbox, 0));
	w.faults_slot = rig_give(
		KEEPER, rig_cap(CUSTOS_CAP_ENDPOINT, w.faults, 0));
	w.entry_slot =
		rig_give(CLIENT, rig_cap(CUSTOS_CAP_ENTRY, w.mailbox, 7));
	endpoint_set_recipient(w.mailbox, SERVER);
	endpoint_set_recipient(w.faults, KEEPER);
	window = rig_window(CLIENT, RIG_WINDOW);
	entry = rig_cap(CUSTOS_CAP_ENTRY, w.faults, 9);
	gpt_set(window, 0, &entry);
	gpt_set(window, 1, &entry);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_teardown();
	return 0;
}

static void put(struct process *process, uint64_t va,
	const struct custos_message *message)
{
	memcpy(rig_memory(process, va), message, sizeof(*message));
}

/* Serve the client's memory from these bytes until nothing is asked. */
static unsigned serve(uint8_t *bytes)
{
	unsigned count = 0;

	for (;; count++) {
		const struct custos_access *access;
		uint64_t at;

		if (rig_receive(KEEPER, w.faults_slot, &w.message))
			return count;
		assert_int_equal(w.message.words[0], CUSTOS_MESSAGE_ACCESS);
		access = rig_memory(KEEPER, RIG_BUFFER);
		at = access->va - RIG_WINDOW;
		assert_true(access->size <= 64);
		assert_int_equal(access->reason, CUSTOS_REASON_ENTRY);
		if (access->kind == CUSTOS_ACCESS_SYSCALL_LOAD ||
			access->kind == CUSTOS_ACCESS_IPC_SRC) {
			memcpy(rig_memory(KEEPER, RIG_REPLY), bytes + at,
				access->size);
			assert_int_equal(
				rig_answer(KEEPER, CUSTOS_OP_RESUME_VALUE,
					RIG_REPLY, access->size, 0),
				0);
		} else {
			memcpy(bytes + at, access->value, access->size);
			assert_int_equal(rig_answer(KEEPER,
						 CUSTOS_OP_RESUME_DONE, 0, 0,
						 0),
				0);
		}
		rig_result(CLIENT);
	}
}

static int64_t call_server(uint64_t message_va, uint64_t reply_va)
{
	return rig_call(CLIENT, CUSTOS_OP_ENDPOINT_CALL, w.entry_slot,
		message_va, reply_va, 0);
}

static int64_t reply(const struct custos_message *message)
{
	put(SERVER, RIG_REPLY, message);
	return rig_answer(
		SERVER, CUSTOS_OP_RESUME_REPLY, RIG_REPLY, 0, 0);
}

/* ---- calls ---- */

static void calls_are_answered_once(void **state)
{
	struct cap cap = rig_cap(CUSTOS_CAP_ENDPOINT, w.faults, 0);
	struct custos_message room = {.string = RIG_BUFFER,
		.string_size = 16, .cap_count = 1, .caps = {90}};
	const struct custos_message *got = rig_memory(CLIENT, RIG_REPLY);

	(void)state;
	put(CLIENT, RIG_MESSAGE, &(struct custos_message){.words = {1, 2}});
	put(CLIENT, RIG_REPLY, &room);
	assert_int_equal(call_server(RIG_MESSAGE, RIG_REPLY), RIG_BLOCKED);
	assert_int_equal(CLIENT->state, PROCESS_SENDING);
	assert_int_equal(rig_receive(SERVER, w.mailbox_slot, &w.message), 0);
	assert_int_equal(CLIENT->state, PROCESS_ASKING);
	assert_int_equal(w.message.words[1], 2);
	assert_int_equal(w.message.payload, 7);
	assert_int_equal(w.message.flags, CUSTOS_MESSAGE_RESUME);
	memcpy(rig_memory(SERVER, RIG_BUFFER), "hello", 6);
	assert_int_equal(rig_answer(SERVER, CUSTOS_OP_RESUME_DONE, 0, 0, 0),
		-CUSTOS_E_REQUEST);
	*rig_slot(SERVER, 60) = cap;
	assert_int_equal(reply(&(struct custos_message){.words = {5},
				 .string = RIG_BUFFER, .string_size = 6,
				 .cap_count = 1, .caps = {60}}),
		0);
	assert_int_equal(rig_result(CLIENT), 0);
	assert_int_equal(got->words[0], 5);
	assert_int_equal(got->string_size, 6);
	assert_string_equal(rig_memory(CLIENT, RIG_BUFFER), "hello");
	assert_ptr_equal(rig_slot(CLIENT, 90)->object, w.faults);
	assert_int_equal(reply(&(struct custos_message){.words = {6}}),
		-CUSTOS_E_STALE);
}

static void bad_room_for_a_reply_is_the_callers(void **state)
{
	(void)state;
	put(CLIENT, RIG_MESSAGE, &(struct custos_message){.words = {1}});
	put(CLIENT, RIG_REPLY, &(struct custos_message){.string_size = 2});
	call_server(RIG_MESSAGE, RIG_REPLY);
	rig_receive(SERVER, w.mailbox_slot, &w.message);
	assert_int_equal(reply(&(struct custos_message){
				 .string = RIG_BUFFER, .string_size = 6}),
		0);
	assert_int_equal(rig_result(CLIENT), -CUSTOS_E_TRUNCATED);
}

static void callers_learn_of_the_servers_end(void **state)
{
	(void)state;
	put(CLIENT, RIG_MESSAGE, &(struct custos_message){.words = {1}});
	call_server(RIG_MESSAGE, RIG_REPLY);
	rig_receive(SERVER, w.mailbox_slot, &w.message);
	process_kill(SERVER, 0);
	assert_int_equal(rig_result(CLIENT), -CUSTOS_E_PARTNER_GONE);
	assert_int_equal(call_server(RIG_MESSAGE, RIG_REPLY),
		-CUSTOS_E_PARTNER_GONE);
}

static void forwarded_calls_are_results(void **state)
{
	struct cap page = rig_cap(
		CUSTOS_CAP_PAGE, rig_object(CUSTOS_CAP_PAGE), 0);

	(void)state;
	assert_int_equal(rig_call(CLIENT, CUSTOS_OP_BANK_ALLOC, w.entry_slot,
				 CUSTOS_CAP_PAGE, 77, 0),
		RIG_BLOCKED);
	assert_int_equal(rig_receive(SERVER, w.mailbox_slot, &w.message), 0);
	assert_int_equal(w.message.words[0], CUSTOS_OP_BANK_ALLOC);
	assert_int_equal(w.message.words[1], CUSTOS_CAP_PAGE);
	assert_int_equal(w.message.words[2], 77);
	assert_int_equal(w.message.flags,
		CUSTOS_MESSAGE_RESUME | CUSTOS_MESSAGE_KERNEL);
	*rig_slot(SERVER, 60) = page;
	assert_int_equal(reply(&(struct custos_message){.words = {0, 77},
				 .cap_count = 1, .caps = {60}}),
		0);
	assert_int_equal(rig_result(CLIENT), 0);
	assert_ptr_equal(rig_slot(CLIENT, 77)->object, page.object);
	/* Into no slot the caller did not name. */
	rig_call(CLIENT, CUSTOS_OP_BANK_ALLOC, w.entry_slot, CUSTOS_CAP_PAGE,
		78, 0);
	rig_receive(SERVER, w.mailbox_slot, &w.message);
	reply(&(struct custos_message){
		.words = {0, 79}, .cap_count = 1, .caps = {60}});
	assert_int_equal(rig_result(CLIENT), -CUSTOS_E_REQUEST);
	assert_int_equal(rig_slot(CLIENT, 79)->type, CUSTOS_CAP_NULL);
}

/* ---- memory that keepers answer for ---- */

static void fill(uint8_t *bytes, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
}

static void long_strings_come_from_keepers(void **state)
{
	static uint8_t bytes[2 * PAGE_SIZE];
	struct custos_message message = {.words = {3}, .string = VIRTUAL + 1,
		.string_size = CUSTOS_STRING_MAX};
	unsigned asked;

	(void)state;
	fill(bytes, sizeof(bytes));
	/* The message itself, too. */
	memcpy(bytes + 0x10, &message, sizeof(message));
	assert_int_equal(rig_call(CLIENT, CUSTOS_OP_ENDPOINT_SEND,
				 w.entry_slot, RIG_WINDOW + 0x10, 0, 0),
		RIG_BLOCKED);
	asked = serve(bytes);
	assert_true(asked >= 66 && asked <= 68);
	assert_int_equal(CLIENT->state, PROCESS_SENDING);
	assert_int_equal(rig_receive(SERVER, w.mailbox_slot, &w.message), 0);
	assert_int_equal(w.message.string_size, CUSTOS_STRING_MAX);
	assert_memory_equal(rig_memory(SERVER, RIG_BUFFER), bytes + 0x801,
		CUSTOS_STRING_MAX);
	assert_int_equal(rig_result(CLIENT), 0);
	assert_int_equal(serve(bytes), 0);
}

static void replies_go_to_keepers(void **state)
{
	static uint8_t bytes[2 * PAGE_SIZE];
	struct custos_message room = {
		.string = VIRTUAL, .string_size = 4096};
	const struct custos_message *got = (void *)(bytes + 0x20);

	(void)state;
	memcpy(bytes + 0x20, &room, sizeof(room));
	put(CLIENT, RIG_MESSAGE, &(struct custos_message){.words = {1}});
	assert_int_equal(call_server(RIG_MESSAGE, RIG_WINDOW + 0x20),
		RIG_BLOCKED);
	rig_receive(SERVER, w.mailbox_slot, &w.message);
	fill(rig_memory(SERVER, RIG_BUFFER), 4096);
	assert_int_equal(reply(&(struct custos_message){.words = {8},
				 .string = RIG_BUFFER, .string_size = 4096}),
		0);
	assert_int_equal(rig_result(CLIENT), RIG_BLOCKED);
	assert_true(serve(bytes) <= 70);
	assert_int_equal(rig_result(CLIENT), 0);
	assert_int_equal(got->words[0], 8);
	assert_int_equal(got->string_size, 4096);
	assert_memory_equal(
		bytes + 0x800, rig_memory(SERVER, RIG_BUFFER), 4096);
}

static void refused_copies_fail(void **state)
{
	(void)state;
	assert_int_equal(rig_call(CLIENT, CUSTOS_OP_ENDPOINT_SEND,
				 w.entry_slot, VIRTUAL, 0, 0),
		RIG_BLOCKED);
	assert_int_equal(rig_receive(KEEPER, w.faults_slot, &w.message), 0);
	assert_int_equal(rig_answer(KEEPER, CUSTOS_OP_RESUME_FAULT,
				 CUSTOS_FAULT_ACCESS_VIOLATION, 0, 0),
		0);
	assert_int_equal(rig_result(CLIENT), -CUSTOS_E_DENIED);
	rig_call(CLIENT, CUSTOS_OP_ENDPOINT_SEND, w.entry_slot, VIRTUAL, 0, 0);
	rig_receive(KEEPER, w.faults_slot, &w.message);
	rig_answer(KEEPER, CUSTOS_OP_RESUME_PASS, 0, 0, 0);
	assert_int_equal(rig_result(CLIENT), -CUSTOS_E_FAULT);
	rig_call(CLIENT, CUSTOS_OP_ENDPOINT_SEND, w.entry_slot, VIRTUAL, 0, 0);
	process_kill(KEEPER, 0);
	assert_int_equal(rig_result(CLIENT), -CUSTOS_E_FAULT);
}

static void copies_are_stepped(void **state)
{
	uint8_t *page = rig_object(CUSTOS_CAP_PAGE);
	const struct custos_stepped *stepped;

	(void)state;
	*rig_slot(KEEPER, 70) = rig_cap(CUSTOS_CAP_PAGE, page, 0);
	/* Registers of somebody, stored at the window. */
	assert_int_equal(rig_call(CLIENT, CUSTOS_OP_PROCESS_GET_REGS,
				 rig_give(CLIENT, rig_cap(CUSTOS_CAP_PROCESS,
							  SERVER, 0)),
				 VIRTUAL, 0, 0),
		SERVER->state == PROCESS_READY ? -CUSTOS_E_BUSY : RIG_BLOCKED);
	if (CLIENT->state != PROCESS_ASKING)
		return;
	assert_int_equal(rig_receive(KEEPER, w.faults_slot, &w.message), 0);
	assert_int_equal(rig_answer(KEEPER, CUSTOS_OP_RESUME_STEP, 70, 3, 0),
		0);
	rig_receive(KEEPER, w.faults_slot, &w.message);
	assert_int_equal(w.message.words[0], CUSTOS_MESSAGE_STEPPED);
	stepped = rig_memory(KEEPER, RIG_BUFFER);
	assert_int_equal(stepped->accesses[0].offset, 0x800);
	assert_int_equal(
		rig_answer(KEEPER, CUSTOS_OP_RESUME_CONTINUE, 0, 0, 0), 0);
}

/* ---- notices ---- */

static void notices_gather(void **state)
{
	uint32_t slot = rig_give(
		CLIENT, rig_cap(CUSTOS_CAP_NOTICE, w.mailbox, 0xf));

	(void)state;
	rig_call(CLIENT, CUSTOS_OP_NOTICE_POST, slot, 1, 0, 0);
	rig_call(CLIENT, CUSTOS_OP_NOTICE_POST, slot, 0xf4, 0, 0);
	assert_int_equal(rig_receive(SERVER, w.mailbox_slot, &w.message), 0);
	assert_int_equal(w.message.words[0], CUSTOS_MESSAGE_NOTICE);
	assert_int_equal(w.message.words[1], 5);
	assert_int_equal(w.message.flags, CUSTOS_MESSAGE_KERNEL);
	assert_int_equal(rig_receive(SERVER, w.mailbox_slot, &w.message),
		-CUSTOS_E_WOULD_BLOCK);
}

static void holes_are_told_and_added_up(void **state)
{
	struct cap entry = rig_cap(CUSTOS_CAP_ENTRY, w.mailbox, 4);
	unsigned count = 0;

	(void)state;
	for (unsigned i = 0; i < ENDPOINT_POSTS + 5; i++)
		endpoint_post(&entry, CUSTOS_MESSAGE_HOLE, i, 1);
	while (!rig_receive(SERVER, w.mailbox_slot, &w.message)) {
		assert_int_equal(w.message.words[0], CUSTOS_MESSAGE_HOLE);
		assert_int_equal(w.message.payload, 4);
		if (++count < ENDPOINT_POSTS)
			assert_int_equal(w.message.words[1], count - 1);
		else
			assert_int_equal(w.message.words[2], UINT64_MAX);
	}
	assert_int_equal(count, ENDPOINT_POSTS);
}

/* ---- buffers ---- */

static struct buffer *buffer(uint64_t id, struct process *thread)
{
	struct buffer *b = rig_object(CUSTOS_CAP_BUFFER);
	struct cap cap = rig_cap(CUSTOS_CAP_PROCESS, thread, 0);

	b->id = b->words[0] = id;
	b->is_loaded = true;
	buffer_set_thread(b, &cap);
	return b;
}

static void expect_news(
	struct process *process, uint32_t kind, uint64_t id)
{
	struct custos_activation news;

	assert_true(buffer_peek_news(process, &news));
	assert_int_equal(news.kind, kind);
	assert_int_equal(news.id, id);
	buffer_take_news(process);
}

static void many_wait_in_one_line(void **state)
{
	static struct buffer *sources[5000];
	struct buffer *target = buffer(UINT64_MAX, SERVER);
	const unsigned count = 5000;
	uint64_t frames;

	(void)state;
	for (unsigned i = 0; i < count; i++)
		sources[i] = buffer(i, CLIENT);
	frames = frame_count_free();
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(buffer_enqueue(sources[i], target, true), 0);
	assert_int_equal(frame_count_free(), frames);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(target->words[0], i);
		buffer_unblock(target);
	}
	for (unsigned i = 0; i < count; i++) {
		expect_news(CLIENT, CUSTOS_ACTIVATION_SENT, i);
		expect_news(SERVER, CUSTOS_ACTIVATION_RECEIVED, UINT64_MAX);
	}
	assert_false(buffer_peek_news(CLIENT, &(struct custos_activation){0}));
	assert_false(buffer_peek_news(SERVER, &(struct custos_activation){0}));
}

static void ends_are_told_to_the_other_side(void **state)
{
	struct buffer *target = buffer(9, SERVER);
	struct buffer *a = buffer(1, CLIENT), *b = buffer(2, CLIENT);
	struct buffer *c = buffer(3, CLIENT), *d = buffer(4, CLIENT);

	(void)state;
	buffer_enqueue(a, target, true);
	assert_int_equal(
		buffer_enqueue(b, target, false), -CUSTOS_E_WOULD_BLOCK);
	assert_int_equal(buffer_enqueue(target, target, true),
		-CUSTOS_E_REQUEST);
	buffer_enqueue(b, target, true);
	assert_int_equal(buffer_enqueue(b, target, true), -CUSTOS_E_BUSY);
	buffer_enqueue(c, target, true);
	buffer_enqueue(d, target, true);
	expect_news(CLIENT, CUSTOS_ACTIVATION_SENT, 1);
	expect_news(SERVER, CUSTOS_ACTIVATION_RECEIVED, 9);
	buffer_cancel(c);
	expect_news(CLIENT, CUSTOS_ACTIVATION_CANCELLED, 3);
	expect_news(SERVER, CUSTOS_ACTIVATION_CANCELLED, 9);
	assert_true(object_destroy(machine_gpa(b)));
	expect_news(SERVER, CUSTOS_ACTIVATION_GONE, 9);
	assert_true(object_destroy(machine_gpa(target)));
	expect_news(CLIENT, CUSTOS_ACTIVATION_GONE, 4);
	assert_false(buffer_peek_news(CLIENT, &(struct custos_activation){0}));
	/* Nobody is left to be told, either. */
	buffer_enqueue(a, d, true);
	process_kill(CLIENT, 0);
	buffer_unblock(d);
}

static void sleeping_threads_are_activated(void **state)
{
	struct buffer *target = buffer(9, SERVER), *a = buffer(1, CLIENT);
	uint32_t self = rig_give(
		SERVER, rig_cap(CUSTOS_CAP_PROCESS, SERVER, 0));
	const struct custos_activation *news =
		rig_memory(SERVER, RIG_BUFFER);

	(void)state;
	assert_int_equal(rig_call(SERVER, CUSTOS_OP_PROCESS_NEXT_ACTIVATION,
				 self, RIG_BUFFER, CUSTOS_NO_WAIT, 0),
		-CUSTOS_E_WOULD_BLOCK);
	assert_int_equal(rig_call(SERVER, CUSTOS_OP_PROCESS_NEXT_ACTIVATION,
				 self, RIG_BUFFER, 0, 0),
		RIG_BLOCKED);
	buffer_enqueue(a, target, true);
	assert_int_equal(rig_result(SERVER), 0);
	assert_int_equal(news->kind, CUSTOS_ACTIVATION_RECEIVED);
	assert_int_equal(news->payload, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(calls_are_answered_once),
		TEST(bad_room_for_a_reply_is_the_callers),
		TEST(callers_learn_of_the_servers_end),
		TEST(forwarded_calls_are_results),
		TEST(long_strings_come_from_keepers),
		TEST(replies_go_to_keepers),
		TEST(refused_copies_fail),
		TEST(copies_are_stepped),
		TEST(notices_gather),
		TEST(holes_are_told_and_added_up),
		TEST(many_wait_in_one_line),
		TEST(ends_are_told_to_the_other_side),
		TEST(sleeping_threads_are_activated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
