/* SPDX-License-Identifier: MIT */
/* Lackey's and Dinero's text, and traces made of lackey's. */
#include "tests/unit/cli/trace_export_support.h"

/* The addresses and sizes of the access at hand, lanes one by one. */
static uint32_t pieces(const struct rig *rig)
{
	const struct access *a = &rig->record.access;

	return a->lanes ? a->lane_count : 1;
}

static struct access_lane piece(const struct rig *rig, uint32_t i)
{
	const struct access *a = &rig->record.access;
	struct access_lane whole = { a->address, a->size, 0 };

	return a->lanes ? a->lanes[i] : whole;
}

static char letter(enum access_kind kind)
{
	return kind == ACCESS_FETCH ? 'I' :
		kind == ACCESS_RMW ? 'M' :
		access_writes(kind) ? 'S' :
				      'L';
}

/* A random trace as text. */
static FILE *export(struct rig *rig, uint64_t seed, const char *format)
{
	FILE *f;

	rig_init(rig, seed);
	assert_int_equal(rig_export(rig, format), CLI_OK);
	f = fopen(rig->out, "r");
	assert_non_null(f);
	return f;
}

static void expect_line(FILE *f, const char *expected)
{
	char line[128];

	assert_non_null(fgets(line, sizeof(line), f));
	assert_string_equal(line, expected);
}

static void expect_end(FILE *f)
{
	assert_int_equal(fgetc(f), EOF);
	fclose(f);
}

static void lackey_says_what_the_trace_says(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= EXPORT_SEEDS; seed++) {
		char line[128];
		struct rig rig;
		FILE *f = export(&rig, seed, "lackey");

		while (rig_next(&rig)) {
			const struct access *a = &rig.record.access;
			bool fetch = a->kind == ACCESS_FETCH;

			sprintf(line, "I  %08" PRIx64 ",%d\n", a->ip,
				a->insn_len);
			if (a->insn_len && !fetch)
				expect_line(f, line);
			for (uint32_t i = 0; i < pieces(&rig); i++) {
				struct access_lane p = piece(&rig, i);

				sprintf(line, "%s%c%s %08" PRIx64 ",%u\n",
					fetch ? "" : " ", letter(a->kind),
					fetch ? " " : "", p.address, p.size);
				expect_line(f, line);
			}
		}
		expect_end(f);
		rig_fini(&rig);
	}
}

static void din_says_what_the_trace_says(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= EXPORT_SEEDS; seed++) {
		char line[128];
		struct rig rig;
		FILE *f = export(&rig, seed, "din");

		while (rig_next(&rig))
			for (uint32_t i = 0; i < pieces(&rig); i++) {
				struct access_lane p = piece(&rig, i);
				char kind = letter(rig.record.access.kind);
				const char *labels = kind == 'I' ? "2" :
					kind == 'M' ? "01" :
					kind == 'S' ? "1" :
						      "0";

				for (; *labels; labels++) {
					sprintf(line, "%c %" PRIx64 " %u\n",
						*labels, p.address, p.size);
					expect_line(f, line);
				}
			}
		expect_end(f);
		rig_fini(&rig);
	}
}

static void memtrace_says_what_the_trace_says(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= EXPORT_SEEDS; seed++) {
		char line[128];
		struct rig rig;
		FILE *f = export(&rig, seed, "memtrace");

		expect_line(f, "Format: <instr address>,<(r)ead/(w)rite>,"
			       "<data size>,<data address>\n");
		while (rig_next(&rig))
			for (uint32_t i = 0; i < pieces(&rig); i++) {
				struct access_lane p = piece(&rig, i);
				char kind = letter(rig.record.access.kind);
				const char *labels = kind == 'I' ? "" :
					kind == 'M' ? "rw" :
					kind == 'S' ? "w" :
						      "r";

				for (; *labels; labels++) {
					sprintf(line,
						"0x%016" PRIx64 ",%c,%u,0x%016"
						PRIx64 "\n",
						rig.record.access.ip, *labels,
						p.size, p.address);
					expect_line(f, line);
				}
			}
		expect_end(f);
		rig_fini(&rig);
	}
}

/* ---- import ---- */

static int import(const char *from, const char *to, bool fetches)
{
	char *argv[] = { "custos trace import", "lackey",
		(char *)(uintptr_t)from, "-o", (char *)(uintptr_t)to,
		fetches ? "--fetches" : NULL, NULL };

	optind = 0;
	return trace_import_run(fetches ? 6 : 5, argv);
}

static void name_files(struct rig *rig)
{
	snprintf(rig->trace, sizeof(rig->trace), "/tmp/custos-import-%d",
		(int)getpid());
	snprintf(rig->out, sizeof(rig->out), "/tmp/custos-import-%d.text",
		(int)getpid());
}

static void check_range(const struct rig *rig)
{
	const struct trace_meta *meta = trace_reader_meta(rig->reader);
	const struct access *a = &rig->record.access;
	const struct trace_range *range = &meta->ranges[a->range];

	assert_in_range(a->range, 0, meta->range_count - 1);
	assert_int_equal(range->address + a->offset, a->address);
	assert_true(a->offset + a->size <= range->length);
	assert_int_equal(a->kept_count, a->size);
	assert_null(a->old_bytes);
	assert_null(a->new_bytes);
	assert_null(rig->record.final_bytes);
}

static void what_is_exported_is_imported(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= EXPORT_SEEDS; seed++) {
		struct rig rig, back = { 0 };

		rig_init(&rig, seed);
		assert_int_equal(rig_export(&rig, "lackey"), CLI_OK);
		sprintf(back.trace, "%s", rig.trace);
		strcat(back.trace, ".back");
		assert_int_equal(import(rig.out, back.trace, false), CLI_OK);
		rig_open(&back);
		while (rig_next(&rig)) {
			const struct access *a = &rig.record.access;
			const struct access *b = &back.record.access;

			if (a->kind == ACCESS_FETCH)
				continue;
			for (uint32_t i = 0; i < pieces(&rig); i++) {
				struct access_lane p = piece(&rig, i);

				if (!p.size)
					continue;
				assert_true(rig_next(&back));
				check_range(&back);
				assert_int_equal(b->address, p.address);
				assert_int_equal(b->size, p.size);
				assert_int_equal(
					letter(b->kind), letter(a->kind));
				if (a->insn_len)
					assert_int_equal(b->ip, a->ip);
			}
		}
		assert_false(rig_next(&back));
		assert_null(trace_reader_damage(back.reader, 0));
		unlink(back.out);
		rig_fini(&rig);
		trace_reader_close(back.reader);
		unlink(back.trace);
	}
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* What valgrind --tool=lackey --trace-mem=yes says, with the program's own
 * output and with lines nobody should believe. */
static const char lackey_text[] =
	"==1234== Lackey, an example Valgrind tool\n"
	"I  04016b80,3\n"
	" S 1ffefffe88,8\n"
	"I  04016b83,5\r\n"
	" L 0400fffc,8\n"
	"hello\n"
	" L 04010000,banana\n"
	" L ffffffffffffffff,2\n"
	" L 123456789abcdef01,2\n"
	" L -5,2\n"
	" L 5,-2\n"
	" L 5,0\n"
	" S 5,99999999999\n"
	" L\n"
	" M fffffffffffffff8,8\n"
	"==1234== Counted 0 calls to main()\n";

static void lackey_as_valgrind_writes_it(void **state)
{
	static const struct {
		enum access_kind kind;
		uint64_t address, ip;
	} expected[] = {
		{ ACCESS_FETCH, 0x4016b80, 0x4016b80 },
		{ ACCESS_STORE, 0x1ffefffe88, 0x4016b80 },
		{ ACCESS_FETCH, 0x4016b83, 0x4016b83 },
		{ ACCESS_LOAD, 0x400fffc, 0x4016b83 },
		{ ACCESS_RMW, 0xfffffffffffffff8, 0x4016b83 },
	};
	struct rig rig = { 0 };

	(void)state;
	name_files(&rig);
	write_text(rig.out, lackey_text);
	assert_int_equal(import(rig.out, rig.trace, true), CLI_OK);
	rig_open(&rig);
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		assert_true(rig_next(&rig));
		check_range(&rig);
		assert_int_equal(rig.record.access.kind, expected[i].kind);
		assert_int_equal(
			rig.record.access.address, expected[i].address);
		assert_int_equal(rig.record.access.ip, expected[i].ip);
	}
	assert_false(rig_next(&rig));
	write_text(rig.out, "nothing of this kind\n");
	assert_int_equal(import(rig.out, rig.trace, true), CLI_FAILED);
	assert_int_equal(import("/nonexistent", rig.trace, true), CLI_FAILED);
	rig_fini(&rig);
}

/* Ranges stay few, however the addresses are spread. */
static void scattered_addresses(void **state)
{
	struct rig rig = { 0 };
	FILE *f;

	(void)state;
	name_files(&rig);
	f = fopen(rig.out, "w");
	assert_non_null(f);
	for (uint64_t i = 0; i < 5000; i++)
		fprintf(f, " S %" PRIx64 ",8\n", i * i * 40961 + 4090);
	fclose(f);
	assert_int_equal(import(rig.out, rig.trace, false), CLI_OK);
	rig_open(&rig);
	while (rig_next(&rig))
		check_range(&rig);
	assert_int_equal(rig.accesses, 5000);
	assert_in_range(trace_reader_meta(rig.reader)->range_count, 1, 1000);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lackey_says_what_the_trace_says),
		cmocka_unit_test(din_says_what_the_trace_says),
		cmocka_unit_test(memtrace_says_what_the_trace_says),
		cmocka_unit_test(what_is_exported_is_imported),
		cmocka_unit_test(lackey_as_valgrind_writes_it),
		cmocka_unit_test(scattered_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
