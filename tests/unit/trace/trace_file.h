/* SPDX-License-Identifier: MIT */
/* The one trace of a test, removed after it. */
#ifndef CUSTOS_TESTS_UNIT_TRACE_FILE_H
#define CUSTOS_TESTS_UNIT_TRACE_FILE_H

#include <custos/trace.h>

#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "tests/support/tests.h"

static char path[64];

static int setup(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/custos-trace-%d", (int)getpid());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static struct trace_reader *open_trace(void)
{
	struct trace_reader *reader;
	struct error err = { 0 };

	if (trace_reader_open(path, &reader, &err))
		fail_msg("%s", err.text);
	return reader;
}

#endif
