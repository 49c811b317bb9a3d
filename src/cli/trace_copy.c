/* SPDX-License-Identifier: MIT */
#include "cli/trace_copy.h"

static void name_site(
	void *ctx, const struct access *access, struct trace_site *site)
{
	const struct trace_copy *copy = ctx;

	(void)access;
	if (!copy->site)
		return;
	site->symbol = copy->site->symbol;
	site->line = copy->site->line;
	site->text = copy->site->text;
}

bool trace_copy_open(struct trace_copy *copy, struct trace_query *q,
	const char *path, const struct trace_meta *meta)
{
	const struct trace_writer_options options = { .regs = true,
		.stacks = true };
	struct trace_meta about = *meta;
	struct error err = { 0 };

	about.start = NULL; /* a part of a run, or several, cannot be rerun */
	*copy = (struct trace_copy){ .q = q };
	if (!trace_query_may_write(q, path))
		return false;
	if (!trace_writer_open(path, &about, &options, &copy->writer, &err))
		return true;
	trace_query_fail(q, "%s", err.text);
	return false;
}

bool trace_copy_add_from(struct trace_copy *copy,
	const struct trace_query *source, const struct trace_record *record)
{
	const struct trace_site_names names = { copy, name_site };
	int status = 0;

	copy->site = record->kind == TRACE_ACCESS
		? trace_reader_site(source->reader, record->site)
		: NULL;
	trace_writer_add(copy->writer, record, &names);
	trace_writer_lost(copy->writer, &status);
	return !status; /* told when it is closed */
}

bool trace_copy_add(
	struct trace_copy *copy, const struct trace_record *record)
{
	return trace_copy_add_from(copy, copy->q, record);
}

void trace_copy_close(struct trace_copy *copy, int64_t exit_code)
{
	struct error err = { 0 };

	if (copy->writer &&
		trace_writer_close(copy->writer, exit_code, &err))
		trace_query_fail(copy->q, "%s", err.text);
	copy->writer = NULL;
}
