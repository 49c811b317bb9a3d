/* SPDX-License-Identifier: MIT */
#include "keeper/stats.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/tests.h"
#include "tests/unit/keeper/fake_image.h"

static const uint8_t insn[] = { 0x48, 0xff, 0x05 };

static struct access an_access(enum access_kind kind, uint64_t ip)
{
	return (struct access){
		.seq = 1,
		.kind = kind,
		.size = 8,
		.kept_count = 8,
		.process = 1,
		.process_name = "count",
		.ip = ip,
		.insn = insn,
		.insn_len = sizeof(insn),
	};
}

static void totals_are_by_kind_outcome_and_range(void **state)
{
	struct stats *stats = stats_create();
	struct access a = an_access(ACCESS_LOAD, 0x401000);
	struct stats_totals totals;

	(void)state;
	stats_count(stats, &a, OUTCOME_PASS);
	stats_count(stats, &a, OUTCOME_SERVE);
	a.kind = ACCESS_RMW;
	a.range = 1000;
	stats_count(stats, &a, OUTCOME_PASS);
	stats_get_totals(stats, &totals);
	assert_int_equal(totals.accesses, 3);
	assert_int_equal(totals.kinds[ACCESS_LOAD], 2);
	assert_int_equal(totals.kinds[ACCESS_RMW], 1);
	assert_int_equal(totals.outcomes[OUTCOME_PASS], 2);
	assert_int_equal(totals.outcomes[OUTCOME_SERVE], 1);
	stats_get_range(stats, 0, &totals);
	assert_int_equal(totals.accesses, 2);
	stats_get_range(stats, 1000, &totals);
	assert_int_equal(totals.accesses, 1);
	assert_int_equal(totals.kinds[ACCESS_RMW], 1);
	stats_get_range(stats, 16, &totals);
	assert_int_equal(totals.accesses, 0);
	stats_get_range(stats, UINT32_MAX, &totals);
	assert_int_equal(totals.accesses, 0);
	stats_destroy(stats);
}

static void sites_are_by_process_name_and_address(void **state)
{
	struct stats *stats = stats_create();
	struct access a = an_access(ACCESS_STORE, 0x401000);
	struct stats_site *sites;
	uint64_t others;
	size_t count;

	(void)state;
	assert_null(stats_get_sites(stats, &count, &others));
	assert_int_equal(count, 0);
	a.seq = 9;
	stats_count(stats, &a, OUTCOME_PASS);
	a.seq = 4;
	a.process = 2; /* of the same name: the same instruction */
	stats_count(stats, &a, OUTCOME_PASS);
	a.ip++;
	a.seq = 5;
	stats_count(stats, &a, OUTCOME_PASS);
	a.process_name = "other";
	a.insn = NULL;
	a.seq = 6;
	stats_count(stats, &a, OUTCOME_PASS);
	sites = stats_get_sites(stats, &count, &others);
	assert_int_equal(count, 3);
	assert_int_equal(others, 0);
	assert_int_equal(sites[0].count, 2);
	assert_int_equal(sites[0].ip, 0x401000);
	assert_int_equal(sites[0].process, 1);
	assert_int_equal(sites[0].first_seq, 4);
	assert_int_equal(sites[0].last_seq, 9);
	assert_int_equal(sites[0].kinds[ACCESS_STORE], 2);
	assert_memory_equal(sites[0].insn, insn, sizeof(insn));
	assert_string_equal(sites[1].process_name, "count");
	assert_string_equal(sites[2].process_name, "other");
	assert_int_equal(sites[2].insn_len, 0);
	free(sites);
	stats_destroy(stats);
}

static void many_sites_are_bounded_and_none_is_lost(void **state)
{
	struct stats *stats = stats_create();
	struct access a = an_access(ACCESS_STORE, 0);
	struct stats_site *sites;
	uint64_t others, sum = 0;
	size_t count;

	(void)state;
	a.process_name = "a name that is longer than it may be";
	for (unsigned round = 0; round < 2; round++)
		for (a.ip = 0; a.ip < 100000; a.ip++)
			stats_count(stats, &a, OUTCOME_PASS);
	sites = stats_get_sites(stats, &count, &others);
	assert_in_range(count, STATS_SITES_MAX / 2, STATS_SITES_MAX);
	for (size_t i = 0; i < count; i++)
		sum += sites[i].count;
	assert_int_equal(sum + others, 200000);
	assert_int_equal(sites[0].count, 2);
	assert_int_equal(strlen(sites[0].process_name), STATS_NAME_MAX - 1);
	free(sites);
	stats_destroy(stats);
}

static void *count_many(void *arg)
{
	struct access a = an_access(ACCESS_RMW, 0);

	for (unsigned i = 0; i < 20000; i++) {
		a.ip = 0x1000 + i % 100;
		a.range = i % 20;
		stats_count(arg, &a, OUTCOME_PASS);
	}
	return NULL;
}

static void threads_count_exactly(void **state)
{
	struct stats *stats = stats_create();
	struct stats_totals totals;
	struct stats_site *sites;
	pthread_t threads[4];
	uint64_t others;
	size_t count;

	(void)state;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, count_many, stats);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	stats_get_totals(stats, &totals);
	assert_int_equal(totals.accesses, 80000);
	stats_get_range(stats, 19, &totals);
	assert_int_equal(totals.accesses, 4000);
	sites = stats_get_sites(stats, &count, &others);
	assert_int_equal(count, 100);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(sites[i].count, 800);
	free(sites);
	stats_destroy(stats);
}

/* ---- printing ---- */

static void name_symbol(
	void *ctx, uint64_t process, uint64_t address, struct buf *out)
{
	(void)ctx;
	(void)process;
	buf_printf(out, "main+0x%x", (unsigned)(address & 0xff));
}

static void name_line(
	void *ctx, uint64_t process, uint64_t address, struct buf *out)
{
	(void)ctx;
	(void)process;
	if (address == 0x401010)
		buf_add_str(out, "count.c:7");
}

static void name_text(void *ctx, const uint8_t *bytes, uint8_t len,
	uint64_t ip, struct buf *out)
{
	(void)ctx;
	(void)bytes;
	(void)ip;
	buf_printf(out, "insn%u", len);
}

static const struct trace_names names = {
	.symbol = name_symbol,
	.line = name_line,
	.text = name_text,
};

static const struct keeper_ops asked_ops = { .name = "asked" };
static const struct keeper_ops told_ops = { .name = "told" };
static struct keeper asked_keeper = { .ops = &asked_ops, .asked = 11,
	.failed = 1, .ticks = 2200 };
static struct keeper told_keeper = { .ops = &told_ops, .asked = 10 };

struct run {
	struct stats *stats;
	struct range_set *ranges;
	struct stats_numbers numbers;
	struct buf out;
};

static struct run a_run(void)
{
	struct run run = {
		.stats = stats_create(),
		.ranges = range_set_create(),
		.numbers = {
			.page_mates = 3,
			.waits = 2,
			.checked = true,
			.missed_why = "kept bytes are as recorded",
		},
	};
	struct access a = an_access(ACCESS_RMW, 0x401010);

	range_set_add(run.ranges, "counter", fake_images, 2, &asked_keeper,
		VERDICT_PASS, NULL, NULL);
	range_set_add(run.ranges, "counter", fake_images, 2, &told_keeper,
		VERDICT_PASS, NULL, NULL);
	range_set_get(run.ranges, 0)->links[0].asked = 10;
	range_set_get(run.ranges, 0)->links[1].asked = 9;
	range_set_add(run.ranges, "counts", fake_images, 2, &asked_keeper,
		VERDICT_PASS, NULL, NULL);
	for (a.seq = 1; a.seq <= 10; a.seq++)
		stats_count(run.stats, &a, OUTCOME_PASS);
	a = an_access(ACCESS_IPC_SRC, 0x401020);
	a.seq = 11;
	a.range = 1;
	a.insn = NULL;
	stats_count(run.stats, &a, OUTCOME_DENY);
	return run;
}

static void end_run(struct run *run)
{
	stats_destroy(run->stats);
	range_set_destroy(run->ranges);
	buf_fini(&run->out);
}

static void the_summary_for_people(void **state)
{
	struct run run = a_run();

	(void)state;
	run.numbers.keeper_errors = 1;
	run.numbers.steps = 5;
	run.numbers.holds = 2;
	run.numbers.still_held = 1;
	run.numbers.seconds = 0.001;
	run.numbers.ns_per_tick = 0.5;
	run.numbers.traps[STATS_TRAP_USEFUL] = 11;
	run.numbers.trap_ticks[STATS_TRAP_USEFUL] = 44000;
	stats_print(run.stats, run.ranges, &names, &run.numbers,
		TRACE_SINK_TEXT, 1, &run.out);
	assert_string_equal(buf_str(&run.out),
		"accesses      11 (10 rmw, 1 ipc_src)\n"
		"outcomes      10 pass, 1 deny\n"
		"page-mates    3\n"
		"waited        2\n"
		"steps         5\n"
		"held          2, 1 never resumed\n"
		"keeper errors 1\n"
		"missed        0 (kept bytes are as recorded)\n"
		"ranges\n"
		"  counter: 10 (10 rmw)\n"
		"    asked: asked 10\n"
		"    told: asked 9\n"
		"  counts: 1 (1 ipc_src)\n"
		"keepers\n"
		"  asked: asked 11, failed 1; 100 ns each, 0.00 ms, "
		"0.1 % of the run\n"
		"  told: asked 10; 0 ns each, 0.00 ms, 0.0 % of the run\n"
		"traps\n"
		"  useful: 11; 2000 ns each, 0.02 ms, 2.2 % of the run\n"
		"  page_mate: 0; 0 ns each, 0.00 ms, 0.0 % of the run\n"
		"  spurious: 0; 0 ns each, 0.00 ms, 0.0 % of the run\n"
		"instructions  2 distinct\n"
		"    count     load    store      rmw    fetch     copy  "
		"first..last  where\n"
		"       10        .        .       10        .        .  "
		"1..10  count: 0x401010 main+0x10 (count.c:7)  insn3\n"
		"  and 1 more instructions\n");
	end_run(&run);
}

static void a_run_without_accesses_is_said_so(void **state)
{
	struct stats *stats = stats_create();
	struct stats_numbers numbers = { .missed_why = "no shadow" };
	struct buf out = BUF_INIT;

	(void)state;
	stats_print(stats, NULL, NULL, &numbers, TRACE_SINK_TEXT, 0, &out);
	assert_string_equal(buf_str(&out),
		"accesses      0\n"
		"outcomes      none\n"
		"page-mates    0\n"
		"waited        0\n"
		"missed        not checked (no shadow)\n");
	buf_fini(&out);
	stats_destroy(stats);
}

static void the_summary_for_programs(void **state)
{
	struct run run = a_run();

	(void)state;
	run.numbers.checked = false;
	stats_print(run.stats, run.ranges, &names, &run.numbers,
		TRACE_SINK_JSON, 1, &run.out);
	assert_string_equal(buf_str(&run.out),
		"{\"event\":\"summary\",\"accesses\":11,"
		"\"kinds\":{\"load\":0,\"store\":0,\"rmw\":10,\"fetch\":0,"
		"\"ipc_src\":1,\"ipc_dst\":0,\"syscall_load\":0,"
		"\"syscall_store\":0},"
		"\"outcomes\":{\"pass\":10,\"serve\":0,\"absorb\":0,"
		"\"deny\":1,\"step\":0,\"rollback\":0,\"stop\":0,"
		"\"unemulatable\":0,\"fault\":0},"
		"\"running\":false,\"seconds\":0.000000,"
		"\"page_mates\":3,\"waits\":2,\"steps\":0,\"holds\":0,"
		"\"still_held\":0,\"keeper_errors\":0,"
		"\"verified_bytes\":0,\"missed\":null,"
		"\"missed_why\":\"kept bytes are as recorded\","
		"\"ranges\":["
		"{\"range\":\"counter\",\"address\":\"0x404010\","
		"\"length\":8,\"accesses\":10,"
		"\"kinds\":{\"load\":0,\"store\":0,\"rmw\":10,\"fetch\":0,"
		"\"ipc_src\":0,\"ipc_dst\":0,\"syscall_load\":0,"
		"\"syscall_store\":0},"
		"\"outcomes\":{\"pass\":10,\"serve\":0,\"absorb\":0,"
		"\"deny\":0,\"step\":0,\"rollback\":0,\"stop\":0,"
		"\"unemulatable\":0,\"fault\":0},"
		"\"keepers\":[{\"keeper\":\"asked\",\"asked\":10,"
		"\"filtered\":0},{\"keeper\":\"told\",\"asked\":9,"
		"\"filtered\":0}]},"
		"{\"range\":\"counts\",\"address\":\"0x404020\","
		"\"length\":64,\"accesses\":1,"
		"\"kinds\":{\"load\":0,\"store\":0,\"rmw\":0,\"fetch\":0,"
		"\"ipc_src\":1,\"ipc_dst\":0,\"syscall_load\":0,"
		"\"syscall_store\":0},"
		"\"outcomes\":{\"pass\":0,\"serve\":0,\"absorb\":0,"
		"\"deny\":1,\"step\":0,\"rollback\":0,\"stop\":0,"
		"\"unemulatable\":0,\"fault\":0},"
		"\"keepers\":[{\"keeper\":\"asked\",\"asked\":0,"
		"\"filtered\":0}]}],"
		"\"keepers\":[{\"keeper\":\"asked\",\"asked\":11,"
		"\"failed\":1,\"ns\":null},{\"keeper\":\"told\","
		"\"asked\":10,\"failed\":0,\"ns\":null}],"
		"\"traps\":{\"useful\":{\"count\":0,\"ns\":null},"
		"\"page_mate\":{\"count\":0,\"ns\":null},"
		"\"spurious\":{\"count\":0,\"ns\":null}},"
		"\"instructions\":["
		"{\"process\":\"count\",\"pid\":1,\"ip\":\"0x401010\","
		"\"symbol\":\"main+0x10\",\"line\":\"count.c:7\","
		"\"insn\":\"48ff05\",\"text\":\"insn3\",\"count\":10,"
		"\"kinds\":{\"load\":0,\"store\":0,\"rmw\":10,\"fetch\":0,"
		"\"ipc_src\":0,\"ipc_dst\":0,\"syscall_load\":0,"
		"\"syscall_store\":0},\"first_seq\":1,\"last_seq\":10},"
		"{\"process\":\"count\",\"pid\":1,\"ip\":\"0x401020\","
		"\"symbol\":\"main+0x20\",\"line\":null,\"insn\":null,"
		"\"text\":null,\"count\":1,"
		"\"kinds\":{\"load\":0,\"store\":0,\"rmw\":0,\"fetch\":0,"
		"\"ipc_src\":1,\"ipc_dst\":0,\"syscall_load\":0,"
		"\"syscall_store\":0},\"first_seq\":11,\"last_seq\":11}],"
		"\"other_instructions\":0}\n");
	end_run(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(totals_are_by_kind_outcome_and_range),
		cmocka_unit_test(sites_are_by_process_name_and_address),
		cmocka_unit_test(many_sites_are_bounded_and_none_is_lost),
		cmocka_unit_test(threads_count_exactly),
		cmocka_unit_test(the_summary_for_people),
		cmocka_unit_test(a_run_without_accesses_is_said_so),
		cmocka_unit_test(the_summary_for_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
