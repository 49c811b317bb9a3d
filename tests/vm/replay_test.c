/* SPDX-License-Identifier: MIT */
/* One value altered in a recorded run is found, when it is repeated, at the
 * access whose it is. */
#include <custos/trace.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "tests/support/tests.h"

static char dir[] = "/tmp/custos-replay-XXXXXX";
static char good[64], bad[64], output[64];
static uint64_t accesses;

static const char *from_environment(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value ? value : otherwise;
}

static const char *custos(void)
{
	return from_environment("CUSTOS", "build/custos");
}

static int run_command(const char *command)
{
	int status = system(command);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static struct trace_reader *open_trace(const char *path)
{
	struct trace_reader *reader;
	struct error err = { 0 };

	if (trace_reader_open(path, &reader, &err))
		fail_msg("%s", err.text);
	return reader;
}

/* ---- the same trace, but for one bit ---- */

struct copier {
	struct trace_reader *reader;
	struct trace_writer *writer;
	struct trace_input input;
	bool has_input;
};

static void name_site(
	void *ctx, const struct access *access, struct trace_site *out)
{
	const struct trace_site *site = ctx;

	(void)access;
	out->symbol = site->symbol;
	out->line = site->line;
	out->text = site->text;
}

static void copy_inputs(struct copier *c, uint64_t before)
{
	struct error err = { 0 };

	while (c->has_input && c->input.record <= before) {
		assert_int_equal(trace_writer_input(c->writer, &c->input), 0);
		c->has_input =
			trace_reader_input(c->reader, &c->input, &err) == 1;
	}
}

static void copy_record(struct copier *c, const struct trace_record *r)
{
	const struct trace_site *site = r->kind == TRACE_ACCESS ?
		trace_reader_site(c->reader, r->site) :
		NULL;
	const struct trace_site_names names = { (void *)(uintptr_t)site,
		name_site };

	assert_int_equal(trace_writer_add(c->writer, r, &names), 0);
}

/* What the program loads, or stores, is another value from here on. */
static void alter(struct trace_record *r, uint8_t *room, uint8_t bit)
{
	struct access *a = &r->access;
	const uint8_t *from = a->new_bytes ? a->new_bytes : a->old_bytes;

	assert_non_null(from);
	memcpy(room, from, a->size);
	room[a->kept_first + bit / 8 % a->kept_count] ^=
		(uint8_t)(1 << bit % 8);
	if (a->new_bytes)
		a->new_bytes = room;
	else
		a->old_bytes = room;
	r->final_bytes = room;
}

/* index: of the access among all; UINT64_MAX: none. Returns its number. */
static uint64_t copy_trace(uint64_t index, uint8_t bit)
{
	static uint8_t room[TRACE_ACCESS_SIZE_MAX];
	struct copier c = { .reader = open_trace(good) };
	struct trace_record r;
	struct error err = { 0 };
	uint64_t altered = 0;

	assert_int_equal(trace_writer_open(bad, trace_reader_meta(c.reader),
				 NULL, &c.writer, &err),
		0);
	c.has_input = trace_reader_input(c.reader, &c.input, &err) == 1;
	accesses = 0;
	while (trace_reader_next(c.reader, &r, &err) == 1) {
		copy_inputs(&c, trace_reader_position(c.reader));
		if (r.kind == TRACE_END)
			break;
		if (r.kind == TRACE_ACCESS && accesses++ == index) {
			alter(&r, room, bit);
			altered = r.access.seq;
		}
		copy_record(&c, &r);
	}
	copy_inputs(&c, UINT64_MAX);
	assert_int_equal(trace_writer_close(c.writer, r.exit_code, &err), 0);
	trace_reader_close(c.reader);
	return altered;
}

/* ---- the tests ---- */

static bool has_kvm(void)
{
	return !access("/dev/kvm", R_OK | W_OK);
}

static int setup(void **state)
{
	char command[512];

	(void)state;
	if (!has_kvm())
		return 0;
	if (!mkdtemp(dir))
		return -1;
	snprintf(good, sizeof(good), "%s/good", dir);
	snprintf(bad, sizeof(bad), "%s/bad", dir);
	snprintf(output, sizeof(output), "%s/output", dir);
	snprintf(command, sizeof(command),
		"%s run -q -r %s --virtual-time -k log %s/guest/interleave.elf "
		">%s 2>&1",
		custos(), good, from_environment("CUSTOS_BUILD", "build"),
		output);
	return run_command(command);
}

static int teardown(void **state)
{
	(void)state;
	if (!has_kvm())
		return 0;
	unlink(good);
	unlink(bad);
	unlink(output);
	return rmdir(dir);
}

static bool output_has(const char *text)
{
	static char bytes[1 << 20];
	FILE *file = fopen(output, "r");
	size_t len;

	assert_non_null(file);
	len = fread(bytes, 1, sizeof(bytes) - 1, file);
	fclose(file);
	bytes[len] = '\0';
	return strstr(bytes, text) != NULL;
}

static int replay_bad(void)
{
	char command[512];

	snprintf(command, sizeof(command),
		"%s replay --run --json %s >/dev/null 2>%s", custos(), bad,
		output);
	return run_command(command);
}

static void test_copy(void **state)
{
	(void)state;
	if (!has_kvm())
		test_skip("no /dev/kvm");
	copy_trace(UINT64_MAX, 0);
	assert_int_equal(replay_bad(), 0);
	assert_true(output_has("\"diverged\":false"));
}

static void test_altered(void **state)
{
	uint64_t random = 12345;

	(void)state;
	if (!has_kvm())
		test_skip("no /dev/kvm");
	for (int i = 0; i < 20; i++) {
		char text[64];
		uint64_t seq;

		random = random * UINT64_C(6364136223846793005) + 1;
		seq = copy_trace(
			(random >> 33) % accesses, (uint8_t)(random >> 24));
		assert_int_equal(replay_bad(), 1);
		snprintf(text, sizeof(text), "\"diverged\",\"seq\":%llu,",
			(unsigned long long)seq);
		if (!output_has(text))
			fail_msg("not found: %s", text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_altered),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
