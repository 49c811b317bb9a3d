/* SPDX-License-Identifier: MIT */
/* Messages. */
#include "tests.h"

#define STRING 3000

static char out[STRING * 2] PAGE_ALIGNED, in[STRING * 2] PAGE_ALIGNED;

static void fill(char *bytes, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 7 + seed);
}

/* Send words, a string over a page border, and the endpoint itself. */
static int role_send(const char *argument)
{
	uint32_t endpoint = cap_find("given");
	struct custos_message message = {.words = {1, 2, 3, 4, 5, 6, 7, 8},
		.string = (uint64_t)out + 3000,
		.string_size = STRING,
		.cap_count = 1,
		.caps = {cap_find("console")}};

	fill(out + 3000, STRING, (unsigned)parse_number(argument));
	message.words[0] = parse_number(argument);
	return (int)-message_send(endpoint, &message);
}

/* Receive with the buffer the argument names. */
static int role_receive(const char *argument)
{
	struct custos_message message = {
		.string = (uint64_t)in, .string_size = sizeof(in) / 2};
	int64_t result;

	if (!strcmp(argument, "bad"))
		message.string = 8;
	result = message_receive(cap_find("given"), &message);
	return result ? (int)-result : (int)message.words[0];
}

static void check_message(uint32_t endpoint, uint64_t seed)
{
	uint32_t slot = cap_slot_alloc();
	struct custos_message message = {.string = (uint64_t)in + 2000,
		.string_size = STRING,
		.cap_count = 1,
		.caps = {slot}};

	EXPECT(0, message_receive(endpoint, &message));
	EXPECT(seed, message.words[0]);
	EXPECT(8, message.words[7]);
	EXPECT(STRING, message.string_size);
	EXPECT(1, message.cap_count);
	fill(out + 3000, STRING, (unsigned)seed);
	EXPECT(0, memcmp(in + 2000, out + 3000, STRING));
	EXPECT(CUSTOS_CAP_CONSOLE,
		custos_cappage_classify(cap_find("caps"), slot) & 0xffff);
	cap_slot_free(slot);
}

static void messages_arrive(void)
{
	uint32_t endpoint = (uint32_t)endpoint_create();
	uint32_t child = test_child("send", "5", CUSTOS_ANY_CPU, endpoint);

	check_message(endpoint, 5); /* the receiver may be first */
	EXPECT(0, wait_exit(child));
	child = test_child("send", "6", CUSTOS_ANY_CPU, endpoint);
	test_wait_state(child, CUSTOS_STATE_SENDING);
	check_message(endpoint, 6); /* the sender is */
	EXPECT(0, wait_exit(child));
	cap_slot_free(endpoint);
}

static void senders_queue_in_order(void)
{
	uint32_t endpoint = (uint32_t)endpoint_create(), children[3], i;
	static const char *const numbers[] = {"1", "2", "3"};

	for (i = 0; i < 3; i++) {
		children[i] = test_child(
			"send", numbers[i], CUSTOS_ANY_CPU, endpoint);
		test_wait_state(children[i], CUSTOS_STATE_SENDING);
	}
	for (i = 0; i < 3; i++)
		check_message(endpoint, i + 1);
	for (i = 0; i < 3; i++)
		EXPECT(0, wait_exit(children[i]));
	cap_slot_free(endpoint);
}

static void killed_sender_leaves_the_queue(void)
{
	uint32_t endpoint = (uint32_t)endpoint_create();
	uint32_t a = test_child("send", "1", CUSTOS_ANY_CPU, endpoint), b;

	test_wait_state(a, CUSTOS_STATE_SENDING);
	b = test_child("send", "2", CUSTOS_ANY_CPU, endpoint);
	test_wait_state(b, CUSTOS_STATE_SENDING);
	EXPECT(0, custos_process_kill(a, 9));
	check_message(endpoint, 2);
	EXPECT(9, wait_exit(a));
	EXPECT(0, wait_exit(b));
	cap_slot_free(endpoint);
}

static void nobody_there(void)
{
	uint32_t endpoint = (uint32_t)endpoint_create();
	struct custos_message message = {0};
	uint64_t va = (uint64_t)&message;

	EXPECT(-CUSTOS_E_WOULD_BLOCK,
		custos_endpoint_send(endpoint, va, CUSTOS_NO_WAIT));
	EXPECT(-CUSTOS_E_WOULD_BLOCK,
		custos_endpoint_receive(endpoint, va, CUSTOS_NO_WAIT));
	EXPECT(-CUSTOS_E_REQUEST, custos_endpoint_send(endpoint, va, 2));
	cap_slot_free(endpoint);
}

static void endpoint_gone(void)
{
	uint32_t endpoint = (uint32_t)endpoint_create();
	uint32_t entry = (uint32_t)entry_create(endpoint, 0);
	uint32_t child = test_child("send", "1", CUSTOS_ANY_CPU, entry);
	struct custos_message message = {0};

	test_wait_state(child, CUSTOS_STATE_SENDING);
	EXPECT(0, custos_bank_free(cap_find("bank"), endpoint));
	EXPECT(CUSTOS_E_PARTNER_GONE, wait_exit(child));
	EXPECT(CUSTOS_CAP_NULL, cap_type(endpoint));
	EXPECT(CUSTOS_CAP_NULL, cap_type(entry));
	EXPECT(-CUSTOS_E_INVALID_CAP, message_send(entry, &message));
}

/* With a recipient, nobody else may receive, and its end is the end of it. */
static void recipient_gone(void)
{
	uint32_t endpoint = (uint32_t)endpoint_create();
	uint32_t only = test_child("sleep", "1000000", CUSTOS_ANY_CPU, 0);
	uint32_t child = test_child("send", "1", CUSTOS_ANY_CPU, endpoint);
	struct custos_message message = {0};

	EXPECT(0, custos_endpoint_set_recipient(endpoint, only));
	EXPECT(-CUSTOS_E_NO_ACCESS, message_receive(endpoint, &message));
	test_wait_state(child, CUSTOS_STATE_SENDING);
	EXPECT(0, custos_process_kill(only, 3));
	EXPECT(CUSTOS_E_PARTNER_GONE, wait_exit(child));
	EXPECT(3, wait_exit(only));
	EXPECT(-CUSTOS_E_PARTNER_GONE, message_send(endpoint, &message));
}

/* Answer one call with its words plus one, and a string. */
static int role_answer(const char *argument)
{
	static char reply_string[] = "answered";
	uint32_t resume = cap_slot_alloc();
	struct custos_message message = {.cap_count = 1, .caps = {resume}};

	(void)argument;
	if (message_receive(cap_find("given"), &message))
		return 1;
	if (!(message.flags & CUSTOS_MESSAGE_RESUME))
		return 2;
	for (int i = 0; i < CUSTOS_MESSAGE_WORDS; i++)
		message.words[i]++;
	message.string = (uint64_t)reply_string;
	message.string_size = sizeof(reply_string);
	message.cap_count = 0;
	if (custos_resume_reply(resume, (uint64_t)&message))
		return 3;
	if (custos_resume_reply(resume, (uint64_t)&message) != -CUSTOS_E_STALE)
		return 4;
	return 0;
}

static void calls_are_answered(void)
{
	uint32_t endpoint = (uint32_t)endpoint_create();
	uint32_t child = test_child("answer", "", CUSTOS_ANY_CPU, endpoint);
	struct custos_message message = {.words = {1, 2, 3, 4, 5, 6, 7, 8}};
	struct custos_message reply = {
		.string = (uint64_t)in, .string_size = sizeof(in) / 2};

	EXPECT(0, message_call(endpoint, &message, &reply));
	for (unsigned i = 0; i < CUSTOS_MESSAGE_WORDS; i++)
		EXPECT(i + 2, reply.words[i]);
	EXPECT(sizeof("answered"), reply.string_size);
	EXPECT(0, strcmp(in, "answered"));
	EXPECT(0, wait_exit(child));
}

static void notices_gather(void)
{
	uint32_t endpoint = (uint32_t)endpoint_create();
	uint32_t notice = cap_slot_alloc();
	struct custos_message message = {0};

	EXPECT(0, custos_endpoint_make_notice(endpoint, notice, 0xf));
	EXPECT(0, custos_notice_post(notice, 1));
	EXPECT(0, custos_notice_post(notice, 0xf4)); /* masked */
	EXPECT(0, message_receive(endpoint, &message));
	EXPECT(CUSTOS_MESSAGE_NOTICE, message.words[0]);
	EXPECT(5, message.words[1]);
	EXPECT(CUSTOS_MESSAGE_KERNEL,
		message.flags & CUSTOS_MESSAGE_KERNEL);
	EXPECT(-CUSTOS_E_WOULD_BLOCK,
		custos_endpoint_receive(
			endpoint, (uint64_t)&message, CUSTOS_NO_WAIT));
}

static void entries_carry_their_payload(void)
{
	uint32_t endpoint = (uint32_t)endpoint_create();
	uint32_t entry = cap_slot_alloc();
	struct custos_message message = {
		.string = (uint64_t)in, .string_size = sizeof(in) / 2};
	uint32_t child;

	EXPECT(0, custos_endpoint_make_entry(endpoint, entry, 0x77));
	EXPECT(CUSTOS_CAP_ENTRY, cap_type(entry));
	child = test_child("send", "8", CUSTOS_ANY_CPU, entry);
	message.cap_count = 1;
	message.caps[0] = cap_slot_alloc();
	EXPECT(0, message_receive(endpoint, &message));
	EXPECT(0x77, message.payload);
	EXPECT(0, wait_exit(child));
	cap_slot_free(message.caps[0]);
	cap_slot_free(entry);
	cap_slot_free(endpoint);
}

static void messages_are_checked(void)
{
	uint32_t endpoint = (uint32_t)endpoint_create();
	struct custos_message message = {.string_size = CUSTOS_STRING_MAX + 1};

	EXPECT(-CUSTOS_E_REQUEST, message_send(endpoint, &message));
	EXPECT(-CUSTOS_E_REQUEST, message_receive(endpoint, &message));
	message.string_size = 0;
	message.cap_count = CUSTOS_MESSAGE_CAPS + 1;
	EXPECT(-CUSTOS_E_REQUEST, message_send(endpoint, &message));
	EXPECT(-CUSTOS_E_FAULT, message_send(endpoint, NULL));
	EXPECT(-CUSTOS_E_FAULT, message_receive(endpoint, NULL));
	EXPECT(-CUSTOS_E_FAULT,
		message_send(endpoint, (void *)CUSTOS_KERNEL_BASE));
	cap_slot_free(endpoint);
}

/* Whose fault it is gets the error; the other goes on. */
static void faults_are_charged(void)
{
	uint32_t endpoint = (uint32_t)endpoint_create();
	uint32_t bad = test_child("receive", "bad", CUSTOS_ANY_CPU, endpoint);
	uint32_t good;
	struct custos_message message = {
		.words = {21}, .string = 8, .string_size = 100};

	test_wait_state(bad, CUSTOS_STATE_RECEIVING);
	good = test_child("receive", "good", CUSTOS_ANY_CPU, endpoint);
	test_wait_state(good, CUSTOS_STATE_RECEIVING);
	EXPECT(-CUSTOS_E_FAULT, message_send(endpoint, &message));
	message.string = (uint64_t)out;
	message.string_size = 4000;
	EXPECT(-CUSTOS_E_TRUNCATED, message_send(endpoint, &message));
	message.string_size = 100;
	EXPECT(0, message_send(endpoint, &message));
	EXPECT(CUSTOS_E_FAULT, wait_exit(bad));
	EXPECT(21, wait_exit(good));
	cap_slot_free(endpoint);
}

const struct role endpoint_roles[] = {
	{"send", role_send},
	{"receive", role_receive},
	{"answer", role_answer},
	{NULL, NULL},
};

const struct test endpoint_tests[] = {
	{"messages_arrive", messages_arrive},
	{"senders_queue_in_order", senders_queue_in_order},
	{"killed_sender_leaves_the_queue", killed_sender_leaves_the_queue},
	{"nobody_there", nobody_there},
	{"endpoint_gone", endpoint_gone},
	{"recipient_gone", recipient_gone},
	{"calls_are_answered", calls_are_answered},
	{"notices_gather", notices_gather},
	{"entries_carry_their_payload", entries_carry_their_payload},
	{"messages_are_checked", messages_are_checked},
	{"faults_are_charged", faults_are_charged},
	{NULL, NULL},
};
