/* SPDX-License-Identifier: MIT */
/*
 * What a question needs does not grow with the trace: the same is asked of a
 * short trace and of a long one, each in a process of its own, whose memory the
 * kernel measured.
 */
#include <custos/trace.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/tests.h"

#define SHORT 100000
#define LONG 700000
#define RING 0x10000
#define BASE UINT64_C(0x500000)
#define ROOM 2048 /* KiB: the table of chunks, and what malloc keeps */
#define PLOT 49152 /* KiB: its table of places, which is of bounded size */

static char paths[2][64], scratch[64];

static const struct trace_program program = { .name = "a.elf",
	.path = "/nowhere/a.elf", .hash = 1 };
static const struct trace_range range = { .name = "ring", .address = BASE,
	.length = RING };
static const struct trace_meta meta = {
	.command = "custos run a.elf",
	.kvm = "svm",
	.cpus = 2,
	.started_ns = 1,
	.programs = &program,
	.program_count = 1,
	.ranges = &range,
	.range_count = 1,
};

static void add(struct trace_writer *writer, const struct trace_record *r)
{
	assert_int_equal(trace_writer_add(writer, r, NULL), 0);
}

static void add_processes(struct trace_writer *writer)
{
	static const uint8_t zeros[4096];

	for (uint64_t process = 1; process <= 2; process++) {
		struct trace_record r = { .kind = TRACE_PROCESS_START,
			.process = process, .process_name = "a.elf" };

		add(writer, &r);
		r.kind = TRACE_BIND;
		r.bytes = zeros;
		r.size = sizeof(zeros);
		for (r.offset = 0; r.offset < RING; r.offset += r.size) {
			r.frame = 1 + r.offset / r.size;
			add(writer, &r);
		}
	}
}

/* Two processes go round a ring, not quite evenly. */
static void write_trace(const char *path, uint64_t accesses)
{
	uint64_t random = 1, old = 0, value = 0;
	struct trace_writer *writer;
	struct trace_record r = { .kind = TRACE_ACCESS,
		.access = { .size = 8, .kept_count = 8,
			.old_bytes = (uint8_t *)&old } };

	assert_int_equal(
		trace_writer_open(path, &meta, NULL, &writer, NULL), 0);
	add_processes(writer);
	for (uint64_t i = 1; i <= accesses; i++) {
		bool store;

		random = random * UINT64_C(6364136223846793005) + 1;
		store = random >> 60 < 5;
		value = random >> 40;
		r.time_ns = i * 100;
		r.access.seq = i;
		r.access.kind = store ? ACCESS_STORE : ACCESS_LOAD;
		r.access.process = 1 + (random >> 50) % 2;
		r.access.ip = 0x401000 + (random >> 33) % 60 * 4;
		r.access.offset = (i * 8 + (random >> 58)) % (RING - 8);
		r.access.address = BASE + r.access.offset;
		r.access.new_bytes = store ? (uint8_t *)&value : NULL;
		r.final_bytes = (uint8_t *)(store ? &value : &old);
		add(writer, &r);
	}
	assert_int_equal(trace_writer_close(writer, 0, NULL), 0);
}

static int setup(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		snprintf(paths[i], sizeof(paths[i]), "/tmp/custos-use-%d.%d",
			(int)getpid(), i);
		write_trace(paths[i], i ? LONG : SHORT);
	}
	snprintf(scratch, sizeof(scratch), "/tmp/custos-use-%d.out",
		(int)getpid());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(paths[0]);
	unlink(paths[1]);
	unlink(scratch);
	return 0;
}

/* KiB at most while custos trace answered; %t in words is the trace, %s a file
 * to be written. */
static long use(const char *custos, const char *words, const char *trace)
{
	char line[256], *argv[32], *rest = line;
	int argc = 2, status;
	struct rusage usage;
	pid_t child;

	snprintf(line, sizeof(line), "%s", words);
	argv[0] = (char *)(uintptr_t)custos;
	argv[1] = "trace";
	while ((argv[argc] = strsep(&rest, " ")) != NULL) {
		if (!strcmp(argv[argc], "%t"))
			argv[argc] = (char *)(uintptr_t)trace;
		else if (!strcmp(argv[argc], "%s"))
			argv[argc] = scratch;
		argc++;
	}
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		int nowhere = open("/dev/null", O_WRONLY);

		dup2(nowhere, STDOUT_FILENO);
		execv(custos, argv);
		_exit(127);
	}
	assert_int_equal(wait4(child, &status, 0, &usage), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	return usage.ru_maxrss;
}

static void memory_does_not_grow_with_the_trace(void **state)
{
	static const char *const questions[] = {
		"info %t",
		"check %t",
		"print --when store %t",
		"who ring+64+64 %t",
		"who ring+64+64 --at 90000 %t",
		"memory ring+0+4096 --at 90000 %t",
		"history ring+800+8 %t",
		"origin ring+800+8 %t",
		"report %t",
		"plot --svg %t",
		"plot --html %t",
		"diff %t %t",
		"cut --from 1000 %t %s",
		"export lackey %t",
		"export chrome %t",
	};
	const char *custos = getenv("CUSTOS");

	(void)state;
	if (!custos)
		test_skip("CUSTOS does not say which custos");
#ifdef __SANITIZE_ADDRESS__
	test_skip("the address sanitizer keeps what was freed");
#endif
	for (size_t i = 0; i < sizeof(questions) / sizeof(*questions); i++) {
		long few = use(custos, questions[i], paths[0]);
		long many = use(custos, questions[i], paths[1]);
		long room = strncmp(questions[i], "plot", 4) ? ROOM : PLOT;

		print_message("# %s: %ld and %ld KiB\n", questions[i], few,
			many);
		if (many > few + room)
			fail_msg("%s: %ld KiB for %d accesses, %ld KiB for %d",
				questions[i], few, SHORT, many, LONG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_does_not_grow_with_the_trace),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
