/* SPDX-License-Identifier: MIT */
/*
 * Built-in keepers without a run: accesses made by hand, findings collected.
 * The program is count.elf of fake_image.h: counter at 0x404010 (8 bytes),
 * counts at 0x404020 (64 bytes, the first 4 from the file).
 */
#ifndef CUSTOS_TESTS_BUILTIN_PROGRAM_H
#define CUSTOS_TESTS_BUILTIN_PROGRAM_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/builtin.h"
#include "tests/support/tests.h"
#include "tests/unit/keeper/fake_image.h"

#define COUNTER UINT64_C(0x404010)
#define COUNTS UINT64_C(0x404020)

static char found[65536]; /* all findings so far */
static unsigned findings;
static uint64_t caller; /* the stack: the instruction and this, if not 0 */
static uint64_t seq;

static void on_finding(void *ctx, const char *keeper, const char *text)
{
	size_t used = strlen(found), len = strlen(text);

	(void)ctx;
	assert_true(strlen(keeper) && len && text[len - 1] == '\n');
	assert_true(used + len < sizeof(found));
	memcpy(found + used, text, len + 1);
	findings++;
}

static size_t on_stack(void *ctx, uint64_t *out_ips, size_t max)
{
	(void)ctx;
	assert_true(max >= 2);
	out_ips[0] = 0;
	out_ips[1] = caller;
	return caller ? 2 : 0;
}

static const struct builtin_host fake_host = {
	.images = fake_images,
	.image_count = 1,
	.finding = on_finding,
	.stack = on_stack,
};

static void forget(void)
{
	found[0] = '\0';
	findings = 0;
}

/* Create a built-in, its ranges checked against want (NULLs: don't care). */
static __attribute__((unused)) struct keeper *make(
	const char *name, const char *argument, struct builtin_ranges *ranges)
{
	struct error err = { 0 };
	struct keeper *keeper = NULL;
	struct builtin_ranges own = { .count = 0 };

	forget();
	caller = 0;
	seq = 0;
	if (builtin_find(name)->create(argument, &fake_host, &keeper,
		    ranges ? ranges : &own, &err))
		fail_msg("--%s %s: %s", name, argument, err.text);
	return keeper;
}

static __attribute__((unused)) void is_refused(
	const char *name, const char *argument, const char *says)
{
	struct error err = { 0 };
	struct keeper *keeper = NULL;
	struct builtin_ranges ranges = { .count = 0 };

	assert_true(builtin_find(name)->create(argument, &fake_host, &keeper,
			    &ranges, &err) < 0);
	assert_null(keeper);
	if (!strstr(err.text, says))
		fail_msg("--%s %s: %s", name, argument, err.text);
}

static const uint8_t some_insn[] = { 0x90 };

/* An access to a whole kept piece: offset bytes into a range at base. */
static __attribute__((unused)) struct access touch_at(enum access_kind kind,
	uint64_t base, uint64_t offset, uint32_t size, uint64_t ip)
{
	static const uint8_t before[64], after[64] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	return (struct access){
		.seq = ++seq,
		.kind = kind,
		.address = base + offset,
		.size = size,
		.range_name = "it",
		.offset = offset,
		.kept_count = size,
		.old_bytes = before,
		.new_bytes = access_writes(kind) ? after : NULL,
		.process = 1,
		.process_name = "count.elf",
		.ip = ip,
		.insn = kind > ACCESS_FETCH ? NULL : some_insn,
		.insn_len = 1,
	};
}

/* Tell it as performed. */
static __attribute__((unused)) void tell_access(
	struct keeper *keeper, const struct access *access)
{
	keeper_tell(keeper, access, OUTCOME_PASS,
		access->new_bytes ? access->new_bytes : access->old_bytes);
}

static __attribute__((unused)) void tell_touch(struct keeper *keeper,
	enum access_kind kind, uint64_t base, uint64_t offset, uint32_t size,
	uint64_t ip)
{
	struct access access = touch_at(kind, base, offset, size, ip);

	tell_access(keeper, &access);
}

/* Ask; the answer, with value's bytes in value (64 of them). */
static __attribute__((unused)) struct verdict ask_access(
	struct keeper *keeper, const struct access *access, uint8_t *value)
{
	struct verdict verdict = { .value = value };
	struct error err = { 0 };

	memcpy(value, access->new_bytes && !access_reads(access->kind) ?
			access->new_bytes :
			access->old_bytes,
		access->size);
	assert_int_equal(keeper_ask(keeper, access, VERDICT_PASS, &verdict,
				 &err),
		KEEPER_OK);
	return verdict;
}

static __attribute__((unused)) void finish_keeper(struct keeper *keeper)
{
	struct error err = { 0 };

	assert_int_equal(keeper_finish(keeper, &err), KEEPER_OK);
	keeper_destroy(keeper);
}

static __attribute__((unused)) void has_found(const char *text)
{
	if (!strstr(found, text))
		fail_msg("`%s' is not in: %s", text, found);
}

#endif
