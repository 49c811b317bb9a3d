/* SPDX-License-Identifier: MIT */
/*
 * A program for trying described systems: does what its arguments say, one
 * after the other.
 *
 *	read ADDRESS		print the 8 bytes there
 *	write ADDRESS VALUE
 *	touch ADDRESS PAGES	store to each
 *	caps			print its capabilities
 *	send ENDPOINT WORD	wait until it has been received
 *	post NOTICE BITS
 *	receive ENDPOINT	print one message
 *	serve ENDPOINT		answer questions: loads get the payload
 *	sleep MS
 *	enqueue TO FROM WORD	buffers: load from, deliver it
 *	news COUNT		print activations as they come
 */
#include <custos/guest.h>

static char **next; /* arguments not yet used */

static const char *take(void)
{
	return *next ? *next++ : "";
}

static void check(const char *what, int64_t result)
{
	if (result >= 0)
		return;
	printf("%s: %s\n", what, error_name(result));
	exit(1);
}

static uint32_t take_cap(void)
{
	const char *name = take();
	uint32_t slot = cap_find(name);

	if (!slot)
		printf("no capability %s\n", name);
	return slot;
}

static void do_read(void)
{
	volatile uint64_t *at = (volatile uint64_t *)parse_number(take());
	uint64_t value = *at;

	printf("read %lu\n", value);
}

static void do_write(void)
{
	volatile uint64_t *at = (volatile uint64_t *)parse_number(take());

	*at = parse_number(take());
}

static void do_touch(void)
{
	volatile char *at = (volatile char *)parse_number(take());
	uint64_t pages = parse_number(take());

	for (uint64_t i = 0; i < pages; i++)
		at[i * PAGE_SIZE] = 1;
	printf("touched %lu\n", pages);
}

static void do_caps(void)
{
	const struct custos_start_info *info =
		(const struct custos_start_info *)CUSTOS_START_VA;

	for (uint32_t i = 0; i < info->cap_count; i++)
		printf("cap %s type %u rights 0x%lx\n", info->caps[i].name,
			info->caps[i].type,
			custos_cappage_classify(
				cap_find("caps"), info->caps[i].slot) >>
				16);
}

static void do_send(void)
{
	struct custos_message message = {0};
	uint32_t slot = take_cap();

	message.words[0] = parse_number(take());
	check("send", message_send(slot, &message));
}

static void do_post(void)
{
	uint32_t slot = take_cap();

	check("post", custos_notice_post(slot, parse_number(take())));
}

static void do_receive(void)
{
	struct custos_message message = {0};

	check("receive", message_receive(take_cap(), &message));
	printf("received 0x%lx 0x%lx payload %lu\n", message.words[0],
		message.words[1], message.payload);
}

/* ---- serve ---- */

static union {
	struct custos_access access;
	struct custos_stepped stepped;
} question;

static void answer_access(uint32_t resume, uint64_t payload)
{
	const struct custos_access *a = &question.access;
	uint64_t value;

	memcpy(&value, a->value, sizeof(value));
	printf("asked kind %u offset 0x%lx size %u payload %lu", a->kind,
		a->offset, a->size, payload);
	if (a->kind == CUSTOS_ACCESS_STORE) {
		printf(" value %lu\n", value);
		flush();
		check("done", custos_resume_done(resume));
	} else {
		printf("\n");
		flush();
		check("value", custos_resume_value(resume, (uint64_t)&payload,
				       a->size));
	}
}

/* Its own bank's limit is the one that was reached, if it has one. */
static void answer_exhausted(uint32_t resume)
{
	uint32_t bank = cap_find("small");

	printf("exhausted\n");
	flush();
	if (bank)
		check("set_limit", custos_bank_set_limit(bank, 0));
	check("answer", bank ? custos_resume_retry(resume)
			     : custos_resume_pass(resume));
}

static void answer(const struct custos_message *message, uint32_t resume)
{
	switch (message->words[0]) {
	case CUSTOS_MESSAGE_ACCESS:
		answer_access(resume, message->payload);
		break;
	case CUSTOS_MESSAGE_FAULT:
		printf("fault %s at 0x%lx payload %lu\n",
			fault_name(message->words[1]), question.access.va,
			message->payload);
		flush();
		check("pass", custos_resume_pass(resume));
		break;
	case CUSTOS_MESSAGE_EXHAUSTED:
		answer_exhausted(resume);
		break;
	default:
		printf("message 0x%lx\n", message->words[0]);
	}
}

static void do_serve(void)
{
	uint32_t endpoint = take_cap(), resume = cap_slot_alloc();

	for (;;) {
		struct custos_message message = {
			.string = (uint64_t)&question,
			.string_size = sizeof(question),
			.cap_count = 1,
			.caps = {resume},
		};

		check("receive", message_receive(endpoint, &message));
		answer(&message, resume);
		custos_cappage_drop(cap_find("caps"), resume);
	}
}

static void do_sleep(void)
{
	sleep_ms(parse_number(take()));
}

static void do_enqueue(void)
{
	uint32_t to = take_cap(), from = take_cap();
	struct custos_message message = {0};

	message.words[0] = parse_number(take());
	check("load", custos_buffer_load(from, (uint64_t)&message));
	check("enqueue", custos_buffer_enqueue(to, from, 0));
}

static void do_news(void)
{
	struct custos_activation news = {0};

	for (uint64_t left = parse_number(take()); left; left--) {
		check("news", custos_process_next_activation(cap_find("self"),
				      (uint64_t)&news, 0));
		printf("news %u of %lu: %lu\n", news.kind, news.id,
			news.payload);
		flush();
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} actions[] = {
	{"read", do_read},
	{"write", do_write},
	{"touch", do_touch},
	{"caps", do_caps},
	{"send", do_send},
	{"post", do_post},
	{"receive", do_receive},
	{"serve", do_serve},
	{"sleep", do_sleep},
	{"enqueue", do_enqueue},
	{"news", do_news},
};

int main(int argc, char **argv)
{
	next = argv + (argc > 0);
	while (*next) {
		const char *word = take();
		size_t i = 0, count = sizeof(actions) / sizeof(actions[0]);

		while (i < count && strcmp(actions[i].name, word))
			i++;
		if (i == count) {
			printf("no action %s\n", word);
			return 2;
		}
		actions[i].run();
		flush();
	}
	return 0;
}
