/* SPDX-License-Identifier: MIT */
/*
 * F20: messages that are objects: one is put in another's line without waiting
 * and without memory; unblocking takes the oldest; both sides' threads are told
 * of every delivery, in order, none lost; a partner that goes is reported.
 */
#include "tests/spec/spec.h"

#define DST 1000000 /* ids: of sources from 0 */
#define TAKEN 64

struct world {
	uint32_t bank, dst, self;
};

static struct world w;

/* What came, or kind 0. */
static struct custos_activation news(void)
{
	struct custos_activation a = {.kind = 0};

	if (custos_process_next_activation(
		    w.self, (uint64_t)&a, CUSTOS_NO_WAIT))
		a.kind = 0;
	return a;
}

static void expect_news(uint32_t kind, uint64_t id)
{
	struct custos_activation a = news();

	EXPECT(kind, a.kind);
	if (kind)
		EXPECT(id, a.id);
}

/* A buffer that says i, with a string and a capability. */
static uint32_t source(uint64_t i)
{
	uint32_t slot = (uint32_t)object_create(w.bank, CUSTOS_CAP_BUFFER);
	uint64_t string[2] = {i, ~i};
	struct custos_message message = {.words = {i, 1, 2, 3, 4, 5, 6, 7},
		.string = (uint64_t)string,
		.string_size = sizeof(string),
		.cap_count = 1,
		.caps = {cap_find("console")}};

	EXPECT(0, custos_buffer_load(slot, (uint64_t)&message));
	EXPECT(0, custos_buffer_set_id(slot, i));
	EXPECT(0, custos_buffer_set_thread(slot, w.self));
	return slot;
}

static void check_taken(uint64_t i)
{
	uint64_t string[2] = {0};
	uint32_t slot = cap_slot_alloc();
	struct custos_message message = {.string = (uint64_t)string,
		.string_size = sizeof(string),
		.cap_count = 1,
		.caps = {slot}};

	EXPECT(0, custos_buffer_take(w.dst, (uint64_t)&message));
	EXPECT(i, message.words[0]);
	EXPECT(7, message.words[7]);
	EXPECT(16, message.string_size);
	EXPECT(i, string[0]);
	EXPECT(~i, string[1]);
	EXPECT(1, message.cap_count);
	EXPECT(CUSTOS_CAP_CONSOLE, cap_type(slot));
	cap_slot_free(slot);
}

static void make_target(void)
{
	w.dst = (uint32_t)object_create(w.bank, CUSTOS_CAP_BUFFER);
	EXPECT(0, custos_buffer_set_id(w.dst, DST));
	EXPECT(0, custos_buffer_set_thread(w.dst, w.self));
	EXPECT(0, custos_buffer_state(w.dst));
}

/* All in one line; then one after the other out of it. */
static void line(uint64_t count)
{
	int64_t frames;
	uint64_t i;

	for (i = 0; i < count && !spec_failures(); i++) {
		uint32_t slot = source(i);

		frames = custos_bank_usage(w.bank, CUSTOS_USAGE_MACHINE);
		if (i == 1)
			EXPECT(-CUSTOS_E_WOULD_BLOCK,
				custos_buffer_enqueue(
					w.dst, slot, CUSTOS_NO_WAIT));
		EXPECT(0, custos_buffer_enqueue(w.dst, slot, 0));
		EXPECT(frames,
			custos_bank_usage(w.bank, CUSTOS_USAGE_MACHINE));
		EXPECT(i ? CUSTOS_BUFFER_WAITS : 0,
			custos_buffer_state(slot) & CUSTOS_BUFFER_WAITS);
		cap_slot_free(slot);
	}
	EXPECT(CUSTOS_BUFFER_BLOCKED,
		custos_buffer_state(w.dst) & CUSTOS_BUFFER_BLOCKED);
	for (i = 0; i < count && !spec_failures(); i++) {
		struct custos_activation a;

		expect_news(CUSTOS_ACTIVATION_SENT, i);
		a = news();
		EXPECT(CUSTOS_ACTIVATION_RECEIVED, a.kind);
		EXPECT(DST, a.id);
		EXPECT(i, a.payload);
		EXPECT(1, a.cap_count);
		expect_news(0, 0);
		check_taken(i);
		EXPECT(0, custos_buffer_unblock(w.dst));
	}
	expect_news(0, 0);
	EXPECT(0, custos_buffer_state(w.dst));
}

/* The thread takes nothing until all have been delivered. */
static void pending(void)
{
	uint64_t sent = 0, received = 0;

	for (uint64_t i = 0; i < 10; i++) {
		uint32_t slot = source(i);

		EXPECT(0, custos_buffer_enqueue(w.dst, slot, 0));
		EXPECT(0, custos_buffer_unblock(w.dst));
		cap_slot_free(slot);
	}
	for (;;) {
		struct custos_activation a = news();

		if (!a.kind)
			break;
		if (a.kind == CUSTOS_ACTIVATION_SENT) {
			EXPECT(sent, a.id);
			sent++;
		} else {
			EXPECT(CUSTOS_ACTIVATION_RECEIVED, a.kind);
			received++;
		}
	}
	EXPECT(10, sent);
	EXPECT(10, received);
}

static void gone_and_cancelled(void)
{
	uint32_t a = source(1), b = source(2), c = source(3);

	EXPECT(0, custos_buffer_enqueue(w.dst, a, 0));
	EXPECT(0, custos_buffer_enqueue(w.dst, b, 0));
	EXPECT(0, custos_buffer_enqueue(w.dst, c, 0));
	expect_news(CUSTOS_ACTIVATION_SENT, 1);
	expect_news(CUSTOS_ACTIVATION_RECEIVED, DST);
	EXPECT(0, custos_buffer_cancel(b));
	expect_news(CUSTOS_ACTIVATION_CANCELLED, 2);
	expect_news(CUSTOS_ACTIVATION_CANCELLED, DST);
	expect_news(0, 0);
	EXPECT(0, custos_buffer_state(b) & CUSTOS_BUFFER_WAITS);
	EXPECT(0, custos_buffer_enqueue(w.dst, b, 0)); /* behind c now */
	EXPECT(0, custos_bank_free(w.bank, c)); /* a source goes */
	expect_news(CUSTOS_ACTIVATION_GONE, DST);
	EXPECT(0, custos_bank_free(w.bank, w.dst)); /* the target goes */
	expect_news(CUSTOS_ACTIVATION_GONE, 2);
	expect_news(0, 0);
	EXPECT(0, custos_buffer_state(b) & CUSTOS_BUFFER_WAITS);
	cap_slot_free(a);
	cap_slot_free(b);
	cap_slot_free(c);
	cap_slot_free(w.dst);
}

/* Another process is the target's thread: it sleeps until it is activated. */
static int role_receive(uint64_t count)
{
	uint32_t dst = spec_given(0), self = cap_find("self");
	struct custos_activation a;
	struct custos_message message = {.string_size = 0};
	uint64_t string[2];

	for (uint64_t i = 0; i < count; i++) {
		EXPECT(0, custos_process_next_activation(
				  self, (uint64_t)&a, 0));
		EXPECT(CUSTOS_ACTIVATION_RECEIVED, a.kind);
		EXPECT(i, a.payload);
		message.string = (uint64_t)string;
		message.string_size = sizeof(string);
		message.cap_count = 0;
		EXPECT(0, custos_buffer_take(dst, (uint64_t)&message));
		EXPECT(i, message.words[0]);
		board[TAKEN] = i + 1;
		EXPECT(0, custos_buffer_unblock(dst));
	}
	return 0;
}

static void two_threads(uint64_t count)
{
	uint32_t process;

	make_target();
	process = spec_start(
		"receive", count, spec_last_cpu(), CAPS(w.dst));
	EXPECT(0, custos_buffer_set_thread(w.dst, process));
	for (uint64_t i = 0; i < count && !spec_failures(); i++) {
		uint32_t slot = source(i);

		EXPECT(0, custos_buffer_enqueue(w.dst, slot, 0));
		cap_slot_free(slot);
	}
	EXPECT(0, wait_exit(process));
	EXPECT(count, board[TAKEN]);
}

const struct spec_role spec_roles[] = {
	{"receive", role_receive},
	{NULL, NULL},
};

void spec_test(uint64_t scale)
{
	spec_size("%lu buffers in one line, %lu to another process", scale,
		scale / 10);
	w.self = cap_find("self");
	w.bank = (uint32_t)bank_create(0);
	make_target();
	line(scale);
	pending();
	gone_and_cancelled();
	bank_end(w.bank);
	w.bank = (uint32_t)bank_create(0);
	two_threads(scale / 10);
	bank_end(w.bank);
}
