/* SPDX-License-Identifier: MIT */
#include "image/cfi.h"

#include <dwarf.h>
#include <string.h>

#include "tests/support/tests.h"

/* A CIE and one FDE about [0x1000, 0x1040), as .debug_frame has them. */
static const uint8_t good[] = {
	/* CIE: length, id, version, augmentation, code 1, data -8, rip */
	0x14, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 3, 0, 1, 0x78, 16,
	DW_CFA_def_cfa, 7, 8, /* CFA = rsp + 8 */
	DW_CFA_offset | 16, 1, /* rip at CFA - 8 */
	DW_CFA_nop, DW_CFA_nop, DW_CFA_nop, DW_CFA_nop, DW_CFA_nop, DW_CFA_nop,
	/* FDE: length, CIE, start, size */
	0x24, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x10, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0,
	0, 0, 0, 0,
	DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 16, DW_CFA_offset | 6, 2,
	DW_CFA_remember_state, DW_CFA_advance_loc1, 0x10, DW_CFA_same_value, 6,
	DW_CFA_def_cfa_offset, 8, DW_CFA_advance_loc1, 0x10,
	DW_CFA_restore_state, DW_CFA_nop
};

static struct cfi_table table;

static void load(const uint8_t *bytes, size_t size, bool eh_frame)
{
	cfi_table_fini(&table);
	cfi_table_add(&table, bytes, size, 0, eh_frame);
	cfi_table_sort(&table);
}

static struct cfi_row row_at(uint64_t address)
{
	const struct cfi_entry *entry = cfi_table_find(&table, address);
	struct cfi_row row;

	assert_non_null(entry);
	assert_true(cfi_entry_run(entry, address, &row));
	return row;
}

static void rows_change_with_the_address(void **state)
{
	static const struct {
		uint64_t address;
		int64_t cfa, rbp; /* 0: not saved */
	} cases[] = { { 0x1000, 8, 0 }, { 0x1001, 16, -16 },
		{ 0x1010, 16, -16 }, { 0x1011, 8, 0 }, { 0x1020, 8, 0 },
		{ 0x1021, 16, -16 }, { 0x103f, 16, -16 } };

	(void)state;
	load(good, sizeof(good), false);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cfi_row row = row_at(cases[i].address);

		assert_int_equal(row.cfa.kind, CFI_IS_OFFSET);
		assert_int_equal(row.cfa_register, CFI_RSP);
		assert_int_equal(row.cfa.number, cases[i].cfa);
		assert_int_equal(row.columns[CFI_RBP].kind == CFI_AT_OFFSET,
			cases[i].rbp != 0);
		assert_int_equal(
			row.columns[CFI_RBP].number, cases[i].rbp);
		assert_int_equal(row.columns[CFI_RIP].number, -8);
	}
	assert_null(cfi_table_find(&table, 0xfff));
	assert_null(cfi_table_find(&table, 0x1040));
}

static void nothing_is_made_of_half_an_entry(void **state)
{
	(void)state;
	for (size_t size = 0; size < sizeof(good); size++) {
		uint8_t *cut = malloc(size ? size : 1);

		memcpy(cut, good, size);
		load(cut, size, false);
		assert_int_equal(table.count, 0);
		load(cut, size, true);
		cfi_table_fini(&table);
		free(cut);
	}
}

/* Any register number, any length: no memory is asked for by the file. */
static void survives_any_instruction(void **state)
{
	static const uint8_t tails[][10] = {
		{ DW_CFA_offset_extended, 0xff, 0xff, 0xff, 0xff, 0x7f, 1 },
		{ DW_CFA_register, 0xff, 0xff, 0x7f, 0xff, 0xff, 0x7f },
		{ DW_CFA_def_cfa, 0xff, 0xff, 0xff, 0xff, 0x7f, 1 },
		{ DW_CFA_expression, 6, 0xff, 0xff, 0xff, 0x7f },
		{ DW_CFA_restore_state, DW_CFA_restore_state },
		{ DW_CFA_remember_state, DW_CFA_remember_state,
			DW_CFA_remember_state, DW_CFA_remember_state,
			DW_CFA_remember_state, DW_CFA_remember_state,
			DW_CFA_remember_state, DW_CFA_remember_state,
			DW_CFA_remember_state, DW_CFA_remember_state },
		{ DW_CFA_advance_loc4, 0xff, 0xff, 0xff, 0xff },
		{ 0x3f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		uint8_t bytes[sizeof(good)];
		struct cfi_row row;

		memcpy(bytes, good, sizeof(good));
		memcpy(bytes + sizeof(good) - 10, tails[i], 10);
		load(bytes, sizeof(bytes), false);
		assert_int_equal(table.count, 1);
		cfi_entry_run(&table.entries[0], 0x103f, &row);
	}
}

static void every_wrong_byte_is_survived(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good); i++) {
		for (unsigned value = 0; value < 256; value++) {
			uint8_t bytes[sizeof(good)];
			struct cfi_row row;

			memcpy(bytes, good, sizeof(good));
			bytes[i] = (uint8_t)value;
			load(bytes, sizeof(bytes), false);
			if (table.count)
				cfi_entry_run(&table.entries[0], 0x1030, &row);
			load(bytes, sizeof(bytes), true);
		}
	}
}

static void numbers_are_read_as_dwarf_has_them(void **state)
{
	static const uint8_t bytes[] = { 0xe5, 0x8e, 0x26, 0x7f, 0x80, 0x7f,
		0xff, 0xfe };
	struct cfi_cursor cursor = { bytes, bytes + sizeof(bytes), false };
	static const uint8_t endless[] = { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
		0x80, 0x80, 0x80, 0x80, 0x80, 0x80 };
	struct cfi_cursor bad = { endless, endless + sizeof(endless), false };

	(void)state;
	assert_int_equal(cfi_read_uleb(&cursor), 624485);
	assert_int_equal(cfi_read_sleb(&cursor), -1);
	assert_int_equal(cfi_read_sleb(&cursor), -128);
	assert_int_equal(cfi_read_signed(&cursor, 1), -1);
	assert_int_equal(cfi_read(&cursor, 1), 0xfe);
	assert_false(cursor.bad);
	assert_int_equal(cfi_read(&cursor, 1), 0);
	assert_true(cursor.bad);
	cfi_read_uleb(&bad);
	assert_true(bad.bad);
}

static int teardown(void **state)
{
	(void)state;
	cfi_table_fini(&table);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_change_with_the_address),
		cmocka_unit_test(nothing_is_made_of_half_an_entry),
		cmocka_unit_test(survives_any_instruction),
		cmocka_unit_test(every_wrong_byte_is_survived),
		cmocka_unit_test(numbers_are_read_as_dwarf_has_them),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
