/* SPDX-License-Identifier: MIT */
#include "keeper/builtin.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const struct builtin builtin_table[] = {
	{ "log", "RANGE", "tell every access",
		"what touches these bytes at all, and in which order",
		builtin_log_create },
	{ "watch", "RANGE", "tell changes of value, old -> new",
		"a variable that has a value nobody seems to store",
		builtin_watch_create },
	{ NULL, NULL, NULL, NULL, NULL },
};

const struct builtin *builtin_find(const char *name)
{
	for (const struct builtin *b = builtin_table; b->name; b++)
		if (!strcmp(b->name, name))
			return b;
	return NULL;
}

int builtin_ranges_add(struct builtin_ranges *ranges, struct error *err,
	const char *format, ...)
{
	char *text = ranges->text[ranges->count];
	va_list args;
	int len;

	if (ranges->count == BUILTIN_RANGES_MAX)
		return error_set(err, -EINVAL, "more than %d ranges",
			BUILTIN_RANGES_MAX);
	va_start(args, format);
	len = vsnprintf(text, BUILTIN_RANGE_TEXT_MAX, format, args);
	va_end(args);
	if (len < 0 || len >= BUILTIN_RANGE_TEXT_MAX)
		return error_set(err, -EINVAL,
			"a range has at most %d characters",
			BUILTIN_RANGE_TEXT_MAX - 1);
	ranges->count++;
	return 0;
}

static void describe_ip(const struct builtin_host *host, uint64_t process,
	uint64_t ip, struct buf *out)
{
	size_t before;

	if (!host->names || !host->names->symbol) {
		buf_printf(out, "0x%" PRIx64, ip);
		return;
	}
	host->names->symbol(host->names->ctx, process, ip, out);
	if (!host->names->line)
		return;
	buf_add_str(out, " (");
	before = out->len;
	host->names->line(host->names->ctx, process, ip, out);
	if (out->len > before) {
		buf_add_char(out, ')');
	} else if (!out->failed) { /* no line known: take " (" back */
		out->len -= 2;
		out->data[out->len] = '\0';
	}
}

void builtin_describe_who(const struct builtin_host *host,
	const struct access *access, struct buf *out)
{
	buf_printf(out, "%s#%" PRIu64 " at ", access->process_name,
		access->process);
	describe_ip(host, access->process, access->ip, out);
}

void builtin_describe_where(const struct access *access, struct buf *out)
{
	buf_add_str(out, access->range_name);
	if (access->offset)
		buf_printf(out, "+%" PRIu64, access->offset);
}

void builtin_describe_bytes(
	const uint8_t *bytes, uint32_t count, struct buf *out)
{
	uint64_t value = 0;

	if (count > sizeof(value)) {
		buf_add_hex(out, bytes, count);
		return;
	}
	memcpy(&value, bytes, count);
	buf_printf(out, "0x%" PRIx64, value);
}

#define STACK_MAX 32

void builtin_describe_stack(const struct builtin_host *host,
	const struct access *access, struct buf *out)
{
	uint64_t ips[STACK_MAX];
	size_t count =
		host->stack ? host->stack(host->ctx, ips, STACK_MAX) : 0;

	for (size_t i = 0; i < count; i++) {
		buf_printf(out, "    #%zu ", i);
		/* A return address is behind its call. */
		describe_ip(host, access->process, ips[i] - (i ? 1 : 0), out);
		buf_add_char(out, '\n');
	}
}
