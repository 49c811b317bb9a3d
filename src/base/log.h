/* SPDX-License-Identifier: MIT */
/*
 * Diagnostics for the people who work on custos, to stderr, chosen with
 * CUSTOS_LOG=module:level[,module:level...], e.g. CUSTOS_LOG=vmm:debug or
 * CUSTOS_LOG=all:trace. What users need to know is an error, an event or a
 * summary line, not a log line.
 */
#ifndef CUSTOS_BASE_LOG_H
#define CUSTOS_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_NONE, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE, LOG_MAX };

enum log_module {
	LOG_BASE,
	LOG_IMAGE,
	LOG_DECODE,
	LOG_VMM,
	LOG_PROCESS,
	LOG_KEEPER,
	LOG_SESSION,
	LOG_CLI,
	LOG_MODULE_MAX
};

extern enum log_level log_levels[LOG_MODULE_MAX];

/* Read CUSTOS_LOG; unknown words are named on stderr. Once, at start. */
void log_init(void);

/* A disabled level costs one load and one compare. */
#define log_at(module, level, ...)                                             \
	do {                                                                   \
		if (__builtin_expect(log_levels[module] >= (level), 0))        \
			log_write(module, level, __VA_ARGS__);                 \
	} while (0)

#define log_warn(module, ...) log_at(module, LOG_WARN, __VA_ARGS__)
#define log_info(module, ...) log_at(module, LOG_INFO, __VA_ARGS__)
#define log_debug(module, ...) log_at(module, LOG_DEBUG, __VA_ARGS__)
#define log_trace(module, ...) log_at(module, LOG_TRACE, __VA_ARGS__)

void log_write(enum log_module module, enum log_level level,
	const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
