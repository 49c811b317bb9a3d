/* SPDX-License-Identifier: MIT */
/* custos trace export ctf: babeltrace2 reads what the trace says. */
#include "tests/unit/cli/trace_export_support.h"

static void remove_directory(const char *path)
{
	char file[128];

	snprintf(file, sizeof(file), "%s/metadata", path);
	unlink(file);
	snprintf(file, sizeof(file), "%s/stream", path);
	unlink(file);
	rmdir(path);
}

/* What is behind " NAME = " in a line. */
static const char *field(const char *line, const char *name)
{
	char key[64];
	const char *at;

	snprintf(key, sizeof(key), " %s = ", name);
	at = strstr(line, key);
	if (!at)
		fail_msg("no%s in %s", key, line);
	return at + strlen(key);
}

/* [ [0] = 0x11, [1] = 0x1 ]: the bytes. */
static uint32_t take_bytes(const char *at, uint8_t *bytes)
{
	const char *end = strstr(at, " ]");
	uint32_t count = 0;

	assert_non_null(end);
	while ((at = strstr(at, "] = ")) && at < end)
		bytes[count++] = (uint8_t)strtoul(at += 4, NULL, 16);
	return count;
}

static void same_number(const char *line, const char *name, uint64_t expected)
{
	assert_int_equal(strtoull(field(line, name), NULL, 0), expected);
}

static void same_word(const char *line, const char *name, const char *expected)
{
	const char *at = strchr(field(line, name), '"') + 1;

	for (; *expected; expected++, at++) {
		at += *at == '\\';
		assert_int_equal(*at, *expected);
	}
	assert_int_equal(*at, '"');
}

static void same_value(const char *line, const char *name,
	const uint8_t *expected, uint32_t size)
{
	uint8_t bytes[4096];

	assert_int_equal(take_bytes(field(line, name), bytes),
		expected ? size : 0);
	if (expected && size)
		assert_memory_equal(bytes, expected, size);
}

static void same_access(struct rig *rig, const char *line)
{
	static const char *const numbers[] = { "seq", "ts", "pid", "cpu", "ip",
		"address", "size", "atomic", "offset", "kept_first",
		"kept_count" };
	static const char *const words[] = { "process", "kind", "verdict",
		"range", "symbol", "line", "text" };
	const struct access *a = &rig->record.access;
	const char *lane = field(line, "lanes");

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		same_number(line, numbers[i],
			strtoull(rig_cell(rig, numbers[i]), NULL, 0));
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		same_word(line, words[i], rig_cell(rig, words[i]));
	same_value(line, "old", a->old_bytes, a->size);
	same_value(line, "new", a->new_bytes, a->size);
	same_value(line, "final", rig->record.final_bytes, a->size);
	same_number(line, "_lanes_length", a->lane_count);
	for (uint32_t i = 0; i < a->lane_count; i++, lane += 1) {
		lane = strstr(lane, "{ address");
		assert_non_null(lane);
		same_number(lane, "address", a->lanes[i].address);
		same_number(lane, "size", a->lanes[i].size);
		same_number(lane, "offset", a->lanes[i].offset);
	}
}

static void check_ctf(uint64_t seed)
{
	char command[256], *line = NULL;
	struct trace_totals totals;
	uint64_t lines = 0;
	struct rig rig;
	size_t room = 0;
	FILE *f;

	rig_init(&rig, seed);
	trace_reader_totals(rig.reader, &totals);
	remove_directory(rig.out);
	assert_int_equal(rig_export(&rig, "ctf"), CLI_OK);
	snprintf(command, sizeof(command), "babeltrace2 %s 2>/dev/null",
		rig.out);
	f = popen(command, "r");
	assert_non_null(f);
	for (; getline(&line, &room, f) > 0; lines++) {
		if (!strstr(line, " access: {"))
			continue;
		assert_true(rig_next(&rig));
		same_access(&rig, line);
	}
	assert_int_equal(pclose(f), 0);
	assert_false(rig_next(&rig));
	assert_int_equal(rig.accesses, totals.accesses);
	assert_int_equal(lines, totals.records);
	free(line);
	remove_directory(rig.out);
	rig_fini(&rig);
}

static void babeltrace2_reads_what_the_trace_says(void **state)
{
	(void)state;
	if (system("command -v babeltrace2 >/dev/null"))
		test_skip("no babeltrace2 (tools/deps --test)");
	for (uint64_t seed = 1; seed <= EXPORT_SEEDS; seed++)
		check_ctf(seed);
}

static void nothing_is_overwritten(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, 1);
	remove_directory(rig.out);
	assert_int_equal(rig_export(&rig, "ctf"), CLI_OK);
	assert_int_equal(rig_export(&rig, "ctf"), CLI_FAILED);
	remove_directory(rig.out);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(babeltrace2_reads_what_the_trace_says),
		cmocka_unit_test(nothing_is_overwritten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
