/* SPDX-License-Identifier: MIT */
/*
 * What a recorded access costs, on disk and in time, and what a question
 * costs. The trace is that of a loop over a ring of slots: head and tail
 * loaded, a slot stored and loaded, a counter under lock, by two processes.
 *
 * Usage: trace_bench [ACCESSES]	default 4000000; 100000000 is the size
 *					that docs/TESTING.md promises things of
 */
#include <custos/trace.h>

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

#define RING 256 /* slots of 16 bytes */
#define BASE UINT64_C(0x4f0000)

static char path[] = "/tmp/custos-bench-XXXXXX";

static double read_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

/* Of all our threads: what one core would need, however busy it is. */
static double cpu_time(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static _Noreturn void fail(const char *what, const struct error *err)
{
	fprintf(stderr, "trace_bench: %s: %s\n", what, err->text);
	unlink(path);
	exit(1);
}

/* ---- the program whose accesses these are ---- */

struct program {
	uint64_t seq, time, random, ip;
	struct trace_record record;
	uint8_t old_bytes[8], new_bytes[8], insn[8];
	uint64_t memory[RING * 2 + 8];
	uint64_t step;
};

/* One access to word number `word'; value is stored. */
static void touch(struct program *p, enum access_kind kind, unsigned line,
	unsigned word, uint64_t value)
{
	struct access *a = &p->record.access;

	p->random = p->random * 6364136223846793005u + 1442695040888963407u;
	p->time += 18000 + (p->random >> 52); /* as a trap takes: noisy */
	memset(&p->record, 0, sizeof(p->record));
	memcpy(p->old_bytes, &p->memory[word], 8);
	*a = (struct access){
		.seq = ++p->seq,
		.kind = kind,
		.atomic = kind == ACCESS_RMW,
		.address = BASE + word * 8,
		.size = 8,
		.offset = word * 8,
		.kept_count = 8,
		.old_bytes = p->old_bytes,
		.cpu = line & 1,
		.process = 1 + (line & 1),
		.ip = 0x401000 + line * 8,
		.insn = p->insn,
		.insn_len = 7,
	};
	p->insn[3] = (uint8_t)line;
	p->record.time_ns = p->time;
	p->record.final_bytes = p->old_bytes;
	if (!access_writes(kind))
		return;
	memcpy(p->new_bytes, &value, 8);
	p->memory[word] = value;
	a->new_bytes = p->record.final_bytes = p->new_bytes;
}

static const struct trace_record *next(struct program *p)
{
	uint64_t *m = p->memory;
	unsigned slot = (unsigned)(p->step / 8 % RING) * 2 + 8;

	switch (p->step++ % 8) {
	case 0: /* the producer: where is the head, is there room */
		touch(p, ACCESS_LOAD, 0, 0, 0);
		break;
	case 1:
		touch(p, ACCESS_LOAD, 2, 1, 0);
		break;
	case 2: /* a value, like those of sensors: small noise */
		touch(p, ACCESS_STORE, 4, slot, 1000 + (p->random >> 56));
		break;
	case 3:
		touch(p, ACCESS_STORE, 6, 0, m[0] + 1);
		break;
	case 4: /* the consumer */
		touch(p, ACCESS_LOAD, 1, 0, 0);
		break;
	case 5:
		touch(p, ACCESS_LOAD, 3, slot, 0);
		break;
	case 6:
		touch(p, ACCESS_RMW, 5, 2, m[2] + m[slot]);
		break;
	default:
		touch(p, ACCESS_STORE, 7, 1, m[1] + 1);
	}
	return &p->record;
}

/* ---- measuring ---- */

static void name_site(
	void *ctx, const struct access *access, struct trace_site *site)
{
	(void)ctx;
	(void)access;
	site->symbol = "ring_put+0x10";
	site->line = "ring.c:10";
	site->text = "mov qword ptr [rip + 0x1000], rax";
}

static const struct trace_range range = {
	.name = "ring", .address = BASE, .length = sizeof(uint64_t) * 1024
};
static const struct trace_meta meta = {
	.command = "trace_bench",
	.kvm = "",
	.cpus = 2,
	.ranges = &range,
	.range_count = 1,
};

/* The reader's accesses at a rare word: stored once, long ago. */
static void add_rare(struct trace_writer *writer, struct program *p)
{
	static const struct trace_site_names names = { .name = name_site };

	touch(p, ACCESS_STORE, 8, RING * 2 + 7 + 0, 77);
	trace_writer_add(writer, &p->record, &names);
}

static double write_trace(uint64_t count, struct program *p)
{
	static const struct trace_site_names names = { .name = name_site };
	const struct trace_record bind = {
		.kind = TRACE_BIND,
		.process = 1,
		.size = sizeof(p->memory),
		.bytes = (const uint8_t *)p->memory,
	};
	struct trace_writer *writer;
	struct error err = { 0 };
	double start;

	if (trace_writer_open(path, &meta, NULL, &writer, &err))
		fail("open", &err);
	trace_writer_add(writer, &bind, NULL);
	start = cpu_time();
	for (uint64_t i = 0; i < count; i++) {
		if (i == count / 3)
			add_rare(writer, p);
		trace_writer_add(writer, next(p), &names);
	}
	if (trace_writer_close(writer, 0, &err))
		fail("close", &err);
	return cpu_time() - start;
}

/* Making the records is not what is measured. */
static double make_alone(uint64_t count)
{
	struct program *p = calloc(1, sizeof(*p));
	double start = cpu_time();
	uint64_t sum = 0;

	for (uint64_t i = 0; i < count; i++)
		sum += next(p)->access.address;
	free(p);
	return cpu_time() - start + (sum == 1);
}

static struct trace_reader *open_reader(void)
{
	struct trace_reader *reader;
	struct error err = { 0 };

	if (trace_reader_open(path, &reader, &err))
		fail("open", &err);
	return reader;
}

static double read_trace(uint64_t *out_count)
{
	struct trace_reader *reader = open_reader();
	struct trace_record record;
	struct error err = { 0 };
	double start = cpu_time();
	int ret;

	*out_count = 0;
	while ((ret = trace_reader_next(reader, &record, &err)) == 1)
		*out_count += record.kind == TRACE_ACCESS;
	if (ret)
		fail("read", &err);
	trace_reader_close(reader);
	return cpu_time() - start;
}

static double ask_who(struct trace_reader *reader, uint64_t offset)
{
	struct trace_record record;
	struct error err = { 0 };
	double start = now();

	if (trace_reader_last_store(
		    reader, 0, offset, 0, UINT64_MAX, &record, &err) != 1)
		fail("who", &err);
	return now() - start;
}

static void questions(uint64_t seq)
{
	double start = now();
	struct trace_reader *reader = open_reader();
	double opened = now() - start;
	uint8_t bytes[4096];
	bool known[4096];
	struct error err = { 0 };
	struct rusage usage;

	printf("trace: open %.1f ms, who (hot byte) %.1f ms, who (stored once, "
	       "long ago) %.1f ms\n",
		opened * 1e3, ask_who(reader, 16) * 1e3,
		ask_who(reader, (RING * 2 + 7) * 8) * 1e3);
	start = now();
	if (trace_reader_memory(reader, 0, 0, seq / 2, 0, sizeof(bytes), bytes,
		    known, &err))
		fail("memory", &err);
	printf("trace: memory of 4096 bytes in the middle %.1f ms\n",
		(now() - start) * 1e3);
	trace_reader_close(reader);
	getrusage(RUSAGE_SELF, &usage);
	printf("trace: at most %ld MB of memory used by all this\n",
		usage.ru_maxrss / 1024);
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 0) : 4000000;
	struct program *p = calloc(1, sizeof(*p));
	double making = make_alone(count), cost;
	int fd = mkstemp(path);
	uint64_t seen;
	cpu_set_t one;
	struct stat st;

	if (fd < 0 || !p) {
		perror(path);
		return 1;
	}
	/* Adding and encoding together, on one core. */
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	cost = write_trace(count, p) - making;
	fstat(fd, &st);
	printf("trace: %" PRIu64 " accesses, %.2f bytes each\n", count,
		(double)st.st_size / (double)count);
	printf("trace: %.2f million accesses a second encoded, on one core\n",
		(double)count / cost * 1e-6);
	cost = read_trace(&seen);
	printf("trace: %.2f million a second decoded\n",
		(double)seen / cost * 1e-6);
	questions(p->seq);
	close(fd);
	unlink(path);
	free(p);
	return seen != count + 1;
}
