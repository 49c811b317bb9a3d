/* SPDX-License-Identifier: MIT */
/*
 * A pager with copy-on-write: the child sees its parent's pages, read-only,
 * until it stores to one; then the pager puts a copy in its place, paid by a
 * bank of the pager's choice, and the store is done again. The pager is a
 * process like any other, and the kernel knows nothing of copies.
 */
#include <custos/guest_keeper.h>

#define PAGES 16
#define WORDS (PAGE_SIZE / 8)
#define STORED 3 /* pages the child stores to */

PAGE_ALIGNED volatile uint64_t data[PAGES * WORDS];

struct pager {
	uint32_t bank;		/* pays for copies */
	uint32_t node;		/* what the child sees */
	uint32_t pages[PAGES];	/* the parent's */
	unsigned copied;
};

static int child(void)
{
	uint64_t sum = 0;

	assert(!memory_map_part(cap_find("data"), data, 0, sizeof(data),
		CUSTOS_RIGHTS_MEMORY));
	for (uint64_t i = 0; i < PAGES; i++)
		sum += data[i * WORDS];
	printf("child: sum %lu\n", sum);
	for (uint64_t i = 0; i < STORED; i++) {
		data[5 * i * WORDS] += 1000;
		data[5 * i * WORDS + 1] = 1;
	}
	sum = 0;
	for (uint64_t i = 0; i < PAGES; i++)
		sum += data[i * WORDS];
	printf("child: sum %lu after its stores\n", sum);
	flush();
	return message_send(cap_find("pager"),
		       &(struct custos_message){.words = {1}}) != 0;
}

static void copy_page(struct pager *pager, uint64_t i)
{
	static uint8_t bytes[PAGE_SIZE];
	uint32_t copy = (uint32_t)object_create(pager->bank, CUSTOS_CAP_PAGE);

	assert(!custos_page_read(
		pager->pages[i], 0, (uint64_t)bytes, PAGE_SIZE));
	assert(!custos_page_write(copy, 0, (uint64_t)bytes, PAGE_SIZE));
	assert(!custos_gpt_set_slot(pager->node, i, copy));
	cap_slot_free(copy);
	pager->copied++;
}

/* The node's keeper: offsets are the node's. */
static void on_access(struct keeper *keeper, const struct custos_access *access)
{
	struct pager *pager = keeper->context;
	uint64_t i = access->offset / PAGE_SIZE;

	if (access->fault != CUSTOS_FAULT_ACCESS_VIOLATION || i >= PAGES) {
		keeper_pass(keeper); /* not what we are for */
		return;
	}
	copy_page(pager, i);
	keeper_retry(keeper);
}

static void on_message(
	struct keeper *keeper, const struct custos_message *message)
{
	(void)message;
	keeper_stop(keeper);
}

/* The parent's pages, with i * 10 in word 0, seen through a node read-only. */
static void make_pages(struct pager *pager)
{
	uint32_t bank = cap_find("bank");

	pager->node = (uint32_t)object_create(bank, CUSTOS_CAP_GPT);
	assert(!custos_gpt_set_l2v(pager->node, CUSTOS_GPT_L2V_MIN));
	for (uint64_t i = 0; i < PAGES; i++) {
		uint64_t value = 10 * i;
		uint32_t weak;

		pager->pages[i] =
			(uint32_t)object_create(bank, CUSTOS_CAP_PAGE);
		assert(!custos_page_write(
			pager->pages[i], 0, (uint64_t)&value, 8));
		weak = (uint32_t)cap_copy(pager->pages[i], CUSTOS_RIGHT_READ);
		assert(!custos_gpt_set_slot(pager->node, i, weak));
		cap_slot_free(weak);
	}
}

static uint64_t parents_sum(const struct pager *pager)
{
	uint64_t sum = 0, value;

	for (uint64_t i = 0; i < PAGES; i++) {
		assert(!custos_page_read(
			pager->pages[i], 0, (uint64_t)&value, 8));
		sum += value;
	}
	return sum;
}

int main(int argc, char **argv)
{
	static const struct keeper_ops ops = {
		.access = on_access, .message = on_message};
	static struct keeper keeper;
	static struct pager pager;
	const char *const child_argv[] = {"child", NULL};
	uint32_t endpoint;
	struct custos_spawn_cap caps[2] = {{"data", 0, CUSTOS_RIGHT_ALL},
		{"pager", 0, CUSTOS_RIGHT_ALL}};
	int64_t process;

	(void)argc;
	if (!strcmp(argv[0], "child"))
		return child();
	endpoint = (uint32_t)endpoint_create();
	pager.bank = (uint32_t)bank_create(0);
	make_pages(&pager);
	caps[1].slot = (uint32_t)entry_create(endpoint, 0);
	assert(!custos_gpt_set_keeper(pager.node, caps[1].slot));
	caps[0].slot = pager.node;
	process = spawn("program", child_argv, CUSTOS_ANY_CPU, caps, 2);
	assert(process > 0);
	keeper_init(&keeper, endpoint, &ops, &pager);
	assert(!keeper_run(&keeper));
	assert(!wait_exit((uint32_t)process));
	printf("parent: sum %lu, %u of %u pages copied\n", parents_sum(&pager),
		pager.copied, PAGES);
	return 0;
}
