/* SPDX-License-Identifier: MIT */
#include "vmm/process.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <custos/arch.h>

void vmm_process_init(struct process_table *table)
{
	memset(table, 0, sizeof(*table));
	pthread_mutex_init(&table->lock, NULL);
}

void vmm_process_fini(struct process_table *table)
{
	for (unsigned i = 0; i < PROCESS_BUCKETS; i++) {
		struct process *p = table->by_id[i], *next;

		for (; p; p = next) {
			next = p->next_id;
			free(p);
		}
	}
	pthread_mutex_destroy(&table->lock);
}

static unsigned bucket_of_id(uint64_t id)
{
	return (unsigned)(id % PROCESS_BUCKETS);
}

static unsigned bucket_of_space(space_t space)
{
	return (unsigned)((space >> ARCH_PAGE_SHIFT) % PROCESS_BUCKETS);
}

static struct process *find(struct process_table *table, uint64_t id)
{
	struct process *p = table->by_id[bucket_of_id(id)];

	while (p && p->public.id != id)
		p = p->next_id;
	return p;
}

/* Into the string out; at most TARGET_NAME_MAX - 1 bytes. */
static void clean_name(char *out, const char *name)
{
	for (size_t i = 0; i < TARGET_NAME_MAX - 1 && name[i]; i++)
		out[i] = isprint((unsigned char)name[i]) ? name[i] : '?';
	if (!out[0])
		strcpy(out, "?");
}

static struct process *insert(struct process_table *table, uint64_t id,
	space_t space, const char *name, const struct image *image)
{
	struct process *p, *_Atomic *head;

	if (!id || find(table, id) || table->count >= PROCESS_MAX)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->public.id = id;
	p->public.space = space;
	p->public.image = image;
	clean_name(p->public.name, name);
	/* Complete before it can be seen; newest first, so that a space
	 * used again finds its present owner. */
	head = &table->by_id[bucket_of_id(id)];
	p->next_id = *head;
	p->next_space = table->by_space[bucket_of_space(space)];
	*head = p;
	table->by_space[bucket_of_space(space)] = p;
	table->count++;
	return p;
}

const struct target_process *vmm_process_add(struct process_table *table,
	uint64_t id, space_t space, const char name[TARGET_NAME_MAX],
	const struct image *image)
{
	struct process *p;

	pthread_mutex_lock(&table->lock);
	p = insert(table, id, space, name, image);
	pthread_mutex_unlock(&table->lock);
	return p ? &p->public : NULL;
}

void vmm_process_end(struct process_table *table, uint64_t id)
{
	struct process *p = find(table, id);

	if (p)
		p->ended = true;
}

const struct target_process *vmm_process_find(
	struct process_table *table, uint64_t id)
{
	struct process *p = find(table, id);

	return p ? &p->public : NULL;
}

bool vmm_process_has_ended(const struct target_process *process)
{
	return ((const struct process *)process)->ended;
}

const struct target_process *vmm_process_of_space(
	struct process_table *table, space_t space)
{
	struct process *p = table->by_space[bucket_of_space(space)];

	while (p && (p->public.space != space || p->ended))
		p = p->next_space;
	return p ? &p->public : NULL;
}

void vmm_process_each(struct process_table *table,
	bool (*visit)(void *ctx, const struct target_process *process),
	void *ctx)
{
	for (unsigned i = 0; i < PROCESS_BUCKETS; i++) {
		struct process *p = table->by_id[i];

		for (; p; p = p->next_id)
			if (!p->ended && !visit(ctx, &p->public))
				return;
	}
}
