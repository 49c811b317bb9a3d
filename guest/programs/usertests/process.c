/* SPDX-License-Identifier: MIT */
/* Processes: start, end, wait, kill; time. */
#include "tests.h"

#define MANY 20
#define MS UINT64_C(1000000)

static int role_exit(const char *argument)
{
	return (int)parse_number(argument);
}

static int role_spin(const char *argument)
{
	volatile bool forever = true;

	(void)argument;
	while (forever)
		__asm__ volatile("pause");
	return 0;
}

static int role_sleep(const char *argument)
{
	sleep_ms(parse_number(argument));
	return 7;
}

static int role_wait(const char *argument)
{
	(void)argument;
	return (int)custos_process_wait(cap_find("given"));
}

/* No usual capabilities: only what is listed. */
static void fill_spawn(struct custos_spawn *spawn, uint32_t slot)
{
	static const char args[] = "usertests\0role\0exit\0"
				   "5";

	memset(spawn, 0, sizeof(*spawn));
	spawn->args = (uint64_t)args;
	spawn->args_size = sizeof(args);
	spawn->args_count = 4;
	spawn->cpu = CUSTOS_ANY_CPU;
	spawn->slot = slot;
	spawn->bank = cap_find("bank");
}

static int64_t try_spawn(const struct custos_spawn *spawn)
{
	return custos_module_spawn(cap_find("program"), (uint64_t)spawn);
}

static void exit_codes_arrive(void)
{
	EXPECT(0, test_run_child("exit", "0"));
	EXPECT(42, test_run_child("exit", "42"));
	EXPECT(0x23, test_run_child("exit", "0x123"));
	EXPECT(127, test_run_child("nonsense", ""));
}

static void wait_works_before_and_after(void)
{
	uint32_t child = test_child("exit", "9", CUSTOS_ANY_CPU, 0);

	EXPECT(9, custos_process_wait(child));
	EXPECT(9, custos_process_wait(child));
	EXPECT(9, wait_exit(child));
	EXPECT(-CUSTOS_E_REQUEST, custos_process_wait(cap_find("self")));
}

static void several_may_wait(void)
{
	uint32_t child = test_child("sleep", "30", CUSTOS_ANY_CPU, 0);
	uint32_t other = test_child("wait", "", CUSTOS_ANY_CPU, child);

	EXPECT(7, custos_process_wait(child));
	test_wait_state(other, CUSTOS_STATE_ENDED);
	EXPECT(7, wait_exit(child));
	EXPECT(7, wait_exit(other));
}

static void bare_child_gets_only_its_own(void)
{
	static struct custos_spawn spawn;
	uint32_t slot = cap_slot_alloc();

	fill_spawn(&spawn, slot);
	EXPECT(0, try_spawn(&spawn));
	EXPECT(5, wait_exit(slot));
}

static void spawn_checks_its_request(void)
{
	static struct custos_spawn spawn;
	uint32_t slot = cap_slot_alloc();

	EXPECT(-CUSTOS_E_FAULT, try_spawn(NULL));
	EXPECT(-CUSTOS_E_FAULT, try_spawn((const void *)(CUSTOS_USER_END - 8)));
	fill_spawn(&spawn, 0);
	EXPECT(-CUSTOS_E_REQUEST, try_spawn(&spawn));
	fill_spawn(&spawn, cap_find("self"));
	EXPECT(-CUSTOS_E_REQUEST, try_spawn(&spawn));
	fill_spawn(&spawn, slot);
	spawn.args_size = CUSTOS_ARGS_MAX + 1;
	EXPECT(-CUSTOS_E_REQUEST, try_spawn(&spawn));
	fill_spawn(&spawn, slot);
	spawn.args = 8;
	EXPECT(-CUSTOS_E_FAULT, try_spawn(&spawn));
	fill_spawn(&spawn, slot);
	spawn.cpu = cpu_count();
	EXPECT(-CUSTOS_E_REQUEST, try_spawn(&spawn));
	fill_spawn(&spawn, slot);
	spawn.cap_count = CUSTOS_SPAWN_CAPS + 1;
	EXPECT(-CUSTOS_E_REQUEST, try_spawn(&spawn));
	fill_spawn(&spawn, slot);
	spawn.cap_count = 1;
	EXPECT(-CUSTOS_E_INVALID_CAP, try_spawn(&spawn));
	cap_slot_free(slot);
}

static void a_process_says_what_it_does(void)
{
	uint32_t child = test_child("sleep", "50", CUSTOS_ANY_CPU, 0);

	test_wait_state(child, CUSTOS_STATE_SLEEPING);
	test_wait_state(child, CUSTOS_STATE_ENDED);
	EXPECT(CUSTOS_STATE_RUNNING, custos_process_state(cap_find("self")));
	EXPECT(-CUSTOS_E_INVALID_CAP, custos_process_state(0));
	wait_exit(child);
}

static void many_come_and_go(void)
{
	uint32_t children[MANY], i;

	for (i = 0; i < MANY; i++)
		children[i] = test_child("exit", "3", CUSTOS_ANY_CPU, 0);
	for (i = 0; i < MANY; i++)
		EXPECT(3, wait_exit(children[i]));
}

static void kill_one(const char *role, uint32_t cpu, bool let_it_run)
{
	uint32_t child = test_child(role, "1000000", cpu, cap_find("self"));

	if (let_it_run)
		sleep_ms(5);
	EXPECT(0, custos_process_kill(child, 77));
	EXPECT(77, wait_exit(child));
}

static void kill_ends_in_any_state(void)
{
	uint32_t last = cpu_count() - 1;

	kill_one("spin", 0, false);
	kill_one("spin", last, false);
	kill_one("sleep", last, true);
	kill_one("wait", last, true);
}

/* One of the two is killed on a CPU that is not ours, by an interrupt there:
 * which must go on to take others. */
static void killing_elsewhere_leaves_the_cpu_well(void)
{
	uint32_t cpus[2] = {0, cpu_count() - 1}, i;

	for (i = 0; i < 2; i++)
		kill_one("spin", cpus[i], true);
	for (i = 0; i < 2; i++) {
		uint32_t child = test_child("sleep", "1", cpus[i], 0);

		EXPECT(7, wait_exit(child));
	}
}

static void killing_the_dead_is_harmless(void)
{
	uint32_t child = test_child("exit", "4", CUSTOS_ANY_CPU, 0);

	EXPECT(4, custos_process_wait(child));
	EXPECT(0, custos_process_kill(child, 77));
	EXPECT(4, wait_exit(child));
}

/* A bank takes the processes it paid for with it, in whatever state. */
static void destroying_the_bank_ends_the_process(void)
{
	static const char *const roles[] = {"spin", "sleep"};
	uint32_t cpus[2] = {0, cpu_count() - 1}, i;

	for (i = 0; i < 4; i++) {
		uint32_t child = test_child(
			roles[i / 2], "1000000", cpus[i % 2], 0);

		sleep_ms(5);
		bank_end(spawned_bank(child));
		EXPECT(CUSTOS_CAP_NULL, cap_type(child));
		EXPECT(-CUSTOS_E_INVALID_CAP, custos_process_wait(child));
		cap_slot_free(child);
	}
}

static void only_the_owner_controls(void)
{
	uint32_t child = test_child("sleep", "20", CUSTOS_ANY_CPU, 0);
	uint32_t weak = cap_slot_alloc();

	EXPECT(-CUSTOS_E_REQUEST, custos_process_exit(child, 1));
	EXPECT(-CUSTOS_E_REQUEST, custos_process_yield(child));
	EXPECT(-CUSTOS_E_REQUEST, custos_process_set_fs_base(child, 0));
	EXPECT(0, custos_cappage_copy(
			  cap_find("caps"), child, weak, CUSTOS_RIGHT_WAIT));
	EXPECT(-CUSTOS_E_NO_ACCESS, custos_process_kill(weak, 1));
	EXPECT(7, custos_process_wait(weak));
	cap_slot_free(weak);
	EXPECT(7, wait_exit(child));
}

static void marks_are_ones_own(void)
{
	uint32_t self = cap_find("self");
	uint32_t child = test_child("exit", "3", CUSTOS_ANY_CPU, 0);
	static const char text[CUSTOS_MARK_MAX + 1];

	EXPECT(0, custos_process_mark(self, (uint64_t) "here", 4));
	EXPECT(0, custos_process_mark(self, 0, 0));
	EXPECT(0, custos_process_mark(
			  self, (uint64_t)text, CUSTOS_MARK_MAX));
	EXPECT(-CUSTOS_E_REQUEST, custos_process_mark(self, (uint64_t)text,
					  CUSTOS_MARK_MAX + 1));
	EXPECT(-CUSTOS_E_FAULT, custos_process_mark(self, 16, 4));
	EXPECT(-CUSTOS_E_REQUEST,
		custos_process_mark(child, (uint64_t)text, 1));
	EXPECT(3, wait_exit(child));
}

static void dropped_child_lives_on(void)
{
	uint32_t child = test_child("sleep", "10", CUSTOS_ANY_CPU, 0);
	uint32_t bank = spawned_bank(child);

	cap_slot_free(child);
	sleep_ms(100);
	bank_end(bank);
}

static void clock_and_sleep_agree(void)
{
	uint64_t before = time_ns(), after;

	sleep_ms(20);
	after = time_ns();
	EXPECT(true, after - before >= 20 * MS);
	EXPECT(0, custos_timer_sleep(cap_find("timer"), 0));
	EXPECT(-CUSTOS_E_REQUEST,
		custos_timer_sleep(cap_find("timer"), UINT64_MAX));
}

static void spinners_share_one_cpu(void)
{
	uint32_t a = test_child("spin", "", 0, 0);
	uint32_t b = test_child("spin", "", 0, 0);
	uint32_t c = test_child("exit", "6", 0, 0);

	EXPECT(6, wait_exit(c));
	EXPECT(0, custos_process_kill(a, 1));
	EXPECT(0, custos_process_kill(b, 2));
	EXPECT(1, wait_exit(a));
	EXPECT(2, wait_exit(b));
}

const struct role process_roles[] = {
	{"exit", role_exit},
	{"spin", role_spin},
	{"sleep", role_sleep},
	{"wait", role_wait},
	{NULL, NULL},
};

const struct test process_tests[] = {
	{"exit_codes_arrive", exit_codes_arrive},
	{"wait_works_before_and_after", wait_works_before_and_after},
	{"several_may_wait", several_may_wait},
	{"bare_child_gets_only_its_own", bare_child_gets_only_its_own},
	{"spawn_checks_its_request", spawn_checks_its_request},
	{"a_process_says_what_it_does", a_process_says_what_it_does},
	{"many_come_and_go", many_come_and_go},
	{"kill_ends_in_any_state", kill_ends_in_any_state},
	{"killing_elsewhere_leaves_the_cpu_well",
		killing_elsewhere_leaves_the_cpu_well},
	{"killing_the_dead_is_harmless", killing_the_dead_is_harmless},
	{"destroying_the_bank_ends_the_process",
		destroying_the_bank_ends_the_process},
	{"only_the_owner_controls", only_the_owner_controls},
	{"marks_are_ones_own", marks_are_ones_own},
	{"dropped_child_lives_on", dropped_child_lives_on},
	{"clock_and_sleep_agree", clock_and_sleep_agree},
	{"spinners_share_one_cpu", spinners_share_one_cpu},
	{NULL, NULL},
};
