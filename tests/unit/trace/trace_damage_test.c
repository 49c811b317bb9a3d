/* SPDX-License-Identifier: MIT */
/* Recorders that are killed, disks that are full, files that are damaged. */
#include <custos/trace.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "tests/support/tests.h"
#include "tests/support/trace_random.h"
#include "tests/unit/trace/trace_file.h"

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- files that are damaged ---- */

static uint8_t *read_file(size_t *out_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *bytes;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	bytes = malloc((size_t)st.st_size);
	assert_non_null(bytes);
	*out_size = (size_t)st.st_size;
	assert_int_equal(read(fd, bytes, *out_size), *out_size);
	close(fd);
	return bytes;
}

static void write_file(const uint8_t *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

/* Read all there is and ask for what is wrong; how many records there were, -1:
 * not a trace. */
static long read_all(bool *out_damaged)
{
	struct trace_reader *reader;
	struct trace_record record;
	uint8_t bytes[64];
	bool known[64];
	long count = 0;
	int ret = trace_reader_open(path, &reader, NULL);

	*out_damaged = true;
	if (ret) {
		assert_int_equal(ret, -EINVAL);
		return -1;
	}
	while ((ret = trace_reader_next(reader, &record, NULL)) == 1)
		count++;
	assert_int_equal(ret, 0);
	assert_int_equal(trace_reader_memory(reader, 0, 0, UINT64_MAX, 0, 64,
				 bytes, known, NULL),
		0);
	trace_reader_last_store(reader, 0, 8, 0, UINT64_MAX, &record, NULL);
	assert_int_equal(trace_reader_check(reader, NULL, NULL, NULL), 0);
	*out_damaged = trace_reader_damage(reader, 0) != NULL;
	trace_reader_close(reader);
	return count;
}

#define SMALL 40 /* records */

static void every_flipped_bit_is_found(void **state)
{
	size_t size, step = test_scaled(1, 37);
	uint8_t *bytes;
	bool damaged;

	(void)state;
	trace_random_write(path, 5, SMALL);
	bytes = read_file(&size);
	assert_int_equal(read_all(&damaged), SMALL + 1);
	assert_false(damaged);
	for (size_t i = 0; i < size; i += step) {
		uint8_t bit = (uint8_t)(1u << (i * 5 + i / 8) % 8);

		bytes[i] ^= bit;
		write_file(bytes, size);
		if (read_all(&damaged) > SMALL + 1 || !damaged)
			fail_msg("bit 0x%x of byte %zu", bit, i);
		bytes[i] ^= bit;
	}
	free(bytes);
}

static void every_truncation_is_found(void **state)
{
	size_t size, step = test_scaled(1, 37);
	long before = -1;
	uint8_t *bytes;
	bool damaged;

	(void)state;
	trace_random_write(path, 6, SMALL);
	bytes = read_file(&size);
	for (size_t len = 0; len < size; len += step) {
		long count;

		write_file(bytes, len);
		count = read_all(&damaged);
		if (!damaged)
			fail_msg("%zu bytes of %zu", len, size);
		assert_true(count >= before);
		before = count;
	}
	assert_int_equal(before, SMALL + 1); /* only the index was missing */
	free(bytes);
}

/* A hole of zeros, as a crashed file system leaves it: what is behind it is
 * found. */
static void chunks_behind_a_hole_are_found(void **state)
{
	struct trace_reader *reader;
	struct trace_record record;
	size_t size;
	uint8_t *bytes;
	uint64_t last = 0;

	(void)state;
	trace_random_write(path, 7, 200000);
	bytes = read_file(&size);
	memset(bytes + size / 3, 0, size / 8);
	write_file(bytes, size - 1);
	free(bytes);
	reader = open_trace();
	assert_non_null(trace_reader_damage(reader, 0));
	while (trace_reader_next(reader, &record, NULL) == 1)
		last = record.kind;
	assert_int_equal(last, TRACE_END);
	trace_reader_close(reader);
}

/* ---- disks that are full ---- */

static void a_full_disk_is_told(void **state)
{
	struct rlimit limit = { 20000, RLIM_INFINITY }, old;
	struct trace_random random;
	struct trace_writer *writer;
	struct trace_reader *reader;
	struct trace_totals totals;
	struct error err = { 0 };
	int ret = 0, status;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(trace_writer_open(path, &trace_random_meta, NULL,
				 &writer, &err),
		0);
	limit.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_FSIZE, &limit);
	trace_random_init(&random, 1);
	for (int i = 0; i < 5000000 && !ret; i++)
		ret = trace_writer_add(writer, trace_random_next(&random),
			&trace_random_names);
	assert_int_equal(ret, -EFBIG);
	assert_int_equal(trace_writer_add(writer, trace_random_next(&random),
				 &trace_random_names),
		-EFBIG);
	assert_true(trace_writer_lost(writer, &status) > 0);
	assert_int_equal(status, -EFBIG);
	ret = trace_writer_close(writer, 0, &err);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(ret, -EFBIG);
	assert_non_null(strstr(err.text, "lost"));
	reader = open_trace();
	trace_reader_totals(reader, &totals);
	assert_true(totals.lost > 0);
	assert_null(trace_reader_damage(reader, 0));
	trace_reader_close(reader);
}

static void no_disk_at_all_is_told(void **state)
{
	struct trace_writer *writer;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(trace_writer_open("/dev/full", &trace_random_meta,
				 NULL, &writer, &err),
		-ENOSPC);
	assert_int_equal(trace_writer_open("/nonexistent/x", &trace_random_meta,
				 NULL, &writer, &err),
		-ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/x"));
}

/* ---- recorders that are killed ---- */

#define MOMENTS 65536

/* What the child has added, when. */
struct progress {
	_Atomic uint32_t count; /* of moments */
	struct moment {
		uint64_t ns, records;
	} moments[MOMENTS];
};

static void record_for_ever(struct progress *progress, uint64_t seed)
{
	static const struct trace_writer_options options = {
		.regs = true,
		.stacks = true,
	};
	struct trace_random random;
	struct trace_writer *writer;
	uint64_t records = 0;

	trace_random_init(&random, seed);
	if (trace_writer_open(path, &trace_random_meta, &options, &writer,
		    NULL))
		_exit(1);
	for (;;) {
		uint32_t at = atomic_load(&progress->count);
		int batch = seed % 2 ? 1 : 200;

		for (int i = 0; i < batch; i++, records++)
			if (trace_writer_add(writer,
				    trace_random_next(&random),
				    &trace_random_names))
				_exit(1);
		if (at < MOMENTS) {
			progress->moments[at] =
				(struct moment){ now_ns(), records };
			atomic_store(&progress->count, at + 1);
		}
		if (seed % 2)
			usleep(300);
	}
}

/* What can be read is what was added, from the first on. */
static uint64_t count_prefix(uint64_t seed)
{
	struct trace_reader *reader = open_trace();
	struct trace_random random;
	struct trace_record got;
	uint64_t count = 0;

	trace_random_init(&random, seed);
	while (trace_reader_next(reader, &got, NULL) == 1) {
		const struct trace_record *want = trace_random_next(&random);

		assert_int_equal(got.kind, want->kind);
		assert_int_equal(got.time_ns, want->time_ns);
		if (want->kind == TRACE_ACCESS) {
			assert_int_equal(got.access.seq, want->access.seq);
			assert_int_equal(
				got.access.address, want->access.address);
			assert_int_equal(got.access.ip, want->access.ip);
		}
		count++;
	}
	/* Not more is wrong than that it was cut off. */
	assert_non_null(trace_reader_damage(reader, 0));
	assert_int_equal(trace_reader_check(reader, NULL, NULL, NULL), 0);
	assert_null(trace_reader_damage(reader, 2));
	trace_reader_close(reader);
	return count;
}

/* How old the oldest record is that was lost, in ms. */
static double kill_one(struct progress *progress, uint64_t seed)
{
	uint64_t killed, count;
	pid_t child;

	atomic_store(&progress->count, 0);
	unlink(path);
	child = fork();
	if (!child)
		record_for_ever(progress, seed);
	assert_true(child > 0);
	while (!atomic_load(&progress->count))
		usleep(100);
	usleep((useconds_t)(seed * 7919 % 160000));
	kill(child, SIGKILL);
	killed = now_ns();
	waitpid(child, NULL, 0);
	count = count_prefix(seed);
	for (uint32_t i = 0; i < atomic_load(&progress->count); i++)
		if (progress->moments[i].records > count)
			return (double)(int64_t)(killed -
				       progress->moments[i].ns) /
				1e6;
	return 0;
}

/* Beside the promise, what a busy machine may keep a thread waiting. */
#define SLACK_MS 600

static void a_kill_loses_100_ms_at_most(void **state)
{
	struct progress *progress = mmap(NULL, sizeof(*progress),
		PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned kills = (unsigned)test_scaled(200, 5), late = 0;
	double worst = 0;

	(void)state;
	assert_true(progress != MAP_FAILED);
	for (unsigned i = 1; i <= kills; i++) {
		double lost = kill_one(progress, i);

		worst = lost > worst ? lost : worst;
		late += lost > 100;
	}
	print_message("# %u kills: at most %.1f ms lost, %u times more than "
		      "100\n",
		kills, worst, late);
	if (!test_is_slow())
		assert_true(worst < 100 + SLACK_MS);
	munmap(progress, sizeof(*progress));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_flipped_bit_is_found),
		cmocka_unit_test(every_truncation_is_found),
		cmocka_unit_test(chunks_behind_a_hole_are_found),
		cmocka_unit_test(a_full_disk_is_told),
		cmocka_unit_test(no_disk_at_all_is_told),
		cmocka_unit_test(a_kill_loses_100_ms_at_most),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
