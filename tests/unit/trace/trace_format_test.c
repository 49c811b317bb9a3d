/* SPDX-License-Identifier: MIT */
/*
 * Is docs/TRACE-FORMAT.md enough? tests/support/read_trace.py is a reader
 * written from it; here it must say of random traces what was written into
 * them, and find nothing in them that is not as the page has it.
 */
#include <custos/trace.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "tests/support/tests.h"
#include "tests/support/trace_random.h"

#define READER "tests/support/read_trace.py"

static char path[64];
static char *line;
static size_t line_room;

static int setup(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/custos-format-%d", (int)getpid());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	free(line);
	line = NULL;
	line_room = 0;
	return 0;
}

/* ---- what the reader must print ---- */

static void add_bytes(struct buf *out, const uint8_t *bytes, size_t size)
{
	if (!bytes)
		buf_add_char(out, '-');
	else if (!size)
		buf_add_str(out, "empty");
	else
		buf_add_hex(out, bytes, size);
	buf_add_char(out, '\t');
}

static void add_words(struct buf *out, const uint64_t *words, uint32_t count)
{
	if (!words || !count)
		buf_add_char(out, '-');
	for (uint32_t i = 0; words && i < count; i++)
		buf_printf(out, "%s%" PRIx64, i ? "," : "", words[i]);
	buf_add_char(out, '\t');
}

static void add_lanes(struct buf *out, const struct access *a)
{
	if (!a->lane_count)
		buf_add_char(out, '-');
	for (uint32_t i = 0; i < a->lane_count; i++)
		buf_printf(out, "%s0x%" PRIx64 "+%u@%u", i ? "," : "",
			a->lanes[i].address, a->lanes[i].size,
			a->lanes[i].offset);
	buf_add_char(out, '\t');
}

static void add_access(struct buf *out, const struct trace_record *r)
{
	const struct access *a = &r->access;

	buf_printf(out, "access\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
		"\t%u\t0x%" PRIx64 "\t", r->time_ns, a->seq, a->process,
		a->cpu, a->ip);
	if (a->insn)
		add_bytes(out, a->insn, a->insn_len);
	else
		buf_add_str(out, "empty\t");
	buf_printf(out, "%d\t%d\t%d\t0x%" PRIx64 "\t%u\t%u\t%" PRIu64
		"\t%u\t%u\t", a->kind, r->outcome, a->atomic, a->address,
		a->size, a->range, a->offset, a->kept_first, a->kept_count);
	add_bytes(out, a->old_bytes, a->size);
	add_bytes(out, a->new_bytes, a->size);
	add_bytes(out, r->final_bytes, a->size);
	add_lanes(out, a);
	add_words(out, r->regs, TRACE_REGS);
	add_words(out, r->stack, r->stack_count);
	buf_add_str(out, "main+0x1\tfile.c:1\tnop\n");
}

static void add_event(struct buf *out, const struct trace_record *r)
{
	static const char *const names[] = {
		[TRACE_PROCESS_START] = "process_start",
		[TRACE_PROCESS_EXIT] = "process_exit",
		[TRACE_BIND] = "bind",
		[TRACE_UNBIND] = "unbind",
		[TRACE_MARKER] = "marker",
		[TRACE_LOST] = "lost",
	};

	buf_printf(out, "%s\t%" PRIu64 "\t%" PRIu64, names[r->kind],
		r->time_ns, r->process);
	if (r->kind == TRACE_PROCESS_START)
		buf_printf(out, "\t%s\t%d", r->process_name, (int)r->program);
	if (r->kind == TRACE_BIND || r->kind == TRACE_UNBIND)
		buf_printf(out, "\t%u\t%" PRIu64 "\t%" PRIu64, r->range,
			r->offset, r->size);
	if (r->kind == TRACE_LOST)
		buf_printf(out, "\t%" PRIu64, r->count);
	if (r->kind == TRACE_PROCESS_EXIT)
		buf_printf(out, "\t%" PRId64, r->exit_code);
	if (r->kind == TRACE_MARKER || r->kind == TRACE_LOST)
		buf_printf(out, "\t%s", r->text);
	if (r->kind == TRACE_BIND) {
		buf_printf(out, "\t%" PRIu64 "\t", r->frame);
		add_bytes(out, r->bytes, r->size);
		out->len--; /* the tab behind it */
	}
	buf_add_char(out, '\n');
}

/* ---- reading ---- */

static FILE *start_reader(const char *options)
{
	char command[256];
	FILE *in;

	snprintf(command, sizeof(command), "python3 %s %s %s", READER,
		options, path);
	in = popen(command, "r");
	assert_non_null(in);
	return in;
}

/* It must have found nothing wrong. */
static void end_reader(FILE *in)
{
	int status = pclose(in);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void need_reader(void)
{
	int status = system("python3 " READER " /dev/null 2>/dev/null");

	/* 1: it runs, and /dev/null is no trace. */
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
		test_skip("no python3, libzstd or libxxhash");
}

static void next_line(FILE *in)
{
	assert_true(getline(&line, &line_room, in) > 0);
}

static void compare(uint64_t seed, unsigned count)
{
	struct trace_random random;
	struct buf want = BUF_INIT;
	FILE *in = start_reader("");

	trace_random_init(&random, seed);
	next_line(in);
	assert_int_equal(strncmp(line, "meta ", 5), 0);
	for (unsigned i = 0; i < count; i++) {
		const struct trace_record *r = trace_random_next(&random);

		buf_reset(&want);
		if (r->kind == TRACE_ACCESS)
			add_access(&want, r);
		else
			add_event(&want, r);
		next_line(in);
		assert_string_equal(line, buf_str(&want));
	}
	next_line(in);
	assert_int_equal(strncmp(line, "end\t", 4), 0);
	assert_int_equal(getline(&line, &line_room, in), -1);
	end_reader(in);
	buf_fini(&want);
}

static void the_page_is_enough_to_read_a_trace(void **state)
{
	(void)state;
	need_reader();
	for (uint64_t seed = 1; seed <= 8; seed++) {
		trace_random_write(path, seed, 600);
		compare(seed, 600);
	}
}

/* Many chunks, filters, and a checkpoint: the reader compares each with the
 * records. */
static void the_page_is_enough_to_check_a_trace(void **state)
{
	uint64_t words[2] = { 0, 0 };
	struct trace_record r = {
		.kind = TRACE_ACCESS,
		.access = { .process = 1, .size = 8, .kept_count = 8,
			.old_bytes = (uint8_t *)&words[0] },
	};
	struct trace_writer *writer;
	int filters, checkpoints;
	FILE *in;

	(void)state;
	need_reader();
	assert_int_equal(trace_writer_open(path, &trace_random_meta, NULL,
				 &writer, NULL),
		0);
	for (uint64_t i = 1; i <= 300000; i++) {
		bool store = i % 50 == 0;
		uint64_t offset = i * 7 % 512 * 8;

		words[1] = words[0] + i;
		r.access.seq = i;
		r.access.kind = store ? ACCESS_STORE : ACCESS_LOAD;
		r.access.offset = offset;
		r.access.address = 0x500000 + offset;
		r.access.new_bytes = store ? (uint8_t *)&words[1] : NULL;
		r.final_bytes = (uint8_t *)&words[store];
		assert_int_equal(trace_writer_add(writer, &r, NULL), 0);
	}
	assert_int_equal(trace_writer_close(writer, 0, NULL), 0);
	in = start_reader("--quiet");
	assert_int_equal(fscanf(in, "%d filters and %d checkpoints", &filters,
				 &checkpoints),
		2);
	assert_in_range(filters, 4, 1000);
	assert_in_range(checkpoints, 1, 1000);
	next_line(in);
	end_reader(in);
}

/* The checker itself: it must see what is wrong. */
static void a_changed_trace_is_refused(void **state)
{
	char command[256];
	long size, at;
	FILE *file;
	int byte;

	(void)state;
	need_reader();
	trace_random_write(path, 3, 200);
	snprintf(command, sizeof(command),
		"python3 " READER " --quiet %s >/dev/null 2>&1", path);
	file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	size = ftell(file);
	for (at = 5; at < size; at += size / 9) {
		assert_int_equal(fseek(file, at, SEEK_SET), 0);
		byte = fgetc(file);
		assert_int_equal(fseek(file, at, SEEK_SET), 0);
		fputc(byte ^ 4, file);
		fflush(file);
		assert_int_equal(WEXITSTATUS(system(command)), 1);
		assert_int_equal(fseek(file, at, SEEK_SET), 0);
		fputc(byte, file);
		fflush(file);
	}
	assert_int_equal(fclose(file), 0);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_is_enough_to_read_a_trace),
		cmocka_unit_test(the_page_is_enough_to_check_a_trace),
		cmocka_unit_test(a_changed_trace_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
