/* SPDX-License-Identifier: MIT */
/* watch: a store that leaves other bytes than were there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/builtin.h"

struct watch {
	struct keeper keeper;
	const struct builtin_host *host;
	struct buf line;
};

static void watch_told(struct keeper *keeper, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	struct watch *watch = (struct watch *)keeper;
	const uint8_t *old_bytes = access->old_bytes + access->kept_first;

	(void)outcome;
	if (!final_bytes || !access_writes(access->kind))
		return;
	final_bytes += access->kept_first;
	if (!memcmp(old_bytes, final_bytes, access->kept_count))
		return;
	buf_reset(&watch->line);
	buf_add_str(&watch->line, "watch: ");
	builtin_describe_where(access, &watch->line);
	buf_add_str(&watch->line, ": ");
	builtin_describe_bytes(old_bytes, access->kept_count, &watch->line);
	buf_add_str(&watch->line, " -> ");
	builtin_describe_bytes(final_bytes, access->kept_count, &watch->line);
	buf_add_str(&watch->line, " by ");
	builtin_describe_who(watch->host, access, &watch->line);
	buf_add_char(&watch->line, '\n');
	watch->host->finding(watch->host->ctx, "watch", buf_str(&watch->line));
}

static void watch_destroy(struct keeper *keeper)
{
	struct watch *watch = (struct watch *)keeper;

	buf_fini(&watch->line);
	free(watch);
}

static const struct keeper_ops watch_ops = {
	.name = "watch",
	.help = "tells changes of value",
	.told = watch_told,
	.destroy = watch_destroy,
};

int builtin_watch_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	int ret;

	if (!watch || keeper_init(&watch->keeper, &watch_ops)) {
		free(watch);
		return error_set(err, -ENOMEM, "out of memory");
	}
	watch->host = host;
	ret = builtin_ranges_add(out_ranges, err, "%s", argument);
	if (ret)
		keeper_destroy(&watch->keeper);
	else
		*out = &watch->keeper;
	return ret;
}
