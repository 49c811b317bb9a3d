/* SPDX-License-Identifier: MIT */
/* A built-in keeper without a target: told of accesses that a test makes up. */
#ifndef CUSTOS_TESTS_BUILTIN_SUPPORT_H
#define CUSTOS_TESTS_BUILTIN_SUPPORT_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/builtin.h"
#include "tests/support/tests.h"

static char found[65536];
static unsigned found_count;

static void on_finding(void *ctx, const char *keeper, const char *text)
{
	(void)ctx;
	(void)keeper;
	found_count++;
	if (strlen(found) + strlen(text) < sizeof(found))
		strcat(found, text);
}

static const struct builtin_host test_host = { .finding = on_finding };

/* The built-in with its ranges 0, 1, ... kept. */
static inline struct keeper *made(const char *name, const char *argument)
{
	struct builtin_ranges ranges = { .count = 0 };
	struct keeper *keeper = NULL;
	struct error err = { 0 };

	found[0] = '\0';
	found_count = 0;
	if (builtin_find(name)->create(
		    argument, &test_host, &keeper, &ranges, &err))
		fail_msg("%s", err.text);
	for (uint32_t i = 0; i < ranges.count; i++)
		keeper_tell_kept(keeper, i);
	return keeper;
}

static inline void must_refuse(const char *name, const char *argument)
{
	struct builtin_ranges ranges = { .count = 0 };
	struct keeper *keeper = NULL;
	struct error err = { 0 };

	assert_int_equal(builtin_find(name)->create(argument, &test_host,
				 &keeper, &ranges, &err),
		-EINVAL);
	assert_null(keeper);
	assert_true(err.text[0]);
}

struct made_up {
	enum access_kind kind;
	uint64_t process;
	uint64_t ip;
	uint32_t range;
	uint64_t offset;
	uint32_t size; /* 0: 8 */
	bool atomic;
	uint64_t old_value, new_value;
};

static inline struct access access_of(const struct made_up *m)
{
	static const uint8_t insn[1];
	static uint64_t seq;

	return (struct access){
		.seq = ++seq,
		.kind = m->kind,
		.atomic = m->atomic,
		.address = 0x1000 * (m->range + 1) + m->offset,
		.size = m->size ? m->size : 8,
		.range = m->range,
		.range_name = "range",
		.offset = m->offset,
		.kept_count = m->size ? m->size : 8,
		.old_bytes = (const uint8_t *)&m->old_value,
		.new_bytes = access_writes(m->kind) ?
			(const uint8_t *)&m->new_value :
			NULL,
		.process = m->process,
		.process_name = "test",
		.ip = m->ip,
		.insn = insn,
		.insn_len = 1,
	};
}

static inline void tell(struct keeper *keeper, struct made_up m)
{
	struct access access = access_of(&m);

	keeper_tell(keeper, &access, OUTCOME_PASS,
		access.new_bytes ? access.new_bytes : access.old_bytes);
}

#endif
