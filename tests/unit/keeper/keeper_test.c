/* SPDX-License-Identifier: MIT */
#include "keeper/keeper.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/tests.h"

struct fixed {
	struct keeper keeper;
	enum verdict_kind answer;
	enum keeper_status status;
	int inside, most_inside;
};

static enum keeper_status fixed_access(struct keeper *keeper,
	const struct access *access, struct verdict *verdict,
	struct error *err)
{
	struct fixed *fixed = (struct fixed *)keeper;
	int inside = __atomic_add_fetch(&fixed->inside, 1, __ATOMIC_SEQ_CST);

	(void)access;
	if (inside > fixed->most_inside)
		fixed->most_inside = inside;
	usleep(100);
	__atomic_sub_fetch(&fixed->inside, 1, __ATOMIC_SEQ_CST);
	verdict->kind = fixed->answer;
	strcpy(verdict->reason, "because");
	verdict->fault.vector = ARCH_VECTOR_GP;
	if (fixed->status)
		error_set(err, -1, "it broke");
	return fixed->status;
}

static enum keeper_status fixed_stepped(struct keeper *keeper,
	const struct access *access, const struct step_report *report,
	struct verdict *verdict, struct error *err)
{
	(void)report;
	return fixed_access(keeper, access, verdict, err);
}

static void fixed_destroy(struct keeper *keeper)
{
	free(keeper);
}

static const struct keeper_ops fixed_ops = {
	.name = "fixed",
	.access = fixed_access,
	.stepped = fixed_stepped,
	.destroy = fixed_destroy,
};

static struct fixed *fixed_create(enum verdict_kind answer)
{
	struct fixed *fixed = calloc(1, sizeof(*fixed));

	fixed->answer = answer;
	assert_int_equal(keeper_init(&fixed->keeper, &fixed_ops), 0);
	return fixed;
}

static void impossible_answers_become_the_fallback(void **state)
{
	/* One row per verdict, one letter per kind and then for stepped:
	 * y when it is an answer to that. */
	static const char *const table[VERDICT_KIND_MAX] = {
		[VERDICT_PASS] = "yyyyyyyyc",
		[VERDICT_SERVE] = "yyyyyyyyn",
		[VERDICT_ABSORB] = "nyynnynyn",
		[VERDICT_DENY] = "yyyyyyyyy",
		[VERDICT_STEP] = "yyyyyyyyy",
		[VERDICT_STOP] = "yyyyyyyyy",
		[VERDICT_HOLD] = "yyyynnnnn",
		[VERDICT_GRANT] = "yyyyyyyyn",
		[VERDICT_CONTINUE] = "nnnnnnnny",
		[VERDICT_ROLLBACK] = "nnnnnnnny",
	};
	struct fixed *fixed = fixed_create(VERDICT_PASS);
	struct step_report report = { 0 };

	(void)state;
	for (int answer = 0; answer < VERDICT_KIND_MAX; answer++)
		for (int kind = 0; kind <= ACCESS_KIND_MAX; kind++) {
			bool step = kind == ACCESS_KIND_MAX;
			char want = table[answer][kind];
			struct access access = { .kind = step ? 0 : kind };
			struct verdict v;
			struct error err = { 0 };
			enum keeper_status status;

			fixed->answer = (enum verdict_kind)answer;
			status = step ? keeper_ask_stepped(&fixed->keeper,
						&access, &report, VERDICT_DENY,
						&v, &err)
				      : keeper_ask(&fixed->keeper, &access,
						VERDICT_DENY, &v, &err);
			assert_int_equal(
				status, want == 'n' ? KEEPER_ERROR : KEEPER_OK);
			assert_int_equal(v.kind,
				want == 'y'		? answer
					: want == 'c' ? VERDICT_CONTINUE
						      : VERDICT_DENY);
			if (want == 'n')
				assert_non_null(strstr(err.text,
					verdict_name(
						(enum verdict_kind)answer)));
		}
	keeper_destroy(&fixed->keeper);
}

static void an_unknown_verdict_is_refused(void **state)
{
	struct fixed *fixed = fixed_create((enum verdict_kind)77);
	struct access access = { .kind = ACCESS_LOAD };
	struct verdict v;
	struct error err;

	(void)state;
	assert_int_equal(keeper_ask(&fixed->keeper, &access, VERDICT_PASS, &v,
				 &err),
		KEEPER_ERROR);
	assert_int_equal(v.kind, VERDICT_PASS);
	keeper_destroy(&fixed->keeper);
}

static void failure_gives_a_clean_fallback(void **state)
{
	struct fixed *fixed = fixed_create(VERDICT_STOP);
	struct access access = {
		.kind = ACCESS_STORE,
		.address = 0x1000,
		.kept_first = 3,
	};
	struct step_report report = { 0 };
	struct verdict v;
	struct error err;

	(void)state;
	fixed->status = KEEPER_TIMEOUT;
	assert_int_equal(keeper_ask(&fixed->keeper, &access, VERDICT_DENY, &v,
				 &err),
		KEEPER_TIMEOUT);
	assert_string_equal(err.text, "it broke");
	assert_int_equal(v.kind, VERDICT_DENY);
	assert_string_equal(v.reason, "");
	assert_int_equal(v.fault.vector, ARCH_VECTOR_PF);
	assert_int_equal(v.fault.error_code,
		ARCH_PF_PRESENT | ARCH_PF_USER | ARCH_PF_WRITE | ARCH_PF_RSVD);
	assert_int_equal(v.fault.address, 0x1003);
	keeper_ask_stepped(&fixed->keeper, &access, &report, VERDICT_PASS, &v,
		&err);
	assert_int_equal(v.kind, VERDICT_CONTINUE);
	assert_int_equal(fixed->keeper.asked, 2);
	assert_int_equal(fixed->keeper.failed, 2);
	keeper_destroy(&fixed->keeper);
}

static void *ask_often(void *arg)
{
	struct access access = { .kind = ACCESS_LOAD };
	struct verdict v;
	struct error err;

	for (int i = 0; i < 50; i++)
		keeper_ask(arg, &access, VERDICT_PASS, &v, &err);
	return NULL;
}

static void one_is_asked_at_a_time(void **state)
{
	struct fixed *fixed = fixed_create(VERDICT_PASS);
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, ask_often, &fixed->keeper);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(fixed->most_inside, 1);
	assert_int_equal(fixed->keeper.asked, 200);
	keeper_destroy(&fixed->keeper);
}

static void the_pass_keeper_passes(void **state)
{
	struct keeper *keeper = keeper_pass_create();
	struct access access = { .kind = ACCESS_RMW };
	struct step_report report = { 0 };
	struct verdict v;
	struct error err;

	(void)state;
	assert_int_equal(keeper_start(keeper, &err), KEEPER_OK);
	assert_int_equal(keeper_ask(keeper, &access, VERDICT_DENY, &v, &err),
		KEEPER_OK);
	assert_int_equal(v.kind, VERDICT_PASS);
	assert_int_equal(keeper_ask_stepped(keeper, &access, &report,
				 VERDICT_DENY, &v, &err),
		KEEPER_OK);
	assert_int_equal(v.kind, VERDICT_CONTINUE);
	assert_int_equal(keeper_finish(keeper, &err), KEEPER_OK);
	assert_int_equal(keeper->asked, 2);
	keeper_destroy(keeper);
	keeper_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(impossible_answers_become_the_fallback),
		cmocka_unit_test(an_unknown_verdict_is_refused),
		cmocka_unit_test(failure_gives_a_clean_fallback),
		cmocka_unit_test(one_is_asked_at_a_time),
		cmocka_unit_test(the_pass_keeper_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
