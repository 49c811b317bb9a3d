/* SPDX-License-Identifier: MIT */
/*
 * freeze: nobody may store. Each place in the program that tries is told once,
 * with its stack; how often is told at the end.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "keeper/builtin.h"
#include "keeper/builtin_map.h"
#include "keeper/range.h"

#define ALLOWED_MAX 8

struct freeze {
	struct builtin_state state;
	char range[BUILTIN_RANGE_TEXT_MAX];
	bool pass; /* tell only */
	struct allowed {
		uint64_t first, last;
	} allowed[ALLOWED_MAX]; /* code that may store */
	unsigned allowed_count;
	struct builtin_map sites; /* a uint64_t each */
	uint64_t stores;
};

static bool is_allowed(const struct freeze *freeze, const struct access *access)
{
	for (unsigned i = 0; i < freeze->allowed_count; i++)
		if (access->ip >= freeze->allowed[i].first &&
			access->ip <= freeze->allowed[i].last)
			return true;
	return false;
}

static void tell(struct freeze *freeze, const struct access *access)
{
	struct buf *line = &freeze->state.line;
	uint32_t first = access->kept_first, count = access->kept_count;

	buf_printf(line, "freeze: %s to ", access_kind_name(access->kind));
	builtin_describe_where(freeze->state.host, access, line);
	buf_add_str(line, freeze->pass ? " (" : " denied (");
	builtin_describe_bytes(access->old_bytes + first, count, line);
	buf_add_str(line, " -> ");
	builtin_describe_bytes(access->new_bytes + first, count, line);
	buf_add_str(line, ") by ");
	builtin_describe_who(freeze->state.host, access, line);
	buf_add_char(line, '\n');
	builtin_describe_stack(freeze->state.host, access, line);
	builtin_say(&freeze->state);
}

static enum keeper_status freeze_access(struct keeper *keeper,
	const struct access *access, struct verdict *verdict,
	struct error *err)
{
	struct freeze *freeze = (struct freeze *)keeper;
	size_t known = freeze->sites.count;
	uint64_t site;

	(void)err;
	verdict->kind = VERDICT_PASS;
	if (!access_writes(access->kind) || is_allowed(freeze, access))
		return KEEPER_OK;
	freeze->stores++;
	site = builtin_site(freeze->state.host, access);
	builtin_map_get(&freeze->sites, &site);
	if (freeze->sites.count > known)
		tell(freeze, access);
	if (freeze->pass)
		return KEEPER_OK;
	verdict->kind = VERDICT_DENY;
	snprintf(verdict->reason, sizeof(verdict->reason), "it is frozen");
	return KEEPER_OK;
}

static enum keeper_status freeze_stepped(struct keeper *keeper,
	const struct access *access, const struct step_report *report,
	struct verdict *verdict, struct error *err)
{
	(void)keeper;
	(void)access;
	(void)report;
	(void)err;
	verdict->kind = VERDICT_CONTINUE;
	return KEEPER_OK;
}

static enum keeper_status freeze_finish(
	struct keeper *keeper, struct error *err)
{
	struct freeze *freeze = (struct freeze *)keeper;

	(void)err;
	if (freeze->stores > freeze->sites.count)
		buf_printf(&freeze->state.line,
			"freeze: %s: %" PRIu64 " stores from %zu places\n",
			freeze->range, freeze->stores, freeze->sites.count);
	builtin_say(&freeze->state);
	return KEEPER_OK;
}

static void freeze_destroy(struct keeper *keeper)
{
	builtin_map_fini(&((struct freeze *)keeper)->sites);
	builtin_destroy(keeper);
}

static const struct keeper_ops freeze_ops = {
	.name = "freeze",
	.help = "denies stores",
	.access = freeze_access,
	.stepped = freeze_stepped,
	.finish = freeze_finish,
	.destroy = freeze_destroy,
};

static int add_allowed(
	struct freeze *freeze, const char *text, struct error *err)
{
	const struct builtin_host *host = freeze->state.host;
	uint64_t address, length;
	int ret;

	if (freeze->allowed_count == ALLOWED_MAX)
		return error_set(err, -EINVAL, "more than %d times allow=",
			ALLOWED_MAX);
	ret = range_resolve(text, host->images, host->image_count, &address,
		&length, err);
	if (ret)
		return ret;
	freeze->allowed[freeze->allowed_count++] =
		(struct allowed){ address, address + (length - 1) };
	return 0;
}

static int read_words(
	struct freeze *freeze, const char *rest, struct error *err)
{
	char word[BUILTIN_RANGE_TEXT_MAX];
	int ret = 0;

	while (!ret && builtin_next_word(&rest, word, sizeof(word))) {
		if (!strcmp(word, "pass"))
			freeze->pass = true;
		else if (!strncmp(word, "allow=", 6))
			ret = add_allowed(freeze, word + 6, err);
		else
			ret = error_set(err, -EINVAL,
				"`%s' is neither pass nor allow=FUNCTION",
				word);
	}
	return ret;
}

int builtin_freeze_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err)
{
	struct freeze *freeze =
		builtin_create(sizeof(*freeze), &freeze_ops, host, err);
	const char *rest;
	int ret;

	if (!freeze)
		return -ENOMEM;
	freeze->sites.entry_size = freeze->sites.key_size = sizeof(uint64_t);
	ret = builtin_split(
		argument, strchr(argument, ','), freeze->range, &rest, err);
	if (!ret)
		ret = read_words(freeze, rest, err);
	if (!ret)
		ret = builtin_ranges_add(out_ranges, err, "%s", freeze->range);
	if (ret)
		keeper_destroy(&freeze->state.keeper);
	else
		*out = &freeze->state.keeper;
	return ret;
}
