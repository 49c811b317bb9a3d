/* SPDX-License-Identifier: MIT */
/* log: every access, one line each, as it ended. */
#include <errno.h>
#include <stdlib.h>

#include "keeper/builtin.h"

struct logger {
	struct keeper keeper;
	const struct builtin_host *host;
	struct buf line;
};

static void log_told(struct keeper *keeper, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	struct logger *logger = (struct logger *)keeper;

	buf_reset(&logger->line);
	trace_access_text(access, outcome, final_bytes, logger->host->names,
		&logger->line);
	buf_add_char(&logger->line, '\n');
	logger->host->finding(
		logger->host->ctx, "log", buf_str(&logger->line));
}

static void log_destroy(struct keeper *keeper)
{
	struct logger *logger = (struct logger *)keeper;

	buf_fini(&logger->line);
	free(logger);
}

static const struct keeper_ops log_ops = {
	.name = "log",
	.help = "tells every access",
	.told = log_told,
	.destroy = log_destroy,
};

int builtin_log_create(const char *argument, const struct builtin_host *host,
	struct keeper **out, struct builtin_ranges *out_ranges,
	struct error *err)
{
	struct logger *logger = calloc(1, sizeof(*logger));
	int ret;

	if (!logger || keeper_init(&logger->keeper, &log_ops)) {
		free(logger);
		return error_set(err, -ENOMEM, "out of memory");
	}
	logger->host = host;
	ret = builtin_ranges_add(out_ranges, err, "%s", argument);
	if (ret)
		keeper_destroy(&logger->keeper);
	else
		*out = &logger->keeper;
	return ret;
}
