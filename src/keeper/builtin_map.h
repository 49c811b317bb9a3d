/* SPDX-License-Identifier: MIT */
/*
 * What built-in keepers remember: entries that begin with their key, found by
 * it, in the order they were added. Bounded, so that a guest cannot make us
 * eat the host's memory.
 */
#ifndef CUSTOS_KEEPER_BUILTIN_MAP_H
#define CUSTOS_KEEPER_BUILTIN_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUILTIN_MAP_MAX 65536 /* entries */

/* Zeroed but for the sizes it is empty. No padding in keys. */
struct builtin_map {
	size_t entry_size, key_size;
	size_t count;
	uint64_t dropped; /* calls of get that found no room */
	char *entries; /* may be sorted when nothing is looked up any more */
	/* private */
	size_t capacity;
	uint32_t *slots; /* twice the capacity; 0: free, else index + 1 */
};

void builtin_map_fini(struct builtin_map *map);

/* The entry with this key, or NULL. Valid until the next addition. */
void *builtin_map_find(const struct builtin_map *map, const void *key);

/* The same, added when missing, all but the key zero. NULL when there is no
 * room. */
void *builtin_map_get(struct builtin_map *map, const void *key);

uint64_t builtin_map_hash(const void *key, size_t size);

/* index < count */
void *builtin_map_at(const struct builtin_map *map, size_t index);

#endif
