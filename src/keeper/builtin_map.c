/* SPDX-License-Identifier: MIT */
#include "keeper/builtin_map.h"

#include <stdlib.h>
#include <string.h>

#include "base/invariant.h"

void builtin_map_fini(struct builtin_map *map)
{
	free(map->entries);
	free(map->slots);
}

uint64_t builtin_map_hash(const void *key, size_t size)
{
	const uint8_t *bytes = key;
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
	return h ^ h >> 32;
}

void *builtin_map_at(const struct builtin_map *map, size_t index)
{
	invariant(index < map->count);
	return map->entries + index * map->entry_size;
}

/* The slot that holds key, or the free one where it belongs. */
static uint32_t *slot_of(const struct builtin_map *map, const void *key)
{
	size_t mask = map->capacity * 2 - 1;
	size_t i = builtin_map_hash(key, map->key_size) & mask;

	while (map->slots[i] &&
		memcmp(builtin_map_at(map, map->slots[i] - 1), key,
			map->key_size))
		i = (i + 1) & mask;
	return &map->slots[i];
}

void *builtin_map_find(const struct builtin_map *map, const void *key)
{
	uint32_t slot = map->count ? *slot_of(map, key) : 0;

	return slot ? builtin_map_at(map, slot - 1) : NULL;
}

static bool grow(struct builtin_map *map)
{
	size_t capacity = map->capacity ? map->capacity * 2 : 16;
	uint32_t *slots;
	char *entries;

	if (map->count < map->capacity)
		return true;
	if (map->count == BUILTIN_MAP_MAX)
		return false;
	entries = reallocarray(map->entries, capacity, map->entry_size);
	if (!entries)
		return false;
	map->entries = entries;
	slots = calloc(capacity * 2, sizeof(*slots));
	if (!slots)
		return false;
	free(map->slots);
	map->slots = slots;
	map->capacity = capacity;
	for (size_t i = 0; i < map->count; i++)
		*slot_of(map, builtin_map_at(map, i)) = (uint32_t)i + 1;
	return true;
}

void *builtin_map_get(struct builtin_map *map, const void *key)
{
	void *entry = builtin_map_find(map, key);

	if (entry)
		return entry;
	if (!grow(map)) {
		map->dropped++;
		return NULL;
	}
	*slot_of(map, key) = (uint32_t)map->count + 1;
	entry = map->entries + map->count++ * map->entry_size;
	memset(entry, 0, map->entry_size);
	memcpy(entry, key, map->key_size);
	return entry;
}
