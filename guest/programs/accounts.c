/* SPDX-License-Identifier: MIT */
/*
 * accounts MODE [N]: two tellers, each on a CPU of its own if there are two,
 * share two accounts. Some modes are right, some have a bug:
 *
 *	lock		both move money N times, under a lock
 *	forgets		the second one does so without it		bug
 *	sloppy		the lock is looked at, then taken		bug
 *	flag		the first fills an account, then sets a flag that the
 *			second waits for
 *	early		the flag comes before the money			bug
 *	message		the same with a message
 *	hasty		the message comes before the money		bug
 */
#include <custos/guest.h>

/* Pages of one memory object are mapped over these; word 0 of each counts. */
volatile uint64_t guard[PAGE_SIZE / 8] PAGE_ALIGNED;
volatile uint64_t flag[PAGE_SIZE / 8] PAGE_ALIGNED;
volatile uint64_t balance[PAGE_SIZE / 8] PAGE_ALIGNED; /* two accounts */

static void map_shared(uint32_t memory)
{
	static volatile uint64_t *const pages[] = {guard, flag, balance};
	uint64_t i;

	for (i = 0; i < 3; i++)
		assert(!memory_map_part(memory, pages[i], i * PAGE_SIZE,
			PAGE_SIZE,
			CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE));
}

static __attribute__((noinline)) void lock(void)
{
	while (__atomic_exchange_n(&guard[0], 1, __ATOMIC_ACQUIRE))
		yield();
}

/* Between the look and the store somebody else may do the same. */
static __attribute__((noinline)) void lock_sloppily(void)
{
	while (guard[0])
		yield();
	guard[0] = 1;
}

static __attribute__((noinline)) void unlock(void)
{
	__atomic_store_n(&guard[0], 0, __ATOMIC_RELEASE);
}

static __attribute__((noinline)) void move(uint64_t amount)
{
	balance[0] -= amount;
	balance[1] += amount;
}

static void move_often(uint64_t n, bool locks, bool sloppily)
{
	for (; n; n--) {
		if (sloppily)
			lock_sloppily();
		else if (locks)
			lock();
		move(1);
		if (locks)
			unlock();
		yield();
	}
}

static __attribute__((noinline)) void fill(void)
{
	balance[0] = 1000;
}

static void send(void)
{
	struct custos_message message = {.words = {1}};

	assert(!message_send(cap_find("door"), &message));
}

static int first(const char *mode, uint64_t n)
{
	if (!strcmp(mode, "flag") || !strcmp(mode, "message"))
		fill();
	if (!strcmp(mode, "flag") || !strcmp(mode, "early"))
		flag[0] = 1;
	else if (!strcmp(mode, "message") || !strcmp(mode, "hasty"))
		send();
	else
		move_often(n, true, !strcmp(mode, "sloppy"));
	if (!strcmp(mode, "early") || !strcmp(mode, "hasty"))
		fill();
	return 0;
}

static __attribute__((noinline)) int look(void)
{
	return balance[0] == 1000 ? 0 : 1;
}

static int second(const char *mode, uint64_t n)
{
	struct custos_message message = {.string_size = 0};

	if (!strcmp(mode, "flag") || !strcmp(mode, "early")) {
		while (!flag[0])
			yield();
		look();
	} else if (!strcmp(mode, "message") || !strcmp(mode, "hasty")) {
		assert(!message_receive(cap_find("door"), &message));
		look();
	} else {
		move_often(n, strcmp(mode, "forgets") != 0,
			!strcmp(mode, "sloppy"));
	}
	return 0;
}

static uint32_t start(const char *role, const char *mode, const char *n,
	uint32_t cpu, const struct custos_spawn_cap caps[2])
{
	const char *const argv[] = {role, mode, n, role, NULL};
	int64_t slot = spawn("program", argv, cpu, caps, 2);

	assert(slot > 0);
	return (uint32_t)slot;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "lock";
	const char *n = argc > 2 ? argv[2] : "10";
	struct custos_spawn_cap caps[2] = {
		{"shared", 0, CUSTOS_RIGHT_READ | CUSTOS_RIGHT_WRITE},
		{"door", 0, CUSTOS_RIGHT_SEND | CUSTOS_RIGHT_RECEIVE}};
	uint32_t a, b;

	if (argc == 4) {
		map_shared(cap_find("shared"));
		return !strcmp(argv[3], "first") ?
			first(mode, parse_number(n)) :
			second(mode, parse_number(n));
	}
	caps[0].slot = (uint32_t)memory_create(3 * PAGE_SIZE);
	caps[1].slot = (uint32_t)endpoint_create();
	map_shared(caps[0].slot);
	balance[0] = balance[1] = 500; /* nobody else is there yet */
	a = start("first", mode, n, 0, caps);
	b = start("second", mode, n, cpu_count() > 1, caps);
	if (wait_exit(a) || wait_exit(b))
		return 2;
	printf("balances %ld and %ld\n", balance[0], balance[1]);
	return 0;
}
