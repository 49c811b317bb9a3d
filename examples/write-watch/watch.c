/* SPDX-License-Identifier: MIT */
/*
 * A keeper that watches stores: it sees each one before it is made, lets the
 * instruction take one step on the page while nobody else can touch it, is told
 * which bytes changed, and takes back those it does not like. Loads run at full
 * speed and are never asked about.
 */
#include <custos/guest_keeper.h>

#define WORDS (PAGE_SIZE / 8)

PAGE_ALIGNED volatile uint64_t shared[WORDS];

/* Numbers that may only grow. */
static int worker(void)
{
	assert(!memory_map(cap_find("page"), shared,
		CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE | CUSTOS_RIGHT_CALL));
	shared[1] = 5;
	shared[1] += 7;
	__asm__ volatile("lock xaddq %1, %0" : "+m"(shared[1]) : "r"(30L));
	__asm__ volatile("movb $9, 16(%0)" : : "r"(shared) : "memory");
	flush();
	shared[1] = 3; /* shrinks */
	return 0; /* never */
}

struct watcher {
	uint32_t page;
	bool ended;
};

static void on_access(struct keeper *keeper, const struct custos_access *access)
{
	struct watcher *watcher = keeper->context;

	(void)access;
	keeper_step(keeper, watcher->page,
		CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE);
}

static bool is_store(const struct custos_stepped_access *access)
{
	return access->kind == CUSTOS_ACCESS_STORE ||
	       access->kind == CUSTOS_ACCESS_RMW_STORE;
}

/* Until now the page is locked: decide. */
static void on_stepped(
	struct keeper *keeper, const struct custos_stepped *stepped)
{
	struct watcher *watcher = keeper->context;
	bool shrinks = false;

	for (uint32_t i = 0; i < stepped->count; i++) {
		const struct custos_stepped_access *a = &stepped->accesses[i];
		uint64_t old = 0, new = 0;

		if (!is_store(a) || a->size > 8)
			continue;
		memcpy(&old, a->old, a->size);
		memcpy(&new, a->new, a->size);
		printf("%u bytes at 0x%lx: %lu -> %lu\n", a->size, a->offset,
			old, new);
		shrinks |= new < old;
	}
	if (!shrinks)
		return; /* the library goes on */
	printf("taken back\n");
	watcher->ended = true;
	keeper_rollback(keeper);
}

/* After a rollback the same access is asked again: this time it may not be. */
static void on_asked_again(
	struct keeper *keeper, const struct custos_access *access)
{
	struct watcher *watcher = keeper->context;

	if (!watcher->ended) {
		on_access(keeper, access);
		return;
	}
	keeper_fault(keeper, CUSTOS_FAULT_ACCESS_VIOLATION);
	keeper_stop(keeper);
}

int main(int argc, char **argv)
{
	static const struct keeper_ops ops = {
		.access = on_asked_again, .stepped = on_stepped};
	static struct keeper keeper;
	static struct watcher watcher;
	const char *const child_argv[] = {"worker", NULL};
	struct custos_spawn_cap cap = {"page", 0, CUSTOS_RIGHT_ALL};
	uint32_t endpoint;
	uint64_t value;
	int64_t process;

	(void)argc;
	if (!strcmp(argv[0], "worker"))
		return worker();
	endpoint = (uint32_t)endpoint_create();
	watcher.page =
		(uint32_t)object_create(cap_find("bank"), CUSTOS_CAP_PAGE);
	assert(!custos_page_set_keeper(watcher.page,
		(uint32_t)entry_create(endpoint, 0), CUSTOS_RIGHT_WRITE));
	cap.slot = watcher.page;
	process = spawn("program", child_argv, CUSTOS_ANY_CPU, &cap, 1);
	assert(process > 0);
	keeper_init(&keeper, endpoint, &ops, &watcher);
	assert(!keeper_run(&keeper));
	printf("the worker ended with %ld\n", wait_exit((uint32_t)process));
	assert(!custos_page_clear_keeper(watcher.page));
	assert(!custos_page_read(watcher.page, 8, (uint64_t)&value, 8));
	printf("the word is %lu\n", value);
	return 0;
}
