/* SPDX-License-Identifier: MIT */
/* Recorded runs: what goes in comes out. */
#include <custos/trace.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/tests.h"
#include "tests/support/trace_random.h"
#include "tests/unit/trace/trace_file.h"

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
		assert_int_equal(a->frame, b->frame);
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

/* ---- questions ---- */

#define AREA 8192

/* The same by reading everything. */
struct naive {
	uint32_t range;
	uint64_t process, seq;
	uint8_t bytes[AREA];
	bool known[AREA];
	uint64_t last[AREA]; /* seq of the last store; 0: none */
};

static void naive_put(struct naive *n, uint64_t offset, uint64_t len,
	const uint8_t *bytes, uint64_t seq)
{
	for (uint64_t i = 0; i < len; i++) {
		if (offset >= AREA || i >= AREA - offset)
			return;
		n->bytes[offset + i] = bytes[i];
		n->known[offset + i] = true;
		if (seq)
			n->last[offset + i] = seq;
	}
}

static void naive_access(struct naive *n, const struct trace_record *r)
{
	const struct access *a = &r->access;
	bool marks = r->outcome != OUTCOME_ABSORB &&
		r->outcome != OUTCOME_ROLLBACK;
	uint64_t seq = marks ? a->seq : 0;

	if (!access_writes(a->kind) || !r->final_bytes || a->range != n->range)
		return;
	if (n->process && a->process != n->process)
		return;
	if (!a->lane_count)
		naive_put(n, a->offset, a->kept_count,
			r->final_bytes + a->kept_first, seq);
	for (uint32_t i = 0; i < a->lane_count; i++)
		naive_put(n,
			a->lanes[i].address -
				trace_random_meta.ranges[a->range].address,
			a->lanes[i].size, r->final_bytes + a->lanes[i].offset,
			seq);
}

static void naive_read(struct trace_reader *reader, struct naive *n)
{
	struct trace_record r;

	assert_int_equal(trace_reader_seek(reader, 0, NULL), 0);
	while (trace_reader_next(reader, &r, NULL) == 1) {
		if (r.seq > n->seq)
			continue;
		if (r.kind == TRACE_ACCESS)
			naive_access(n, &r);
		else if (r.kind == TRACE_BIND && r.bytes &&
			r.range == n->range &&
			(!n->process || r.process == n->process))
			naive_put(n, r.offset, r.size, r.bytes, 0);
	}
}

static void ask(struct trace_reader *reader, struct trace_random *random,
	uint64_t seq_last)
{
	struct naive n = {
		.range = (uint32_t)trace_random_number(random, 3),
		.process = trace_random_number(random, 4),
		.seq = trace_random_number(random, seq_last + 2),
	};
	uint64_t offset = trace_random_number(random, AREA);
	uint64_t len = trace_random_number(random, AREA - offset + 1);
	uint8_t bytes[AREA];
	bool known[AREA];
	struct trace_record r;

	naive_read(reader, &n);
	assert_int_equal(trace_reader_memory(reader, n.range, n.process, n.seq,
				 offset, len, bytes, known, NULL),
		0);
	for (uint64_t i = 0; i < len; i++) {
		assert_int_equal(known[i], n.known[offset + i]);
		if (known[i])
			assert_int_equal(bytes[i], n.bytes[offset + i]);
	}
	for (int i = 0; i < 4; i++) {
		uint64_t at = trace_random_number(random, i % 2 ? AREA : 64);
		int ret = trace_reader_last_store(
			reader, n.range, at, n.process, n.seq, &r, NULL);

		assert_int_equal(ret, n.last[at] != 0);
		if (ret)
			assert_int_equal(r.access.seq, n.last[at]);
	}
}

static void questions_agree_with_reading_it_all(void **state)
{
	struct trace_random random;
	struct trace_totals totals;

	(void)state;
	for (uint64_t seed = 1; seed < 6; seed++) {
		struct trace_reader *reader;

		trace_random_write(path, seed, seed < 5 ? 400 : 150000);
		reader = open_trace();
		trace_reader_totals(reader, &totals);
		trace_random_init(&random, seed + 100);
		for (int i = 0; i < 25; i++)
			ask(reader, &random, totals.seq_last);
		assert_null(trace_reader_damage(reader, 0));
		trace_reader_close(reader);
	}
}

/* A store of one lane's granule, then one of many lanes that begins there. */
static void stores_of_lanes_are_found(void **state)
{
	static const uint8_t bytes[16] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	static const struct access_lane lanes[] = {
		{ 0x500000, 4, 0 }, { 0x500800, 4, 4 },
	};
	struct trace_record store = {
		.kind = TRACE_ACCESS,
		.access = { .seq = 1, .kind = ACCESS_STORE, .process = 1,
			.address = 0x500000, .size = 8, .kept_count = 8,
			.old_bytes = bytes, .new_bytes = bytes },
		.final_bytes = bytes,
	};
	struct trace_writer *writer;
	struct trace_reader *reader;
	struct trace_record r;

	(void)state;
	assert_int_equal(trace_writer_open(path, &trace_random_meta, NULL,
				 &writer, NULL),
		0);
	trace_writer_add(writer, &store, NULL);
	store.access.seq = 2;
	store.access.lanes = lanes;
	store.access.lane_count = 2;
	store.access.kept_count = 4;
	trace_writer_add(writer, &store, NULL);
	assert_int_equal(trace_writer_close(writer, 0, NULL), 0);
	reader = open_trace();
	assert_int_equal(trace_reader_last_store(
				 reader, 0, 0x802, 0, UINT64_MAX, &r, NULL),
		1);
	assert_int_equal(r.access.seq, 2);
	trace_reader_close(reader);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Who records all the time: what waits is flushed when it is old, and not
 * again and again because something is always waiting. */
static void chunks_are_not_smaller_than_they_need_be(void **state)
{
	struct trace_record record = { .kind = TRACE_MARKER, .text = "x" };
	uint64_t start = now_ms(), elapsed = 0;
	struct trace_writer *writer;
	struct trace_reader *reader;
	struct trace_totals totals;

	(void)state;
	assert_int_equal(trace_writer_open(path, &trace_random_meta, NULL,
				 &writer, NULL),
		0);
	for (; elapsed < 400; elapsed = now_ms() - start) {
		record.time_ns += 1000;
		assert_int_equal(trace_writer_add(writer, &record, NULL), 0);
	}
	assert_int_equal(trace_writer_close(writer, 0, NULL), 0);
	reader = open_trace();
	trace_reader_totals(reader, &totals);
	/* META, INDEX, the last one; full ones; half of the 75 ms is allowed
	 * for. */
	assert_in_range(totals.chunks, 3,
		4 + totals.records / 65536 + elapsed / 37);
	trace_reader_close(reader);
}

/* seek() comes to where reading on would have come. */
static void seek_finds_every_access(void **state)
{
	struct trace_reader *reader;
	struct trace_totals totals;
	struct trace_record r;

	(void)state;
	trace_random_write(path, 9, 140000);
	reader = open_trace();
	trace_reader_totals(reader, &totals);
	for (uint64_t seq = 1; seq < totals.seq_last; seq += 9973) {
		assert_int_equal(trace_reader_seek(reader, seq, NULL), 0);
		assert_int_equal(trace_reader_next(reader, &r, NULL), 1);
		assert_true(r.seq >= seq && r.seq < seq + 20);
	}
	trace_reader_close(reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_trace_is_one),
		cmocka_unit_test(random_records_come_back),
		cmocka_unit_test(questions_agree_with_reading_it_all),
		cmocka_unit_test(seek_finds_every_access),
		cmocka_unit_test(stores_of_lanes_are_found),
		cmocka_unit_test(chunks_are_not_smaller_than_they_need_be),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
