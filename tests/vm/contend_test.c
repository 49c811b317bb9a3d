/* SPDX-License-Identifier: MIT */
/*
 * Four CPUs, two pages, three addresses of each, and a keeper that answers at
 * random. What memory holds at the end is what the accesses told of add up to;
 * none is lost, told twice, or decided while another one of its page is.
 * (That waiters are served in the order they came is an invariant of the
 * page's lock, and the invariant is on.)
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/guest_run.h"
#include "tests/support/tests.h"

#define WORDS 2
#define ACCESSES_MAX 1000000
#define HELD_MAX 64
#define WORKERS 4
#define VICTIMS 20
#define IS_VICTIM(process) ((process) > 1 + WORKERS)

struct judge {
	struct keeper keeper;
	struct guest_run *run;
	/* Guarded by the lock of the word's page. */
	uint64_t model[WORDS];
	_Atomic unsigned owner[WORDS]; /* cpu + 1 that is deciding */
	/* How often an access was told, by its number and word. */
	_Atomic uint8_t told[ACCESSES_MAX + 1][WORDS];
	_Atomic uint8_t done[ACCESSES_MAX + 1]; /* and not rolled back */
	_Atomic uint64_t last_seq, rollbacks, performed;
	_Atomic uint64_t breaks, overlaps, resumed, denied;
	pthread_mutex_t mutex; /* guards the rest */
	uint64_t chance;
	uint64_t held[HELD_MAX];
	unsigned held_count;
};

static struct judge judge;

static uint64_t chance(uint64_t below)
{
	uint64_t v;

	pthread_mutex_lock(&judge.mutex);
	judge.chance = judge.chance * 6364136223846793005u + 1442695040888963407u;
	v = (judge.chance >> 33) % below;
	pthread_mutex_unlock(&judge.mutex);
	return v;
}

static enum verdict_kind any_answer(enum access_kind kind)
{
	static const enum verdict_kind answers[] = { VERDICT_PASS,
		VERDICT_PASS, VERDICT_PASS, VERDICT_SERVE, VERDICT_ABSORB,
		VERDICT_STEP, VERDICT_HOLD, VERDICT_GRANT };
	enum verdict_kind answer;

	do
		answer = answers[chance(8)];
	while (!verdict_answers_access(answer, kind));
	/* Rarer: it takes its time. */
	if (answer == VERDICT_HOLD && chance(4))
		answer = VERDICT_PASS;
	if (answer == VERDICT_GRANT && chance(64))
		answer = VERDICT_SERVE;
	return answer;
}

static void remember_held(uint64_t seq)
{
	pthread_mutex_lock(&judge.mutex);
	judge.held[judge.held_count++ % HELD_MAX] = seq;
	pthread_mutex_unlock(&judge.mutex);
}

/* What was held last goes on, somehow. */
static void resume_one(void)
{
	static const enum verdict_kind answers[] = { VERDICT_PASS,
		VERDICT_SERVE, VERDICT_ABSORB, VERDICT_STEP };
	struct verdict verdict = { .kind = answers[chance(4)] };
	uint64_t seq = 0;
	uint8_t value[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
	size_t size;

	pthread_mutex_lock(&judge.mutex);
	if (judge.held_count)
		seq = judge.held[--judge.held_count % HELD_MAX];
	pthread_mutex_unlock(&judge.mutex);
	if (!seq)
		return;
	size = session_held_size(judge.run->session, seq);
	if (size && size <= sizeof(value) &&
		!session_resume(judge.run->session, seq, &verdict, value, size))
		judge.resumed++;
}

/* This CPU lets go of its pages without having decided. */
static void disown(unsigned cpu)
{
	for (int i = 0; i < WORDS; i++)
		if (judge.owner[i] == cpu + 1)
			judge.owner[i] = 0;
}

static enum keeper_status on_access(struct keeper *keeper,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	unsigned word = access->range;

	(void)keeper;
	(void)err;
	judge.overlaps += judge.owner[word] &&
		judge.owner[word] != access->cpu + 1;
	judge.owner[word] = access->cpu + 1;
	resume_one();
	/* The first process only looks, at the end. */
	if (access->process == 1)
		return KEEPER_OK;
	verdict->kind = any_answer(access->kind);
	if (IS_VICTIM(access->process) && !chance(10))
		verdict->kind = VERDICT_DENY;
	verdict->grant = chance(2) ? GRANT_ALL : GRANT_PROCESS;
	verdict->grant_writes = chance(2);
	if (verdict->kind == VERDICT_SERVE)
		verdict->value[access->kept_first + chance(8)] ^= 0x5a;
	if (verdict->kind != VERDICT_HOLD)
		return KEEPER_OK;
	verdict->hold_ms = 1 + (uint32_t)chance(3);
	disown(access->cpu);
	remember_held(access->seq);
	return KEEPER_OK;
}

static enum keeper_status on_stepped(struct keeper *keeper,
	const struct access *access, const struct step_report *report,
	struct verdict *verdict, struct error *err)
{
	uint64_t old_word;

	(void)keeper;
	(void)err;
	if (report->count != 1 || report->pieces[0].size != 8) {
		judge.breaks++;
		return KEEPER_OK;
	}
	memcpy(&old_word, report->pieces[0].old_bytes, 8);
	judge.breaks += old_word != judge.model[access->range];
	verdict->kind = chance(4) ? VERDICT_CONTINUE : VERDICT_ROLLBACK;
	return KEEPER_OK;
}

static void on_told(struct keeper *keeper, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	unsigned word = access->range;
	uint64_t seq = access->seq, old_word, seen;

	(void)keeper;
	memcpy(&old_word, access->old_bytes + access->kept_first, 8);
	judge.breaks += old_word != judge.model[word];
	judge.overlaps += judge.owner[word] &&
		judge.owner[word] != access->cpu + 1;
	judge.owner[word] = 0;
	/* Here, because nobody may be asked any more. */
	if (!chance(64))
		session_revoke(judge.run->session,
			range_set_get(judge.run->ranges, word));
	if (seq && seq <= ACCESSES_MAX)
		judge.told[seq][word]++;
	for (seen = judge.last_seq; seen < seq;)
		if (atomic_compare_exchange_weak(&judge.last_seq, &seen, seq))
			break;
	if (outcome == OUTCOME_DENY || outcome == OUTCOME_FAULT) {
		/* Or the other half of what was denied. */
		judge.breaks += !IS_VICTIM(access->process) || final_bytes;
		judge.denied += outcome == OUTCOME_DENY;
		return;
	}
	if (outcome == OUTCOME_ROLLBACK) {
		judge.rollbacks++;
		return;
	}
	if (seq && seq <= ACCESSES_MAX && !IS_VICTIM(access->process))
		judge.done[seq] = 1;
	judge.breaks += !final_bytes;
	judge.performed++;
	if (final_bytes && access_writes(access->kind))
		memcpy(&judge.model[word], final_bytes + access->kept_first, 8);
}

static void on_destroy(struct keeper *keeper)
{
	(void)keeper;
}

static const struct keeper_ops judge_ops = {
	.name = "judge",
	.help = "answers at random, and keeps the books",
	.concurrent = true, /* pages are decided side by side */
	.access = on_access,
	.stepped = on_stepped,
	.told = on_told,
	.destroy = on_destroy,
};

/* Every number was given out, and told once for a word; and every access that
 * the program made has one. */
static void check_numbers(uint64_t accesses)
{
	uint64_t lost = 0, twice = 0, done = 0;

	assert_true(judge.last_seq <= ACCESSES_MAX);
	for (uint64_t seq = 1; seq <= judge.last_seq; seq++) {
		lost += !judge.told[seq][0] && !judge.told[seq][1];
		done += judge.done[seq];
		twice += judge.told[seq][0] > 1 || judge.told[seq][1] > 1;
	}
	assert_int_equal(lost, 0);
	assert_int_equal(twice, 0);
	assert_int_equal(done, accesses);
}

static void check_words(const struct guest_run *run)
{
	char want[64];

	snprintf(want, sizeof(want), "words %lx %lx\n",
		(unsigned long)judge.model[0], (unsigned long)judge.model[1]);
	assert_string_equal(run->console, want);
}

static void random_answers_keep_the_books(void **state)
{
	unsigned long each = test_scaled(25000, 300);
	char count[24];
	struct guest_run run = {
		.program = "contend",
		.args = { count, "die" },
		.keep = { "alias_a+0xff8+8", "alias_a+0x1000+8" },
		.keeper = &judge.keeper,
		.cpus = 4,
	};

	(void)state;
	if (!guest_run_possible())
		test_skip("no /dev/kvm");
	snprintf(count, sizeof(count), "%lu", each);
	judge.run = &run;
	pthread_mutex_init(&judge.mutex, NULL);
	assert_int_equal(keeper_init(&judge.keeper, &judge_ops), 0);
	guest_run(&run);
	keeper_fini(&judge.keeper);
	if (run.result.end != TARGET_EXITED || run.result.code)
		fail_msg("%d: %s%s", run.result.code, run.console, run.said);
	print_message("# %lu accesses, %lu stepped, %lu held (%lu resumed), "
		      "%lu rolled back, %lu waits\n",
		(unsigned long)judge.performed, (unsigned long)run.summary.steps,
		(unsigned long)run.summary.holds, (unsigned long)judge.resumed,
		(unsigned long)judge.rollbacks,
		(unsigned long)run.summary.waits);
	assert_true(run.summary.steps && run.summary.holds && judge.resumed &&
		judge.rollbacks && run.summary.waits);
	assert_int_equal(judge.breaks, 0);
	assert_int_equal(judge.overlaps, 0);
	assert_int_equal(judge.denied, VICTIMS);
	assert_int_equal(run.summary.missed, 0);
	assert_int_equal(run.summary.still_held, 0);
	check_numbers(WORKERS * each + 2);
	check_words(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_answers_keep_the_books),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
