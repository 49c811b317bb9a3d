/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const module_names[LOG_MODULE_MAX] = {
	[LOG_BASE] = "base",
	[LOG_IMAGE] = "image",
	[LOG_DECODE] = "decode",
	[LOG_VMM] = "vmm",
	[LOG_PROCESS] = "process",
	[LOG_KEEPER] = "keeper",
	[LOG_SESSION] = "session",
	[LOG_CLI] = "cli",
};

static const char *const level_names[LOG_MAX] = {
	[LOG_NONE] = "none",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
	[LOG_TRACE] = "trace",
};

enum log_level log_levels[LOG_MODULE_MAX];

static bool set_level(const char *module, const char *level)
{
	bool found = false;
	enum log_level value;

	for (value = LOG_NONE; value < LOG_MAX; value++)
		if (!strcmp(level, level_names[value]))
			break;
	if (value == LOG_MAX)
		return false;
	for (int m = 0; m < LOG_MODULE_MAX; m++) {
		if (strcmp(module, "all") && strcmp(module, module_names[m]))
			continue;
		log_levels[m] = value;
		found = true;
	}
	return found;
}

void log_init(void)
{
	const char *env = getenv("CUSTOS_LOG");
	char *copy, *item, *save = NULL;

	if (!env || !(copy = strdup(env)))
		return;
	for (item = strtok_r(copy, ",", &save); item;
		item = strtok_r(NULL, ",", &save)) {
		char *colon = strchr(item, ':');

		if (colon)
			*colon = '\0';
		if (!set_level(item, colon ? colon + 1 : "debug"))
			fprintf(stderr,
				"custos: CUSTOS_LOG: cannot read `%s%s%s' "
				"(module:level, e.g. vmm:debug or all:trace)\n",
				item, colon ? ":" : "", colon ? colon + 1 : "");
	}
	free(copy);
}

void log_write(enum log_module module, enum log_level level,
	const char *format, ...)
{
	char line[1024];
	va_list args;

	/* One fprintf per line, so that threads do not mix theirs. */
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(stderr, "custos[%s:%s] %s\n", module_names[module],
		level_names[level], line);
}
