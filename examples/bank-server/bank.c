/* SPDX-License-Identifier: MIT */
/*
 * A bank server: it has the storage, its clients have only the right to ask.
 * Each gets so many pages and no more, and what it got comes back when the
 * server ends its account, whatever the client did with it.
 */
#include <custos/guest_keeper.h>

#define CLIENTS 3
#define QUOTA 4 /* pages */
#define ASK 1
#define CLOSE 2

struct account {
	uint32_t bank; /* below the server's own */
	unsigned refused;
};

struct server {
	struct account accounts[CLIENTS];
	unsigned closed;
};

/* A client knows nothing but the entry it calls. */
static int client(uint64_t number)
{
	uint32_t slot, pages = 0;
	int64_t result;

	for (;;) {
		struct custos_message ask = {.words = {ASK}}, reply = {0};

		slot = cap_slot_alloc();
		reply.cap_count = 1;
		reply.caps[0] = slot;
		assert(!message_call(cap_find("server"), &ask, &reply));
		result = (int64_t)reply.words[0];
		if (result)
			break;
		assert(!custos_page_write(slot, 0, (uint64_t)&number, 8));
		pages++;
	}
	printf("client %lu: %u pages, then %s\n", number, pages,
		error_name(result));
	flush();
	message_call(cap_find("server"),
		&(struct custos_message){.words = {CLOSE}},
		&(struct custos_message){.cap_count = 0});
	return (int)pages;
}

static void give_page(struct keeper *keeper, struct account *account)
{
	int64_t page = object_create(account->bank, CUSTOS_CAP_PAGE);
	struct custos_message reply = {.words = {0}, .cap_count = 1};

	if (page < 0) {
		account->refused++;
		keeper_result(keeper, page);
		return;
	}
	reply.caps[0] = (uint32_t)page;
	keeper_reply(keeper, &reply);
	cap_slot_free((uint32_t)page);
}

/* The payload of the entry says which client asks: it cannot be changed. */
static void on_message(
	struct keeper *keeper, const struct custos_message *message)
{
	struct server *server = keeper->context;
	struct account *account = &server->accounts[keeper->payload % CLIENTS];

	if (message->words[0] == ASK) {
		give_page(keeper, account);
	} else if (message->words[0] == CLOSE) {
		keeper_result(keeper, 0);
		bank_end(account->bank);
		if (++server->closed == CLIENTS)
			keeper_stop(keeper);
	}
}

static uint32_t start(uint32_t entry, uint64_t number)
{
	char text[8];
	const char *const argv[] = {"client", text, NULL};
	const struct custos_spawn_cap cap = {
		"server", entry, CUSTOS_RIGHT_SEND};
	int64_t slot;

	snprintf(text, sizeof(text), "%lu", number);
	slot = spawn("program", argv, CUSTOS_ANY_CPU, &cap, 1);
	assert(slot > 0);
	return (uint32_t)slot;
}

int main(int argc, char **argv)
{
	static const struct keeper_ops ops = {.message = on_message};
	static struct server server;
	static struct keeper keeper;
	uint32_t endpoint, process[CLIENTS];
	int64_t before;

	if (argc > 1 && !strcmp(argv[0], "client"))
		return client(parse_number(argv[1]));
	endpoint = (uint32_t)endpoint_create();
	before = custos_bank_usage(cap_find("bank"), CUSTOS_USAGE_ALL);
	for (uint64_t i = 0; i < CLIENTS; i++) {
		/* the bank itself is a frame, too */
		server.accounts[i].bank = (uint32_t)bank_create(QUOTA + 1 + i);
		process[i] = start((uint32_t)entry_create(endpoint, i), i);
	}
	keeper_init(&keeper, endpoint, &ops, &server);
	assert(!keeper_run(&keeper));
	for (unsigned i = 0; i < CLIENTS; i++)
		assert(wait_exit(process[i]) == (int64_t)(QUOTA + i));
	printf("%s\n",
		custos_bank_usage(cap_find("bank"), CUSTOS_USAGE_ALL) == before
			? "every frame is back"
			: "frames are missing");
	return 0;
}
