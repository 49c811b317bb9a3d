/* SPDX-License-Identifier: MIT */
/* Plugins: what they are shown, what their answers become, which of them are
 * refused, and what is said when one crashes. */
#include "keeper/plugin.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <custos/decode.h>

#include "tests/support/tests.h"

struct seen {
	char text[512]; /* log and findings */
	uint64_t seq; /* resume */
	enum verdict_kind kind;
	size_t size;
};

static void on_log(void *ctx, const char *text, size_t len)
{
	struct seen *seen = ctx;

	strncat(seen->text, text, len);
}

static int on_resume(void *ctx, uint64_t seq, const struct verdict *verdict,
	const uint8_t *value, size_t size)
{
	struct seen *seen = ctx;

	(void)value;
	seen->seq = seq;
	seen->kind = verdict->kind;
	seen->size = size;
	return 0;
}

static struct seen seen;
static const struct plugin_host host = {
	.log = on_log,
	.resume = on_resume,
	.ctx = &seen,
};

static int open_one(const char *name, const char *argument,
	struct keeper **out, struct error *err)
{
	const char *build = getenv("CUSTOS_BUILD");
	char path[512];

	memset(&seen, 0, sizeof(seen));
	snprintf(path, sizeof(path), "%s/tests/plugins/%s.so",
		build ? build : "build", name);
	return plugin_open(path, argument, &host, out, err);
}

static struct keeper *open_good(const char *argument)
{
	struct keeper *keeper = NULL;
	struct error err = { 0 };
	int ret = open_one("tester", argument, &keeper, &err);

	if (ret)
		print_message("%s\n", err.text);
	assert_int_equal(ret, 0);
	return keeper;
}

static const uint8_t old_bytes[8] = { 1 }, new_bytes[8] = { 2 };

static struct access an_access(enum access_kind kind)
{
	return (struct access){
		.seq = 17,
		.kind = kind,
		.address = 0x403000,
		.size = 8,
		.range_name = "counter",
		.kept_count = 8,
		.old_bytes = old_bytes,
		.new_bytes = access_writes(kind) ? new_bytes : NULL,
		.process = 1,
		.process_name = "prog",
		.ip = 0x401000,
		.insn = (const uint8_t *)"\x90",
		.insn_len = 1,
	};
}

static enum keeper_status ask(struct keeper *keeper, struct verdict *verdict,
	struct error *err)
{
	const struct access access = an_access(ACCESS_STORE);
	static uint8_t value[8];

	memcpy(value, new_bytes, 8);
	verdict->value = value;
	return keeper_ask(keeper, &access, VERDICT_PASS, verdict, err);
}

static void a_plugin_says_what_it_keeps(void **state)
{
	struct keeper *keeper = open_good("counter+4+2");

	(void)state;
	assert_int_equal(plugin_range_count(keeper), 1);
	assert_string_equal(plugin_range(keeper, 0), "counter+4+2");
	assert_string_equal(keeper->ops->name, "tester");
	keeper_destroy(keeper);
}

static void its_answers_are_verdicts(void **state)
{
	static const struct {
		const char *argument;
		enum verdict_kind kind;
	} cases[] = {
		{ "x pass access", VERDICT_PASS },
		{ "x serve access", VERDICT_SERVE },
		{ "x absorb access", VERDICT_ABSORB },
		{ "x deny access", VERDICT_DENY },
		{ "x stop access", VERDICT_STOP },
		{ "x step access", VERDICT_STEP },
		{ "x hold access", VERDICT_HOLD },
		{ "x grant access", VERDICT_GRANT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct keeper *keeper = open_good(cases[i].argument);
		struct verdict verdict = { 0 };
		struct error err = { 0 };

		assert_int_equal(ask(keeper, &verdict, &err), KEEPER_OK);
		assert_int_equal(verdict.kind, cases[i].kind);
		if (verdict.kind == VERDICT_SERVE)
			assert_int_equal(verdict.value[3], 7);
		if (verdict.kind == VERDICT_HOLD)
			assert_int_equal(verdict.hold_ms, 20);
		if (verdict.kind == VERDICT_DENY) {
			assert_string_equal(verdict.reason, "tester says no");
			assert_int_equal(verdict.fault.vector,
				ARCH_VECTOR_PF);
			assert_int_equal(verdict.fault.address, 0x403000);
		}
		keeper_destroy(keeper);
	}
}

static void steps_are_shown(void **state)
{
	struct keeper *keeper = open_good("x rollback stepped");
	const struct access access = an_access(ACCESS_STORE);
	const struct step_report report = { .next_ip = 5, .times = 1 };
	struct verdict verdict = { 0 };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(keeper_ask_stepped(keeper, &access, &report,
				 VERDICT_PASS, &verdict, &err),
		KEEPER_OK);
	assert_int_equal(verdict.kind, VERDICT_ROLLBACK);
	keeper_tell(keeper, &access, OUTCOME_PASS, new_bytes);
	assert_int_equal(keeper_finish(keeper, &err), KEEPER_OK);
	assert_string_equal(
		seen.text, "tester: asked 0, stepped 1, told 1\n");
	keeper_destroy(keeper);
}

static void failures_are_errors(void **state)
{
	static const struct {
		const char *argument, *text;
	} cases[] = {
		{ "x fail access", "tester: as it was told (in callback access)" },
		{ "x fail-silent access", "tester: callback access returned 5" },
		{ "x odd access", "tester: it answered 77, which is no verdict" },
		{ "x rollback access", NULL },
	};

	(void)state;
	for (size_t i = 0; cases[i].text; i++) {
		struct keeper *keeper = open_good(cases[i].argument);
		struct verdict verdict = { 0 };
		struct error err = { 0 };

		assert_int_equal(ask(keeper, &verdict, &err), KEEPER_ERROR);
		assert_int_equal(verdict.kind, VERDICT_PASS);
		assert_string_equal(err.text, cases[i].text);
		keeper_destroy(keeper);
	}
}

static void it_can_end_what_is_held(void **state)
{
	struct keeper *keeper = open_good("x resume start");
	struct error err = { 0 };

	(void)state;
	if (keeper_start(keeper, &err))
		fail_msg("%s", err.text);
	assert_int_equal(seen.seq, 9);
	assert_int_equal(seen.kind, VERDICT_ABSORB);
	assert_int_equal(seen.size, 4);
	keeper_destroy(keeper);
}

static void wrong_plugins_are_refused(void **state)
{
	static const struct {
		const char *name, *argument;
		int code;
		const char *text;
	} cases[] = {
		{ "none", "", -ENOENT, "there is no plugin " },
		{ "wrong_symbol", "", -ENOEXEC, "no symbol custos_plugin" },
		{ "wrong_magic", "", -ENOEXEC, "begin with CUSTOS_PLUGIN_H" },
		{ "wrong_version", "", -ENOEXEC, "built for version 2" },
		{ "wrong_size", "", -ENOEXEC, "struct custos_access has 144" },
		{ "wrong_empty", "", -ENOEXEC, "neither access() nor told()" },
		{ "tester", "", -EINVAL, "tester: no range was given" },
		{ "tester", "x fail open", -EINVAL, "callback open" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct keeper *keeper = NULL;
		struct error err = { 0 };

		assert_int_equal(open_one(cases[i].name, cases[i].argument,
					 &keeper, &err),
			cases[i].code);
		if (!strstr(err.text, cases[i].text))
			fail_msg("%s: %s", cases[i].name, err.text);
	}
}

static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP,
	SIGABRT };

/* What a child says that does act() and its exit code. */
static int watch_child(
	void (*act)(const char *argument), const char *argument, char *text)
{
	int ends[2], status = 0;
	ssize_t n, len = 0;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (!pid) {
		dup2(ends[1], STDERR_FILENO);
		/* The test's own handlers are no part of it. */
		for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
			signal(fatal[i], SIG_DFL);
		act(argument);
		_exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], text + len, 2000 - len)) > 0)
		len += n;
	text[len] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void call_all(const char *argument)
{
	struct keeper *keeper = open_good(argument);
	const struct access access = an_access(ACCESS_STORE);
	const struct step_report report = { .times = 1 };
	struct verdict verdict = { 0 };
	struct error err = { 0 };

	keeper_start(keeper, &err);
	ask(keeper, &verdict, &err);
	keeper_ask_stepped(
		keeper, &access, &report, VERDICT_PASS, &verdict, &err);
	keeper_tell(keeper, &access, OUTCOME_PASS, new_bytes);
	keeper_finish(keeper, &err);
	keeper_destroy(keeper);
}

/* The executor's handlers were there first, and again later. */
static void call_among_executors(const char *argument)
{
	struct exec *before = exec_create(), *after;
	struct keeper *keeper = open_good("x");

	after = exec_create();
	call_all(argument);
	keeper_destroy(keeper);
	exec_destroy(before);
	exec_destroy(after);
}

static void crashes_are_told(void **state)
{
	static const struct {
		const char *argument, *why, *where;
	} cases[] = {
		{ "x segv open", "SIGSEGV", "in callback open" },
		{ "x segv start", "SIGSEGV, a bad address 0x8)",
			"in callback start, at 0x" },
		{ "x segv access", "SIGSEGV", "in callback access, at 0x" },
		{ "x segv access", "SIGSEGV", "access 17: store of 8 bytes at "
			"counter+0 by prog#1 at 0x401000\n" },
		{ "x fpe access", "SIGFPE", "access 17" },
		{ "x ill access", "SIGILL", "access 17" },
		{ "x abort access", "SIGABRT", "access 17" },
		{ "x stack access", "SIGSEGV", "access 17" },
		{ "x service access", "SIGSEGV",
			"in callback access, in custos's own log() that it" },
		{ "x segv stepped", "SIGSEGV", "in callback stepped" },
		{ "x fpe told", "SIGFPE", "in callback told" },
		{ "x segv finish", "SIGSEGV", "in callback finish" },
		{ "x segv close", "SIGSEGV", "in callback close" },
	};
	char text[2001];

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		const size_t n = i / 2;
		int status = watch_child(i % 2 ? call_among_executors : call_all,
			cases[n].argument, text);

		if (!strstr(text, "custos: plugin ") ||
			!strstr(text, "tests/plugins/tester.so crashed (") ||
			!strstr(text, cases[n].why) ||
			!strstr(text, cases[n].where) ||
			!WIFEXITED(status) ||
			WEXITSTATUS(status) != PLUGIN_CRASHED_CODE)
			fail_msg("%s: status %x, said: %s", cases[n].argument,
				status, text);
	}
}

static volatile int *volatile nowhere = (volatile int *)8;

static void crash_ourselves(const char *how)
{
	struct exec *exec = exec_create();
	struct keeper *keeper = open_good("x");

	exec_destroy(exec_create());
	if (!strcmp(how, "sent"))
		raise(SIGSEGV);
	else if (!strcmp(how, "abort"))
		abort();
	else
		*nowhere = 1;
	keeper_destroy(keeper);
	exec_destroy(exec);
}

static void our_own_crashes_are_not_blamed_on_plugins(void **state)
{
	static const char *const hows[] = { "segv", "sent", "abort" };
	char text[2001];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		int status = watch_child(crash_ourselves, hows[i], text);

		assert_null(strstr(text, "plugin"));
		/* A sanitizer ends it in its own way. */
		assert_true(status != 0);
		assert_false(WIFEXITED(status) &&
			WEXITSTATUS(status) == PLUGIN_CRASHED_CODE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plugin_says_what_it_keeps),
		cmocka_unit_test(its_answers_are_verdicts),
		cmocka_unit_test(steps_are_shown),
		cmocka_unit_test(failures_are_errors),
		cmocka_unit_test(it_can_end_what_is_held),
		cmocka_unit_test(wrong_plugins_are_refused),
		cmocka_unit_test(crashes_are_told),
		cmocka_unit_test(our_own_crashes_are_not_blamed_on_plugins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
