/* SPDX-License-Identifier: MIT */
/* The database as a file: it gets its name when it is complete. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/trace_export.h"

struct sqlite_export {
	struct trace_database *db;
	char *partial;
};

int trace_sqlite_begin(struct trace_export *e, struct error *err)
{
	struct sqlite_export *own = calloc(1, sizeof(*own));
	int ret;

	if (!own || asprintf(&own->partial, "%s.partial", e->path) < 0) {
		free(own);
		return error_set(err, -ENOMEM, "out of memory");
	}
	unlink(own->partial);
	ret = trace_database_open(own->partial, e->reader, &own->db, err);
	if (ret) {
		error_prefix(err, "%s", e->path);
		unlink(own->partial);
		free(own->partial);
		free(own);
		return ret;
	}
	e->own = own;
	return 0;
}

int trace_sqlite_record(struct trace_export *e,
	const struct trace_record *record, struct error *err)
{
	struct sqlite_export *own = e->own;

	return trace_database_add(own->db, record, err);
}

int trace_sqlite_end(struct trace_export *e, bool finished, struct error *err)
{
	struct sqlite_export *own = e->own;
	int ret = 0;

	if (finished)
		ret = trace_database_finish(own->db, true, err);
	trace_database_close(own->db);
	if (!ret && finished && rename(own->partial, e->path))
		ret = error_set_errno(err, -errno, "cannot write %s", e->path);
	if (ret || !finished)
		unlink(own->partial);
	free(own->partial);
	free(own);
	return ret;
}
