/* SPDX-License-Identifier: MIT */
/* watch: a store that leaves other bytes than were there. */
#include <errno.h>
#include <string.h>

#include "keeper/builtin.h"

static void watch_told(struct keeper *keeper, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	struct builtin_state *watch = (struct builtin_state *)keeper;
	const uint8_t *old_bytes = access->old_bytes + access->kept_first;

	(void)outcome;
	if (!final_bytes || !access_writes(access->kind))
		return;
	final_bytes += access->kept_first;
	if (!memcmp(old_bytes, final_bytes, access->kept_count))
		return;
	buf_add_str(&watch->line, "watch: ");
	builtin_describe_where(watch->host, access, &watch->line);
	buf_add_str(&watch->line, ": ");
	builtin_describe_bytes(old_bytes, access->kept_count, &watch->line);
	buf_add_str(&watch->line, " -> ");
	builtin_describe_bytes(final_bytes, access->kept_count, &watch->line);
	buf_add_str(&watch->line, " by ");
	builtin_describe_who(watch->host, access, &watch->line);
	buf_add_char(&watch->line, '\n');
	builtin_say(watch);
}

static const struct keeper_ops watch_ops = {
	.name = "watch",
	.help = "tells changes of value",
	.told = watch_told,
	.destroy = builtin_destroy,
};

int builtin_watch_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err)
{
	struct builtin_state *watch;
	int ret = builtin_ranges_add(out_ranges, err, "%s", argument);

	if (ret)
		return ret;
	watch = builtin_create(sizeof(*watch), &watch_ops, host, err);
	if (!watch)
		return -ENOMEM;
	*out = &watch->keeper;
	return 0;
}
