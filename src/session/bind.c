/* SPDX-License-Identifier: MIT */
/*
 * Which frames hold the kept bytes now. A range belongs to the processes of
 * one program; each of them has the range's pages mapped, or not yet, or
 * onto other frames than a moment ago. A binding is one page of one range in
 * one process; the frame it is bound to is closed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/invariant.h"
#include "session/session_impl.h"

static struct kept_piece piece_of(const struct binding *b)
{
	return (struct kept_piece){
		.first = b->first,
		.count = b->count,
		.range = b->range,
		.offset = b->offset,
	};
}

/* Before a frame's bytes get out of sight: did every store pass by us? */
static void verify(struct session *s, const struct binding *b, bool last)
{
	struct kept_page *page = kept_map_find(s->map, b->frame);
	const struct kept_piece *piece;
	uint32_t index;

	if (!b->bytes || kept_page_is_open(page))
		return; /* nothing to compare, or granted to all */
	pthread_mutex_lock(&s->report_mutex);
	s->verified_bytes += last ? b->count : 0;
	if (!kept_page_verify(page, b->bytes, &piece, &index)) {
		if (!s->missed++)
			snprintf(s->missed_why, sizeof(s->missed_why),
				"byte %llu of `%s' is 0x%02x, the accesses "
				"seen leave 0x%02x: it was stored through "
				"another mapping of its frame, by the guest's "
				"kernel or by the monitor",
				(unsigned long long)(piece->offset + index),
				piece->range->name,
				b->bytes[piece->first + index],
				piece->shadow[index]);
		/* Say it once. */
		memcpy(piece->shadow, b->bytes + piece->first, piece->count);
	}
	pthread_mutex_unlock(&s->report_mutex);
}

static uint64_t process_of(const struct binding *b)
{
	return b->process ? b->process->id : 0;
}

/* What the bytes are now. */
static void record(struct session *s, const struct binding *b)
{
	const struct session_recorder *recorder = s->config.recorder;

	if (recorder)
		recorder->bind(recorder->ctx, process_of(b), b->range,
			b->offset, b->count,
			b->bytes ? b->bytes + b->first : NULL, b->frame);
}

static void record_unbind(struct session *s, const struct binding *b)
{
	const struct session_recorder *recorder = s->config.recorder;

	if (recorder)
		recorder->unbind(recorder->ctx, process_of(b), b->range,
			b->offset, b->count);
}

static void unbind(struct session *s, struct binding *b)
{
	struct kept_page *page = kept_map_find(s->map, b->frame);
	struct error err;
	bool empty;

	if (!b->bound)
		return;
	verify(s, b, true);
	b->bound = false;
	record_unbind(s, b);
	kept_page_lock(page);
	empty = kept_page_unbind(page, b->range, b->first);
	if (empty)
		kept_page_set_open(page, false);
	kept_page_unlock(page);
	if (empty && b->bytes &&
		target_open_page(s->config.target, b->frame, &err))
		session_say(s, "custos: %s\n", err.text);
}

/* With the page's lock: the guest's kernel itself may be at it, which asks
 * for no lock but that one. */
static int bind_piece(struct session *s, const struct binding *b,
	const struct target_page *to, const struct range **out_other)
{
	const struct kept_piece piece = piece_of(b);
	struct kept_page *page = kept_map_get(s->map, to->frame);
	int ret;

	if (!page)
		return -ENOMEM;
	kept_page_lock(page);
	ret = kept_page_bind(page, &piece, to->bytes, out_other);
	kept_page_unlock(page);
	return ret;
}

/* What was granted to all is closed again for the newcomer. */
static void close_granted(struct session *s, struct kept_page *page)
{
	if (!kept_page_is_open(page))
		return;
	bind_resync(s, page);
	kept_page_set_open(page, false);
}

static void bind_to(struct session *s, struct binding *b,
	const struct target_page *to)
{
	const struct range *other = NULL;
	struct error err;
	int ret = bind_piece(s, b, to, &other);

	if (ret == -EEXIST) {
		session_say(s,
			"custos: `%s' and `%s' name the same bytes in process "
			"`%s'; they stay `%s'\n",
			b->range->name, other->name,
			b->process ? b->process->name : "", other->name);
		return;
	}
	if (ret) {
		session_say(s, "custos: out of memory: `%s' is not kept\n",
			b->range->name);
		return;
	}
	b->frame = to->frame;
	b->bytes = to->bytes;
	b->bound = true;
	b->range->ever_bound = true;
	if (to->bytes && target_close_page(s->config.target, to->frame, &err)) {
		session_say(s, "custos: `%s' is not kept: %s\n", b->range->name,
			err.text);
		unbind(s, b);
		return;
	}
	close_granted(s, kept_map_find(s->map, to->frame));
	record(s, b);
}

/* The page is there, or (NULL) nowhere. */
static void follow(
	struct session *s, struct binding *b, const struct target_page *to)
{
	b->unknown = b->asked = false;
	if (b->bound && to && to->frame == b->frame)
		return;
	unbind(s, b);
	if (to)
		bind_to(s, b, to);
}

/* Look where the page is now and follow it. */
static void rebind(struct session *s, struct binding *b)
{
	struct target_page page;

	if (target_find_page(s->config.target, b->process->space, b->page_va,
		    &page)) {
		follow(s, b, &page);
		return;
	}
	b->unknown = true;
	b->asked = false;
}

/* Spaces matter while there is a binding that follows one. */
static void watch(struct session *s)
{
	bool any = false, unknown = false;

	for (size_t i = 0; i < s->binding_count && !unknown; i++) {
		any |= s->bindings[i].process != NULL;
		unknown |= s->bindings[i].unknown;
	}
	if (any == s->watching && unknown == s->asking)
		return;
	s->watching = any;
	s->asking = unknown;
	target_watch_spaces(s->config.target, any, unknown);
}

static int reserve(struct session *s, uint64_t more)
{
	size_t need, capacity = s->binding_capacity;
	struct binding *bindings;

	if (__builtin_add_overflow(s->binding_count, more, &need))
		return -ENOMEM;
	if (need <= capacity)
		return 0;
	while (capacity < need)
		capacity = capacity ? capacity * 2 : 16;
	bindings = realloc(s->bindings, capacity * sizeof(*bindings));
	if (!bindings)
		return -ENOMEM;
	s->bindings = bindings;
	s->binding_capacity = capacity;
	return 0;
}

/* Page n of a range that starts at address (for devices: at 0). */
static struct binding page_binding(
	const struct target_process *process, struct range *range, uint64_t n)
{
	uint64_t start = range->address & ~ARCH_PAGE_MASK;
	uint64_t page_va = start + n * ARCH_PAGE_SIZE;
	uint64_t from = range->address > page_va ? range->address : page_va;
	uint64_t last = range->address + (range->length - 1);
	uint64_t page_last = page_va + ARCH_PAGE_MASK;

	last = last < page_last ? last : page_last;
	return (struct binding){
		.process = process,
		.range = range,
		.page_va = page_va,
		.first = (uint32_t)(from - page_va),
		.count = (uint32_t)(last - from + 1),
		.offset = from - range->address,
	};
}

static uint64_t page_count(const struct range *range)
{
	uint64_t last = range->address + (range->length - 1);

	return (last >> ARCH_PAGE_SHIFT) -
		(range->address >> ARCH_PAGE_SHIFT) + 1;
}

static int bind_range(struct session *s, const struct target_process *process,
	struct range *range)
{
	uint64_t pages = page_count(range);

	if (reserve(s, pages))
		return -ENOMEM;
	for (uint64_t n = 0; n < pages; n++) {
		struct binding *b = &s->bindings[s->binding_count++];

		*b = page_binding(process, range, n);
		rebind(s, b);
	}
	watch(s);
	return 0;
}

static int bind_device(struct session *s, struct range *range,
	struct error *err)
{
	uint64_t pages = page_count(range), count;
	frame_t first;

	if (!target_device(s->config.target, range->device_name, &first,
		    &count) ||
		count < pages)
		return error_set(err, -ENODEV,
			"`%s': this target has no such device pages",
			range->name);
	if (reserve(s, pages))
		return error_set(err, -ENOMEM, "out of memory");
	for (uint64_t n = 0; n < pages; n++) {
		struct binding *b = &s->bindings[s->binding_count++];
		struct target_page page = {
			.frame = first + n,
			.closed = true,
		};

		*b = page_binding(NULL, range, n);
		bind_to(s, b, &page);
	}
	return 0;
}

static bool has_process(const struct session *s, const struct range *range,
	const struct target_process *process)
{
	for (size_t i = 0; i < s->binding_count; i++)
		if (s->bindings[i].range == range &&
			s->bindings[i].process == process)
			return true;
	return false;
}

static int add_live(struct session *s, const struct target_process *process)
{
	size_t capacity = s->live_capacity * 2 + 8;
	const struct target_process **live;

	if (s->live_count == s->live_capacity) {
		live = reallocarray(s->live, capacity, sizeof(*live));
		if (!live)
			return -ENOMEM;
		s->live = live;
		s->live_capacity = capacity;
	}
	s->live[s->live_count++] = process;
	return 0;
}

int bind_process(struct session *s, const struct target_process *process)
{
	int ret;

	pthread_rwlock_wrlock(&s->bindings_lock);
	request_carry_out(s);
	ret = add_live(s, process);
	for (size_t i = 0; i < range_set_count(s->config.ranges) && !ret; i++) {
		struct range *range = range_set_get(s->config.ranges, i);

		if (!range->device && range_is_live(range) &&
			range->image == process->image)
			ret = bind_range(s, process, range);
	}
	pthread_rwlock_unlock(&s->bindings_lock);
	return ret;
}

int bind_live(struct session *s, struct range *range, struct error *err)
{
	int ret = 0;

	if (range->device)
		return has_process(s, range, NULL) ?
			0 :
			bind_device(s, range, err);
	for (size_t i = 0; i < s->live_count && !ret; i++)
		if (s->live[i]->image == range->image &&
			!has_process(s, range, s->live[i]))
			ret = bind_range(s, s->live[i], range);
	return ret ? error_set(err, ret, "out of memory") : 0;
}

void bind_release(struct session *s, const struct range *range)
{
	size_t left = 0;

	for (size_t i = 0; i < s->binding_count; i++) {
		if (s->bindings[i].range == range)
			unbind(s, &s->bindings[i]);
		else
			s->bindings[left++] = s->bindings[i];
	}
	s->binding_count = left;
	watch(s);
}

void bind_changed(struct session *s)
{
	pthread_rwlock_wrlock(&s->bindings_lock);
	for (size_t i = 0; i < s->binding_count; i++)
		if (s->bindings[i].process)
			rebind(s, &s->bindings[i]);
	pthread_rwlock_unlock(&s->bindings_lock);
}

static void take_answer(struct session *s, const struct target_where *answer)
{
	for (size_t i = 0; i < s->binding_count; i++) {
		struct binding *b = &s->bindings[i];

		if (b->asked && b->process->space == answer->space &&
			b->page_va == answer->va)
			follow(s, b, answer->found ? &answer->page : NULL);
	}
}

void bind_where(struct session *s, const struct target_where *answers,
	unsigned count)
{
	if (!count)
		return;
	pthread_rwlock_wrlock(&s->bindings_lock);
	for (unsigned i = 0; i < count; i++)
		take_answer(s, &answers[i]);
	pthread_rwlock_unlock(&s->bindings_lock);
}

unsigned bind_ask(
	struct session *s, struct target_where *questions, unsigned max)
{
	unsigned count = 0;

	pthread_rwlock_wrlock(&s->bindings_lock);
	for (size_t i = 0; i < s->binding_count && count < max; i++) {
		struct binding *b = &s->bindings[i];

		if (!b->unknown || b->asked)
			continue;
		b->asked = true;
		questions[count++] = (struct target_where){
			.space = b->process->space,
			.va = b->page_va,
		};
	}
	if (!count)
		watch(s);
	pthread_rwlock_unlock(&s->bindings_lock);
	return count;
}

void bind_exit(struct session *s, const struct target_process *process)
{
	size_t left = 0;

	pthread_rwlock_wrlock(&s->bindings_lock);
	for (size_t i = 0; i < s->binding_count; i++) {
		if (s->bindings[i].process == process)
			unbind(s, &s->bindings[i]);
		else
			s->bindings[left++] = s->bindings[i];
	}
	s->binding_count = left;
	watch(s);
	left = 0;
	for (size_t i = 0; i < s->live_count; i++)
		if (s->live[i] != process)
			s->live[left++] = s->live[i];
	s->live_count = left;
	pthread_rwlock_unlock(&s->bindings_lock);
}

int bind_devices(struct session *s, struct error *err)
{
	int ret = 0;

	pthread_rwlock_wrlock(&s->bindings_lock);
	for (size_t i = 0; i < range_set_count(s->config.ranges) && !ret; i++) {
		struct range *range = range_set_get(s->config.ranges, i);

		if (range->device && range_is_live(range) &&
			!has_process(s, range, NULL))
			ret = bind_device(s, range, err);
	}
	pthread_rwlock_unlock(&s->bindings_lock);
	return ret;
}

void bind_verify_all(struct session *s, bool last)
{
	pthread_rwlock_wrlock(&s->bindings_lock);
	for (size_t i = 0; i < s->binding_count; i++)
		if (s->bindings[i].bound)
			verify(s, &s->bindings[i], last);
	pthread_rwlock_unlock(&s->bindings_lock);
}

void bind_resync(struct session *s, struct kept_page *page)
{
	for (size_t i = 0; i < s->binding_count; i++) {
		const struct binding *b = &s->bindings[i];

		if (!b->bound || !b->bytes || b->frame != kept_page_frame(page))
			continue;
		kept_page_stored(
			page, b->first, b->count, b->bytes + b->first);
		record(s, b);
	}
}
