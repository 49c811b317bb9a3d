/* SPDX-License-Identifier: MIT */
/* What keepers ask of a run that goes on: the session's answers. */
#include <errno.h>

#include "cli/run.h"

static size_t live_read(struct run *run, uint64_t process, uint64_t va,
	void *bytes, size_t len)
{
	return run->session ?
		session_read(run->session, process, va, bytes, len) :
		0;
}

static size_t live_write(struct run *run, uint64_t process, uint64_t va,
	const void *bytes, size_t len)
{
	return run->session ?
		session_write(run->session, process, va, bytes, len) :
		0;
}

static size_t live_stack(struct run *run, uint64_t *out_ips, size_t max)
{
	return run->session ? session_stack(run->session, out_ips, max) : 0;
}

/* Only the main chunk runs without a session, and it has none of these. */
static int live_keep(struct run *run, struct range *range, struct error *err)
{
	return session_keep(run->session, range, err);
}

static bool live_release(
	struct run *run, struct range *range, struct keeper *keeper)
{
	return session_release(run->session, range, keeper);
}

static int live_revoke(struct run *run, struct range *range)
{
	return session_revoke(run->session, range);
}

static size_t live_held_size(struct run *run, uint64_t seq)
{
	return run->session ? session_held_size(run->session, seq) : 0;
}

static int live_resume(struct run *run, uint64_t seq,
	const struct verdict *verdict, const uint8_t *value, size_t size)
{
	return run->session ? session_resume(run->session, seq, verdict, value,
				      size) :
			      -ENOENT;
}

const struct run_world run_live = {
	.read = live_read,
	.write = live_write,
	.stack = live_stack,
	.keep = live_keep,
	.release = live_release,
	.revoke = live_revoke,
	.held_size = live_held_size,
	.resume = live_resume,
};
