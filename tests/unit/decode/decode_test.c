/* SPDX-License-Identifier: MIT */
#include <custos/decode.h>

#include <errno.h>
#include <string.h>

#include "tests/support/tests.h"

#define BYTES(...) ((const uint8_t[]){ __VA_ARGS__ })
#define DECODE(insn, ...)                                                      \
	assert_int_equal(decode_insn(BYTES(__VA_ARGS__),                       \
				 sizeof(BYTES(__VA_ARGS__)), insn),            \
		0)

static void assert_operand(const struct insn *insn, unsigned i,
	enum access_kind kind, uint32_t size, const char *formula)
{
	char text[80];

	assert_true(i < insn->operand_count);
	assert_int_equal(insn->operands[i].kind, kind);
	assert_int_equal(insn->operands[i].size, size);
	decode_operand_text(insn, i, text, sizeof(text));
	assert_string_equal(text, formula);
}

static void tells_incomplete_from_impossible(void **state)
{
	struct insn insn;
	const uint8_t mov[] = { 0x48, 0x8b, 0x44, 0x24, 0x08 };
	const uint8_t invalid[] = { 0x06, 0, 0, 0 };
	uint8_t prefixes[20];

	(void)state;
	for (size_t len = 0; len < sizeof(mov); len++)
		assert_int_equal(decode_insn(mov, len, &insn), -ENODATA);
	assert_int_equal(decode_insn(mov, sizeof(mov), &insn), 0);
	assert_int_equal(insn.length, 5);
	assert_int_equal(
		decode_insn(invalid, sizeof(invalid), &insn), -EILSEQ);
	memset(prefixes, 0x66, sizeof(prefixes));
	assert_int_equal(
		decode_insn(prefixes, sizeof(prefixes), &insn), -EILSEQ);
}

static void lists_memory_operands(void **state)
{
	struct insn insn;

	(void)state;
	DECODE(&insn, 0x64, 0x48, 0x03, 0x44, 0x8b, 0x10);
	assert_int_equal(insn.operand_count, 1);
	assert_operand(
		&insn, 0, ACCESS_LOAD, 8, "fs:[rbx + rcx*4 + 0x10]");
	assert_int_equal(insn.method, INSN_EXECUTE);
	assert_false(insn.needs_xstate);

	DECODE(&insn, 0xff, 0x74, 0x24, 0xf8); /* push [rsp-8] */
	assert_int_equal(insn.operand_count, 2);
	assert_operand(&insn, 0, ACCESS_LOAD, 8, "[rsp - 0x8]");
	assert_operand(&insn, 1, ACCESS_STORE, 8, "[rsp - 0x8]");

	DECODE(&insn, 0xf3, 0xa5); /* rep movsd */
	assert_operand(&insn, 0, ACCESS_LOAD, 4, "[rsi]");
	assert_operand(&insn, 1, ACCESS_STORE, 4, "[rdi]");
	assert_true(insn.string && insn.repeated);

	DECODE(&insn, 0xf0, 0x48, 0xff, 0x05, 0x10, 0, 0, 0);
	assert_operand(&insn, 0, ACCESS_RMW, 8, "[rip + 0x10]");
	assert_true(insn.atomic);

	/* a masked store reads nothing; disp8 counts in vectors */
	DECODE(&insn, 0x62, 0xf1, 0x7c, 0x49, 0x11, 0x40, 0x01);
	assert_operand(&insn, 0, ACCESS_STORE, 64, "[rax + 0x40]");
	assert_true(insn.operands[0].conditional && insn.needs_xstate);
}

static void corrects_what_the_decoder_gets_wrong(void **state)
{
	struct insn insn;

	(void)state;
	DECODE(&insn, 0x0f, 0x18, 0x08); /* prefetcht0 [rax] */
	assert_int_equal(insn.operand_count, 0);
	assert_int_equal(insn.method, INSN_EXECUTE);
	DECODE(&insn, 0x66, 0x0f, 0x1f, 0x44, 0, 0); /* nop [rax+rax] */
	assert_int_equal(insn.operand_count, 0);
	DECODE(&insn, 0x48, 0x8d, 0x04, 0x1b); /* lea */
	assert_int_equal(insn.operand_count, 0);
	/* a vector store that is called a read elsewhere */
	DECODE(&insn, 0xc5, 0xfe, 0x7f, 0x07);
	assert_operand(&insn, 0, ACCESS_STORE, 32, "[rdi]");
}

static void refuses_to_execute_what_is_not_data_movement(void **state)
{
	static const uint8_t refused[][8] = {
		{ 0x8e, 0x20 }, /* mov fs, [rax] */
		{ 0x0f, 0xb4, 0x00 }, /* lfs eax, [rax] */
		{ 0xff, 0x28 }, /* jmp far [rax] */
		{ 0xff, 0x18 }, /* call far [rax] */
		{ 0x0f, 0x01, 0x00 }, /* sgdt [rax] */
		{ 0x0f, 0x01, 0x10 }, /* lgdt [rax] */
		{ 0x0f, 0x00, 0x00 }, /* sldt [rax] */
		{ 0x0f, 0xa1 }, /* pop fs */
		{ 0xcf }, /* iret */
		{ 0x0f, 0x05 }, /* syscall */
		{ 0xcd, 0x80 }, /* int 80h */
		{ 0x6c }, /* insb */
		{ 0x0f, 0xc7, 0x30 }, /* vmptrld [rax] */
		{ 0x0f, 0xae, 0x30 | 0x08 }, /* see below */
	};
	struct insn insn;

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(refused) / 8; i++) {
		assert_int_equal(decode_insn(refused[i], 8, &insn), 0);
		assert_int_equal(insn.method, INSN_STEP);
	}
}

static void text_never_overflows(void **state)
{
	struct insn insn;
	char text[64], whole[64];

	(void)state;
	DECODE(&insn, 0xe8, 0xfb, 0x0f, 0, 0);
	decode_text(&insn, 0x400000, whole, sizeof(whole));
	assert_string_equal(whole, "call 0x401000");
	for (size_t capacity = 0; capacity < sizeof(text); capacity++) {
		memset(text, 'x', sizeof(text));
		decode_text(&insn, 0x400000, text, capacity);
		if (capacity) {
			assert_true(strlen(text) < capacity);
			assert_memory_equal(text, whole, strlen(text));
		}
		assert_int_equal(text[capacity], 'x');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_incomplete_from_impossible),
		cmocka_unit_test(lists_memory_operands),
		cmocka_unit_test(corrects_what_the_decoder_gets_wrong),
		cmocka_unit_test(refuses_to_execute_what_is_not_data_movement),
		cmocka_unit_test(text_never_overflows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
