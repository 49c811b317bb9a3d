/* SPDX-License-Identifier: MIT */
#include "trace/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/tests.h"

struct counts {
	unsigned symbol, line, text;
};

static void name_symbol(
	void *ctx, uint64_t process, uint64_t address, struct buf *out)
{
	struct counts *counts = ctx;

	counts->symbol++;
	if (process && address < 0x500000)
		buf_printf(out, "main+0x%x", (unsigned)(address & 0xff));
	else
		buf_printf(out, "0x%llx", (unsigned long long)address);
}

static void name_line(
	void *ctx, uint64_t process, uint64_t address, struct buf *out)
{
	struct counts *counts = ctx;

	counts->line++;
	if (process && address < 0x500000)
		buf_add_str(out, "count.c:12");
}

static void name_text(void *ctx, const uint8_t *insn, uint8_t len, uint64_t ip,
	struct buf *out)
{
	struct counts *counts = ctx;

	(void)ip;
	counts->text++;
	buf_printf(out, "insn%u %02x", len, insn[0]);
}

static struct counts counts;
static const struct trace_names names = {
	.ctx = &counts,
	.symbol = name_symbol,
	.line = name_line,
	.text = name_text,
};

static const uint8_t five[8] = { 5 }, six[8] = { 6 }, nine[8] = { 9 };
static const uint8_t insn[] = { 0x48, 0x89, 0x05 };

static struct access a_store(void)
{
	return (struct access){
		.seq = 1,
		.kind = ACCESS_STORE,
		.address = 0x404010,
		.size = 8,
		.range_name = "counter",
		.kept_count = 8,
		.old_bytes = five,
		.new_bytes = six,
		.process = 1,
		.process_name = "count",
		.ip = 0x401126,
		.insn = insn,
		.insn_len = sizeof(insn),
	};
}

static char *slurp(const char *path)
{
	char *text = calloc(1, 1 << 20);
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, (1 << 20) - 1);

	assert_true(n >= 0);
	close(fd);
	return text;
}

struct fixture {
	char path[64];
	struct trace_sink *sink;
};

static void start(struct fixture *f, enum trace_sink_format format)
{
	struct error err = { 0 };
	int fd;

	strcpy(f->path, "/tmp/custos-sink-XXXXXX");
	fd = mkstemp(f->path);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(
		trace_sink_open(f->path, -1, format, &names, &f->sink, &err),
		0);
}

static void expect(struct fixture *f, const char *want)
{
	struct error err = { 0 };
	char *text;

	assert_int_equal(trace_sink_close(f->sink, &err), 0);
	text = slurp(f->path);
	unlink(f->path);
	assert_string_equal(text, want);
	free(text);
}

static void text_lines_are_aligned_and_tell_the_outcome(void **state)
{
	static const uint8_t wide[16] = { 1, 2, 3 };
	struct access a = a_store();
	struct fixture f;

	(void)state;
	start(&f, TRACE_SINK_TEXT);
	trace_sink_write(f.sink, &a, OUTCOME_PASS, six);
	trace_sink_write(f.sink, &a, OUTCOME_SERVE, nine);
	a.kind = ACCESS_RMW;
	a.atomic = true;
	a.offset = 0x10;
	trace_sink_write(f.sink, &a, OUTCOME_ABSORB, five);
	a = a_store();
	a.kind = ACCESS_LOAD;
	a.new_bytes = NULL;
	a.range_name = "0x404000..0x404014";
	a.offset = 0x10;
	a.kept_count = 4;
	trace_sink_write(f.sink, &a, OUTCOME_PASS, five);
	trace_sink_write(f.sink, &a, OUTCOME_SERVE, six);
	trace_sink_write(f.sink, &a, OUTCOME_DENY, NULL);
	a.process = 0;
	a.process_name = "kernel";
	a.ip = 0xffffffff80001234;
	a.insn = NULL;
	a.size = a.kept_count = 16;
	a.old_bytes = wide;
	a.seq = 12345678;
	trace_sink_write(f.sink, &a, OUTCOME_PASS, wide);
	expect(&f,
		"      1 [count#1:cpu0]       store      counter+0 8         "
		"0x5 -> 0x6                 "
		"0x401126 main+0x26 (count.c:12)  insn3 48\n"
		"      1 [count#1:cpu0]       store      counter+0 8         "
		"0x5 -> 0x6 => 0x9 serve    "
		"0x401126 main+0x26 (count.c:12)  insn3 48\n"
		"      1 [count#1:cpu0]       atomic rmw counter+0x10 8      "
		"0x5 -> 0x6 absorb          "
		"0x401126 main+0x26 (count.c:12)  insn3 48\n"
		"      1 [count#1:cpu0]       load       "
		"[0x404000..0x404014]+0x10 4 of 8 0x5           "
		"0x401126 main+0x26 (count.c:12)  insn3 48\n"
		"      1 [count#1:cpu0]       load       "
		"[0x404000..0x404014]+0x10 4 of 8 0x5 => 0x6 serve "
		"0x401126 main+0x26 (count.c:12)  insn3 48\n"
		"      1 [count#1:cpu0]       load       "
		"[0x404000..0x404014]+0x10 4 of 8 0x5 deny      "
		"0x401126 main+0x26 (count.c:12)  insn3 48\n"
		"12345678 [kernel:cpu0]       load       "
		"[0x404000..0x404014]+0x10 16 "
		"01020300000000000000000000000000 "
		"0xffffffff80001234\n");
}

static void json_has_every_key_on_every_line(void **state)
{
	static const struct access_lane lanes[] = {
		{ 0x404010, 4, 0 },
		{ 0x404020, 4, 4 },
	};
	struct access a = a_store();
	struct fixture f;

	(void)state;
	start(&f, TRACE_SINK_JSON);
	trace_sink_write(f.sink, &a, OUTCOME_PASS, six);
	a.kind = ACCESS_LOAD;
	a.new_bytes = NULL;
	a.lanes = lanes;
	a.lane_count = 2;
	a.process_name = "a\"b";
	a.process = 0;
	a.insn = NULL;
	trace_sink_write(f.sink, &a, OUTCOME_DENY, NULL);
	trace_sink_note(f.sink, "process_start", "x\n");
	expect(&f,
		"{\"event\":\"access\",\"seq\":1,\"kind\":\"store\","
		"\"atomic\":false,\"address\":\"0x404010\",\"size\":8,"
		"\"range\":\"counter\",\"offset\":0,\"kept_first\":0,"
		"\"kept_count\":8,\"field\":null,\"old\":\"0x5\",\"new\":\"0x6\","
		"\"final\":\"0x6\",\"outcome\":\"pass\","
		"\"process\":\"count\",\"pid\":1,\"cpu\":0,"
		"\"ip\":\"0x401126\",\"symbol\":\"main+0x26\","
		"\"line\":\"count.c:12\",\"inlined\":null,"
		"\"insn\":\"488905\","
		"\"text\":\"insn3 48\",\"lanes\":null}\n"
		"{\"event\":\"access\",\"seq\":1,\"kind\":\"load\","
		"\"atomic\":false,\"address\":\"0x404010\",\"size\":8,"
		"\"range\":\"counter\",\"offset\":0,\"kept_first\":0,"
		"\"kept_count\":8,\"field\":null,\"old\":\"0x5\",\"new\":null,"
		"\"final\":null,\"outcome\":\"deny\","
		"\"process\":\"a\\\"b\",\"pid\":0,\"cpu\":0,"
		"\"ip\":\"0x401126\",\"symbol\":\"0x401126\","
		"\"line\":null,\"inlined\":null,\"insn\":null,\"text\":null,"
		"\"lanes\":[{\"address\":\"0x404010\",\"size\":4,\"at\":0},"
		"{\"address\":\"0x404020\",\"size\":4,\"at\":4}]}\n"
		"{\"event\":\"process_start\",\"text\":\"x\\u000a\"}\n");
}

static void an_instruction_is_named_once_until_it_changes(void **state)
{
	static const uint8_t other[] = { 0x90 };
	struct access a = a_store();
	struct fixture f;

	(void)state;
	counts = (struct counts){ 0 };
	start(&f, TRACE_SINK_TEXT);
	for (int i = 0; i < 100; i++)
		trace_sink_write(f.sink, &a, OUTCOME_PASS, six);
	assert_int_equal(counts.symbol, 1);
	assert_int_equal(counts.text, 1);
	a.insn = other;
	a.insn_len = 1;
	trace_sink_write(f.sink, &a, OUTCOME_PASS, six);
	assert_int_equal(counts.text, 2);
	a.process = 2;
	trace_sink_write(f.sink, &a, OUTCOME_PASS, six);
	assert_int_equal(counts.text, 3);
	trace_sink_close(f.sink, NULL);
	unlink(f.path);
}

static void the_cache_of_instructions_is_bounded(void **state)
{
	struct access a = a_store();
	struct fixture f;

	(void)state;
	counts = (struct counts){ 0 };
	start(&f, TRACE_SINK_TEXT);
	for (unsigned i = 0; i < 20000; i++) {
		a.ip = 0x400000 + i;
		trace_sink_write(f.sink, &a, OUTCOME_PASS, six);
	}
	assert_int_equal(counts.symbol, 20000);
	trace_sink_close(f.sink, NULL);
	unlink(f.path);
}

static void control_bytes_cannot_reach_a_terminal(void **state)
{
	struct access a = a_store();
	struct buf out = BUF_INIT;
	struct fixture f;

	(void)state;
	a.process_name = "\x1b[2J\xc3\xa9\xc2\x9b";
	trace_access_text(&a, OUTCOME_PASS, NULL, NULL, &out);
	assert_non_null(strstr(buf_str(&out),
		"[\\x1b[2J\xc3\xa9\\xc2\x9b#1:cpu0]"));
	buf_fini(&out);
	start(&f, TRACE_SINK_TEXT);
	trace_sink_note(f.sink, "script", "a\x07\nb");
	expect(&f, "-- script: a\\x07\n-- script: b\n");
}

static void a_full_disk_is_told_with_the_lines_lost(void **state)
{
	struct access a = a_store();
	struct trace_sink *sink;
	struct error err = { 0 };
	int rc;

	(void)state;
	assert_int_equal(trace_sink_open("/dev/full", -1, TRACE_SINK_TEXT,
				 &names, &sink, &err),
		0);
	assert_int_equal(trace_sink_write(sink, &a, OUTCOME_PASS, six), 0);
	assert_int_equal(trace_sink_flush(sink), -ENOSPC);
	rc = trace_sink_write(sink, &a, OUTCOME_PASS, six);
	assert_int_equal(rc, -ENOSPC);
	assert_int_equal(trace_sink_note(sink, "x", "y"), -ENOSPC);
	assert_int_equal(trace_sink_close(sink, &err), -ENOSPC);
	assert_string_equal(err.text, "cannot write /dev/full: No space left "
				      "on device; 3 lines lost");
}

static void a_closed_pipe_is_an_error_not_a_signal(void **state)
{
	struct access a = a_store();
	struct trace_sink *sink;
	struct error err = { 0 };
	int fds[2];

	(void)state;
	signal(SIGPIPE, SIG_DFL);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(trace_sink_open(NULL, fds[1], TRACE_SINK_JSON, &names,
				 &sink, &err),
		0);
	close(fds[0]);
	trace_sink_write(sink, &a, OUTCOME_PASS, six);
	assert_int_equal(trace_sink_close(sink, &err), -EPIPE);
	assert_non_null(strstr(err.text, "the output: Broken pipe; 1 line "));
	close(fds[1]);
}

static void lines_of_others_keep_their_place(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, TRACE_SINK_TEXT);
	trace_sink_lines(f.sink, "one\ntwo\n", 8);
	trace_sink_note(f.sink, "x", "three");
	trace_sink_lines(f.sink, "four\n", 5);
	trace_sink_flush(f.sink);
	expect(&f, "one\ntwo\n-- x: three\nfour\n");
}

static void a_file_that_cannot_be_written_is_refused(void **state)
{
	struct trace_sink *sink = NULL;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(trace_sink_open("/nonexistent/x", -1, TRACE_SINK_TEXT,
				 &names, &sink, &err),
		-ENOENT);
	assert_non_null(strstr(err.text, "cannot write /nonexistent/x: No"));
	assert_null(sink);
}

static void lines_come_out_while_the_program_waits(void **state)
{
	struct access a = a_store();
	struct trace_sink *sink;
	struct timespec from, to;
	char text[512];
	int fds[2];
	long ms;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(trace_sink_open(NULL, fds[1], TRACE_SINK_TEXT, &names,
				 &sink, NULL),
		0);
	clock_gettime(CLOCK_MONOTONIC, &from);
	trace_sink_write(sink, &a, OUTCOME_PASS, six);
	assert_true(read(fds[0], text, sizeof(text)) > 0);
	clock_gettime(CLOCK_MONOTONIC, &to);
	ms = (to.tv_sec - from.tv_sec) * 1000 +
		(to.tv_nsec - from.tv_nsec) / 1000000;
	assert_in_range(ms, 50, 5000);
	assert_int_equal(trace_sink_close(sink, NULL), 0);
	close(fds[0]);
	close(fds[1]);
}

static void *write_many(void *arg)
{
	struct access a = a_store();

	for (unsigned i = 0; i < 2000; i++)
		trace_sink_write(arg, &a, OUTCOME_PASS, six);
	return NULL;
}

static void threads_do_not_tear_lines(void **state)
{
	pthread_t threads[4];
	struct fixture f;
	char *text, *save, *line;
	unsigned lines = 0;
	size_t len;

	(void)state;
	start(&f, TRACE_SINK_TEXT);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, write_many, f.sink);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(trace_sink_close(f.sink, NULL), 0);
	text = slurp(f.path);
	unlink(f.path);
	len = strcspn(text, "\n");
	for (line = strtok_r(text, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save), lines++)
		assert_int_equal(strlen(line), len);
	/* slurp() reads the first MiB. */
	assert_in_range(lines, 7000, 8000);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_lines_are_aligned_and_tell_the_outcome),
		cmocka_unit_test(json_has_every_key_on_every_line),
		cmocka_unit_test(an_instruction_is_named_once_until_it_changes),
		cmocka_unit_test(the_cache_of_instructions_is_bounded),
		cmocka_unit_test(control_bytes_cannot_reach_a_terminal),
		cmocka_unit_test(a_full_disk_is_told_with_the_lines_lost),
		cmocka_unit_test(a_closed_pipe_is_an_error_not_a_signal),
		cmocka_unit_test(lines_of_others_keep_their_place),
		cmocka_unit_test(a_file_that_cannot_be_written_is_refused),
		cmocka_unit_test(lines_come_out_while_the_program_waits),
		cmocka_unit_test(threads_do_not_tear_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
