/* SPDX-License-Identifier: MIT */
#include "trace/trace_sites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "trace/trace_format.h"

struct key {
	uint64_t ip;
	uint64_t owner; /* program, or process where that is not known */
	uint8_t insn[ARCH_INSN_MAX];
	uint8_t insn_len;
};

struct owner {
	uint64_t process, owner;
};

struct trace_sites {
	struct key *keys; /* by number */
	uint32_t *slots; /* number + 1, by hash */
	uint32_t count, mask;
	struct owner *owners; /* sorted by process */
	size_t owner_count, owner_room;
	struct owner last; /* the one asked for last */
};

#define SLOTS_FIRST 4096u

struct trace_sites *trace_sites_create(void)
{
	struct trace_sites *sites = calloc(1, sizeof(*sites));

	if (!sites)
		return NULL;
	sites->mask = SLOTS_FIRST - 1;
	sites->slots = calloc(SLOTS_FIRST, sizeof(*sites->slots));
	sites->keys = calloc(SLOTS_FIRST / 2, sizeof(*sites->keys));
	if (sites->slots && sites->keys)
		return sites;
	trace_sites_destroy(sites);
	return NULL;
}

void trace_sites_destroy(struct trace_sites *sites)
{
	if (!sites)
		return;
	free(sites->keys);
	free(sites->slots);
	free(sites->owners);
	free(sites);
}

/* Index of the first with a process >= process. */
static size_t lower(const struct trace_sites *sites, uint64_t process)
{
	size_t low = 0, high = sites->owner_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (sites->owners[mid].process < process)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int trace_sites_process(
	struct trace_sites *sites, uint64_t process, uint32_t program)
{
	size_t at = lower(sites, process);
	struct owner *owners;

	if (program == UINT32_MAX)
		return 0;
	if (!GROW(sites->owners, sites->owner_room, sites->owner_count + 1))
		return -ENOMEM;
	owners = sites->owners;
	memmove(&owners[at + 1], &owners[at],
		(sites->owner_count - at) * sizeof(*owners));
	owners[at] = (struct owner){ process, program };
	sites->owner_count++;
	sites->last = (struct owner){ 0 };
	return 0;
}

static uint64_t owner_of(struct trace_sites *sites, uint64_t process)
{
	size_t at;

	if (sites->last.process == process && process)
		return sites->last.owner;
	at = lower(sites, process);
	sites->last.process = process;
	sites->last.owner = at < sites->owner_count &&
			sites->owners[at].process == process ?
		sites->owners[at].owner :
		~process;
	return sites->last.owner;
}

static struct key key_of(struct trace_sites *sites, const struct access *a)
{
	struct key key = { .ip = a->ip };

	key.owner = owner_of(sites, a->process);
	if (a->insn) {
		key.insn_len = a->insn_len < ARCH_INSN_MAX ? a->insn_len :
							     ARCH_INSN_MAX;
		memcpy(key.insn, a->insn, key.insn_len);
	}
	return key;
}

static uint32_t hash_of(const struct key *key)
{
	uint64_t h = key->ip * UINT64_C(0x9e3779b97f4a7c15);

	h ^= key->owner * UINT64_C(0xc2b2ae3d27d4eb4f);
	return (uint32_t)(h ^ h >> 31);
}

static uint32_t *slot_of(const struct trace_sites *sites, const struct key *key)
{
	uint32_t at = hash_of(key) & sites->mask;

	while (sites->slots[at] &&
		memcmp(&sites->keys[sites->slots[at] - 1], key, sizeof(*key)))
		at = (at + 1) & sites->mask;
	return &sites->slots[at];
}

static int grow(struct trace_sites *sites)
{
	uint32_t slots = (sites->mask + 1) * 2;
	uint32_t *bigger = calloc(slots, sizeof(*bigger));
	struct key *keys = bigger ? reallocarray(sites->keys, slots / 2,
					    sizeof(*keys)) :
				    NULL;

	if (!keys) {
		free(bigger);
		return -ENOMEM;
	}
	free(sites->slots);
	sites->slots = bigger;
	sites->keys = keys;
	sites->mask = slots - 1;
	for (uint32_t i = 0; i < sites->count; i++)
		*slot_of(sites, &keys[i]) = i + 1;
	return 0;
}

int trace_sites_find(struct trace_sites *sites, const struct access *access,
	uint32_t *out_number, bool *out_new)
{
	const struct key key = key_of(sites, access);
	uint32_t *slot = slot_of(sites, &key);

	*out_new = !*slot;
	if (*slot) {
		*out_number = *slot - 1;
		return 0;
	}
	if (sites->count == TRACE_SITES_MAX)
		return -EOVERFLOW;
	if (sites->count > sites->mask / 2) {
		if (grow(sites))
			return -ENOMEM;
		slot = slot_of(sites, &key);
	}
	sites->keys[sites->count] = key;
	*out_number = sites->count++;
	*slot = sites->count;
	return 0;
}
