/* SPDX-License-Identifier: MIT */
/* device and its tables; share. */
#include "keeper/builtin_registers.h"

#include <stdio.h>
#include <unistd.h>

#include "tests/unit/keeper/builtin_support.h"

static const char table[] =
	"# a comment\n"
	"register CTRL 0x0 4 reset 0x2\n"
	"field ENABLE 0   # the lowest\n"
	"field MODE 1..3\n"
	"field LOCKED 7 read-only\n"
	"\n"
	"register STATUS 4 4 read-only reset 1\n"
	"register EVENT 8 1 write-1-to-clear reset 0xff\n"
	"register KEY 0x10 8 write-only parts\n"
	"register COUNT 0x20 2\n"
	"when store CTRL.ENABLE=1 set STATUS=0x10\n"
	"when load STATUS set COUNT+=3\n"
	"when store COUNT set CTRL.MODE=COUNT\n";

static void a_table_is_read(void **state)
{
	struct builtin_registers map = { .count = 0 };
	struct error err = { 0 };

	(void)state;
	if (builtin_registers_parse("t", table, &map, &err))
		fail_msg("%s", err.text);
	assert_int_equal(map.count, 5);
	assert_int_equal(map.end, 0x22);
	assert_int_equal(map.regs[0].field_count, 3);
	assert_int_equal(map.regs[0].fields[1].mask, 0xe);
	assert_int_equal(map.regs[0].masks[REGISTER_READ_WRITE], 0xf);
	assert_int_equal(map.regs[0].masks[REGISTER_READ_ONLY], 0x80);
	assert_int_equal(map.regs[0].reserved, 0xffffff70);
	assert_int_equal(map.regs[2].masks[REGISTER_CLEAR], 0xff);
	assert_int_equal(map.hook_count, 3);
	assert_ptr_equal(builtin_registers_at(&map, 0x17), &map.regs[3]);
	assert_null(builtin_registers_at(&map, 0x18));
	builtin_registers_fini(&map);
}

static void wrong_tables_are_refused_with_their_line(void **state)
{
	static const char *const rows[] = {
		"", "register", "register A", "register A 0", "register A 0 3",
		"register A 0 16", "register 1A 0 4", "register A-B 0 4",
		"register A 0xffff 4", "register A 99999999999 4",
		"register A 0 4 bogus", "register A 0 1 reset 256",
		"register A 0 4 reset", "field A 0",
		"register A 0 4\nregister A 4 4",
		"register A 0 4\nregister B 3 1",
		"register A 0 1\nfield B 8", "register A 0 1\nfield B 2..1",
		"register A 0 1\nfield B 1x",
		"register A 0 1\nfield B 1..",
		"register A 0 1\nfield B 0\nfield C 0..1",
		"register A 0 1\nfield B 0\nfield B 1",
		"register A 0 1\nfield B 0 bogus",
		"register A 0 1\nwhen", "register A 0 1\nwhen rmw A set A=1",
		"register A 0 1\nwhen load B set A=1",
		"register A 0 1\nwhen load A.B set A=1",
		"register A 0 1\nwhen load A=x set A=1",
		"register A 0 1\nwhen load A get A=1",
		"register A 0 1\nwhen load A set A",
		"register A 0 1\nwhen load A set A=x",
		"register A 0 1\nwhen load A set A+=A",
		"register A 0 1\nwhen load A set A=1 2",
		"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", "bogus",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct builtin_registers map = { .count = 0 };
		struct error err = { 0 };

		if (builtin_registers_parse("t", rows[i], &map, &err) !=
				-EINVAL ||
			strncmp(err.text, "t:", 2))
			fail_msg("row %zu `%s': %s", i, rows[i], err.text);
		builtin_registers_fini(&map);
	}
}

/* ---- the device ---- */

static struct keeper *device(void)
{
	char path[] = "/tmp/custos-registers-XXXXXX", argument[64];
	int fd = mkstemp(path);
	struct keeper *keeper;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, table, sizeof(table) - 1),
		sizeof(table) - 1);
	close(fd);
	snprintf(argument, sizeof(argument), "chip=%s", path);
	keeper = made("device", argument);
	unlink(path);
	return keeper;
}

/* One access, asked and told; what was loaded. */
static uint64_t make(struct keeper *k, enum access_kind kind, uint64_t offset,
	uint32_t size, uint64_t stored)
{
	struct made_up m = { .kind = kind, .offset = offset, .size = size,
		.process = 1, .ip = 0x1000 + offset * 8 + (stored & 7),
		.new_value = stored };
	struct access access = access_of(&m);
	uint64_t value = 0;
	struct verdict verdict = { .value = (uint8_t *)&value };
	struct error err;

	assert_int_equal(keeper_ask(k, &access, VERDICT_PASS, &verdict, &err),
		KEEPER_OK);
	if (kind == ACCESS_LOAD) {
		assert_int_equal(verdict.kind, VERDICT_SERVE);
		keeper_tell(k, &access, OUTCOME_SERVE, verdict.value);
	} else {
		assert_int_equal(verdict.kind, VERDICT_ABSORB);
		keeper_tell(k, &access, OUTCOME_ABSORB, access.old_bytes);
	}
	return value;
}

static void must_say(const char *text)
{
	if (!strstr(found, text))
		fail_msg("not said: %s\nbut: %s", text, found);
	found[0] = '\0';
}

static void registers_hold_what_was_stored(void **state)
{
	struct keeper *k = device();

	(void)state;
	assert_int_equal(make(k, ACCESS_LOAD, 0, 4, 0), 2);
	must_say("chip: loaded CTRL = 0x2 (ENABLE 0, MODE 1, LOCKED 0)");
	make(k, ACCESS_STORE, 0, 4, 0x7);
	must_say("chip: CTRL.ENABLE 0->1, CTRL.MODE 1->3 by test#1");
	assert_int_equal(make(k, ACCESS_LOAD, 0, 4, 0), 7);
	assert_null(strstr(found, "misuse"));
	keeper_destroy(k);
}

static void hooks_run(void **state)
{
	struct keeper *k = device();

	(void)state;
	assert_int_equal(make(k, ACCESS_LOAD, 4, 4, 0), 1);
	assert_int_equal(make(k, ACCESS_LOAD, 0x20, 2, 0), 3);
	make(k, ACCESS_STORE, 0, 4, 1);
	must_say("chip: then STATUS 0x1->0x10");
	make(k, ACCESS_STORE, 0x20, 2, 5);
	assert_int_equal(make(k, ACCESS_LOAD, 0, 4, 0), 1 | 5 << 1);
	keeper_destroy(k);
}

static void bits_do_what_they_are(void **state)
{
	struct keeper *k = device();

	(void)state;
	make(k, ACCESS_STORE, 8, 1, 0x0f);
	assert_int_equal(make(k, ACCESS_LOAD, 8, 1, 0), 0xf0);
	assert_null(strstr(found, "misuse"));
	make(k, ACCESS_STORE, 8, 1, 0);
	must_say("misuse of EVENT: only a 1 clears");
	make(k, ACCESS_STORE, 4, 4, 0);
	must_say("misuse of STATUS: it is read-only");
	assert_int_equal(make(k, ACCESS_LOAD, 4, 4, 0), 1);
	make(k, ACCESS_STORE, 0, 4, 0x80);
	must_say("misuse of CTRL: a read-only bit is set");
	make(k, ACCESS_STORE, 0, 4, 0x11);
	must_say("misuse of CTRL: a reserved bit is set");
	assert_int_equal(make(k, ACCESS_LOAD, 0, 4, 0), 1);
	keeper_destroy(k);
}

static void places_are_checked(void **state)
{
	struct keeper *k = device();

	(void)state;
	make(k, ACCESS_STORE, 0x10, 8, 0x1122334455667788);
	make(k, ACCESS_STORE, 0x14, 4, 0xaabbccdd);
	assert_null(strstr(found, "misuse"));
	assert_int_equal(make(k, ACCESS_LOAD, 0x10, 8, 0), 0);
	must_say("misuse of KEY: it is write-only");
	assert_int_equal(make(k, ACCESS_LOAD, 0x30, 4, 0), 0);
	must_say("misuse at offset 0x30: there is no register");
	assert_int_equal(make(k, ACCESS_LOAD, 0, 8, 0), 1ull << 32 | 2);
	must_say("misuse of CTRL: not all of it, or more than it");
	keeper_destroy(k);
}

/* ---- share ---- */

static enum verdict_kind touch(
	struct keeper *k, enum access_kind kind, uint64_t process)
{
	struct made_up m = { .kind = kind, .process = process,
		.ip = 0x100 * process, .new_value = 1 };
	struct access access = access_of(&m);
	uint64_t value;
	struct verdict verdict = { .value = (uint8_t *)&value };
	struct error err;

	assert_int_equal(keeper_ask(k, &access, VERDICT_PASS, &verdict, &err),
		KEEPER_OK);
	if (verdict.kind == VERDICT_PASS)
		keeper_tell(k, &access, OUTCOME_PASS,
			access.new_bytes ? access.new_bytes :
					   access.old_bytes);
	return verdict.kind;
}

static void a_writer_hands_on(void **state)
{
	struct keeper *k = made("share", "data");
	struct error err;

	(void)state;
	assert_int_equal(touch(k, ACCESS_STORE, 1), VERDICT_PASS);
	assert_int_equal(touch(k, ACCESS_LOAD, 2), VERDICT_PASS);
	assert_int_equal(touch(k, ACCESS_STORE, 2), VERDICT_DENY);
	must_say("store by test#2 at 0x200, before its writer #1 has handed "
		 "it on: denied");
	keeper_tell_ordered(k, 1, 2);
	assert_int_equal(touch(k, ACCESS_STORE, 2), VERDICT_PASS);
	must_say("its writer was #1 and is now test#2");
	assert_int_equal(touch(k, ACCESS_STORE, 1), VERDICT_DENY);
	keeper_tell_ordered(k, 2, 1);
	assert_int_equal(touch(k, ACCESS_STORE, 1), VERDICT_PASS);
	keeper_finish(k, &err);
	must_say("share: 2 transfers, 1 of them back");
	keeper_destroy(k);
}

static void readers_and_a_writer_exclude_each_other(void **state)
{
	struct keeper *k = made("share", "data,mode=rw");

	(void)state;
	assert_int_equal(touch(k, ACCESS_STORE, 1), VERDICT_PASS);
	assert_int_equal(touch(k, ACCESS_LOAD, 2), VERDICT_DENY);
	keeper_tell_ordered(k, 1, 2);
	assert_int_equal(touch(k, ACCESS_LOAD, 2), VERDICT_PASS);
	assert_int_equal(touch(k, ACCESS_STORE, 1), VERDICT_DENY);
	keeper_tell_ordered(k, 2, 1);
	assert_int_equal(touch(k, ACCESS_STORE, 1), VERDICT_PASS);
	keeper_destroy(k);
}

static void a_lock_hands_on(void **state)
{
	struct keeper *k = made("share", "data,sync=lock");
	const struct made_up release = { .kind = ACCESS_STORE, .process = 1,
		.range = 1 };
	const struct made_up take = { .kind = ACCESS_RMW, .process = 2,
		.range = 1, .atomic = true, .new_value = 1 };

	(void)state;
	assert_int_equal(touch(k, ACCESS_STORE, 1), VERDICT_PASS);
	tell(k, release);
	assert_int_equal(touch(k, ACCESS_STORE, 2), VERDICT_DENY);
	tell(k, take);
	assert_int_equal(touch(k, ACCESS_STORE, 2), VERDICT_PASS);
	keeper_destroy(k);
}

static void wrong_arguments_are_refused(void **state)
{
	(void)state;
	must_refuse("share", "data,mode=x");
	must_refuse("device", "chip");
	must_refuse("device", "=file");
	must_refuse("device", "chip=");
	must_refuse("device", "chip=/dev/zero");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_is_read),
		cmocka_unit_test(wrong_tables_are_refused_with_their_line),
		cmocka_unit_test(registers_hold_what_was_stored),
		cmocka_unit_test(hooks_run),
		cmocka_unit_test(bits_do_what_they_are),
		cmocka_unit_test(places_are_checked),
		cmocka_unit_test(a_writer_hands_on),
		cmocka_unit_test(readers_and_a_writer_exclude_each_other),
		cmocka_unit_test(a_lock_hands_on),
		cmocka_unit_test(wrong_arguments_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
