/* SPDX-License-Identifier: MIT */
/* log: every access, one line each, as it ended. */
#include <errno.h>

#include "keeper/builtin.h"

static void log_told(struct keeper *keeper, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	struct builtin_state *log = (struct builtin_state *)keeper;

	trace_access_text(
		access, outcome, final_bytes, log->host->names, &log->line);
	buf_add_char(&log->line, '\n');
	builtin_say(log);
}

static const struct keeper_ops log_ops = {
	.name = "log",
	.help = "tells every access",
	.told = log_told,
	.destroy = builtin_destroy,
};

int builtin_log_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err)
{
	struct builtin_state *log;
	int ret = builtin_ranges_add(out_ranges, err, "%s", argument);

	if (ret)
		return ret;
	log = builtin_create(sizeof(*log), &log_ops, host, err);
	if (!log)
		return -ENOMEM;
	*out = &log->keeper;
	return 0;
}
