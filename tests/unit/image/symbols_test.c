/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "image/image.h"
#include "tests/support/tests.h"
#include "tests/unit/image/elf_builder.h"

#define GLOBAL(type) ELF64_ST_INFO(STB_GLOBAL, type)
#define LOCAL(type) ELF64_ST_INFO(STB_LOCAL, type)

static const struct elf_symbol symbols[] = {
	{ "main", GLOBAL(STT_FUNC), 1, TEXT_VA, 16 },
	{ "loop", LOCAL(STT_NOTYPE), 1, TEXT_VA + 8, 0 },
	{ "asm_label", GLOBAL(STT_NOTYPE), 1, TEXT_VA + 32, 0 },
	{ "counter", LOCAL(STT_OBJECT), 2, DATA_VA + 64, 8 },
	{ "counter", GLOBAL(STT_OBJECT), 2, DATA_VA + 128, 8 },
	{ "counters", GLOBAL(STT_OBJECT), 2, DATA_VA + 256, 64 },
	{ "ring_buffer", GLOBAL(STT_OBJECT), 2, DATA_VA + 512, 64 },
	{ "inner", LOCAL(STT_OBJECT), 2, DATA_VA + 520, 8 },
	{ "alias", LOCAL(STT_OBJECT), 2, DATA_VA + 512, 64 },
	{ "per_thread", GLOBAL(STT_TLS), 2, 0x10, 8 },
	{ "elsewhere", GLOBAL(STT_FUNC), SHN_UNDEF, TEXT_VA + 40, 8 },
	{ "number", GLOBAL(STT_NOTYPE), SHN_ABS, DATA_VA + 72, 0 },
	{ "wraps", GLOBAL(STT_OBJECT), 2, UINT64_MAX - 3, 100 },
};

static struct elf_file file;
static struct image *image;

static int setup(void **state)
{
	(void)state;
	elf_file_init(&file);
	elf_file_set_symbols(
		&file, symbols, sizeof(symbols) / sizeof(symbols[0]));
	return image_open_memory("t.elf", &file, sizeof(file), &image, NULL);
}

static int teardown(void **state)
{
	(void)state;
	image_close(image);
	return 0;
}

static void finds_names_global_first(void **state)
{
	struct image_symbol symbol;

	(void)state;
	assert_true(image_find_symbol(image, "counter", &symbol));
	assert_int_equal(symbol.address, DATA_VA + 128);
	assert_int_equal(symbol.size, 8);
	assert_false(symbol.function);
	assert_true(image_find_symbol(image, "inner", &symbol));
	assert_true(image_find_symbol(image, "main", &symbol));
	assert_true(symbol.function);
	assert_true(image_find_symbol(image, "wraps", &symbol));
	assert_int_equal(symbol.size, 0);
}

static void does_not_find_what_is_no_place_in_memory(void **state)
{
	static const char *const names[] = { "per_thread", "elsewhere",
		"number", "", "mai", "main2", "zzz" };
	struct image_symbol symbol;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_false(image_find_symbol(image, names[i], &symbol));
}

static void describes_addresses(void **state)
{
	static const struct {
		uint64_t address;
		const char *want;
	} cases[] = {
		{ TEXT_VA, "main" },
		{ TEXT_VA + 12, "main+0xc" }, /* not loop+0x4 */
		{ TEXT_VA + 16, "0x401010" }, /* main has a size */
		{ TEXT_VA + 32, "asm_label" },
		{ TEXT_VA + 40, "asm_label+0x8" },
		{ TEXT_VA + 64, "0x401040" }, /* its section ends */
		{ TEXT_VA - 1, "0x400fff" },
		{ DATA_VA + 71, "counter+0x7" },
		{ DATA_VA + 72, "0x403048" },
		{ DATA_VA + 512, "ring_buffer" }, /* not its local alias */
		{ DATA_VA + 521, "inner+0x1" },
		{ DATA_VA + 528, "ring_buffer+0x10" },
		{ 0, "0x0" },
		{ UINT64_MAX, "0xffffffffffffffff" },
	};
	struct buf buf = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_reset(&buf);
		image_describe(image, cases[i].address, &buf);
		assert_string_equal(buf_str(&buf), cases[i].want);
	}
	buf_fini(&buf);
}

static void names_the_nearest_symbols_best_first(void **state)
{
	static const struct {
		const char *name, *want;
	} cases[] = {
		{ "countr", "counter, counters" },
		{ "Counters", "counters, counter" },
		{ "cuonters", "counters" },
		{ "ring", "ring_buffer" },
		{ "my_ring_buffer", "ring_buffer" },
		{ "mian", "main" },
		{ "xyzzy", "" },
		{ "", "" },
		{ "m", "" },
	};
	struct buf buf = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_reset(&buf);
		image_nearest_symbols(image, cases[i].name, 2, &buf);
		assert_string_equal(buf_str(&buf), cases[i].want);
	}
	assert_int_equal(image_nearest_symbols(image, "counter", 0, &buf), 0);
	buf_fini(&buf);
}

static void an_image_without_symbols_has_none(void **state)
{
	struct elf_file stripped;
	struct image *bare;
	struct image_symbol symbol;
	struct buf buf = BUF_INIT;

	(void)state;
	elf_file_init(&stripped);
	stripped.header.e_shoff = stripped.header.e_shnum = 0;
	assert_int_equal(image_open_memory("t", &stripped, sizeof(stripped),
				 &bare, NULL),
		0);
	assert_false(image_find_symbol(bare, "main", &symbol));
	assert_false(image_symbol_at(bare, TEXT_VA, &symbol));
	assert_int_equal(image_nearest_symbols(bare, "main", 3, &buf), 0);
	image_close(bare);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_names_global_first),
		cmocka_unit_test(does_not_find_what_is_no_place_in_memory),
		cmocka_unit_test(describes_addresses),
		cmocka_unit_test(names_the_nearest_symbols_best_first),
		cmocka_unit_test(an_image_without_symbols_has_none),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
