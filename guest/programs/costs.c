/* SPDX-License-Identifier: MIT */
/*
 * What the things processes do most cost here, as ratios to the cheapest call:
 * a call of another process and its reply, a load that a keeper answers, one
 * that it lets through by a step.
 *
 *	costs [COUNT]
 */
#include <custos/guest_keeper.h>

#define WINDOW UINT64_C(0x10000000)
#define ANSWERED 1 /* payloads of the entries, slots of the node */
#define STEPPED 2
#define LENGTH (64 * PAGE_SIZE)

static uint32_t page; /* what steps use */

static void on_access(struct keeper *keeper, const struct custos_access *access)
{
	uint64_t value = 7;

	if (keeper->payload == STEPPED)
		keeper_step(keeper, page,
			CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE);
	else
		keeper_value(keeper, &value, access->size);
}

static void on_message(
	struct keeper *keeper, const struct custos_message *message)
{
	(void)message;
	keeper_result(keeper, 0);
}

static int serve(void)
{
	static const struct keeper_ops ops = {
		.access = on_access, .message = on_message};
	static struct keeper keeper;

	page = cap_find("page");
	keeper_init(&keeper, cap_find("endpoint"), &ops, NULL);
	keeper_run(&keeper);
	return 0;
}

static uint32_t server_endpoint;
static uint32_t entry; /* for messages */

/* Entries in slots of a node at WINDOW, and who answers for them. */
static uint32_t start_server(void)
{
	uint32_t bank = cap_find("bank"), process, i;
	uint32_t node = (uint32_t)object_create(bank, CUSTOS_CAP_GPT);
	uint32_t backing = (uint32_t)object_create(bank, CUSTOS_CAP_PAGE);
	const char *const argv[] = {"costs", "serve", NULL};
	struct custos_spawn_cap caps[2];

	server_endpoint = (uint32_t)endpoint_create();
	for (i = 0; i <= STEPPED; i++) {
		entry = (uint32_t)entry_create(server_endpoint, STEPPED - i);
		assert(!custos_gpt_set_slot(node, STEPPED - i, entry));
	}
	assert(!custos_gpt_map(cap_find("space"), WINDOW, node, 0, LENGTH,
		CUSTOS_RIGHT_ALL));
	caps[0] = (struct custos_spawn_cap){
		"endpoint", server_endpoint, CUSTOS_RIGHT_ALL};
	caps[1] = (struct custos_spawn_cap){
		"page", backing, CUSTOS_RIGHT_ALL};
	process = (uint32_t)spawn("program", argv, 0, caps, 2);
	assert((int32_t)process > 0);
	return process;
}

/* ---- what is measured ---- */

static void null_call(void)
{
	custos_process_state(cap_find("self"));
}

static void call_and_reply(void)
{
	struct custos_message message = {0}, reply = {0};

	assert(!message_call(entry, &message, &reply));
}

static void load_answered(void)
{
	assert(*(volatile uint64_t *)(WINDOW + ANSWERED * PAGE_SIZE) == 7);
}

static void load_stepped(void)
{
	assert(*(volatile uint64_t *)(WINDOW + STEPPED * PAGE_SIZE) == 0);
}

static uint64_t measure(void (*what)(void), uint64_t count)
{
	uint64_t start, i;

	what();
	start = time_ns();
	for (i = 0; i < count; i++)
		what();
	return (time_ns() - start) / count;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} costs[] = {
		{"null call", null_call},
		{"call of another process and its reply", call_and_reply},
		{"load answered by a keeper", load_answered},
		{"load stepped by a keeper", load_stepped},
	};
	uint64_t count = argc > 1 ? parse_number(argv[1]) : 200, base = 1, i;
	uint32_t server;

	if (argc > 1 && !strcmp(argv[1], "serve"))
		return serve();
	server = start_server();
	for (i = 0; i < sizeof(costs) / sizeof(costs[0]); i++) {
		uint64_t ns = measure(costs[i].run, count);

		base = i || !ns ? base : ns;
		printf("%-40s %3lu.%lu x\n", costs[i].name, ns / base,
			ns * 10 / base % 10);
	}
	custos_bank_free(cap_find("bank"), server_endpoint);
	return (int)wait_exit(server);
}
