/* SPDX-License-Identifier: MIT */
/*
 * Hostile traces. Checksums would keep almost every mutation out, so they are
 * made right first: what is fuzzed is a trace of a hostile writer. Inputs that
 * do not begin like a file are payloads, by their first byte.
 */
#include <custos/trace.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/replay_queue.h"
#include "tests/support/trace_random.c" /* seeds */
#include "trace/trace_codec.h"
#include "trace/trace_filter.h"
#include "trace/trace_format.h"
#include "trace/trace_memory.h"
#include "trace/trace_names.h"
#include "trace/trace_start.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One of a whole run, with what it takes to repeat it. */
static void write_run(const char *path)
{
	static const char *const args[] = { "prog", "arg" };
	static const struct trace_start_range range = { 1, true, "uart" };
	static const struct trace_start start = { "/", 1 << 20, 1, "k", 7, args,
		2, &range, 1 };
	struct trace_meta meta = trace_random_meta;
	struct trace_writer *writer;
	struct trace_random random;

	meta.start = &start;
	trace_random_init(&random, 99);
	if (trace_writer_open(path, &meta, NULL, &writer, NULL))
		exit(1);
	for (unsigned i = 0; i < 60; i++) {
		const struct trace_record *r = trace_random_next(&random);
		const struct trace_input input = {
			.kind = 1 + i % (TRACE_INPUT_KIND_MAX - 1),
			.seq = r->access.seq,
			.range = r->access.range,
			.answer = 1 + i % 5,
			.bytes = (const uint8_t *)"bytes",
			.size = i % 6,
			.cpu = i % 3,
		};

		trace_writer_input(writer, &input);
		trace_writer_add(writer, r, &trace_random_names);
	}
	trace_writer_close(writer, 0, NULL);
}

/* A few small traces into the corpus, the last argument. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *corpus = (*argv)[*argc - 1];

	for (unsigned i = 0; i < 8 && *argc > 1 && corpus[0] != '-'; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/seed-%u", corpus, i);
		if (i)
			trace_random_write(path, i + 1, i * i);
		else
			write_run(path);
	}
	return 0;
}

static void put64(uint8_t *at, uint64_t value)
{
	memcpy(at, &value, sizeof(value));
}

/* Make the checksums of all chunks right, as far as they are chunks. */
static void mend(uint8_t *bytes, size_t size)
{
	size_t at = TRACE_FILE_HEADER;

	while (at + TRACE_CHUNK_HEADER <= size) {
		uint32_t magic = TRACE_CHUNK_MAGIC, stored;
		size_t left = size - at - TRACE_CHUNK_HEADER;

		memcpy(&stored, bytes + at + 8, sizeof(stored));
		if (memcmp(bytes + at, &magic, 4) || stored > left)
			break;
		put64(bytes + at + 56,
			trace_hash(bytes + at + TRACE_CHUNK_HEADER, stored));
		put64(bytes + at + 72, trace_hash(bytes + at, 72));
		at += TRACE_CHUNK_HEADER + stored;
	}
	if (size - at == TRACE_TRAILER) {
		put64(bytes + at + 16, size);
		put64(bytes + at + 24, trace_hash(bytes + at, 24));
	}
}

static void read_everything(struct trace_reader *reader)
{
	uint64_t sum = 0;
	struct trace_record r;
	struct trace_totals totals;
	uint8_t bytes[300];
	bool known[300];

	while (trace_reader_next(reader, &r, NULL) == 1) {
		const struct trace_site *site =
			trace_reader_site(reader, r.site);

		sum += site ? strlen(site->symbol) : 0;
		sum += r.text ? strlen(r.text) : 0;
		sum += strlen(r.process_name ? r.process_name : "");
		for (uint64_t i = 0; r.kind == TRACE_BIND && r.bytes &&
			i < r.size; i++)
			sum += r.bytes[i];
		for (uint32_t i = 0; i < r.access.size; i++) {
			sum += r.access.old_bytes ? r.access.old_bytes[i] : 0;
			sum += r.access.new_bytes ? r.access.new_bytes[i] : 0;
			sum += r.final_bytes ? r.final_bytes[i] : 0;
		}
		for (uint32_t i = 0; i < r.stack_count; i++)
			sum += r.stack[i];
	}
	trace_reader_totals(reader, &totals);
	for (uint32_t range = 0; range < 3; range++) {
		trace_reader_last_store(reader, range, 8, range,
			totals.seq_last / 2, &r, NULL);
		trace_reader_memory(reader, range, 0, totals.seq_last, 16, 300,
			bytes, known, NULL);
	}
	trace_reader_memory(reader, 1, 0, UINT64_MAX, UINT64_MAX - 299, 299,
		bytes, known, NULL);
	trace_reader_seek(reader, totals.seq_last / 2, NULL);
	trace_reader_next(reader, &r, NULL);
	trace_reader_check(reader, NULL, NULL, NULL);
	__asm__ volatile("" : : "r"(sum)); /* it was read */
}

/* As whoever repeats a run reads it. */
static void repeat(struct trace_reader *reader)
{
	struct replay_queue *queue = replay_queue_create(reader);
	const struct trace_record *r;
	const struct trace_input *input;
	uint32_t cpu;
	uint64_t sum = 0;

	if (!queue)
		abort();
	while ((r = replay_queue_peek(queue, 0))) {
		for (size_t n = 0; (input = replay_queue_answer(
				queue, r, TRACE_INPUT_ANSWER, n));
			n++)
			sum += input->size ? input->bytes[0] : 0;
		sum += replay_queue_step(queue, r->access.seq);
		if (replay_queue_turn(queue, &cpu))
			replay_queue_take_turn(queue);
		r = sum & 1 ? replay_queue_access(queue) :
			      replay_queue_event(queue);
		replay_queue_take(queue, r ? r : replay_queue_peek(queue, 0));
		while ((input = replay_queue_input(queue)))
			sum += input->size ? input->bytes[0] : 0;
	}
	replay_queue_destroy(queue);
	__asm__ volatile("" : : "r"(sum));
}

static void read_inputs(struct trace_reader *reader)
{
	const struct trace_start *start = trace_reader_meta(reader)->start;
	struct trace_input input;
	uint64_t sum = start ? strlen(start->directory) : 0;

	for (uint32_t i = 0; start && i < start->arg_count; i++)
		sum += strlen(start->args[i]);
	while (trace_reader_input(reader, &input, NULL) == 1)
		for (uint32_t i = 0; i < input.size; i++)
			sum += input.bytes[i];
	__asm__ volatile("" : : "r"(sum));
}

static void read_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("trace", MFD_CLOEXEC);
	uint8_t *bytes = malloc(size + 1);
	struct trace_reader *reader;
	char path[32];

	if (fd < 0 || !bytes)
		abort();
	memcpy(bytes, data, size);
	mend(bytes, size);
	if (write(fd, bytes, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!trace_reader_open(path, &reader, NULL)) {
		read_everything(reader);
		read_inputs(reader);
		trace_reader_close(reader);
	}
	if (!trace_reader_open(path, &reader, NULL)) {
		repeat(reader);
		trace_reader_close(reader);
	}
	free(bytes);
	close(fd);
}

static void decode(const uint8_t *data, size_t size)
{
	static struct trace_decoder *decoder;
	struct trace_record r;

	if (!decoder)
		decoder = trace_decoder_create();
	if (!trace_decoder_begin(
		    decoder, data, size, TRACE_CHUNK_RECORDS_MAX))
		while (trace_decoder_next(decoder, &r) == 1)
			;
}

static void visit(void *ctx, const struct trace_memory_piece *piece)
{
	*(uint64_t *)ctx += piece->len ? piece->bytes[piece->len - 1] : 0;
}

static void read_tables(uint8_t what, const uint8_t *data, size_t size)
{
	struct pack_in in = { data, data + size, false };
	struct trace_meta meta = { 0 };
	struct trace_names_table names = { .meta = &meta };
	struct trace_input input;
	uint64_t sum = 0;

	if (what == 1) {
		trace_meta_unpack(&in, &meta);
	} else if (what == 2) {
		trace_names_unpack(&names, &in);
	} else if (what == 3) {
		trace_memory_unpack(&in, visit, &sum);
	} else if (what == 5) {
		trace_start_destroy(trace_start_unpack(&in));
	} else if (what == 6) {
		while (in.at < in.end && trace_input_unpack(&in, &input) >= 0)
			sum += input.size ? input.bytes[0] : 0;
	} else {
		trace_filter_stored(data, size, 1, size * 37, 64);
		trace_filter_bound(data, size, 1, size * 37, 64);
	}
	trace_names_fini(&names);
	trace_meta_fini(&meta);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size >= 8 && !memcmp(data, TRACE_FILE_MAGIC, 8))
		read_file(data, size);
	else if (size && data[0] & 7)
		read_tables(data[0] & 7, data + 1, size - 1);
	else if (size)
		decode(data + 1, size - 1);
	return 0;
}
