/* SPDX-License-Identifier: MIT */
/*
 * F9: below a link that may not call nobody is asked; only the process's keeper
 * hears of it, as NO_CALL. A tree is confined if no entry in it may be called.
 */
#include "tests/spec/spec.h"

#define AT (WINDOW + 2 * 64 * PAGE_SIZE + 3 * PAGE_SIZE)
#define NO_CALL_RIGHTS (CUSTOS_RIGHTS_MEMORY & ~CUSTOS_RIGHT_CALL)

static int role_load(uint64_t argument)
{
	(void)argument;
	spec_map(spec_given(0), WINDOW, 64 * 64 * PAGE_SIZE);
	spec_load8(AT);
	return 0;
}

static uint32_t endpoint, keeper_endpoint;

/* One load through `top`: no message to the entry, one to the keeper. */
static void load_is_refused(uint32_t top)
{
	static struct spec_message m;
	uint32_t a = spec_start_kept("load", 0, spec_last_cpu(),
		(uint32_t)entry_create(keeper_endpoint, 1), CAPS(top));

	spec_expect(keeper_endpoint, CUSTOS_MESSAGE_FAULT, &m);
	EXPECT(CUSTOS_FAULT_NO_CALL, m.message.words[1]);
	EXPECT(AT, m.access.va);
	EXPECT(true, spec_is_quiet(endpoint));
	EXPECT(0, custos_process_kill(a, 1));
	EXPECT(1, wait_exit(a));
	spec_drop(&m);
}

static int64_t confined(uint32_t slot)
{
	return custos_discrim_confined(cap_find("discrim"), slot);
}

const struct spec_role spec_roles[] = {
	{"load", role_load},
	{NULL, NULL},
};

void spec_test(uint64_t scale)
{
	uint32_t top = spec_node(spec_bank(), 18);
	uint32_t node = spec_node(spec_bank(), 12);
	uint32_t entry, no_call, weak_entry;

	(void)scale;
	spec_size("3 places of the restriction, 5 trees");
	endpoint = (uint32_t)endpoint_create();
	keeper_endpoint = (uint32_t)endpoint_create();
	entry = (uint32_t)entry_create(endpoint, 9);
	no_call = (uint32_t)cap_copy(node, NO_CALL_RIGHTS);
	weak_entry = (uint32_t)cap_copy(entry,
		CUSTOS_RIGHT_ALL & ~CUSTOS_RIGHT_CALL);

	EXPECT(1, confined(top));
	EXPECT(0, custos_gpt_set_slot(node, 3, entry));
	EXPECT(1, confined(top)); /* not in it yet */
	EXPECT(0, custos_gpt_set_slot(top, 2, no_call));
	EXPECT(1, confined(top));
	load_is_refused(top);

	EXPECT(0, custos_gpt_set_slot(top, 2, node));
	EXPECT(0, confined(top));
	EXPECT(1, confined((uint32_t)cap_copy(top, NO_CALL_RIGHTS)));

	EXPECT(0, custos_gpt_set_slot(node, 3, weak_entry));
	EXPECT(1, confined(top));
	load_is_refused(top);

	/* The keepers of nodes on the way are not to be called, either. */
	EXPECT(0, custos_gpt_set_slot(node, 3, 0));
	EXPECT(0, custos_gpt_set_keeper(node, entry));
	EXPECT(0, confined(top));
	EXPECT(0, custos_gpt_set_keeper(node, 0));
	EXPECT(1, confined(top));
	EXPECT(0, custos_gpt_set_slot(node, 3, entry));
	EXPECT(0, custos_gpt_set_slot(top, 2, no_call));
	load_is_refused(top);
}
