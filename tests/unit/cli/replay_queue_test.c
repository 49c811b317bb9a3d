/* SPDX-License-Identifier: MIT */
/* What comes next in a trace, for whoever repeats the run. */
#include <custos/trace.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/replay_queue.h"
#include "tests/support/tests.h"

static char path[64];
static struct trace_writer *writer;
static struct trace_reader *reader;
static struct replay_queue *queue;
static uint64_t seq;

static int setup(void **state)
{
	static const struct trace_meta meta = { .command = "",
		.kvm = "",
		.cpus = 2 };

	(void)state;
	seq = 0;
	snprintf(path, sizeof(path), "/tmp/custos-queue-%d", (int)getpid());
	return trace_writer_open(path, &meta, NULL, &writer, NULL);
}

static int teardown(void **state)
{
	(void)state;
	replay_queue_destroy(queue);
	trace_reader_close(reader);
	return unlink(path);
}

static void add_access(uint8_t value)
{
	const uint8_t bytes[8] = { value };
	const struct trace_record r = {
		.kind = TRACE_ACCESS,
		.access = {
			.seq = ++seq,
			.kind = ACCESS_LOAD,
			.address = 0x1000,
			.size = 8,
			.kept_count = 8,
			.old_bytes = bytes,
			.process = 1,
			.ip = 0x400000,
		},
		.final_bytes = bytes,
	};

	assert_int_equal(trace_writer_add(writer, &r, NULL), 0);
}

static void add_event(enum trace_kind kind)
{
	const struct trace_record r = { .kind = kind, .process = 1,
		.text = "x", .process_name = "p" };

	assert_int_equal(trace_writer_add(writer, &r, NULL), 0);
}

static void add_input(struct trace_input input)
{
	assert_int_equal(trace_writer_input(writer, &input), 0);
}

static void read_back(void)
{
	assert_int_equal(trace_writer_close(writer, 0, NULL), 0);
	assert_int_equal(trace_reader_open(path, &reader, NULL), 0);
	queue = replay_queue_create(reader);
	assert_non_null(queue);
}

static const struct trace_record *next(void)
{
	const struct trace_record *r = replay_queue_peek(queue, 0);

	assert_non_null(r);
	return r;
}

/* Records read ahead keep their bytes; markers are nobody's. */
static void test_ahead(void **state)
{
	(void)state;
	for (uint8_t i = 1; i <= 100; i++) {
		add_access(i);
		if (i % 10 == 0)
			add_event(TRACE_MARKER);
	}
	read_back();
	for (uint8_t i = 100; i; i--) {
		const struct trace_record *r =
			replay_queue_peek(queue, (size_t)i - 1);

		assert_int_equal(r->access.seq, i);
		assert_int_equal(r->access.old_bytes[0], i);
		assert_int_equal(r->final_bytes[0], i);
	}
	for (uint8_t i = 1; i <= 100; i++) {
		assert_int_equal(next()->access.seq, i);
		replay_queue_take(queue, next());
	}
	assert_int_equal(next()->kind, TRACE_END);
	replay_queue_take(queue, next());
	assert_null(replay_queue_peek(queue, 0));
	assert_int_equal(replay_queue_error(queue, NULL), 0);
}

/* An input comes when all before it were taken, and not before; markers
 * between do not delay it. */
static void test_inputs(void **state)
{
	(void)state;
	add_access(1);
	add_event(TRACE_MARKER);
	add_input((struct trace_input){ .kind = TRACE_INPUT_KEEP, .range = 7 });
	add_access(2);
	add_input((struct trace_input){ .kind = TRACE_INPUT_STATE, .value = 9 });
	read_back();
	assert_null(replay_queue_input(queue));
	replay_queue_take(queue, next());
	assert_int_equal(replay_queue_input(queue)->range, 7);
	assert_null(replay_queue_input(queue));
	replay_queue_take(queue, next());
	assert_int_equal(replay_queue_input(queue)->value, 9);
	assert_null(replay_queue_input(queue));
}

/* What belongs to an access is found with it, and goes with it. */
static void test_answers(void **state)
{
	const struct trace_record *second;

	(void)state;
	add_access(1);
	add_input((struct trace_input){ .kind = TRACE_INPUT_ANSWER, .seq = 2,
		.answer = TRACE_ANSWER_GRANT, .value = 1 });
	add_input((struct trace_input){ .kind = TRACE_INPUT_ANSWER, .seq = 2,
		.answer = TRACE_ANSWER_STEPS });
	add_input((struct trace_input){ .kind = TRACE_INPUT_WRITE, .seq = 2,
		.bytes = (const uint8_t *)"abc", .size = 3 });
	add_access(2);
	add_access(3);
	read_back();
	assert_null(replay_queue_answer(
		queue, next(), TRACE_INPUT_ANSWER, 0));
	second = replay_queue_peek(queue, 1);
	assert_int_equal(replay_queue_answer(queue, second, TRACE_INPUT_ANSWER,
				 0)->value,
		1);
	assert_non_null(replay_queue_answer(
		queue, second, TRACE_INPUT_ANSWER, 1));
	assert_null(replay_queue_answer(queue, second, TRACE_INPUT_ANSWER, 2));
	assert_memory_equal(replay_queue_answer(queue, second,
				    TRACE_INPUT_WRITE, 0)->bytes,
		"abc", 3);
	assert_false(replay_queue_step(queue, 2)); /* not yet */
	replay_queue_take(queue, next());
	assert_null(replay_queue_input(queue)); /* they are for the access */
	assert_true(replay_queue_step(queue, 2));
	assert_false(replay_queue_step(queue, 2));
	replay_queue_take(queue, next());
	assert_null(replay_queue_answer(
		queue, next(), TRACE_INPUT_WRITE, 0));
}

/* Between CPUs accesses and other records are two queues. */
static void test_two_queues(void **state)
{
	(void)state;
	add_access(1);
	add_event(TRACE_PROCESS_START);
	add_access(2);
	read_back();
	assert_int_equal(replay_queue_event(queue)->kind, TRACE_PROCESS_START);
	replay_queue_take(queue, replay_queue_event(queue));
	assert_int_equal(replay_queue_event(queue)->kind, TRACE_END);
	assert_int_equal(replay_queue_access(queue)->access.seq, 1);
	replay_queue_take(queue, replay_queue_access(queue));
	assert_int_equal(replay_queue_access(queue)->access.seq, 2);
	replay_queue_take(queue, replay_queue_access(queue));
	assert_int_equal(replay_queue_access(queue)->kind, TRACE_END);
}

static void test_turns(void **state)
{
	uint32_t cpu;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		add_input((struct trace_input){
			.kind = TRACE_INPUT_TURN, .cpu = i % 3 });
		if (i % 10 == 0)
			add_input((struct trace_input){
				.kind = TRACE_INPUT_ORDER });
	}
	read_back();
	for (uint32_t i = 0; i < 1000; i++) {
		assert_true(replay_queue_turn(queue, &cpu));
		assert_int_equal(cpu, i % 3);
		replay_queue_take_turn(queue);
	}
	assert_false(replay_queue_turn(queue, &cpu));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ahead),
		TEST(test_inputs),
		TEST(test_answers),
		TEST(test_two_queues),
		TEST(test_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
