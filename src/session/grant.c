/* SPDX-License-Identifier: MIT */
/*
 * What keepers granted: accesses that are made without asking them again. To
 * one process: they still stop, and pass. To all: the page itself is opened
 * when nothing else is kept in it, and accesses cost nothing and are not seen,
 * until the keeper revokes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "session/session_impl.h"

struct granted {
	const struct range *range;
	const struct range_link *link;
	uint64_t process; /* 0: all */
	bool writes;
};

/* With the mutex held: the first entry of the link, or where it would be.
 * Entries are sorted by link: thousands of ranges may be granted. */
static size_t lower(const struct session *s, const struct range_link *link)
{
	size_t low = 0, high = s->granted_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if ((uintptr_t)s->granted[middle].link < (uintptr_t)link)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* With the mutex held. */
static bool covers(const struct session *s, const struct range_link *link,
	uint64_t process, bool writes)
{
	for (size_t i = lower(s, link);
		i < s->granted_count && s->granted[i].link == link; i++) {
		const struct granted *g = &s->granted[i];

		if ((g->writes || !writes) &&
			(!g->process || g->process == process))
			return true;
	}
	return false;
}

bool grant_covers(struct session *s, const struct range_link *link,
	const struct access *access)
{
	bool found;

	if (!atomic_load_explicit(&s->granted_count, memory_order_relaxed))
		return false;
	pthread_mutex_lock(&s->grant_mutex);
	found = covers(
		s, link, access->process, access_writes(access->kind));
	pthread_mutex_unlock(&s->grant_mutex);
	return found;
}

/* With the mutex held. */
static bool reserve(struct session *s)
{
	size_t capacity = s->granted_capacity * 2 + 8;
	struct granted *granted;

	if (s->granted_count < s->granted_capacity)
		return true;
	granted = realloc(s->granted, capacity * sizeof(*granted));
	if (!granted)
		return false;
	s->granted = granted;
	s->granted_capacity = capacity;
	return true;
}

/* With the mutex held, room reserved. */
static void insert(struct session *s, const struct granted *granted)
{
	struct granted *at = &s->granted[lower(s, granted->link)];

	memmove(at + 1, at,
		(size_t)(s->granted + s->granted_count - at) * sizeof(*at));
	*at = *granted;
	s->granted_count++;
}

void grant_give(struct worker *w, const struct event *event)
{
	struct session *s = w->session;
	const struct verdict *v = &event->verdict;
	uint64_t process =
		v->grant == GRANT_ALL ? 0 : event->access.process;

	pthread_mutex_lock(&s->grant_mutex);
	if (!covers(s, event->link, process, v->grant_writes)) {
		const struct granted granted = { event->range, event->link,
			process, v->grant_writes };

		if (reserve(s))
			insert(s, &granted);
		else
			session_say(s,
				"custos: out of memory: a grant is lost; its "
				"keeper is asked again\n");
	}
	pthread_mutex_unlock(&s->grant_mutex);
}

/* Take out all entries for which gone() says so. */
static void remove_granted(struct session *s, const struct range *range,
	uint64_t process)
{
	size_t left = 0;

	pthread_mutex_lock(&s->grant_mutex);
	for (size_t i = 0; i < s->granted_count; i++)
		if (range ? s->granted[i].range != range :
			    s->granted[i].process != process)
			s->granted[left++] = s->granted[i];
	atomic_store(&s->granted_count, left);
	pthread_mutex_unlock(&s->grant_mutex);
}

void grant_exit(struct session *s, uint64_t process)
{
	remove_granted(s, NULL, process);
}

/* Is every kept byte of the page granted to all, for reading and writing, and
 * does nobody want to be told of its accesses? */
static bool is_free(struct session *s, const struct kept_page *page)
{
	for (size_t i = 0; i < kept_page_count(page); i++) {
		const struct range *range = kept_page_piece(page, i)->range;

		for (unsigned n = 0; n < range->link_count; n++) {
			const struct range_link *link = &range->links[n];

			if (!range_link_is_live(link))
				continue;
			if (link->keeper->ops->told ||
				!covers(s, link, 0, true))
				return false;
		}
	}
	return true;
}

void grant_open_pages(struct worker *w)
{
	struct session *s = w->session;
	struct error err;

	if (!atomic_load_explicit(&s->granted_count, memory_order_relaxed))
		return;
	pthread_mutex_lock(&s->grant_mutex);
	for (unsigned i = 0; i < w->locked_count; i++) {
		struct kept_page *page = w->locked[i];

		if (!is_free(s, page) || kept_page_is_open(page))
			continue;
		kept_page_set_open(page, true);
		if (target_open_page(
			    s->config.target, kept_page_frame(page), &err))
			session_say(s, "custos: %s\n", err.text);
	}
	pthread_mutex_unlock(&s->grant_mutex);
}

struct revoking {
	struct session *session;
	const struct range *range;
};

static bool holds_range(const struct kept_page *page, const struct range *range)
{
	for (size_t i = 0; i < kept_page_count(page); i++)
		if (kept_page_piece(page, i)->range == range)
			return true;
	return false;
}

/* Close a page again; what was stored meanwhile becomes what must be. */
static void close_again(void *ctx, struct kept_page *page)
{
	struct revoking *r = ctx;
	struct session *s = r->session;
	struct error err;

	if (!kept_page_is_open(page) || !holds_range(page, r->range))
		return;
	if (target_close_page(s->config.target, kept_page_frame(page), &err))
		session_say(s, "custos: %s\n", err.text);
	bind_resync(s, page);
	kept_page_set_open(page, false);
}

void grant_forget(struct session *s, const struct range *range)
{
	remove_granted(s, range, 0);
}

void grant_close_pages(struct session *s, const struct range *range)
{
	struct revoking r = { s, range };

	/* Whoever had it opened just before it was forgotten. */
	kept_map_each(s->map, close_again, &r);
}
