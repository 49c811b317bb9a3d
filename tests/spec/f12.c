/* SPDX-License-Identifier: MIT */
/*
 * F12: when a bank's limit is reached by what an access needs, the bank's keeper
 * is asked; it raises the limit and the same instruction completes, or refuses
 * and the process faults with LIMIT_REACHED. No other bank's numbers move, and
 * no frame is lost however often that happens.
 */
#include "tests/spec/spec.h"

#define LIMIT 8
#define PLACES 64 /* of one page, 16 MiB apart: each needs a table */
#define BANK_PAYLOAD 0xba
#define PROCESS_PAYLOAD 0xfa
#define LEAP (UINT64_C(1) << 24)
#define SPARSE UINT64_C(0x100000000)

static int role_touch(uint64_t argument)
{
	(void)argument;
	EXPECT(0, custos_gpt_map(cap_find("space"), SPARSE, spec_given(0), 0,
			  PLACES * LEAP, CUSTOS_RIGHTS_MEMORY));
	for (uint64_t i = 0; i < PLACES; i++)
		EXPECT(0x4321, spec_load8(SPARSE + i * LEAP + 8));
	return 0;
}

/* The page everywhere, and a bank that pays for the tables. */
static uint32_t sparse(uint32_t bank, uint32_t page)
{
	uint32_t node = spec_node(spec_bank(), 24);

	for (unsigned i = 0; i < PLACES; i++)
		EXPECT(0, custos_gpt_set_slot(node, i, page));
	EXPECT(0, custos_gpt_set_bank(node, bank));
	return node;
}

static void check_exhausted(const struct spec_message *m)
{
	EXPECT(BANK_PAYLOAD, m->message.payload);
	EXPECT(BANK_PAYLOAD, m->message.words[1]);
	EXPECT(CUSTOS_CAP_TABLE, m->message.words[2]);
	EXPECT(8, m->message.words[3] % LEAP);
}

static void raises(uint32_t endpoint, uint32_t bank, uint32_t node)
{
	static struct spec_message m;
	int64_t others = custos_bank_usage(spec_bank(), CUSTOS_USAGE_OWN);
	uint32_t a = spec_start("touch", 0, spec_last_cpu(), CAPS(node));
	uint64_t asked = 0;

	others = custos_bank_usage(spec_bank(), CUSTOS_USAGE_OWN);
	while (!spec_failures()) {
		if (custos_process_state(a) == CUSTOS_STATE_ENDED)
			break;
		if (spec_try(endpoint, &m)) {
			sleep_ms(1);
			continue;
		}
		EXPECT(CUSTOS_MESSAGE_EXHAUSTED, m.message.words[0]);
		check_exhausted(&m);
		EXPECT(LIMIT + asked,
			custos_bank_usage(bank, CUSTOS_USAGE_ALL));
		asked++;
		EXPECT(0, custos_bank_set_limit(bank, LIMIT + asked));
		EXPECT(0, custos_resume_retry(m.resume));
	}
	EXPECT(0, wait_exit(a));
	EXPECT(true, asked >= PLACES - LIMIT);
	EXPECT(others, custos_bank_usage(spec_bank(), CUSTOS_USAGE_OWN));
	spec_drop(&m);
}

/* The bank's keeper refuses, the process's says try again, and so on. */
static void refuses(uint32_t endpoint, uint32_t node, uint64_t count)
{
	static struct spec_message m;
	uint32_t a = spec_start_kept("touch", 0, spec_last_cpu(),
		(uint32_t)entry_create(endpoint, PROCESS_PAYLOAD), CAPS(node));
	int64_t frames = 0;

	for (uint64_t i = 0; i < count && !spec_failures(); i++) {
		spec_expect(endpoint, CUSTOS_MESSAGE_EXHAUSTED, &m);
		check_exhausted(&m);
		if (!i)
			frames = custos_bank_usage(
				spec_bank(), CUSTOS_USAGE_MACHINE);
		EXPECT(0, custos_resume_fault(
				  m.resume, CUSTOS_FAULT_LIMIT_REACHED));
		spec_expect(endpoint, CUSTOS_MESSAGE_FAULT, &m);
		EXPECT(PROCESS_PAYLOAD, m.message.payload);
		EXPECT(CUSTOS_FAULT_LIMIT_REACHED, m.message.words[1]);
		EXPECT(frames, custos_bank_usage(
				       spec_bank(), CUSTOS_USAGE_MACHINE));
		EXPECT(0, custos_resume_retry(m.resume));
	}
	EXPECT(0, custos_process_kill(a, 4));
	EXPECT(4, wait_exit(a));
	spec_drop(&m);
}

const struct spec_role spec_roles[] = {
	{"touch", role_touch},
	{NULL, NULL},
};

static uint32_t limited(uint32_t endpoint)
{
	uint32_t bank = (uint32_t)bank_create(LIMIT);

	EXPECT(0, custos_bank_set_keeper(bank,
			  (uint32_t)entry_create(endpoint, BANK_PAYLOAD)));
	return bank;
}

void spec_test(uint64_t scale)
{
	uint32_t endpoint = (uint32_t)endpoint_create();
	uint32_t page = spec_page(spec_bank());
	uint32_t bank = limited(endpoint), other = limited(endpoint);
	uint64_t value = 0x4321;

	spec_size("limit %u, %u places in 1 GiB; %lu refusals", LIMIT, PLACES,
		scale);
	EXPECT(0, custos_page_write(page, 8, (uint64_t)&value, 8));
	raises(endpoint, bank, sparse(bank, page));
	refuses(endpoint, sparse(other, page), scale);
}
