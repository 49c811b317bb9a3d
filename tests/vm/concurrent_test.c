/* SPDX-License-Identifier: MIT */
/*
 * Two virtual CPUs that increment one kept word at the same time: nothing is
 * lost, nothing is told twice, and nobody decides while another does.
 */
#include <stdio.h>
#include <string.h>

#include "tests/support/tests.h"
#include "tests/support/guest_run.h"

/* Every rmw must begin with what the one before left. */
struct chain {
	struct keeper keeper;
	bool step;
	bool stepping; /* between access() and stepped() */
	uint64_t last, count, steps;
	uint64_t breaks; /* an old value that was not the last new one */
	uint64_t overlaps; /* an access() while somebody stepped */
};

static uint64_t integer(const uint8_t *bytes)
{
	uint64_t v;

	memcpy(&v, bytes, sizeof(v));
	return v;
}

static void link_up(struct chain *chain, const uint8_t *old_bytes,
	const uint8_t *new_bytes)
{
	chain->breaks += integer(old_bytes) != chain->last;
	chain->last = integer(new_bytes);
	chain->count++;
}

static enum keeper_status on_access(struct keeper *keeper,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct chain *chain = (struct chain *)keeper;

	(void)err;
	chain->overlaps += chain->stepping;
	if (access->kind != ACCESS_RMW)
		return KEEPER_OK;
	if (chain->step) {
		verdict->kind = VERDICT_STEP;
		chain->stepping = true;
	} else {
		link_up(chain, access->old_bytes, access->new_bytes);
	}
	return KEEPER_OK;
}

static enum keeper_status on_stepped(struct keeper *keeper,
	const struct access *access, const struct step_report *report,
	struct verdict *verdict, struct error *err)
{
	struct chain *chain = (struct chain *)keeper;

	(void)access;
	(void)err;
	chain->stepping = false;
	chain->steps++;
	if (report->count == 1)
		link_up(chain, report->pieces[0].old_bytes,
			report->pieces[0].new_bytes);
	verdict->kind = VERDICT_CONTINUE;
	return KEEPER_OK;
}

static void on_destroy(struct keeper *keeper)
{
	(void)keeper;
}

static const struct keeper_ops chain_ops = {
	.name = "chain",
	.help = "looks whether each value follows from the last",
	.access = on_access,
	.stepped = on_stepped,
	.destroy = on_destroy,
};

static void count_on_two_cpus(struct chain *chain, unsigned long n)
{
	char text[24];
	struct guest_run run = {
		.program = "shared_counter",
		.args = { text, "lock" },
		.keep = { "shared+0+8" },
		.keeper = &chain->keeper,
		.cpus = 2,
	};

	assert_int_equal(keeper_init(&chain->keeper, &chain_ops), 0);
	snprintf(text, sizeof(text), "%lu", n);
	guest_run(&run);
	keeper_fini(&chain->keeper);
	if (run.result.end != TARGET_EXITED || run.result.code)
		fail_msg("%s%s", run.console, run.said);
	assert_int_equal(run.summary.by_kind[ACCESS_RMW], 2 * n);
	assert_int_equal(run.summary.missed, 0);
	assert_int_equal(chain->count, 2 * n);
	assert_int_equal(chain->last, 2 * n);
	assert_int_equal(chain->breaks, 0);
	assert_int_equal(chain->overlaps, 0);
}

static void locked_increments_are_exact(void **state)
{
	struct chain chain = { .step = false };

	(void)state;
	if (!guest_run_possible())
		test_skip("no /dev/kvm");
	count_on_two_cpus(&chain, test_scaled(100000, 2000));
}

static void no_two_steps_overlap(void **state)
{
	struct chain chain = { .step = true };
	unsigned long n = test_scaled(30000, 1000);

	(void)state;
	if (!guest_run_possible())
		test_skip("no /dev/kvm");
	count_on_two_cpus(&chain, n);
	assert_int_equal(chain.steps, 2 * n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(locked_increments_are_exact),
		cmocka_unit_test(no_two_steps_overlap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
