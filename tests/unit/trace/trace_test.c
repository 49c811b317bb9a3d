/* SPDX-License-Identifier: MIT */
/* Recorded runs: what goes in comes out. */
#include <custos/trace.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "tests/support/tests.h"
#include "tests/support/trace_random.h"

static char path[64];

static int setup(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/custos-trace-%d", (int)getpid());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static struct trace_reader *open_trace(void)
{
	struct trace_reader *reader;
	struct error err = { 0 };

	if (trace_reader_open(path, &reader, &err))
		fail_msg("%s", err.text);
	return reader;
}

static void same_bytes(const uint8_t *a, const uint8_t *b, size_t size)
{
	assert_int_equal(a != NULL, b != NULL);
	if (a)
		assert_memory_equal(a, b, size);
}

static void same_access(struct trace_reader *reader,
	const struct trace_record *a, const struct trace_record *b)
{
	const struct access *x = &a->access, *y = &b->access;
	const struct trace_site *site = trace_reader_site(reader, b->site);

	assert_int_equal(x->seq, y->seq);
	assert_int_equal(x->seq, b->seq);
	assert_int_equal(x->kind, y->kind);
	assert_int_equal(x->atomic, y->atomic);
	assert_int_equal(x->address, y->address);
	assert_int_equal(x->size, y->size);
	assert_int_equal(x->range, y->range);
	assert_int_equal(x->offset, y->offset);
	assert_int_equal(x->kept_first, y->kept_first);
	assert_int_equal(x->kept_count, y->kept_count);
	same_bytes(x->old_bytes, y->old_bytes, x->size);
	same_bytes(x->new_bytes, y->new_bytes, x->size);
	same_bytes(a->final_bytes, b->final_bytes, x->size);
	assert_int_equal(x->lane_count, y->lane_count);
	for (uint32_t i = 0; i < x->lane_count; i++) {
		assert_int_equal(x->lanes[i].address, y->lanes[i].address);
		assert_int_equal(x->lanes[i].size, y->lanes[i].size);
		assert_int_equal(x->lanes[i].offset, y->lanes[i].offset);
	}
	assert_int_equal(x->cpu, y->cpu);
	assert_int_equal(x->process, y->process);
	assert_int_equal(x->ip, y->ip);
	assert_int_equal(x->insn ? x->insn_len : 0, y->insn_len);
	same_bytes(x->insn_len ? x->insn : NULL, y->insn, y->insn_len);
	assert_int_equal(a->outcome, b->outcome);
	same_bytes((const uint8_t *)a->regs, (const uint8_t *)b->regs,
		TRACE_REGS * 8);
	assert_int_equal(a->stack_count, b->stack_count);
	same_bytes((const uint8_t *)(a->stack_count ? a->stack : NULL),
		(const uint8_t *)b->stack, a->stack_count * 8);
	assert_non_null(site);
	assert_int_equal(site->ip, x->ip);
	assert_string_equal(site->line, "file.c:1");
}

static void same_event(
	const struct trace_record *a, const struct trace_record *b)
{
	assert_int_equal(a->process, b->process);
	switch (a->kind) {
	case TRACE_PROCESS_START:
		assert_string_equal(a->process_name, b->process_name);
		assert_int_equal(a->program, b->program);
		break;
	case TRACE_PROCESS_EXIT:
		assert_int_equal(a->exit_code, b->exit_code);
		break;
	case TRACE_BIND:
		same_bytes(a->bytes, b->bytes, a->size);
		/* fall through */
	case TRACE_UNBIND:
		assert_int_equal(a->range, b->range);
		assert_int_equal(a->offset, b->offset);
		assert_int_equal(a->size, b->size);
		break;
	case TRACE_LOST:
		assert_int_equal(a->count, b->count);
		/* fall through */
	case TRACE_MARKER:
		assert_string_equal(a->text, b->text);
		break;
	default:
		fail();
	}
}

static void same_record(struct trace_reader *reader,
	const struct trace_record *a, const struct trace_record *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->time_ns, b->time_ns);
	if (a->kind == TRACE_ACCESS)
		same_access(reader, a, b);
	else
		same_event(a, b);
}

static void round_trip(uint64_t seed, unsigned count)
{
	struct trace_random random;
	struct trace_record record;
	struct trace_reader *reader;
	struct trace_totals totals;

	trace_random_write(path, seed, count);
	reader = open_trace();
	trace_random_init(&random, seed);
	for (unsigned i = 0; i < count; i++) {
		const struct trace_record *want = trace_random_next(&random);

		assert_int_equal(trace_reader_next(reader, &record, NULL), 1);
		same_record(reader, want, &record);
	}
	assert_int_equal(trace_reader_next(reader, &record, NULL), 1);
	assert_int_equal(record.kind, TRACE_END);
	assert_int_equal(record.exit_code, -3);
	assert_int_equal(trace_reader_next(reader, &record, NULL), 0);
	assert_int_equal(trace_reader_check(reader, NULL, NULL, NULL), 0);
	assert_null(trace_reader_damage(reader, 0));
	trace_reader_totals(reader, &totals);
	assert_true(totals.complete);
	assert_int_equal(totals.records, count + 1);
	trace_reader_close(reader);
}

static void random_records_come_back(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 30; seed++)
		round_trip(seed, (unsigned)(seed * seed * 3));
	round_trip(77, 200000);
}

static void an_empty_trace_is_one(void **state)
{
	(void)state;
	round_trip(1, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_trace_is_one),
		cmocka_unit_test(random_records_come_back),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
