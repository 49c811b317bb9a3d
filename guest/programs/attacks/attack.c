/* SPDX-License-Identifier: MIT */
#include "attack.h"

#define WAIT_MS 10000

uint32_t attack_bank;

static unsigned failures;

void expect_fail(const char *file, int line, const char *what, int64_t got,
	int64_t wanted)
{
	failures++;
	printf("  %s:%d: %s is %ld (%s), not %ld\n", file, line, what, got,
		got < 0 ? error_name(got) : "", wanted);
	flush();
}

uint32_t attack_object(enum custos_captype type)
{
	int64_t slot = object_create(attack_bank, type);

	assert(slot > 0);
	return (uint32_t)slot;
}

uint32_t attack_node(unsigned l2v)
{
	uint32_t node = attack_object(CUSTOS_CAP_GPT);

	EXPECT(0, custos_gpt_set_l2v(node, l2v));
	return node;
}

void attack_map(uint32_t memory, uint64_t va, uint64_t length, uint32_t rights)
{
	EXPECT(0, custos_gpt_map(cap_find("space"), va, memory, 0, length,
			  rights));
}

static uint32_t start(const char *role, uint64_t argument, uint32_t flags,
	const uint32_t *caps, uint32_t count)
{
	const struct spawn_how how = {.cpu = cpu_count() - 1, .flags = flags};
	struct custos_spawn_cap given[8];
	char text[24];
	const char *const argv[] = {"attack", role, text, NULL};
	int64_t slot;
	uint32_t i;

	assert(count <= 8);
	snprintf(text, sizeof(text), "%lu", argument);
	for (i = 0; i < count; i++) {
		snprintf(given[i].name, sizeof(given[i].name), "%u", i);
		given[i].slot = caps[i];
		given[i].rights = CUSTOS_RIGHT_ALL;
	}
	slot = spawn_as("program", argv, &how, given, count);
	if (slot < 0)
		printf("cannot start %s: %s\n", role, error_name(slot));
	assert(slot > 0);
	return (uint32_t)slot;
}

uint32_t attack_start(const char *role, uint64_t argument, const uint32_t *caps,
	uint32_t count)
{
	return start(role, argument, 0, caps, count);
}

uint32_t attack_start_new(const char *role, uint64_t argument,
	const uint32_t *caps, uint32_t count)
{
	return start(role, argument, CUSTOS_SPAWN_NEW, caps, count);
}

uint32_t attack_given(unsigned i)
{
	char name[8];

	snprintf(name, sizeof(name), "%u", i);
	return cap_find(name);
}

void attack_wait_state(uint32_t process, int64_t state)
{
	unsigned ms;

	for (ms = 0; ms < WAIT_MS; ms++) {
		if (custos_process_state(process) == state)
			return;
		sleep_ms(1);
	}
	EXPECT(state, custos_process_state(process));
}

int64_t attack_receive(uint32_t endpoint, struct attack_message *to)
{
	unsigned i;

	memset(&to->message, 0, sizeof(to->message));
	to->message.string = (uint64_t)to->string;
	to->message.string_size = sizeof(to->string);
	to->message.cap_count = CUSTOS_MESSAGE_CAPS;
	for (i = 0; i < CUSTOS_MESSAGE_CAPS; i++) {
		if (!to->slots[i])
			to->slots[i] = cap_slot_alloc();
		custos_cappage_drop(cap_find("caps"), to->slots[i]);
		to->message.caps[i] = to->slots[i];
	}
	return message_receive(endpoint, &to->message);
}

static int role_alive(uint64_t argument)
{
	yield();
	return (int)argument + 1;
}

static int run_role(const char *name, uint64_t argument)
{
	const struct attack_role *role = attack_roles;

	if (!strcmp(name, "alive"))
		return role_alive(argument);
	for (; role->name; role++)
		if (!strcmp(role->name, name))
			return role->run(argument);
	return 99;
}

static int64_t count_free(void)
{
	return custos_bank_usage(cap_find("bank"), CUSTOS_USAGE_MACHINE);
}

static void attack_once(void)
{
	int64_t bank = bank_create(0);
	uint32_t child;

	assert(bank > 0);
	attack_bank = (uint32_t)bank;
	attack();
	bank_end(attack_bank);
	child = attack_start("alive", 41, NULL, 0);
	EXPECT(42, wait_exit(child));
}

int main(int argc, char **argv)
{
	int64_t before, after;

	if (argc > 2) {
		int code = run_role(argv[1], parse_number(argv[2]));

		return failures ? 98 : code;
	}
	attack_once(); /* this process may need more tables, once */
	before = count_free();
	attack_once();
	after = count_free();
	EXPECT(before, after);
	printf("%s: %s, %ld frames free before and after\n", argv[0],
		failures ? "NOT REFUSED" : "refused", after);
	return failures != 0;
}
