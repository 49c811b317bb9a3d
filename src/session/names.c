/* SPDX-License-Identifier: MIT */
#include "session/names.h"

#include <custos/decode.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct names {
	struct trace_names callbacks;
	pthread_rwlock_t lock; /* guards the list */
	const struct target_process **processes; /* sorted by id */
	size_t count, capacity;
};

/* With the lock held: index of the first process with an id >= id. */
static size_t lower(const struct names *names, uint64_t id)
{
	size_t low = 0, high = names->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (names->processes[mid]->id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct target_process *names_process(struct names *names, uint64_t id)
{
	const struct target_process *found = NULL;
	size_t at;

	pthread_rwlock_rdlock(&names->lock);
	at = lower(names, id);
	if (at < names->count && names->processes[at]->id == id)
		found = names->processes[at];
	pthread_rwlock_unlock(&names->lock);
	return found;
}

static const struct image *image_of(void *ctx, uint64_t process)
{
	const struct target_process *p = names_process(ctx, process);

	return p ? p->image : NULL;
}

static void name_symbol(
	void *ctx, uint64_t process, uint64_t address, struct buf *out)
{
	const struct image *image = image_of(ctx, process);

	if (image)
		image_describe(image, address, out);
	else
		buf_printf(out, "0x%llx", (unsigned long long)address);
}

static void name_line(
	void *ctx, uint64_t process, uint64_t address, struct buf *out)
{
	const struct image *image = image_of(ctx, process);
	const char *file, *base;
	int line;

	if (!image || !image_line_at(image, address, &file, &line))
		return;
	base = strrchr(file, '/');
	buf_printf(out, "%s:%d", base ? base + 1 : file, line);
}

static void name_text(void *ctx, const uint8_t *bytes, uint8_t len, uint64_t ip,
	struct buf *out)
{
	struct insn insn;
	char text[128];

	(void)ctx;
	if (!len || decode_insn(bytes, len, &insn))
		return;
	decode_text(&insn, ip, text, sizeof(text));
	buf_add_str(out, text);
}

/* The whole of a variable is named by its symbol already: only what is inside
 * one is worth more words. */
static void name_data(void *ctx, uint64_t process, uint64_t address,
	uint64_t size, struct buf *out)
{
	const struct image *image = image_of(ctx, process);
	struct buf path = BUF_INIT;

	if (image && image_describe_data(image, address, size, &path) &&
		strpbrk(buf_str(&path), ".["))
		buf_add(out, path.data, path.len);
	buf_fini(&path);
}

#define INLINES_MAX 8

static void name_inlined(
	void *ctx, uint64_t process, uint64_t address, struct buf *out)
{
	const struct image *image = image_of(ctx, process);
	struct image_inline inlines[INLINES_MAX];
	size_t count =
		image ? image_inlines_at(image, address, inlines, INLINES_MAX) :
			0;

	for (size_t i = 0; i < count; i++)
		buf_printf(out, "%s%s", i ? " < " : "", inlines[i].function);
}

struct names *names_create(void)
{
	struct names *names = calloc(1, sizeof(*names));

	if (!names)
		return NULL;
	pthread_rwlock_init(&names->lock, NULL);
	names->callbacks = (struct trace_names){
		.ctx = names,
		.symbol = name_symbol,
		.line = name_line,
		.text = name_text,
		.data = name_data,
		.inlined = name_inlined,
	};
	return names;
}

void names_destroy(struct names *names)
{
	if (!names)
		return;
	pthread_rwlock_destroy(&names->lock);
	free(names->processes);
	free(names);
}

const struct trace_names *names_callbacks(const struct names *names)
{
	return &names->callbacks;
}

static int reserve(struct names *names)
{
	size_t capacity = names->capacity ? names->capacity * 2 : 16;
	const struct target_process **list;

	if (names->count < names->capacity)
		return 0;
	list = realloc(names->processes, capacity * sizeof(*list));
	if (!list)
		return -ENOMEM;
	names->processes = list;
	names->capacity = capacity;
	return 0;
}

int names_add_process(struct names *names, const struct target_process *process)
{
	size_t at;
	int ret;

	pthread_rwlock_wrlock(&names->lock);
	ret = reserve(names);
	if (!ret) {
		at = lower(names, process->id);
		memmove(&names->processes[at + 1], &names->processes[at],
			(names->count - at) * sizeof(names->processes[0]));
		names->processes[at] = process;
		names->count++;
	}
	pthread_rwlock_unlock(&names->lock);
	return ret;
}
