/* SPDX-License-Identifier: MIT */
#include "keeper/builtin.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct builtin builtin_table[] = {
	{ "log", "RANGE", "tell every access",
		"what touches these bytes at all, and in which order",
		builtin_log_create },
	{ "watch", "RANGE", "tell changes of value, old -> new",
		"a variable that has a value nobody seems to store",
		builtin_watch_create },
	{ "who", "RANGE", "tell which instructions touch which bytes",
		"code that uses a variable it has no business with",
		builtin_who_create },
	{ "guard", "RANGE[,BYTES]", "tell accesses out of an object's bounds",
		"a buffer written or read beyond its end or before its start",
		builtin_guard_create },
	{ "freeze", "RANGE[,pass]", "deny stores, tell who tries",
		"a constant that something changes",
		builtin_freeze_create },
	{ "uninit", "RANGE", "tell loads of bytes never stored",
		"a value used before anybody has given it",
		builtin_uninit_create },
	{ "inject", "RANGE:FAULTS", "flip bits, serve old values, delay",
		"a program that believes whatever it loads",
		builtin_inject_create },
	{ "race", "DATA,...", "tell unordered accesses by two processes",
		"a missing lock, a flag that is set too early",
		builtin_race_create },
	{ "lockcheck", "LOCK:DATA", "tell accesses without holding a lock",
		"the one place that forgot the lock",
		builtin_lockcheck_create },
	{ "share", "RANGE[,mode=rw]", "one writer at a time, handed on",
		"a process that stores out of its turn",
		builtin_share_create },
	{ "device", "NAME=FILE", "a device, from a table of registers",
		"a driver that uses a register wrongly",
		builtin_device_create },
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

/* ---- what they have in common ---- */

void *builtin_create(size_t size, const struct keeper_ops *ops,
	const struct builtin_host *host, struct error *err)
{
	struct builtin_state *state = calloc(1, size);

	if (!state || keeper_init(&state->keeper, ops)) {
		free(state);
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	state->host = host;
	return state;
}

void builtin_destroy(struct keeper *keeper)
{
	struct builtin_state *state = (struct builtin_state *)keeper;

	buf_fini(&state->line);
	free(state);
}

void builtin_say(struct builtin_state *state)
{
	if (state->line.len)
		state->host->finding(state->host->ctx, state->keeper.ops->name,
			buf_str(&state->line));
	buf_reset(&state->line);
}

int builtin_split(const char *argument, const char *separator, char *out_range,
	const char **out_rest, struct error *err)
{
	size_t len = separator ? (size_t)(separator - argument) :
				 strlen(argument);

	if (len >= BUILTIN_RANGE_TEXT_MAX)
		return error_set(err, -EINVAL,
			"a range has at most %d characters",
			BUILTIN_RANGE_TEXT_MAX - 1);
	memcpy(out_range, argument, len);
	out_range[len] = '\0';
	*out_rest = separator ? separator + 1 : "";
	return 0;
}

bool builtin_next_word(const char **rest, char *out_word, size_t size)
{
	size_t len = strcspn(*rest, ",");
	size_t taken = len < size ? len : size - 1;

	if (!**rest)
		return false;
	memcpy(out_word, *rest, taken);
	out_word[taken] = '\0';
	*rest += len + ((*rest)[len] == ',');
	return true;
}

bool builtin_number(const char *word, const char *key, uint64_t *out,
	struct error *err)
{
	const char *text = word + strlen(key);
	char *end;

	if (strncmp(word, key, strlen(key)))
		return false;
	errno = 0;
	*out = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-')
		error_set(err, -EINVAL, "`%s': `%s' is not a number", word,
			text);
	return true;
}

int builtin_bytes(const char *range, uint64_t length, uint8_t **out,
	struct error *err)
{
	if (length > BUILTIN_BYTES_MAX)
		return error_set(err, -EINVAL,
			"range '%s' has more than %" PRIu64 " bytes", range,
			BUILTIN_BYTES_MAX);
	*out = calloc(1, length);
	return *out ? 0 : error_set(err, -ENOMEM, "out of memory");
}

uint64_t builtin_address(const struct access *access)
{
	for (uint32_t i = 0; access->lanes && i < access->lane_count; i++) {
		const struct access_lane *lane = &access->lanes[i];

		if (access->kept_first - lane->offset < lane->size)
			return lane->address +
				(access->kept_first - lane->offset);
	}
	return access->address + access->kept_first;
}

bool builtin_is_performed(enum outcome outcome, const uint8_t *final_bytes)
{
	return final_bytes && outcome != OUTCOME_ROLLBACK;
}

bool builtin_is_stored(const struct access *access, enum outcome outcome,
	const uint8_t *final_bytes)
{
	return access_writes(access->kind) && outcome != OUTCOME_ABSORB &&
		builtin_is_performed(outcome, final_bytes);
}

#define STACK_MAX 32

uint64_t builtin_site(
	const struct builtin_host *host, const struct access *access)
{
	uint64_t ips[STACK_MAX], hash = access->ip;
	size_t count = 0;

	if (host->stack && access->insn)
		count = host->stack(host->ctx, ips, STACK_MAX);
	for (size_t i = 1; i < count; i++)
		hash = (hash ^ ips[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

/* ---- words for people ---- */

/* " in take < step", when functions were inlined there. */
static void add_inlined(const struct builtin_host *host, uint64_t process,
	uint64_t ip, struct buf *out)
{
	struct buf names = BUF_INIT;

	if (!host->names->inlined)
		return;
	host->names->inlined(host->names->ctx, process, ip, &names);
	if (names.len)
		buf_printf(out, " in %s", buf_str(&names));
	buf_fini(&names);
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
		add_inlined(host, process, ip, out);
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

void builtin_describe_where(const struct builtin_host *host,
	const struct access *access, struct buf *out)
{
	size_t before = out->len;

	if (host->names && host->names->data && !access->lane_count)
		host->names->data(host->names->ctx, access->process,
			access->address + access->kept_first,
			access->kept_count, out);
	if (out->len > before)
		return;
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

void builtin_describe_stack(const struct builtin_host *host,
	const struct access *access, struct buf *out)
{
	uint64_t ips[STACK_MAX];
	size_t count = 0;

	if (host->stack && access->insn)
		count = host->stack(host->ctx, ips, STACK_MAX);
	for (size_t i = 0; i < count; i++) {
		buf_printf(out, "    #%zu ", i);
		/* A return address is behind its call. */
		describe_ip(host, access->process, ips[i] - (i ? 1 : 0), out);
		buf_add_char(out, '\n');
	}
}
