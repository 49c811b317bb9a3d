/* SPDX-License-Identifier: MIT */
/*
 * The objects of a description and the memory behind them. Everything a
 * description consists of is allocated from blocks that go with it, so that a
 * reader may give up anywhere.
 */
#include "system/system.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"

#define BYTES_MAX ((size_t)2 * CUSTOS_SYSTEM_SIZE_MAX)

struct system_block {
	struct system_block *next;
	_Alignas(16) uint8_t bytes[];
};

static const struct {
	const char *word, *phrase;
	enum custos_captype type;
	bool memory;
} kinds[SYSTEM_KIND_MAX] = {
#define KIND(NAME, word, phrase, type, memory)                                 \
	[SYSTEM_##NAME] = { word, phrase, CUSTOS_CAP_##type, memory },
	SYSTEM_KINDS
#undef KIND
};

const char *system_kind_name(enum system_kind kind)
{
	return kinds[kind].word;
}

const char *system_kind_phrase(enum system_kind kind)
{
	return kinds[kind].phrase;
}

bool system_kind_is_memory(enum system_kind kind)
{
	return kinds[kind].memory;
}

enum custos_captype system_kind_type(enum system_kind kind)
{
	return kinds[kind].type;
}

void *system_alloc(struct system *system, size_t size)
{
	struct system_block *block;

	if (size > BYTES_MAX - system->bytes)
		return NULL;
	system->bytes += size;
	block = calloc(1, sizeof(*block) + size);
	if (!block)
		return NULL;
	block->next = system->blocks;
	system->blocks = block;
	return block->bytes;
}

char *system_copy(struct system *system, const char *bytes, size_t len)
{
	char *copy = len < SIZE_MAX ? system_alloc(system, len + 1) : NULL;

	if (copy)
		memcpy(copy, bytes, len);
	return copy;
}

int system_fail(const struct system *system, unsigned line, struct error *err,
	const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!line)
		return error_set(err, -EINVAL, "%s: %s", system->path, text);
	return error_set(
		err, -EINVAL, "%s:%u: %s", system->path, line, text);
}

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "out of memory");
}

static bool is_name(const char *name)
{
	size_t len = strlen(name);

	if (!len || len >= CUSTOS_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == '"' ||
			name[i] == '\\')
			return false;
	return true;
}

static int check_name(const struct system *system, const char *name,
	unsigned line, struct error *err)
{
	const struct system_object *other;
	uint32_t found;

	if (!is_name(name))
		return system_fail(system, line, err,
			"`%.40s' cannot be a name: 1 to %d printable "
			"characters without blanks, quotes and backslashes",
			name, CUSTOS_NAME_MAX - 1);
	found = system_find(system, name);
	if (found == SYSTEM_NONE)
		return 0;
	other = system->objects[found];
	if (!other->line)
		return system_fail(system, line, err,
			"`%s' is %s that is always there", name,
			system_kind_phrase(other->kind));
	return system_fail(system, line, err,
		"there is a `%s' already: %s, line %u", name,
		system_kind_phrase(other->kind), other->line);
}

/* A name nobody else has: "entry3". */
static char *make_name(struct system *system, enum system_kind kind)
{
	char name[CUSTOS_NAME_MAX];
	uint32_t first = 1;

	for (uint32_t i = 0; i < system->count; i++)
		first += system->objects[i]->kind == kind;
	for (uint32_t i = first;; i++) {
		snprintf(name, sizeof(name), "%s%u", system_kind_name(kind), i);
		if (system_find(system, name) == SYSTEM_NONE)
			return system_copy(system, name, strlen(name));
	}
}

static bool grow(struct system *system)
{
	struct system_object **grown;

	if (system->count & (system->count - 1))
		return true;
	grown = reallocarray(system->objects,
		system->count ? (size_t)system->count * 2 : 1, sizeof(*grown));
	if (grown)
		system->objects = grown;
	return grown;
}

int system_add(struct system *system, enum system_kind kind, const char *name,
	unsigned line, struct system_object **out, struct error *err)
{
	struct system_object *object;
	int ret = name ? check_name(system, name, line, err) : 0;

	if (ret)
		return ret;
	if (system->count == SYSTEM_OBJECTS_MAX)
		return system_fail(system, line, err, "more than %d objects",
			SYSTEM_OBJECTS_MAX);
	object = system_alloc(system, sizeof(*object));
	if (!object || !grow(system))
		return no_memory(err);
	object->kind = kind;
	object->line = line;
	object->unnamed = !name;
	object->name = name ? system_copy(system, name, strlen(name))
			    : make_name(system, kind);
	if (!object->name)
		return no_memory(err);
	object->bank = object->keeper = object->endpoint = object->process =
		object->of = object->pays = SYSTEM_REF_INIT;
	object->rights = system_kind_rights(kind);
	object->cpu = CUSTOS_ANY_CPU;
	system->objects[system->count++] = object;
	*out = object;
	return 0;
}

uint32_t system_number(
	const struct system *system, const struct system_object *object)
{
	uint32_t i = 0;

	while (i < system->count && system->objects[i] != object)
		i++;
	return i < system->count ? i : SYSTEM_NONE;
}

uint32_t system_find(const struct system *system, const char *name)
{
	for (uint32_t i = 0; i < system->count; i++)
		if (!strcmp(system->objects[i]->name, name))
			return i;
	return SYSTEM_NONE;
}

struct system *system_create(const char *path)
{
	static const enum system_kind given[] = { SYSTEM_CONSOLE, SYSTEM_TIMER,
		SYSTEM_SCHEDULE, SYSTEM_DISCRIM, SYSTEM_BANK };
	struct system *system = calloc(1, sizeof(*system));
	struct system_object *object;

	if (!system)
		return NULL;
	system->path = system_copy(system, path, strlen(path));
	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
		if (!system->path ||
			system_add(system, given[i],
				system_kind_name(given[i]), 0, &object, NULL)) {
			system_destroy(system);
			return NULL;
		}
	return system;
}

void system_destroy(struct system *system)
{
	struct system_block *next;

	if (!system)
		return;
	for (uint32_t i = 0; i < system->count; i++)
		image_close(system->objects[i]->image);
	for (struct system_block *b = system->blocks; b; b = next) {
		next = b->next;
		free(b);
	}
	free(system->objects);
	free(system);
}
