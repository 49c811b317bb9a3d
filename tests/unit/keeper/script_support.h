/* SPDX-License-Identifier: MIT */
/* Scripts from strings, asked about accesses made up here. */
#ifndef CUSTOS_TESTS_SCRIPT_SUPPORT_H
#define CUSTOS_TESTS_SCRIPT_SUPPORT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keeper/script.h"
#include "tests/support/tests.h"

struct asked {
	struct keeper *keeper;
	struct access access;
	struct verdict verdict;
	enum keeper_status status;
	struct error err;
	uint8_t old[64], new[64], value[64];
};

static struct buf printed;
static uint8_t memory[64]; /* of the process, at 0x1000 */

static void do_print(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	buf_add(&printed, text, len);
}

static size_t do_read(
	void *ctx, uint64_t process, uint64_t va, void *bytes, size_t len)
{
	(void)ctx;
	(void)process;
	if (va < 0x1000 || va >= 0x1000 + sizeof(memory))
		return 0;
	if (len > 0x1000 + sizeof(memory) - va)
		len = (size_t)(0x1000 + sizeof(memory) - va);
	memcpy(bytes, memory + (va - 0x1000), len);
	return len;
}

static size_t do_write(void *ctx, uint64_t process, uint64_t va,
	const void *bytes, size_t len)
{
	(void)ctx;
	(void)process;
	if (va < 0x1000 || va + len > 0x1000 + sizeof(memory))
		return 0;
	memcpy(memory + (va - 0x1000), bytes, len);
	return len;
}

static void name_symbol(
	void *ctx, uint64_t process, uint64_t address, struct buf *out)
{
	(void)ctx;
	buf_printf(out, "p%llu+0x%llx", (unsigned long long)process,
		(unsigned long long)address);
}

static void name_line(
	void *ctx, uint64_t process, uint64_t address, struct buf *out)
{
	(void)ctx;
	(void)process;
	if (address == 0x401000)
		buf_add_str(out, "ring.c:41");
}

static void name_text(void *ctx, const uint8_t *insn, uint8_t len, uint64_t ip,
	struct buf *out)
{
	(void)ctx;
	(void)insn;
	(void)ip;
	buf_printf(out, "insn of %u", len);
}

static const struct trace_names test_names = {
	.symbol = name_symbol,
	.line = name_line,
	.text = name_text,
};

static inline int script_from(const char *text, struct script_options options,
	struct keeper **out, struct error *err)
{
	char path[64];
	FILE *file;
	int rc;

	/* Tests run at the same time: one directory each. */
	snprintf(path, sizeof(path), "/tmp/custos-script-%d", (int)getpid());
	assert_non_null(file = fopen(path, "w"));
	fputs(text, file);
	fclose(file);
	options.names = &test_names;
	options.print = do_print;
	options.read = do_read;
	options.write = do_write;
	rc = script_open(path, &options, out, err);
	unlink(path);
	return rc;
}

static inline struct keeper *script_of_text(const char *text)
{
	struct error err = { 0 };
	struct keeper *keeper = NULL;

	if (script_from(text, (struct script_options){ 0 }, &keeper, &err))
		fail_msg("%s", err.text);
	return keeper;
}

/* An access to 8 bytes, old 5 and new 6; load: old only. */
static inline void asked_init(
	struct asked *asked, struct keeper *keeper, enum access_kind kind)
{
	static const uint8_t insn[] = { 0x48, 0x89, 0x05 };

	memset(asked, 0, sizeof(*asked));
	asked->keeper = keeper;
	asked->old[0] = 5;
	asked->new[0] = 6;
	asked->verdict.value = asked->value;
	asked->access = (struct access){
		.seq = 17,
		.kind = kind,
		.address = 0x404010,
		.size = 8,
		.range_name = "counter",
		.offset = 0x10,
		.kept_count = 8,
		.old_bytes = asked->old,
		.new_bytes = access_writes(kind) ? asked->new : NULL,
		.cpu = 1,
		.process = 3,
		.process_name = "count",
		.ip = 0x401000,
		.insn = insn,
		.insn_len = sizeof(insn),
	};
}

static inline void ask(struct asked *asked)
{
	const uint8_t *start = asked->access.new_bytes && asked->access.kind !=
			ACCESS_RMW
		? asked->new
		: asked->old;

	memcpy(asked->value, start, sizeof(asked->value));
	asked->err = (struct error){ 0 };
	asked->status = keeper_ask(asked->keeper, &asked->access, VERDICT_DENY,
		&asked->verdict, &asked->err);
}

static inline void ask_stepped(struct asked *asked, const struct step_report *report)
{
	asked->err = (struct error){ 0 };
	asked->status = keeper_ask_stepped(asked->keeper, &asked->access,
		report, VERDICT_DENY, &asked->verdict, &asked->err);
}

#endif
