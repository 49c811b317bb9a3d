/* SPDX-License-Identifier: MIT */
/*
 * What keepers ask for while they decide: keep more, let go, revoke. Then the
 * bindings lock is held for reading and pages are locked, by this thread and
 * maybe by others that wait for the keeper, so bindings cannot change. The
 * request is noted and carried out by the same thread as soon as it has let
 * go of everything, before its process goes on; or by whoever takes the
 * bindings lock for writing before that.
 */
#include <errno.h>
#include <stdlib.h>

#include "session/session_impl.h"

enum request_kind { REQUEST_KEEP, REQUEST_RELEASE, REQUEST_REVOKE };

struct request {
	struct request *next;
	enum request_kind kind;
	struct range *range;
};

static struct request *take(struct session *s)
{
	struct request *r;

	pthread_mutex_lock(&s->request_mutex);
	r = s->requests;
	if (r) {
		s->requests = r->next;
		if (!s->requests)
			s->requests_end = &s->requests;
	}
	pthread_mutex_unlock(&s->request_mutex);
	return r;
}

static void keep_range(struct session *s, struct range *range)
{
	struct error err = { 0 };

	/* It may have been released again meanwhile. */
	if (range_is_live(range) && bind_live(s, range, &err))
		session_say(s, "custos: `%s' is not kept: %s\n", range->name,
			err.text);
}

static void carry_out(struct session *s, const struct request *r)
{
	const struct session_recorder *recorder = s->config.recorder;

	switch (r->kind) {
	case REQUEST_KEEP:
		if (recorder && recorder->kept)
			recorder->kept(recorder->ctx, r->range);
		keep_range(s, r->range);
		return;
	case REQUEST_RELEASE:
		if (recorder && recorder->released)
			recorder->released(recorder->ctx, r->range);
		if (!range_set_settle(s->config.ranges, r->range))
			bind_release(s, r->range);
		return;
	case REQUEST_REVOKE:
		if (recorder && recorder->revoked)
			recorder->revoked(recorder->ctx, r->range);
		grant_close_pages(s, r->range);
		return;
	}
}

void request_carry_out(struct session *s)
{
	struct request *r;

	while ((r = take(s))) {
		carry_out(s, r);
		free(r);
		/* Only now: others rely on it that 0 means done. */
		atomic_fetch_sub(&s->request_count, 1);
	}
}

void request_settle(struct session *s)
{
	if (!atomic_load(&s->request_count))
		return;
	pthread_rwlock_wrlock(&s->bindings_lock);
	request_carry_out(s);
	pthread_rwlock_unlock(&s->bindings_lock);
}

void request_destroy_all(struct session *s)
{
	struct request *r;

	while ((r = take(s)))
		free(r);
}

/* Is this thread deciding an access of this session's? */
static bool is_deciding(const struct session *s)
{
	return session_current && session_current->session == s;
}

static void add(struct session *s, struct request *r, enum request_kind kind,
	struct range *range)
{
	*r = (struct request){ .kind = kind, .range = range };
	pthread_mutex_lock(&s->request_mutex);
	*s->requests_end = r;
	s->requests_end = &r->next;
	atomic_fetch_add(&s->request_count, 1);
	pthread_mutex_unlock(&s->request_mutex);
	if (!is_deciding(s))
		request_settle(s);
}

int session_keep(struct session *s, struct range *range, struct error *err)
{
	struct request *r;
	uint64_t count;
	frame_t first;

	if (range->device &&
		(!target_device(s->config.target, range->device_name, &first,
			 &count) ||
			count * ARCH_PAGE_SIZE < range->length))
		return error_set(err, -ENODEV,
			"`%s': there is no such device, or it is smaller; a "
			"device must be kept before the target starts",
			range->name);
	r = malloc(sizeof(*r));
	if (!r)
		return error_set(err, -ENOMEM, "out of memory");
	add(s, r, REQUEST_KEEP, range);
	return 0;
}

bool session_release(
	struct session *s, struct range *range, struct keeper *keeper)
{
	struct request *r;

	if (!range_set_leave(s->config.ranges, range, keeper))
		return false;
	hold_release(s, range, keeper, true);
	r = malloc(sizeof(*r));
	if (r)
		add(s, r, REQUEST_RELEASE, range);
	/* Else its pages stay closed, and its accesses pass unseen. */
	return true;
}

int session_revoke(struct session *s, struct range *range)
{
	struct request *r = malloc(sizeof(*r));

	if (!r)
		return -ENOMEM;
	grant_forget(s, range);
	add(s, r, REQUEST_REVOKE, range);
	return 0;
}
